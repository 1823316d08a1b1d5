#!/usr/bin/env bash
# Makes an image of a static binary and puts it into the cluster, without a registry.
#
#   load-image.sh BINARY IMAGE:TAG [SRC:/DEST...]
#
# The binary is the image's entrypoint; files can be added. The image's name starts
# with a registry, such as localhost/, and its tag is not latest. An image loaded
# again under the same name is what the next pod runs.
#
#   VESTIBULE_CLUSTER_STATE   as for up.sh
set -euo pipefail
# shellcheck source=hack/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -ge 2 ]] || die "usage: load-image.sh BINARY IMAGE:TAG [SRC:/DEST...]"
node >/dev/null || die "no cluster is up in $state"

archive=$(mktemp "$state/image.XXXXXX")
trap 'rm -f "$archive"' EXIT
"$bin/cluster-pack" "$2" "$1" "${@:3}" >"$archive"
in_node ctr images import --local - <"$archive" >/dev/null
