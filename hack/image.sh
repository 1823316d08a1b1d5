#!/usr/bin/env bash
# Builds what the image of a command holds, as the Dockerfile does, and prints it as
# hack/cluster/load-image.sh takes it: the static binary, then SRC:/DEST of the rest.
#
#   image.sh COMMAND DIRECTORY   (controller, gateway, devidp or weather)
#
#   mapfile -t content < <(hack/image.sh gateway bin)
#   hack/cluster/load-image.sh "${content[0]}" localhost/vestibule/gateway:dev "${content[@]:1}"
set -euo pipefail

[[ $# -eq 2 ]] || {
	echo "usage: image.sh COMMAND DIRECTORY" >&2
	exit 2
}
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$out/$1" "./cmd/$1"
echo "$out/$1"

# What this machine trusts, if it says so where Debian does. Without it an image
# trusts the identity providers whose caBundleRef is set, and no others.
roots=/etc/ssl/certs/ca-certificates.crt
[[ ! -e $roots ]] || echo "$roots:$roots"
