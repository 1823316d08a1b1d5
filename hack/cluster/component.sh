#!/usr/bin/env bash
# Takes a part of the cluster away, as a crash would, and gives it back.
#
#   component.sh stop | start | restart COMPONENT
#
# The component is kube-apiserver, kubelet, etcd or another that has a log in the
# state directory. It is not waited for.
#
#   VESTIBULE_CLUSTER_STATE   as for up.sh
set -euo pipefail
# shellcheck source=hack/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# -eq 2 ]] || die "usage: component.sh stop | start | restart COMPONENT"
in_node test -e "/run/node/pids/$2" || die "the cluster has no component $2"

# shellcheck disable=SC2016 # for the shell in the node to expand
case $1 in
stop) in_node sh -c 'touch "/run/node/stopped/$1" && kill -KILL "$(cat "/run/node/pids/$1")"' sh "$2" ;;
restart) in_node sh -c 'kill -KILL "$(cat "/run/node/pids/$1")"' sh "$2" ;;
start) in_node rm -f "/run/node/stopped/$2" ;;
*) die "usage: component.sh stop | start | restart COMPONENT" ;;
esac
