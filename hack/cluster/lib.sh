# shellcheck shell=bash disable=SC2034
# What the scripts of the cluster share. It is sourced, not run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${VESTIBULE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vestibule}
bin=$cache/bin
state=${VESTIBULE_CLUSTER_STATE:-$cache/cluster}
api_port=${VESTIBULE_CLUSTER_API_PORT:-17443}
forwards=${VESTIBULE_CLUSTER_FORWARD:-}
kubeconfig=$state/pki/admin.kubeconfig

# kubectl's cache goes where the rest goes, not into someone's home.
export KUBECACHEDIR=$state/kubectl

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	say "$@"
	exit 1
}

# birth PID prints when a running process was started. Together the two name one
# process for good; a pid alone may have become another's.
birth() {
	local fields
	{ read -ra fields <"/proc/$1/stat"; } 2>/dev/null || return
	[[ ${fields[2]} != Z ]] && echo "${fields[21]}"
}

# node prints the pid that the node's namespaces hang on, and fails when there is
# no cluster.
node() {
	local pid born
	{ read -r pid born <"$state/node"; } 2>/dev/null || return
	[[ -n $born && $(birth "$pid") == "$born" ]] && echo "$pid"
}

# in_node COMMAND... runs a command with the node's network, mounts and processes.
in_node() {
	local pid
	pid=$(node) || die "no cluster is up in $state"
	nsenter --target "$pid" --net --mount --pid="/proc/$pid/ns/pid_for_children" -- \
		env HOME=/run/node PATH="/run/node/bin:$PATH" KUBECONFIG=/run/node/pki/inside.kubeconfig \
		CONTAINERD_NAMESPACE=k8s.io CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 "$@"
}
