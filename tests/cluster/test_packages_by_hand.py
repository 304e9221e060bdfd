# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""docs/install.md, By hand, from its first command to its last. The tests go on from each other."""

import re

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.install_page import (
    commands,
    connect_keepalived,
    differences,
    disconnect_keepalived,
    fail_over,
    up_to,
)

#: Those that no test has taken yet.
LEFT = commands("By hand")


@pytest.fixture(scope="module")
def folder() -> str:
    """Where the archive is unpacked: the commands after the first are typed there."""
    (unpack,) = up_to("tar ", LEFT)
    return f"/var/tmp/this && {unpack}"


@pytest.fixture(scope="module")
def said(cluster: Cluster, folder: str) -> dict[str, list[str]]:
    """Install it everywhere; what each command printed, by node."""
    taken = up_to("rcronctl status", LEFT)

    def install(node: Node) -> list[str]:
        printed = []
        for command in taken:
            if node is cluster.nodes[0]:
                command = command.replace("default_state = passive", "default_state = active")
            ran = node.try_run(f"cd {folder} && {command}")
            assert ran.returncode == int(" check " in command), f"{node}: {command}: {ran.stderr}"
            printed.append(ran.stdout)
        return printed

    return dict(zip(map(str, cluster.nodes), cluster.on_all(install)))


@pytest.fixture(scope="module")
def connected(cluster: Cluster, said: dict[str, list[str]]) -> Cluster:
    """With keepalived as the feeder."""
    cluster.on_all(connect_keepalived)
    for command in up_to("systemctl reload keepalived", LEFT):
        cluster.on_all(lambda node: node.run(command))  # noqa: B023 - called at once
    cluster.settle()
    return cluster


def test_check_tells_before_what_present_does(said: dict[str, list[str]], node: Node) -> None:
    _written, check, present, status = said[node.name]
    assert check.replace("would create", "created") == present[: present.index("next: ")]
    assert "created /usr/bin/rcron\n" in present
    assert re.search("cluster: +billing", status)


def test_keepalived_answers_and_no_address_has_moved(connected: Cluster, node: Node) -> None:
    wait_until(lambda: "keepalived, alive" in node.run("rcronctl status"), f"{node}: keepalived's answer", 10)
    entered = re.findall(r"Entering (MASTER|BACKUP) STATE", node.run("journalctl -u keepalived"))
    assert node.state() == {"MASTER": "active", "BACKUP": "passive"}[entered[-1]]
    written = node.run("stat -c %Y /etc/rcron/agent.d/rcron.conf").strip()
    since = node.run(f"journalctl -u keepalived --since=@{written}")
    assert not re.search("Entering (MASTER|FAULT) STATE", since)


def test_another_node_takes_over(connected: Cluster) -> None:
    fail_over(connected)


def test_the_next_run_changes_nothing_and_keeps_the_options(connected: Cluster, folder: str, node: Node) -> None:
    again = node.run(f"cd {folder} && python3 packaging/install.py present")
    assert again == "nothing to change: rcron is installed\n"


def test_nothing_is_removed_while_the_agent_serves_the_cluster(connected: Cluster, folder: str, node: Node) -> None:
    refused = node.try_run(f"cd {folder} && python3 packaging/install.py absent")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "disconnect the feeder, then remove /etc/rcron/agent.d/rcron.conf" in refused.stderr


def test_a_removal_leaves_the_host_as_it_was(connected: Cluster, folder: str) -> None:
    left = list(LEFT)
    for node in connected.nodes:
        LEFT[:] = left
        disconnect_keepalived(node, LEFT)
        (absent,) = LEFT
        node.run(f"cd {folder} && {absent}")
    LEFT.clear()
    assert connected.on_all(differences) == [""] * 3
