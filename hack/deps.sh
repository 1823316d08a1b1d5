#!/usr/bin/env bash
# Makes sure that commands are there: on Debian as root it installs their
# packages, elsewhere it fails and names them.
#
#   deps.sh gcc | git | make | node | npm | shellcheck...
set -euo pipefail

packages=()
for command in "$@"; do
	command -v "$command" >/dev/null && continue
	case $command in
	# Race detection links against the C library.
	gcc) packages+=(gcc libc6-dev) ;;
	node) packages+=(nodejs) ;;
	git | make | npm | shellcheck) packages+=("$command") ;;
	*)
		echo "deps.sh: no package is known for $command" >&2
		exit 2
		;;
	esac
done
[[ ${#packages[@]} -gt 0 ]] || exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
	exit 0
fi
echo "deps.sh: missing here; on Debian or Ubuntu: sudo apt-get install ${packages[*]}" >&2
exit 1
