#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# image.sh SUITE [PACKAGE...]
#
# Prints the name of a podman image that boots as a Debian machine of that suite (bookworm, trixie, bullseye)
# with cron, rsyslog and keepalived, plus the packages named (cronie or systemd-cron take the place of cron).
# Builds the image with mmdebstrap if it does not exist: its tag holds a checksum of its packages and of the
# recipe, so it is rebuilt only when these change.
#
# RCRON_IMAGE names an image to use instead. It must hold what `packages` below lists.
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "usage: ${0##*/} SUITE [PACKAGE...]" >&2
    exit 64
fi

if [[ -n "${RCRON_IMAGE:-}" ]]; then
    if ! podman image exists "$RCRON_IMAGE"; then
        echo "RCRON_IMAGE=$RCRON_IMAGE: podman has no such image; pull it, or unset RCRON_IMAGE to build one" >&2
        exit 1
    fi
    echo "$RCRON_IMAGE"
    exit
fi

suite=$1
shift

# Debian has several crons, and only one of them can be installed.
cron=cron
for package; do
    case $package in
    cronie | systemd-cron) cron=$package ;;
    esac
done

packages=(
    systemd systemd-sysv dbus    # PID 1, as on a host
    "$cron" rsyslog keepalived   # what rcron works with
    iproute2 procps              # for the administrator, and for the tests
    python3-minimal python3-apt  # what Ansible's modules need on a node
    "$@"
)

# One list, whatever the order in which a caller names packages.
list=$(printf '%s\n' "${packages[@]}" | LC_ALL=C sort -u | paste -sd,)

build() {
    # An empty machine-id makes each node find its own; none at all would be a "first boot", which enables all
    # that systemd's presets list.
    # shellcheck disable=SC2016 # $1 is for the hook: the root of the new system
    mmdebstrap --quiet --variant=minbase --include="$list" --format=tar \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --customize-hook='rm -f "$1/etc/hostname"; : >"$1/etc/machine-id"' \
        "$suite" "$rootfs" >&2
    podman import --quiet --change 'CMD ["/sbin/init"]' --change 'STOPSIGNAL SIGRTMIN+3' "$rootfs" "$image" >/dev/null
}

image=localhost/rcron-node:$suite-$({ echo "$list" && declare -f build; } | sha256sum | cut -c1-12)

if ! podman image exists "$image"; then
    # Scenarios that run at the same time build it once. Nobody else can create a file or a link in the lock's folder.
    exec 9>"$(podman info --format '{{.Store.RunRoot}}')/${image//[\/:]/-}.lock"
    flock 9
    if ! podman image exists "$image"; then
        echo "Building the image $image out of Debian's packages (about half a minute)" >&2
        rootfs=$(mktemp --tmpdir rcron-image.XXXXXX)
        trap 'rm -f "$rootfs"' EXIT
        build
    fi
fi
echo "$image"
