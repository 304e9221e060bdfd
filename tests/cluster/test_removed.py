# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: the nodes are as they were before the deployment."""

import pytest
from nodes import Cluster, Node
from testinfra.host import Host


def test_every_crontab_is_byte_for_byte_what_it_was(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        node.run("rm -rf /var/tmp/then && mkdir /var/tmp/then && tar -xf /var/tmp/before/crontabs.tar -C /var/tmp/then")
        compare = "diff --recursive --text /var/tmp/then/{0} /{0}"
        return "".join(
            node.try_run(compare.format(path)).stdout
            for path in ("etc/crontab", "etc/cron.d", "var/spool/cron/crontabs")
        )

    assert cluster.on_all(differences) == ["", "", ""]


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", "", ""]


@pytest.mark.parametrize(
    "pattern", ["/usr/bin/rcron*", "/usr/lib/rcron", "/etc/rcron", "/run/rcron*", "/etc/tmpfiles.d/rcron*"]
)
def test_nothing_of_ours_is_left(host: Host, pattern: str) -> None:
    assert host.run(f"ls -d {pattern}").stdout == ""


def test_cron_still_runs_and_keepalived_no_more(host: Host) -> None:
    assert host.service("cron").is_running
    assert not host.service("keepalived").is_running
    assert host.run("systemctl is-system-running").stdout.strip() == "running"
