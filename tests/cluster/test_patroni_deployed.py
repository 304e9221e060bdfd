# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Jobs follow the primary of a real Patroni cluster. Each test begins with two members that are well, and
exactly one active node, the leader.

Patroni is set to a ttl of 10 s, loop_wait 1 and retry_timeout 3; rcron to a state_max_age of 6 s. Times are seconds.
"""

import time
from collections.abc import Iterator

import pytest
from nodes import DOWN, Change, Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.patroni import PATIENCE, etcd_of, other, runs_jobs, settled, switch_over

TTL = 10
MAX_AGE = 6.0

#: Seconds within which a node without Patroni must be passive, if a process is left that can write that. Less than the
#: ttl, after which the other node takes over.
AT_ONCE = 4.0

#: Seconds for which both state files may hold active in a switchover: Patroni gives up the leader's key first.
HANDOVER = 2.0

#: Without this, Debian's unit makes systemd restart a Patroni that was killed.
DROP_IN = "/run/systemd/system/patroni.service.d/stay-dead.conf"
STAY_DEAD = f"""
    mkdir -p {DROP_IN.rpartition("/")[0]} && printf '[Service]\\nRestart=no\\n' >{DROP_IN} && systemctl daemon-reload
"""


@pytest.fixture(autouse=True)
def active(cluster: Cluster) -> Iterator[Node]:
    """The active node, which is the leader."""
    yield settled(cluster)
    etcd_of(cluster).run("systemctl start etcd")
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
        node.run(f"rm -f {DROP_IN}; systemctl daemon-reload; pkill -CONT -x patroni; systemctl start patroni")


def follow(cluster: Cluster, old: Node, start: float) -> "tuple[Node, float]":
    """Wait until only the other node runs the jobs; return it, and how many seconds after a time that was."""
    new = other(cluster, old)
    wait_until(lambda: new.state() == "active", f"{new} is active", PATIENCE)
    assert runs_jobs(cluster) == [new.name]
    return new, first(new, start, "active")


def first(node: Node, start: float, state: str) -> float:
    """Return how many seconds after a time a node's state file first held a state."""
    return next(change.time for change in node.changes() if change.time > start and change.state == state) - start


def states_since(node: Node, start: float) -> list[str]:
    return [change.state for change in node.changes() if change.time >= start]


def both_active(cluster: Cluster, old: Node, start: float) -> float:
    """Return for how long two state files held active since a time at which only one did."""
    return seconds_with_two_active([Change(start, old.name, "active"), *cluster.changes_since(start)])


def until_passive(node: Node) -> float:
    """Return when a job on the node finds it passive."""
    return float(node.run("for _ in $(seq 300); do rcronctl is-active -q || break; sleep 0.1; done; date +%s.%N"))


def test_the_leader_is_active_and_watched_and_only_the_state_is_postgres_s(cluster: Cluster, active: Node) -> None:
    assert "patroni, alive, " in active.run("rcronctl status")
    assert active.run("stat -c '%U %a' /run/rcron /run/rcron/state").split() == ["postgres", "711", "postgres", "644"]

    passive = other(cluster, active)
    passive.run("runuser -u postgres -- rcronctl set passive")
    for more in ("rcronctl pin active", "touch /etc/rcron/x", "touch /etc/rcron/rcron.conf", "touch /usr/lib/rcron/x"):
        assert passive.try_run(f"runuser -u postgres -- {more}").returncode != 0, more

    # postgres cannot mislead root with what it puts there, and keeps its files.
    astray = """
        set -e; cd /run/rcron; echo secret >/root/kept; chmod 600 /root/kept
        runuser -u postgres -- sh -ec 'ln -sf /root/kept state; ln -sf /root/kept state.feeder'
        rcronctl set passive >/dev/null
        stat -c %U state state.feeder; cat state /root/kept; stat -c '%U %a' /root/kept
        runuser -u postgres -- sh -ec 'rm state.lock; ln -s /root/kept state.lock'
        rcronctl set passive >/dev/null; stat -c '%U %a' /root/kept; cat /root/kept
        runuser -u postgres -- rm state.lock
        rcronctl set passive >/dev/null; stat -c '%U %a' state.lock; rm /root/kept
    """
    said = passive.run(astray)
    assert " ".join(said.split()) == "postgres postgres passive secret root 600 root 600 secret postgres 600"


def test_jobs_follow_the_primary_through_a_switchover(cluster: Cluster, active: Node) -> None:
    new = other(cluster, active)
    start = time.time()
    switch_over(cluster, new)
    new, taken = follow(cluster, active, start)
    passive = first(active, start, "passive")
    both = both_active(cluster, active, start)
    report(
        f"patroni switched: {active} passive after {passive:.1f} s, {new} active after {taken:.1f} s, "
        f"both for {both:.2f} s"
    )
    assert both < HANDOVER
    assert settled(cluster) is new
    # The administrator's own callback, which was there before ours.
    role = active.run("tail -n 1 /var/log/jobs/note-role.log")
    assert role == f"of {active} on_role_change replica billing\n"


def test_clean_stop_means_passive_and_the_other_takes_over(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("systemctl stop patroni")
    assert active.state() == "passive"
    new, taken = follow(cluster, active, start)
    passive = first(active, start, "passive")
    both = both_active(cluster, active, start)
    report(
        f"patroni stopped: {active} passive after {passive:.1f} s, {new} active after {taken:.1f} s, "
        f"both for {both:.2f} s"
    )
    assert both < HANDOVER

    started = time.time()
    active.run("systemctl start patroni")
    assert settled(cluster) is new
    assert "active" not in states_since(active, started)


def test_killed_patroni_that_systemd_starts_again_goes_on_as_leader(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("pkill -KILL -x patroni")
    again = settled(cluster)
    passive, back = first(active, start, "passive"), first(again, start, "active")
    report(f"patroni restarted: {active} passive after {passive:.2f} s, {again} active after {back:.1f} s")
    assert passive < AT_ONCE
    assert both_active(cluster, active, start) == 0


def test_killed_patroni_means_passive_at_once_and_the_other_takes_over(cluster: Cluster, active: Node) -> None:
    active.run(STAY_DEAD)
    start = time.time()
    active.run("pkill -KILL -x patroni")
    # The database keeps running as a primary: nothing is left to stop it.
    assert active.run("runuser -u postgres -- psql -Atc 'select pg_is_in_recovery()'") == "f\n"
    new, taken = follow(cluster, active, start)
    passive = first(active, start, "passive")
    report(f"patroni killed: {active} passive after {passive:.2f} s, {new} active after {taken:.1f} s (ttl {TTL})")
    assert passive < AT_ONCE
    assert both_active(cluster, active, start) == 0

    # Patroni finds that primary running, and takes it for the leader until it has asked etcd.
    started = time.time()
    active.run("systemctl start patroni")
    assert settled(cluster) is new
    assert "active" not in states_since(active, started)


def test_stopped_patroni_means_stale_before_the_other_takes_over(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("pkill -STOP -x patroni")
    stale = until_passive(active) - start
    assert "but was last refreshed" in active.run("rcronctl status")
    new, taken = follow(cluster, active, start)
    report(f"patroni frozen: {active} stale after {stale:.1f} s, {new} active after {taken:.1f} s (ttl {TTL})")
    assert stale < taken, "two were active"
    assert stale < MAX_AGE + AT_ONCE

    # Patroni chooses the leader then: mostly the new one, once the old one.
    active.run("pkill -CONT -x patroni")
    settled(cluster)


def test_the_other_takes_over_from_a_machine_that_died(cluster: Cluster, active: Node) -> None:
    start = active.kill()
    new, taken = follow(cluster, active, start)
    report(f"machine killed: {active}, {new} active after {taken:.1f} s (ttl {TTL})")

    booted = time.time()
    active.boot()
    assert settled(cluster) is new
    states = states_since(active, booted)
    assert states[:2] == ["boot", "passive"]
    assert "active" not in states


def test_without_etcd_nobody_is_active(cluster: Cluster, active: Node) -> None:
    etcd = etcd_of(cluster)
    start = time.time()
    etcd.run("systemctl stop etcd")
    passive = until_passive(active) - start
    report(f"patroni isolated: etcd gone, {active} passive after {passive:.1f} s")
    time.sleep(max(0.0, TTL - passive))
    assert runs_jobs(cluster) == []
    assert [change.state for change in cluster.changes_since(start)] == ["passive"]

    started = time.time()
    etcd.run("systemctl start etcd")
    again = settled(cluster)
    report(f"patroni isolated: etcd back, {again} active after {first(again, started, 'active'):.1f} s")
