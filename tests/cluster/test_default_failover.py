# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Three ways in which the active node fails. Each test begins with a settled cluster and leaves one.

The takeovers are timed from the kill to `active` in the new node's state file. A whole minute of cron is looked at
after the first of them only: from the state to the jobs there is but one way, whichever failure has changed it.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from nodes import DOWN, Change, Cluster, Node, seconds_with_two_active, stay_clear_of_minute
from waiting import wait_until

from tests.cluster.measurement import report

#: Names of prepare.yml's jobs in /var/log/jobs.
SELECTED = ["root", "compound", "user", "ansible", "system"]
EVERYWHERE = "everywhere"

#: Seconds within which another node has taken over: three adverts of a second, the skew, the wrapper's own part, and
#: what a busy machine adds.
TAKEOVER = 12.0

#: Seconds for which two nodes may be active while the role is handed back: both hear of it at the same time, and each
#: writes its own file. VRRP offers no better. A tenth of a second if the machine has nothing else to do.
HANDOVER = 2.0


@pytest.fixture(autouse=True)
def settled(cluster: Cluster) -> Iterator[None]:
    cluster.settle(on=cluster.nodes[0])  # it has the highest priority, and takes its role back
    yield
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
        elif node.try_run("systemctl is-active --quiet keepalived").returncode != 0:
            node.run("systemctl reset-failed keepalived; systemctl start keepalived")
    cluster.settle(on=cluster.nodes[0])


class Takeover(NamedTuple):
    """A takeover: the node that failed, the one that runs the jobs now, and when it began."""

    failed: Node
    new: Node
    start: float


def take_over(cluster: Cluster, fail: Callable[[Node], object], what: str) -> Takeover:
    """Have the active node fail in some way, and check that a job runs on exactly one other node."""
    failed = cluster.active()
    start = time.time()
    fail(failed)
    new = cluster.settle()
    assert new is not failed
    flip = first_change(new, "active", start) - start
    report(f"{what}: {failed} -> {new}: state active after {flip:.1f} s")
    assert flip < TAKEOVER

    running = [node for node in cluster.nodes if node.state() != DOWN]
    ran = [node for node in running if node.run("su alice -c '/usr/bin/rcron echo ran'")]
    assert ran == [new]
    return Takeover(failed, new, start)


def see_a_minute(cluster: Cluster, takeover: Takeover, what: str) -> None:
    """Look at cron's next minute after a takeover."""
    new = takeover.new
    minute = cluster.wait_for_minute(EVERYWHERE)
    assert cluster.active() is new

    for job in SELECTED:
        assert cluster.who_ran(job, minute) == [new.name], job
    running = [name for name, state in cluster.states().items() if state != DOWN]
    assert cluster.who_ran(EVERYWHERE, minute) == running
    first = min(run.time for job in SELECTED for run in new.runs(job) if run.time > takeover.start) - takeover.start
    report(f"{what}: {takeover.failed} -> {new}: first job after {first:.1f} s (next minute)")


def first_change(node: Node, state: str, since: float) -> float:
    """When a node's state file first turned to a state after a time."""

    def noted() -> "float | None":
        return next((change.time for change in node.changes() if change.time > since and change.state == state), None)

    return wait_until(noted, f"{node}'s state file says {state}", 10)


def seconds_with_two_active_since(cluster: Cluster, start: float, active: Node) -> float:
    """For how long two nodes were active at once since a time, at which one node was active."""
    return seconds_with_two_active([Change(start, active.name, "active"), *cluster.changes_since(start)])


def test_another_node_takes_over_from_a_machine_that_died(cluster: Cluster) -> None:
    stay_clear_of_minute()
    done = take_over(cluster, Node.kill, "machine killed")
    assert done.failed.state() == DOWN
    see_a_minute(cluster, done, "machine killed")

    booted = time.time()
    done.failed.boot()
    active = cluster.settle(on=cluster.nodes[0])
    after_boot = [change.state for change in done.failed.changes() if change.time >= booted]
    assert after_boot[:2] == ["boot", "passive"], "a node must be passive from its boot until its feeder says otherwise"
    both = seconds_with_two_active_since(cluster, booted, done.new)
    report(f"machine back: {done.new} -> {active}: both active for {both:.3f} s")
    assert both < HANDOVER


def test_another_node_takes_over_when_keepalived_is_stopped(cluster: Cluster) -> None:
    done = take_over(cluster, lambda node: node.run("systemctl stop keepalived"), "keepalived stopped")
    assert done.failed.state() == "passive"
    assert seconds_with_two_active_since(cluster, done.start, done.failed) == 0


def test_another_node_takes_over_when_keepalived_is_killed(cluster: Cluster) -> None:
    done = take_over(cluster, lambda node: node.run("pkill -KILL -x keepalived"), "keepalived killed")
    assert done.failed.state() == "passive"
    passive = first_change(done.failed, "passive", done.start) - done.start
    report(f"keepalived killed: {done.failed} passive after {passive:.2f} s")
    assert seconds_with_two_active_since(cluster, done.start, done.failed) == 0
