# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Check mode, and mistakes, on nodes that have nothing of rcron yet: they are reported, and nothing is changed."""

import json
import pathlib
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play


@pytest.fixture(autouse=True)
def unchanged(cluster: Cluster) -> Iterator[None]:
    yield

    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", "", ""]


def test_check_mode_shows_the_changes_but_not_the_password(play: Play) -> None:
    checked = play("--check", "--diff", "rcron.cluster.site")
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("+    --vhid=51 \\") == 2
    assert checked.stdout.count("+/usr/share/ucarp/vip-up") == 1
    assert "node3: nothing runs /usr/local/sbin/rcron-ucarp-up yet" in checked.stdout
    assert "19characters-at-mos" not in checked.stdout


def test_mistakes_are_refused_with_host_value_and_fix(play: Play, tmp_path: pathlib.Path) -> None:
    mistakes = {
        "node1": {
            "rcron_ucarp_address": "192.0.2.300",
            "rcron_ucarp_vhid": 256,
            "rcron_ucarp_options": ["--daemonize"],
        },
        "node2": {"rcron_ucarp_password": "20characters-too-long", "rcron_ucarp_interface": "eth9"},
        "node3": {"rcron_ucarp_upscript": "/bin/true", "rcron_ucarp_up_script": "/usr/local/sbin/nonexistent"},
    }
    (tmp_path / "mistakes.json").write_text(json.dumps({"all": {"hosts": mistakes}}))
    ran = play("--inventory", str(tmp_path / "mistakes.json"), "rcron.cluster.site")
    assert ran.returncode != 0
    for said in (
        'node1: rcron_ucarp_address is "192.0.2.300": ucarp needs a virtual address, such as 192.0.2.10/24',
        "node1: rcron_ucarp_vhid is 256: take a number from 1 to 255",
        "node1: rcron_ucarp_options has --daemonize: give whole options",
        "node2: rcron_ucarp_interface is eth9, and there is no such interface: name one of eth0, lo",
        "node2: rcron_ucarp_password has 21 characters: CARP takes 1 to 19",
        "node3: unknown variable rcron_ucarp_upscript (did you mean rcron_ucarp_up_script?)",
        "node3: /usr/local/sbin/nonexistent is not there, or not executable: install ucarp",
    ):
        assert said in " ".join(ran.stdout.split()), said
    assert "too-long" not in ran.stdout
