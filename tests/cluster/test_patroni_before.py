# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Machines with a Patroni and nothing of rcron yet: mistakes are refused before anything is changed, and check
mode changes nothing.

The last test leaves rcron's lines in the first machine's patroni.yml, exactly as the role has printed them.
"""

import json
import re
from pathlib import Path

import pytest
from nodes import Cluster, Node

from tests.cluster.playbooks import Play

CONF = "/etc/patroni/config.yml"

#: Variables that the role does not know or cannot work with, on each machine in one run, and its messages.
MISTAKES = [
    (
        {"node2": {"rcron_patroni_unit": "patroni"}},
        ["node2: unknown variable rcron_patroni_unit (did you mean rcron_patroni_url?)"],
    ),
    (
        {
            "node1": {"rcron_patroni_service": "postgres-ha"},
            "node2": {"rcron_state_user": "root", "rcron_patroni_conf": "/etc/patroni/none.yml"},
        },
        [
            "node1: rcron_patroni_service is postgres-ha, and there is no such unit",
            "node2: Patroni runs as postgres there, and rcron_state_user is root",
            "node2: /etc/patroni/none.yml: No such file or directory",
        ],
    ),
]


def differences(node: Node, before: str = "files") -> str:
    """Return what was added, removed or changed on a node since its files were listed."""
    return node.run(f"list-files | diff /var/tmp/before/{before} -; true")


@pytest.mark.parametrize(("variables", "messages"), MISTAKES)
def test_mistakes_are_refused_and_explained(
    play: Play, tmp_path: Path, variables: dict[str, object], messages: list[str]
) -> None:
    inventory = {"all": {"hosts": variables}}
    (tmp_path / "mistake.json").write_text(json.dumps(inventory))
    ran = play("--inventory", str(tmp_path / "mistake.json"), "rcron.cluster.site")
    assert ran.returncode != 0
    for message in messages:
        assert message in " ".join(ran.stdout.split())


def test_one_file_without_the_callbacks_is_refused_with_the_lines_that_it_lacks(cluster: Cluster, play: Play) -> None:
    one, folder = cluster.nodes
    ran = play("rcron.cluster.site", "--check", "--diff", "-vvv")
    assert ran.returncode != 0
    assert "very-secret" not in ran.stdout
    assert cluster.on_all(differences) == ["", ""], "none of these runs has changed anything"
    message = re.search(rf"node1: {CONF} does not have Patroni call rcron for .*?\n\n(.*?)\n\n", ran.stdout, re.DOTALL)
    assert message, ran.stdout
    lines = message[1].splitlines()
    assert lines[:2] == ["postgresql:", "  callbacks:"]
    assert f"node2: {CONF}" not in ran.stdout, "a folder gets a file of the role's"

    # As its administrator would: instead of the lines that were there.
    conf = one.run(f"cat {CONF}")
    there = re.search(r"^  callbacks:\n(?:    .*\n)+", conf, re.MULTILINE)
    assert there
    new = conf.replace(there[0], "\n".join(lines[1:]) + "\n")
    one.run(f"cp -a {CONF} /var/tmp/before/config.yml && cat >{CONF} <<'end'\n{new}end")
    one.run("list-files >/var/tmp/before/files-with-lines")

    ran = play("rcron.cluster.site", "--check", "--diff")
    assert ran.returncode == 0, ran.stdout
    assert '+    on_role_change: "/usr/bin/rcronctl feed patroni --then' in ran.stdout
    assert differences(one, "files-with-lines") == ""
    assert differences(folder) == ""
