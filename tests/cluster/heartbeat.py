# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""For the tests of the scenario heartbeat: when Heartbeat moves no more resources. Times are seconds."""

from nodes import DOWN, Cluster, Node
from waiting import wait_until

from tests.cluster.measurement import report

#: Until both are settled after a partition: each gives up its resources, restarts, and waits for 10 s.
PARTITION = 90.0

#: The end of Heartbeat's own start, after which it moves no more resources.
SETTLED = "test $(cl_status rscstatus) != transition && pidof heartbeat"


def settle(cluster: Cluster) -> Node:
    """Wait until both Heartbeats are settled, and exactly one node is active; return that node."""
    for node in cluster.nodes:
        # Called at once, so the loop's variable still has its value.
        wait_until(lambda: node.try_run(SETTLED).returncode == 0, f"{node}: Heartbeat is settled", PARTITION)  # noqa: B023
    return cluster.settle(timeout=PARTITION)


def repair(cluster: Cluster, what: str) -> None:
    """Start the Heartbeats that do not run, and wait until all are settled.

    After a partition, both restart themselves. Debian's unit mistakes the old process's end for the service's, unless
    the new one has written its process ID by then, and stops the new one.

    Args:
        cluster: The nodes.
        what: What has happened to them, for the report.
    """

    def is_up(node: Node) -> bool:
        if node.state() == DOWN:
            node.boot()
        if node.try_run("systemctl is-active --quiet heartbeat").returncode:
            report(f"{what}: systemd stopped Heartbeat on {node}")
            node.run("systemctl start heartbeat")
        return node.try_run(SETTLED).returncode == 0

    wait_until(lambda: all(cluster.on_all(is_up)), "both Heartbeats are settled", PARTITION)
