# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: the nodes are as they were before the deployment, and Patroni keeps running."""

from nodes import Cluster, Node
from waiting import wait_until


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.run("list-files | diff /var/tmp/before/files -; ls -d /run/rcron 2>&-; true")

    assert cluster.on_all(differences) == ["", ""]


def test_no_process_of_ours_is_left(cluster: Cluster) -> None:
    def is_gone(node: Node) -> bool:
        # Patroni reaps a callback that has ended (Z) only when it starts the next one.
        return node.try_run("ps -C rcronctl,rcron-agent -o stat= | grep -v ^Z").returncode == 1

    wait_until(lambda: all(cluster.on_all(is_gone)), "no rcronctl and no rcron-agent runs", 20)


def test_patroni_calls_what_it_called_before(cluster: Cluster) -> None:
    cluster.on_all(lambda node: node.run("rm -f /var/log/jobs/note-role.log"))
    cluster.nodes[0].run("patronictl --config-file /etc/patroni/config.yml switchover --force billing")

    def roles(node: Node) -> list[str]:
        return node.try_run("cat /var/log/jobs/note-role.log").stdout.splitlines()

    def has_called(node: Node) -> bool:
        return any(line.startswith(f"of {node} on_role_change ") for line in roles(node))

    wait_until(lambda: all(cluster.on_all(has_called)), "both nodes' own callbacks are called in a switchover", 60)
    errors = cluster.on_all(lambda node: node.run("journalctl -b -u patroni | grep -c rcronctl.*failed; true"))
    assert errors == ["0\n", "0\n"]
