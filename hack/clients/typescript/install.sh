#!/usr/bin/env bash
# Installs what package-lock.json pins. Does nothing when it is there already.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
# The lock file names no registry: the one that npm is configured for serves it.
stamp=node_modules/.installed
want=$(cat package.json package-lock.json | cksum)
if [[ $(cat "$stamp" 2>/dev/null) == "$want" ]]; then
	exit 0
fi
../../deps.sh node npm
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
echo "$want" >"$stamp"
