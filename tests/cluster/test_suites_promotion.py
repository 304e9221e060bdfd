# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Jobs that meet a change of their node's state: one waits for its promotion, one is ended at its demotion."""

import re
import time

from nodes import DOWN, Cluster, Node
from waiting import wait_until

from tests.cluster.measurement import report

#: Seconds within which the job runs on the successor: three adverts of a second, the skew, and what rcron adds.
TAKEOVER = 6.0

#: Seconds from TERM to KILL in the test's configuration.
KILL_AFTER = 2.0


def test_job_due_in_the_gap_is_run_by_the_successor(cluster: Cluster, node: Node) -> None:
    successor = node
    failing, bystander = (other for other in cluster.nodes if other is not successor)
    if cluster.settle(steady=1) is not failing:
        cluster.hand_over(failing)
    bystander.run("systemctl stop keepalived")  # so that it is the other one that takes over
    for other in cluster.nodes:
        other.run("rm -f /var/log/jobs/waited.log")
    try:
        for waiting, seconds in ((successor, 30), (bystander, 6)):
            job = f"rcron --takeover-wait {seconds} /usr/local/bin/record waited"
            waiting.run(f"systemd-run --quiet --collect --unit=waited {job}")
        time.sleep(1)
        assert successor.runs("waited") == []
        killed = failing.kill()
        run = wait_until(lambda: successor.runs("waited"), f"{successor} runs the job that waits there", 15)[0]
        entered = master_at(successor, killed)
        written = next(
            change.time for change in successor.changes() if change.time > killed and change.state == "active"
        )
        report(
            f"machine killed: {failing} -> {successor}: waiting job began after {run.time - killed:.2f} s;"
            f" from keepalived's transition to the state {1000 * (since(successor) - entered):.1f} ms,"
            f" from there to the job {1000 * (run.time - since(successor)):.0f} ms"
        )
        assert written - killed < TAKEOVER
        assert run.time - written < 3
        assert len(successor.runs("waited")) == 1

        ignored = "state=passive status=ignore cmd=/usr/local/bin/record waited"
        wait_until(lambda: ignored in bystander.run("cat /var/log/syslog"), f"{bystander} ignores the job", 15)
        assert bystander.runs("waited") == []
    finally:
        if failing.state() == DOWN:
            failing.boot()
        bystander.run("systemctl start keepalived")
    cluster.settle(steady=1)


def master_at(node: Node, after: float) -> float:
    """Return when keepalived logged that it became master, in seconds since the epoch."""
    log = node.run("journalctl -u keepalived -o short-unix")
    times = [float(line.split()[0]) for line in log.splitlines() if "Entering MASTER STATE" in line]
    return next(when for when in times if when > after)


def since(node: Node) -> float:
    """Return when the feeder wrote the state."""
    (written,) = re.findall(r"^since=(.*)", node.run("cat /run/rcron/state.feeder"), re.MULTILINE)
    return float(written)


def test_job_and_its_children_are_ended_when_their_node_is_demoted(cluster: Cluster, node: Node) -> None:
    if cluster.settle(steady=1) is not node:
        cluster.hand_over(node)
    node.run(
        f"{{ cat /etc/rcron/rcron.conf; echo on_demotion = terminate; echo kill_after = {KILL_AFTER:.0f}; }}"
        " >/etc/rcron/terminate.conf"
    )
    child, deaf, away = ("sleep 31001", "sleep 31002", "sleep 31003")
    job = f"{child} & (trap '' TERM; exec {deaf}) & setsid {away} & wait"
    node.run(f'systemd-run --quiet --collect --unit=demoted rcron --conf /etc/rcron/terminate.conf -c "{job}"')
    wait_until(
        lambda: node.run("pgrep -c -f '^sleep 3100[123]' || true") == "3\n", f"{node}'s job has three children", 5
    )
    start = time.time()
    ended = node.run(
        "systemctl stop keepalived &\n"
        + "".join(
            f"while pgrep -fx '{process}' >/dev/null; do sleep 0.02; done; date +%s.%N\n"
            for process in (child, away, deaf)
        )
        + "wait"
    )
    passive = next(change.time for change in node.changes() if change.time > start and change.state == "passive")
    heard, heard_away, killed = (float(when) - passive for when in ended.split())
    report(
        f"machine demoted: {node}: the job's child ended after {heard:.2f} s, what left its group after"
        f" {heard_away:.2f} s, what is deaf to TERM after {killed:.2f} s (kill_after {KILL_AFTER:.0f})"
    )
    node.run("systemctl start keepalived")
    cluster.settle(steady=1)
    assert heard < 3
    assert heard_away < 3
    assert KILL_AFTER - 0.2 < killed < KILL_AFTER + 1.5
    log = node.run("cat /var/log/syslog")
    assert re.search(r"state=passive status=demoted dur=\d+ cmd=sleep 31001", log)
    assert re.search(r"state=active status=fail dur=\d+ exit=143 cmd=sleep 31001", log)
