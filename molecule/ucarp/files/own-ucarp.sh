#!/bin/sh
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# own-ucarp [OPTION LINE...]
#
# An administrator's work on a Debian host that has a ucarp of its own: writes /etc/network/interfaces as the package's
# README.Debian says, with further lines such as "ucarp-upscript FILE", and restarts networking, which restarts ucarp.
set -eu

address=$(ip -4 -oneline address show dev eth0 | awk '$4 ~ /\/24$/ { print $4 }')
{
    cat <<END
auto eth0
iface eth0 inet static
    address $address
    # podman has given the node its address already, which ifup would report as a mistake.
    pre-up ip address flush dev eth0
    ucarp-vid 51
    ucarp-vip 192.0.2.10
    ucarp-password 19characters-at-mos
    ucarp-advskew 40
    ucarp-advbase 1
    ucarp-master no
END
    for line; do
        echo "    $line"
    done
    cat <<END

iface eth0:ucarp inet static
    address 192.0.2.10
    netmask 255.255.255.255
END
} >/etc/network/interfaces.new
chmod 0600 /etc/network/interfaces.new
mv /etc/network/interfaces.new /etc/network/interfaces

# ucarp is among the processes of that unit, and ends with it.
systemctl restart networking
