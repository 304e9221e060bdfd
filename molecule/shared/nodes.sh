#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# nodes.sh up RUN NODE=IMAGE...   start a cluster of containers that boot as machines do, on a network of their own
# nodes.sh down RUN               remove all of it; no error where there is nothing
#
# RUN tells clusters on one machine apart: the containers are called rcron-RUN-NODE, the network rcron-RUN.
# A node keeps its address over a restart, as a machine does: the first is .11, the second .12, and so on.
set -euo pipefail

usage() {
    sed -n '5,9s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

# Prints, one a line, the options for `podman run` that this machine needs and others do not.
runtime_options() {
    # crun refuses cgroups version 1 beside version 2 ("cgroups in hybrid mode not supported"); runc does not.
    if [[ $(podman info --format '{{.Host.CgroupsVersion}}') == v1 ]] && command -v runc >/dev/null; then
        printf '%s\n' --runtime runc
    fi
    # podman asks for 1048576 of each and may not raise a hard limit that it was started under ("setrlimit
    # RLIMIT_NOFILE: Operation not permitted"). It lowers its own before it starts a container, so that even
    # the limit of this shell can be too much; these nodes do with less than any machine allows.
    local limit hard enough=10000
    for limit in nofile:n nproc:u; do
        hard=$(ulimit "-H${limit#*:}")
        if [[ $hard != unlimited && $hard -lt 1048576 ]]; then
            hard=$((hard < enough ? hard : enough))
            printf '%s\n' --ulimit "${limit%:*}=$hard:$hard"
        fi
    done
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
}

up() {
    local run=$1 node image options subnet address=11
    shift
    down "$run"

    # podman picks a subnet that no other network of this machine has. The nodes talk to one another only.
    podman network create --internal --disable-dns --label "rcron.run=$run" "rcron-$run" >/dev/null
    subnet=$(podman network inspect --format '{{(index .Subnets 0).Subnet}}' "rcron-$run")

    mapfile -t options < <(runtime_options)
    for node in "$@"; do
        image=${node#*=}
        node=${node%%=*}
        # VRRP needs raw sockets, and the virtual address a change of the interface. systemd in a --privileged
        # container would remount the host's cgroups read-only.
        podman run --detach --name "rcron-$run-$node" --hostname "$node" --label "rcron.run=$run" \
            "${options[@]}" --systemd always --cap-add NET_ADMIN,NET_RAW,NET_BROADCAST \
            --network "rcron-$run" --ip "${subnet%.*}.$address" "$image" /sbin/init >/dev/null
        address=$((address + 1))
    done
    for node in "$@"; do
        wait_until_booted "rcron-$run-${node%%=*}"
    done
}

wait_until_booted() {
    local container=$1 state
    for _ in {1..300}; do
        state=$(podman exec "$container" systemctl is-system-running 2>/dev/null || true)
        case $state in
        running) return ;;
        degraded)
            echo "$container: systemd says degraded; these units failed:" >&2
            podman exec "$container" systemctl --failed --no-legend >&2
            return 1
            ;;
        esac
        sleep 0.2
    done
    echo "$container: systemd did not reach 'running' in 60 s (now '$state'); see: podman logs $container" >&2
    return 1
}

[[ $# -ge 2 ]] || usage
command=$1
shift
case $command in
up) up "$@" ;;
down) down "$@" ;;
*) usage ;;
esac
