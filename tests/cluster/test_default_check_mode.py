# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Check mode on nodes that have nothing of rcron yet: it shows what would be changed, and changes nothing."""

import re
import subprocess

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play


@pytest.fixture(scope="module")
def checked(play: Play) -> "subprocess.CompletedProcess[str]":
    return play("--check", "--diff", "rcron.cluster.site")


def test_it_succeeds_and_announces_changes_on_every_node(
    checked: "subprocess.CompletedProcess[str]", cluster: Cluster
) -> None:
    assert checked.returncode == 0, checked.stdout
    for node in cluster.nodes:
        changed = re.search(rf"^{node.name} .* changed=(\d+) ", checked.stdout, re.MULTILINE)
        assert changed, checked.stdout
        assert int(changed[1]) > 0


def test_it_shows_the_entries_that_would_be_prefixed(checked: "subprocess.CompletedProcess[str]") -> None:
    assert "+* * * * *\t/usr/bin/rcron /usr/local/bin/record root" in checked.stdout


def test_it_does_not_show_the_password(checked: "subprocess.CompletedProcess[str]") -> None:
    assert "8letters" not in checked.stdout


@pytest.mark.usefixtures("checked")
def test_it_changes_no_file(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", "", ""]


@pytest.mark.usefixtures("checked")
def test_it_starts_no_service(cluster: Cluster) -> None:
    assert cluster.on_all(lambda node: node.try_run("systemctl is-active keepalived").stdout) == ["inactive\n"] * 3
