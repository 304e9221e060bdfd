# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The names of users by their numbers: the node's own without delay, others' from a directory, which may be slow."""

import os
import pwd
from collections.abc import Mapping

#: Where the node's own users are.
FILE = "/etc/passwd"


class Users:
    """Remembers names until FILE changes, since a number may be another user's then."""

    def __init__(self) -> None:
        self._names: "dict[int, str]" = {}
        self._read_at: "tuple[int, ...]" = ()

    def known(self) -> "Mapping[int, str]":
        """Return the names that are known without asking anybody, by the users' numbers."""
        self._refresh()
        return self._names

    def name(self, uid: int) -> str:
        """Return a user's name. This may ask a directory, and wait for it.

        Args:
            uid: The user's number.

        Raises:
            KeyError: There is none.
        """
        self._refresh()
        names = self._names
        if uid not in names:
            names[uid] = pwd.getpwuid(uid).pw_name
        return names[uid]

    def _refresh(self) -> None:
        try:
            found = os.stat(FILE)
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if state != self._read_at:
                # In this order: names that two threads read at once are the same, or read again.
                self._names, self._read_at = _own_users(), state
        except OSError:
            pass


def _own_users() -> "dict[int, str]":
    """Return the names of the node's own users. Of two with one number the first counts, as for getpwuid(3)."""
    names: "dict[int, str]" = {}
    with open(FILE, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            name, _password, number, *_others = [*line.split(":"), "", "", ""]
            if name[:1] not in ("", "#", "+", "-") and number.isascii() and number.isdecimal() and len(number) <= 10:
                names.setdefault(int(number), name)
    return names
