# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A limit for what a client library waits for and keeps in memory: a hostile server decides about neither.

Such libraries begin a timeout anew with each byte, or have none, and keep an answer as long as the server makes it.
While libpq connects, it does not look at its connect_timeout as long as something comes.
"""

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator

#: By how many bytes this process may grow while an answer comes. The longest honest one is a page of the ledger.
MOST_BYTES = 1 << 25

#: How often it is looked at both, in seconds, and how often for new connections, of which a server of claims has many.
LOOK = 0.02
LOOK_FOR_NEW = 0.2


_Descriptor = Callable[[], int]


class _Watch:
    """What is looked at while one thread waits. Arguments as for `limited`."""

    def __init__(self, descriptor: "_Descriptor | None", seconds: float) -> None:
        self._descriptor = descriptor
        self._seconds = seconds
        self._most = _memory() + MOST_BYTES
        #: Since when there is each connection: its file descriptor, which may be another one's soon, and its inode.
        self._since: "dict[tuple[int, int], float]" = {}
        self._others: "set[tuple[int, int]]" = set() if descriptor else _connections()
        self._next = 0.0

    def look(self, now: float, memory: int) -> None:
        """Cut what there is for too long, or what fills the memory.

        Args:
            now: By `time.monotonic`.
            memory: How many bytes this process has.
        """
        if self._descriptor is not None:
            found = _sockets([self._descriptor()])
        elif now >= self._next or memory > self._most:
            found = _connections() - self._others
            self._next = now + LOOK_FOR_NEW
        else:
            return
        self._since = {each: self._since.get(each, now) for each in found}
        for connection, since in self._since.items():
            if now - since >= self._seconds or memory > self._most:
                _cut(*connection)  # again and again: the library may connect once more


_watches: "set[_Watch]" = set()
_changed = threading.Condition()
_threads: "list[threading.Thread]" = []


def start() -> None:
    """Start the thread that looks, unless it runs: later there may be no room for one, since users have taken it.

    Raises:
        OSError: There is none.
    """
    with _changed:
        if _threads:
            return
        thread = threading.Thread(target=_run, name="limit", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(11, str(error)) from None  # EAGAIN
        _threads.append(thread)


@contextlib.contextmanager
def limited(descriptor: "_Descriptor | None", seconds: float) -> "Iterator[None]":
    """Have the connection that this thread waits for cut, if an answer takes too long or is too long.

    Args:
        descriptor: Returns the connection's file descriptor, or -1 while there is none. Another thread calls it. None:
            nobody knows it, and it is each that has been made since.
        seconds: For how long there may be a connection until this context is left.

    Raises:
        OSError: Nobody can look.
    """
    start()
    watch = _Watch(descriptor, seconds)
    with _changed:
        _watches.add(watch)
        if len(_watches) == 1:
            _changed.notify()
    try:
        yield
    finally:
        with _changed:
            _watches.discard(watch)


def _run() -> None:
    with _changed:
        while True:
            now, memory = time.monotonic(), _memory()
            for watch in _watches:
                watch.look(now, memory)
            _changed.wait(LOOK if _watches else None)


def _memory() -> int:
    """Return how many bytes of memory this process has; 0 if nobody can tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read(256).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _connections() -> "set[tuple[int, int]]":
    """Return all connections of this process to servers. The clients that it serves itself have no name."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return set()
    return {each for each in _sockets(numbers) if _is_to_server(each[0])}


def _sockets(numbers: "list[int]") -> "set[tuple[int, int]]":
    found = set()
    for number in numbers:
        try:
            status = os.fstat(number)
        except OSError:
            continue  # there is none, or it is closed by now
        if stat.S_ISSOCK(status.st_mode):
            found.add((number, status.st_ino))
    return found


def _is_to_server(number: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as same:
            return same.type == socket.SOCK_STREAM and bool(same.getpeername())
    except OSError:
        return False  # nobody has answered yet, and so nothing comes


def _cut(number: int, inode: int) -> None:
    """End a connection.

    Args:
        number: Its file descriptor.
        inode: Which socket it is.
    """
    try:
        with socket.socket(fileno=os.dup(number)) as same:
            if os.fstat(same.fileno()).st_ino == inode:
                same.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended
