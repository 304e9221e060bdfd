# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A pin: the administrator's word over the feeder's, until it is taken back or its time is up.

A pin's file holds one line, `STATE` or `STATE UNTIL BOOT_ID BOOT_UNTIL`. UNTIL is in seconds since the epoch; within
the boot BOOT_ID (/proc/sys/kernel/random/boot_id, random(4)) BOOT_UNTIL counts instead, in seconds of CLOCK_BOOTTIME
(clock_gettime(2)), so that setting the clock neither prolongs nor shortens a pin.
"""

import posix
import time

from rcron import files
from rcron.settings import ACTIVE, PASSIVE, Config

#: How much a pin's file may hold, in bytes.
MAX_BYTES = 4096

#: The units of a duration, in seconds.
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

#: The longest time that a pin may be limited to, in seconds: ten years.
MAX_SECONDS = 10 * 365 * 86400

#: More seconds than any pin has left, whatever the clock was set to: a thousand years.
_ENDLESS = 1000 * 365 * 86400


class Pin:
    """A pin that holds. state: `active` or `passive`. left: seconds until it ends by itself, or None."""

    __slots__ = ("left", "state")

    def __init__(self, state: str, left: "float | None") -> None:
        self.state = state
        self.left = left

    @property
    def until(self) -> "float | None":
        """When it ends by itself, in seconds since the epoch by the clock as it goes now, or None."""
        return None if self.left is None else time.time() + self.left


def duration(text: str) -> int:
    """Read a duration. text: such as `90s`, `2h30m` or `1w`. Returns seconds. Raises ValueError that tells the form."""
    total = 0
    rest = text
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        if not 0 < digits <= 10 or rest[digits : digits + 1] not in UNITS:
            break
        total += int(rest[:digits]) * UNITS[rest[digits]]
        rest = rest[digits + 1 :]
    if rest or not 0 < total <= MAX_SECONDS:
        raise ValueError(f'"{text}" is no duration; write numbers with their units s, m, h, d or w, such as 2h30m')
    return total


def read(config: Config) -> "Pin | None":
    """The pin that holds on this node. config: the cluster's. Returns None where there is none, or its time is up.

    Raises ValueError for a pin that is to be ignored, with what is wrong with it.
    """
    path = config.pin_file
    try:
        data, _modified = files.read_trusted(path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; ignored") from None
    except files.UntrustedError as error:
        raise ValueError(f"{path}: {error}; ignored") from None
    words = [word.decode("ascii", "replace") for word in data.split()]
    try:
        left = None if len(words) == 1 else _left(*words[1:])
        # float reads nan and inf as well, and numbers that no calendar has a day for.
        known = words[0] in (ACTIVE, PASSIVE) and (left is None or abs(left) < _ENDLESS)
    except (IndexError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{path}: no pin as rcronctl writes it; ignored. Write it anew: rcronctl pin STATE, or unpin")
    if left is not None and left <= 0:
        return None
    return Pin(words[0], left)


def _left(until: str, boot_id: str, boot_until: str) -> float:
    if boot_id == _boot_id():
        return float(boot_until) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(until) - time.time()


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def write(config: Config, state: str, seconds: "int | None") -> None:
    """Pin this node. config: the cluster's. state: `active` or `passive`. seconds: how long, or None for until unpin.

    Raises OSError where the pin cannot be written; the old one then still holds.
    """
    line = state
    if seconds is not None:
        ends = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
        line = f"{state} {time.time() + seconds:.3f} {_boot_id()} {ends:.3f}"
    files.replace(config.pin_file, line + "\n")


def remove(config: Config) -> bool:
    """Take the pin back. config: the cluster's. Returns whether there was one. Raises OSError where that fails."""
    try:
        posix.unlink(config.pin_file)
    except FileNotFoundError:
        return False
    return True
