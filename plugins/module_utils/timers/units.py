# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is known of a timer and of its service: as systemctl tells it or, for users' units, as their files do.

The functions that read are pure; `Manager` and `UserUnits` ask.
"""

from __future__ import annotations

import glob
import math
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ..node import files, programs

#: The instance by which systemd is asked about a template, which cannot be loaded itself.
PROBE = "rcron"

TIMER_PROPERTIES = (
    "Id,LoadState,Unit,TimersMonotonic,TimersCalendar,Persistent,RandomizedDelayUSec,AccuracyUSec,"
    "NextElapseUSecRealtime,NextElapseUSecMonotonic"
)
SERVICE_PROPERTIES = (
    "Id,LoadState,RootDirectory,RootImage,RootDirectoryStartOnly,Restart,OnSuccess,TimeoutStartUSec,User,Group,"
    "DynamicUser,TemporaryFileSystem,BindPaths,BindReadOnlyPaths,Environment,EnvironmentFiles,"
    "WorkingDirectory"
)

#: Variables that name files with code, which a program loads at its start: ld.so(8), gconv(5).
LOADERS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GCONV_PATH", "LOCPATH")

#: Where programs and libraries are, and what they read: systemd binds other folders there for root's commands, too.
_SYSTEM = re.compile("/(usr|bin|sbin|lib[0-9a-z]*|etc|opt)(/|$)")

#: How one unit starts another: the properties that name the other.
REQUIRES = ("Requires", "BindsTo", "Requisite")
STARTS = (*REQUIRES, "Wants", "Upholds", "OnSuccess", "OnFailure", "Unit", "Service")

#: The folders of links beside a unit, and the setting that each link stands for.
_FOLDER_SETTINGS = {"wants": "Wants", "requires": "Requires", "upholds": "Upholds"}

#: The kinds of units that start others.
_KINDS = (".service", ".target", ".path", ".socket", ".mount", ".device", ".swap")

#: Where the system's units are: systemd.unit(5). On some hosts, /lib is a folder of its own.
SYSTEM_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)

#: Triggers of a timer that do not come again.
ONCE = frozenset(["OnBootUSec", "OnStartupUSec", "OnActiveUSec"])

#: Where users' units are, the first that has one counts: systemd.unit(5).
USER_FOLDERS = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/lib/systemd/user",
    "/usr/share/systemd/user",
)

#: systemd.time(7), in seconds.
_UNITS = {
    "us": 1e-6, "µs": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0,
    "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0, "w": 604800.0, "week": 604800.0,
    "weeks": 604800.0, "M": 2629800.0, "month": 2629800.0, "months": 2629800.0, "y": 31557600.0, "year": 31557600.0,
    "years": 31557600.0,
}  # fmt: skip


class UnitError(Exception):
    """A unit that cannot be guarded as asked; the message is for a person."""


class MissingUnitError(UnitError):
    """There is no such unit."""


@dataclass
class Timer:
    """A timer.

    Attributes:
        name: Its name.
        service: The unit that it starts.
        once: Whether it elapses only once after a boot or its own start.
        is_persistent: Whether it catches up what the machine's being off has made it miss.
        random_delay: The greatest delay by chance, in seconds.
        accuracy: Within how many seconds it elapses.
    """

    name: str
    service: str
    once: bool = False
    is_persistent: bool = False
    random_delay: float = 0.0
    accuracy: float = 60.0


@dataclass
class Service:
    """A service.

    Attributes:
        name: Its name.
        user: Whom it runs as; "" for root, and for a user that systemd makes.
        group: Its group, likewise.
        mounts: The folders in which it finds other files than the host has.
        root: Its RootDirectory= or RootImage=, if that holds for its ExecCondition= too; else "".
        restart: Restart=.
        on_success: The units that its success starts.
        start_limit: Seconds that a start may take; infinity for no limit.
        starters: Other units than timers that start it, each with the property that says so.
        followers: The units that need it to be started.
        loaded: What decides what a program of its environment is, other than PATH: files of variables, what the dynamic
            loader loads, and what is bound over a folder of the system; for each path the setting.
    """

    name: str
    user: str = ""
    group: str = ""
    mounts: list[str] = field(default_factory=list)
    root: str = ""
    restart: str = "no"
    on_success: list[str] = field(default_factory=list)
    start_limit: float = math.inf
    starters: list[str] = field(default_factory=list)
    followers: list[str] = field(default_factory=list)
    loaded: dict[str, str] = field(default_factory=dict)


def seconds(span: str) -> float:
    """Read a length of time as systemd writes it, such as `1min 30s`, `10ms` or `infinity`.

    Args:
        span: The text.

    Returns:
        Seconds; 0 for what is not a length of time.
    """
    if span.strip() == "infinity":
        return math.inf
    total = 0.0
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)", span):
        total += float(number) * _UNITS.get(unit, 0.0)
    return total


def blocks(shown: str) -> list[dict[str, str]]:
    """Read what `systemctl show UNIT...` prints.

    Args:
        shown: The text.

    Returns:
        Each unit's properties. The lines of a property that comes several times are joined by newlines.
    """
    found = []
    for block in shown.split("\n\n"):
        properties: dict[str, str] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                properties[name] = f"{properties[name]}\n{value}" if name in properties else value
        if properties:
            found.append(properties)
    return found


def template(unit: str) -> str:
    """Return the template of an instance that was made up by `asked_for`, and any other name as it is."""
    return unit.replace(f"@{PROBE}.", "@.")


def asked_for(unit: str) -> str:
    """Return the name by which systemd can be asked about a unit."""
    return unit.replace("@.", f"@{PROBE}.")


def timer(properties: dict[str, str]) -> Timer:
    """Make a timer out of its properties.

    Args:
        properties: As `blocks` returns them.
    """
    bases = set(re.findall(r"\{ (\w+)=", properties.get("TimersMonotonic", "")))
    return Timer(
        template(properties["Id"]),
        template(properties.get("Unit", "")),
        once=bool(bases) and bases <= ONCE and not properties.get("TimersCalendar"),
        is_persistent=properties.get("Persistent") == "yes" and bool(properties.get("TimersCalendar")),
        random_delay=seconds(properties.get("RandomizedDelayUSec", "0")),
        accuracy=seconds(properties.get("AccuracyUSec", "1min")),
    )


def service(properties: dict[str, str], others: dict[str, set[str]], for_root: bool = True) -> Service:
    """Make a service out of its properties.

    Args:
        properties: As `blocks` returns them.
        others: What starts it: as `starters` returns it.
        for_root: Whether its guard is run as root.
    """
    is_rooted = properties.get("RootDirectoryStartOnly") != "yes"
    is_made = properties.get("DynamicUser") == "yes"
    return Service(
        template(properties["Id"]),
        user="" if is_made else properties.get("User", ""),
        group="" if is_made else properties.get("Group", ""),
        mounts=_mounts(properties),
        root=(properties.get("RootDirectory") or properties.get("RootImage") or "") if is_rooted else "",
        restart=properties.get("Restart", "no"),
        on_success=properties.get("OnSuccess", "").split(),
        start_limit=seconds(properties.get("TimeoutStartUSec", "infinity")),
        starters=[f"{unit} ({', '.join(f'{each}=' for each in sorted(how))})" for unit, how in sorted(others.items())],
        followers=[unit for unit, how in sorted(others.items()) if how & set(REQUIRES)],
        loaded=_loaded(properties) if for_root else {},
    )


def _loaded(properties: dict[str, str]) -> dict[str, str]:
    """Return the paths of a service's environment that decide what is run in it, each with its setting."""
    found = {}
    for path in re.findall(r"^(/.*) \(ignore_errors=\w+\)$", properties.get("EnvironmentFiles", ""), re.MULTILINE):
        for each in glob.glob(path) or [path]:
            found[each] = "EnvironmentFile="
        # An instance was made up: the others' files are there.
        if f"@{PROBE}." in properties["Id"]:
            found.update(dict.fromkeys(glob.glob(path.replace(PROBE, "*")), "EnvironmentFile="))
    try:
        words = shlex.split(properties.get("Environment", ""))
    except ValueError:
        words = properties.get("Environment", "").split()
    for word in words:
        name, _equals, value = word.partition("=")
        if name in LOADERS:
            found.update(dict.fromkeys(_places(name, value, properties), f"Environment={name}="))
    for name, source, target in _binds(properties):
        if target != source and _SYSTEM.match(os.path.normpath(target)):
            found[source] = f"{name}="
    return found


def _places(name: str, value: str, properties: dict[str, str]) -> list[str]:
    """Return the absolute paths that a variable of the loader's names. An empty one is the working directory."""
    above = properties.get("WorkingDirectory", "").lstrip("!-") or "/"
    if above == "~":
        above = os.path.expanduser(f"~{properties.get('User') or 'root'}")
    places = value.split() if name == "LD_PRELOAD" and ":" not in value else re.split("[:;]", value)
    # Of LD_PRELOAD and LD_AUDIT, a name without a slash is looked for where all libraries are.
    return [
        os.path.join(above, place)
        for place in places
        if not place.startswith("$") and ("/" in place or name not in ("LD_PRELOAD", "LD_AUDIT"))
    ]


def _mounts(properties: dict[str, str]) -> list[str]:
    found = [word.partition(":")[0] for word in properties.get("TemporaryFileSystem", "").split()]
    return found + [target for _name, source, target in _binds(properties) if target != source]


def _binds(properties: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the setting, the source and the target of each of a service's binds."""
    for name in ("BindPaths", "BindReadOnlyPaths"):
        for word in properties.get(name, "").split():
            source, _colon, rest = word.lstrip("-").partition(":")
            yield name, source, rest.partition(":")[0] or source


def starters(name: str, folders: tuple[str, ...]) -> dict[str, set[str]]:
    """Find the units that start a service, other than timers, in their files.

    systemd itself knows only what the units say that it has loaded, and to have it load all of them takes seconds.

    Args:
        name: The service.
        folders: Where units are.

    Returns:
        The units, each with the settings that name the service.
    """
    found: dict[str, set[str]] = {}
    word = re.compile(rf"(?<!\S){re.escape(name)}(?!\S)")
    for folder in sorted({os.path.realpath(each) for each in folders}):
        for directory, _subfolders, names in os.walk(folder):
            owner, _dot, kind = os.path.basename(directory).rpartition(".")
            for each in names:
                path = os.path.join(directory, each)
                if kind in _FOLDER_SETTINGS and each == name:
                    found.setdefault(owner, set()).add(_FOLDER_SETTINGS[kind])
                elif kind == "d" or (directory == folder and each.endswith(_KINDS)):
                    unit = owner if kind == "d" else each
                    for setting in _named_in(path, unit, name, word):
                        found.setdefault(unit, set()).add(setting)
    return {unit: how for unit, how in found.items() if unit != name and not unit.endswith(".timer")}


def _named_in(path: str, unit: str, name: str, word: re.Pattern[str]) -> list[str]:
    """Return the settings by which a unit's file says that the unit starts a service."""
    stem, _dot, kind = unit.rpartition(".")
    try:
        text = files.read_text(path)
    except OSError:
        return []  # a link to /dev/null, for one: a masked unit starts nothing
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        setting, equals, value = line.strip().partition("=")
        if equals and setting.strip() in STARTS and word.search(value):
            found.append(setting.strip())
    # Without a word of it, a path or a socket starts the service of its own name.
    is_own = (
        kind in ("path", "socket") and f"{stem}.service" == name and not re.search(r"^\s*(Unit|Service)=", text, re.M)
    )
    return [*found, "Unit"] if is_own else found


class Units(Protocol):
    """A service manager's units."""

    def timer(self, name: str) -> Timer:
        """Find a timer.

        Args:
            name: Its name.

        Raises:
            MissingUnitError: There is none.
            UnitError: It cannot be guarded.
        """

    def service(self, name: str) -> Service:
        """Find a service.

        Args:
            name: Its name.

        Raises:
            MissingUnitError: There is none.
            UnitError: It cannot be guarded.
        """


def _check(name: str, load_state: str) -> None:
    if load_state == "not-found":
        raise MissingUnitError(f"{name} does not exist")
    if load_state != "loaded":
        fix = f": systemctl unmask {name}" if load_state == "masked" else f": see systemctl status {name}"
        raise UnitError(f"{name} is {load_state}, so it does not run{fix}, or take it off the list")


class Manager:
    """The system's own units."""

    def timer(self, name: str) -> Timer:
        """See Units."""
        properties = self._properties(name, TIMER_PROPERTIES)
        return timer(properties)

    def service(self, name: str) -> Service:
        """See Units."""
        properties = self._properties(name, SERVICE_PROPERTIES)
        return service(properties, starters(template(asked_for(name)), SYSTEM_FOLDERS))

    @staticmethod
    def _properties(name: str, wanted: str) -> dict[str, str]:
        shown = blocks(programs.output("systemctl", "show", f"--property={wanted}", "--", asked_for(name)))
        properties: dict[str, str] = shown[0] if shown else {}
        _check(name, properties.get("LoadState", "not-found"))
        return properties


class UserUnits:
    """The units of all users' service managers, of which none need be running: so their files are read."""

    def __init__(self, folders: tuple[str, ...] = USER_FOLDERS) -> None:
        """Take the folders.

        Args:
            folders: Where units are; the first that has one counts.
        """
        self._folders = folders

    def timer(self, name: str) -> Timer:
        """See Units."""
        settings = self._settings(name)
        bases = {f"{key[:-3]}USec" for key in settings if re.fullmatch(r"On\w+Sec", key)}
        calendar = "\n".join(settings.get("OnCalendar", []))
        last = {key: values[-1] for key, values in settings.items() if values}
        return timer(
            {
                "Id": asked_for(name),
                "Unit": asked_for(last.get("Unit", name[: -len(".timer")] + ".service")),
                "TimersMonotonic": "\n".join(f"{{ {base}=" for base in sorted(bases)),
                "TimersCalendar": calendar,
                "Persistent": "yes" if last.get("Persistent", "no").lower() in ("1", "yes", "true", "on") else "no",
                "RandomizedDelayUSec": last.get("RandomizedDelaySec", "0"),
                "AccuracyUSec": last.get("AccuracySec", "1min"),
            }
        )

    def service(self, name: str) -> Service:
        """See Units."""
        settings = self._settings(name)
        last = {key: values[-1] for key, values in settings.items() if values}
        is_start_only = last.get("RootDirectoryStartOnly", "no").lower() in ("1", "yes", "true", "on")
        default = "infinity" if last.get("Type") == "oneshot" else "90s"
        properties = {
            "Id": asked_for(name),
            "RootDirectory": last.get("RootDirectory", ""),
            "RootImage": last.get("RootImage", ""),
            "RootDirectoryStartOnly": "yes" if is_start_only else "no",
            "Restart": last.get("Restart", "no"),
            "OnSuccess": " ".join(settings.get("OnSuccess", [])),
            **{
                name: " ".join(settings.get(name, []))
                for name in ("TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths")
            },
            "TimeoutStartUSec": last.get("TimeoutStartSec", last.get("TimeoutSec", default)),
        }
        return service(properties, starters(name, self._folders), for_root=False)

    def _settings(self, name: str) -> dict[str, list[str]]:
        """Return a unit's settings: each name with its values; an empty value takes back the ones before it."""
        template_name = re.sub(r"@[^.]+\.", "@.", name)
        for place in (f"{folder}/{each}" for each in (name, template_name) for folder in self._folders):
            if os.path.lexists(place):
                break
        else:
            raise MissingUnitError(f"{name} does not exist in {', '.join(self._folders)}")
        if os.path.realpath(place) == "/dev/null":
            raise UnitError(f"{name} is masked ({place}), so it does not run: remove that, or take it off the list")
        drop_ins: dict[str, str] = {}
        for folder in reversed(self._folders):
            for each in (template_name, name):
                found = glob.glob(f"{glob.escape(folder)}/{glob.escape(each)}.d/*.conf")
                drop_ins |= {os.path.basename(path): path for path in found}
        settings: dict[str, list[str]] = {}
        for path in (place, *(drop_ins[base] for base in sorted(drop_ins))):
            try:
                lines = re.sub(r"\\\n", " ", files.read_text(path)).splitlines()
            except OSError as error:
                raise UnitError(f"{path} cannot be read: {error.strerror}") from None
            for line in lines:
                key, equals, value = line.strip().partition("=")
                if equals and key[:1] not in ("#", ";"):
                    settings.setdefault(key.strip(), []).append(value.strip())
                    if not value.strip():
                        settings[key.strip()] = []
        return settings
