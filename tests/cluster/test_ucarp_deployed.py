# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp decides: node1 and node2 run it as the role's unit, node3 as Debian's ifupdown does, with the role's scripts.

Each test begins and ends with exactly one active node, and takes it from where the last one has left it. What is timed:
from the failure to ucarp's own decision on another node, as it logs it, and to `active` in that node's state file.
"""

import re
import shlex
import time
from collections.abc import Iterator

import pytest
from nodes import DOWN, Change, Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report

UNIT = "rcron-ucarp"

#: Seconds that another node may take to become active. Three adverts, the skew, and a busy machine.
TAKEOVER = 20.0

#: Seconds for which two nodes may be active while they find out which is master: an advert, and a busy machine.
CONTEST = 5.0

#: More seconds than a ucarp that hears no master waits before it becomes master itself.
DEAF = 4.5


@pytest.fixture(autouse=True)
def settled(cluster: Cluster) -> Iterator[None]:
    settle(cluster)
    yield
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
        start_ucarp(node)
    settle(cluster)


def settle(cluster: Cluster) -> Node:
    return cluster.settle(timeout=40, steady=1.2)


def start_ucarp(node: Node) -> None:
    """Run a node's ucarp as it was deployed."""
    if is_managed(node):
        node.run(
            f"if [ -e /run/systemd/system/{UNIT}.service.d ]; then rm -r /run/systemd/system/{UNIT}.service.d; "
            f"systemctl daemon-reload; systemctl restart {UNIT}; fi; systemctl start {UNIT}"
        )
    else:
        node.run("pidof ucarp >/dev/null || systemctl restart networking")


def is_managed(node: Node) -> bool:
    return node.name != "node3"


def managed_active(cluster: Cluster) -> Node:
    """The active node, once that is one of the managed ones: on a busy machine, node3 may be the first to take over."""
    active = settle(cluster)
    if not is_managed(active):
        active.run("kill $(pidof ucarp)")
        active = settle(cluster)
        start_ucarp(cluster.nodes[2])
    return active


def start_with(node: Node, options: str) -> None:
    """Run a managed node's ucarp, which is stopped, with further options until the end of the test."""
    folder = f"/run/systemd/system/{UNIT}.service.d"
    node.run(f"""
        mkdir -p {folder}
        command=$(sed -n '/^ExecStart=/,/[^\\\\]$/p' /etc/systemd/system/{UNIT}.service | tr -d '\\\\\\n')
        printf '[Service]\\nExecStart=\\n%s {options}\\n' "$command" >{folder}/test.conf
        systemctl daemon-reload
        systemctl start {UNIT}
    """)


def ucarp_says(node: Node, what: str, since: float) -> "float | None":
    """When a node's ucarp first logged something after a time, or None."""
    log = node.run(
        "journalctl --quiet -t ucarp -o short-unix --no-pager -g " + shlex.quote(re.escape(what)) + " || true"
    )
    return next((float(line.split()[0]) for line in log.splitlines() if float(line.split()[0]) > since), None)


def take_over(cluster: Cluster, failed: Node, start: float, what: str) -> Node:
    """Wait for another node to be active after a failure, and report how long it took. Returns that node."""
    new = settle(cluster)
    assert new is not failed
    decided = ucarp_says(new, "Switching to state: MASTER", start)
    flip = next(change.time for change in new.changes() if change.time > start and change.state == "active")
    assert decided
    both = seconds_with_two_active([Change(start, failed.name, "passive"), *cluster.changes_since(start)])
    report(
        f"ucarp {what}: {failed} -> {new}: ucarp's decision after {decided - start:.2f} s, "
        f"active after {flip - start:.2f} s, two successors at once for {both:.2f} s"
    )
    assert start < decided < flip < start + TAKEOVER
    assert both < CONTEST
    return new


def passive_since(node: Node, start: float) -> float:
    """Seconds from a time to a node's `passive`."""
    return next(change.time for change in node.changes() if change.time > start and change.state == "passive") - start


def test_password_is_in_a_file_of_roots_and_in_no_process_list(cluster: Cluster) -> None:
    output = cluster.nodes[0].run("stat -c %a:%U /etc/rcron-ucarp.password; cat /etc/rcron-ucarp.password; ps -eo args")
    assert output.startswith("600:root\n19characters-at-mos\n")
    assert output.count("19characters-at-mos") == 1


def test_master_alone_has_the_address(cluster: Cluster) -> None:
    active = cluster.active()
    holders = [node for node in cluster.nodes if "192.0.2.10/32" in node.run("ip -4 address show dev eth0")]
    assert holders == [active]


def test_another_node_takes_over_from_a_machine_that_died(cluster: Cluster) -> None:
    failed = cluster.active()
    start = failed.kill()
    new = take_over(cluster, failed, start, "machine killed")

    booted = time.time()
    failed.boot()
    after_boot = [change.state for change in failed.changes() if change.time >= booted]
    assert after_boot[:2] == ["boot", "passive"], "a node must be passive from its boot until ucarp says otherwise"
    wait_until(lambda: failed.try_run("pidof ucarp").stdout, f"{failed} runs ucarp again", 20)
    time.sleep(DEAF)
    assert cluster.active() is new, "without --preempt, whoever is master stays master"


def test_another_node_takes_over_from_one_that_is_asked_to_yield(cluster: Cluster) -> None:
    active = cluster.active()
    start = time.time()
    active.run("kill -USR2 $(pidof ucarp)")
    take_over(cluster, active, start, "USR2")
    report(f"ucarp USR2: {active} passive after {passive_since(active, start):.2f} s")


def test_a_clean_stop_makes_the_node_passive_and_another_active(cluster: Cluster) -> None:
    # The successor of one managed node is the other one, and node2 runs without --shutdown.
    stopped: list[str] = []
    while len(set(stopped)) < 2:
        assert len(stopped) < 6, f"the role goes to and fro between {stopped} and node3"
        active = managed_active(cluster)
        shutdown = active.name == "node1"
        what = f"stopped with{'' if shutdown else 'out'} --shutdown"
        start = time.time()
        active.run(f"systemctl stop {UNIT}")
        assert active.state() == "passive", "when systemctl returns, the node is passive"
        take_over(cluster, active, start, what)
        report(f"ucarp {what}: {active} passive after {passive_since(active, start):.2f} s")
        down = ucarp_says(active, f"Spawning [/usr/local/sbin/{UNIT}-down", start)
        assert (down is not None) == shutdown
        assert "192.0.2.10" not in active.run("ip -4 address show dev eth0")
        start_ucarp(active)
        stopped.append(active.name)


def test_the_node_turns_passive_when_the_units_ucarp_is_killed(cluster: Cluster) -> None:
    node = managed_active(cluster)
    start = time.time()
    node.run("kill -KILL $(pidof ucarp)")
    take_over(cluster, node, start, "killed (unit)")
    report(f"ucarp killed (unit): {node} passive after {passive_since(node, start):.2f} s")
    wait_until(lambda: node.try_run("pidof ucarp").stdout, "systemd starts ucarp again", 30)
    assert "192.0.2.10" not in node.run("ip -4 address show dev eth0")


def test_the_node_turns_passive_when_the_hosts_own_ucarp_is_killed(cluster: Cluster) -> None:
    own, managed = cluster.nodes[2], cluster.nodes[:2]
    for node in managed:
        node.run(f"systemctl stop {UNIT}")
    wait_until(lambda: own.state() == "active", f"{own} is active while no other ucarp runs", 30)
    for node in managed:
        node.run(f"systemctl start {UNIT}")
    assert settle(cluster) is own
    start = time.time()
    own.run("kill -KILL $(pidof ucarp)")
    take_over(cluster, own, start, "killed (ifupdown)")
    report(f"ucarp killed (ifupdown): {own} passive after {passive_since(own, start):.2f} s")
    # Only the agent can have noticed.
    assert re.search("feeder: +ucarp.*: no ucarp runs\n", own.run("rcronctl status"))


def test_a_ucarp_that_hangs_is_passive_before_another_takes_over(cluster: Cluster) -> None:
    node = cluster.active()
    start = time.time()
    node.run("kill -STOP $(pidof ucarp)")
    try:
        # It stays active until its agent has missed an answer, for longer than `settle` waits for a change.
        others = [each for each in cluster.nodes if each is not node]
        wait_until(lambda: any(each.state() == "active" for each in others), f"not {node} is active", TAKEOVER)
        new = settle(cluster)
        flip = next(change.time for change in new.changes() if change.time > start and change.state == "active")
        passive = passive_since(node, start)
        report(f"ucarp hangs: {node} passive after {passive:.2f} s, {new} active after {flip - start:.2f} s")
        assert passive < flip - start
        # Unknown, or passive if its successor is preferred to it.
        assert re.search("answer: +(unknown|passive)", node.run("rcronctl status"))
    finally:
        node.run("kill -CONT $(pidof ucarp)")
    # It hears the other's adverts, or the other hears those of this one: one of them yields.
    settle(cluster)


def test_a_preferred_node_preempts_and_broadcast_and_neutral_work(cluster: Cluster) -> None:
    first = cluster.nodes[0]
    first.run(f"systemctl stop {UNIT}")
    other = settle(cluster)
    start = time.time()
    start_with(first, "--preempt --neutral --nomcast")
    wait_until(lambda: first.state() == "active", f"{first} takes the role from a master that works", 30)
    flip = next(change.time for change in first.changes() if change.time > start and change.state == "active")
    # The others hear its broadcasts: they stay passive for longer than they would wait for a dead master.
    time.sleep(DEAF)
    assert cluster.active() is first
    both = seconds_with_two_active([Change(start, other.name, "active"), *cluster.changes_since(start)])
    report(f"ucarp preempts: {other} -> {first}: active {flip - start:.2f} s after its start, both for {both:.2f} s")
    assert both < CONTEST
    # --neutral: no down script at its start.
    down = ucarp_says(first, f"Spawning [/usr/local/sbin/{UNIT}-down", start)
    assert down is None or down > flip
