#!/usr/bin/env bash
# Writes everything that is generated: from api/ deep copies and the CRD, from
# controllers/ the controller's role, and what of config/ the chart has a copy of.
#
#   generate.sh DIRECTORY   the root to write below; "." is this repository
set -euo pipefail

mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$out/api/v1alpha1" "$out/config/crd/bases" "$out/config/rbac"
go tool -modfile=hack/tools/go.mod controller-gen \
	object:headerFile=hack/boilerplate.go.txt crd \
	paths=./api/... \
	output:object:dir="$out/api/v1alpha1" \
	output:crd:dir="$out/config/crd/bases"
go tool -modfile=hack/tools/go.mod controller-gen \
	rbac:roleName=controller \
	paths=./controllers/... \
	output:rbac:dir="$out/config/rbac"

# A chart has no files outside of its directory.
files=$out/config/chart/files
mkdir -p "$files"
cp "$out/config/crd/bases/mcp.vestibule.dev_mcpservers.yaml" "$files/crd.yaml"
cp "$out/config/rbac/role.yaml" "$files/role.yaml"

# documents FILE... are the files, one after another.
documents() {
	for file; do
		echo ---
		cat "$file"
	done
}
documents config/policy/gateway_writes.yaml config/policy/gateway_writes_binding.yaml >"$files/policy.yaml"
documents config/rbac/people/*_role.yaml >"$files/people.yaml"
