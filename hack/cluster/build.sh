#!/usr/bin/env bash
# Builds Kubernetes' control plane from Go modules, for machines that can
# download neither release binaries nor images. A binary that an earlier run
# made from the same inputs is kept, so a second run takes about a second.
#
#   build.sh [kube-apiserver | etcd | kubectl]...   (default: kube-apiserver etcd)
#
# The directory with the binaries is the only line on standard output.
#
#   VESTIBULE_CACHE   where binaries are kept between runs
#                     (default: ${XDG_CACHE_HOME:-$HOME/.cache}/vestibule)
set -euo pipefail

mods=$(cd "$(dirname "${BASH_SOURCE[0]}")/mods" && pwd)
out=${VESTIBULE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vestibule}/bin
mkdir -p "$out"

say() { printf 'build.sh: %s\n' "$*" >&2; }

# module_version DIRECTORY MODULE prints the version that the directory's go.mod pins.
module_version() { (cd "$mods/$1" && go list -mod=readonly -m -f '{{.Version}}' "$2"); }

# compile NAME DIRECTORY PACKAGE LDFLAGS builds one static binary, unless its
# stamp says that the same inputs already made it.
compile() {
	local name=$1 dir=$2 package=$3 ldflags="-s -w $4" stamp started=$SECONDS
	stamp=$({
		go env GOVERSION GOOS GOARCH
		echo "$package $ldflags"
		cat "$mods/$dir"/go.*
	} | sha256sum | cut -d' ' -f1)
	if [[ -x $out/$name && $(cat "$out/$name.stamp" 2>/dev/null) == "$stamp" ]]; then
		return
	fi
	say "compiling $name; the first time takes minutes"
	# -buildvcs=false: the version comes from the module, not from this repository.
	(cd "$mods/$dir" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath \
		-ldflags "$ldflags" -o "$out/$name.partial" "$package")
	mv "$out/$name.partial" "$out/$name"
	echo "$stamp" >"$out/$name.stamp"
	say "$name took $((SECONDS - started)) s"
}

# kubernetes_ldflags stamps the version, which a module build leaves at v0.0.0.
kubernetes_ldflags() {
	local v=$1 major minor package
	IFS=. read -r major minor _ <<<"${v#v}"
	for package in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
		printf -- '-X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s ' \
			"$package" "$v" "$package" "$major" "$package" "$minor"
	done
}

[[ $# -gt 0 ]] || set -- kube-apiserver etcd
for name in "$@"; do
	case $name in
	etcd) compile etcd etcd go.etcd.io/etcd/server/v3 "" ;;
	kube-apiserver | kubectl)
		compile "$name" kubernetes "k8s.io/kubernetes/cmd/$name" \
			"$(kubernetes_ldflags "$(module_version kubernetes k8s.io/kubernetes)")"
		;;
	*)
		say "no such binary: $name (kube-apiserver, etcd, kubectl)"
		exit 2
		;;
	esac
done
echo "$out"
