# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs and units that a node is asked about: what fails says why, and nothing is waited for without end."""

from __future__ import annotations

import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs, systemd
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import (
    FailedError,
    NotStartedError,
    ProgramError,
)


def test_output_is_what_is_printed(program):
    assert programs.output(program("say", 'echo "$@"; echo and >&2'), "a b", "c") == "a b c\n"


def test_bytes_that_are_not_utf8_are_replaced(program):
    assert programs.output(program("say", r"printf 'caf\351'")) == "caf\ufffd"


@pytest.mark.parametrize(
    ("script", "said"), [("echo why >&2; exit 1", "why"), ("echo why; exit 1", "why"), ("exit 7", "exit status 7")]
)
def test_a_program_that_fails_says_why(program, script, said):
    path = program("fail", script)
    with pytest.raises(FailedError) as raised:
        programs.output(path, "a")
    assert str(raised.value) == f"{path} a: {said}"


@pytest.mark.parametrize("words", [["/no/such"], ["/etc"], ["a\0b"], ["true", "a\0b"]])
def test_a_program_that_cannot_be_started_is_named(words):
    with pytest.raises(NotStartedError, match="cannot be run: "):
        programs.run(*words)


def test_a_program_that_does_not_end_is_killed(program, tmp_path):
    path = program("hang", f"echo $$ >{tmp_path}/pid; exec sleep 60")
    began = time.monotonic()
    with pytest.raises(ProgramError, match=r"hang a did not end within 1 s"):
        programs.run(path, "a", time_limit=1)
    assert time.monotonic() - began < 20
    pid = (tmp_path / "pid").read_text().strip()
    with pytest.raises(FileNotFoundError):
        open(f"/proc/{pid}/stat").close()


def test_nothing_is_read_from_standard_input(program):
    assert programs.output(program("read", "cat")) == ""


def test_units_are_active_enabled_or_neither(systemctl):
    systemctl(active="a", enabled="b")
    assert [systemd.is_active(unit) for unit in ("a", "b", "c")] == [True, False, False]
    assert [systemd.is_enabled(unit) for unit in ("a", "b", "c")] == [False, True, False]


def test_properties_may_hold_what_separates_them(systemctl):
    systemctl(shown="ExecStart={ argv[]=/bin/x a=b }\nUser=\nMainPID=42")
    assert systemd.properties("a", "ExecStart", "User") == {
        "ExecStart": "{ argv[]=/bin/x a=b }",
        "User": "",
        "MainPID": "42",
    }
    assert systemd.main_process("a") == 42


@pytest.mark.parametrize("shown", ["MainPID=0", "MainPID=", ""])
def test_a_unit_that_does_not_run_has_no_process(systemctl, shown):
    systemctl(shown=shown)
    assert systemd.main_process("a") == 0


def test_a_systemctl_that_is_not_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotStartedError, match="systemctl cannot be run: No such file or directory"):
        systemd.is_active("a")
