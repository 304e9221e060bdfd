# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A systemd timer instead of a crontab entry: ExecCondition=rcronctl is-active in its service."""

import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until


@pytest.fixture(scope="module", autouse=True)
def timer(cluster: Cluster) -> Iterator[None]:
    cluster.on_all(lambda node: node.run("systemctl start report.timer"))
    yield
    cluster.on_all(lambda node: node.run("systemctl stop report.timer"))


def test_job_of_a_timer_runs_on_the_active_node_only(cluster: Cluster, node: Node) -> None:
    if cluster.active() is not node:
        cluster.hand_over(node)
    start = time.time()
    wait_until(lambda: [run for run in node.runs("timer") if run.time > start], f"{node}'s timer runs its job", 10)
    # The passive nodes' timers have elapsed in the same second.
    time.sleep(1)
    for other in cluster.nodes:
        if other is not node:
            assert [run for run in other.runs("timer") if run.time > start] == [], other


def test_ignored_run_does_not_fail_the_unit(cluster: Cluster, node: Node) -> None:
    if cluster.active() is node:
        cluster.hand_over(next(other for other in cluster.nodes if other is not node))

    def result() -> bool:
        return node.run("systemctl show --property=Result --value report.service") == "exec-condition\n"

    wait_until(result, f"{node}'s timer finds its node passive", 10)
    assert node.run("systemctl is-system-running") == "running\n"
