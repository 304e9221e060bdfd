# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The state file, and what stands beside it: active only where the bytes are a state's name and nothing else.

Whatever the files and /proc hold, and whether or not they can be read, `rcron` and `rcronctl` have an answer, in
printable lines.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import posix
import re
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import log, process, settings, state, status
from rcron import pin as pin_file
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: DESIGN.md: white space around the word, and either case; a pin as rcronctl writes it.
WORD = re.compile(rb"[ \t\n\r\v\f]*(active|passive)[ \t\n\r\v\f]*", re.IGNORECASE)
LARGEST = 4096
PIN = re.compile(rb"\s*(active|passive)(\s+\S+\s+\S+\s+\S+)?\s*")

NODE = Node()
RUNTIME = f"{NODE.folder}/agent"
PROC = f"{NODE.folder}/proc"

#: What can fail, by the end of its path: the state file, its folder, the pin, the record, the agent's two files, and
#: what /proc has of a process and of this boot.
TARGETS = ("/state", f"{NODE.folder}/", "/state.pin", "/state.feeder", ".passive", ".ask", "/stat", "/boot_id")
CALLS = ("open", "stat", "fstat", "read")
ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.EMFILE, errno.ENXIO)

#: A call that fails: which file, which of CALLS, which of ERRORS.
Fault = tuple[str, str, int]

#: Those of ERRORS which say that there is no such file.
GONE = (errno.ENOENT, errno.ENOTDIR)


class Faulty:
    """The system calls of `posix` and the function `open`, some of which fail."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._calls = {name: getattr(posix, name) for name in (*CALLS, "close")}
        self._opened: dict[int, str] = {}

    def _fail(self, call: str, path: str) -> None:
        for target, failing, number in self._faults:
            if failing == call and path.endswith(target):
                raise OSError(number, os.strerror(number), path)

    def open(self, path: str, *arguments: Any) -> int:
        if path.startswith("/proc/self/fd/"):
            fd: int = self._calls["open"](path, *arguments)
            self._opened[fd] = self._opened[int(path.rpartition("/")[2])]
            return fd
        self._fail("open", path)
        fd = self._calls["open"](path, *arguments)
        self._opened[fd] = path
        return fd

    def stat(self, path: str) -> os.stat_result:
        self._fail("stat", path)
        found: os.stat_result = self._calls["stat"](path)
        return found

    def fstat(self, fd: int) -> os.stat_result:
        self._fail("fstat", self._opened.get(fd, ""))
        found: os.stat_result = self._calls["fstat"](fd)
        return found

    def read(self, fd: int, length: int) -> bytes:
        self._fail("read", self._opened.get(fd, ""))
        data: bytes = self._calls["read"](fd, length)
        return data

    def close(self, fd: int) -> None:
        self._opened.pop(fd, None)
        self._calls["close"](fd)

    def stream(self, path: str, mode: str) -> io.BufferedReader:
        """Be the function `open` of a module that reads /proc."""
        assert path.startswith("/proc/"), f"only what /proc holds is read as a stream: {path}"
        name = path.rpartition("/")[2]
        for call in ("open", "read"):
            self._fail(call, path)
        return open(f"{PROC}/{name}", "rb")

    @contextlib.contextmanager
    def happen(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name in (*CALLS, "close"):
                stack.enter_context(mock.patch.object(posix, name, getattr(self, name)))
            for module in (pin_file, process):
                stack.enter_context(mock.patch.object(module, "open", self.stream, create=True))
            yield
        assert not self._opened, f"every file is closed: {self._opened}"


def holds(
    content: bytes,
    mode: int,
    age: int,
    limit: int,
    default: str,
    pin: bytes | None,
    record: bytes | None,
    beside: tuple[bool, bool, bytes | None, bytes | None] = (False, False, None, None),
    faults: tuple[Fault, ...] = (),
) -> None:
    """`beside`: whether there are the agent's files `passive` and `ask`, and what /proc has as `stat` and `boot_id`."""
    NODE.become(content, pin=pin, feeder=record)
    NODE.config.default_state = default
    NODE.config.state_max_age = limit
    os.chmod(NODE.state_file, mode)
    now = int(time.time())
    os.utime(NODE.state_file, (now - age,) * 2)
    os.makedirs(RUNTIME, exist_ok=True)
    os.makedirs(PROC, exist_ok=True)
    veto, served, stat, boot_id = beside

    logged: list[str] = []
    with (
        mock.patch.object(log, "_send", lambda _facility, _level, line: logged.append(line)),
        mock.patch.object(state, "time", mock.Mock(wraps=time, time=lambda: now)),
        mock.patch.object(settings, "RUNTIME", RUNTIME),
    ):
        for kind, is_there in (("passive", veto), ("ask", served)):
            NODE.put(NODE.config.agent_file(kind), b"" if is_there else None)
        NODE.put(f"{PROC}/stat", stat)
        NODE.put(f"{PROC}/boot_id", BOOT_ID if boot_id is None else boot_id)
        with Faulty(faults).happen():
            found = state.from_file(NODE.config)
            verdict = state.current(NODE.config)
            facts = status.facts(NODE.config)
            lines = status.text(facts)
    for one in (found, verdict):
        assert one.state in ("active", "passive"), f"a node is active or passive, and not {one.state}"
        assert one.field.isprintable(), f"what goes into each log line is printable: {one.field!r}"
    assert all(line.isprintable() for line in logged), f"a log line is one printable line: {logged!r}"
    shown: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    assert shown["state"] == verdict.state, "rcronctl status says what rcron goes by"
    rows = 11 + (shown["valid_for"] is not None)
    assert lines.count("\n") == rows, f"rcronctl status has a line for each fact: {lines!r}"
    assert lines.replace("\n", "").isprintable(), f"rcronctl status prints plain characters: {lines!r}"
    if found.state == "active" and found.source == "file":
        # The first fault of a call is the one that happens.
        sight = next((number for target, call, number in faults if (target, call) == (".passive", "stat")), None)
        assert sight in GONE if sight else not veto, "a veto counts, also one that cannot be looked at"
    failing = {(target, call) for target, call, _number in faults}
    if not failing:
        _means_what_it_says(content, mode, age, limit, default, veto, served, found)
        _is_overridden(pin, found, verdict)
    elif failing & {("/state", call) for call in ("open", "fstat", "read")}:
        assert found.source in ("default", "agent"), f"what cannot be read is not used: {found.source}"
        assert found.warning, "what cannot be read is warned of"

    state.write(NODE.state_file, default)
    assert NODE.state() == f"{default}\n".encode(), "a state is written as its name and a newline"
    assert os.stat(NODE.state_file).st_mode & 0o7777 == 0o644, "everyone may read a state, and only its owner write it"


def _means_what_it_says(
    content: bytes, mode: int, age: int, limit: int, default: str, veto: bool, served: bool, found: state.Verdict
) -> None:
    said = WORD.fullmatch(content) if len(content) <= LARGEST and not mode & 0o002 else None
    word = said[1].decode().lower() if said else None
    stale = word == "active" and bool(limit) and abs(age) > limit
    if stale:
        expected = ("passive", "stale")
    elif word is None:
        expected = ("passive", "agent") if served else (default, "default")
    else:
        expected = ("passive", "agent") if word == "active" and veto else (word, "file")
    assert (found.state, found.source) == expected, f"means {expected}, and was read as {found.state, found.source}"
    assert (found.warning is None) == (word is not None), "what cannot be used is warned of, and nothing else"


def _is_overridden(pin: bytes | None, found: state.Verdict, verdict: state.Verdict) -> None:
    pinned = PIN.fullmatch(pin) if pin and len(pin) <= LARGEST else None
    if verdict.source == "pin":
        assert pinned, "only a pin as rcronctl writes it counts"
        assert verdict.state == pinned[1].decode(), "a pin's state is its first word"
    else:
        assert not pinned or pinned[2], "a pin without an end holds"
        assert (verdict.state, verdict.source) == (found.state, found.source), "without a pin the file decides"


def _from_bytes(data: bytes) -> tuple[Any, ...]:
    """Take what the files hold, then a byte for the agent's files, and one for each part of a fault."""
    content, *beside = data.split(b"\0", 5)
    pin, record, stat, boot_id, odds = [*beside, None, None, None, None, None][:5]
    there, *parts = odds or b"\0"
    faults = tuple(
        (TARGETS[target % len(TARGETS)], CALLS[call % len(CALLS)], ERRORS[number % len(ERRORS)])
        for target, call, number in zip(parts[::3], parts[1::3], parts[2::3])
    )
    return (content, 0o644, 0, 0, "passive", pin, record, (bool(there & 1), bool(there & 2), stat, boot_id), faults)


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

#: What /proc/PID/stat holds, and what it never does. The name may hold anything but NUL.
_STAT = b"1 (keepal) R ived) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0"
_STATS = st.none() | st.binary(max_size=60) | st.tuples(
    st.sampled_from([b"1", b"", b"-1"]),
    st.binary(max_size=20).map(lambda name: b"(" + name + b")"),
    st.sampled_from([b"R", b"Z", b"T", b"", b"\xff"]),
    st.lists(_NUMBERS, max_size=24).map(b" ".join),
).map(b" ".join)  # fmt: skip
_BOOT_IDS = st.sampled_from([None, BOOT_ID, BOOT_ID + b"\n", b"", b"-", b"a b", b"\0", b"\xff" * 200]) | st.binary(
    max_size=40
)
_FAULTS = st.lists(
    st.tuples(st.sampled_from(TARGETS), st.sampled_from(CALLS), st.sampled_from(ERRORS)), max_size=4
).map(tuple)

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
        st.tuples(st.booleans(), st.booleans(), _STATS, _BOOT_IDS),
        _FAULTS,
    ),
    from_bytes=_from_bytes,
    seeds=lambda: (
        b"active\n", b" Passive \r\n", b"inactive", b"active\n\0passive\n",
        b"active\n\0passive 1764000000.000 " + BOOT_ID + b" 99999999.000\n",
        b"passive\n\0active 9764000000.000 other 1.000\n\0" + _RECORD, b"active\n\0\0" + _RECORD,
        b"active\n\0passive 1 - 2\n\0" + _RECORD + b"\0" + _STAT + b"\0" + BOOT_ID + b"\0\1\0\0\2\4\1\4",
        b"active\n\0\0\0\0\0\3\4\1\2\5\1\2\6\0\2",
    ),
    words=(b"active", b"passive", b"nan", b"inf", b"1e308", BOOT_ID, b"\0", b"since=", b"pid=", b"moment=", b"event="),
    examples=1000,
    runs=6000,
)  # fmt: skip
