#!/usr/bin/env bash
# Ends the cluster that up.sh brought up, and leaves nothing of it behind. Where
# there is none, there is nothing to do.
#
#   VESTIBULE_CLUSTER_STATE   as for up.sh
set -euo pipefail
# shellcheck source=hack/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Only up.sh writes this file: no other directory is ever removed.
[[ -e $state/cgroups ]] || exit 0

# The kernel ends every process of the node with its first one, and its mounts
# and its network with the last.
if pid=$(node); then
	kill -KILL "$pid"
fi

# A cgroup can be removed when its last process is gone.
while read -r cgroup; do
	for ((tries = 0; tries < 200; tries++)); do
		[[ -d $cgroup ]] || break
		find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
	done
	[[ ! -d $cgroup ]] || die "processes of the cluster do not end: $(find "$cgroup" -name cgroup.procs -exec cat {} + | tr '\n' ' ')"
done <"$state/cgroups"
rm -rf "$state"
