# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What no event says: hooks that do not run, nodes and daemons that stand still, files that cannot be written.

No two nodes are ever active, and one is again soon after. Each test begins with one active node, and a Heartbeat that
has settled on both.
"""

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
    kill_agent,
    log_frozen,
    read_only,
    remove_folder,
    stopped,
    suffer,
)
from tests.cluster.heartbeat import repair, settle

#: Heartbeat gives a node's resources to the other one, and returns at once.
HAND_OVER = "/usr/share/heartbeat/hb_standby"

#: How long its control process is stopped: the other one takes over after 3 s.
STOPPED = 8.0

#: How long a takeover takes at most, on a busy machine.
TAKEOVER = 15.0

#: How long Heartbeat itself needs once both have noticed that they did not hear each other: both give up all resources
#: and restart, and the one that begins waits for initdead.
RESTART = 30.0

#: How long after they hear each other again they have at the latest begun that, or will not.
NOTICED = 8.0


@pytest.fixture
def active(cluster: Cluster) -> Iterator[Node]:
    """The active node; afterwards a Heartbeat runs on both."""
    yield settle(cluster)
    repair(cluster, "heartbeat")
    settle(cluster)


def test_a_stop_whose_script_cannot_run(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with away(PYTHON, active):
            active.run(HAND_OVER)
            time.sleep(AWAY)

    suffer("heartbeat", "python3 away during a switch-over", watch, happens)


def test_a_state_that_cannot_be_written_during_a_switch_over(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with read_only(active):
            active.run(HAND_OVER)
            time.sleep(READ_ONLY)

    suffer("heartbeat", "state's folder read-only during a switch-over", watch, happens)


def test_a_folder_that_is_removed(active: Node, watch: Watch) -> None:
    suffer("heartbeat", "state's folder removed", watch, lambda: remove_folder(active))


def test_an_agent_that_is_killed(active: Node, watch: Watch) -> None:
    def happens() -> None:
        kill_agent(active)
        time.sleep(watch.max_age + 2)  # what is not renewed is stale by then

    suffer("heartbeat", "agent killed", watch, happens)


def test_a_node_that_is_frozen(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(FROZEN)

    suffer("heartbeat", "node frozen for 15 s", watch, happens, recovery=RESTART, steady=NOTICED)


def test_a_control_process_that_is_stopped(active: Node, watch: Watch) -> None:
    def happens() -> None:
        with stopped(active, "-F /run/heartbeat.pid"):
            time.sleep(STOPPED)

    suffer(
        "heartbeat", f"control process stopped for {STOPPED:.0f} s", watch, happens, recovery=RESTART, steady=NOTICED
    )


def test_a_log_daemon_that_is_frozen_during_a_switch_over(cluster: Cluster, active: Node, watch: Watch) -> None:
    def happens() -> None:
        with log_frozen(active):
            active.run(HAND_OVER)
            new = next(node for node in cluster.nodes if node is not active)
            wait_until(lambda: new.state() == "active", f"{new} is active", TAKEOVER)

    suffer("heartbeat", "log daemon frozen during a switch-over", watch, happens)
