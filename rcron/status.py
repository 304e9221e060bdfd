# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What `rcronctl status` shows of a node: the facts for programs, and the same facts as text for people."""

import os
import time
from typing import Any

from rcron import __version__, ask, claim, feed, log, pin, state
from rcron.files import folder_of
from rcron.settings import ACTIVE, OFF, SETTINGS, Config

#: How long rcron-agent may take to say how its engine is, in seconds.
_PATIENCE = 6.0

_COLOURS = {"active": "\033[32m", "passive": "\033[33m"}
_PLAIN = "\033[0m"

#: What `facts` returns.
Facts = dict[str, Any]


def facts(config: Config) -> "dict[str, Any]":
    """Collect everything that is known about this node's state in one cluster.

    Args:
        config: the cluster's.

    Returns:
        What `rcronctl status --json` prints, documented in rcronctl(8). Times are in whole seconds since the epoch;
        None is what is unknown or does not exist.
    """
    verdict = state.current(config)
    file = state.from_file(config)
    record = feed.read_record(config)
    refusal = feed.read_refusal(config)
    try:
        held = pin.read(config)
    except ValueError:
        held = None  # `current` has logged it, and uses the file, too
    since = file.written if record is None else record.since
    return {
        "state": verdict.state,
        "source": verdict.source,
        "reason": verdict.reason,
        "file": file.state if file.source == state.FILE else None,
        "since": None if verdict.source in (state.DEFAULT, state.PIN) or since is None else int(since),
        "valid_for": _valid_for(config, verdict),
        "feeder": None
        if record is None
        else {
            "name": record.feeder,
            "event": record.event,
            "alive": record.alive,
            "hidden": record.is_hidden,
            "spoke": int(record.spoke),
            "answer": _answer(record),
        },
        "second_feeder": None
        if refusal is None
        else {"name": refusal.feeder, "event": refusal.event, "spoke": int(refusal.at)},
        "agent": ask.is_served(config),
        "claims": _claims(config),
        "pin": None
        if held is None
        else {"state": held.state, "until": None if held.until is None else int(held.until)},
        "default_state": config.default_state,
        "cluster_name": config.cluster_name,
        "state_file": config.state_file,
        "settings": {name: getattr(config, name) for name in SETTINGS},
        "conf": config.path,
        "version": __version__,
    }


def _valid_for(config: Config, verdict: state.Verdict) -> "int | None":
    """Return for how many seconds an `active` counts if nobody renews it; None if that is not limited."""
    if verdict.state != ACTIVE or verdict.source != state.FILE or not config.state_max_age or verdict.written is None:
        return None
    return max(0, int(verdict.written + config.state_max_age - time.time()))


def _claims(config: Config) -> "dict[str, Any] | None":
    """Return what rcron-agent says of the engine that keeps claims; None if runs are not claimed."""
    path = folder_of(config.state_file) + claim.SOCKET
    if config.claim == OFF and not os.path.lexists(path):
        return None
    try:
        word, words = (*claim.exchange(config, b"status\n", time.monotonic() + _PATIENCE), "")[:2]
    except (OSError, ValueError) as error:
        word, words = "failed", f"rcron-agent: {getattr(error, 'strerror', None) or error}"
    return {"ok": word == "ok", "words": words}


def _answer(record: feed.Record) -> "dict[str, Any] | None":
    if not record.answer:
        return None
    return {"state": record.answer, "words": record.words, "at": int(record.spoke), "pid": record.pid}


def text(found: "dict[str, Any]", colour: bool = False) -> str:
    """Return the same for people, aligned.

    Args:
        found: as `facts` returns it.
        colour: whether the state may be coloured.
    """
    name = found["state"]
    rows = (
        ("state", f"{_COLOURS[name]}{name}{_PLAIN}" if colour else name),
        ("since", "unknown" if found["since"] is None else _when(found["since"])),
        *([] if found["valid_for"] is None else [("valid for", f"{span(found['valid_for'])}, unless it is renewed")]),
        ("why", log.one_line(found["reason"])),
        ("feeder", _feeder(found["feeder"])),
        *([] if found["second_feeder"] is None else [("second feeder", _second(found["second_feeder"]))]),
        ("answer", _last_answer(found["feeder"], found["agent"])),
        ("pin", _pin(found["pin"])),
        *([("claims", _claims_of(found["claims"]))] if found["claims"] else []),
        ("default state", found["default_state"]),
        ("cluster", log.one_line(found["cluster_name"])),
        ("state file", found["state_file"]),
        ("configuration", log.one_line(found["conf"])),
        ("version", found["version"]),
    )
    return "".join(f"{name + ':':<15} {value}\n" for name, value in rows)


def _feeder(feeder: "dict[str, Any] | None") -> str:
    if feeder is None:
        return "none has reported yet"
    alive = {True: "alive", False: "gone", None: "no process to watch"}[feeder["alive"]]
    if feeder["hidden"]:
        alive = "a process that this user cannot see"
    return log.one_line(f"{feeder['name']}, {alive}, spoke {_ago(feeder['spoke'])}: {feeder['event']}")


def _second(feeder: "dict[str, Any]") -> str:
    return log.one_line(f"{feeder['name']}, refused {_ago(feeder['spoke'])}: {feeder['event']}; disconnect it")


def _last_answer(feeder: "dict[str, Any] | None", is_served: bool) -> str:
    if not is_served:
        return "none: no rcron-agent asks the feeder"
    if feeder is None or feeder["answer"] is None:
        return "none yet since the feeder's last event"
    answer = feeder["answer"]
    asker = f"rcron-agent, pid {answer['pid']}{'' if feeder['alive'] or feeder['hidden'] else ', which is gone'}"
    return log.one_line(f"{answer['state']} {_ago(answer['at'])}: {answer['words']} (asked by {asker})")


def _claims_of(claims: "dict[str, Any]") -> str:
    return log.one_line(claims["words"] if claims["ok"] else f"cannot be made: {claims['words']}")


def _pin(held: "dict[str, Any] | None") -> str:
    if held is None:
        return "none"
    if held["until"] is None:
        return f"{held['state']} until rcronctl unpin"
    return f"{held['state']} until {moment(held['until'])} (in {span(held['until'] - time.time())})"


def _when(seconds: float) -> str:
    return f"{moment(seconds)} ({_ago(seconds)})"


def _ago(seconds: float) -> str:
    passed = time.time() - seconds
    return f"{span(passed)} ago" if passed >= 0 else f"{span(-passed)} in the future"


def moment(seconds: float) -> str:
    """Return a moment by this node's clock and time zone.

    Args:
        seconds: since the epoch.
    """
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s after 1970"  # a file's time may be set to anything


def span(seconds: float) -> str:
    """Return a length of time in its two largest units, such as `2 h 5 min`.

    Args:
        seconds: how long.
    """
    left = int(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
