# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the modules' results have the shape that the modules document.

A host that somebody has taken over may answer anything, and one such answer must not keep the others from being read.
"""

from __future__ import annotations

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

#: What rcron_wrapper returns, as far as the roles rely on it: in loops of includes, whose errors name no host.
WRAPPER = {
    "feeders": [{"feeder": str, "paths": [str], "others": [str]}],
    "refusals": [{"option": str, "message": str}],
    "library": str,
}

_TEXTS = [str]
_BY_NAME = {...: str}

#: What rcron_feeder_info returns of any feeder. Each must be there, and so must what the other hosts' checks read.
LOOKED = {"uid": int, "foreign": _TEXTS, "exposed": str}
LOOKED_FOR = {"heartbeat": {"name": str, "ours": bool, "owners": _BY_NAME}}
#: What it returns of some feeders.
SEEN = {
    **dict.fromkeys(
        """authkey backup enabled enabled_before exists folder included managed ours perl running spoke unit
        untouched utf8""".split(),  # noqa: SIM905 - reads best word by word
        bool,
    ),
    **dict.fromkeys(
        """address conf control crm daemon default_interface error fifo file name quorum_policy times unheard url
        user""".split(),  # noqa: SIM905 - likewise
        str,
    ),
    **dict.fromkeys(
        "groups instances lacks left missing named_before notifies present silent there users".split(),  # noqa: SIM905 - likewise
        _TEXTS,
    ),
    **dict.fromkeys("interfaces owners peers theirs tls wanted".split(), _BY_NAME),  # noqa: SIM905 - likewise
    "advskew": int,
    "compared": _BY_NAME,
    "before": ({"enabled": bool, "running": bool}, None),
    "installed": (bool, str),
    "nodes": {...: _BY_NAME},
    "priorities": {...: int},
}
#: Commands of Patroni's user's, which go into a file as they are.
COMMANDS = ("theirs", "wanted")

#: What rcron_engine_info returns.
ENGINE = {
    "uid": int,
    "user": (str, None),
    "shared": _TEXTS,
    "foreign": _TEXTS,
    "exposed": str,
    "words": str,
    "remarks": _TEXTS,
    "problem": str,
    "lacks": str,
}

#: What a module's result may hold that Ansible would set variables or statistics by, also of other hosts.
FACTS = ("ansible_facts", "ansible_stats")

#: The most characters of what is known of a feeder or an engine on one host.
MOST = 1_000_000

#: The most clusters of one host, and the most of its boots that count: a report looks at all of its events for each.
MOST_CLUSTERS, MOST_BOOTS = 100, 200

#: What any module's result may hold as well. Not facts, which would take precedence over the inventory's variables.
COMMON = frozenset(
    """changed deprecations exception failed invocation module_stderr module_stdout msg rc skipped unreachable
    warnings""".split()  # noqa: SIM905 - reads best word by word
)

#: What the roles repeat a task for, of a node and of the wrapper's answer, and the most items of it.
REPEATED, MOST_REPEATED = ("left", "refusals", "remarks"), 100

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
        # False of a NaN too. Python cannot make a float of every int, and need not to compare them.
        return None if known and abs(value) < LATEST else f"{where} is not a time"
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
    if wrong is None and len(kept["clusters"]) > MOST_CLUSTERS:
        wrong = f"clusters has more than {MOST_CLUSTERS} items"
    if wrong is None:
        # Nothing has looked at what else a cluster with an error holds.
        kept["clusters"] = [
            {name: each[name] for name in ("conf", "error")} if each["error"] else each for each in kept["clusters"]
        ]
        if "boots" in kept:
            kept["boots"] = kept["boots"][-MOST_BOOTS:]
        return kept
    return {
        "failed": True,
        "msg": f"its answer is not one of rcron_info ({wrong}): find out who has changed what is run there",
    }


def without_facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's result without anything by which Ansible would set variables."""
    return {name: value for name, value in result.items() if name not in FACTS}


def examined(result: Mapping[str, Any]) -> dict[str, Any]:
    """Check a result of rcron_wrapper's module.

    Args:
        result: What the host returned for the module.

    Returns:
        The result without facts; a failure if it is not a result of rcron_wrapper.
    """
    kept = without_facts(result)
    wrong = mismatch(kept, {name: shape for name, shape in WRAPPER.items() if name in kept})
    wrong = wrong or _too_many(kept)
    if wrong is None:
        return kept
    return {
        "failed": True,
        "msg": f"its answer is not one of rcron_wrapper ({wrong}): find out who has changed what is run there",
    }


def _too_many(known: Mapping[str, Any]) -> str | None:
    """Return what would have a task repeated too often, or None."""
    long = [name for name in REPEATED if len(known.get(name, ())) > MOST_REPEATED]
    return f"{long[0]} has more than {MOST_REPEATED} items" if long else None


def looked(result: Mapping[str, Any], feeder: object) -> dict[str, Any]:
    """Check a result of rcron_feeder_info's module, of which much goes into other hosts' checks and files.

    Args:
        result: What the host returned for the module.
        feeder: The feeder that was asked for.

    Returns:
        The result without anything that the module does not return, and with escapes in the place of what a terminal
        would obey; a failure if it is not a result of rcron_feeder_info.
    """
    needed = {**LOOKED, **LOOKED_FOR.get(str(feeder), {})}
    return _of_node("rcron_feeder_info", result, needed, SEEN)


def tried(result: Mapping[str, Any]) -> dict[str, Any]:
    """Check a result of rcron_engine_info's module, as `looked` does."""
    return _of_node("rcron_engine_info", result, ENGINE, {})


def _of_node(
    module: str, result: Mapping[str, Any], needed: dict[str, Shape], more: dict[str, Shape]
) -> dict[str, Any]:
    kept = {name: value for name, value in result.items() if name in COMMON}
    if kept.get("failed") or kept.get("unreachable") or kept.get("skipped"):
        # Ansible would show the exception in the place of the message, as the host sent it.
        return {name: plain(value) for name, value in kept.items() if name != "exception"}
    node = result.get("node")
    shape = {**needed, **{name: each for name, each in more.items() if isinstance(node, Mapping) and name in node}}
    wrong = mismatch(node, shape, "node")
    if wrong is None and len(str(node)) > MOST:
        wrong = f"node has more than {MOST} characters"
    if wrong is None:
        wrong = _too_many(node)
    if wrong is None and isinstance(node, Mapping):
        known = {name: plain(node[name], "\n\t" if name in COMMANDS else "") for name in shape}
        return {**{name: plain(value) for name, value in kept.items()}, "node": known}
    return {
        "failed": True,
        "msg": f"its answer is not one of {module} ({wrong}): find out who has changed what is run there",
    }


def plain(value: Any, keep: str = "") -> Any:
    """Return a value with escapes in the place of all characters that a terminal would obey.

    Args:
        value: A string, or a list or dict of such values; anything else stays as it is.
        keep: Characters that stay.
    """
    if isinstance(value, str):
        return "".join(
            char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in value
        )
    if isinstance(value, list):
        return [plain(each, keep) for each in value]
    if isinstance(value, Mapping):
        return {plain(name, keep): plain(each, keep) for name, each in value.items()}
    return value
