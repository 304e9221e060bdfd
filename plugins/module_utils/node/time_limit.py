# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A time limit for looking at a node: a file, a program or a file system there may not answer at all."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

#: Seconds for all of one look. The tasks that take one have a limit of their own on the controller, a longer one.
TIME_LIMIT = 120


class TimeLimitError(Exception):
    """A look that took too long; the message is for a person."""


@contextlib.contextmanager
def within(what: str, seconds: int = TIME_LIMIT) -> Iterator[None]:
    """Give up what is done in this context once its time is over. Only for what changes nothing.

    Args:
        what: What is done, for the message: "looking at keepalived".
        seconds: The time limit.

    Raises:
        TimeLimitError: The time was over.
    """

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
