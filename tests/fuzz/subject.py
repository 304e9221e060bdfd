# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is fuzzed: an input, what must hold for every one of them, and where good ones come from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy

#: The modules in subjects/, each with a SUBJECT.
NAMES = ("answers", "configuration", "crontab", "duration", "feeders", "fifo", "metrics", "names", "requests", "state")

#: The product's code, which coverage guides through.
PRODUCT = ("rcron", "plugins.module_utils.crontab")

Case = tuple[Any, ...]


class Subject(NamedTuple):
    """One subject. A case is a tuple of plain values (bytes, str, int, None, tuples), which its repr has the whole of.

    holds: given a case's values, raises if a property is broken; an AssertionError says which. cases: generates
    cases that have the form of real input. from_bytes: makes a case of any bytes. seeds: bytes for from_bytes that are
    real input. words: parts of real input, for the mutation of bytes. examples, runs: how many inputs the short
    run takes, of those that have the form of real input and of bytes.
    """

    holds: Callable[..., None]
    cases: SearchStrategy[Case]
    from_bytes: Callable[[bytes], Case]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...]
    examples: int
    runs: int


def load(name: str) -> Subject:
    """Return the subject of one of NAMES."""
    subject: Subject = importlib.import_module(f"tests.fuzz.subjects.{name}").SUBJECT
    return subject
