# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A pin: the administrator's state overrides the feeder's, until it is removed or its time is up.

A pin's file holds one line, `STATE` or `STATE UNTIL BOOT_ID BOOT_UNTIL`. UNTIL is in seconds since the epoch; within
the boot BOOT_ID (/proc/sys/kernel/random/boot_id, random(4)) BOOT_UNTIL counts instead, in seconds of CLOCK_BOOTTIME
(clock_gettime(2)), so that setting the clock neither prolongs nor shortens a pin. BOOT_ID is `-` if it was not known.
"""

import posix
import time

from rcron import files
from rcron.settings import ACTIVE, PASSIVE, Config

#: How much a pin's file may hold, in bytes.
MAX_BYTES = 4096

#: The units of a duration, in seconds.
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

#: The longest time limit of a pin, in seconds: ten years.
MAX_SECONDS = 10 * 365 * 86400

#: What a pin's file holds instead of a boot's ID that is not known.
_NO_BOOT_ID = "-"

#: More seconds than any pin can have left, whatever the clock was set to: a thousand years.
_ENDLESS = 1000 * 365 * 86400


class Pin:
    """A pin that holds.

    Attributes:
        state (str): `active` or `passive`.
        left (float | None): seconds until it ends by itself.
    """

    __slots__ = ("left", "state")

    def __init__(self, state: str, left: "float | None") -> None:
        self.state = state
        self.left = left

    @property
    def until(self) -> "float | None":
        """When it ends by itself, in seconds since the epoch by the clock as it is now, or None."""
        return None if self.left is None else time.time() + self.left


def duration(text: str) -> int:
    """Read a duration.

    Args:
        text: such as `90s`, `2h30m` or `1w`.

    Returns:
        Seconds.

    Raises:
        ValueError: it is not a duration, and the text shows the form.
    """
    total = 0
    rest = text
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        if not 0 < digits <= 10 or rest[digits : digits + 1] not in UNITS:
            break
        total += int(rest[:digits]) * UNITS[rest[digits]]
        rest = rest[digits + 1 :]
    if rest or not 0 < total <= MAX_SECONDS:
        raise ValueError(f'"{text}" is not a duration; write numbers with their units s, m, h, d or w, such as 2h30m')
    return total


def read(config: Config) -> "Pin | None":
    """Read the pin that holds on this node.

    Args:
        config: the cluster's.

    Returns:
        The pin, or None if there is none or its time is up.

    Raises:
        ValueError: the file must be ignored, and the text says why.
    """
    path = config.pin_file
    try:
        data, _modified = files.read_trusted(path, MAX_BYTES, _administrators(config))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; ignored") from None
    except files.UntrustedError as error:
        raise ValueError(f"{path}: {error}; ignored") from None
    words = [word.decode("ascii", "replace") for word in data.split()]
    try:
        left = None if len(words) == 1 else _left(*words[1:])
        # float also reads nan, inf, and numbers that no calendar has a day for.
        known = words[0] in (ACTIVE, PASSIVE) and (left is None or abs(left) < _ENDLESS)
    except (IndexError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{path}: invalid pin file, ignored; set it again with rcronctl pin, or run rcronctl unpin")
    if left is not None and left <= 0:
        return None
    return Pin(words[0], left)


def _administrators(config: Config) -> "tuple[int, ...]":
    """Return the users whose pin counts: root, this process's, and whoever the configuration belongs to."""
    try:
        return (0, posix.geteuid(), posix.stat(config.path).st_uid)
    except (OSError, ValueError):
        return (0, posix.geteuid())


def check_folder(config: Config) -> None:
    """See that nobody could replace or remove a pin but those who may pin.

    A pin of a state file that is not below /run lies beside it (Config.pin_file), in a folder that may be a feeder's.

    Args:
        config: the cluster's.

    Raises:
        ValueError: somebody could, and the text says how to prevent it.
        OSError: the folder is missing.
    """
    folder = files.folder_of(config.pin_file)
    owner = posix.stat(folder).st_uid
    if owner not in _administrators(config):
        raise ValueError(
            f"{folder}: belongs to the user with UID {owner}, who could remove or replace the pin; put state_file into"
            f" a folder below /run, and the pin is kept in /var/lib"
        )


def _left(until: str, boot: str, boot_until: str) -> float:
    if boot == boot_id() != _NO_BOOT_ID:
        return float(boot_until) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(until) - time.time()


def boot_id() -> str:
    """Return this boot's ID, or _NO_BOOT_ID if /proc does not show it (subset=pid): then the clock has to do."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as stream:
            words = stream.read(100).decode("ascii", "replace").split()
    except OSError:
        return _NO_BOOT_ID
    return words[0] if len(words) == 1 else _NO_BOOT_ID


def write(config: Config, state: str, seconds: "int | None") -> None:
    """Pin this node.

    Args:
        config: the cluster's.
        state: `active` or `passive`.
        seconds: how long, or None for until unpin.

    Raises:
        OSError: the pin cannot be written. The old one then still holds.
    """
    line = state
    if seconds is not None:
        ends = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
        line = f"{state} {time.time() + seconds:.3f} {boot_id()} {ends:.3f}"
    files.replace(config.pin_file, line + "\n")


def remove(config: Config) -> bool:
    """Remove the pin.

    Args:
        config: the cluster's.

    Returns:
        Whether there was one.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        posix.unlink(config.pin_file)
    except FileNotFoundError:
        return False
    return True
