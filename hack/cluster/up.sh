#!/usr/bin/env bash
# Brings a one-node Kubernetes cluster up, without Docker and without downloading
# an image, and waits until its node is ready and names resolve. When it is up
# already, there is nothing to do. What is not built yet is built first; that
# takes minutes, once.
#
# The path of the cluster's kubeconfig is the only line on standard output.
#
#   VESTIBULE_CLUSTER_STATE      directory of all that the cluster writes
#                                (default: cluster, beside the binaries that build.sh keeps)
#   VESTIBULE_CLUSTER_API_PORT   port of the API server on 127.0.0.1 (default: 17443)
#   VESTIBULE_CLUSTER_FORWARD    more ports on 127.0.0.1, each with the NodePort that
#                                it leads to: "8443=30443 8080=30080" (default: none)
#
# It needs root on Linux, with cgroup v1. See README.md.
set -euo pipefail
# shellcheck source=hack/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# requirements says what this machine lacks.
requirements() {
	local controller
	[[ $(uname -s) == Linux ]] || die "a node needs Linux; elsewhere use kind, which needs Docker"
	[[ $(id -u) -eq 0 ]] || die "a node needs root; without it use kind, which needs Docker"
	[[ $(stat -fc %T /sys/fs/cgroup) == tmpfs ]] ||
		die "this machine has cgroup v2, and the node knows v1 alone; use kind here, which needs Docker"
	for controller in cpu cpuacct cpuset devices memory pids; do
		grep -q "[:,]${controller}[:,]" /proc/self/cgroup ||
			die "this machine has no cgroup v1 controller $controller; use kind here, which needs Docker"
	done
	"$here/../deps.sh" ip mount nft unshare >&2
}

# make_cgroups makes a cgroup of the cluster's own in every hierarchy, below that
# of whoever runs this, so that their limits hold, and notes it for down.sh.
make_cgroups() {
	local controllers path parent mine
	while IFS=: read -r _ controllers path; do
		parent=/sys/fs/cgroup/${controllers#name=}
		# The unified hierarchy of a machine with v1 has no name and no controllers.
		[[ -n $controllers ]] || continue
		mountpoint -q "$parent" || continue
		parent=${parent}${path%/}
		mine=$parent/vestibule-$$
		echo "$mine" >>"$state/cgroups"
		mkdir "$mine"
		# A new cpuset allows no CPU: nothing could run in it.
		if [[ -e $mine/cpuset.cpus ]]; then
			cat "$parent/cpuset.cpus" >"$mine/cpuset.cpus"
			cat "$parent/cpuset.mems" >"$mine/cpuset.mems"
		fi
	done <<<"$(</proc/self/cgroup)"
}

# wait_for SECONDS WHAT COMMAND... waits until a command succeeds.
wait_for() {
	local limit=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		node >/dev/null || die "the node ended before there was $what"
		((SECONDS < limit)) || die "there is no $what: $("$@" 2>&1 || true)"
		sleep 0.2
	done
	say "$what: there after $SECONDS s"
}

kubectl() { "$bin/kubectl" --kubeconfig "$kubeconfig" --request-timeout 10s "$@"; }

settings="api=$api_port forward=$forwards"
if node >/dev/null; then
	[[ $(cat "$state/settings") == "$settings" ]] ||
		die "a cluster is up in $state with other ports ($(cat "$state/settings")); down.sh ends it"
	kubectl get --raw /readyz >/dev/null || die "the cluster in $state does not answer; down.sh ends it"
	echo "$kubeconfig"
	exit
fi

requirements
"$here/build.sh" cluster >/dev/null
"$here/down.sh"
[[ -z $(ls -A "$state" 2>/dev/null) ]] || die "$state is in use, but not by a cluster"

# Half a cluster is none: it goes, whatever ended this script.
finish() {
	tail -n 15 "$state"/logs/*.log >&2 || true
	"$here/down.sh"
}
mkdir -p "$state"
chmod 700 "$state"
: >"$state/cgroups"
trap finish EXIT
mkdir "$state/logs"
echo "$settings" >"$state/settings"
make_cgroups
"$bin/cluster-certs" -node node -ip 10.89.0.1,10.96.0.1 -port "$api_port" "$state/pki"

# Whoever kills the process that is started here ends the whole node: its first
# process dies with it, and the rest with that one.
env -i PATH="$PATH" setsid unshare --mount --propagation private --net --pid --mount-proc --fork --kill-child \
	"$here/node/init.sh" "$state" "$bin" </dev/null >"$state/logs/node.log" 2>&1 &
echo "$! $(birth $!)" >"$state/node"
disown
wait_for 10 "network of the node" test -e "$state/var/network"

ports=("$api_port=127.0.0.1:6443")
for forward in $forwards; do
	ports+=("${forward%%=*}=10.89.0.1:${forward#*=}")
done
(
	# Where down.sh waits for the last process.
	while read -r cgroup; do
		echo "$BASHPID" >"$cgroup/cgroup.procs"
	done <"$state/cgroups"
	exec "$bin/cluster-forward" "$(node)" "${ports[@]}" </dev/null >"$state/logs/forward.log" 2>&1
)
wait_for 120 "API server" kubectl get --raw /readyz
wait_for 60 "container runtime" in_node ctr version
"$here/load-image.sh" "$bin/cluster-pause" localhost/pause:built
"$here/load-image.sh" "$bin/coredns" localhost/coredns:built
wait_for 120 "ready node" kubectl wait --for=condition=Ready node/node --timeout=5s
kubectl apply -f "$here/node/dns.yaml" >/dev/null
wait_for 120 "DNS" kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=5s
trap - EXIT
echo "$kubeconfig"
