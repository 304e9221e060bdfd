# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The words that a feeder's hook is called with: a documented exit status, and a state only for a documented event.

`rcronctl feed` runs as a daemon would start it, but for what it would start itself: Patroni's other
callback, Pacemaker's commands.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import feeders
from tests.fuzz import feeder
from tests.fuzz.feeder import MISSING, OWN
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: rcronctl(8), EXIT STATUS: 64 wrong usage or an event that is not the feeder's, 73 not written, 78 configuration.
STATUSES = {0, 64, 73, 78}

FEEDERS = {name: feeder.load(name) for name in feeders.NAMES}

NODE = Node()
os.chdir(NODE.folder)


def _options(name: str, words: tuple[str, ...]) -> tuple[dict[str, list[str]], list[str]]:
    """Return a call's options and what follows them."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while len(rest) > 1 and rest[0] in FEEDERS[name].options:
        found.setdefault(rest[0], []).append(rest[1])
        rest = rest[2:]
    return found, rest


def holds(name: str, words: tuple[str, ...], promotable: bool, valid: bool, before: str) -> None:
    environment = {
        "HA_RSCTMP": f"{NODE.folder}/tmp",
        "OCF_RESKEY_CRM_meta_promoted_max": str(int(promotable)),
        "OCF_RESOURCE_INSTANCE": "rcron:0",
    }
    NODE.become(before.encode() + b"\n")
    NODE.put(f"{NODE.folder}/tmp/rcron-rcron", None)
    stands_in = mock.patch.object
    with (
        mock.patch.dict(os.environ, environment),
        stands_in(os, "execvp", mock.Mock(side_effect=FileNotFoundError(2, "No such file or directory"))),
        stands_in(subprocess, "run"),
        stands_in(time, "sleep"),
        stands_in(signal, "signal"),
        stands_in(signal, "set_wakeup_fd"),
    ):
        answer = NODE.ctl("feed", name, *words, conf=NODE.conf if valid else MISSING)
    answer.is_printable()
    assert answer.status in STATUSES | FEEDERS[name].statuses, f"{name} exits {answer.status}, which is not documented"
    assert "None: " not in answer.stderr or "None" in "".join(words), (
        f"an error names what it is about: {answer.stderr!r}"
    )
    after = (NODE.state() or b"").decode().rstrip("\n")
    changed = after != before
    configured = valid or (name == "heartbeat" and words[:1] == (OWN,))
    options, rest = _options(name, words)
    call = feeder.Call(options, rest, NODE.conf, promotable)
    expected = FEEDERS[name].meaning(call) if configured else None
    values = [value for given in options.values() for value in given]
    # What argparse makes of these is its own matter.
    unusual = any(word.startswith("-") for word in (*rest, *values))
    unusual = unusual or (name == "keepalived" and any(OWN in value for value in values))
    # One of several clusters that keepalived feeds has no configuration: the others go on.
    partly = name == "keepalived" and any(value.partition("=")[2] not in ("", NODE.conf) for value in values)
    if expected is not None and not unusual:
        assert after == expected, f"{name} means {expected} with these words, and the state is {after}"
        status = 127 if any(options.get("--then", [])) else 0
        if words == ("demote",) and before == "passive":
            status = 7  # there was nothing to demote
        if partly:
            status = 78
        assert answer.status == status, f"{name} exits {answer.status} after an event, and not {status}"
    elif not unusual:
        assert not changed, f"{name} means nothing with these words, and the state became {after}"
    elif changed:
        words_for = {"active": {"MASTER", "up", "master", "primary", "promoted", "start"}}.get(after)
        assert words_for is None or words_for & set(words), f"{name} became active although no word means it"
    if answer.status in (64, 78) and not partly:
        assert not changed, f"{name} exits {answer.status}, and changed the state to {after}"


with open(NODE.conf, "rb") as _stream:
    NODE.put(OWN, _stream.read())
os.mkdir(f"{NODE.folder}/tmp")

_TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=8)
_ODD = st.sampled_from(
    ["", "-", "--", "--help", "-h", "\x1b[2J", "\udcff", "a\nb", "9" * 5000, "-1", "--conf", "/", "."]
)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, ...]:
    name = draw(st.sampled_from(feeders.NAMES))
    words = draw(FEEDERS[name].calls)
    for _turn in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(words)))
        words = words[:at] + draw(st.lists(_ODD | _TEXTS, max_size=1)) + words[at + draw(st.integers(0, 1)) :]
    valid = draw(st.integers(0, 9)) != 0
    return (name, tuple(words), draw(st.booleans()), valid, draw(st.sampled_from(["active", "passive"])))


def _from_bytes(data: bytes) -> tuple[Any, ...]:
    # As in /proc/PID/cmdline, behind a byte for the feeder and all else.
    choice = data[0] if data else 0
    choice, number = divmod(choice, len(feeders.NAMES))
    words = tuple(word.decode("utf-8", "surrogateescape") for word in data[1:].split(b"\0")) if len(data) > 1 else ()
    return (feeders.NAMES[number], words, bool(choice & 1), choice & 14 != 14, ("passive", "active")[choice >> 4 & 1])


def _seeds() -> Iterator[bytes]:
    for number, name in enumerate(feeders.NAMES):
        for call in FEEDERS[name].seeds:
            for choice in (0, 17):
                yield bytes([choice * len(feeders.NAMES) + number]) + call.replace(" ", "\0").encode()


SUBJECT = Subject(
    holds=holds,
    cases=_cases(),
    from_bytes=_from_bytes,
    seeds=_seeds,
    words=(
        *b"""--instance --group --daemon --then --process -- --help VI_1 INSTANCE GROUP MASTER BACKUP FAULT STOP DELETED
        up down on_start on_stop on_restart on_reload on_role_change master primary promoted replica demoted start stop
        monitor promote demote status 99999999999 fifo""".split(),
        b"\0",
    ),
    examples=1200,
    runs=4000,
)
