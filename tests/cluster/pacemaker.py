# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""For the tests of the scenario pacemaker: the cluster as Pacemaker sees it, and the measuring of a failover."""

import time
from collections.abc import Callable
from typing import NamedTuple

from nodes import DOWN, Change, Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report

#: Seconds within which the cluster must have done anything. It needs up to 10 on a quiet machine.
PATIENCE = 90.0


def running(cluster: Cluster) -> list[Node]:
    """The nodes that are up."""
    return [node for node in cluster.nodes if node.state() != DOWN]


def located(cluster: Cluster, resource: str) -> list[str]:
    """Return the lines in which Pacemaker, on one of the nodes, says where a resource runs."""
    for node in running(cluster):
        ran = node.try_run(f"crm_resource --resource {resource} --locate")
        if ran.returncode == 0:
            return [line.strip() for line in ran.stdout.splitlines() if "is running on" in line]
    return []


def settle(cluster: Cluster, resource: str = "rcron-clone") -> Node:
    """Wait until the resource runs everywhere that it should, with one node active; return that node."""
    instances = len(running(cluster)) if resource.endswith("-clone") else 1
    wait_until(lambda: len(located(cluster, resource)) == instances, f"{instances} instances of {resource}", PATIENCE)
    return cluster.settle(timeout=PATIENCE, steady=1)


class Failover(NamedTuple):
    """What `fail_over` saw: which node was active, which is, when it began, and when each changed (`inf`: never)."""

    old: Node
    new: Node
    start: float
    active_after: float
    passive_after: float
    both: float


def fail_over(cluster: Cluster, what: str, fail: Callable[[Node], object], resource: str = "rcron-clone") -> Failover:
    """Have the active node fail in some way, wait until another one is active, and print the times.

    Failover.both says for how long more than one node was active.
    """
    old = cluster.active()
    start = time.time()
    fail(old)

    def new() -> "Node | None":
        active = [node for node in cluster.nodes if node is not old and node.state() == "active"]
        return active[0] if active else None

    found = wait_until(new, f"another node than {old} is active: {what}", PATIENCE)
    assert list(cluster.states().values()).count("active") <= 2
    active_after = first(found, "active", start) - start
    # A machine that is off runs no job, and its file is gone with it.
    died = old.state() == DOWN
    if not died:
        wait_until(lambda: old.state() == "passive", f"{old} is passive: {what}", PATIENCE)
    passive_after = 0.0 if died else first(old, "passive", start) - start
    changes = [change for change in cluster.changes_since(start) if not (died and change.node == old.name)]
    both = 0.0 if died else seconds_with_two_active([Change(start, old.name, "active"), *changes])
    details = "" if died else f", {old} passive after {passive_after:.1f} s, both active for {both:.2f} s"
    report(f"pacemaker {what}: {old} -> {found}: active after {active_after:.1f} s{details}")
    return Failover(old, found, start, active_after, passive_after, both)


def first(node: Node, state: str, since: float) -> float:
    """When a node's state file first turned to a state after a time."""
    return next(
        (change.time for change in node.changes() if change.time > since and change.state == state), float("inf")
    )


def repair(node: Node) -> None:
    """Start a node's cluster again, whatever is left of it."""
    node.run(
        "pkill -CONT -x corosync; systemctl kill --signal=KILL pacemaker corosync; sleep 1;"
        "systemctl reset-failed; systemctl stop pacemaker; systemctl stop corosync; systemctl start pacemaker"
    )
