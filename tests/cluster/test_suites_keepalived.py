# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How rcron handles each way in which a real keepalived can end. Each test begins with its node active, and ends with
exactly one active node, whichever.

Times are seconds. Adverts come every second.
"""

import re
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report

#: Seconds within which another node takes over: three adverts, the skew, and the wrapper's own part.
TAKEOVER = 6.0

#: Seconds within which a node without keepalived must be passive, if a process is left that can write that.
AT_ONCE = 3.0  # seconds, on a machine that is busy; state_max_age and the respawned keepalived come later

#: Prints when a job finds its node passive, or that it never did.
UNTIL_PASSIVE = "for _ in $(seq 100); do rcronctl is-active --quiet || break; sleep 0.1; done; date +%s.%N"


@pytest.fixture(autouse=True)
def active(cluster: Cluster, node: Node) -> Iterator[Node]:
    """The node, which is the active one, with a keepalived that has run for a while."""
    if cluster.settle(steady=1) is not node:
        cluster.hand_over(node)
    yield node
    for each in cluster.nodes:
        if each.try_run("systemctl is-active --quiet keepalived").returncode:
            each.run("systemctl stop keepalived; systemctl reset-failed keepalived; systemctl start keepalived")
    cluster.settle(steady=1)


def record(node: Node) -> dict[str, str]:
    """Return the record that the feeder keeps beside the state file."""
    return dict(line.split("=", 1) for line in node.run("cat /run/rcron/state.feeder").splitlines())


def vrrp_child(node: Node) -> str:
    """Return the process of keepalived that does VRRP."""
    return node.run("pgrep --parent $(cat /run/keepalived.pid)").strip()


def first(cluster: Cluster, start: float, node: Node, state: str) -> float:
    """Return when a node's state file first held a state after a time, and how many seconds later."""

    def noted() -> "float | None":
        return next(
            (
                change.time - start
                for change in cluster.changes_since(start)
                if change.node == node.name and change.state == state
            ),
            None,
        )

    return wait_until(noted, f"{node}'s state file says {state}", 10)


def takeover(cluster: Cluster, node: Node, start: float) -> tuple[Node, float]:
    """Wait for another node's takeover; return it, and how many seconds after start it was."""
    others = [other for other in cluster.nodes if other is not node]
    new = wait_until(
        lambda: next((other for other in others if other.state() == "active"), None), f"one of {others} takes over", 12
    )
    return new, first(cluster, start, new, "active")


def both_active(cluster: Cluster, node: Node, start: float) -> float:
    """Return for how long two state files held active since a time at which only the node's did."""
    before = [change for change in node.changes() if change.time < start][-1:]
    return seconds_with_two_active([*before, *cluster.changes_since(start)])


def test_reload_leaves_the_state_and_the_agent_that_refreshes_it(cluster: Cluster, active: Node) -> None:
    old = record(active)
    start = time.time()
    active.run("systemctl reload keepalived")
    reloaded = time.time()

    def written_since() -> bool:
        return float(active.run("stat -c %.Y /run/rcron/state")) > reloaded + 1

    wait_until(written_since, f"{active}: the agent refreshes the state", 5)
    assert record(active)["pid"] == old["pid"]
    assert [change.state for change in active.changes() if change.time > start] == []
    assert cluster.active() is active
    assert "keepalived, alive," in active.run("rcronctl status")


def test_killed_vrrp_child_means_passive_until_keepalived_says_otherwise(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run(f"kill -KILL {vrrp_child(active)}")
    passive = wait_until(
        lambda: [change.time for change in active.changes() if change.time > start and change.state == "passive"],
        f"{active} is passive after its VRRP process was killed",
        5,
    )[0]
    report(f"keepalived respawned: {active} passive after {passive - start:.2f} s")
    assert passive - start < AT_ONCE
    time.sleep(4)  # an election
    cluster.settle(steady=1)
    entered = re.findall(r"Entering (\w+) STATE", active.run("journalctl -u keepalived"))
    assert active.state() == {"MASTER": "active", "BACKUP": "passive"}[entered[-1]]


def test_clean_stop_means_passive_at_once_and_a_peer_takes_over(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("systemctl stop keepalived")
    assert active.state() == "passive"
    new, taken = takeover(cluster, active, start)
    passive = first(cluster, start, active, "passive")
    report(f"keepalived stopped: {active} passive after {passive:.2f} s, {new} active after {taken:.2f} s")
    assert passive < AT_ONCE
    assert taken < TAKEOVER
    assert both_active(cluster, active, start) == 0


def test_killed_keepalived_means_passive_at_once_and_a_peer_takes_over(cluster: Cluster, active: Node) -> None:
    start = time.time()
    # The VRRP process first: if the main process dies before it, it is sent TERM, and may say farewell.
    active.run("kill -KILL $(pgrep -x keepalived | sort -rn)")
    new, taken = takeover(cluster, active, start)
    passive = first(cluster, start, active, "passive")
    report(f"keepalived killed: {active} passive after {passive:.2f} s, {new} active after {taken:.2f} s")
    assert passive < AT_ONCE
    assert taken < TAKEOVER
    assert both_active(cluster, active, start) == 0
    assert cluster.active() is new


def test_node_whose_agent_was_killed_too_turns_passive_by_the_unit(cluster: Cluster, active: Node) -> None:
    start = time.time()
    ended = active.run(f"kill -KILL {record(active)['pid']} $(pgrep -x keepalived)\n{UNTIL_PASSIVE}")
    passive = float(ended) - start
    new, taken = takeover(cluster, active, start)
    report(
        f"keepalived killed: with the agent, {active} passive after {passive:.2f} s, {new} active after {taken:.2f} s"
    )
    assert passive < AT_ONCE
    assert taken < TAKEOVER
    assert cluster.active() is new


def test_stopped_vrrp_process_means_passive_before_a_peer_takes_over(cluster: Cluster, active: Node) -> None:
    child = vrrp_child(active)
    start = time.time()
    active.run(f"kill -STOP {child}")
    try:
        ended = active.run(UNTIL_PASSIVE)
        passive = float(ended) - start
        new, taken = takeover(cluster, active, start)
        report(f"keepalived frozen: {active} passive after {passive:.2f} s, {new} active after {taken:.2f} s")
        assert both_active(cluster, active, start) == 0
        assert cluster.active() is new
        assert "answer:         unknown" in active.run("rcronctl status")
        assert active.run("rcron echo ran") == ""
    finally:
        going = time.time()
        active.run(f"kill -CONT {child}")
    last = cluster.settle(steady=1)
    both = both_active_after(cluster, going)
    report(f"keepalived frozen: {active} goes on, {last} active, two of them for {both:.2f} s")
    assert both == 0


def both_active_after(cluster: Cluster, when: float) -> float:
    """Return for how long two state files held active since a time, whichever nodes were active before."""
    last = {change.node: change for node in cluster.nodes for change in node.changes() if change.time < when}
    return seconds_with_two_active(
        [*(change._replace(time=when) for change in last.values()), *cluster.changes_since(when)]
    )
