# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: no resource, no agent, no cluster that was the role's, and files as they were before."""

import re

from nodes import Cluster, Node

#: The daemons' own files, and the tests' own crm.
OTHERS = r"/var/lib/(pacemaker|corosync)|/root/\.(cache|config)\b"


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> list[str]:
        lines = node.try_run("list-files | diff /var/tmp/before/files -").stdout.splitlines()
        return [line for line in lines if line[:1] in "<>" and not re.search(OTHERS, line)]

    assert cluster.on_all(differences) == [[], [], []]


def test_nothing_of_ours_is_left_outside_the_list(cluster: Cluster) -> None:
    output = cluster.on_all(
        lambda node: (
            node.try_run(
                "exec 2>&-; ls -d /run/rcron* /run/resource-agents/rcron*; grep -l rcron /var/lib/pacemaker/cib/*"
            ).stdout
        )
    )
    assert output == ["", "", ""]


def test_the_cluster_is_stopped_and_no_unit_has_failed(cluster: Cluster) -> None:
    output = cluster.on_all(
        lambda node: node.try_run("systemctl is-active corosync pacemaker; systemctl is-system-running").stdout.split()
    )
    assert output == [["inactive", "inactive", "running"]] * 3
