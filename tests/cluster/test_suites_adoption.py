# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The first deployment to machines whose keepalived was running already: no failover, and true states at once."""

import re

from nodes import Cluster, Node

ENTERED = re.compile(r"\(VI_rcron\) Entering (MASTER|BACKUP) STATE")


def entered(node: Node) -> list[str]:
    """Return every state that keepalived logged to enter on a node since its first start."""
    return ENTERED.findall(node.run("journalctl -u keepalived"))


def test_state_is_what_keepalived_said_before_the_deployment(node: Node) -> None:
    assert node.state() == {"MASTER": "active", "BACKUP": "passive"}[entered(node)[-1]]


def test_exactly_one_node_is_active(cluster: Cluster) -> None:
    assert sorted(cluster.states().values()) == ["active", "passive", "passive"]


def test_deployment_caused_no_failover(node: Node) -> None:
    deployed = node.run("stat -c %Y /etc/rcron/rcron.conf").strip()
    since = node.run(f"journalctl -u keepalived --since=@{deployed}")
    assert re.findall(r"Entering (MASTER|FAULT) STATE", since) == []
    assert [change.state for change in node.changes() if change.time >= float(deployed)].count("active") <= 1


def test_feeder_is_alive(node: Node) -> None:
    assert "keepalived, alive, spoke" in node.run("rcronctl status")
