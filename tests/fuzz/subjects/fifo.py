# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived's FIFO: of any bytes, only whole lines that are documented events of our own make states, in their order.

The FIFO is a file here, whose bytes the reader gets in pieces of any size, as a pipe gives them.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import feed, log
from rcron.feeders import keepalived
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: keepalived.conf(5), vrrp_notify_fifo: TYPE "NAME" STATE PRIORITY; older versions give no priority.
EVENT = re.compile(
    rb"""(INSTANCE|GROUP)[ \t\r\v\f]+"([^"]*)"[ \t\r\v\f]+(MASTER|BACKUP|FAULT|STOP|DELETED)(?:[ \t\r\v\f].*)?"""
)
LARGEST = 4096

NODES = {(b"INSTANCE", b"VI_1"): Node(), (b"GROUP", b"my group"): Node()}
FIFO = f"{NODES[b'INSTANCE', b'VI_1'].folder}/fifo"


def meant(stream: bytes) -> list[tuple[tuple[bytes, bytes], str]]:
    """Return the states that a FIFO's bytes make, in their order, with whose they are."""
    found = []
    for line in stream.split(b"\n")[:-1]:
        event = EVENT.fullmatch(line) if len(line) <= LARGEST else None
        if event and event.group(1, 2) in NODES:
            found.append((event.group(1, 2), "active" if event[3] == b"MASTER" else "passive"))
    return found


def holds(stream: bytes, sizes: tuple[int, ...], before: str) -> None:
    for node in NODES.values():
        node.become(before.encode() + b"\n")
    NODES[b"INSTANCE", b"VI_1"].put(FIFO, stream)
    applied: list[tuple[str, str]] = []
    reported: list[str] = []
    logged: list[str] = []
    pieces = itertools.chain(sizes, itertools.repeat(max(sizes, default=65536)))
    pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    read, apply = os.read, feed.apply

    def applying(config: Any, new: str, *rest: Any) -> bool:
        applied.append((config.path, new))
        return apply(config, new, *rest)

    feeder = keepalived.Feeder(
        {tuple(part.decode() for part in key): node.config for key, node in NODES.items()},  # type: ignore[misc]
        reported.append,
    )
    with (
        mock.patch.object(os, "read", lambda fd, most: read(fd, min(most, next(pieces)))),
        mock.patch.object(os, "pipe2", return_value=pipe),
        mock.patch.object(keepalived, "signal", mock.MagicMock()),
        mock.patch.object(feed, "apply", applying),
        mock.patch.object(log, "_send", lambda _facility, _level, line: logged.append(line)),
    ):
        feeder.follow(FIFO)
    for fd in pipe:
        os.close(fd)

    expected = meant(stream)
    assert applied == [(NODES[key].conf, new) for key, new in expected], (
        f"makes {[new for _key, new in expected]}, and was taken for {[new for _path, new in applied]}"
    )
    for key, node in NODES.items():
        last = next((new for whose, new in reversed(expected) if whose == key), before)
        assert node.state() == last.encode() + b"\n", f"the last event counts: {node.state()!r}, not {last}"
    assert all(line.isprintable() for line in logged), f"a log line is one printable line: {logged!r}"
    unclear = [line for line in stream.split(b"\n")[:-1] if not EVENT.fullmatch(line) or len(line) > LARGEST]
    assert len(reported) <= len(unclear) + 1, f"what is no event is reported once: {reported}"


_KINDS = st.sampled_from([b"INSTANCE", b"INSTANCE", b"GROUP", b"VS", b"instance"])
_NAMES = st.sampled_from([b"VI_1", b"VI_1", b"my group", b"VI_2", b"VI_1 ", b"", b"\xff", b"INSTANCE", b"\xc2\xa0"])
_STATES = st.sampled_from(
    b"MASTER MASTER BACKUP FAULT STOP DELETED MASTER_RX_LOWER_PRI MASTER_PRIORITY BACKUP_PRIORITY Master SHINY".split()
)
_BLANKS = st.sampled_from([b" ", b" ", b" ", b"", b"\t", b"  ", b"\xc2\xa0", b"\x1c", b"\r", b"\xe2\x80\xa8", b"\0"])
_ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"", b" \n", b"x" * 4100, b"\n\n"])
_PRIORITIES = st.sampled_from([b"100", b"", b"x"])
_LINES = st.tuples(
    _KINDS, _BLANKS, st.just(b'"'), _NAMES, st.just(b'"'), _BLANKS, _STATES, _BLANKS, _PRIORITIES, _ENDS
).map(b"".join)  # fmt: skip
_STREAMS = st.lists(_LINES | st.binary(max_size=20), max_size=6).map(b"".join)

_SEEDS = (
    b'INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\n',
    b'GROUP "my group" FAULT 0\nINSTANCE "VI_1" STOP 100\n',
    b'INSTANCE "VI_2" MASTER 100\nINSTANCE "VI_1" MASTER_RX_LOWER_PRI 100\n',
)

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(
        _STREAMS, st.lists(st.integers(1, 5000), max_size=6).map(tuple), st.sampled_from(["active", "passive"])
    ),
    # The first byte is the size of the pieces.
    from_bytes=lambda data: (data[1:], (1 + data[0] * 17,) if data else (), "passive"),
    seeds=lambda: (first + stream for stream in _SEEDS for first in (b"\x01", b"\xff")),
    words=(b'INSTANCE "VI_1" ', b'GROUP "my group" ', b"MASTER", b"BACKUP", b"DELETED", b"_PRIORITY", b"\n", b"x" * 60),
    examples=800,
    runs=4000,
)  # fmt: skip
