# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which processes belong to a systemd unit.

Anybody can give a process any name, but only root puts one into a unit of the system. What a daemon starts for others
is in its unit, too, such as a database that Pacemaker starts: so its user counts.
"""

import os
from collections.abc import Collection


def processes(*units: str, users: "Collection[int]" = (0,), root: str = "/proc") -> "dict[str, int]":
    """Find the processes of the system's units.

    Args:
        units: Their names, such as `pacemaker.service`.
        users: Whose processes count: the daemons'.
        root: Where proc(5) is.

    Returns:
        Each process's name as `ps -o comm` shows it, 15 bytes at most, and its number; of several with one name the
        lowest. Empty if there is no such unit.
    """
    top = _cgroup(f"{root}/1").removesuffix("/init.scope").rstrip("/") + "/"
    found: "dict[str, int]" = {}
    for pid in sorted(int(entry) for entry in os.listdir(root) if entry.isdecimal()):
        path = _cgroup(f"{root}/{pid}")
        if not path.startswith(top) or path.rpartition("/")[2] not in units or "user.slice" in path.split("/"):
            continue
        if not _users(f"{root}/{pid}") <= set(users):
            continue
        try:
            with open(f"{root}/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                found.setdefault(stream.read().rstrip("\n"), pid)
        except OSError:
            continue  # it has ended meanwhile
    return found


def _users(process: str) -> "set[int]":
    """Return a process's users, real, effective, saved and of its files; -1 if it has ended."""
    try:
        with open(f"{process}/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith("Uid:"):
                    return {int(word) for word in line.split()[1:]}
    except OSError:
        pass
    return {-1}


def _cgroup(process: str) -> str:
    """Return in which of systemd's control groups a process is (cgroups(7)), or an empty string."""
    unified = ""
    try:
        with open(f"{process}/cgroup", encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                _number, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers == "name=systemd":
                    return path
                if not controllers:
                    unified = path
    except OSError:
        pass
    return unified
