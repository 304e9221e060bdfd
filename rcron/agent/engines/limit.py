# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A limit for what a client library waits for and keeps in memory: a hostile server decides about neither.

Such libraries begin a timeout anew with each byte, or have none, and keep an answer as long as the server makes it.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

#: By how many bytes this process may grow while an answer comes. The longest honest one is a page of the ledger.
MOST_BYTES = 1 << 25

#: How often it is looked at both, in seconds.
LOOK = 0.02


@contextlib.contextmanager
def limited(descriptor: "Callable[[], int]", seconds: float) -> "Iterator[None]":
    """Have the connection that this thread waits for cut, if an answer takes too long or is too long.

    Args:
        descriptor: Returns the connection's file descriptor, or -1 while there is none. Another thread calls it.
        seconds: For how long there may be a connection until this context is left.
    """
    over = threading.Event()
    threading.Thread(target=_watch, args=(over, descriptor, seconds), name="limit", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(over: threading.Event, descriptor: "Callable[[], int]", seconds: float) -> None:
    most = _memory() + MOST_BYTES
    deadline = time.monotonic() + seconds
    while not over.wait(LOOK):
        number = descriptor()
        if number < 0:
            deadline = time.monotonic() + seconds
        elif time.monotonic() >= deadline or _memory() > most:
            _cut(number)  # again and again: the library may connect once more


def _memory() -> int:
    """Return how many bytes of memory this process has; 0 if nobody can tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read(256).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _cut(number: int) -> None:
    """End a connection.

    Args:
        number: Its file descriptor.
    """
    try:
        with socket.socket(fileno=os.dup(number)) as same:
            same.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended
