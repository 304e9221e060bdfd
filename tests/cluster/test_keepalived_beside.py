# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Two clusters on the same two nodes, beside a keepalived.conf that is somebody else's: billing follows a VRRP instance
that node one takes whenever it can, mail a sync group of two instances with nopreempt. Run once for each hook's form.

Times are seconds. Adverts come every second; the instances track a script and files.
"""

import re
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report

#: Seconds within which keepalived has decided and the state is written: 3.6 s of silence, and a busy machine.
DECIDED = 15.0

#: Seconds for which two nodes may be active during a hand-over: the hooks' own time, on a busy machine.
OVERLAP = 3.0

#: The administrator's files before the deployment.
HIS = "$([ -d /var/tmp/notify ] && echo /var/tmp/notify || echo /var/tmp/before/keepalived)"


@pytest.fixture
def halves(cluster: Cluster, mail: Cluster) -> Iterator[tuple[Node, Node]]:
    """The two nodes: the first has the one active half of the jobs, the second has the other."""
    one, two = cluster.nodes
    if mail.settle(steady=0.5).name == one.name:
        one.run("echo 1 >/run/mail-is-off")
        wait_until(lambda: mail.states() == {"one": "passive", "two": "active"}, "mail is where it should be", DECIDED)
        one.run("echo 0 >/run/mail-is-off")
    wait_until(lambda: cluster.states() == {"one": "active", "two": "passive"}, "billing is where it belongs", DECIDED)
    yield one, two
    cluster.on_all(
        lambda node: node.run("cd /run && rm -f app-is-down && echo 0 >billing-is-off && echo 0 >mail-is-off")
    )


def overlap(cluster: Cluster, start: float) -> float:
    """Return for how long two state files have held active since a time."""
    last = {change.node: change for node in cluster.nodes for change in node.changes() if change.time < start}
    return seconds_with_two_active(
        [*(change._replace(time=start) for change in last.values()), *cluster.changes_since(start)]
    )


def when(cluster: Cluster, start: float, node: Node, state: str) -> float:
    """Return after how many seconds a node's state file held a state."""
    return next(
        change.time - start
        for change in cluster.changes_since(start)
        if change.node == node.name and change.state == state
    )


def test_administrators_files_are_unchanged_byte_for_byte(node: Node) -> None:
    node.run(
        f"cd /etc/keepalived && diff -r conf.d {HIS}/conf.d"
        f" && {{ grep -qx 'include /etc/keepalived/rcron.conf' keepalived.conf && tail -n +2 keepalived.conf"
        f" || cat keepalived.conf; }} | cmp - {HIS}/keepalived.conf"
    )


def test_feeder_of_the_active_node_lives_and_refreshes_both_states(
    cluster: Cluster, mail: Cluster, halves: tuple[Node, Node]
) -> None:
    for active in (cluster.active(), mail.active()):
        status = active.run(f"rcronctl --conf {active.conf} status")
        assert "feeder:         keepalived, alive, spoke" in status
        assert active.run(f"grep state_max_age {active.conf}") == "state_max_age = 10\n"
        (file,) = re.findall(r"state file: +(.*)", status)
        before = float(active.run(f"stat -c %.Y {file}"))
        # Called at once, so the loop's variable still has its value.
        wait_until(lambda: float(active.run(f"stat -c %.Y {file}")) > before, f"{file} is refreshed", DECIDED)  # noqa: B023


def test_half_of_the_jobs_runs_on_each_node(cluster: Cluster, halves: tuple[Node, Node]) -> None:
    """By the commands in the nodes' crontabs."""
    jobs = ("billing", "mail")
    before = {(node.name, job): len(node.runs(job)) for node in halves for job in jobs}
    for node in halves:
        node.run("crontab -l | sed -n 's/^[*] [*] [*] [*] [*] //p' | sh")
    ran = {(node.name, job) for node in halves for job in jobs if len(node.runs(job)) > before[node.name, job]}
    assert ran == {("one", "billing"), ("two", "mail")}


def test_script_that_fails_moves_its_own_cluster_and_brings_it_back(
    cluster: Cluster, mail: Cluster, halves: tuple[Node, Node]
) -> None:
    one, two = halves
    start = time.time()
    one.run("touch /run/app-is-down")
    wait_until(lambda: two.state() == "active", f"{two} has billing, whose script fails on {one}", DECIDED)
    assert cluster.active() is two
    assert mail.active().name == two.name
    left, taken = when(cluster, start, one, "passive"), when(cluster, start, two, "active")
    both = overlap(cluster, start)
    report(f"keepalived tracks: a script fails, {one} passive after {left:.2f} s, {two} active after {taken:.2f} s")
    assert both < OVERLAP
    start = time.time()
    one.run("rm /run/app-is-down")
    wait_until(lambda: cluster.states() == {"one": "active", "two": "passive"}, f"{one} has billing back", DECIDED)
    back, both = when(cluster, start, one, "active"), overlap(cluster, start)
    report(f"keepalived tracks: it recovers, {one} active after {back:.2f} s, both active for {both:.2f} s")
    assert both < OVERLAP
    assert mail.active().name == two.name


def test_fault_of_one_instance_moves_its_sync_group_and_nopreempt_leaves_it_there(
    cluster: Cluster, mail: Cluster, halves: tuple[Node, Node]
) -> None:
    one, two = mail.nodes
    start = time.time()
    two.run("echo 1 >/run/mail-is-off")
    wait_until(lambda: one.state() == "active", f"{one} has mail, whose file says off on {two}", DECIDED)
    assert mail.active() is one
    assert cluster.active().name == one.name
    left, taken = when(mail, start, two, "passive"), when(mail, start, one, "active")
    report(f"keepalived tracks: a file says off, {two} passive after {left:.2f} s, {one} active after {taken:.2f} s")
    assert overlap(mail, start) < OVERLAP
    two.run("echo 0 >/run/mail-is-off")
    time.sleep(5)  # longer than a node that preempts waits before it does
    assert mail.states() == {"one": "active", "two": "passive"}


def entered(node: Node) -> list[tuple[float, str]]:
    """Return when billing's instance entered which state on a node, from keepalived's log."""
    journal = node.run("journalctl -u keepalived --output=short-unix --grep='.VI_billing. Entering'")
    return [(float(when), state) for when, state in re.findall(r"^(\S+) .*Entering (\w+) STATE", journal, re.MULTILINE)]


@pytest.fixture
def restless(cluster: Cluster, halves: tuple[Node, Node]) -> Iterator[tuple[Node, Node]]:
    """The nodes with adverts every 0.02 s, so that an instance is master 0.1 s after its fault has gone."""
    fast = r"sed -i 's/^    advert_int 1$/    version 3\n    advert_int 0.02/' /etc/keepalived/conf.d/billing.conf"
    cluster.on_all(lambda node: node.run(f"{fast}; systemctl restart keepalived"))
    time.sleep(5)
    yield halves
    cluster.on_all(lambda node: node.run(f"cp -a {HIS}/conf.d /etc/keepalived/; systemctl restart keepalived"))
    time.sleep(5)


def test_burst_of_200_transitions_ends_in_keepaliveds_own_final_state(
    cluster: Cluster, restless: tuple[Node, Node]
) -> None:
    one = restless[0]
    start = time.time()

    def burst_of(node: Node) -> list[str]:
        return [state for at, state in entered(node) if at > start]

    while len(burst_of(one)) < 200:  # a keepalived that waits for its turn on a busy machine misses some
        assert time.time() - start < 400, f"keepalived has had {len(burst_of(one))} transitions"
        one.run(
            "for turn in $(seq 35); do"
            " echo 1 >/run/billing-is-off; sleep 0.03; echo 0 >/run/billing-is-off; sleep 0.13;"
            " done"
        )
    # With so short an interval, keepalived on a busy machine changes state by itself: look while it is calm.
    wait_until(lambda: all(time.time() - entered(node)[-1][0] > 3 for node in restless), "keepalived is calm again", 90)

    def final() -> dict[str, str]:
        return {node.name: burst_of(node)[-1] for node in restless}

    def is_right() -> bool:
        meant = {"MASTER": "active", "BACKUP": "passive"}
        return cluster.states() == {name: meant.get(state) for name, state in final().items()}

    # Hooks of `notify` may still be at work, and an agent that was starved distrusts a keepalived that was, too.
    wait_until(is_right, "the states are keepalived's, which is master on one node", 60)
    counts = {node.name: len(burst_of(node)) for node in restless}
    master = burst_of(one).count("MASTER")
    report(f"keepalived flaps: {counts} transitions, {master} to MASTER on one, end in {final()}")
    assert sorted(final().values()) == ["BACKUP", "MASTER"]
    assert master >= 10
