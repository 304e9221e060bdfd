# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A plain resource instead of the promotable clone, in a cluster that the role does not manage."""

import pytest
from nodes import Cluster, Node

from tests.cluster.pacemaker import fail_over, settle

PLAIN = "rcron"


def test_the_clone_is_gone_and_one_node_is_active(cluster: Cluster) -> None:
    active = settle(cluster, PLAIN)
    output = active.run("cibadmin --query --scope resources; cat /run/resource-agents/rcron-rcron")
    assert "<clone" not in output
    assert "started /var/run/rcron/state" in output
    others = [node for node in cluster.nodes if node is not active]
    assert [node.try_run("cat /run/resource-agents/rcron-rcron").stdout for node in others] == ["", ""]


def test_the_cluster_itself_is_left_alone(cluster: Cluster) -> None:
    output = cluster.on_all(
        lambda node: node.run("sed -n 1p /etc/corosync/corosync.conf; grep -c token: /etc/corosync/corosync.conf")
    )
    assert (
        output
        == [
            "# Written by Ansible, role rcron.cluster.rcron_pacemaker: changes made here are lost at its next run.\n1\n"
        ]
        * 3
    )


@pytest.mark.parametrize(
    ("what", "fail", "repair"),
    [
        ("standby", "crm node standby $(hostname)", "crm node online $(hostname)"),
        ("moved", "crm resource move rcron force", "crm resource clear rcron"),
    ],
)
def test_a_switch_over(cluster: Cluster, what: str, fail: str, repair: str) -> None:
    done = fail_over(cluster, what, lambda node: node.run(fail))
    assert done.both == 0
    done.old.run(repair)
    assert settle(cluster, PLAIN) in (done.old, done.new)


def test_another_node_takes_over_from_a_machine_that_died(cluster: Cluster) -> None:
    done = fail_over(cluster, "machine", Node.kill)
    done.old.boot()
    assert settle(cluster, PLAIN) in (done.old, done.new)


def test_monitor_corrects_a_state_that_an_operator_set(cluster: Cluster) -> None:
    active = settle(cluster, PLAIN)
    active.run("rcronctl set passive")
    settle(cluster, PLAIN)


def test_a_stop_of_the_resource_makes_all_passive(cluster: Cluster) -> None:
    node: Node = settle(cluster, PLAIN)
    node.run("crm --wait resource stop rcron")
    assert set(cluster.states().values()) == {"passive"}
    node.run("crm --wait resource start rcron")
    settle(cluster, PLAIN)
