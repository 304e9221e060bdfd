# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The guarded services of a node and when their timers elapse: for `rcronctl metrics`."""

import datetime
import errno
import glob
import os
import re
import subprocess
from typing import NamedTuple

from rcron import files
from rcron.entries import GAP, MAX_BYTES, Entry
from rcron.settings import DEFAULT_PATH

#: Where an administrator's units and drop-ins are. Users' own service managers are not looked at.
FOLDER = "/etc/systemd/system"

#: Seconds that systemctl has for its answer.
_TIME_LIMIT = 10

#: A condition that asks `rcronctl guard`.
_GUARD = re.compile(r"ExecCondition=.*?rcronctl(?P<conf>(?: --conf[ =]\S+)?) guard\b(?P<rest>[^;]*)")

_CONF = re.compile(r"--conf[ =](\S+)")
_WAIT = re.compile(r"--takeover-wait[ =](\d{1,5})\b")

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

#: systemd.time(7), as systemctl prints it, in seconds.
_UNITS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "month": 2629800.0,
    "y": 31557600.0,
}  # fmt: skip


class Elapse(NamedTuple):
    """When a service's timer elapses next.

    Attributes:
        when (float): seconds since the epoch, with this node's delay by chance.
        spread (float): by how many seconds other nodes' timers may be earlier.
    """

    when: float
    spread: float


def find(folder: str = FOLDER) -> "list[Entry]":
    """Find the guarded services.

    Args:
        folder: where units and their drop-ins are.

    Returns:
        The services as entries: with the service's name and no schedule. All instances of a template are one entry.

    Raises:
        OSError: a file cannot be read.
    """
    found = {}
    escaped = glob.escape(folder)
    for path in sorted([*glob.glob(f"{escaped}/*.service"), *glob.glob(f"{escaped}/*.service.d/*.conf")]):
        service = os.path.basename(path if path.endswith(".service") else os.path.dirname(path)[:-2])
        for number, line in enumerate(_read(path).splitlines(), 1):
            match = _GUARD.match(line.strip())
            if match and "\0" not in line and service.isprintable():
                conf = _CONF.search(match["conf"] + match["rest"])
                wait = _WAIT.search(match["rest"])
                found[service] = Entry(
                    service,
                    conf[1] if conf else DEFAULT_PATH,
                    "root",
                    0,
                    service.replace("@.", f"@{GAP}."),
                    "",
                    "",
                    int(wait[1]) if wait else None,
                    path,
                    number,
                )
    return list(found.values())


def _read(path: str) -> str:
    try:
        fd = files.open_regular(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return ""  # removed since, or a link to /dev/null: a masked unit
        raise
    with open(fd, "rb") as stream:
        return stream.read(MAX_BYTES).decode("utf-8", "replace")


def elapses() -> "dict[str, Elapse]":
    """Ask systemd when each service's timer elapses next, as far as its calendar says so.

    A monotonic timer (OnUnitActiveSec= and the like) elapses at another moment on each node, and is left out.

    Returns:
        The soonest for each service; nothing if systemd does not answer.
    """
    wanted = "Unit,NextElapseUSecRealtime,TimersCalendar,TimersMonotonic,AccuracyUSec,RandomizedDelayUSec"
    try:
        done = subprocess.run(
            ["systemctl", "show", f"--property={wanted}", "*.timer"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIME_LIMIT,
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: "dict[str, Elapse]" = {}
    for block in done.stdout.decode("utf-8", "replace").split("\n\n"):
        shown = dict(line.partition("=")[::2] for line in block.splitlines())
        when = _moment(shown.get("NextElapseUSecRealtime", ""))
        if when is None or not shown.get("TimersCalendar") or shown.get("TimersMonotonic"):
            continue
        spread = _seconds(shown.get("AccuracyUSec", "")) + _seconds(shown.get("RandomizedDelayUSec", ""))
        service = shown.get("Unit", "")
        if service not in found or when < found[service].when:
            found[service] = Elapse(when, spread)
    return found


def _moment(printed: str) -> "float | None":
    match = _MOMENT.search(printed)
    if match is None:
        return None
    try:
        moment = datetime.datetime.strptime(match[0], "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def _seconds(span: str) -> float:
    """Read a length of time such as `1h 30min`."""
    return sum(float(number) * _UNITS.get(unit, 1.0) for number, unit in re.findall(r"(\d+(?:\.\d+)?)([a-z]*)", span))
