#!/usr/bin/env bash
# Runs each fuzz target of the module for a while (FUZZTIME, 10s): whatever reads
# what strangers send has one. Their seeds run with all other tests. An input that
# fails is written to the package's testdata/fuzz, to be kept once it is mended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0
mapfile -t packages < <(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u)
for package in "${packages[@]}"; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "$package" | tee "$output" && continue
		# When its time is up, go test sometimes fails for no other reason than that.
		grep -q '^    context deadline exceeded$' "$output" || failed=1
	done
done
exit "$failed"
