# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_ucarp asks a node before it changes anything there."""

from __future__ import annotations

import glob
import os
import re

from ..node import files, network, programs

OPTIONS = {
    "own": {"type": "list", "elements": "path", "required": True},
    "hooks": {"type": "list", "elements": "path", "required": True},
    "mark": {"type": "str", "required": True},
    "run": {"type": "list", "elements": "path", "required": True},
}

#: Where a Debian host, or its administrator, may say what ucarp is to run.
PLACES = ("/etc/network/interfaces", "/etc/network/interfaces.d/*", "/etc/systemd/system/*.service", "/etc/rc.local")

PROCESSES = "/proc/[0-9]*"


def inspect(options: dict) -> dict:
    """Look at ucarp on this node.

    Args:
        options: What OPTIONS describes. `own` are the files that the role writes, `hooks` those of them that ucarp
            runs, `mark` a line at the top of each of them, `run` programs that must be there.

    Returns:
        The keys that rcron_feeder_info documents for ucarp.

    Raises:
        OSError: A file that may name the hooks cannot be read.
    """
    present = [path for path in options["own"] if os.path.lexists(path)]
    return {
        "installed": programs.find("ucarp"),
        **network.overview(),
        "present": present,
        "advskew": advskew(present, options["mark"]),
        "foreign": [path for path in present if not is_own(path, options["mark"])],
        "missing": [path for path in options["run"] if not (os.path.isfile(path) and os.access(path, os.X_OK))],
        "users": [
            *configurations_that_name(options["hooks"], options["own"]),
            *processes_that_run(options["hooks"], options["own"]),
        ],
    }


def advskew(present: list[str], mark: str) -> int:
    """Return the advskew with which the role's own unit starts ucarp, -1 if there is no such unit.

    Args:
        present: The paths of the role's files that are there.
        mark: The line at the top of each of them.

    Raises:
        OSError: The unit cannot be read.
    """
    for path in present:
        if path.endswith(".service") and files.is_ours(path, mark):
            found = re.search(r"--advskew=([0-9]{1,3})\b", files.read_text(path))
            return int(found[1]) if found else -1
    return -1


def is_own(path: str, mark: str) -> bool:
    """Tell whether a file at one of the role's paths is the role's."""
    # A password's file holds nothing but the password.
    return os.path.isfile(path) and (path.endswith(".password") or files.is_ours(path, mark))


def configurations_that_name(hooks: list[str], own: list[str]) -> list[str]:
    """Find the lines of the host's configuration that name a hook, but for the role's own files.

    Args:
        hooks: Paths of the role's hooks.
        own: Paths of all that the role writes.

    Returns:
        FILE:LINE of each.

    Raises:
        OSError: A file cannot be read.
    """
    found = []
    for path in sorted(name for place in PLACES for name in glob.glob(place) if os.path.isfile(name)):
        if path not in own:
            found += [
                f"{path}:{number}"
                for number, line in enumerate(files.read_text(path).splitlines(), 1)
                if not line.lstrip().startswith("#") and any(hook in line for hook in hooks)
            ]
    return found


def processes_that_run(hooks: list[str], own: list[str]) -> list[str]:
    """Find each ucarp of root's that was started with a hook, but for the one that the role's own unit runs.

    Args:
        hooks: Paths of the role's hooks.
        own: Paths of all that the role writes.

    Returns:
        `process PID` for each.
    """
    found = []
    units = [os.path.basename(path) for path in own if path.endswith(".service")]
    for folder in glob.glob(PROCESSES):
        try:
            if not is_ucarp(folder):
                continue  # nor are another user's words read, who decides how many there are: PR_SET_MM_MAP in prctl(2)
            words = files.read_text(f"{folder}/cmdline").split("\0")
            group = files.read_text(f"{folder}/cgroup")
            named = any(word == hook or word.endswith(f"={hook}") for hook in hooks for word in words)
            if named and not any(f"/{unit}" in group for unit in units):
                found.append(f"process {os.path.basename(folder)}")
        except OSError:
            continue  # ended in the meantime
    return found


def is_ucarp(folder: str) -> bool:
    """Tell whether a process is root's, or the user's who runs this, and runs a program file called ucarp.

    Its name and its words would be whatever the one who started it likes.

    Args:
        folder: The process's, in /proc.

    Raises:
        OSError: It has ended, or nobody may know.
    """
    users = re.search(r"^Uid:(.*)$", files.read_text(f"{folder}/status"), re.MULTILINE)
    if users is None or not set(users[1].split()) <= {"0", str(os.geteuid())}:
        return False
    # By an update of the package.
    return os.path.basename(os.readlink(f"{folder}/exe").removesuffix(" (deleted)")) == "ucarp"
