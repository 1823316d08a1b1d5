#!/usr/bin/env bash
# The first process of the node, which up.sh starts in a network, a process tree
# and a view of the mounts of its own. When it ends, the node is gone.
#
#   init.sh STATE BIN
#
# Inside, /run/node holds what the node is given (bin, etc, pki, logs, var), and
# /var is the cluster's, so that components find their usual paths.
set -euo pipefail
state=$1 bin=$2

say() { printf '%(%T)T %s\n' -1 "$*"; }

# The cgroups are joined first: the root of a cgroup namespace is where its first
# process is.
if [[ ${3:-} != joined ]]; then
	while read -r cgroup; do
		echo 0 >"$cgroup/cgroup.procs"
	done <"$state/cgroups"
	exec unshare --cgroup "$0" "$state" "$bin" joined
fi

# mount_cgroups mounts every hierarchy again, seen from the namespace: its root is
# the cluster's own cgroup. All of them, since containerd looks up the cgroup of a
# container in each, and else misses that one ran out of memory.
mount_cgroups() {
	local controllers options
	umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	while IFS=: read -r _ controllers _; do
		[[ -n $controllers ]] || continue
		options=$controllers
		[[ $controllers != name=* ]] || options=none,$controllers
		mkdir "/sys/fs/cgroup/${controllers#name=}"
		mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/${controllers#name=}"
	done <<<"$(</proc/self/cgroup)"
}

# mount_files puts /run together before it moves it into place: the directories
# may be below what it hides.
mount_files() {
	local run=$state/run
	mkdir -p "$run" "$state"/var/{lib,log,tmp}
	ln -s /run "$state/var/run"
	mount -t tmpfs -o mode=755 tmpfs "$run"
	mkdir -p "$run"/node/{bin,etc,pki,logs,var,pids,stopped,sysctl}
	mount --bind "$bin" "$run/node/bin"
	mount --bind "$(dirname "$0")" "$run/node/etc"
	mount --bind "$state/pki" "$run/node/pki"
	mount --bind "$state/logs" "$run/node/logs"
	mount --bind "$state/var" "$run/node/var"
	mount --no-mtab --move "$run" /run
	mount --bind /run/node/var /var
}

# guard_sysctls keeps the kubelet from changing the whole machine: these settings
# belong to no namespace, so it gets files that already say what it wants.
guard_sysctls() {
	local setting name file
	for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
		kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
		name=${setting%=*}
		[[ -e /proc/sys/$name ]] || continue
		file=/run/node/sysctl/${name//\//.}
		echo "${setting#*=}" >"$file"
		mount --bind "$file" "/proc/sys/$name"
	done
}

# make_network gives the node an address, on a pair of interfaces both of which
# are in here: there is no link to the outside.
make_network() {
	ip link set lo up
	ip link add node0 type veth peer name node1
	ip link set node1 up
	ip link set node0 up
	ip address add 10.89.0.1/24 dev node0
	# kube-proxy redirects what goes to a Service, but the kernel asks for a route first.
	ip route add 10.96.0.0/16 dev node0 src 10.89.0.1
	# An answer at once, where otherwise connections would time out.
	ip route add unreachable default
	echo 1 >/proc/sys/net/ipv4/ip_forward
}

# keep COMPONENT COMMAND... runs a component, and again when it ends, unless
# component.sh stopped it.
keep() {
	local name=$1 code
	shift
	while :; do
		"$@" >>"/run/node/logs/$name.log" 2>&1 &
		echo $! >"/run/node/pids/$name"
		code=0
		wait $! || code=$?
		say "$name ended with $code"
		sleep 1
		while [[ -e /run/node/stopped/$name ]]; do sleep 0.2; done
	done
}

mount_cgroups
mount_files
guard_sysctls
# The kubelet passes mounts on to containers.
mount --make-rshared /
make_network
: >/run/node/resolv.conf
export PATH=/run/node/bin:$PATH HOME=/run/node
cd /run/node
: >/var/network # up.sh waits for it

keep etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn &
keep containerd containerd --config etc/containerd.toml &
keep kube-apiserver kube-apiserver \
	--etcd-servers http://127.0.0.1:2379 \
	--advertise-address 10.89.0.1 \
	--service-cluster-ip-range 10.96.0.0/16 \
	--client-ca-file pki/ca.crt --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key \
	--kubelet-certificate-authority pki/ca.crt --kubelet-preferred-address-types InternalIP \
	--kubelet-client-certificate pki/admin.crt --kubelet-client-key pki/admin.key \
	--service-account-issuer https://kubernetes.default.svc.cluster.local \
	--service-account-key-file pki/service-accounts.key --service-account-signing-key-file pki/service-accounts.key \
	--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
	--allow-privileged &

# The others give up early without these two.
export KUBECONFIG=/run/node/pki/inside.kubeconfig
until kubectl get --raw /readyz && ctr version; do sleep 0.2; done >/dev/null 2>&1
unset KUBECONFIG

# Its rate limits would spread the making of its tokens over 5 s. And after an
# outage of the API server it would take the one node, not heard of, for lost.
keep kube-controller-manager kube-controller-manager --kubeconfig pki/kube-controller-manager.kubeconfig \
	--leader-elect=false --use-service-account-credentials --root-ca-file pki/ca.crt \
	--service-account-private-key-file pki/service-accounts.key \
	--flex-volume-plugin-dir /var/lib/kubelet/volume-plugins \
	--kube-api-qps 200 --kube-api-burst 400 --node-monitor-grace-period 10m &
keep kube-scheduler kube-scheduler --kubeconfig pki/kube-scheduler.kubeconfig --leader-elect=false &
keep kubelet kubelet --config etc/kubelet.yaml --kubeconfig pki/kubelet.kubeconfig \
	--hostname-override node --node-ip 10.89.0.1 &
keep kube-proxy kube-proxy --config etc/kube-proxy.yaml --hostname-override node &
wait
