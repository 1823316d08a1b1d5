#!/usr/bin/env bash
# Prints the path of a Node.js that runs the MCP Inspector and the conformance
# suite: the machine's own if it is new enough, else the one that hack/node pins.
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
new='const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 22 || (major === 22 && minor >= 19) ? 0 : 1)'

if command -v node >/dev/null && node -e "$new"; then
	command -v node
	exit
fi
"$hack/npm.sh" "$hack/node" >&2
for node in "$hack"/node/node_modules/node-linux-*/bin/node; do
	if [[ -x $node ]]; then
		echo "$node"
		exit
	fi
done
echo "node.sh: install Node.js 22.19 or newer: there is no package of it for this machine" >&2
exit 1
