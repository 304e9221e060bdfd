# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""playbooks.py: a fork that is ansible-playbook is what ansible-playbook is by itself."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

import pytest

from tests.unit import playbooks


@pytest.fixture
def play(tmp_path: pathlib.Path):
    """Return a function that runs tasks on the controller, and returns the process."""

    def run(*tasks: dict, **more) -> subprocess.CompletedProcess[str]:
        plays = [{"name": "Test", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "play.yml").write_text(json.dumps(plays))
        interpreter = f"ansible_python_interpreter={sys.executable}"
        words = ["-i", "localhost,", "-c", "local", "-e", interpreter, "play.yml"]
        return playbooks.run(words, cwd=tmp_path, **more)

    return run


#: What makes a run an ordinary ansible-playbook, and changes nothing else.
ORDINARY = {"ANSIBLE_NOCOWS": "1"}

WORDS = (
    "{{ lookup('ansible.builtin.pipe', 'pwd') }} {{ lookup('ansible.builtin.env', 'WORD') }} {{ said | default('') }}"
)
SHOW = {"name": "Show", "ansible.builtin.debug": {"msg": WORDS}}
NOTE = {"name": "Note", "ansible.builtin.set_fact": {"said": "before", "cacheable": True}}
FAIL = {"name": "Fail", "ansible.builtin.command": "false"}
TEMPLATE = {"name": "Fail", "ansible.builtin.debug": {"msg": "{{ no_such_variable }}"}}


@pytest.mark.parametrize("tasks", [[NOTE, SHOW], [SHOW], [FAIL], [TEMPLATE], [{"name": "Odd", "no.such": {}}]])
def test_a_fork_prints_and_returns_what_an_ordinary_run_does(play, tasks):
    ran, ordinary = (play(*tasks, WORD="a word", **more) for more in ({}, ORDINARY))

    def what(done: subprocess.CompletedProcess[str]) -> list:
        # Of a command, when it was run.
        lines = [line for line in done.stdout.splitlines() if "FAILED! =>" not in line]
        return [done.returncode, lines, done.stderr]

    assert what(ran) == what(ordinary)
    assert ("a word" in ran.stdout) == (SHOW in tasks)
    assert ("before" in ran.stdout) == (NOTE in tasks)


@pytest.mark.parametrize("more", [{}, ORDINARY])
def test_a_run_that_takes_too_long_is_killed(play, more):
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        play({"name": "Wait", "ansible.builtin.command": "sleep 60"}, timeout=5, **more)
    assert time.monotonic() - began < 50
    assert play(SHOW, **more).returncode == 0
