# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whatever goes wrong with a lease in a real etcd, on whose members' nodes the agents run, no two nodes are active.

Each test begins with an etcd that is well, and exactly one active node.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster import faults
from tests.cluster.faults import Watch, suffer
from tests.cluster.measurement import report

#: Seconds: the scenario's rcron_lease_ttl, and what a busy machine may add.
TTL = 6
SLACK = 2.0

#: Asks one member of etcd whether it leads.
IS_LEADER = """\
python3 -c 'import urllib.request
answer = urllib.request.urlopen("http://127.0.0.1:2379/metrics", timeout=2)
print(answer.read().decode())' | grep -c "^etcd_server_is_leader 1" || :
"""


def status(node: Node) -> "dict[str, Any]":
    """What rcronctl says of a node."""
    found: "dict[str, Any]" = json.loads(node.run("rcronctl status --json"))
    return found


def others(cluster: Cluster, node: Node) -> "list[Node]":
    """The other two."""
    return [each for each in cluster.nodes if each is not node]


def is_whole(cluster: Cluster) -> bool:
    """Whether one member of etcd leads, and all agents have an answer."""
    leaders = cluster.on_all(lambda node: node.run(IS_LEADER).strip())
    answers = cluster.on_all(lambda node: status(node)["feeder"]["answer"]["state"])
    return sorted(leaders) == ["0", "0", "1"] and "unknown" not in answers


def leader(cluster: Cluster) -> Node:
    """The node whose member of etcd leads."""
    return next(node for node in cluster.nodes if node.run(IS_LEADER).strip() == "1")


def wait_for_other(cluster: Cluster, node: Node, limit: float) -> float:
    """Wait until another node is active. Returns how many seconds that took."""
    start = time.monotonic()
    wait_until(lambda: any(each.state() == "active" for each in others(cluster, node)), f"not {node} is active", limit)
    return time.monotonic() - start


@pytest.fixture(autouse=True)
def active(cluster: Cluster) -> Node:
    """The active node."""
    wait_until(lambda: is_whole(cluster), "etcd and all agents are well", 60)
    return cluster.settle(steady=1)


@pytest.fixture
def watched(watch: Watch) -> "Callable[..., faults.Outcome]":
    """Has something happen while the nodes are watched."""

    def happens(fault: str, what: "Callable[[], object]", **more: Any) -> faults.Outcome:
        return suffer("lease", fault, watch, what, **more)

    return happens


def test_the_nodes_agree_who_holds_it(cluster: Cluster, active: Node) -> None:
    found = {node.name: status(node) for node in cluster.nodes}
    words = found[active.name]["feeder"]["answer"]["words"]
    assert words.startswith("has the lease, term ")
    term = words.split()[-1]
    for node in others(cluster, active):
        assert found[node.name]["feeder"]["answer"]["words"] == f"{active} has the lease, term {term}"
        assert found[node.name]["valid_for"] is None
    assert 0 <= found[active.name]["valid_for"] <= TTL - 1
    resident = cluster.on_all(
        lambda node: int(node.run("grep VmRSS /proc/$(systemctl show -P MainPID rcron-agent)/status").split()[1])
    )
    assert max(resident) < 40 * 1024, "KiB"
    report(f"lease: an agent has {max(resident) / 1024:.0f} MiB resident")


def test_jobs_and_services_get_the_term(cluster: Cluster, active: Node) -> None:
    term = status(active)["feeder"]["answer"]["words"].split()[-1]
    assert active.run("rcron sh -c 'echo $RCRON_TERM'").strip() == term
    cluster.on_all(lambda node: node.run("rm -f /var/log/terms; systemctl start report"))
    assert active.run("cat /var/log/terms").strip() == term
    for node in others(cluster, active):
        assert node.try_run("cat /var/log/terms").returncode != 0


def test_a_clean_stop_hands_over_at_once(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    outcome = watched("agent stopped cleanly", lambda: active.run("systemctl stop rcron-agent"))
    active.run("systemctl start rcron-agent")
    assert outcome.none <= 1 + SLACK


def test_a_holder_that_is_to_leave_has_another_one_take_over(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    outcome = watched("told to leave", lambda: active.run("rcronctl feed lease leave"))
    assert outcome.none <= 1 + SLACK
    assert active.state() == "passive"


def test_a_pin_gives_it_to_another_node(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    def happens() -> None:
        active.run("rcronctl pin passive")
        wait_for_other(cluster, active, TTL)

    watched("pinned passive", happens)
    active.run("rcronctl unpin")


def test_a_preferred_node_that_is_to_takes_it_back(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    first = cluster.nodes[0]
    if active is first:
        first.run("rcronctl feed lease leave")
        cluster.settle()

    def happens() -> None:
        first.run("sed -i 's/^preempt = .*/preempt = 2/' /etc/rcron/agent.d/rcron.conf && systemctl reload rcron-agent")
        wait_until(lambda: first.state() == "active", f"{first} is active", 2 * TTL)

    outcome = watched("preempted", happens)
    first.run("sed -i 's/^preempt = .*/preempt = \"0\"/' /etc/rcron/agent.d/rcron.conf && systemctl reload rcron-agent")
    assert outcome.none <= 1 + SLACK


def test_an_agent_that_is_killed_or_reads_its_files_anew_goes_on(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    def happens() -> None:
        active.run("touch /etc/rcron/agent.conf && systemctl reload rcron-agent")
        time.sleep(1)
        faults.kill_agent(active)

    outcome = watched("agent killed", happens)
    assert outcome.none == 0
    assert cluster.active() is active


def test_an_agent_that_is_stopped_by_a_signal(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    def happens() -> None:
        # All at once, or systemd's watchdog would start another agent, which would go on.
        with faults.stopped(active, "-x rcron-agent"):
            took = wait_for_other(cluster, active, TTL + 1 + SLACK)
        report(f"lease, agent hung: another node active after {took:.1f} s")

    # The watchdog, 5 s, ends an agent that hangs, and the next one goes on if the lease has not ended.
    active.run("mkdir -p /run/systemd/system/rcron-agent.service.d")
    active.run("printf '[Service]\\nWatchdogSec=0\\n' >/run/systemd/system/rcron-agent.service.d/hang.conf")
    active.run("systemctl daemon-reload; systemctl kill --signal=KILL rcron-agent")
    time.sleep(1)
    watched("agent stopped by a signal", happens)
    active.run("rm -r /run/systemd/system/rcron-agent.service.d; systemctl daemon-reload")
    active.run("systemctl kill --signal=KILL rcron-agent")


def test_a_machine_that_is_frozen(
    cluster: Cluster, active: Node, watch: Watch, watched: "Callable[..., faults.Outcome]"
) -> None:
    def happens() -> None:
        with watch.frozen(active):
            time.sleep(TTL + 4)
        assert active.state() == "passive"

    watched("node frozen", happens)


def test_a_machine_that_dies(cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]") -> None:
    def happens() -> None:
        active.kill()
        took = wait_for_other(cluster, active, TTL + 1 + SLACK)
        report(f"lease, machine killed: another node active after {took:.1f} s")

    watched("machine killed", happens)
    active.boot()


def test_a_holder_that_is_cut_off(cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]") -> None:
    def happens() -> None:
        with faults.cut_off(active):
            wait_for_other(cluster, active, TTL + 3 + SLACK)  # its member of etcd may have led
            assert active.state() == "passive"

    watched("holder cut off", happens)


@pytest.mark.parametrize("signals", [("KILL", ""), ("STOP", "CONT")])
def test_etcds_leader_that_dies_or_hangs_changes_nothing(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]", signals: "tuple[str, str]"
) -> None:
    def happens() -> None:
        node = leader(cluster)
        node.run(f"systemctl kill --signal={signals[0]} etcd")
        time.sleep(3)
        node.run(f"systemctl kill --signal={signals[1]} etcd" if signals[1] else "systemctl start etcd")

    outcome = watched(f"etcd's leader: {signals[0]}", happens)
    assert outcome.none == 0
    assert cluster.active() is active


def test_without_a_quorum_no_node_is_active(
    cluster: Cluster, active: Node, watched: "Callable[..., faults.Outcome]"
) -> None:
    def happens() -> None:
        for node in cluster.nodes[1:]:
            node.run("systemctl kill --signal=STOP etcd")
        start = time.monotonic()
        wait_until(lambda: set(cluster.states().values()) == {"passive"}, "all are passive", TTL + SLACK)
        report(f"lease, no quorum: no node active after {time.monotonic() - start:.1f} s")
        for node in cluster.nodes[1:]:
            node.run("systemctl kill --signal=CONT etcd")

    watched("quorum lost for a while", happens, recovery=5.0)
