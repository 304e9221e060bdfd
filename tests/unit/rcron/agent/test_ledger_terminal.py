# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Neither who claims as another user nor the engine has the terminal of the administrator who tries that out."""

import os
import pathlib
import pty

import pytest

from rcron import log
from rcron.agent import ledger
from rcron.agent.engines import command


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_process_of_that_user_s_can_type_where_root_works(leads: bool, is_protected: bool) -> None:
    """He may look into any process of his own (ptrace(2)), and have it type on its terminal (TIOCSTI)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os._exit(_has_terminal(leads, is_protected))
    _pid, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == (0 if is_protected else 1)


def _has_terminal(leads: bool, is_protected: bool) -> int:
    """Return 1 if a process still has a terminal, 0 if not. leads: whether it leads its session."""
    pid = 0 if leads else os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        if is_protected:
            ledger.leave_terminal()
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        os._exit(0)
    os._exit(1)


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("status", [0, 2])
def test_no_engine_says_what_a_terminal_obeys(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    is_protected: bool,
) -> None:
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\nprintf 'well\\033]0;x\\007\\n'\nexit {status}\n", encoding="utf-8")
    program.chmod(0o755)
    conf = tmp_path / "agent.conf"
    conf.write_text(f"engine = command\nendpoints = {program}\n", encoding="utf-8")
    conf.chmod(0o600)
    monkeypatch.setattr(ledger, "PATIENCE", 0.0)
    monkeypatch.setattr(ledger, "_user", lambda _name: None)
    monkeypatch.setattr(command, "LIMIT", 30.0)
    if not is_protected:
        monkeypatch.setattr(log, "one_line", lambda text: text)
    assert ledger.check(str(conf), "root") == (69 if status else 0)
    said = "".join(capsys.readouterr())
    assert "well" in said
    assert ("\x1b" in said) != is_protected
