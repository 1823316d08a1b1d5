#!/usr/bin/env bash
# Makes sure that commands are there: on Debian as root it installs their
# packages, elsewhere it fails and names them.
#
#   deps.sh gcc | git | ip | libseccomp | make | mount | nft | nginx | node | npm | shellcheck | unshare...
set -euo pipefail

# present NAME says whether there is such a command. libseccomp is a library, to
# be linked statically.
present() {
	case $1 in
	libseccomp) [[ $(gcc -print-file-name=libseccomp.a 2>/dev/null) == /* ]] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

packages=()
for name in "$@"; do
	present "$name" && continue
	case $name in
	# Race detection links against the C library.
	gcc) packages+=(gcc libc6-dev) ;;
	ip) packages+=(iproute2) ;;
	libseccomp) packages+=(libseccomp-dev) ;;
	nft) packages+=(nftables) ;;
	node) packages+=(nodejs) ;;
	unshare) packages+=(util-linux) ;;
	git | make | mount | nginx | npm | shellcheck) packages+=("$name") ;;
	*)
		echo "deps.sh: no package is known for $name" >&2
		exit 2
		;;
	esac
done
[[ ${#packages[@]} -gt 0 ]] || exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
	# A package with a daemon does not start it.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
	exit 0
fi
echo "deps.sh: missing here; on Debian or Ubuntu: sudo apt-get install ${packages[*]}" >&2
exit 1
