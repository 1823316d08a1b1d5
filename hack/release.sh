#!/usr/bin/env bash
# Makes what a release has besides its images, in a directory that must not exist:
#
#   release.sh VERSION IMAGES DIRECTORY
#
#   release.sh v1.2.3 registry.example.com/vestibule dist/release
#
# The images are expected as IMAGES/controller:VERSION and IMAGES/gateway:VERSION.
set -euo pipefail

[[ $# -eq 3 && $1 =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || {
	echo "usage: release.sh vX.Y.Z IMAGES DIRECTORY" >&2
	exit 2
}
version=$1 images=$2
mkdir "$3"
out=$(cd "$3" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p dist
work=$(mktemp -d dist/release.XXXXXX) # kustomize takes no absolute paths
trap 'rm -rf "$work"' EXIT

say() { printf 'release.sh: %s\n' "$*" >&2; }

# install NAME BASE is what kubectl apply takes.
install() {
	mkdir "$work/$1"
	printf '%s\n' "resources: [../../../config/$2]" images: \
		"- {name: controller, newName: \"$images/controller\", newTag: \"$version\"}" \
		"- {name: gateway, newName: \"$images/gateway\", newTag: \"$version\"}" >"$work/$1/kustomization.yaml"
	"${KUBECTL:-kubectl}" kustomize "$work/$1" >"$out/$1.yaml"
}
say "the manifests"
install vestibule default
install vestibule-cluster cluster

say "the chart"
cp -R config/chart "$work/chart"
sed -i.bak "s|^  repository: \"\"|  repository: $images|" "$work/chart/values.yaml"
rm "$work/chart/values.yaml.bak"
go tool -modfile=hack/release/go.mod helm package "$work/chart" -d "$out" --version "${version#v}" --app-version "$version" >&2

for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
	say "kubectl-vestibule for $platform"
	name=kubectl-vestibule_${platform%/*}_${platform#*/}
	mkdir "$work/$name"
	CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath \
		-ldflags="-s -w -X vestibule.dev/vestibule/gateway/version.Version=$version" \
		-o "$work/$name/kubectl-vestibule" ./cmd/kubectl-vestibule
	tar -C "$work/$name" -czf "$out/$name.tar.gz" kubectl-vestibule
done

say "the checksums"
if command -v sha256sum >/dev/null; then
	sum=(sha256sum)
else
	sum=(shasum -a 256)
fi
sums=$(cd "$out" && "${sum[@]}" -- *)
echo "$sums" >"$out/SHA256SUMS"
