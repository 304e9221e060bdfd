# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role beside an administrator's Heartbeat, whose haresources does not name the resource yet."""

import json
import os
import re
from pathlib import Path

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play

CONVERGE = os.path.join(os.path.dirname(os.environ["RCRON_INVENTORY"]), "converge.yml")


#: Mistakes on the two hosts that the same check finds, and the message about each.
MISTAKES = [
    (
        {"rcron_heartbeat_dead_time": 5},
        {"rcron_heartbeat_interfaces": "eth0"},
        [
            "node1: unknown variable rcron_heartbeat_dead_time (did you mean rcron_heartbeat_deadtime?)",
            "node2: unknown variable rcron_heartbeat_interfaces (did you mean rcron_heartbeat_interface?)",
        ],
    ),
    (
        {"rcron_heartbeat_manage": True, "rcron_heartbeat_interface": "eth9"},
        {"rcron_heartbeat_manage": True, "rcron_heartbeat_interface": "eth0", "rcron_heartbeat_deadtime": "2"},
        [
            "node1: rcron_heartbeat_interface is eth9, and there is no such interface: name one of eth0, lo in",
            "node2: rcron_heartbeat_deadtime is 2, and two packets come 1 apart",
        ],
    ),
]


@pytest.mark.parametrize(("first", "second", "messages"), MISTAKES, ids=["unknown variables", "what Heartbeat refuses"])
def test_mistakes_are_refused_and_explained(
    play: Play, tmp_path: Path, first: dict[str, object], second: dict[str, object], messages: list[str]
) -> None:
    # As a second inventory, because extra variables would hold for all hosts.
    (tmp_path / "mistake.json").write_text(json.dumps({"all": {"hosts": {"node1": first, "node2": second}}}))
    ran = play("--inventory", str(tmp_path / "mistake.json"), "rcron.cluster.site")
    assert ran.returncode != 0
    said = " ".join(ran.stdout.split())
    for line in messages:
        assert line in said


def test_check_mode_changes_nothing(cluster: Cluster, play: Play) -> None:
    ran = play("--check", "--diff", "rcron.cluster.site")
    assert ran.returncode == 0, ran.stdout

    def differences(node: Node) -> str:
        # Heartbeat's own files are not ours.
        return node.try_run(
            "list-files | diff /var/tmp/before/files - | grep '^[<>]' | grep -v /var/lib/heartbeat/"
        ).stdout

    assert cluster.on_all(differences) == ["", ""]
    assert re.search(r"^node1 .* changed=[1-9]", ran.stdout, re.MULTILINE), ran.stdout


def test_the_script_is_installed_and_the_line_to_add_is_shown(cluster: Cluster, play: Play) -> None:
    ran = play(CONVERGE)
    said = " ".join(ran.stdout.split())
    assert ran.returncode != 0
    for node in cluster.nodes:
        assert (
            f"{node}: all is ready, but /etc/ha.d/haresources does not name rcron and rcron::/etc/rcron/mail.conf"
            in said
        )
    assert 'add the line "node1 rcron rcron::/etc/rcron/mail.conf", the same on both hosts' in said
    assert cluster.on_all(lambda node: node.run("/etc/ha.d/resource.d/rcron status || true")) == ["stopped\n"] * 2


def test_the_administrator_adds_it_to_the_existing_lines(cluster: Cluster) -> None:
    add = """cd /etc/ha.d
        cp -p haresources haresources.without
        sed -i 's,$, rcron::/etc/rcron/mail.conf,' haresources
        echo node1 rcron >>haresources"""
    cluster.on_all(lambda node: node.run(add))
