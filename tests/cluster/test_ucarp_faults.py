# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whatever goes wrong beside ucarp, no two nodes are active but those that ucarp itself makes masters, and it is right
again by itself.

Each test begins with exactly one active node.
"""

import time

import pytest
from nodes import Cluster, Node

from tests.cluster import faults
from tests.cluster.faults import Watch, suffer

UCARP = "-x ucarp"

#: For how long two nodes may be active because both are masters: two backups that give up on a master together hear
#: one another at the next advert, and so does a master that was stopped. One is due every 1.16 s at most, and the
#: machine may be busy.
CONTEST = 2.5

#: How long a takeover takes at most, on a busy machine.
TAKEOVER = 6.0

#: How long ucarp is stopped: longer than the others' patience.
STOPPED = 12.0


@pytest.fixture(autouse=True)
def active(cluster: Cluster) -> Node:
    """The active node."""
    return cluster.settle(timeout=40, steady=1.2)


def demote(node: Node, seconds: float) -> None:
    """Have ucarp give the role up, and give the others time to take it."""
    node.run("kill -USR2 $(pidof ucarp)")
    time.sleep(seconds)


def test_lost_events(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.away(faults.PYTHON, *cluster.nodes):
            demote(active, faults.AWAY)

    suffer("ucarp", "events lost in a demotion", watch, happens, CONTEST)


def test_folder_that_is_read_only(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.read_only(active):
            demote(active, faults.READ_ONLY)

    suffer("ucarp", "folder read-only in a demotion", watch, happens, CONTEST)


def test_folder_that_is_removed(cluster: Cluster, active: Node, watch: Watch) -> None:
    suffer("ucarp", "folders removed", watch, lambda: cluster.on_all(faults.remove_folder))
    assert cluster.active() is active


def test_agent_that_is_killed(cluster: Cluster, active: Node, watch: Watch) -> None:
    suffer("ucarp", "agent killed", watch, lambda: faults.kill_agent(active))
    assert cluster.active() is active


def test_node_that_is_frozen(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(faults.FROZEN)

    suffer("ucarp", "node frozen", watch, happens, CONTEST)


def test_ucarp_that_is_stopped(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.stopped(active, UCARP):
            time.sleep(STOPPED)

    suffer("ucarp", "ucarp stopped", watch, happens, CONTEST)


def test_log_daemon_that_is_frozen(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.log_frozen(active):
            demote(active, TAKEOVER)

    suffer("ucarp", "log daemon frozen in a demotion", watch, happens, CONTEST)


def test_lock_that_somebody_holds(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.lock_held(active):
            demote(active, TAKEOVER)

    suffer("ucarp", "lock held in a demotion", watch, happens, CONTEST)
