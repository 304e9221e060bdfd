# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What systemd says of a node's units. Each function raises ProgramError if systemctl is missing or does not answer.

A unit's name may come from a log, which anybody can write to. systemctl takes nothing that follows `--` for an option.
"""

from __future__ import annotations

from . import programs


def is_active(unit: str) -> bool:
    """Tell whether a unit is active."""
    return programs.run("systemctl", "--quiet", "is-active", "--", unit).returncode == 0


def is_enabled(unit: str) -> bool:
    """Tell whether a unit is started at boot."""
    return programs.run("systemctl", "--quiet", "is-enabled", "--", unit).returncode == 0


def properties(unit: str, *names: str) -> dict[str, str]:
    """Return properties of a unit by their names; a unit that does not exist has them too."""
    text = programs.output("systemctl", "show", "--property=" + ",".join(names), "--", unit)
    return dict(line.partition("=")[::2] for line in text.splitlines())


def main_process(unit: str) -> int:
    """Return the process id of a unit's main process, 0 if it does not run."""
    pid = properties(unit, "MainPID").get("MainPID", "")
    return int(pid) if pid.isdecimal() else 0
