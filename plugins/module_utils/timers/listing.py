# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""All timers of a host, guarded or not."""

from __future__ import annotations

import datetime
import math
import os
import re
import time
from typing import Any

from ..node import programs
from . import drop_in
from .units import blocks, seconds

#: The time zone of what systemctl prints.
_IN_UTC = ("env", "TZ=UTC", "LC_ALL=C")

#: A guard in the words of a condition.
_GUARD = re.compile(r"rcronctl(?P<options>(?: --conf \S+)?) guard\b(?P<rest>[^;]*)")


def listed(now: float | None = None, monotonic: float | None = None) -> list[dict[str, Any]]:
    """List the timers that systemd has loaded, and the guarded services that none of them starts.

    Args:
        now: The time, in seconds since the epoch; None for this host's clock.
        monotonic: The same by CLOCK_MONOTONIC.

    Returns:
        What the module rcron_info documents, sorted by the timers' names; nothing if the host has no systemd.
    """
    try:
        wanted = "--property=Id,Unit,NextElapseUSecRealtime,NextElapseUSecMonotonic"
        timers = blocks(programs.output(*_IN_UTC, "systemctl", "show", wanted, "*.timer"))
        services = sorted({timer["Unit"] for timer in timers if timer.get("Unit", "").endswith(".service")})
        shown = programs.output("systemctl", "show", "--property=Id,ExecCondition", "--", *services) if services else ""
    except programs.ProgramError:
        return []
    conditions = {block.get("Id", ""): block.get("ExecCondition", "") for block in blocks(shown)}
    now = time.time() if now is None else now
    monotonic = time.monotonic() if monotonic is None else monotonic
    found = [
        {
            "timer": timer.get("Id", ""),
            "service": timer.get("Unit", ""),
            "scope": "system",
            "next": next_elapse(timer, now - monotonic),
            **guard_of(conditions.get(timer.get("Unit", ""), "")),
        }
        for timer in timers
    ]
    return sorted(found, key=lambda timer: str(timer["timer"])) + _without_timers(set(services))


def guard_of(condition: str) -> dict[str, Any]:
    """Read a service's condition.

    Args:
        condition: ExecCondition= as systemctl shows it, or as a drop-in has it.

    Returns:
        `guarded`, `conf` and `takeover_wait`, as the module rcron_info documents them.
    """
    match = _GUARD.search(condition)
    if match is None:
        return {"guarded": False, "conf": None, "takeover_wait": None}
    conf = re.search(r"--conf[ =](\S+)", match["options"] + match["rest"])
    wait = re.search(r"--takeover-wait[ =](\d{1,5})\b", match["rest"])
    return {
        "guarded": True,
        "conf": conf[1] if conf else drop_in.DEFAULT_CONF,
        "takeover_wait": int(wait[1]) if wait else None,
    }


def next_elapse(timer: dict[str, str], booted: float) -> float | None:
    """Return when a timer elapses next.

    Args:
        timer: Its properties, in UTC.
        booted: The moment at which CLOCK_MONOTONIC was 0, in seconds since the epoch.

    Returns:
        Seconds since the epoch, None if it does not elapse again.
    """
    moments = []
    printed = timer.get("NextElapseUSecRealtime", "")
    try:
        moment = datetime.datetime.strptime(printed, "%a %Y-%m-%d %H:%M:%S UTC")
        moments.append(moment.replace(tzinfo=datetime.timezone.utc).timestamp())
    except ValueError:
        pass  # empty or n/a: there is no such moment
    after = seconds(timer.get("NextElapseUSecMonotonic", ""))
    if 0 < after < math.inf:
        moments.append(booted + after)
    return min(moments, default=None)


def _without_timers(started: set[str]) -> list[dict[str, Any]]:
    """Find guarded services by their drop-ins: templates, users' own, and those whose timer is not loaded.

    Args:
        started: The system's services that a loaded timer starts.
    """
    found = []
    for scope in drop_in.FOLDERS:
        for place in drop_in.all_of(scope):
            try:
                text = drop_in.read(place) or ""
            except OSError:
                continue
            service = os.path.basename(os.path.dirname(place))[: -len(".d")]
            guard = guard_of(text)
            if guard["guarded"] and (scope == "user" or service not in started):
                found.append({"timer": None, "service": service, "scope": scope, "next": None, **guard})
    return found
