# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Metrics from three nodes through a real node_exporter into a real Prometheus, what Alertmanager receives, and NRPE.

`make alerts` runs test_default_slow_alerts.py, which takes too long for `make test`. The tests go on from each other.
"""

import json
import shlex
import time
from pathlib import Path

import pytest
from nodes import Cluster
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.prometheus import LATE, Prometheus

pytestmark = pytest.mark.usefixtures("settled")

#: Seconds within which somebody must know that no node is active, on a machine that has nothing else to do.
NOBODY = 90.0

#: An entry that Ansible has named, in the crontab of a user other than root.
ENTRY = "nightly billing (alice)"


def test_nobody_active_is_known_and_resolved(cluster: Cluster, prometheus: Prometheus) -> None:
    began = time.time()
    cluster.on_all(lambda node: node.run("systemctl stop keepalived"))
    wait_until(lambda: set(cluster.states().values()) == {"passive"}, "no node is active")
    wait_until(lambda: "RcronNobodyActive" in prometheus.firing(), "somebody is told of it", NOBODY + LATE)
    report(f"nobody active: known after {time.time() - began:.0f} s, wanted within {NOBODY:.0f} s")
    cluster.on_all(lambda node: node.run("systemctl start keepalived"))
    cluster.settle(on=cluster.nodes[0])
    began = time.time()
    wait_until(lambda: "RcronNobodyActive" not in prometheus.firing(), "it is resolved", 2 * LATE)
    report(f"nobody active: resolved after {time.time() - began:.0f} s")


def test_metrics_are_of_each_node_and_show_no_argument(cluster: Cluster, prometheus: Prometheus) -> None:
    assert prometheus.value("sum(rcron_active)") == 1.0
    assert prometheus.value(f'count(rcron_entry_info{{entry="{ENTRY}"}})') == 3.0
    runs = f'sum(rcron_entry_runs_total{{entry="{ENTRY}",status="ok"}})'
    wait_until(lambda: (prometheus.value(runs) or 0) >= 1, "a run of the active node is counted", 60 + LATE)
    ignored = f'sum(rcron_entry_ignored_total{{entry="{ENTRY}"}})'
    wait_until(lambda: (prometheus.value(ignored) or 0) >= 2, "the passive nodes' ignored runs are counted", LATE)
    for node in cluster.nodes:
        text = node.run("cat /var/lib/prometheus/node-exporter/rcron.prom")
        assert "/usr/local/bin/record" not in text
        assert node.run("promtool check metrics </var/lib/prometheus/node-exporter/rcron.prom") == ""


def test_every_panel_of_the_dashboard_shows_something(prometheus: Prometheus) -> None:
    dashboard = json.loads((Path(__file__).resolve().parents[2] / "monitoring" / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 12
    for query in queries:
        asked = query.replace("$cluster_name", "billing")
        assert "$" not in asked
        found = json.loads(
            prometheus.node.run(f"promtool query instant -o json http://localhost:9090 {shlex.quote(asked)}")
        )
        # An entry that has not been due since it is there has no due time.
        assert found or "due_timestamp" in query, asked


def test_nrpe_runs_the_check_as_its_own_user(cluster: Cluster) -> None:
    """As docs/monitoring.md has it."""
    check = "/usr/lib/nagios/plugins/check_nrpe -H 127.0.0.1 -c check_rcron"
    for node in cluster.nodes:
        said = node.run(check)
        assert said.startswith(f"RCRON OK - billing: {node.state()} for "), said
        assert "'active'=" in said, said
    broken = cluster.nodes[1]
    broken.run("echo nosuch = 1 >>/etc/rcron/rcron.conf")
    try:
        asked = broken.try_run(check)
        assert (asked.returncode, asked.stdout.split(" - ")[0]) == (2, "RCRON CRITICAL")
    finally:
        broken.run("sed -i '/^nosuch/d' /etc/rcron/rcron.conf")
