# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs and units that a node is asked about: what fails says why, and nothing is waited for without end."""

from __future__ import annotations

import os
import pty
import subprocess
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


def test_no_unit_is_an_option_of_systemctl_s(program, tmp_path):
    program("systemctl", f'echo "$*" >>{tmp_path}/asked')
    systemd.is_active("-H.service")
    systemd.is_enabled("-H.service")
    systemd.properties("-H.service", "Id")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 3
    assert [line.endswith(" -- -H.service") for line in asked] == [True] * 3


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


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_program_that_root_runs_has_not_his_terminal(tmp_path, monkeypatch, is_protected):
    """Root runs some as a user, who may look into any process of his own (ptrace(2)), and type there (TIOCSTI)."""
    if not is_protected:
        real = subprocess.Popen
        monkeypatch.setattr(
            programs.subprocess,
            "Popen",
            lambda *words, **options: real(*words, **{**options, "start_new_session": False}),
        )
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n: </dev/tty && echo typed\n")
    script.chmod(0o755)
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os._exit("typed" in programs.run(str(script)).stdout)
        finally:
            os._exit(99)
    _pid, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == (0 if is_protected else 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs anything as another user")
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_user_s_program_does_not_decide_how_much_memory_root_needs(program, monkeypatch, is_protected):
    if not is_protected:
        monkeypatch.setattr(programs, "MOST_BYTES", 1 << 25)
    path = program("endless", "head -c 8000000 /dev/zero; head -c 8000000 /dev/zero >&2; echo end")
    done = programs.run("/bin/sh", path, user="root")
    assert max(len(done.stdout), len(done.stderr)) == (1 << 20 if is_protected else 8000004)
    assert programs.run("/bin/sh", "-c", "echo said; echo complained >&2; exit 3", user="root").returncode == 3


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("where", ["", " >&2"])
def test_a_program_of_root_s_that_repeats_what_users_say_does_not_either(program, monkeypatch, where, is_protected):
    if not is_protected:
        monkeypatch.setattr(programs, "MOST_OF_ROOT", 1 << 40)
    path = program("talkative", f"head -c 40000000 /dev/zero{where}; echo said")
    if is_protected:
        with pytest.raises(ProgramError, match="printed more than 32 MiB"):
            programs.run(path)
    else:
        done = programs.run(path)
        assert max(len(done.stdout), len(done.stderr)) >= 40000000
    assert programs.run("/bin/sh", "-c", "echo said; echo complained >&2; exit 3").stderr == "complained\n"
