# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The state file, and what stands beside it: active only where the bytes are a state's name and nothing else.

Whatever the files hold, `rcron` and `rcronctl` have an answer, in printable lines.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import log, state, status
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: DESIGN.md: white space around the word, and either case; a pin as rcronctl writes it.
WORD = re.compile(rb"[ \t\n\r\v\f]*(active|passive)[ \t\n\r\v\f]*", re.IGNORECASE)
LARGEST = 4096
PIN = re.compile(rb"\s*(active|passive)(\s+\S+\s+\S+\s+\S+)?\s*")

NODE = Node()


def holds(
    content: bytes, mode: int, age: int, limit: int, default: str, pin: bytes | None, record: bytes | None
) -> None:
    NODE.become(content, pin=pin, feeder=record)
    NODE.config.default_state = default
    NODE.config.state_max_age = limit
    os.chmod(NODE.state_file, mode)
    now = int(time.time())
    os.utime(NODE.state_file, (now - age,) * 2)

    logged: list[str] = []
    with (
        mock.patch.object(log, "_send", lambda _facility, _level, line: logged.append(line)),
        mock.patch.object(state, "time", mock.Mock(time=lambda: now)),
    ):
        found = state.from_file(NODE.config)
        verdict = state.current(NODE.config)
        facts = status.facts(NODE.config)
    said = WORD.fullmatch(content) if len(content) <= LARGEST and not mode & 0o002 else None
    word = said[1].decode().lower() if said else None
    stale = word == "active" and bool(limit) and abs(age) > limit
    expected = ("passive", "stale") if stale else (default, "default") if word is None else (word, "file")
    assert (found.state, found.source) == expected, f"means {expected}, and was read as {found.state, found.source}"
    assert (found.warning is None) == (found.source != "default"), "what cannot be used is warned of, and nothing else"

    assert all(line.isprintable() for line in logged), f"a log line is one printable line: {logged!r}"
    pinned = PIN.fullmatch(pin) if pin and len(pin) <= LARGEST else None
    if verdict.source == "pin":
        assert pinned, "only a pin as rcronctl writes it counts"
        assert verdict.state == pinned[1].decode(), "a pin's state is its first word"
    else:
        assert not pinned or pinned[2], "a pin without an end holds"
        assert (verdict.state, verdict.source) == (found.state, found.source), "without a pin the file decides"
    assert verdict.field.isprintable(), f"what goes into each log line is printable: {verdict.field!r}"
    shown: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    assert shown["state"] == verdict.state, "rcronctl status says what rcron goes by"
    lines = status.text(facts)
    assert lines.count("\n") == 11, f"rcronctl status has a line for each fact: {lines!r}"
    assert lines.replace("\n", "").isprintable(), f"rcronctl status prints plain characters: {lines!r}"

    state.write(NODE.state_file, default)
    assert NODE.state() == f"{default}\n".encode(), "a state is written as its name and a newline"
    assert os.stat(NODE.state_file).st_mode & 0o7777 == 0o644, "everyone may read a state, and only its owner write it"


def _from_bytes(data: bytes) -> tuple[Any, ...]:
    content, *beside = data.split(b"\0", 2)
    pin, record = [*beside, None, None][:2]
    return (content, 0o644, 0, 0, "passive", pin, record)


_BLANKS = st.text(" \t\n\r\v\f", max_size=4).map(str.encode) | st.sampled_from([b"\0", b"\xa0", b"\x1c", b" " * 4090])
_NAMES = st.sampled_from([b"active", b"passive", b"Active", b"PASSIVE", b"inactive", b"activ", b"active passive", b""])
_CONTENTS = st.tuples(_BLANKS, _NAMES, _BLANKS).map(b"".join) | st.binary(max_size=30)
with open("/proc/sys/kernel/random/boot_id", "rb") as _stream:
    BOOT_ID = _stream.read().strip()
_NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["nan", "inf", "-inf", "1e308", "9" * 20, "9" * 5000, "1_0", "", "\u0661", "0x1"]),
).map(str.encode)
_PINS = st.one_of(
    st.none(),
    _CONTENTS,
    st.tuples(_NAMES, _NUMBERS, st.sampled_from([BOOT_ID, b"other"]), _NUMBERS).map(b" ".join),
)
_RECORDS = st.none() | st.binary(max_size=60) | st.fixed_dictionaries(
    {
        b"feeder": st.sampled_from([b"keepalived", b"operator", b"\xff\x1b[2J", b""]),
        b"event": _CONTENTS,
        b"since": _NUMBERS,
        b"pid": _NUMBERS | st.just(b"1"),
        b"started": _NUMBERS,
        b"daemon": _CONTENTS,
        b"moment": st.tuples(_NUMBERS, _NUMBERS, _CONTENTS).map(b" ".join),
    }
).map(lambda record: b"".join(name + b"=" + value + b"\n" for name, value in record.items()))  # fmt: skip

_RECORD = b"feeder=keepalived\nevent=INSTANCE V MASTER\nsince=1764000000.000\npid=1\nstarted=5\ndaemon=\nmoment=1 2 3\n"

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(
        _CONTENTS,
        st.sampled_from([0o644, 0o600, 0o666, 0o602]),
        st.sampled_from([0, 0, 9, 10, 11, 100, -9, -10, -11, 10**7, -(10**7)]),
        st.sampled_from([0, 10, 86400]),
        st.sampled_from(["active", "passive"]),
        _PINS,
        _RECORDS,
    ),
    from_bytes=_from_bytes,
    seeds=lambda: (
        b"active\n", b" Passive \r\n", b"inactive", b"active\n\0passive\n",
        b"active\n\0passive 1764000000.000 " + BOOT_ID + b" 99999999.000\n",
        b"passive\n\0active 9764000000.000 other 1.000\n\0" + _RECORD, b"active\n\0\0" + _RECORD,
    ),
    words=(b"active", b"passive", b"nan", b"inf", b"1e308", BOOT_ID, b"\0", b"since=", b"pid=", b"moment=", b"event="),
    examples=1000,
    runs=6000,
)  # fmt: skip
