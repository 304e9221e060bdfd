# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the subject `feeders` knows of one feeder: a file for each in feeders/, which has a FEEDER."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

#: Files in the node's folder: one that does not exist, and the cluster's configuration again.
MISSING = "missing.conf"
OWN = "own.conf"

#: What `--daemon PID` may look like in the call of a hook from before rcron-agent, which is ignored.
DAEMONS = st.just([]) | st.sampled_from(["1", "0", "-1", "99999999999", "9" * 5000, "x", "--daemon"]).map(
    lambda number: ["--daemon", number]
)


class Call(NamedTuple):
    """A call of `rcronctl feed FEEDER`.

    Attributes:
        options: each option's name and the values that were given to it.
        words: what follows the options.
        conf: the path of the node's configuration.
        promotable: whether the environment is that of a promotable clone.
    """

    options: dict[str, list[str]]
    words: list[str]
    conf: str
    promotable: bool


class Feeder(NamedTuple):
    """One feeder's command line, by rcronctl(8), without the short forms of options that argparse accepts besides.

    Attributes:
        meaning: returns the state that a documented call gives, and None for any other, which must change nothing.
        calls: generates calls that have the form of real ones.
        seeds: real calls, their words separated by blanks.
        options: the options that take a value.
        statuses: the exit statuses that it has beyond those of rcronctl(8).
    """

    meaning: Callable[[Call], str | None]
    calls: st.SearchStrategy[list[str]]
    seeds: tuple[str, ...]
    options: tuple[str, ...] = ()
    statuses: frozenset[int] = frozenset()


def load(name: str) -> Feeder:
    """Return what tests/fuzz/feeders/NAME.py says of a feeder."""
    feeder: Feeder = importlib.import_module(f"tests.fuzz.feeders.{name}").FEEDER
    return feeder
