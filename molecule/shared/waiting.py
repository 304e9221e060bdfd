# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How a test waits for what happens in another process or on another machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

#: The longest pause between two looks, in seconds. The first ones are shorter.
PAUSE = 0.1


def wait_until(true: Callable[[], Found | None], what: str, seconds: float = 20.0) -> Found:
    """Wait until a condition holds.

    Args:
        true: Called again and again until it returns something true.
        what: The condition in words, for the error.
        seconds: The longest time to wait.

    Returns:
        What `true` has returned.

    Raises:
        AssertionError: The condition has not held within that time.
    """
    deadline = time.monotonic() + seconds
    pause = PAUSE / 8
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
        pause = min(2 * pause, PAUSE)
    return found
