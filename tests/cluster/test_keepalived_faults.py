# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whatever goes wrong beside a real keepalived, no two nodes are active, and it is right again by itself.

Each test begins with node one active, which takes billing's instance whenever it can. Times are seconds.
"""

import time

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster import faults
from tests.cluster.faults import Watch, suffer

#: How long it takes at most, on a busy machine, until all is as before: an election, and an agent that was away.
DECIDED = 40.0

#: How long a part of the daemon is stopped.
STOPPED = 15.0

#: How old the state of a node is at most whose agent trusts keepalived, which it asks once a second.
RENEWED = 2.0

#: keepalived's two processes. The first sends the adverts.
VRRP, MAIN = "-x keepalived_vrrp", "-x keepalived"


@pytest.fixture(autouse=True)
def active(cluster: Cluster) -> Node:
    """The active node, for a while already, whose agent trusts keepalived: one that was started anew may wait first."""

    def is_calm() -> bool:
        if cluster.states() != {"one": "active", "two": "passive"} or cluster.settle(steady=1).name != "one":
            return False
        return time.time() - float(cluster.nodes[0].run("stat -c %.2Y /run/rcron/state")) < RENEWED

    wait_until(is_calm, "billing is where it belongs", DECIDED)
    return cluster.nodes[0]


def switch_over(active: Node, seconds: float = 2.0) -> None:
    """Have the other node take over, for some seconds."""
    active.run(f"systemctl stop keepalived; sleep {seconds}; systemctl start keepalived")


def test_lost_events(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.away(faults.PYTHON, active):
            switch_over(active, faults.AWAY)

    suffer("keepalived", "Python away in a switch-over", watch, happens)


def test_folder_that_is_read_only(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.read_only(active):
            switch_over(active, faults.READ_ONLY)

    suffer("keepalived", "folder read-only in a switch-over", watch, happens)


def test_folder_that_is_removed(active: Node, watch: Watch) -> None:
    def happens() -> None:
        faults.remove_folder(active)
        switch_over(active)

    suffer("keepalived", "folder removed before a switch-over", watch, happens)
    assert active.run("stat -c '%U %a' /run/rcron").split() == ["root", "711"]


def test_frozen_node(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(faults.FROZEN)

    suffer("keepalived", f"node frozen for {faults.FROZEN:.0f} s", watch, happens)


def test_agent_that_is_killed(active: Node, watch: Watch) -> None:
    outcome = suffer("keepalived", "agent killed", watch, lambda: faults.kill_agent(active))
    assert outcome.none == 0, "it was away for a moment only"


def test_agent_that_is_killed_in_a_switch_over(active: Node, watch: Watch) -> None:
    def happens() -> None:
        faults.kill_agent(active)
        switch_over(active)

    suffer("keepalived", "agent killed in a switch-over", watch, happens)


@pytest.mark.parametrize(("name", "processes"), [("VRRP", VRRP), ("main", MAIN)])
def test_part_of_the_daemon_that_is_stopped(active: Node, watch: Watch, name: str, processes: str) -> None:
    def happens() -> None:
        with faults.stopped(active, processes):
            time.sleep(STOPPED)

    suffer("keepalived", f"its {name} process stopped for {STOPPED:.0f} s", watch, happens)


def test_log_daemon_that_is_frozen(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.log_frozen(active):
            # It logs that, and waits for the log daemon.
            active.run(f"pkill -USR1 {VRRP}")
            time.sleep(STOPPED)

    suffer("keepalived", f"log daemon frozen for {STOPPED:.0f} s, and its socket full", watch, happens)
