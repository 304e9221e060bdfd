# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: the nodes are as they were, and the ucarp that was a host's own still runs."""

from nodes import Cluster, Node


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.try_run(
            "list-files | diff /var/tmp/before/files -; crontab -l | diff /var/tmp/before/root -"
        ).stdout

    assert cluster.on_all(differences) == ["", "", ""]


def test_the_roles_ucarp_has_ended_and_the_hosts_own_has_not(cluster: Cluster) -> None:
    running = cluster.on_all(lambda node: node.try_run("ps -C ucarp -o args=").stdout)
    assert running[:2] == ["", ""]
    assert running[2].count("-u /usr/share/ucarp/vip-up ") == 1
    assert cluster.on_all(lambda node: node.try_run("systemctl is-system-running").stdout) == ["running\n"] * 3
    assert "192.0.2.10" not in cluster.nodes[0].run("ip -4 address show dev eth0")
