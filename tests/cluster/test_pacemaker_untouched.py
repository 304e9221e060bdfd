# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Before the deployment: the role refuses mistakes, and check mode shows what it would do and does nothing."""

import json
import re
from pathlib import Path

from nodes import Cluster, Node

from tests.cluster.playbooks import Play

SITE = "rcron.cluster.site"

#: The daemons' own files.
OTHERS = "/var/lib/(pacemaker|corosync)"


def test_check_mode_announces_everything_and_changes_nothing(cluster: Cluster, play: Play) -> None:
    ran = play(SITE, "--check", "--diff")
    assert ran.returncode == 0, ran.stdout
    for node in cluster.nodes:
        (changed,) = re.findall(rf"^{node.name} .* changed=(\d+) ", ran.stdout, re.MULTILINE)
        assert int(changed) > 0
    assert "make the resource rcron, once there is the cluster" in ran.stdout
    assert "+    token: 2000" in ran.stdout

    def differences(node: Node) -> list[str]:
        lines = node.try_run("list-files | diff /var/tmp/before/files -").stdout.splitlines()
        return [line for line in lines if line[:1] in "<>" and not re.search(OTHERS, line)]

    assert cluster.on_all(differences) == [[], [], []]


def test_mistakes_are_refused_on_all_hosts(play: Play, tmp_path: Path) -> None:
    mistakes = {
        "node1": {"rcron_pacemaker_promoteable": True},
        "node2": {"rcron_pacemaker_monitor_interval": 0},
        "node3": {"rcron_pacemaker_resource": "1st"},
    }
    inventory = tmp_path / "mistakes.yml"
    inventory.write_text(json.dumps({"rcron": {"hosts": mistakes}}))
    ran = play("--inventory", str(inventory), SITE)
    said = " ".join(ran.stdout.split())
    assert ran.returncode != 0
    assert "node1: unknown variable rcron_pacemaker_promoteable (did you mean rcron_pacemaker_promotable?)" in said
    assert "node2: rcron_pacemaker_monitor_interval is 0: take at least 1" in said
    assert "node3: rcron_pacemaker_resource is 1st: take letters" in said
    assert re.search(r"changed=[1-9]", said) is None
