# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Facts about processes from /proc: proc_pid_stat(5).

A number alone does not identify a process, since numbers are used again. A number and its start time do.
"""

import os

#: States of processes (proc_pid_stat(5)): of one that has ended, and of one that a signal has stopped.
_ENDED = (b"Z", b"X")
_STOPPED = (b"T", b"t")

_PF_EXITING = 0x4  # <linux/sched.h>: its files are closed, or about to be


def _stat(pid: int) -> "tuple[str, list[bytes]] | None":
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            head, _bracket, tail = stream.read().rpartition(b")")
    except OSError:
        return None
    fields = tail.split()
    # What is mounted in /proc's place may show anything: the number of the parent, the flags and the start are needed.
    if len(fields) < 20 or not all(fields[index].isdigit() for index in (1, 6, 19)):
        return None
    return head.partition(b"(")[2].decode("utf-8", "replace"), fields


def started_at(pid: int) -> str:
    """Return when a process was started, in clock ticks since boot.

    Args:
        pid: the process.

    Returns:
        The digits, or an empty string if the process has ended or never existed.
    """
    found = _stat(pid)
    return "" if found is None or found[1][0] in _ENDED else found[1][19].decode()


def lives(pid: int) -> bool:
    """Return whether a process runs and is not about to end.

    Args:
        pid: the process.
    """
    found = _stat(pid)
    return found is not None and found[1][0] not in _ENDED and not int(found[1][6]) & _PF_EXITING


def is_hidden(pid: int) -> bool:
    """Return whether a process exists that /proc does not show us: it is mounted with hidepid (proc(5)), or not at all.

    Args:
        pid: the process.
    """
    if _stat(pid) is not None:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def is_stopped(pid: int) -> bool:
    """Return whether a signal or a debugger has stopped a process.

    Args:
        pid: the process.
    """
    found = _stat(pid)
    return found is not None and found[1][0] in _STOPPED


def parent(pid: int) -> int:
    """Return the number of a process's parent, or 0 if there is none.

    Args:
        pid: the process.
    """
    found = _stat(pid)
    return 0 if found is None else int(found[1][1])


def name(pid: int) -> str:
    """Return a process's name as `ps -o comm` shows it, 15 bytes at most.

    Args:
        pid: the process.

    Returns:
        The name, or an empty string if there is no such process.
    """
    found = _stat(pid)
    return "" if found is None else found[0]
