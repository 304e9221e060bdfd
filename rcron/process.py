# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What /proc tells of a process: proc_pid_stat(5). A number alone names no process, since numbers are used again; a
number and its time of start do."""

import os
from collections.abc import Iterator

#: Process states (proc_pid_stat(5)) of one that does nothing more, and of one that a signal has stopped.
_ENDED = (b"Z", b"X")
_STOPPED = (b"T", b"t")

_PF_EXITING = 0x4  # <linux/sched.h>: its files are closed, or about to be


def _stat(pid: int) -> "tuple[str, list[bytes]] | None":
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            head, _bracket, tail = stream.read().rpartition(b")")
    except OSError:
        return None
    return head.partition(b"(")[2].decode("utf-8", "replace"), tail.split()


def start(pid: int) -> str:
    """When a process was started, in clock ticks since boot; an empty string where it has ended or never was."""
    found = _stat(pid)
    return "" if found is None or found[1][0] in _ENDED else found[1][19].decode()


def lives(pid: int) -> bool:
    """Whether a process runs and is not about to end."""
    found = _stat(pid)
    return found is not None and found[1][0] not in _ENDED and not int(found[1][6]) & _PF_EXITING


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger has stopped a process."""
    found = _stat(pid)
    return found is not None and found[1][0] in _STOPPED


def name(pid: int) -> str:
    """A process's name as `ps -o comm` tells it (15 bytes at most); an empty string where there is none."""
    found = _stat(pid)
    return "" if found is None else found[0]


def ancestors() -> "Iterator[tuple[int, str]]":
    """The processes above this one, the nearest first: number and name. Not the machine's first process."""
    pid = os.getppid()
    while pid > 1:
        found = _stat(pid)
        if found is None:
            return
        yield pid, found[0]
        pid = int(found[1][1])


def ancestor(*names: str) -> int:
    """The nearest process above this one that has one of these names (as `ps -o comm` tells them, 15 bytes at most), or
    whose program's file has: a daemon may call its processes what it likes.

    Returns its number, or 0 where there is none.
    """
    return next((pid for pid, name in ancestors() if name in names or _program(pid) in names), 0)


def _program(pid: int) -> str:
    """The name of the file that a process runs; an empty string where that is not ours to know."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""
