# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whatever goes wrong beside a real Patroni cluster, no two nodes are active, and it is right again by itself.

Each test begins with two members that are well, and exactly one active node, the leader.
"""

import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster import faults
from tests.cluster.faults import Watch, suffer
from tests.cluster.measurement import report
from tests.cluster.patroni import PATIENCE, is_well, other, patronictl, settled, switch_over

PATRONI = "-x patroni"


@pytest.fixture(autouse=True)
def active(cluster: Cluster) -> Node:
    """The active node, which is the leader."""
    return settled(cluster)


@pytest.fixture
def failsafe(cluster: Cluster, active: Node) -> Iterator[None]:
    """Patroni with failsafe_mode."""
    patronictl(cluster, "edit-config --force --set failsafe_mode=true")
    time.sleep(3)  # it is read in the next cycle
    yield
    patronictl(cluster, "edit-config --force --set failsafe_mode=false")


@pytest.fixture
def paused(cluster: Cluster, active: Node) -> Iterator[None]:
    """A Patroni that leaves the database alone."""
    patronictl(cluster, "pause --wait")
    yield
    if "Maintenance mode" in patronictl(cluster, "list"):
        patronictl(cluster, "resume --wait")


def wait_for_other(cluster: Cluster, active: Node) -> None:
    new = other(cluster, active)
    wait_until(lambda: new.state() == "active", f"{new} is active", PATIENCE)


def test_lost_events(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        # Not Python: Patroni itself starts a database with it.
        with faults.away(faults.HOOK, *cluster.nodes):
            start = time.time()
            switch_over(cluster, other(cluster, active))
            time.sleep(max(0.0, start + faults.AWAY - time.time()))

    suffer("patroni", "events lost in a switchover", watch, happens)
    assert cluster.active() is other(cluster, active)


def test_folder_that_is_read_only(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.read_only(active):
            start = time.time()
            switch_over(cluster, other(cluster, active))
            time.sleep(max(0.0, start + faults.READ_ONLY - time.time()))

    suffer("patroni", "folder read-only in a switchover", watch, happens)
    assert cluster.active() is other(cluster, active)


def test_folder_that_is_removed(cluster: Cluster, active: Node, watch: Watch) -> None:
    suffer("patroni", "folders removed", watch, lambda: cluster.on_all(faults.remove_folder))
    assert cluster.active() is active
    assert cluster.on_all(lambda node: node.run("stat -c '%U %a' /run/rcron").split()) == [["postgres", "711"]] * 2


def test_agent_that_is_killed(cluster: Cluster, active: Node, watch: Watch) -> None:
    suffer("patroni", "agent killed", watch, lambda: faults.kill_agent(active))
    assert cluster.active() is active


def test_node_that_is_frozen(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(faults.FROZEN)

    suffer("patroni", "node frozen", watch, happens)


def test_patroni_that_is_stopped(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.stopped(active, PATRONI):
            wait_for_other(cluster, active)

    suffer("patroni", "Patroni stopped", watch, happens)


def test_log_daemon_that_is_frozen(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.log_frozen(active):
            switch_over(cluster, other(cluster, active))
            wait_for_other(cluster, active)

    suffer("patroni", "log daemon frozen in a switchover", watch, happens)


def test_lock_that_somebody_holds(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.lock_held(active):
            switch_over(cluster, other(cluster, active))
            wait_for_other(cluster, active)

    suffer("patroni", "lock held in a switchover", watch, happens)


def test_leader_that_is_cut_off(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.cut_off(active):
            wait_for_other(cluster, active)

    suffer("patroni", "leader cut off", watch, happens)


@pytest.mark.usefixtures("failsafe")
def test_leader_that_is_cut_off_in_failsafe_mode(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with faults.cut_off(active):
            wait_for_other(cluster, active)

    suffer("patroni", "leader cut off, failsafe_mode", watch, happens)


@pytest.mark.usefixtures("paused")
def test_database_that_dies_while_patroni_is_paused(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        active.run("kill -KILL $(head -n 1 /srv/billing/data/postmaster.pid)")
        start = time.time()
        wait_until(lambda: active.state() == "passive", f"{active} is passive", watch.max_age + faults.GRACE)
        report(f"patroni, database killed while paused: {active} passive after {time.time() - start:.1f} s")
        patronictl(cluster, "resume --wait")
        wait_until(lambda: is_well(cluster), "Patroni has started the database again", PATIENCE)

    suffer("patroni", "database killed while paused", watch, happens)
