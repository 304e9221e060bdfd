# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Files of a node that may be anything: missing, unreadable, a FIFO, a folder, or far too large.

Nothing here waits for a file. What is not a regular file of a reasonable size is an OSError, whose `strerror` says why.
"""

from __future__ import annotations

import errno
import os
import stat

#: Bytes. No configuration that a person or a role writes comes near it.
LARGEST = 16 * 1024 * 1024

#: Bytes of a file's beginning that are enough to recognise it.
HEAD = 4096

#: A role's mark is one of the first lines: the interpreter's `#!` may stand above it.
MARK_LINES = 3


def open_regular(path: str) -> int:
    """Open a regular file for reading.

    To open a device may arm it, and to open a FIFO may cost its owner what is written into it. In a folder that is not
    root's, a link may lead to any of them: so it is looked at before it is opened (O_PATH, open(2)).

    Args:
        path: The file's path.

    Returns:
        The descriptor.

    Raises:
        OSError: The file is missing, unreadable or not a regular file.
    """
    if "\0" in path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(place).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            return os.open(f"/proc/self/fd/{place}", flags)
        except FileNotFoundError:
            return os.open(path, flags)  # /proc is not mounted
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(place)


def read_head(path: str, size: int = HEAD) -> bytes:
    """Read the beginning of a regular file.

    Args:
        path: The file's path.
        size: How many bytes to read at most.

    Returns:
        The bytes; fewer than `size` if the file is shorter.

    Raises:
        OSError: The file is missing, unreadable or not a regular file.
    """
    descriptor = open_regular(path)
    try:
        # A file in /proc gives its text in pieces, whatever is asked for.
        pieces = []
        while size > 0:
            piece = os.read(descriptor, size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def read_text(path: str, largest: int = LARGEST) -> str:
    """Read a whole text file.

    Args:
        path: The file's path.
        largest: How many bytes it may have.

    Returns:
        The text. A byte that is not UTF-8 becomes a lone surrogate, as in `os.fsdecode`.

    Raises:
        OSError: The file is missing, unreadable, not a regular file, or larger than `largest`.
    """
    data = read_head(path, largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"Larger than {largest} bytes", path)
    # As Python reads a text file.
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")


def is_ours(path: str, mark: str) -> bool:
    """Tell whether a role of this collection wrote a file.

    Args:
        path: The file's path.
        mark: The line that the role writes at the top of its files.

    Returns:
        Whether the mark is one of the file's first lines. False if the file cannot be read.
    """
    try:
        text = read_head(path).decode("utf-8", "replace")
    except OSError:
        return False
    return mark in text.splitlines()[:MARK_LINES]


def foreign(paths: list[str], mark: str) -> list[str]:
    """Find what stands in the way of a role's files.

    Args:
        paths: Where the role writes.
        mark: The line that the role writes at the top of its files.

    Returns:
        Those of the paths where there is something that the role did not write.
    """
    return [path for path in paths if os.path.lexists(path) and not is_ours(path, mark)]


def printable(text: str) -> str:
    r"""Show what read_text returns to a person: bytes that are not UTF-8 as \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
