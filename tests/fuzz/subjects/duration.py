# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The duration of `rcronctl pin --for`: exactly the documented form is taken, for exactly that long."""

from __future__ import annotations

import re
import time

from hypothesis import strategies as st

from rcron import pin
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: rcronctl(8): numbers with their units; ten years at most.
FORM = re.compile(r"(?:[0-9]{1,10}[smhdw])+")
SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
LONGEST = 10 * 365 * 24 * 60 * 60

NODE = Node()


def meant(text: str) -> int | None:
    """Return the seconds that a text stands for; None if it is not a duration."""
    if not FORM.fullmatch(text):
        return None
    total = sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([a-z])", text))
    return total if 0 < total <= LONGEST else None


def holds(text: str) -> None:
    expected = meant(text)
    refusal = "such as 2h30m"
    try:
        seconds: int | None = pin.duration(text)
    except ValueError as error:
        seconds = None
        refusal = str(error)
    assert seconds == expected, f"is a duration of {expected} seconds, and was read as {seconds}"

    assert "such as 2h30m" in refusal, f"a refusal shows the form: {refusal}"

    # One word behind an equals sign, so that argparse cannot take it for an option. No argument holds a NUL.
    if "\0" in text:
        return
    NODE.become(None)
    began = time.time()
    answer = NODE.ctl("pin", "passive", f"--for={text}")
    answer.is_printable()
    if expected is None:
        assert answer.status == 64, f"a duration that is none exits 64, and not {answer.status}"
        assert not NODE.exists(".pin"), "a duration that is none pins nothing"
        return
    assert answer.status == 0, f"a duration exits 0, and not {answer.status}"
    held = pin.read(NODE.config)
    assert held is not None, "the pin holds"
    assert held.state == "passive", "the pin holds the state that was asked for"
    assert held.left is not None, "the pin ends by itself"
    # Milliseconds are what the file keeps.
    assert expected - (time.time() - began) - 0.01 <= held.left <= expected + 0.01, (
        f"the pin holds for {expected} seconds, and not for {held.left}"
    )


_NUMBERS = st.integers(0, 120).map(str) | st.integers(0, 10**11).map(str) | st.just("007")
_PARTS = st.tuples(_NUMBERS, st.sampled_from("smhdw")).map("".join)
_TEXTS = st.one_of(
    st.lists(_PARTS, min_size=1, max_size=4).map("".join),
    st.lists(
        _PARTS | st.sampled_from(["", " ", "-", "--", "+", ".5", "_", "y", "H", "\u0661", "\uff11"]), max_size=4
    ).map("".join),
    # Around the longest of each unit.
    st.tuples(st.sampled_from(sorted(SECONDS)), st.integers(-1, 1)).map(
        lambda pair: f"{LONGEST // SECONDS[pair[0]] + pair[1]}{pair[0]}"
    ),
    st.text(),
)

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_TEXTS),
    from_bytes=lambda data: (data.decode("utf-8", "surrogateescape"),),
    seeds=lambda: (b"90s", b"2h30m", b"1d", b"1w", b"520w", b"315360000s", b"0s", b"1h1h"),
    words=(b"s", b"m", b"h", b"d", b"w", b"0", b"9999999999", "\u0661".encode()),
    examples=600,
    runs=3000,
)
