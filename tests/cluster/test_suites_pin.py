# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Pins survive a feeder's events and a reboot."""

import time

import pytest
from nodes import Cluster, Node
from waiting import wait_until


@pytest.fixture(scope="module")
def was_active(cluster: Cluster) -> Node:
    """Pin every node passive, disturb keepalived on all of them, reboot them; return the formerly active one."""
    active = cluster.active()
    for node in cluster.nodes:
        node.run("rcronctl pin passive")
    assert set(cluster.states().values()) == {"passive"}

    cluster.on_all(lambda node: node.run("systemctl restart keepalived"))
    wait_until(
        lambda: any(node.run("cat /var/run/rcron/state") == "active\n" for node in cluster.nodes),
        "keepalived makes one of the pinned nodes its master",
        15,
    )
    assert set(cluster.states().values()) == {"passive"}, "a pin holds through keepalived's events"

    def reboot(node: Node) -> None:
        node.kill()
        node.boot()

    cluster.on_all(reboot)
    return active


def feeder_says(cluster: Cluster) -> list[str]:
    return [node.run("cat /var/run/rcron/state").strip() for node in cluster.nodes]


def test_pin_survives_a_reboot(cluster: Cluster, node: Node, was_active: Node) -> None:
    wait_until(lambda: "active" in feeder_says(cluster), "keepalived has a master after the reboot", 15)
    assert node.state() == "passive"


def test_pin_is_shown(node: Node, was_active: Node) -> None:
    status = dict(line.split(":", 1) for line in node.run("rcronctl status").splitlines())
    assert status["state"].strip() == "passive"
    assert status["pin"].strip() == "passive until rcronctl unpin"
    assert "/var/lib/rcron/state.pin" in status["why"]


def test_ignored_job_has_the_pin_in_its_log_line(node: Node, was_active: Node) -> None:
    # It does not wait for a takeover either: an operator wants the node passive.
    start = time.monotonic()
    assert node.run(f"rcron --takeover-wait 20 echo pinned {node}") == ""
    assert time.monotonic() - start < 10
    line = f"state=passive pin=unpin status=ignore cmd=echo pinned {node}"
    wait_until(lambda: line in node.run("cat /var/log/syslog"), f"{node}'s syslog says {line}", 5)


def test_unpinned_cluster_has_one_active_node_again(cluster: Cluster, was_active: Node) -> None:
    for node in cluster.nodes:
        assert node.run("rcronctl unpin").startswith("unpinned; now ")
    cluster.settle()


def test_pin_with_a_time_ends_by_itself(cluster: Cluster, node: Node) -> None:
    before = node.state()
    other = {"active": "passive", "passive": "active"}[before]
    start = time.monotonic()
    node.run(f"rcronctl pin {other} --for 3s")
    assert node.state() == other
    wait_until(lambda: node.state() == before, f"{node}'s pin ends", 10)
    assert time.monotonic() - start >= 3
    assert "pin:            none" in node.run("rcronctl status")
