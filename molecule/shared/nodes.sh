#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# nodes.sh up RUN NODE=IMAGE...   start a cluster of containers that boot as machines do, on a network of their own
# nodes.sh down RUN               remove all of it; no error if there is nothing
#
# RUN distinguishes the clusters on one machine: the containers are called rcron-RUN-NODE, the network rcron-RUN.
# A node keeps its address over a restart, as a machine does: the first is .11, the second .12, and so on. Each knows the
# others' names, and has the tests' own tools (files/) and an ordinary user, alice.
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
in_node=$here/in-node.sh
known=/run/rcron-nodes # CONTAINER.id and CONTAINER.pid, for in-node.sh

usage() {
    sed -n '5,9s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

# Prints the options for `podman run` that only some machines need, one a line.
runtime_options() {
    # crun refuses cgroups version 1 beside version 2 ("cgroups in hybrid mode not supported"); runc does not.
    if [[ $(podman info --format '{{.Host.CgroupsVersion}}') == v1 ]] && command -v runc >/dev/null; then
        printf '%s\n' --runtime runc
    fi
    # podman asks for 1048576 of each and may not raise a hard limit that it was started under ("setrlimit
    # RLIMIT_NOFILE: Operation not permitted"). It lowers its own before it starts a container, so that even
    # the limit of this shell can be too much; these nodes need less than any machine allows.
    local limit hard enough=10000
    for limit in nofile:n nproc:u; do
        hard=$(ulimit "-H${limit#*:}")
        if [[ $hard != unlimited && $hard -lt 1048576 ]]; then
            hard=$((hard < enough ? hard : enough))
            printf '%s\n' --ulimit "${limit%:*}=$hard:$hard"
        fi
    done
}

# Succeeds if the containers' processes are this machine's, and this user may join them.
within_reach() {
    [[ $(id -u) == 0 && $(podman info --format '{{.Host.ServiceIsRemote}}') == false ]]
}

# A node keeps its hardware address too: podman would give it another at each start, and for a while its peers would send its
# packets, VRRP's adverts among them, to the old one.
mac() {
    local sum
    sum=$(sha1sum <<<"$1")
    printf '02:%s:%s:%s:%s:%02x\n' "${sum:0:2}" "${sum:2:2}" "${sum:4:2}" "${sum:6:2}" "$2"
}

down() {
    local run=$1 containers
    mapfile -t containers < <(podman ps --all --quiet --filter "label=rcron.run=$run")
    if [[ ${#containers[@]} -gt 0 ]]; then
        podman rm --force --time 0 "${containers[@]}" >/dev/null
    fi
    if podman network exists "rcron-$run"; then
        podman network rm --force "rcron-$run" >/dev/null
    fi
    rm -f "$known/rcron-$run"-*
}

up() {
    local run=$1 node container options reach='' id subnet address=11 hosts=()
    shift
    down "$run"

    # podman picks a subnet that no other network of this machine has. The nodes talk to one another only.
    podman network create --internal --disable-dns --label "rcron.run=$run" "rcron-$run" >/dev/null
    subnet=$(podman network inspect --format '{{(index .Subnets 0).Subnet}}' "rcron-$run")

    mapfile -t options < <(runtime_options)
    if within_reach; then
        reach=yes
        mkdir -p "$known"
    fi
    # podman writes /etc/hosts anew at each start: what somebody has added there since is gone then.
    for node in "$@"; do
        hosts+=(--add-host "${node%%=*}:${subnet%.*}.$((address + ${#hosts[@]} / 2))")
    done
    for node in "$@"; do
        container=rcron-$run-${node%%=*}
        # Corosync and Pacemaker speak to one another through /dev/shm, and leave that behind when they are killed.
        # VRRP needs raw sockets, and the virtual address a change of the interface. systemd in a --privileged
        # container would remount the host's cgroups read-only. A machine has room for more than podman's 2048 processes,
        # and its systemd for more than 10 datagrams in a socket's queue (journald drops what rsyslog's has no room for).
        id=$(podman run --detach --name "$container" --hostname "${node%%=*}" --label "rcron.run=$run" \
            ${reach:+--pidfile "$known/$container.pid"} \
            "${options[@]}" --systemd always --shm-size 512m --pids-limit -1 \
            --sysctl net.unix.max_dgram_qlen=512 --cap-add NET_ADMIN,NET_RAW,NET_BROADCAST \
            --network "rcron-$run" "${hosts[@]}" --ip "${subnet%.*}.$address" --mac-address "$(mac "$run" "$address")" \
            "${node#*=}" /sbin/init)
        [[ -z $reach ]] || echo "$id" >"$known/$container.id"
        address=$((address + 1))
    done
    for node in "$@"; do
        container=rcron-$run-${node%%=*}
        wait_until_booted "$container"
        equip "$container"
    done
}

wait_until_booted() {
    local container=$1 state
    for _ in {1..300}; do
        state=$("$in_node" "$container" systemctl is-system-running 2>/dev/null || true)
        case $state in
        running) return ;;
        degraded)
            # Heartbeat's package enables a unit that cannot start before somebody configures it, here as elsewhere.
            if [[ $("$in_node" "$container" systemctl --failed --plain --no-legend) == heartbeat.service\ * ]]; then
                "$in_node" "$container" systemctl reset-failed heartbeat
                continue
            fi
            echo "$container: systemd says degraded; these units failed:" >&2
            "$in_node" "$container" systemctl --failed --no-legend >&2
            return 1
            ;;
        esac
        sleep 0.2
    done
    echo "$container: systemd did not reach 'running' in 60 s (now '$state'); see: podman logs $container" >&2
    return 1
}

# Installs what the tests need: their tools, a folder that all jobs may write into, an ordinary user, and the service that logs
# each change of the state. And a drop-in for keepalived: in a container under cgroups version 1, systemd does not notice the
# end of a service's last process, and waits for this time (90 s by default) after keepalived was killed. A machine under
# version 2 does not need it.
equip() {
    # shellcheck disable=SC2016 # the variables are those of the node's shell
    tar --create --directory "$here/files" . | "$in_node" "$1" sh -c '
        set -eu
        cd "$(mktemp -d)"
        tar --extract --no-same-owner
        install record /usr/local/bin/record
        install list-files /usr/local/sbin/list-files
        install state-watch.py /usr/local/sbin/state-watch
        install --mode=644 state-watch.service /etc/systemd/system
        rm -r "$PWD"
        mkdir -p /etc/systemd/system/keepalived.service.d
        printf "[Service]\nTimeoutStopSec=3\n" >/etc/systemd/system/keepalived.service.d/test-node.conf
        mkdir --mode=1777 /var/log/jobs
        useradd --create-home --shell /bin/sh alice
        systemctl daemon-reload
        systemctl enable --now --quiet state-watch'
}

[[ $# -ge 2 ]] || usage
command=$1
shift
case $command in
up) up "$@" ;;
down) down "$@" ;;
*) usage ;;
esac
