# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One real minute of cron on a deployed cluster."""

import re
from typing import NamedTuple

import pytest
from nodes import CRON_PATIENCE, Cluster, Node
from waiting import wait_until

#: The names of prepare.yml's jobs in /var/log/jobs: those that are selected, and the one that is not.
SELECTED = ["root", "compound", "user", "ansible", "system"]
EVERYWHERE = "everywhere"


class Minute(NamedTuple):
    """A minute that cron has begun everywhere, and the node that was active from before it until after it."""

    start: int
    active: Node


@pytest.fixture(scope="module")
def minute(cluster: Cluster) -> Minute:
    active = cluster.settle()
    cluster.on_all(lambda node: node.run("rm -f /var/tmp/stdin"))  # of the minutes before the deployment
    start = cluster.wait_for_minute(EVERYWHERE)
    assert cluster.active() is active
    return Minute(start, active)


@pytest.mark.parametrize("job", SELECTED)
def test_selected_job_runs_once_and_on_the_active_node(cluster: Cluster, minute: Minute, job: str) -> None:
    assert cluster.who_ran(job, minute.start) == [minute.active.name]


def test_unselected_job_runs_on_every_node(cluster: Cluster, minute: Minute) -> None:
    assert cluster.who_ran(EVERYWHERE, minute.start) == [node.name for node in cluster.nodes]


def test_job_gets_the_standard_input_that_its_crontab_gives_it(minute: Minute) -> None:
    assert minute.active.run("cat /var/tmp/stdin") == "first line\nsecond line\n"


def test_passive_node_does_nothing_of_a_compound_line(cluster: Cluster, minute: Minute) -> None:
    for node in cluster.nodes:
        assert (node.try_run("test -e /var/tmp/stdin").returncode == 0) == (node is minute.active)


def test_syslog_has_each_selected_job_and_no_other(cluster: Cluster, minute: Minute) -> None:
    # The line of a quick job: the job, the node's state and the outcome.
    line = re.compile(r"rcron.*: cluster=billing state=(\w+) status=(\w+) (?:dur=\S+ exit=(\d+) )?cmd=(.*)")

    def entries(node: Node) -> list[tuple[str, ...]]:
        return line.findall(node.run("cat /var/log/syslog"))

    def has_all(node: Node) -> bool:
        commands = " ".join(entry[3] for entry in entries(node))
        return "record root" in commands and "compound.log" in commands

    for node in cluster.nodes:
        wait_until(lambda: has_all(node), f"{node}: the minute's jobs are in syslog", CRON_PATIENCE)  # noqa: B023
        found = entries(node)
        root = [entry[:3] for entry in found if entry[3] == "/usr/local/bin/record root"]
        if node is minute.active:
            assert root[-2:] == [("active", "start", ""), ("active", "ok", "0")]
        else:
            assert root[-1] == ("passive", "ignore", "")
        assert any("compound.log" in entry[3] for entry in found)
        assert not any("everywhere" in entry[3] for entry in found)
