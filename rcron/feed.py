# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What every feeder shares: an event's state goes into the state file, one event at a time, and the feeder's record
says who wrote it, why and when.

A feeder's own module in rcron/feeders/ only knows its daemon's events and which state each of them means.
"""

import fcntl
import os
import posix
import time

from rcron import log, state
from rcron.config import ACTIVE, PASSIVE, Config


class Record:
    """What a feeder last said, kept in STATE_FILE.feeder for rcronctl and for nobody's decisions.

    feeder: its name. event: its last event, in its own words. since: when it gave the state, in seconds since the
    epoch. pid: the process that goes on feeding, or 0 where none does (a hook that has ended). started: when that
    process was started, as proc_pid_stat(5) counts, so that another process with its number is not taken for it.
    spoke: when the record was last written or refreshed, in seconds since the epoch.
    """

    __slots__ = ("event", "feeder", "pid", "since", "spoke", "started")

    def __init__(self, feeder: str, event: str, since: float, pid: int, started: str, spoke: float) -> None:
        self.feeder = feeder
        self.event = event
        self.since = since
        self.pid = pid
        self.started = started
        self.spoke = spoke

    @property
    def alive(self) -> "bool | None":
        """Whether the feeding process lives; None where there is none to live."""
        return None if self.pid == 0 else process_start(self.pid) == self.started


def record_path(config: Config) -> str:
    """Where the feeder's record of a cluster is kept."""
    return config.state_file + ".feeder"


def read_record(config: Config) -> "Record | None":
    """What the feeder last said. config: the cluster's. Returns None where nobody spoke yet, or it is unreadable."""
    try:
        with open(record_path(config), encoding="utf-8", errors="replace") as stream:
            lines = stream.read(4096).splitlines()
            spoke = os.fstat(stream.fileno()).st_mtime
    except OSError:
        return None
    values = dict(line.partition("=")[::2] for line in lines)
    try:
        return Record(
            values["feeder"], values["event"], float(values["since"]), int(values["pid"]), values["started"], spoke
        )
    except (KeyError, ValueError):
        return None


def apply(config: Config, new: str, feeder: str, event: str, pid: int = 0) -> None:
    """Make a cluster's state on this node what an event means.

    config: the cluster's configuration. new: `active` or `passive`. feeder, event: who says so and why, for the log and
    the record. pid: the process that goes on feeding, or 0. Writes the state file, or refreshes it where it holds that
    state already, and logs both. Raises OSError where it cannot be written.
    """
    with Lock(config.state_file):
        changed = _content(config) != new
        if changed:
            _write(config, new)
        else:
            os.utime(config.state_file)
        old = read_record(config)
        since = time.time() if changed or old is None else old.since
        _write_record(config, feeder, event, since, pid)
    log.notice(config, f"state={new} status={'changed' if changed else 'confirmed'} event={feeder}:{event}")


def attach(config: Config, feeder: str, pid: int) -> "str | None":
    """Tell that a process feeds this cluster from now on, without an event.

    Returns the state that it goes on from, the file's, or None where the file holds none. Raises OSError.
    """
    with Lock(config.state_file):
        old = read_record(config)
        since = time.time() if old is None else old.since
        _write_record(config, feeder, "started" if old is None else old.event, since, pid)
        return _content(config)


def refresh(config: Config, wanted: "str | None") -> bool:
    """Say that the feeder lives: an `active` counts as fresh again. A state file that is gone or broken is restored.

    config: the cluster's. wanted: the state that the feeder gave last, or None where it gave none. An operator's
    `rcronctl set` in between is left alone. Returns whether the file had to be written. Raises OSError.
    """
    with Lock(config.state_file):
        broken = _content(config) is None and wanted is not None
        if wanted is not None and broken:
            _write(config, wanted)
        for path in (config.state_file, record_path(config)):
            try:
                os.utime(path, follow_symlinks=False)
            except FileNotFoundError:
                pass
    return broken


def _content(config: Config) -> "str | None":
    """The state that the file holds, fresh or stale; None where it holds none."""
    found = state.from_file(config)
    if found.source == state.STALE:
        return ACTIVE
    return found.state if found.source == state.FILE else None


def _write(config: Config, new: str) -> None:
    try:
        state.write(config.state_file, new)
    except OSError:
        # No room for a second file, perhaps. A node that goes on being active is the worse evil: seven bytes of the old
        # file become eight of the same page.
        if new != PASSIVE or not _overwrite(config.state_file, new):
            raise


def _overwrite(path: str, new: str) -> bool:
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        posix.pwrite(fd, new.encode() + b"\n", 0)
        posix.ftruncate(fd, len(new) + 1)
    except OSError:
        return False
    finally:
        posix.close(fd)
    return True


def _write_record(config: Config, feeder: str, event: str, since: float, pid: int) -> None:
    started = process_start(pid) if pid else ""
    text = f"feeder={feeder}\nevent={log.one_line(event)}\nsince={since:.3f}\npid={pid}\nstarted={started}\n"
    try:
        state.replace(record_path(config), text)
    except OSError as error:
        # The state is what counts, and it stands.
        log.warning(config, f"{record_path(config)}: not written: {error.strerror}")


def process_start(pid: int) -> str:
    """When a process was started, in clock ticks since boot as proc_pid_stat(5) tells; `` where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


class Lock:
    """Holds other writers of a state file off: the look at the old state and the write of the new one are one step.

    The lock is on the state file's folder, since the file itself is replaced. Raises OSError where the folder is
    missing or not to be opened.
    """

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = posix.open(self._folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)
