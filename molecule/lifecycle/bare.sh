#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# bare.sh CONTAINER SUITE FOLDER
#
# Removes from a node what a host need not have: all feeders, rsyslog, and python3-apt, which Ansible's module for Debian's
# packages works with. (No node has an MTA.) Nodes reach each other only, so these packages are downloaded here, to FOLDER, and
# apt there finds them in a folder of the node. purge-new, there, removes all that has been installed since.
set -euo pipefail

container=$1 suite=$2 folder=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

in_node() { "$here/../shared/in-node.sh" "$container" sh -euc "$@"; }

# shellcheck disable=SC2016 # the variables are those of the node's shell, and of dpkg-query
removed=$(in_node '
    cat >/usr/local/sbin/purge-new <<\END
#!/bin/sh
set -eu
packages() { dpkg-query --show --showformat="\${Package} \${db:Status-Abbrev}\n" | sed -n "s/ i.*//p" | sort; }
if [ ! -e /var/tmp/packages ]; then packages >/var/tmp/packages; fi
packages | comm -13 /var/tmp/packages - | DEBIAN_FRONTEND=noninteractive xargs --no-run-if-empty apt-get purge --quiet --yes
END
    chmod 755 /usr/local/sbin/purge-new
    purge-new
    mv /var/tmp/packages /var/tmp/packages.all
    DEBIAN_FRONTEND=noninteractive apt-get purge --quiet --yes --autoremove heartbeat pacemaker corosync keepalived \
        crmsh resource-agents libxml2-utils rsyslog python3-apt >&2
    rm -rf /etc/ha.d /etc/corosync /etc/keepalived /var/lib/heartbeat /var/lib/pacemaker /var/lib/corosync
    purge-new
    comm -23 /var/tmp/packages.all /var/tmp/packages')

rm -rf "$folder"
mkdir -p "$folder"/{state/lists/partial,cache/archives/partial,packages}
for repository in "debian $suite" "debian-security $suite-security"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/$repository main"
done >"$folder/sources"
apt=(apt-get --quiet -o Dir::Etc::SourceList="$folder/sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$folder/state"
    -o Dir::State::status=/dev/null -o Dir::Cache="$folder/cache")
"${apt[@]}" update
cd "$folder/packages"
# shellcheck disable=SC2086 # words
"${apt[@]}" download $removed
for file in *.deb; do
    dpkg-deb --field "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat --format=%s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
done >Packages
tar --create . | in_node '
    mkdir -p /var/local/packages
    tar --extract --no-same-owner --directory /var/local/packages
    rm -rf /etc/apt/sources.list.d/*
    echo "deb [trusted=yes] file:/var/local/packages ./" >/etc/apt/sources.list
    apt-get update --quiet'
