#!/usr/bin/env bash
# Provides kube-apiserver and etcd for tests. Release binaries are downloaded
# where that works; elsewhere they are built from Go modules, once. Safe to run
# from several test packages at the same time.
#
# The directory with the binaries is the only line on standard output.
#
#   VESTIBULE_CACHE   where binaries are kept between runs
#                     (default: ${XDG_CACHE_HOME:-$HOME/.cache}/vestibule)
set -euo pipefail

version=1.37.x
hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${VESTIBULE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vestibule}
no_download=$cache/envtest-no-download
mkdir -p "$cache"

say() { printf 'envtest.sh: %s\n' "$*" >&2; }

# bounded SECONDS COMMAND... ends the command when it takes too long. Where
# there is no timeout(1), the command's own timeouts have to do.
bounded() {
	if command -v timeout >/dev/null; then
		timeout "$@"
	else
		"${@:2}"
	fi
}

# download prints the directory of release binaries. A failure is remembered for
# a day: where releases cannot be reached, asking costs seconds on every run.
download() {
	local setup=$cache/bin/setup-envtest dir
	[[ -z $(find "$no_download" -mmin -1440 2>/dev/null) ]] || return 1
	# Compiled before it is timed: only the network is on the clock.
	if mkdir -p "$cache/bin" && (cd "$hack/tools" && go build -o "$setup" sigs.k8s.io/controller-runtime/tools/setup-envtest) &&
		bounded 20 "$setup" list "$version" >/dev/null 2>&1 &&
		dir=$(bounded 600 "$setup" use "$version" --bin-dir "$cache/envtest" -p path) &&
		[[ -x $dir/kube-apiserver && -x $dir/etcd ]]; then
		rm -f "$no_download"
		echo "$dir"
		return
	fi
	say "release binaries cannot be downloaded here; building from Go modules for the next day"
	touch "$no_download"
	return 1
}

# One at a time: the first caller may spend minutes building, the others wait
# for what it built. Without flock(1), as on macOS, callers are on their own.
if command -v flock >/dev/null; then
	exec 9>"$cache/envtest.lock"
	flock 9
fi
# 9>&-: a build daemon that outlives this script must not keep the lock.
download 9>&- || "$hack/cluster/build.sh" kube-apiserver etcd 9>&-
