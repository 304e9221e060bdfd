# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How rcron handles each way in which a real Heartbeat can end, beside an administrator's own files: keepalive 500ms,
deadtime 3, auto_failback off. Each test begins and ends with one active node, and a Heartbeat on both.

Times are seconds. Each test but the first two begins with the node active that the one before left so.
"""

import time
from collections.abc import Iterator

import pytest
from nodes import DOWN, Change, Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.heartbeat import PARTITION, repair, settle
from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

#: Seconds of silence after which Heartbeat takes over (ha.cf).
DEADTIME = 3.0

#: Seconds within which the other node takes over on a busy machine: deadtime, Heartbeat's scripts, and the wrapper.
TAKEOVER = 15.0

#: Seconds within which a node without Heartbeat must be passive.
AT_ONCE = 3.0


@pytest.fixture
def active(cluster: Cluster) -> Iterator[Node]:
    """The active node, with a Heartbeat that has settled on both; afterwards both run one again."""
    yield settle(cluster)
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
        node.run("systemctl is-active --quiet heartbeat || systemctl start heartbeat")
    settle(cluster)


#: All its processes, the master first: it would restart children that are killed before it, and those would live on and
#: take the peer's packets from the next Heartbeat. Some end by themselves after the master.
KILL = "kill -KILL $(pidof heartbeat | tr ' ' '\\n' | sort -n) || true"


def other(cluster: Cluster, node: Node) -> Node:
    return next(each for each in cluster.nodes if each is not node)


def record(node: Node) -> dict[str, str]:
    """Return the record that the feeder keeps beside the state file."""
    return dict(line.split("=", 1) for line in node.run("cat /run/rcron/state.feeder").splitlines())


def first(node: Node, state: str, since: float) -> float:
    """Return how many seconds after a time a node's state file first held a state."""
    return next(change.time - since for change in node.changes() if change.time > since and change.state == state)


def taken_over(cluster: Cluster, failed: Node, start: float, what: str) -> Node:
    """Wait for the other node's takeover, print how long it took, and return that node."""
    new = other(cluster, failed)
    wait_until(lambda: new.state() == "active", f"{new} takes over from {failed}", TAKEOVER)
    flip = first(new, "active", start)
    # Heartbeat's own words, from the kill to its decision.
    words = "node {}: is dead" if "killed" in what or "cut" in what else "Resources being acquired from {}"
    log = f"journalctl -u heartbeat -o short-unix --no-pager --since @{int(start)}"
    found = new.run(f"{log} | grep -F '{words.format(failed.name)}' | head -n 1")
    detected = float(found.split()[0]) - start
    report(f"{what}: {new} active after {flip:.2f} s, of which Heartbeat needed {detected:.2f} s (deadtime 3)")
    assert detected < flip
    return new


def two_active(cluster: Cluster, active: Node, start: float) -> float:
    """Return for how long two state files held active since a time at which one did."""
    return seconds_with_two_active([Change(start, active.name, "active"), *cluster.changes_since(start)])


def test_the_running_heartbeat_was_asked_and_nothing_was_moved(cluster: Cluster) -> None:
    for node, states in zip(cluster.nodes, (["active", "passive"], ["passive", "active"])):
        asked = "rcronctl is-active; rcronctl --conf /etc/rcron/mail.conf is-active; true"
        assert node.run(asked).split() == states
        assert node.run("journalctl -u heartbeat | grep -c shutdown || true").strip() == "0"
    first, second = cluster.nodes
    assert "heartbeat, alive," in first.run("rcronctl status")
    # Before a fault, the nodes hold those resources that are theirs.
    assert record(first)["words"] == "cl_status rscstatus: local"
    assert "heartbeat, alive," in second.run("rcronctl --conf /etc/rcron/mail.conf status")
    # The node with the cluster's own address runs its jobs.
    assert "192.0.2.10/32" in second.run("ip -4 address show eth0")


def test_reload_hands_nothing_over(cluster: Cluster, active: Node) -> None:
    """Heartbeat says nothing while it restarts itself; with a deadtime of 3 s that may be too long to stay active."""
    start = time.time()
    before = record(active)
    heartbeat = "/usr/libexec/heartbeat/heartbeat"
    active.run(f"cd /etc/ha.d && cp -p ha.cf ha.cf.own && echo '# reload' >>ha.cf && {heartbeat} -r")
    wait_until(
        lambda: active.try_run("journalctl -u heartbeat | grep -F 'Performing heartbeat restart exec'").stdout,
        f"{active}: Heartbeat restarts itself",
        20,
    )
    settle(cluster)
    active.run(f"mv /etc/ha.d/ha.cf.own /etc/ha.d/ha.cf && {heartbeat} -r")
    settle(cluster)
    changes = cluster.changes_since(start)
    assert {change.node for change in changes} <= {active.name}
    times = [change.time for change in changes]
    away = sum(after - before for before, after in zip(times[::2], times[1::2]))
    report(f"heartbeat reloaded twice: {active} passive {len(times) // 2} times, {away:.2f} s in all")
    assert cluster.active() is active
    assert record(active)["pid"] == before["pid"]
    assert "alive" in active.run("rcronctl status")


def test_clean_stop_hands_over_and_the_host_that_comes_back_stays_passive(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("systemctl stop heartbeat")
    assert active.state() == "passive"
    new = taken_over(cluster, active, start, "heartbeat stopped")
    report(f"heartbeat stopped: {active} passive after {first(active, 'passive', start):.2f} s")
    assert two_active(cluster, active, start) == 0
    # The second cluster's role has gone the same way, and both are there now.
    assert new.run("rcronctl --conf /etc/rcron/mail.conf is-active") == "active\n"
    active.run("systemctl start heartbeat")
    settle(cluster)
    assert cluster.active() is new, "auto_failback is off"


def test_killed_heartbeat_means_passive_at_once(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run(KILL)
    new = taken_over(cluster, active, start, "heartbeat killed")
    passive = first(active, "passive", start)
    report(f"heartbeat killed: {active} passive after {passive:.2f} s")
    assert passive < AT_ONCE
    assert two_active(cluster, active, start) == 0
    assert cluster.active() is new


def test_killed_heartbeat_whose_unit_does_nothing_is_seen_by_the_agent(cluster: Cluster, active: Node) -> None:
    drop_in = "/etc/systemd/system/heartbeat.service.d/rcron.conf"
    active.run(f"mv {drop_in} /root/drop-in && systemctl daemon-reload")
    try:
        start = time.time()
        active.run(KILL)
        wait_until(lambda: active.state() == "passive", f"{active} is passive", TAKEOVER)
        assert record(active)["words"] == "Heartbeat is not running"
        passive = first(active, "passive", start)
        report(f"heartbeat killed: {active} passive after {passive:.2f} s, by the agent alone")
        assert passive < AT_ONCE
        taken_over(cluster, active, start, "heartbeat killed")
    finally:
        active.run(f"mv /root/drop-in {drop_in} && systemctl daemon-reload")


def test_killed_machine_is_followed_and_comes_back_passive(cluster: Cluster, active: Node) -> None:
    start = active.kill()
    new = taken_over(cluster, active, start, "machine killed")
    booted = time.time()
    active.boot()
    settle(cluster)
    assert cluster.active() is new
    assert [change.state for change in active.changes() if change.time > booted] == ["boot", "passive"]


def test_network_cut_leaves_both_active_until_it_heals(cluster: Cluster, active: Node) -> None:
    """Two nodes without a quorum cannot do better, as the documentation says. rcron must follow Heartbeat."""
    cut = time.time()
    active.run("ip link set eth0 down")
    try:
        new = taken_over(cluster, active, cut, "network cut")
        assert cluster.states() == {active.name: "active", new.name: "active"}
    finally:
        healed = time.time()
        active.run("ip link set eth0 up")
    wait_until(lambda: list(cluster.states().values()) != ["active"] * 2, "a node gives up", PARTITION)
    given_up = time.time() - healed

    repair(cluster, "network cut")
    settle(cluster)
    now = max(change.time for change in cluster.changes_since(healed)) - healed
    both = two_active(cluster, active, cut)
    report(
        f"network cut: both active for {both:.1f} s, until {given_up:.1f} s after it had healed; "
        f"one active again {now:.1f} s after that"
    )
    assert both > 0


def test_removal_is_refused_while_haresources_names_the_resource(cluster: Cluster, play: Play) -> None:
    ran = play("rcron.cluster.remove")
    assert ran.returncode != 0
    said = " ".join(ran.stdout.split())
    for node in cluster.nodes:
        assert f"{node}: /etc/ha.d/haresources names" in said
    assert "take it out of the file on both hosts first" in said
    assert list(cluster.states().values()).count("active") == 1
