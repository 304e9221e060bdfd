# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_heartbeat asks a node before it changes anything there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ..node import files, network, systemd

OPTIONS = {
    "folder": {"type": "path", "required": True},
    "script": {"type": "path", "required": True},
    "before": {"type": "path", "required": True},
    "mark": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "times": {
        "type": "dict",
        "required": True,
        "options": {name: {"type": "str", "required": True} for name in ("keepalive", "deadtime", "initdead")},
    },
}

#: Where distributions put the program.
DAEMONS = tuple(f"/usr/{folder}/heartbeat/heartbeat" for folder in ("libexec", "lib", "lib64"))

#: Heartbeat's own configuration.
CONFIGURATION = ("ha.cf", "haresources", "authkeys")

#: ha.cf(5): seconds, or with a unit.
TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)?$")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, None: 1.0}


def inspect(options: dict) -> dict:
    """Look at Heartbeat on this node.

    Args:
        options: What OPTIONS describes. `folder` is Heartbeat's, `script` the resource script, `before` the folder for
            what was there before the role wrote the configuration, `mark` the first line of the role's own files,
            `service` the unit, `times` what ha.cf has for `keepalive`, `deadtime` and `initdead`.

    Returns:
        The keys that rcron_feeder_info documents for heartbeat.

    Raises:
        ProgramError: systemd does not answer.
        OSError: The node cannot be read at all.
    """
    reader = _Reader(options["folder"])
    there = haresources(reader.text("haresources"))
    owners: dict[str, str] = {}
    for node, *resources in there:
        for resource in resources:
            owners.setdefault(resource, node.lower())
    earlier = haresources(reader.text(os.path.join(options["before"], "haresources")))
    daemon = next(filter(os.path.exists, DAEMONS), "")
    return {
        "name": os.uname().nodename,
        "daemon": daemon,
        "installed": bool(daemon),
        "running": systemd.is_active(options["service"]),
        "enabled": systemd.is_enabled(options["service"]),
        "there": [name for name in CONFIGURATION if os.path.exists(reader.path(name))],
        "ours": files.is_ours(reader.path("ha.cf"), options["mark"]),
        "before": unit_before(reader.text(os.path.join(options["before"], "unit"))),
        "owners": owners,
        "named_before": [word for _service, *words in earlier for word in words if word.split("::")[0] == "rcron"],
        "crm": crm(reader.text("ha.cf")),
        "foreign": files.foreign([options["script"]], options["mark"]) if reader.text(options["script"]) else [],
        "times": wrong_times(options["times"]),
        **network.overview(),
        "error": reader.error,
    }


class _Reader:
    """Reads files, and keeps the first reason why one cannot be read."""

    def __init__(self, folder: str) -> None:
        self.error = ""
        self._folder = folder

    def path(self, name: str) -> str:
        """Return the path of a file in Heartbeat's folder, or `name` if that is absolute."""
        return os.path.join(self._folder, name)

    def text(self, name: str) -> str:
        """Return a file's text, "" if there is none."""
        try:
            return files.read_text(self.path(name))
        except FileNotFoundError:
            return ""
        except OSError as error:
            self.error = self.error or f"{self.path(name)}: {error.strerror}"
            return ""


def haresources(text: str) -> Iterator[list[str]]:
    """Read a haresources file as Heartbeat does: the same rules as in rcron's own module for Heartbeat.

    Args:
        text: The file's. A line that ends with a backslash goes on in the next one, which knows no comment.

    Yields:
        For each line the node's name and its resources.
    """
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        joined = line.partition("#")[0]
        while joined.endswith("\\"):
            following = next(lines, None)
            if following is None:
                break
            joined = joined[:-1] + following
        words = [word for word in joined.replace("\t", " ").split(" ") if word]
        if words:
            yield words


def crm(text: str) -> str:
    """Return the directive that has Pacemaker decide instead of haresources, "" if there is none.

    Args:
        text: The text of ha.cf.
    """
    found = ""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if (
            len(words) > 1
            and words[0].lower() in ("crm", "pacemaker")
            and words[1].lower() not in ("no", "off", "false", "0")
        ):
            found = " ".join(words)
    return found


def unit_before(text: str) -> dict[str, bool] | None:
    """Read how the unit was before the role wrote the configuration.

    Args:
        text: What the role noted: two words, the first of them `enabled` or not, the second `running` or not.

    Returns:
        `enabled` and `running`, or None if the role noted nothing.
    """
    words = text.split()
    return {"enabled": words[0] == "enabled", "running": words[1] == "running"} if len(words) == 2 else None


def wrong_times(times: dict[str, str]) -> str:
    """Check the times of ha.cf against each other.

    Args:
        times: `keepalive`, `deadtime` and `initdead` as ha.cf has them.

    Returns:
        What is wrong and how to fix it, "" if nothing is.
    """
    seconds = {}
    for name in ("keepalive", "deadtime", "initdead"):
        match = TIME.match(times[name])
        if not match or not float(match[1]):
            return f"rcron_heartbeat_{name} is {times[name]}: take seconds, such as 2, or 500ms"
        seconds[name] = float(match[1]) * UNITS[match[2]]
    if seconds["deadtime"] <= 2 * seconds["keepalive"]:
        return (
            f"rcron_heartbeat_deadtime is {times['deadtime']}, and two packets come {times['keepalive']} apart"
            " (rcron_heartbeat_keepalive): take more than twice that"
        )
    if seconds["initdead"] < seconds["deadtime"]:
        return f"rcron_heartbeat_initdead is {times['initdead']}, less than rcron_heartbeat_deadtime: take more"
    return ""
