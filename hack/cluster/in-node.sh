#!/usr/bin/env bash
# Runs a command inside the node, where pods and Services have their addresses,
# and kubectl and ctr know the cluster.
#
#   in-node.sh COMMAND...
#
#   VESTIBULE_CLUSTER_STATE   as for up.sh
set -euo pipefail
# shellcheck source=hack/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -gt 0 ]] || die "usage: in-node.sh COMMAND..."
in_node "$@"
