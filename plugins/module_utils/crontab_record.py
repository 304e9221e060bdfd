# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The record on a host of the crontab entries that were prefixed there, for each cluster.

Without it nobody could tell an entry that the inventory named once from one that somebody has prefixed by hand, or with
the filter rcron_prefix in a task of ansible.builtin.cron.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from typing import NamedTuple

from .crontab_store import StoreError

NAME = "crontabs.json"
FOLDER = "/var/lib/rcron"  # what a reboot keeps; rcronctl's pins are there too
MOST_BYTES = 64 << 20  # some hundred times what 10,000 entries take


class Recorded(NamedTuple):
    """An entry that was prefixed."""

    crontab: str  # a user's name, or the absolute path of a system crontab
    command: bytes  # without prefix
    conf: bytes  # the configuration that its prefix names


class Record:
    """The file. What it holds belongs to clusters, each named by its configuration's path."""

    def __init__(self, folder: str | None = None) -> None:
        """Name the file. Nothing is read.

        Args:
            folder: Where it is kept; None for /var/lib/rcron or, for an ordinary user, ~/.local/state/rcron.
        """
        own = FOLDER if os.getuid() == 0 else os.path.expanduser("~/.local/state/rcron")
        self.path = os.path.join(folder or own, NAME)

    def read(self) -> dict[str, list[Recorded]]:
        """Return the entries of each cluster, by its configuration's path; nothing if there is no record yet.

        Raises:
            StoreError: The file is not one that this class has written.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise self._unusable("it is not a regular file")
            if status.st_uid not in (0, os.getuid()) or status.st_mode & 0o022:
                raise self._unusable("others than its owner may have written it")
            try:
                clusters = json.loads(file.read(MOST_BYTES).decode("ascii"))
                return {
                    str(cluster): [
                        Recorded(str(one["crontab"]), _bytes(one["command"]), _bytes(one["conf"])) for one in entries
                    ]
                    for cluster, entries in clusters.items()
                }
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise self._unusable(f"{type(error).__name__}: {error}") from error

    def write(self, clusters: dict[str, list[Recorded]]) -> None:
        """Replace the record. Without an entry there is no file, and no folder if it holds nothing else.

        Args:
            clusters: The entries of each cluster.

        Raises:
            StoreError: It cannot be written; it is as it was then.
        """
        folder = os.path.dirname(self.path)
        try:
            if not clusters:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                return
            if not os.path.isdir(folder):
                os.makedirs(folder)
                os.chmod(folder, 0o711)  # noqa: S103 - every user's jobs open pins there by name
            handle, draft = tempfile.mkstemp(prefix=f".{NAME}.", dir=folder)
            try:
                with open(handle, "wb") as file:
                    file.write(_content(clusters))
                    file.flush()
                    os.fsync(handle)
                os.replace(draft, self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise
        except OSError as error:
            raise StoreError(
                f"the record of prefixed entries, {self.path}, cannot be written: {error.strerror or error}. "
                f"Make room or let root write there, and run this again."
            ) from error

    def _unusable(self, why: str) -> StoreError:
        return StoreError(
            f"the record of prefixed entries, {self.path}, cannot be used ({why}). Remove it: entries that were "
            f"prefixed and are not selected any more then keep their prefix until the playbook remove takes it off."
        )


def _content(clusters: dict[str, list[Recorded]]) -> bytes:
    shown = {
        cluster: [{"crontab": one.crontab, "command": _text(one.command), "conf": _text(one.conf)} for one in entries]
        for cluster, entries in clusters.items()
    }
    return json.dumps(shown, indent=1).encode("ascii") + b"\n"


def _text(raw: bytes) -> str:
    """Return bytes as JSON can hold them, whatever the locale."""
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
