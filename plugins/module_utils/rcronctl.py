# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Set a node's state with rcronctl, as a feeder does."""

from __future__ import annotations

from .node import programs

#: Seconds that rcronctl has. It may wait for another one.
TIME_LIMIT = 60.0


def set_passive(rcronctl: str, conf: str, feeder: str) -> None:
    """Make the node passive.

    Args:
        rcronctl: The path of rcronctl.
        conf: The path of rcron.conf.
        feeder: The feeder's name.

    Raises:
        ProgramError: rcronctl failed.
    """
    programs.output(rcronctl, "--conf", conf, "set", "passive", "--feeder", feeder, time_limit=TIME_LIMIT)


def set_active(rcronctl: str, conf: str, feeder: str, daemon: int, user: str = "root") -> None:
    """Make the node active for as long as a process lives.

    Args:
        rcronctl: The path of rcronctl.
        conf: The path of rcron.conf.
        feeder: The feeder's name.
        daemon: The process id of the feeder's daemon.
        user: Whom rcronctl runs as.

    Raises:
        ProgramError: rcronctl failed.
    """
    # The process that rcronctl leaves behind must not end with Ansible's login (KillUserProcesses=).
    scope = ["systemd-run", "--scope", "--quiet", "--slice=system.slice"]
    if user != "root":
        scope.append(f"--uid={user}")
    words = ["set", "active", "--while", str(daemon), "--feeder", feeder]
    programs.output(*scope, "--", rcronctl, "--conf", conf, *words, time_limit=TIME_LIMIT)
