# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived: what its VRRP events mean, and how its FIFO is followed.

The contract (keepalived.conf(5), "notify" and "vrrp_notify_fifo"; doc/keepalived.conf.SYNOPSIS; tried on 2.1.5, 2.2.7
and 2.3.3):

- As `vrrp_notify_fifo_script`: keepalived's VRRP child starts the script with the FIFO's path as its last argument and
  writes a line for every event, in order: `INSTANCE "VI_1" MASTER 100`. At a reload the reader gets EOF and a
  new one is started. At a stop it gets TERM *before* the STOP line is written, and KILL a second later. If both
  processes are killed, nothing is written: the reader gets EOF, and under systemd TERM as well.
- As `notify`: keepalived starts the script for every event with the line's four words as its last arguments, does not
  wait for it, and ignores its exit status: two events may end in the wrong order. The FIFO is the better way; this
  one is for a keepalived.conf that has a FIFO of its own already, since there can only be one.
- TYPE is INSTANCE or GROUP; STATE is MASTER, BACKUP, FAULT, STOP or DELETED; and others, such as
  MASTER_RX_LOWER_PRI and MASTER_PRIORITY, that do not mean a change of state.
"""

import argparse
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator

from rcron import feed, hook, process, settings
from rcron.hook import EventError
from rcron.refresher import Schedule
from rcron.settings import ACTIVE, PASSIVE, Config

NAME = "keepalived"
HELP = "follow keepalived's VRRP events"

#: What each state of a VRRP instance or sync group means. DELETED: a reload took the instance out of the configuration.
STATES = {"MASTER": ACTIVE, "BACKUP": PASSIVE, "FAULT": PASSIVE, "STOP": PASSIVE, "DELETED": PASSIVE}

#: Events that do not mean a change of state.
NO_CHANGE = ("MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY")

#: How long a reader still waits for the STOP line after TERM, in seconds. keepalived sends KILL after one second.
DRAIN = 0.8

#: A line of the FIFO. The name may hold blanks; it cannot hold a quote (keepalived.conf(5), quoted strings).
_LINE = re.compile(r'(INSTANCE|GROUP)\s+"([^"]*)"\s+(\S+)(?:\s.*)?', re.ASCII | re.DOTALL)

#: The longest line that can be an event, in bytes. Of a longer one only so much is kept that its length shows.
MAX_LINE = 4096


class Event:
    """One event.

    Attributes:
        kind (str): `INSTANCE` or `GROUP`.
        name (str): the VRRP instance's or sync group's name.
        state (str): keepalived's word.
    """

    __slots__ = ("kind", "name", "state")

    def __init__(self, kind: str, name: str, state: str) -> None:
        self.kind = kind
        self.name = name
        self.state = state

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" {self.state}'


def parse_line(line: str) -> Event:
    """Read one line of the FIFO.

    Args:
        line: such as `INSTANCE "VI_1" MASTER 100`, without its newline.

    Returns:
        The event.

    Raises:
        EventError: it is not an event.
    """
    found = _LINE.fullmatch(line)
    if not found:
        raise EventError(f"not an event of keepalived's FIFO: {line}")
    return Event(*found.groups())


def parse_notify(words: "list[str]") -> Event:
    """Read the words that keepalived adds to a `notify` command.

    Args:
        words: TYPE, NAME, STATE and the priority (which 1.x leaves out).

    Returns:
        The event.

    Raises:
        EventError: it is not an event.
    """
    if len(words) not in (3, 4):
        raise EventError(f"{len(words)} words, but keepalived's notify gives TYPE NAME STATE PRIORITY")
    if words[0] not in ("INSTANCE", "GROUP"):
        raise EventError(f"not INSTANCE or GROUP: {words[0]}")
    return Event(*words[:3])


def state_of(event: Event) -> "str | None":
    """Return what an event means for the node: `active`, `passive`, or None if nothing changes.

    Args:
        event: the event.

    Raises:
        EventError: no known version of keepalived sends this state.
    """
    if event.state in STATES:
        return STATES[event.state]
    if event.state in NO_CHANGE:
        return None
    raise EventError(f"unknown state {event.state} of {event.kind} {event.name}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed keepalived`.
    """
    parser.usage = (
        "%(prog)s [--instance NAME[=CONF]]... [--group NAME[=CONF]]... FIFO\n"
        "       %(prog)s [--instance NAME[=CONF]]... [--group NAME[=CONF]]... INSTANCE|GROUP NAME STATE PRIORITY"
    )
    parser.description = (
        "The first form is for vrrp_notify_fifo_script, the second for notify. keepalived adds the words in capitals: "
        "see keepalived.conf(5)."
    )
    for option, followed in (("--instance", "VRRP instance"), ("--group", "sync group")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="NAME[=CONF]",
            type=_follow,
            help=f"the {followed} that this configuration's cluster follows",
        )
    parser.add_argument("words", nargs="+", help=argparse.SUPPRESS)
    parser.set_defaults(error=parser.error)


def _follow(value: str) -> "tuple[str, str | None]":
    name, conf = value.partition("=")[::2]
    if not name:
        raise argparse.ArgumentTypeError("the name is missing")
    return name, conf or None


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Be `rcronctl feed keepalived`.

    Args:
        options: the parsed command line.
        report: takes a line about a failure.

    Returns:
        The exit status.

    Raises:
        EventError: the words of a `notify` are not an event.
    """
    followed = [("INSTANCE", *pair) for pair in options.instance] + [("GROUP", *pair) for pair in options.group]
    if not followed:
        options.error("name what to follow: --instance NAME, as in vrrp_instance NAME, or --group NAME")
    clusters: "dict[tuple[str, str], Config]" = {}
    exit_status = 0
    for kind, name, conf in followed:
        path = conf or options.conf
        if any(config.path == path for config in clusters.values()):
            options.error(f"{path}: two VRRP instances cannot feed one state; give each its own configuration")
        try:
            config = settings.load(path)
            for other in clusters.values():
                if other.state_file == config.state_file:
                    raise settings.ConfigError(
                        f"{path}: state_file {config.state_file} is {other.path}'s too; give each cluster its own"
                    )
        except settings.ConfigError as error:
            # The other clusters of this node still need their feeder.
            report(str(error))
            exit_status = hook.EX_CONFIG
        else:
            clusters[kind, name] = config
    feeder = Feeder(clusters, report)
    fifo = len(options.words) == 1
    well = feeder.follow(options.words[0]) if fifo else feeder.notify(options.words)
    return exit_status or (0 if well else hook.EX_CANTCREAT)


class Feeder:
    """Turns keepalived's events into states of the clusters that follow them.

    Args:
        clusters: (kind, name) of a VRRP instance or sync group -> the configuration of the cluster that follows it.
            Events of all others are ignored.
        report: takes a line for syslog if an event cannot be understood or applied.
    """

    def __init__(self, clusters: "dict[tuple[str, str], Config]", report: "Callable[[str], None]") -> None:
        self._clusters = clusters
        self._report = report
        # The last state and event of each cluster, and the clusters whose state could not be written.
        self._said: "dict[tuple[str, str], tuple[str, str]]" = {}
        self._unwritten: "set[tuple[str, str]]" = set()
        # Those whose last refresh failed: only the first failure is reported.
        self._not_refreshed: "set[tuple[str, str]]" = set()
        self._pid = 0

    def notify(self, words: "list[str]") -> bool:
        """Apply the event of one `notify` call.

        Args:
            words: as `parse_notify` takes them.

        Returns:
            Whether the state could be written.

        Raises:
            EventError: the words are not an event.
        """
        event = parse_notify(words)
        config = self._clusters.get((event.kind, event.name))
        state = None if config is None else state_of(event)
        if config is None or state is None:
            return True
        try:
            hook.apply(config, state, NAME, str(event), daemon=process.ancestor(NAME))
        except OSError as error:
            self._cannot_write(config, state, str(event), error)
            return False
        return True

    def follow(self, path: str) -> bool:
        """Apply all events of a FIFO until keepalived closes it, and keep the states fresh in between.

        If the FIFO ends because keepalived has ended, and not for a reload, every cluster of ours turns passive.

        Args:
            path: the FIFO.

        Returns:
            Whether all states could be written.

        Raises:
            OSError: the FIFO cannot be opened.
        """
        keepalived = os.getppid()
        self._pid = os.getpid()
        # O_NONBLOCK: not to wait for a writer if keepalived died between starting us and this line.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        well = True
        try:
            for key in self._clusters:
                well = self._attach(key) and well
            schedule = Schedule(keepalived, [config.state_max_age for config in self._clusters.values()])
            for line in _lines(fd, keepalived, schedule):
                if line is not None:
                    well = self._hear(line) and well
                if schedule.restart_if_due():
                    well = self._refresh() and well
        except OSError as error:
            error.filename = path  # read(2) knows no name
            raise
        finally:
            os.close(fd)
        if not _lives(keepalived):
            for key in self._clusters:
                well = self._write(key, PASSIVE, "ended") and well
        return well

    def _hear(self, line: bytes) -> bool:
        text = line.decode("utf-8", "surrogateescape")
        try:
            if len(line) > MAX_LINE:
                raise EventError(
                    f"not an event of keepalived's FIFO, a line of more than {MAX_LINE} bytes: {text[:80]}..."
                )
            return self._apply(parse_line(text))
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
            feed.accept_event(config, state, NAME, event, self._pid)
        except OSError as error:
            if key not in self._unwritten:
                self._cannot_write(config, state, event, error)
            self._unwritten.add(key)
            return False
        self._unwritten.discard(key)
        return True

    def _cannot_write(self, config: Config, state: str, event: str, error: OSError) -> None:
        self._report(f"{config.state_file}: not written, should be {state} ({event}): {error.strerror}")

    def _attach(self, key: "tuple[str, str]") -> bool:
        config = self._clusters[key]
        try:
            # After a reload, older versions say nothing until something happens: go on from what the last reader wrote.
            state = feed.attach(config, NAME, self._pid)
        except OSError as error:
            self._report(f"{config.state_file}: {error.strerror}")
            return False
        if state is not None:
            self._said[key] = (state, "restored")
        return True

    def _refresh(self) -> bool:
        well = True
        for key, config in self._clusters.items():
            if key in self._unwritten:
                well = self._write(key, *self._said[key]) and well
                continue
            try:
                state = self._said.get(key, (None, ""))[0]
                if feed.refresh(config, state):
                    self._report(f"{config.state_file}: was gone or broken; restored: {state}")
                self._not_refreshed.discard(key)
                record = feed.read_record(config)
                if record is not None and record.feeder == NAME and record.pid != self._pid and record.alive is False:
                    # The reader from before a reload took a line of ours, wrote its state and has ended.
                    well = self._attach(key) and well
            except OSError as error:
                if key not in self._not_refreshed:
                    self._report(f"{config.state_file}: not refreshed: {error.strerror}")
                self._not_refreshed.add(key)
                well = False
        return well


def _lines(fd: int, keepalived: int, schedule: Schedule) -> "Iterator[bytes | None]":
    """Yield the FIFO's lines, until its end, DRAIN seconds after TERM, or the end of keepalived.

    Args:
        fd: the FIFO, opened without blocking.
        keepalived: the process that started us.
        schedule: gives the longest silence, after which None takes the place of a line.

    Yields:
        A line without its newline, or None.
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
        timeout = schedule.tick if deadline is None else deadline - time.monotonic()
        if timeout <= 0:
            return
        ready = [event[0] for event in poll.poll(timeout * 1000)]
        if wake in ready:
            os.read(wake, 512)
            deadline = deadline or time.monotonic() + DRAIN
        if fd in ready:
            try:
                chunk = os.read(fd, 65536)
            except BlockingIOError:
                # The reader from before a reload, which is about to end, was faster, and applies the line.
                continue
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            yield from lines
            # The part that is cut off must not pass for a line of its own.
            buffer = buffer[: MAX_LINE + 1]
        elif not ready:
            # If the FIFO never had a writer, it does not end, either.
            if not _lives(keepalived):
                return
            yield None


def _lives(pid: int) -> bool:
    """Return whether the process that started us still runs.

    When it dies its files are closed, and we see the FIFO's end a moment before the kernel gives us a new parent. In
    between, only the process's flags show its end.
    """
    return os.getppid() == pid and process.lives(pid)
