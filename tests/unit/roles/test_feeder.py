# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all feeder roles have from the role _feeder, seen with the one that needs no daemon, on this machine."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

ROLE = "rcron.cluster.rcron_wackamole"
WRITTEN = "# Written by Ansible, role rcron.cluster.rcron_wackamole: changes made here are lost at its next run."

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="feeder roles want root"),
    pytest.mark.skipif(shutil.which("perl") is None, reason="no perl on this machine"),
]


@pytest.fixture
def module(tmp_path: pathlib.Path) -> pathlib.Path:
    """The file that the role writes."""
    return tmp_path / "perl" / "Rcron.pm"


@pytest.fixture
def play(playbook, module):
    """Return a function that runs a play's tasks or roles with the role's variables, and returns the process."""

    def run(content: dict, *options: str, **variables):
        places = {
            "rcron_wackamole_module_dir": str(module.parent),
            "rcron_wackamole_perl": shutil.which("perl"),
            "rcron_wackamole_conf": str(module.parent.parent / "wackamole.conf"),
            "rcron_wackamole_address": "192.0.2.10",
        }
        return playbook({"vars": {**places, **variables}, **content}, *options)

    return run


def include(tasks_from: str = "main", **variables) -> dict:
    role = {"name": ROLE, "tasks_from": tasks_from}
    return {"name": f"Include {tasks_from}", "ansible.builtin.include_role": role, "vars": variables}


def inspections(ran) -> int:
    return ran.stdout.count("TASK [rcron.cluster._feeder : Inspect the feeder on the node]")


def test_a_role_by_itself_connects_once_and_leaves_nothing_behind(play, module):
    first = play({"roles": [ROLE]})
    assert first.returncode == 0, first.stdout
    assert module.read_text().splitlines()[0] == WRITTEN
    assert "changed=0" in play({"roles": [ROLE]}).stdout
    removed = play({"roles": [ROLE]}, rcron_wackamole_state="absent")
    assert removed.returncode == 0, removed.stdout
    assert not module.parent.exists()


def test_a_folder_that_holds_something_else_stays(play, module):
    play({"roles": [ROLE]})
    (module.parent / "Mine.pm").write_text("1;\n")
    play({"roles": [ROLE]}, rcron_wackamole_state="absent")
    assert os.listdir(module.parent) == ["Mine.pm"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_somebody_s_file_is_neither_replaced_nor_removed(play, module, state):
    module.parent.mkdir()
    module.write_text("package Rcron;\n")
    ran = play({"roles": [ROLE]}, rcron_wackamole_state=state)
    assert ran.returncode != 0
    assert f"localhost: {module} is there already, and not from this role: rename it, or name another" in ran.stdout
    assert module.read_text() == "package Rcron;\n"


def test_all_that_is_wrong_is_said_in_one_run_and_nothing_done(play, module):
    wrong = {"rcron_wackamole_adress": "192.0.2.10", "rcron_wackamole_perl": "/nonexistent/perl"}
    ran = play({"roles": [ROLE]}, **wrong)
    assert ran.returncode != 0
    assert "localhost: unknown variable rcron_wackamole_adress (did you mean rcron_wackamole_address?)" in ran.stdout
    assert "localhost: /nonexistent/perl cannot be run or lacks its module POSIX" in ran.stdout
    assert not module.parent.exists()


def test_what_has_been_checked_is_not_checked_again(play, module):
    ran = play({"tasks": [include("preflight"), include()]})
    assert ran.returncode == 0, ran.stdout
    assert inspections(ran) == 1
    assert module.exists()


@pytest.mark.parametrize(
    "change",
    [{"rcron_wackamole_address": "192.0.2.11"}, {"rcron_conf": "/etc/rcron/b.conf"}, {"rcron_bin_dir": "/opt"}],
)
def test_with_other_variables_it_is_checked_again(play, change):
    ran = play({"tasks": [include("preflight"), include(**change)]})
    assert ran.returncode == 0, ran.stdout
    assert inspections(ran) == 2


def test_a_removal_is_checked_by_its_own_checks(play, module):
    play({"roles": [ROLE]})
    (module.parent.parent / "wackamole.conf").write_text("PerlUse Rcron\n")
    ran = play({"tasks": [include("preflight"), include("preflight_remove")]})
    assert ran.returncode != 0
    assert "wackamole.conf still has PerlUse Rcron: take that out" in ran.stdout
    assert module.exists()


def test_a_role_s_tag_runs_all_of_it(play, module):
    play({"roles": [{"role": ROLE, "tags": ["feeder"]}]}, "--tags=feeder")
    assert module.exists()
