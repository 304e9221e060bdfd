# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived: what its VRRP events mean, and how its FIFO is followed.

The contract (keepalived.conf(5), "notify" and "vrrp_notify_fifo"; doc/keepalived.conf.SYNOPSIS; tried on 2.1.5, 2.2.7
and 2.3.3):

- As `vrrp_notify_fifo_script`: keepalived's VRRP child starts the script with the FIFO's path as its last argument and
  writes a line for every event, in order: `INSTANCE "VI_1" MASTER 100`. At a reload the reader gets EOF and a
  new one is started. At a stop it gets TERM *before* the STOP line is written, and KILL a second later. At a kill of
  both processes nothing is written: the reader gets EOF, and under systemd TERM as well.
- As `notify`: keepalived starts the script for every event with the line's four words as its last arguments, does not
  wait for it, and ignores its exit status: two events may end in the wrong order. The FIFO is the better way; this
  one is for a keepalived.conf that has a FIFO of its own already, since there can only be one.
- TYPE is INSTANCE or GROUP; STATE is MASTER, BACKUP, FAULT, STOP or DELETED; and others, such as
  MASTER_RX_LOWER_PRI and MASTER_PRIORITY, that tell of no change of state.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator

from rcron import feed
from rcron.config import ACTIVE, PASSIVE, Config

#: What each state of a VRRP instance or sync group means. DELETED: a reload took the instance out of the configuration.
STATES = {"MASTER": ACTIVE, "BACKUP": PASSIVE, "FAULT": PASSIVE, "STOP": PASSIVE, "DELETED": PASSIVE}

#: Events that tell of no change of state.
NO_CHANGE = ("MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY")

#: How long a reader that got TERM still waits for the STOP line, in seconds. keepalived sends KILL after one second.
DRAIN = 0.8

#: How often a reader that hears nothing looks whether keepalived and the state files are still there, in seconds.
TICK = 5.0

#: The longest line that can be an event, in bytes; more without a newline is thrown away.
MAX_LINE = 4096

_PF_EXITING = 0x4  # <linux/sched.h>, in the flags of proc_pid_stat(5)


class EventError(ValueError):
    """A line or a command line that is no event of keepalived's. Its text is one line for a person."""


class Event:
    """One event. kind: `INSTANCE` or `GROUP`. name: the VRRP instance's or sync group's. state: keepalived's word."""

    __slots__ = ("kind", "name", "state")

    def __init__(self, kind: str, name: str, state: str) -> None:
        self.kind = kind
        self.name = name
        self.state = state

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" {self.state}'


def parse_line(line: str) -> Event:
    """Read one line of the FIFO.

    line: such as `INSTANCE "VI_1" MASTER 100`, without its newline. Returns the Event. Raises EventError.
    """
    # The name stands in quotes and may hold blanks; it cannot hold a quote (keepalived.conf(5), quoted strings).
    head, quote, rest = line.partition('"')
    name, closing, tail = rest.partition('"')
    words = tail.split()
    if not quote or not closing or not words:
        raise EventError(f"no event of keepalived's FIFO: {line}")
    return _event(head.strip(), name, words[0])


def parse_notify(words: "list[str]") -> Event:
    """Read the words that keepalived adds to a `notify` command.

    words: TYPE, NAME, STATE and the priority (which 1.x leaves out). Returns the Event. Raises EventError.
    """
    if len(words) not in (3, 4):
        raise EventError(f"{len(words)} words where keepalived's notify gives TYPE NAME STATE PRIORITY")
    return _event(words[0], words[1], words[2])


def _event(kind: str, name: str, state: str) -> Event:
    if kind not in ("INSTANCE", "GROUP"):
        raise EventError(f"neither INSTANCE nor GROUP: {kind}")
    return Event(kind, name, state)


def state_of(event: Event) -> "str | None":
    """What an event means for the node: `active`, `passive`, or None where nothing changes.

    Raises EventError for a state that no version of keepalived is known to send.
    """
    if event.state in STATES:
        return STATES[event.state]
    if event.state in NO_CHANGE:
        return None
    raise EventError(f"unknown state {event.state} of {event.kind} {event.name}")


class Feeder:
    """Turns keepalived's events into states of the clusters that follow them.

    clusters: (kind, name) of a VRRP instance or sync group -> the configuration of the cluster that follows it. Events
    of all others are somebody else's. report: called with a line for syslog where an event cannot be understood or
    applied.
    """

    def __init__(self, clusters: "dict[tuple[str, str], Config]", report: "Callable[[str], None]") -> None:
        self._clusters = clusters
        self._report = report
        # What the FIFO said last of each cluster, the state and the event; and of which that could not be written.
        self._said: "dict[tuple[str, str], tuple[str, str]]" = {}
        self._unwritten: "set[tuple[str, str]]" = set()
        self._pid = 0

    def notify(self, words: "list[str]") -> bool:
        """Apply the event of one `notify` call. words: as `parse_notify` takes them. Returns whether that went well."""
        try:
            return self._apply(parse_notify(words))
        except EventError as error:
            self._report(f"keepalived: {error}; nothing changed")
            return False

    def follow(self, path: str) -> bool:
        """Apply all events of a FIFO until keepalived closes it, and keep the states fresh in between.

        path: the FIFO. Returns whether all went well. Raises OSError where the FIFO cannot be opened.

        Where the end of the FIFO is keepalived's own end and no reload, every cluster of ours turns passive.
        """
        keepalived = os.getppid()
        self._pid = os.getpid()
        limits = [config.state_max_age / 3 for config in self._clusters.values() if config.state_max_age]
        interval = min([*limits, TICK])
        # O_NONBLOCK: not to wait for a writer if keepalived died between starting us and this line.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        well = True
        try:
            for key in self._clusters:
                well = self._attach(key) and well
            due = time.monotonic() + interval
            clock = time.time() - time.monotonic()
            for line in _lines(fd, keepalived, 1.0 if limits else TICK):
                if line is not None:
                    well = self._hear(line) and well
                now = time.monotonic()
                # A clock that was set makes a fresh state look stale, or a stale one fresh, until it is refreshed.
                step = abs(time.time() - now - clock)
                if now >= due or step > 0.5:
                    well = self._refresh(keepalived) and well
                    due = now + interval
                    clock = time.time() - now
        finally:
            os.close(fd)
        if not _lives(keepalived):
            for key in self._clusters:
                well = self._write(key, PASSIVE, "ended") and well
        return well

    def _hear(self, line: str) -> bool:
        try:
            return self._apply(parse_line(line))
        except EventError as error:
            self._report(f"keepalived: {error}; nothing changed")
            return False

    def _apply(self, event: Event) -> bool:
        key = (event.kind, event.name)
        if key not in self._clusters:
            return True
        state = state_of(event)
        return state is None or self._write(key, state, str(event))

    def _write(self, key: "tuple[str, str]", state: str, event: str) -> bool:
        config = self._clusters[key]
        self._said[key] = (state, event)
        try:
            feed.apply(config, state, "keepalived", event, self._pid)
        except OSError as error:
            if key not in self._unwritten:
                self._report(f"{config.state_file}: not written, should be {state} ({event}): {error.strerror}")
            self._unwritten.add(key)
            return False
        self._unwritten.discard(key)
        return True

    def _attach(self, key: "tuple[str, str]") -> bool:
        config = self._clusters[key]
        try:
            # After a reload, older versions say nothing until something happens: go on from what the last reader wrote.
            state = feed.attach(config, "keepalived", self._pid)
        except OSError as error:
            self._report(f"{config.state_file}: {error.strerror}")
            return False
        if state is not None:
            self._said[key] = (state, "restored")
        return True

    def _refresh(self, keepalived: int) -> bool:
        # A keepalived that is stopped sends no adverts: its peer is about to take over.
        if _process(keepalived)[0] in (b"T", b"t"):
            return True
        well = True
        for key, config in self._clusters.items():
            if key in self._unwritten:
                well = self._write(key, *self._said[key]) and well
                continue
            try:
                state = self._said.get(key, (None, ""))[0]
                if feed.refresh(config, state):
                    self._report(f"{config.state_file}: was gone or broken; written anew: {state}")
            except OSError as error:
                self._report(f"{config.state_file}: not refreshed: {error.strerror}")
                well = False
        return well


def _lines(fd: int, keepalived: int, tick: float) -> "Iterator[str | None]":
    """The FIFO's lines, until its end, DRAIN seconds after TERM, or the end of keepalived.

    fd: the FIFO, opened without blocking. keepalived: the process that started us. tick: the longest silence, in
    seconds, after which None stands in for a line.
    """
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(wake, select.POLLIN)
    deadline = None
    buffer = b""
    while True:
        wait = tick if deadline is None else deadline - time.monotonic()
        if wait <= 0:
            return
        ready = [event[0] for event in poll.poll(wait * 1000)]
        if wake in ready:
            os.read(wake, 512)
            deadline = deadline or time.monotonic() + DRAIN
        if fd in ready:
            chunk = os.read(fd, 65536)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "backslashreplace")
            if len(buffer) > MAX_LINE:
                yield buffer.decode("utf-8", "backslashreplace")
                buffer = b""
        elif not ready:
            # The FIFO may never have had a writer, and then it has no end either.
            if not _lives(keepalived):
                return
            yield None


def _lives(pid: int) -> bool:
    """Whether the process that started us still runs. At its death its files are closed, and we see the FIFO's end,
    a moment before the kernel gives us a new parent; only its flags tell of it in between."""
    if os.getppid() != pid:
        return False
    state, flags = _process(pid)
    return state not in (b"Z", b"X", b"") and not flags & _PF_EXITING


def _process(pid: int) -> "tuple[bytes, int]":
    """A process's state and flags, as proc_pid_stat(5) tells them; b"" and 0 where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return b"", 0
    return fields[0], int(fields[6])
