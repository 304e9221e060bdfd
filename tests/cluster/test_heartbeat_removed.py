# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: the nodes are as they were before the deployment, and Heartbeat runs where it ran."""

from nodes import Cluster, Node


def disabled(node: Node) -> bool:
    """Whether managed.yml has disabled and stopped Heartbeat there, before the second deployment."""
    return node.try_run("test -e /var/tmp/before/disabled").returncode == 0


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        # Heartbeat's own files are not ours; the links are those that disabling removes, or renames to K01.
        theirs = "-e /var/lib/heartbeat/"
        if disabled(node):
            theirs += " -e multi-user.target.wants/heartbeat -e '/etc/rc[2-5].d/[SK]01heartbeat'"
        return node.try_run(f"list-files | diff /var/tmp/before/files - | grep '^[<>]' | grep -v {theirs}").stdout

    assert cluster.on_all(differences) == ["", ""]


def test_no_process_is_left(cluster: Cluster) -> None:
    assert cluster.on_all(lambda node: node.run("pgrep -f '[r]cronctl' || true")) == ["", ""]


def test_heartbeat_is_as_it_was(cluster: Cluster) -> None:
    def unit(node: Node) -> list[str]:
        return node.try_run("systemctl is-enabled heartbeat; systemctl is-active heartbeat").stdout.split()

    def expected(node: Node) -> list[str]:
        return ["disabled", "inactive"] if disabled(node) else ["enabled", "active"]

    assert cluster.on_all(unit) == cluster.on_all(expected)
    assert cluster.on_all(lambda node: node.run("systemctl --failed --plain --no-legend")) == [""] * 2
