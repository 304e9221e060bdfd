# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived's FIFO: of any bytes, only whole lines that are documented events of our own make states, in their order.

The reader gets them in pieces of any size, as a pipe gives them.
"""

from __future__ import annotations

import os
import re
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import feed, log
from rcron.feeders import keepalived
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: keepalived.conf(5), vrrp_notify_fifo: TYPE "NAME" STATE PRIORITY; older versions omit the priority.
EVENT = re.compile(
    rb"""(INSTANCE|GROUP)[ \t\r\v\f]+"([^"]*)"[ \t\r\v\f]+([^ \t\r\v\f]+)(?:[ \t\r\v\f].*)?""", re.DOTALL
)
#: rcronctl(8): what each state means; None: that nothing changes.
STATES = {
    b"MASTER": "active",
    **dict.fromkeys((b"BACKUP", b"FAULT", b"STOP", b"DELETED"), "passive"),
    **dict.fromkeys((b"MASTER_RX_LOWER_PRI", b"MASTER_PRIORITY", b"BACKUP_PRIORITY")),
}
LARGEST = 4096

NODES = {key: Node() for key in ((b"INSTANCE", b"VI_1"), (b"GROUP", b"my group"), (b"INSTANCE", b"Z\xfcrich"))}


def meant(stream: bytes) -> tuple[list[tuple[tuple[bytes, bytes], str]], int]:
    """Return the states that a FIFO's bytes make, in order, with their owners; and how many lines are not an event."""
    found = []
    unclear = 0
    for line in stream.split(b"\n")[:-1]:
        event = EVENT.fullmatch(line) if len(line) <= LARGEST else None
        if event is None or (event.group(1, 2) in NODES and event[3] not in STATES):
            unclear += 1
        elif event.group(1, 2) in NODES:
            new = STATES[event[3]]
            found += [(event.group(1, 2), new)] if new else []
    return found, unclear


def holds(pieces: tuple[bytes, ...], before: str) -> None:
    for node in NODES.values():
        node.become(before.encode() + b"\n")
    applied: list[tuple[str, str]] = []
    reported: list[str] = []
    logged: list[str] = []
    pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    apply = feed.accept_event

    def applying(config: Any, new: str, *rest: Any) -> bool:
        applied.append((config.path, new))
        return apply(config, new, *rest)

    feeder = keepalived.Feeder(
        {(os.fsdecode(kind), os.fsdecode(name)): node.config for (kind, name), node in NODES.items()},
        reported.append,
    )
    with (
        mock.patch.object(os, "read", side_effect=[*pieces, b""]),
        mock.patch.object(os, "pipe2", return_value=pipe),
        mock.patch.object(keepalived, "signal", mock.MagicMock()),
        mock.patch.object(feed, "accept_event", applying),
        mock.patch.object(log, "_send", lambda _facility, _level, line: logged.append(line)),
    ):
        feeder.follow(os.devnull)
    for fd in pipe:
        os.close(fd)

    stream = b"".join(pieces)
    expected, unclear = meant(stream)
    assert applied == [(NODES[key].conf, new) for key, new in expected], (
        f"makes {[new for _key, new in expected]}, and was taken for {[new for _path, new in applied]}"
    )
    for key, node in NODES.items():
        last = next((new for whose, new in reversed(expected) if whose == key), before)
        assert node.state() == last.encode() + b"\n", f"the last event counts: {node.state()!r}, not {last}"
    assert all(line.isprintable() for line in logged), f"a log line is one printable line: {logged!r}"
    assert len(reported) == unclear, f"each line that is not an event is reported, and only those: {reported}"


_KINDS = st.sampled_from([b"INSTANCE", b"INSTANCE", b"GROUP", b"VS", b"instance"])
_NAMES = st.sampled_from(
    [
        b"VI_1",
        b"VI_1",
        b"my group",
        b"VI_2",
        b"VI_1 ",
        b"",
        b"Z\xfcrich",
        b"Zrich",
        b"Z\\xfcrich",
        b"INSTANCE",
        b"\xc2\xa0",
    ]
)
_STATES = st.sampled_from(
    b"MASTER MASTER BACKUP FAULT STOP DELETED MASTER_RX_LOWER_PRI MASTER_PRIORITY BACKUP_PRIORITY Master SHINY".split()
)
_BLANKS = st.sampled_from([b" ", b" ", b" ", b"", b"\t", b"  ", b"\xc2\xa0", b"\x1c", b"\r", b"\xe2\x80\xa8", b"\0"])
_ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"", b" \n", b"x" * 4100, b"\n\n"])
_PRIORITIES = st.sampled_from([b"100", b"", b"x"])
_EVENTS = st.tuples(
    _KINDS, _BLANKS, st.just(b'"'), _NAMES, st.just(b'"'), _BLANKS, _STATES, _BLANKS, _PRIORITIES
).map(b"".join)  # fmt: skip
_LINES = st.tuples(_EVENTS, _ENDS).map(b"".join)
_BITS = _LINES | st.binary(min_size=1, max_size=20)
_LONG = st.tuples(_EVENTS | _LINES, st.sampled_from([b"x", b" "]), st.integers(4000, 4200), _ENDS).map(
    lambda bits: bits[0] + bits[1] * bits[2] + bits[3]
)


@st.composite
def _pieces(draw: st.DrawFn) -> tuple[bytes, ...]:
    """What a pipe gives is what was written to it, or several writes at once, or a part of one."""
    pieces = draw(st.lists(_BITS | _BITS | _LONG, max_size=6))
    for _turn in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(pieces) - 1, 0)))
        two = b"".join(pieces[at : at + 2])
        cut = draw(st.integers(0, len(two)))
        pieces[at : at + 2] = [piece for piece in (two[:cut], two[cut:]) if piece]
    return tuple(pieces)


def _from_bytes(data: bytes) -> tuple[tuple[bytes, ...], str]:
    # The first byte is the size of the pieces.
    size = 1 + data[0] * 17 if data else 1
    return tuple(data[at : at + size] for at in range(1, len(data), size)), "passive"


_SEEDS = (
    b'INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\n',
    b'GROUP "my group" FAULT 0\nINSTANCE "VI_1" STOP 100\n',
    b'INSTANCE "VI_2" MASTER 100\nINSTANCE "VI_1" MASTER_RX_LOWER_PRI 100\n',
)

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_pieces(), st.sampled_from(["active", "passive"])),
    from_bytes=_from_bytes,
    seeds=lambda: (first + stream for stream in _SEEDS for first in (b"\x01", b"\xff")),
    words=(b'INSTANCE "VI_1" ', b'GROUP "my group" ', b"MASTER", b"BACKUP", b"DELETED", b"_PRIORITY", b"\n", b"x" * 60),
    examples=800,
    runs=4000,
)  # fmt: skip
