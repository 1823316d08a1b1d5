#!/usr/bin/env bash
# Installs what the package-lock.json of each directory pins, and runs none of
# its scripts. Does nothing for what is there already. Safe to run from several
# test packages at the same time.
#
#   npm.sh DIR...
set -euo pipefail

# The lock files name no registry: the one that npm is configured for serves them.
hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for dir in "$@"; do (
	cd "$dir"
	# Without flock(1), as on macOS, callers are on their own.
	if command -v flock >/dev/null; then
		exec 9<package-lock.json
		flock 9
	fi
	stamp=node_modules/.installed
	want=$(cat package.json package-lock.json | cksum)
	[[ $(cat "$stamp" 2>/dev/null) != "$want" ]] || exit 0
	"$hack/deps.sh" node npm
	npm ci --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error
	echo "$want" >"$stamp"
); done
