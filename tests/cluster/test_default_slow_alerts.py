# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Alerts that take minutes, each fired and resolved, and what must set off none: `make alerts`.

Alerts that must not fire are looked for in all that Prometheus has evaluated since: it keeps the series ALERTS.
"""

import re
import time

import pytest
from nodes import Cluster
from waiting import wait_until

from tests.cluster.faults import cut_off
from tests.cluster.measurement import report
from tests.cluster.playbooks import Play
from tests.cluster.prometheus import LATE, QUIET, Prometheus

pytestmark = pytest.mark.usefixtures("settled")


def test_a_planned_hand_over_is_no_alert(cluster: Cluster, prometheus: Prometheus) -> None:
    began = time.time()
    old, new, _third = cluster.nodes
    old.run("systemctl stop keepalived")
    cluster.settle(on=new)
    wait_until(lambda: prometheus.value(f'rcron_active{{node="{new}"}}') == 1.0, "Prometheus knows the new node", LATE)
    time.sleep(max(0.0, began + QUIET - time.time()))
    old.run("systemctl start keepalived")
    cluster.settle(on=old)
    assert prometheus.fired(began) == set()


def test_job_that_was_due_in_a_gap_is_overdue_until_its_next_run(
    cluster: Cluster, prometheus: Prometheus, play: Play
) -> None:
    began = time.time()
    cluster.on_all(lambda node: node.run("systemctl stop keepalived"))
    wait_until(lambda: "RcronEntryOverdue" in prometheus.firing(), "the job was due, and nobody ran it", 240)
    report(f"overdue: known {time.time() - began:.0f} s after the last node turned passive")
    assert "nightly billing (alice) was due " in play("rcron.cluster.check").stdout
    cluster.on_all(lambda node: node.run("systemctl start keepalived"))
    cluster.settle(on=cluster.nodes[0])
    wait_until(lambda: not prometheus.firing(), "all is resolved", 60 + 2 * LATE)


def test_two_active_nodes_in_a_partition_are_known_and_resolved(cluster: Cluster, prometheus: Prometheus) -> None:
    """A partition that Prometheus can see: it lets all but VRRP's adverts through."""
    began = time.time()
    with cut_off(cluster.nodes[1], "meta l4proto 112"):
        wait_until(lambda: "RcronTwoActive" in prometheus.firing(), "somebody is told of it", 90 + LATE)
        report(f"two active: known {time.time() - began:.0f} s after the partition began")
    wait_until(lambda: not prometheus.firing(), "it is resolved", 2 * LATE)


def test_the_active_nodes_end_is_a_takeover_and_no_alert_of_ours(cluster: Cluster, prometheus: Prometheus) -> None:
    began = time.time()
    failed = cluster.nodes[0]
    failed.kill()
    try:
        cluster.settle(on=cluster.nodes[1])
        shown = 'sum(rcron_active{node="node2"})'
        wait_until(lambda: prometheus.value(shown) == 1.0, "Prometheus knows the new active node", LATE)
        time.sleep(QUIET)
        assert prometheus.fired(began) == set()
    finally:
        failed.boot()


def test_what_stands_is_not_changed_again(play: Play) -> None:
    played = play("molecule/default/metrics.yml")
    assert played.returncode == 0, played.stdout
    assert not re.search(r"changed=[1-9]", played.stdout), played.stdout
