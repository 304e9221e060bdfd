# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: the nodes are as they were before the deployment."""

import pytest
from nodes import Cluster, Node
from testinfra.host import Host
from waiting import wait_until

#: How each prepared crontab is shown. `crontab -l` leaves out the header with the date of Debian's crontab command.
SHOW = {"root": "crontab -l", "alice": "crontab -u alice -l", "app": "cat /etc/cron.d/app"}


@pytest.mark.parametrize("name", SHOW)
def test_every_crontab_is_byte_for_byte_what_it_was(cluster: Cluster, name: str) -> None:
    def same(node: Node) -> bool:
        return node.try_run(f"{SHOW[name]} | cmp /var/tmp/before/{name} -").returncode == 0

    assert cluster.on_all(same) == [True] * 3


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", "", ""]


@pytest.mark.parametrize(
    "pattern",
    [
        "/usr/bin/rcron*",
        "/usr/lib/rcron",
        "/usr/share/man/man*/rcron*",
        "/etc/rcron",
        "/run/rcron*",
        "/etc/tmpfiles.d/rcron*",
    ],
)
def test_nothing_of_ours_is_left(host: Host, pattern: str) -> None:
    assert host.run(f"ls -d {pattern}").stdout == ""


def test_a_job_that_ran_meanwhile_has_ended_by_itself(cluster: Cluster) -> None:
    def ended(node: Node) -> bool:
        return node.try_run("systemctl is-active over-removal").stdout.strip() != "active"

    wait_until(lambda: all(cluster.on_all(ended)), "the job is over", 20)
    ran = [node for node in cluster.nodes if node.try_run("cat /var/tmp/over-removal").stdout]
    assert len(ran) == 1, "on the node that was active when it began"
    line = r"rcron.*: cluster=billing state=active status=ok dur=[0-9]* exit=0 cmd=sh -c while .*over-removal"
    assert ran[0].run(f"grep -a -c '{line}' /var/log/syslog").strip() == "1"


def test_cron_still_runs_and_keepalived_no_more(host: Host) -> None:
    assert host.service("cron").is_running
    assert not host.service("keepalived").is_running
    assert host.run("systemctl is-system-running").stdout.strip() == "running"
