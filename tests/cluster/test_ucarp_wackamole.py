# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A second cluster on node1, which a stand-in for wackamole feeds, beside ucarp's."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.faults import GRACE
from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

DEPLOY = Path(__file__).parents[2] / "molecule/ucarp/wackamole.yml"

#: The configuration, and the settings of the playbook.
CONF = "/etc/rcron/mail.conf"
MAX_AGE = 10.0

#: A virtual interface of two addresses, the second of which is the cluster's.
OURS = "eth0:192.0.2.21/255.255.255.255 eth0:192.0.2.20/255.255.255.255"
THEIRS = "eth0:192.0.2.22/255.255.255.255"

#: Not in the unit wackamole, whose drop-in would make the node passive, too. The control socket is the one that the
#: role takes if wackamole.conf names none.
START = """
    rm -f /run/wackamole; mkfifo /run/wackamole
    systemd-run --quiet --unit=stand-in \
        sh -c 'exec wackamole /usr/local/lib/rcron-wackamole 0 /var/run/wack.it <>/run/wackamole'
"""


def state(node: Node) -> str:
    return node.try_run(f"rcronctl --conf {CONF} is-active").stdout.strip()


def becomes(node: Node, wanted: str, within: float = 15.0) -> float:
    """Wait for a state. Returns after how many seconds it was there."""
    start = time.time()
    wait_until(lambda: state(node) == wanted, f"{node} is {wanted} in wackamole's cluster", within)
    return time.time() - start


def send(node: Node, event: str) -> None:
    """Give wackamole an event."""
    node.run(f"echo '{event}' >/run/wackamole")


@pytest.fixture
def wackamole(cluster: Cluster) -> Iterator[Node]:
    """The node, with a wackamole that holds nothing."""
    node = cluster.nodes[0]
    active = cluster.active()
    becomes(node, "passive")
    node.run(START)
    send(node, f"up {THEIRS}")
    send(node, "post up")
    yield node
    node.run("systemctl kill --signal=KILL stand-in; rm -f /run/wackamole; systemctl reset-failed stand-in; true")
    assert cluster.active() is active, "ucarp's cluster has not been disturbed"


def test_second_run_would_change_nothing(play: Play) -> None:
    ran = play("--check", str(DEPLOY))
    assert ran.returncode == 0, ran.stdout
    assert re.findall(r"changed=(\d+)", ran.stdout) == ["0"], ran.stdout


def test_the_holder_of_the_address_is_active(wackamole: Node) -> None:
    time.sleep(1)
    assert state(wackamole) == "passive"
    for event, wanted in (("up", "active"), ("down", "passive"), ("up", "active")):
        send(wackamole, f"{event} {OURS}")
        report(f"wackamole {event}: {wanted} after {becomes(wackamole, wanted):.2f} s")
    send(wackamole, f"down {THEIRS}")
    time.sleep(1)
    # The hook of before, if it is slow, still says passive now, and an agent that has just been started believes
    # wackamole only 10 s later.
    becomes(wackamole, "active")
    assert "feeder:         wackamole, alive, " in wackamole.run(f"rcronctl --conf {CONF} status")
    wackamole.run("systemctl kill --signal=KILL stand-in")
    report(f"wackamole killed: passive after {becomes(wackamole, 'passive'):.2f} s")


def test_events_that_are_lost(wackamole: Node) -> None:
    for event, wanted in (("up", "active"), ("down", "passive")):
        send(wackamole, f"lose {event} {OURS}")
        report(f"wackamole {event}, but the event is lost: {wanted} after {becomes(wackamole, wanted):.2f} s")


def test_a_wackamole_that_hangs(wackamole: Node) -> None:
    send(wackamole, f"up {OURS}")
    becomes(wackamole, "active")
    wackamole.run("systemctl kill --signal=STOP stand-in")
    report(f"wackamole stopped: stale after {becomes(wackamole, 'passive', MAX_AGE + GRACE):.1f} s")
    wackamole.run("systemctl kill --signal=CONT stand-in")
    report(f"wackamole goes on: active after {becomes(wackamole, 'active', MAX_AGE + GRACE):.1f} s")


def test_an_agent_that_is_killed(wackamole: Node) -> None:
    send(wackamole, f"up {OURS}")
    becomes(wackamole, "active")
    wackamole.run("systemctl kill --signal=KILL rcron-agent")
    end = time.time() + 4
    while time.time() < end:
        assert state(wackamole) == "active"
    assert ", alive, " in wackamole.run(f"rcronctl --conf {CONF} status")
