# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Every playbook on hosts that are folders of this machine: a group that is misspelt or empty, and --limit."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.unit import playbooks

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(path.stem for path in (CHECKOUT / "playbooks").glob("[!_]*.yml"))


@pytest.fixture
def play(tmp_path):
    """Return a function that runs a playbook on hosts without rcron, and returns the process."""

    def run(playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "rcron_feeder": "none",
            "rcron_bin_dir": str(tmp_path / "bin"),
            "rcron_timeline_file": str(tmp_path / "timeline.svg"),
            "rcron_report_file": str(tmp_path / "report.html"),
        }
        groups = {
            "rcron": {"hosts": {"one": {}, "two": {}}, "vars": variables},
            "web": {"hosts": {"three": {}}, "vars": variables},
            "empty": {"hosts": {}},
        }
        (tmp_path / "inventory.json").write_text(json.dumps(groups))
        words = ["-i", str(tmp_path / "inventory.json"), f"rcron.cluster.{playbook}", *options]
        return playbooks.run(words, cwd=tmp_path)

    return run


def words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_group_without_hosts_is_an_error(play, playbook):
    done = play(playbook, "-e", "rcron_group=rcorn")
    assert done.returncode != 0
    assert 'rcron_group is \\"rcorn\\", and the inventory has no host in such a group. Nothing was done.' in words(done)
    assert "The inventory's groups: empty, rcron, web" in words(done)


def test_an_empty_group_is_an_error(play):
    assert play("check", "-e", "rcron_group=empty").returncode != 0


def test_a_group_may_be_a_pattern(play):
    done = play("status", "-e", "rcron_group=rcron:&empty")
    assert done.returncode != 0
    done = play("status", "-e", "rcron_group=rcron:!two")
    assert done.returncode == 0, done.stdout
    assert "one" in done.stdout
    assert "two" not in done.stdout


def test_a_limit_that_leaves_no_host_of_the_group_is_an_error(play):
    done = play("check", "--limit", "web")
    assert done.returncode != 0
    assert '--limit web leaves no host of the group \\"rcron\\", which has one, two. Nothing was done.' in words(done)


@pytest.mark.parametrize("options", [(), ("--limit", "two"), ("--limit", "rcron")])
def test_check_reports_whatever_the_limit_is(play, options):
    """None of the hosts has rcron, which check says of each that it looked at."""
    done = play("check", *options)
    assert done.returncode != 0, done.stdout
    assert "problems; the table is above" in done.stdout
    assert "two" in done.stdout
