# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a daemon says of this node, and the clock by which that ages."""

import time
from typing import NamedTuple

#: What to call an Answer whose state is None.
UNKNOWN = "unknown"


class Answer(NamedTuple):
    """One answer of a daemon.

    Attributes:
        state: `active`, `passive`, or None if the daemon cannot tell (or nobody can tell for it).
        moment: When the question was put, in seconds of `boottime`: the daemon said this then or later.
        words: One line for a person, the same for the same answer: `GET /primary: 200`.
    """

    state: "str | None"
    moment: float
    words: str


def boottime() -> float:
    """Return the seconds since the machine was booted, including those that it slept (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
