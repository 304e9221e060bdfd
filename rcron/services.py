# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The guarded services of a node and when their timers elapse: for `rcronctl metrics` and `rcronctl history`."""

import datetime
import errno
import glob
import os
import re
import subprocess
from collections.abc import Iterator
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

_CLAIM = re.compile(r"--claim[ =](off|required|preferred)\b")
_WINDOW = re.compile(r"--claim-window\b")

#: What `systemctl show` says of each OnCalendar= of a timer.
_CALENDAR = re.compile(r"OnCalendar=(.+?) ; next_elapse=")

#: When a calendar elapses, as `systemd-analyze calendar` prints it: local time, and UTC below unless that is the same.
_ELAPSE = re.compile(r"(?:Next elapse|Iter(?:\.|ation) #\d+|\(in UTC\)): \w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")

#: How many times one calendar is asked for: one for each minute of two weeks.
MOST_TIMES = 20160

#: The link that starts a timer at boot.
_WANTED = "/etc/systemd/system/timers.target.wants"

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


class Timer(NamedTuple):
    """What starts a service by the calendar.

    Attributes:
        calendars (list[str]): its OnCalendar= in systemd's own words.
        spread (float): by how many seconds it may elapse later.
        changed (float): when it was last changed or enabled, in seconds since the epoch.
    """

    calendars: "list[str]"
    spread: float
    changed: float


def find(folder: str = FOLDER) -> "list[Entry]":
    """Find the guarded services.

    Args:
        folder: where units and their drop-ins are.

    Returns:
        The services as entries: with the service's name and no schedule. All instances of a template are one entry,
        which has no `job`.

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
                wait, mode = _WAIT.search(match["rest"]), _CLAIM.search(match["rest"])
                is_one = "@." not in service and not _WINDOW.search(match["rest"])
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
                    mode[1] if mode else None,
                    service if is_one else "",
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
    found: "dict[str, Elapse]" = {}
    for shown in _timers("NextElapseUSecRealtime"):
        when = _moment(shown.get("NextElapseUSecRealtime", ""))
        service = shown["Unit"]
        if when is not None and (service not in found or when < found[service].when):
            found[service] = Elapse(when, _spread(shown))
    return found


def timers() -> "dict[str, Timer]":
    """Ask systemd what starts each service by the calendar alone.

    Returns:
        The timer of each service; of several, all their calendars. Nothing if systemd does not answer.
    """
    found: "dict[str, Timer]" = {}
    for shown in _timers("Id,FragmentPath,DropInPaths"):
        paths = [shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()]
        paths.append(f"{_WANTED}/{shown.get('Id', '')}")
        timer = Timer(_CALENDAR.findall(shown["TimersCalendar"]), _spread(shown), max(map(_changed, paths)))
        other = found.get(shown["Unit"], timer)
        calendars = list(dict.fromkeys([*other.calendars, *timer.calendars]))
        spread, changed = max(timer.spread, other.spread), max(timer.changed, other.changed)
        found[shown["Unit"]] = Timer(calendars, spread, changed)
    return found


def times(timer: Timer, begin: float, end: float) -> "list[float]":
    """Ask systemd when a timer elapsed by its calendars.

    Args:
        timer: the timer.
        begin: since when, in seconds since the epoch.
        end: until when, likewise.

    Returns:
        Seconds since the epoch, the latest first; nothing if systemd does not answer.
    """
    found: "set[float]" = set()
    for calendar in timer.calendars:
        options = [f"--base-time=@{int(begin) - 1}", f"--iterations={MOST_TIMES}"]
        printed = _ask("systemd-analyze", "calendar", *options, "--", calendar)
        elapsed = (_moment(each[1]) for each in _ELAPSE.finditer(printed))
        found |= {moment for moment in elapsed if moment is not None and begin <= moment <= end}
    return sorted(found, reverse=True)


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0  # a timer need not be enabled, nor have a file


def _timers(more: str) -> "Iterator[dict[str, str]]":
    """Yield what systemd shows of each timer that elapses by its calendar alone.

    A name that comes several times, as TimersCalendar does, has as many lines.
    """
    wanted = f"Unit,TimersCalendar,TimersMonotonic,AccuracyUSec,RandomizedDelayUSec,{more}"
    for block in _ask("systemctl", "show", f"--property={wanted}", "*.timer").split("\n\n"):
        shown: "dict[str, str]" = {}
        for line in block.splitlines():
            name, _equals, value = line.partition("=")
            shown[name] = f"{shown[name]}\n{value}" if name in shown else value
        if shown.get("Unit") and shown.get("TimersCalendar") and not shown.get("TimersMonotonic"):
            yield shown


def _spread(shown: "dict[str, str]") -> float:
    return _seconds(shown.get("AccuracyUSec", "")) + _seconds(shown.get("RandomizedDelayUSec", ""))


def _ask(program: str, *words: str) -> str:
    """Return what a program of systemd's prints; nothing if it fails."""
    zone = {} if program == "systemd-analyze" else {"TZ": "UTC"}  # a calendar is in this machine's time
    try:
        done = subprocess.run(
            [program, *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIME_LIMIT,
            env={**os.environ, "LC_ALL": "C", **zone},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


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
