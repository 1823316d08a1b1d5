#!/usr/bin/env bash
# Builds the programs of a Kubernetes cluster from Go modules, for machines that
# can download neither release binaries nor images. A binary that an earlier run
# made from the same inputs is kept, so a second run takes seconds.
#
#   build.sh [PROGRAM | cluster]...   (default: kube-apiserver etcd)
#
# cluster stands for all that up.sh needs. The directory with the binaries is the
# only line on standard output.
#
#   VESTIBULE_CACHE   where binaries are kept between runs
#                     (default: ${XDG_CACHE_HOME:-$HOME/.cache}/vestibule)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mods=$here/mods
out=${VESTIBULE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vestibule}/bin
mkdir -p "$out/cni"
out=$(cd "$out" && pwd)

control_plane=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)
node=(kubelet kube-proxy containerd containerd-shim-runc-v2 ctr runc cni/ptp cni/host-local cni/loopback coredns)
own=(certs forward pack pause)

say() { printf 'build.sh: %s\n' "$*" >&2; }

# module_version DIRECTORY MODULE prints the version that the directory's go.mod pins.
module_version() { (cd "$mods/$1" && go list -mod=readonly -m -f '{{.Version}}' "$2"); }

# compile NAME DIRECTORY PACKAGE LDFLAGS [TAGS] builds one static binary, unless
# its stamp says that the same inputs already made it. With cgo=1 it links C code.
# What the caller's environment says of cgo does not count.
compile() {
	local name=$1 dir=$2 package=$3 ldflags="-s -w $4" tags=${5:-} stamp started=$SECONDS
	stamp=$({
		go env GOVERSION GOOS GOARCH
		echo "$package $ldflags${tags:+ $tags}"
		cat "$mods/$dir"/*
	} | sha256sum | cut -d' ' -f1)
	if [[ -x $out/$name && $(cat "$out/$name.stamp" 2>/dev/null) == "$stamp" ]]; then
		return
	fi
	say "compiling $name; the first time takes minutes"
	# -buildvcs=false: the version comes from the module, not from this repository.
	(cd "$mods/$dir" && CGO_ENABLED=${cgo:-0} go build -mod=readonly -buildvcs=false -trimpath \
		-tags "$tags" -ldflags "$ldflags" -o "$out/$name.partial" "$package")
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

# build_runc differs from the others: the part of runc that enters namespaces is
# C, and its seccomp filters, without which no pod can be restricted, are a C library's.
build_runc() {
	"$here/../deps.sh" gcc libseccomp >&2
	cgo=1 compile runc runc github.com/opencontainers/runc '-extldflags "-static"' \
		"seccomp netgo osusergo urfave_cli_no_docs"
}

build() {
	local name=$1 containerd=github.com/containerd/containerd/v2 cni=github.com/containernetworking/plugins/plugins
	case $name in
	etcd) compile etcd etcd go.etcd.io/etcd/server/v3 "" ;;
	kube-apiserver | kube-controller-manager | kube-scheduler | kubectl | kubelet | kube-proxy)
		compile "$name" kubernetes "k8s.io/kubernetes/cmd/$name" \
			"$(kubernetes_ldflags "$(module_version kubernetes k8s.io/kubernetes)")"
		;;
	containerd | containerd-shim-runc-v2 | ctr)
		compile "$name" containerd "$containerd/cmd/$name" \
			"-X $containerd/version.Version=$(module_version containerd $containerd)" \
			"no_btrfs no_zfs no_devmapper urfave_cli_no_docs"
		;;
	runc) build_runc ;;
	cni/host-local) compile "$name" cni "$cni/ipam/host-local" "" ;;
	cni/loopback | cni/ptp) compile "$name" cni "$cni/main/${name#cni/}" "" ;;
	coredns) compile coredns coredns . "" ;;
	# Ours need no stamp: Go knows when their sources changed.
	certs | forward | pack | pause)
		(cd "$here" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags '-s -w' \
			-o "$out/cluster-$name" "./cmd/$name")
		;;
	*)
		say "no such program: $name (cluster, or of ${control_plane[*]} ${node[*]} ${own[*]})"
		exit 2
		;;
	esac
}

[[ $# -gt 0 ]] || set -- kube-apiserver etcd
for wanted in "$@"; do
	programs=("$wanted")
	[[ $wanted != cluster ]] || programs=("${control_plane[@]}" "${node[@]}" "${own[@]}")
	for name in "${programs[@]}"; do
		build "$name"
	done
done
echo "$out"
