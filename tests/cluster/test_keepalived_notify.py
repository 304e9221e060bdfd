# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How rcron handles each way in which keepalived can end if it calls rcron by `notify` and its FIFO is in other use.

Times are seconds. What is true of both forms is in test_keepalived_beside.py.
"""

import re
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

#: Seconds within which a node without keepalived must be passive, if a process is left that can write that.
AT_ONCE = 6.0  # on a machine that is busy; state_max_age is 10

#: Seconds within which another node takes over: three adverts, the skew and the wrapper's part, on a busy machine.
TAKEOVER = 12.0

#: Seconds after which all is as before, if keepalived and the agent were started anew: an election, and its distrust.
CALM = 40.0


@pytest.fixture
def active(cluster: Cluster) -> Iterator[Node]:
    """Node one, which is billing's active node. Afterwards keepalived runs again."""
    one = cluster.nodes[0]
    wait_until(lambda: cluster.states() == {"one": "active", "two": "passive"}, "billing is where it belongs", CALM)
    yield one
    if one.try_run("systemctl is-active --quiet keepalived").returncode:
        one.run("systemctl stop keepalived; systemctl reset-failed keepalived; systemctl start keepalived")
    cluster.settle(steady=1)


def record(node: Node) -> dict[str, str]:
    """Return the record that the feeder keeps beside the state file."""
    return dict(line.split("=", 1) for line in node.run("cat /run/rcron/state.feeder").splitlines())


def when(cluster: Cluster, start: float, node: Node, state: str) -> float:
    """Return after how many seconds a node's state file held a state; 0 if it held it already, as on a starved one."""
    return next(
        (
            change.time - start
            for change in cluster.changes_since(start)
            if change.node == node.name and change.state == state
        ),
        0.0,
    )


def flip(cluster: Cluster, start: float) -> tuple[float, float]:
    """After how many seconds node one was passive, and node two active, for which this waits."""
    one, two = cluster.nodes
    wait_until(lambda: two.state() == "active", f"{two} takes over", TAKEOVER)
    return when(cluster, start, one, "passive"), when(cluster, start, two, "active")


def test_second_run_changes_nothing(play: Play) -> None:
    ran = play("molecule/keepalived/notify.yml")
    assert ran.returncode == 0, ran.stdout
    assert re.findall(r"changed=(\d+)", ran.stdout) == ["0", "0"], ran.stdout


def test_check_of_the_whole_deployment_passes(cluster: Cluster, mail: Cluster, play: Play) -> None:
    wait_until(lambda: cluster.settle(steady=1) and mail.settle(steady=1), "both clusters are calm", TAKEOVER)
    ran = play("rcron.cluster.check")
    assert ran.returncode == 0, ran.stdout


def test_configuration_has_nothing_of_ours_but_the_lines_that_its_owner_wrote(node: Node) -> None:
    node.run("cmp /etc/keepalived/keepalived.conf /var/tmp/notify/keepalived.conf")
    assert node.run("cd /etc/keepalived && find . ! -path './keepalived.con*' | LC_ALL=C sort") == (
        ".\n./conf.d\n./conf.d/billing.conf\n./conf.d/mail.conf\n"
    )
    assert node.try_run("ls /run/rcron-keepalived.fifo").returncode != 0


def test_owners_reader_has_its_fifo(node: Node) -> None:
    assert 'INSTANCE "VI_billing" ' in node.run("cat /var/log/own-events")


def test_fifo_form_is_refused_with_the_fix_and_nothing_is_changed(cluster: Cluster, play: Play) -> None:
    ran = play("molecule/keepalived/converge.yml")
    assert ran.returncode != 0, ran.stdout
    said = " ".join(ran.stdout.split())
    for node in cluster.nodes:
        assert (
            f"{node}: /etc/keepalived/keepalived.conf:4 has a vrrp_notify_fifo already, and keepalived knows only one:"
            " take it out, or leave it, set rcron_keepalived_hook_form: notify"
        ) in said
        assert re.search(rf"{node} +: .* changed=0 ", ran.stdout)
        node.run("cmp /etc/keepalived/keepalived.conf /var/tmp/notify/keepalived.conf")


def test_reload_leaves_the_state_and_what_refreshes_it(cluster: Cluster, active: Node) -> None:
    before, start = record(active), time.time()
    active.run("systemctl reload keepalived")
    time.sleep(4)
    assert (record(active)["pid"], record(active)["since"]) == (before["pid"], before["since"])
    assert [change.state for change in active.changes() if change.time > start] == []
    assert cluster.active() is active
    assert "keepalived, alive, spoke" in active.run("rcronctl status")


def test_killed_keepalived_means_passive_at_once_and_a_peer_takes_over(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("kill -KILL $(pgrep keepalived)")
    passive, taken = flip(cluster, start)
    report(f"keepalived killed: by notify, one passive after {passive:.2f} s, two active after {taken:.2f} s")
    assert passive < AT_ONCE
    assert passive < taken


def test_keepalived_killed_with_the_agent_means_passive_by_the_unit(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run(f"kill -KILL {record(active)['pid']} $(pgrep keepalived)")
    wait_until(lambda: active.state() == "passive", f"{active} is passive by ExecStopPost=", AT_ONCE)
    report(f"keepalived killed: by notify, with the agent, one passive after {time.time() - start:.2f} s")
    flip(cluster, start)
    assert cluster.states() == {"one": "passive", "two": "active"}


def test_killed_vrrp_process_means_passive_until_keepalived_says_otherwise(cluster: Cluster, active: Node) -> None:
    start = time.time()
    active.run("kill -KILL $(pgrep keepalived_vrrp)")
    passive = wait_until(
        lambda: [change.time for change in active.changes() if change.time > start and change.state == "passive"],
        f"{active} is passive after its VRRP process was killed",
        TAKEOVER,
    )[0]
    report(f"keepalived respawned: by notify, one passive after {passive - start:.2f} s")
    wait_until(lambda: cluster.states() == {"one": "active", "two": "passive"}, f"{active} is master again", CALM)
    assert "keepalived, alive, spoke" in active.run("rcronctl status")


def test_clean_stop_means_passive_at_once_and_a_peer_takes_over(cluster: Cluster, mail: Cluster, active: Node) -> None:
    start = time.time()
    active.run("systemctl stop keepalived")
    assert active.state() == "passive"
    assert mail.nodes[0].state() == "passive"
    passive, taken = flip(cluster, start)
    report(f"keepalived stopped: by notify, one passive after {passive:.2f} s, two active after {taken:.2f} s")
    assert passive < AT_ONCE
    # A hook that has not ended a second after STOP is killed; then the unit's ExecStopPost= writes the state.
    assert re.search(
        r'state=passive status=changed event=(keepalived:(INSTANCE "VI_billing" STOP|ended)|operator:set passive)',
        active.run(f"journalctl --identifier=rcron --since=@{int(start)}"),
    )


def test_hook_that_comes_too_late_changes_nothing_and_keepalived_decides(cluster: Cluster, active: Node) -> None:
    """Started first and stopped before its first step, it goes on when a later one has ended, which was not true."""
    feed = "rcronctl feed keepalived --instance VI_billing INSTANCE VI_billing"
    start = time.time()
    active.run(
        f"""
        sh -c 'kill -STOP $$; exec {feed} MASTER 150' &
        until grep -q '^State:.T' /proc/$!/status; do sleep 0.05; done
        sleep 0.05  # a process' start is known to a hundredth of a second
        {feed} BACKUP 150
        kill -CONT $!
        wait $!
        """
    )
    wait_until(lambda: active.state() == "active", "keepalived says that it is master", TAKEOVER)
    assert [change.state for change in active.changes() if change.time > start] == ["passive", "active"]
    # rcron-agent may have been faster than the late hook; what must not be is that the hook has made the node active.
    log = active.run(f"journalctl --identifier=rcron --since=@{start:.3f}")
    assert "state=active status=changed event=keepalived:VI_billing is MASTER" in log
    assert "state=active status=changed event=keepalived:INSTANCE" not in log


def test_upgrade_of_the_wrapper_needs_no_reload(cluster: Cluster, active: Node) -> None:
    """keepalived resolves a link when it loads its configuration (realpath); that is why the line begins with env."""
    two = cluster.nodes[1]
    two.run(
        """
        set -eu
        cd /usr/bin
        printf '#!/bin/sh\\ntouch /run/next-version\\nexec %s "$@"\\n' "$(readlink -f rcronctl)" >rcronctl.next
        chmod +x rcronctl.next
        mv rcronctl rcronctl.last
        ln -s rcronctl.next rcronctl
        """
    )
    try:
        active.run("echo 1 >/run/billing-is-off")
        wait_until(lambda: two.state() == "active", f"{two} takes over", TAKEOVER)
        two.run("test -e /run/next-version")
    finally:
        active.run("echo 0 >/run/billing-is-off")
        two.run("cd /usr/bin && mv rcronctl.last rcronctl && rm rcronctl.next /run/next-version")
