# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A promotable clone of ocf:rcron:rcron: an administrator's commands, and all ways in which its node can fail.

Each test begins and ends with one active node and all others passive. Times are measured from the failure to the change
of the state file; Corosync's token is 2 s here (2.65 s for three nodes), and its consensus 1.2 tokens more.
"""

import re
import time
from collections.abc import Iterator

import pytest
from nodes import DOWN, Cluster, Node
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.pacemaker import PATIENCE, fail_over, first, repair, settle

AGENT = "/usr/lib/ocf/resource.d/rcron/rcron"


@pytest.fixture(autouse=True)
def settled(cluster: Cluster) -> Iterator[None]:
    yield
    for node in cluster.nodes:
        if node.state() == DOWN:
            node.boot()
    settle(cluster)


def test_deployment_made_one_node_active_and_all_agree(cluster: Cluster) -> None:
    active = cluster.active()
    assert "pacemaker, alive, spoke" in active.run("rcronctl status")
    output = cluster.on_all(
        lambda node: node.run("stat -c '%a %U' /etc/corosync/authkey; sha256sum </etc/corosync/authkey")
    )
    assert len(set(output)) == 1
    assert output[0].startswith("600 root\n")


def test_agent_passes_ocf_tester_and_its_meta_data_is_valid(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    tester = f"ocf-tester -n tester -o conf=/run/tester/rcron.conf {{}} {AGENT}"
    node.run("mkdir -p /run/tester && echo state_file = /run/tester/state >/run/tester/rcron.conf")
    for role in ("", "-o CRM_meta_promoted_max=1"):
        said = node.run(tester.format(role))
        assert "passed all tests" in said
        # It also passes an agent that leaves something out, and says what.
        left_out = re.findall(r"does not support (?:the )?(.+?)(?: action)? \(optional\)", said)
        assert left_out == (["reload"] if role else ["demote", "promote", "promotable clones", "reload"])
    schema = "/usr/share/resource-agents"
    node.run(
        f"cd {schema} && {AGENT} meta-data >/run/tester/meta-data"
        " && xmllint --noout --path . --valid /run/tester/meta-data"
        " && xmllint --noout --path . --relaxng metadata.rng /run/tester/meta-data && rm -r /run/tester"
    )


def test_the_agent_keeps_the_state_fresh(cluster: Cluster) -> None:
    active = cluster.active()
    oldest = 0.0
    for _turn in range(30):
        age = active.run("rcronctl is-active && echo $(($(date +%s) - $(stat -c %Y /run/rcron/state)))")
        oldest = max(oldest, float(age.split()[1]))
        time.sleep(0.3)
    report(f"pacemaker agent: the state was at most {oldest:.0f} s old, of 10")
    agent = active.run("systemctl show --property MainPID --value rcron-agent").strip()
    assert active.run("sed -n s/^pid=//p /run/rcron/state.feeder").strip() == agent


def test_standby_hands_over_and_unstandby_takes_nothing_back(cluster: Cluster) -> None:
    done = fail_over(cluster, "standby", lambda node: node.run(f"crm node standby {node.name}"))
    assert done.both == 0
    done.old.run(f"crm node online {done.old.name}")
    assert settle(cluster) is done.new


def test_a_move_hands_over(cluster: Cluster) -> None:
    to = next(node for node in cluster.nodes if node is not cluster.active())
    done = fail_over(cluster, "move", lambda node: node.run(f"crm resource move rcron-clone {to.name}"))
    to.run("crm resource clear rcron-clone")
    assert done.new is to
    assert done.both == 0
    assert settle(cluster) is to


def test_a_clean_stop_hands_over(cluster: Cluster) -> None:
    done = fail_over(cluster, "stopped", lambda node: node.run("systemctl stop pacemaker"))
    assert done.both == 0
    done.old.run("systemctl start pacemaker")
    assert settle(cluster) is done.new


def test_another_node_takes_over_from_a_machine_that_died(cluster: Cluster) -> None:
    done = fail_over(cluster, "machine", Node.kill)
    booted = time.time()
    done.old.boot()
    assert settle(cluster) is done.new
    states = [change.state for change in done.old.changes() if change.time >= booted]
    assert states[:2] == ["boot", "passive"]
    assert "active" not in states


@pytest.mark.parametrize(
    ("what", "kill"),
    [
        ("corosync", "pkill -KILL -x corosync"),
        ("everything", "pkill -KILL -x '(pacemaker.*)'"),
        ("controld", "pkill -KILL -x pacemaker-contr"),
    ],
)
def test_a_node_whose_daemons_are_killed_is_passive_before_another_is_active(
    cluster: Cluster, what: str, kill: str
) -> None:
    failed = cluster.active()
    start = time.time()
    failed.run(kill)
    wait_until(lambda: failed.state() == "passive", f"{failed} is passive: {what} killed", PATIENCE)
    if what != "corosync":  # they are restarted at once, and Pacemaker promotes any node
        settle(cluster)
        passive = first(failed, "passive", start) - start
        report(f"pacemaker {what}: {failed} passive after {passive:.1f} s, then {cluster.active()} is active")
        return
    wait_until(lambda: len(active_ones(cluster)) == 1, f"another node is active: {what} killed", PATIENCE)
    (new,) = active_ones(cluster)
    times = first(failed, "passive", start) - start, first(new, "active", start) - start
    report(f"pacemaker {what}: {failed} passive after {times[0]:.1f} s, {new} active after {times[1]:.1f} s")
    assert new is not failed
    assert times[0] < times[1]
    repair(failed)
    assert settle(cluster) is new


def active_ones(cluster: Cluster) -> list[Node]:
    return [node for node in cluster.nodes if node.state() == "active"]


def test_killing_pacemakerd_alone_has_no_effect(cluster: Cluster) -> None:
    active = cluster.active()
    start = time.time()
    active.run("pkill -KILL -x pacemakerd")
    wait_until(lambda: active.try_run("pgrep -x pacemakerd").returncode == 0, "systemd starts another one", PATIENCE)
    time.sleep(6)  # a monitor or two
    assert cluster.active() is active
    assert cluster.changes_since(start) == []


def test_a_node_whose_corosync_hangs_becomes_passive(cluster: Cluster) -> None:
    done = fail_over(cluster, "hung", lambda node: node.run("pkill -STOP -x corosync"))
    assert done.both == 0
    repair(done.old)
    assert settle(cluster) is done.new


def test_a_node_that_is_cut_off_becomes_passive(cluster: Cluster) -> None:
    address = dict(zip(cluster.nodes, cluster.on_all(lambda node: node.run("hostname --all-ip-addresses").split()[0])))

    def route(cut: Node, change: str) -> None:
        # No packets pass between it and the others.
        others = [node for node in cluster.nodes if node is not cut]
        cluster.on_all(
            lambda node: node.run(
                "; ".join(f"ip route {change} blackhole {address[to]}" for to in (others if node is cut else [cut]))
            )
        )

    done = fail_over(cluster, "partition", lambda node: route(node, "add"))
    assert done.both == 0
    route(done.old, "delete")
    settle(cluster)


def test_no_node_is_active_without_a_quorum(cluster: Cluster) -> None:
    last = cluster.active()
    others = [node for node in cluster.nodes if node is not last]
    start = time.time()
    cluster.on_all(lambda node: node in others and node.kill())
    wait_until(lambda: last.state() == "passive", f"{last} is passive without a quorum", PATIENCE)
    report(f"pacemaker quorum: lost, {last} passive after {first(last, 'passive', start) - start:.1f} s")
    time.sleep(5)
    assert cluster.states() == {node.name: "passive" if node is last else DOWN for node in cluster.nodes}
    cluster.on_all(lambda node: node.boot() if node in others else None)
    settle(cluster)
