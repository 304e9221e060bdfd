# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the modules' results have the shape that the modules document.

A host that somebody has taken over may answer anything, and one such answer must not keep the others from being read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: A time in seconds since the epoch, or a length of time. bool is a number to Python.
SECONDS = float

#: What a value must be: a type; a list or a dict (`...`) of a shape; a dict with these names; a tuple of alternatives;
#: or a function that returns the value's shape.
Shape = Any

FEEDER = {"name": str, "event": str, "alive": (bool, None), "spoke": SECONDS}
#: A feeder that was refused, of which versions before know nothing.
SECOND_FEEDER = {"name": str, "event": str, "spoke": SECONDS}
PIN = {"state": str, "until": (SECONDS, None)}
CLUSTER = {
    "conf": str,
    "error": str,
    "cluster_name": str,
    "state": str,
    "source": str,
    "reason": str,
    "since": (SECONDS, None),
    "feeder": (FEEDER, None),
    "pin": (PIN, None),
    "default_state": str,
    "state_file": str,
    "settings": {...: (str, int)},
    "version": str,
}
ENTRY = {
    "crontab": str,
    "line": int,
    "name": (str, None),
    "schedule": (str, None),
    "zone": (str, None),
    "user": str,
    "command": str,
    "guarded": bool,
    "conf": (str, None),
    "takeover_wait": (int, None),
    "ends_itself": bool,
    "timers": [str],
    "job": (str, None),
    "claim": (str, None),
}
TIMER = {
    "timer": (str, None),
    "service": str,
    "scope": str,
    "next": (SECONDS, None),
    "guarded": bool,
    "conf": (str, None),
    "takeover_wait": (int, None),
}
SCRIPT = {"script": str, "guarded": bool, "conf": (str, None), "takeover_wait": (int, None)}
DUE = {"cluster": str, "entry": str, "due": (SECONDS, None), "started": (SECONDS, None)}
RUN = {
    "cluster": str,
    "command": str,
    "started": (SECONDS, None),
    "status": str,
    "duration": (SECONDS, None),
    "exit": (int, None),
}
CLAIMED = {
    "cluster": str,
    "user": str,
    "job": str,
    "node": str,
    "at": SECONDS,
    "exit": (int, None),
    "duration": (SECONDS, None),
    "gave_up": bool,
}
EVENT = {
    "time": SECONDS,
    "pid": int,
    "cluster": (str, None),
    "status": str,
    "state": (str, None),
    "message": str,
    "duration": (SECONDS, None),
    "exit": (int, None),
}


def _cluster(value: object) -> Shape:
    """Return a cluster's shape: one that could not be examined has only its conf and error."""
    return {"conf": str, "error": str} if isinstance(value, Mapping) and value.get("error") else CLUSTER


#: What rcron_info returns unless it fails.
INFO = {"clusters": [_cluster], "entries": [ENTRY], "unreadable": [str], "time": SECONDS}
#: What else it returns on request.
MORE = {
    "timers": [TIMER],
    "scripts": [SCRIPT],
    "due": ([DUE], None),
    "runs": [RUN],
    "ignored": {...: int},
    "ledger": [CLAIMED],
    "events": [EVENT],
    "events_since": (SECONDS, None),
    "running": [int],
    "boots": [{"begin": SECONDS, "end": SECONDS}],
    "timezone": (str, None),
    "utc_offset": int,
    "elapsed": SECONDS,
    "addresses": [str],
    "heard": [str],
    "members": [str],
}

#: What rcron_crontab returns unless it fails, as far as a report needs it.
REWRITTEN = {
    "crontabs": [{"crontab": str, "entries": [{"line": int, "before": str, "after": str}]}],
    "unselected": [{"crontab": str, "line": int, "command": str, "recorded": bool, "released": bool}],
}

#: What rcron_timers returns unless it fails, as far as a report needs it.
GUARDED = {"units": [{"service": str, "path": str, "changed": bool}]}

#: What rcron_scripts returns unless it fails, likewise.
SCRIPTS_GUARDED = {"scripts": [{"script": str, "wrapper": str, "changed": bool}]}

#: What any module's result may hold as well. Not facts, which would take precedence over the inventory's variables.
COMMON = frozenset(
    """changed deprecations exception failed invocation module_stderr module_stdout msg rc skipped unreachable
    warnings""".split()  # noqa: SIM905 - reads best word by word
)

#: The greatest time, in seconds: some three thousand years.
LATEST = 1e11


def mismatch(value: object, shape: Shape, where: str = "") -> str | None:
    """Find the first difference between a value and a shape.

    Args:
        value: The value.
        shape: What it must be.
        where: The value's name; empty if it has none.

    Returns:
        Which part of the value is not what it must be; None if all of it is.
    """
    if isinstance(shape, tuple):
        found = [mismatch(value, each, where) for each in shape if each is not None]
        return None if (value is None and None in shape) or None in found else found[0]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is not a list"
        parts = [(each, shape[0], f"{where}[{number}]") for number, each in enumerate(value)]
    elif isinstance(shape, dict):
        if not isinstance(value, Mapping):
            return f"{where} is not a dict"
        if ... in shape:
            parts = [(each, shape[...], f"a value of {where}") for each in value.values()]
        else:
            parts = [
                (value[name], each, f"{where}.{name}".lstrip(".")) for name, each in shape.items() if name in value
            ]
            missing = [name for name in shape if name not in value]
            if missing:
                return f"{where or 'it'} has no {missing[0]}"
    elif shape is float:
        known = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if known and math.isfinite(value) and abs(value) < LATEST else f"{where} is not a time"
    elif not isinstance(shape, type):
        return mismatch(value, shape(value), where)
    else:
        # An exact number: bool is an int to Python. Ansible's strings are subclasses of str.
        known = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        return None if known else f"{where} is not of type {shape.__name__}"
    return next(filter(None, (mismatch(*part) for part in parts)), None)


def checked(result: Mapping[str, Any]) -> dict[str, Any]:
    """Check a result of rcron_info's module.

    Args:
        result: What the host returned for the module.

    Returns:
        The result without anything that the module does not return; a failure if it is not a result of rcron_info.
    """
    kept = {name: value for name, value in result.items() if name in COMMON or name in INFO or name in MORE}
    if kept.get("failed") or kept.get("unreachable") or kept.get("skipped"):
        return {name: value for name, value in kept.items() if name in COMMON}
    shape = {**INFO, **{name: each for name, each in MORE.items() if name in kept}}
    wrong = mismatch(kept, shape)
    if wrong is None:
        return kept
    return {
        "failed": True,
        "msg": f"its answer is not one of rcron_info ({wrong}): find out who has changed what is run there",
    }
