#!/bin/sh
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# in-node.sh CONTAINER COMMAND [ARG...]
#
# Runs a command in a node as `podman exec --interactive` does, in a twentieth of its processor time, which matters
# because the tests do it often. Exits with the command's status, or with 125 if the node is down.
#
# The command gets the namespaces and the capabilities of the node's init, and podman's environment. It stays outside of
# the node's cgroup, seccomp filter and limits: it has the caller's, and runs even while the node is paused.
# nodes.sh records in /run/rcron-nodes which process of this machine is a node's init. If it cannot (podman without root, or
# on another machine), podman runs the command.
set -u

container=$1
node=/run/rcron-nodes/$container
shift
[ -e "$node.id" ] || exec podman exec --interactive "$container" "$@"

down() {
    echo "$container is down" >&2
    exit 125
}

# podman leaves the pid file of a container that has ended, and the pid may belong to another process by now. A process's
# folder in /proc never becomes another's, so once it is the working folder and found to be the node's, it stays the node's.
read -r id <"$node.id"
read -r pid <"$node.pid" || [ -n "${pid:-}" ] || down
cd "/proc/$pid" 2>/dev/null || down
while IFS=: read -r _ _ path; do
    case $path in
    */libpod-"$id"*) break ;;
    *) path= ;;
    esac
done 2>/dev/null <cgroup
if [ -z "${path:-}" ] || ! [ -e ns/pid ]; then down; fi

capabilities=-all
while read -r name mask; do
    [ "$name" != CapBnd: ] || break
done <status
number=0
mask=$((0x$mask))
while [ "$mask" != 0 ]; do
    [ $((mask & 1)) = 0 ] || capabilities=$capabilities,+cap_$number
    mask=$((mask >> 1)) number=$((number + 1))
done

umask 022
exec nsenter --mount=ns/mnt --uts=ns/uts --ipc=ns/ipc --net=ns/net --pid=ns/pid --cgroup=ns/cgroup -- \
    env --ignore-environment --default-signal HOSTNAME="${container##*-}" container=podman HOME=/root TERM=xterm \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --clear-groups --bounding-set "$capabilities" "$@"
