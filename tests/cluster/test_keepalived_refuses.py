# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The form `notify` beside a keepalived.conf that does not call rcron is refused on all nodes before any change,
with the very lines that its owner then adds (molecule/keepalived/notify.yml)."""

import re
from pathlib import Path

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play

NOTIFY = Path(__file__).parents[2] / "molecule/keepalived/notify.yml"


@pytest.fixture(scope="module")
def said(play: Play, cluster: Cluster) -> str:
    """Return the playbook's output if it is to deploy the other form too early."""
    cluster.on_all(lambda node: node.run("list-files >/var/tmp/deployed"))
    ran = play("--extra-vars=rcron_keepalived_hook_form=notify", "molecule/keepalived/converge.yml")
    assert ran.returncode != 0, ran.stdout
    return ran.stdout


def test_it_names_host_place_and_line(said: str, node: Node) -> None:
    assert re.search(
        rf"{node}: vrrp_instance VI_billing \(/etc/keepalived/conf.d/billing.conf:4\) does not call rcron: add to it"
        r" the line notify .*\. vrrp_sync_group VG_mail \(/etc/keepalived/conf.d/mail.conf:2\) does not call rcron",
        said,
    )


def test_its_lines_are_those_that_the_owner_adds(said: str) -> None:
    lines = set(re.findall(r'add to it the line (notify "[^"\\]*" root)', said))
    assert len(lines) == 2
    for line in lines:
        assert f"{line}' conf.d/" in NOTIFY.read_text()


def test_it_changes_nothing(said: str, node: Node) -> None:
    assert re.search(rf"^{node} +: .* changed=0 ", said, re.MULTILINE)
    assert node.try_run("list-files | diff /var/tmp/deployed -").stdout == ""
