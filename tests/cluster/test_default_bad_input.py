# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Mistakes in an inventory, and nodes that cannot be deployed to: refused on all nodes before anything is changed.

Run on nodes that have nothing of rcron yet, so that a file of ours, or a prefix, would be seen.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play


class Mistake(NamedTuple):
    """Something wrong on one host, and the words of the message about it: host, value and fix."""

    host: str
    variables: dict[str, object]
    said: str
    do: str = "true"
    undo: str = "true"


def entries(user: str, job: str) -> dict[str, object]:
    return {"rcron_crontab_entries": [{"user": user, "entries": [{"job": job}]}]}


#: Mistakes that are refused in one run: the same check reports those of all hosts at once.
RUNS = {
    "variables of the wrapper's": [
        Mistake(
            "node1",
            {"rcron_state_user": "postgers"},
            "node1: rcron_state_user is postgers, and there is no such user: create it first",
        ),
        Mistake(
            "node2",
            {"rcron_clustername": "billing"},
            "node2: unknown variable rcron_clustername (did you mean rcron_cluster_name?)",
        ),
        Mistake(
            "node3",
            {"rcron_nice_level": 99},
            "node3: its variables would give a configuration that the wrapper refuses",
        ),
        Mistake("node3", {}, "-20 to 19"),
    ],
    "two hosts that are active by default": [
        Mistake("node1", {"rcron_default_state": "active"}, "rcron_default_state is active on node1 and node3"),
        Mistake("node3", {"rcron_default_state": "active"}, "leave it active on one of them"),
    ],
    "variables of keepalived's": [
        Mistake(
            "node2",
            {"rcron_keepalived_interfaces": "eth0"},
            "node2: unknown variable rcron_keepalived_interfaces (did you mean rcron_keepalived_interface?)",
        ),
    ],
    "configuration of keepalived that cannot be read": [
        # root may read every file, but not a folder in its place.
        Mistake(
            "node3",
            {"rcron_keepalived_manage": False},
            "node3: /etc/keepalived/keepalived.conf: Is a directory: let root read it",
            "mkdir /etc/keepalived/keepalived.conf",
            "rmdir /etc/keepalived/keepalived.conf",
        ),
    ],
    "interface that there is not": [
        Mistake(
            "node3",
            {"rcron_keepalived_interface": "eth9"},
            "node3: rcron_keepalived_interface is eth9, and there is no",
        ),
        Mistake("node3", {}, "name one of eth0, lo in rcron_keepalived_interface"),
    ],
    "variables of the crontabs'": [
        Mistake(
            "node2",
            {"rcron_crontab_entry": []},
            "node2: unknown variable rcron_crontab_entry (did you mean rcron_crontab_entries?)",
        ),
    ],
    "entries, users and nodes that cron does not have": [
        Mistake("node1", entries("root", "/usr/local/bin/recrod root"), "/usr/local/bin/recrod root"),
        Mistake("node2", entries("alcie", "/usr/local/bin/record user"), "alcie"),
        Mistake(
            "node3",
            {},
            "this host has no crontab command, so no cron runs its crontabs. Install the package cron",
            "mv /usr/bin/crontab /usr/bin/hidden",
            "mv /usr/bin/hidden /usr/bin/crontab",
        ),
    ],
}


@pytest.fixture(autouse=True)
def unchanged(cluster: Cluster) -> Iterator[None]:
    """After each of these tests, every file of every node is what it was before all of them."""
    yield

    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", "", ""]


def refusal(play: Play, tmp_path: Path, variables_of: dict[str, dict[str, object]]) -> str:
    """Deploy with other variables for some hosts, which must fail; return the errors that Ansible printed.

    As a second inventory, because extra variables would hold for all hosts.
    """
    inventory = {"all": {"hosts": variables_of}}
    (tmp_path / "mistake.json").write_text(json.dumps(inventory))
    ran = play("--inventory", str(tmp_path / "mistake.json"), "rcron.cluster.site")
    assert ran.returncode != 0, "the playbook took it"
    return " ".join(" ".join(re.findall(r"^(?:\[ERROR\]|fatal): .*", ran.stdout, re.MULTILINE)).split())


@pytest.mark.parametrize("mistakes", RUNS.values(), ids=RUNS.keys())
def test_mistakes_are_refused_and_explained(
    cluster: Cluster, play: Play, tmp_path: Path, mistakes: list[Mistake]
) -> None:
    nodes = {node.name: node for node in cluster.nodes}
    for mistake in mistakes:
        nodes[mistake.host].run(mistake.do)
    try:
        said = refusal(play, tmp_path, {mistake.host: mistake.variables for mistake in mistakes if mistake.variables})
    finally:
        for mistake in mistakes:
            nodes[mistake.host].run(mistake.undo)
    for mistake in mistakes:
        assert f"{mistake.host}: " in said
        assert mistake.said in said
