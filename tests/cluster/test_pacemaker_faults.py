# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What no event says: hooks that do not run, nodes and daemons that stand still, files that cannot be written.

No two nodes are ever active, and one is again soon after. Each test begins with one active node and all others passive.
"""

import contextlib
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.faults import (
    AWAY,
    FROZEN,
    PYTHON,
    READ_ONLY,
    Watch,
    away,
    cut_off,
    kill_agent,
    log_frozen,
    read_only,
    remove_folder,
    stopped,
    suffer,
)
from tests.cluster.pacemaker import PATIENCE, settle

#: How long a part of Pacemaker is stopped, or a node cut off: Corosync needs 5.8 s of it.
CUT_OFF = 10.0

#: How long Pacemaker itself needs after its daemons have stood still: a demotion that failed, and a new election.
SETTLED = 20.0


@pytest.fixture
def active(cluster: Cluster) -> Iterator[Node]:
    """The active node; afterwards everything is as the administrator left it."""
    node = settle(cluster)
    yield node
    # Of a failed action, Pacemaker would remember the failure.
    node.run("crm_resource --cleanup >/dev/null 2>&1; crm_attribute --node $(hostname) --name standby --delete --quiet")
    try:
        settle(cluster)
    except AssertionError as error:
        state = node.try_run("crm_mon -1 -f -r; tail -n 200 /var/log/syslog | grep -v rcron.*status=ignore").stdout
        raise AssertionError(f"{error}\n{state}") from error


def hand_over(node: Node) -> None:
    """Have Pacemaker promote another node. Returns at once."""
    node.run(f"crm_attribute --node {node.name} --name standby --update on")


@contextlib.contextmanager
def properties(node: Node, **values: str) -> Iterator[None]:
    """Set properties of the cluster (with - for _), and restore what they were."""
    names = [(name, name.replace("_", "-")) for name in values]
    before = {name: node.run(f"crm_attribute --name {own} --query --quiet --default ''").strip() for name, own in names}

    def update(name: str, own: str, value: str) -> None:
        node.run(f"crm_attribute --name {own} {f'--update {value}' if value else '--delete'}")

    for name, own in names:
        update(name, own, values[name])
    try:
        yield
    finally:
        for name, own in names:
            update(name, own, before[name])


def test_a_demotion_whose_hook_cannot_run(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with away(PYTHON, active):
            hand_over(active)
            time.sleep(AWAY)

    suffer("pacemaker", "python3 away during a switch-over", watch, happens)


def test_a_state_that_cannot_be_written_during_a_switch_over(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with read_only(active):
            hand_over(active)
            time.sleep(READ_ONLY)

    suffer("pacemaker", "state's folder read-only during a switch-over", watch, happens)


def test_a_folder_that_is_removed(active: Node, watch: Watch) -> None:
    suffer("pacemaker", "state's folder removed", watch, lambda: remove_folder(active))


@pytest.mark.parametrize(
    "maintenance", [pytest.param(False, marks=pytest.mark.thorough), True], ids=["", "in maintenance mode"]
)
def test_an_agent_that_is_killed(active: Node, watch: Watch, maintenance: bool) -> None:
    """Pacemaker does not monitor anything in maintenance mode."""

    def happens() -> None:
        kill_agent(active)
        time.sleep(watch.max_age + 2)  # what is not renewed is stale by then

    with properties(active, maintenance_mode=str(maintenance).lower()):
        suffer("pacemaker", f"agent killed{' in maintenance mode' if maintenance else ''}", watch, happens)


def test_a_node_that_is_frozen(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(FROZEN)

    suffer("pacemaker", "node frozen for 15 s", watch, happens)


@pytest.mark.parametrize("daemon", ["controld", pytest.param("execd", marks=pytest.mark.thorough)])
def test_a_part_of_pacemaker_that_is_stopped_and_then_a_partition(active: Node, watch: Watch, daemon: str) -> None:
    def happens() -> None:
        with stopped(active, f"-x {f'pacemaker-{daemon}'[:15]}"):
            time.sleep(1)
            with cut_off(active):
                time.sleep(CUT_OFF)

    suffer("pacemaker", f"{daemon} stopped, and a partition 1 s later", watch, happens)


@pytest.mark.thorough
def test_a_partition(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with cut_off(active):
            time.sleep(CUT_OFF)

    suffer("pacemaker", f"partition for {CUT_OFF:.0f} s", watch, happens)


def test_a_partition_of_a_cluster_that_ignores_the_quorum(cluster: Cluster, active: Node, watch: Watch) -> None:
    """Pacemaker keeps two nodes promoted. Which one is active is the quorum's word all the same."""

    def happens() -> None:
        with cut_off(active):
            wait_until(lambda: promoted(cluster) == 2, "two nodes are promoted", PATIENCE)
            time.sleep(3)

    with properties(active, no_quorum_policy="ignore"):
        suffer("pacemaker", "partition with no-quorum-policy=ignore", watch, happens)


def promoted(cluster: Cluster) -> int:
    """Return on how many nodes the agent's script last promoted the resource."""
    return sum(
        "promoted" in words.split()
        for words in cluster.on_all(lambda node: node.run("cat /run/resource-agents/rcron-rcron"))
    )


def test_a_log_daemon_that_is_frozen_during_a_switch_over(active: Node, watch: Watch) -> None:
    """Pacemaker's daemons wait for it, so the switch-over ends when it goes on, and nobody may be promoted before."""

    def happens() -> None:
        with log_frozen(active):
            hand_over(active)
            time.sleep(FROZEN)

    suffer("pacemaker", "log daemon frozen during a switch-over", watch, happens, recovery=SETTLED)
