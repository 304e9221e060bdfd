# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Timers beside crontab entries: packages that ship both, of which the entry ends itself where systemd runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ..node import programs
from .units import SYSTEM_FOLDERS, blocks

#: The folder that exists if systemd is the host's init (sd_booted(3)).
BOOTED = "/run/systemd/system"

#: A command that does nothing if that folder exists: `! -d DIR`, `[ -d DIR ] || job`, `[ -d DIR ] && exit`. It is
#: searched for in users' crontabs: nowhere may the same blanks be tried for two of its parts.
_ENDS_ITSELF = re.compile(
    rb"""\\?!\s+(?:test\s+|\[\s+)?-[de]\s+['"]?/run/systemd/system\b"""
    rb"""|-[de]\s+['"]?/run/systemd/system/?['"]?(?:\s*\])?\s*(?:\|\||(?:&&|;\s*then)\s*exit\b)"""
)

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_:-]*")
_TIMER = re.compile(r".*/systemd/system/([^/]+\.timer)")


def ends_itself(command: bytes) -> bool:
    """Return whether a crontab entry leaves its job to a timer on a host that systemd runs.

    Args:
        command: Its command, without a prefix.
    """
    return _ENDS_ITSELF.search(command) is not None and os.path.isdir(BOOTED)


def refusal(name: str, path: str | None, line: int, command: bytes) -> str:
    """Say why prefixing an entry would guard nothing on this host.

    Args:
        name: The crontab, for people.
        path: The same as a file's path; None for a user's crontab.
        line: The number of the entry's line.
        command: Its command, without a prefix.

    Returns:
        A sentence with the fix; "" if there is nothing to say.
    """
    if not ends_itself(command):
        return ""
    timers = of_packages([path])[path] if path else []
    if timers:
        whose = f"{' and '.join(timers)} of the same package"
        fix = f"guard {whose} with rcron_timers_units instead"
    else:
        fix = "find its timer with systemctl list-timers, and guard that with rcron_timers_units instead"
    return (
        f"line {line} of {name} ends itself where systemd runs, since a timer runs its job there, so a prefix would "
        f"guard nothing: {fix}, and take the entry off the list"
    )


def of_packages(paths: Iterable[str]) -> dict[str, list[str]]:
    """Find the timers of the packages that files are of.

    Args:
        paths: The files.

    Returns:
        The timers' names, sorted, for each file. For a file of no package, the timer of its own name, if there is one.
    """
    found = {}
    for path in paths:
        timers = set(_TIMER.findall(_files_of_package(os.path.realpath(path))))
        own = f"{os.path.basename(path)}.timer"
        if not timers and any(os.path.isfile(f"{folder}/{own}") for folder in SYSTEM_FOLDERS):
            timers = {own}
        found[path] = sorted(timers)
    return found


def same_job(command: bytes, timers: Iterable[str], started: dict[str, str]) -> list[str]:
    """Return those of a package's timers that run the job of an entry of the same package.

    Args:
        command: The entry's command, without a prefix.
        timers: The package's timers.
        started: The program that each timer's service starts: as `started_by` returns it.
    """
    if ends_itself(command):
        return list(timers)
    words = {os.path.basename(word) for word in re.findall(r"[^\s;&|()'\"]+", command.decode("utf-8", "replace"))}
    return [timer for timer in timers if os.path.basename(started.get(timer, "")) in words - {""}]


def started_by(timers: Iterable[str]) -> dict[str, str]:
    """Return the program that each timer's service starts, as far as systemd knows it.

    Args:
        timers: The timers' names.
    """
    names = sorted(timers)
    if not names:
        return {}
    try:
        units = {
            block.get("Id", ""): block.get("Unit", "")
            for block in blocks(programs.output("systemctl", "show", "--property=Id,Unit", "--", *names))
        }
        services = sorted(set(filter(None, units.values())))
        shown = programs.output("systemctl", "show", "--property=Id,ExecStart", "--", *services) if services else ""
    except programs.ProgramError:
        return {}
    paths = {
        block.get("Id", ""): match[1]
        for block in blocks(shown)
        if (match := re.search(r"\{ path=(\S+) ;", block.get("ExecStart", "")))
    }
    return {timer: paths[service] for timer, service in units.items() if service in paths}


def _files_of_package(path: str) -> str:
    """Return the list of all files of the package that a file is of; "" if it is of none."""
    for owner, contents in (
        (("dpkg-query", "--search"), ("dpkg-query", "--listfiles")),
        (("rpm", "--query", "--queryformat=%{NAME}\n", "--file"), ("rpm", "--query", "--list")),
    ):
        try:
            asked = programs.run(*owner, path)
            # Debian: `php-common: /etc/cron.d/php`; what has diverted the file comes before.
            said = asked.stdout.strip().rpartition("\n")[2]
            package = said.rpartition(": ")[0].partition(",")[0] or said
            if asked.returncode == 0 and _PACKAGE.fullmatch(package):
                return programs.output(*contents, package)
        except programs.ProgramError:
            continue
    return ""
