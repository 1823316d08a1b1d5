#!/usr/bin/env bash
# Fails, and shows the difference, when generated files are not what
# generate.sh writes from this tree. Changes nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
hack/generate.sh "$fresh"

failed=
differ() {
	echo "verify-generated.sh: $1; run make generate" >&2
	failed=1
}

while read -r file; do
	diff -u "$file" "$fresh/$file" || differ "$file is not up to date"
done < <(cd "$fresh" && find . -type f)
for file in config/crd/bases/* config/chart/files/*; do
	[[ -e $fresh/$file ]] || differ "$file is no longer generated"
done
[[ -z $failed ]]
