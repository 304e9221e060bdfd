# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived's FIFO: of any bytes, only whole lines that are events of our own make states, in their order.

The agent gets them in pieces of any size, as a pipe gives them.
"""

from __future__ import annotations

import os
import re
import tempfile
from unittest import mock

from hypothesis import strategies as st

from rcron.agent.feeders import keepalived
from tests.fuzz.subject import Subject

#: keepalived.conf(5), vrrp_notify_fifo: TYPE "NAME" STATE PRIORITY; older versions omit the priority.
EVENT = re.compile(
    rb"""(INSTANCE|GROUP)[ \t\r\v\f]+"([^"]*)"[ \t\r\v\f]+([^ \t\r\v\f"]+)(?:[ \t\r\v\f][^"]*)?""", re.DOTALL
)
#: rcronctl(8): what each state means; all other words mean nothing.
STATES = {b"MASTER": "active", **dict.fromkeys((b"BACKUP", b"FAULT", b"STOP", b"DELETED"), "passive")}
LARGEST = 4096

FOLLOWED = ((b"INSTANCE", b"VI_1"), (b"GROUP", b"my group"), (b"INSTANCE", b"Z\xfcrich"))


def meant(stream: bytes) -> list[tuple[tuple[bytes, bytes], str]]:
    """Return the states that a FIFO's bytes make, in order, each with its owner."""
    events = (EVENT.fullmatch(line) for line in stream.split(b"\n")[:-1] if len(line) <= LARGEST)
    return [
        (event.group(1, 2), STATES[event[3]])
        for event in events
        if event and event.group(1, 2) in FOLLOWED and event[3] in STATES
    ]


def truth_of(kind: bytes, name: bytes, fifo: str) -> keepalived.KeepalivedTruth:
    options = {"instance": "", "group": "", "fifo": fifo, "pid_file": os.devnull}
    return keepalived.KeepalivedTruth({**options, os.fsdecode(kind).lower(): os.fsdecode(name)})


def holds(pieces: tuple[bytes, ...]) -> None:
    told = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/fifo"
        os.mkfifo(path)
        writer = os.open(path, os.O_RDWR)
        truths = {owner: truth_of(*owner, path) for owner in FOLLOWED}
        reader = truths[FOLLOWED[0]]
        assert reader.descriptor() >= 0
        for piece in pieces:
            with mock.patch.object(os, "read", return_value=piece):
                heard = reader.hear()
            for owner, truth in truths.items():
                answers = heard if truth is reader else truth.hear()
                told += [(owner, answer) for answer in answers]
        for truth in truths.values():
            truth.close()
        os.close(writer)
    expected = meant(b"".join(pieces))
    for owner in FOLLOWED:
        # `active` needs more than a line: the VRRP process must be seen to work, so a line only has it asked for.
        states = [answer.state for whose, answer in told if whose == owner]
        assert states == ["passive" if new == "passive" else None for whose, new in expected if whose == owner]
    assert all(answer.words.isprintable() or not answer.words.isascii() for _owner, answer in told), "one line each"


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


def _from_bytes(data: bytes) -> tuple[tuple[bytes, ...]]:
    # The first byte is the size of the pieces.
    size = 1 + data[0] * 17 if data else 1
    return (tuple(data[at : at + size] for at in range(1, len(data), size)),)


_SEEDS = (
    b'INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\n',
    b'GROUP "my group" FAULT 0\nINSTANCE "VI_1" STOP 100\n',
    b'INSTANCE "VI_2" MASTER 100\nINSTANCE "VI_1" MASTER_RX_LOWER_PRI 100\n',
)

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_pieces()),
    from_bytes=_from_bytes,
    seeds=lambda: (first + stream for stream in _SEEDS for first in (b"\x01", b"\xff")),
    words=(b'INSTANCE "VI_1" ', b'GROUP "my group" ', b"MASTER", b"BACKUP", b"DELETED", b"_PRIORITY", b"\n", b"x" * 60),
    examples=800,
    runs=4000,
)  # fmt: skip
