# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which processes belong to a systemd unit.

Anybody can give a process any name, but only root puts one into a unit of the system.
"""

import os


def processes(*units: str, root: str = "/proc") -> "dict[str, int]":
    """Find the processes of the system's units.

    Args:
        units: Their names, such as `pacemaker.service`.
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
        try:
            with open(f"{root}/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                found.setdefault(stream.read().rstrip("\n"), pid)
        except OSError:
            continue  # it has ended meanwhile
    return found


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
