# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whoever claims as another user has not the terminal of the administrator who tries the engine out."""

import os
import pty

import pytest

from rcron.agent import ledger


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
