# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Three ways in which the active node fails. Each test begins with a settled cluster and leaves one.

The takeovers are timed from the kill to `active` in the new node's state file, and to the first selected job there.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from nodes import DOWN, Cluster, Node, seconds_with_two_active, stay_clear_of_minute

#: Names of prepare.yml's jobs in /var/log/jobs.
SELECTED = ["root", "compound", "user", "ansible", "system"]
EVERYWHERE = "everywhere"

#: Seconds within which another node has taken over: three adverts of a second, the skew, and the wrapper's own part.
TAKEOVER = 6.0

#: Seconds for which two nodes may be active while the role is handed back: both hear of it at the same time, and each
#: writes its own file. VRRP offers no better.
HANDOVER = 0.5


@pytest.fixture(autouse=True)
def settled(cluster: Cluster) -> Iterator[None]:
    cluster.settle()
    stay_clear_of_minute()
    yield
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
        elif node.try_run("systemctl is-active --quiet keepalived").returncode != 0:
            node.run("systemctl reset-failed keepalived; systemctl start keepalived")
    cluster.settle()


def take_over(cluster: Cluster, fail: Callable[[Node], None], what: str) -> tuple[Node, Node, float]:
    """Have the active node fail; look at the cluster until cron's next minute is over.

    Returns the failed node, the one that took over, and when the failure was.
    """
    failed = cluster.active()
    start = time.time()
    fail(failed)
    new = cluster.settle()
    assert new is not failed
    minute = cluster.wait_for_minute(EVERYWHERE)
    assert cluster.active() is new

    for job in SELECTED:
        assert cluster.who_ran(job, minute) == [new.name], job
    running = [name for name, state in cluster.states().items() if state != DOWN]
    assert cluster.who_ran(EVERYWHERE, minute) == running

    changes = cluster.changes_since(start)
    flip = next(change.time for change in changes if change.node == new.name and change.state == "active") - start
    first = min(run.time for job in SELECTED for run in new.runs(job) if run.time > start) - start
    print(f"{what}: {failed} -> {new}: state active after {flip:.1f} s, first job after {first:.1f} s (next minute)")
    assert flip < TAKEOVER
    return failed, new, start


def test_another_node_takes_over_from_a_machine_that_died(cluster: Cluster) -> None:
    failed, new, _ = take_over(cluster, lambda node: node.kill(), "machine killed")
    assert failed.state() == DOWN

    booted = time.time()
    failed.boot()
    active = cluster.settle()
    after_boot = [change.state for change in failed.changes() if change.time >= booted]
    assert after_boot[:2] == ["boot", "passive"], "a node must be passive from its boot until its feeder says otherwise"
    assert active is cluster.nodes[0], "the first host has the highest priority, and takes its role back"
    both = seconds_with_two_active([*new_state_before(new, booted), *cluster.changes_since(booted)])
    print(f"machine back: {new} -> {active}: both active for {both:.3f} s")
    assert both < HANDOVER


def new_state_before(node: Node, when: float) -> list:
    """The last change of a node's state before a time."""
    return [change for change in node.changes() if change.time < when][-1:]


def test_another_node_takes_over_when_keepalived_is_stopped(cluster: Cluster) -> None:
    before = cluster.active()
    earlier = new_state_before(before, time.time())
    failed, _, start = take_over(cluster, lambda node: node.run("systemctl stop keepalived"), "keepalived stopped")
    assert failed.state() == "passive"
    assert seconds_with_two_active([*earlier, *cluster.changes_since(start)]) == 0


def test_another_node_takes_over_when_keepalived_is_killed(cluster: Cluster) -> None:
    before = cluster.active()
    earlier = new_state_before(before, time.time())
    failed, _, start = take_over(cluster, lambda node: node.run("pkill -KILL -x keepalived"), "keepalived killed")
    assert failed.state() == "passive"
    changes = cluster.changes_since(start)
    passive = (
        next(change.time for change in changes if change.node == failed.name and change.state == "passive") - start
    )
    print(f"keepalived killed: {failed} passive after {passive:.2f} s")
    assert seconds_with_two_active([*earlier, *changes]) == 0
