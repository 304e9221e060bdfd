# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all feeders share: an event's state goes into the state file, one event at a time and in their order.

The feeder's record says who wrote the state, why and when. A feeder's own module in rcron/feeders/ only knows its
daemon's events and which state each of them means.
"""

import errno
import fcntl
import os
import posix
import time
from typing import NamedTuple

from rcron import ask, files, log, pin, process, state
from rcron.settings import ACTIVE, PASSIVE, Config

#: The end of the year 9999, in seconds since the epoch: a later number is not a date, and nor is nan, which float
#: reads.
_LATEST = 253402300800

#: The largest record, in bytes.
MAX_RECORD = 4096

#: How long a writer waits for the lock, in seconds. A writer holds it for some milliseconds.
PATIENCE = 5.0

#: How long one that has written `passive` waits for the lock, to look whether an older `active` came over it.
PATIENCE_AFTERWARDS = 0.5

#: How long a hook that cannot write `passive` waits until the agent has made the node passive, in seconds.
TAKE_OVER = 0.5


class TooLateError(Exception):
    """An `active` came too late to be believed. Nothing has been changed."""


class Moment(NamedTuple):
    """When a hook was started, which gives the order of two events whose hooks run beside each other.

    Attributes:
        ticks (int): clock ticks since boot, as proc_pid_stat(5) counts.
        pid (int): the hook's process. Of two that were started in the same tick, the later one has the higher number.
    """

    ticks: int
    pid: int

    @classmethod
    def now(cls) -> "Moment":
        """Return this moment, for a feeder that gets its events one after the other."""
        ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        return cls(int(ticks), os.getpid())


class Record:
    """What a feeder last said, kept in STATE_FILE.feeder for rcronctl and for the feeders. Jobs do not depend on it.

    Attributes:
        feeder (str): its name.
        event (str): its last event, in its own words.
        since (float): when it gave the state, in seconds since the epoch.
        pid (int): the agent's process, or 0 if a hook wrote the record, and has ended.
        started (str): when that process was started, as process.started_at returns it.
        moment (Moment): when the event happened,
        boot (str): in which boot of the machine.
        spoke (float): when the record was last written or refreshed, in seconds since the epoch.
        answer (str): what the daemon said when the agent last asked it: `active`, `passive` or `unknown`. Empty if
            there is no agent.
        words (str): the same in words.
        state (str): the state that the event gave; empty if the agent, or an older version, wrote the record.
    """

    __slots__ = (
        "answer",
        "boot",
        "event",
        "feeder",
        "moment",
        "pid",
        "since",
        "spoke",
        "started",
        "state",
        "words",
    )

    def __init__(self, feeder: str, event: str, since: float, moment: Moment) -> None:
        self.feeder = feeder
        self.event = event
        self.since = since
        self.moment = moment
        self.boot = ""
        self.pid = 0
        self.started = ""
        self.spoke = since
        self.answer = ""
        self.words = ""
        self.state = ""

    @property
    def alive(self) -> "bool | None":
        """Whether the feeding process lives, or None if there is none or it cannot be seen."""
        if self.pid == 0 or self.is_hidden:
            return None
        return bool(self.started) and process.started_at(self.pid) == self.started

    @property
    def is_hidden(self) -> bool:
        """Whether the number of the feeding process is one of a process that this user may not see."""
        return self.pid > 0 and process.is_hidden(self.pid)

    def set_feeding_process(self, pid: int) -> None:
        """Note the process that goes on feeding.

        Args:
            pid: its number, or 0 for none.
        """
        self.pid = pid
        self.started = process.started_at(pid) if pid else ""


def read_record(config: Config) -> "Record | None":
    """Read what the feeder last said.

    If the record is in a folder of the feeder's user, it holds whatever that user likes, and root reads it, too.

    Args:
        config: the cluster's.

    Returns:
        The record, or None if there is none or it cannot be used.
    """
    try:
        data, modified = files.read_trusted(config.record_file, MAX_RECORD)
    except (OSError, files.UntrustedError):
        return None
    values = dict(line.partition("=")[::2] for line in data.decode("utf-8", "replace").split("\n"))
    try:
        ticks, hook, boot = values.get("moment", "0 0 -").split()
        since = float(values["since"])
        if not 0 <= since < _LATEST:
            return None
        record = Record(values["feeder"], values["event"], since, Moment(int(ticks), int(hook)))
        record.pid = int(values["pid"])
        record.started = values["started"]
    except (KeyError, ValueError):
        return None
    record.boot = boot
    record.spoke = modified
    record.answer = values.get("answer", "")
    record.words = values.get("words", "")
    record.state = values.get("state", "")
    return record


class Refusal(NamedTuple):
    """What a feeder said that is not the cluster's.

    Attributes:
        feeder: its name.
        event: what it said last, in its own words.
        at: when, in seconds since the epoch.
    """

    feeder: str
    event: str
    at: float


def read_refusal(config: Config) -> "Refusal | None":
    """Read which other feeder has spoken.

    Args:
        config: the cluster's.

    Returns:
        What it said, or None if none has spoken since the cluster's feeder was chosen.
    """
    try:
        data, modified = files.read_trusted(config.refusal_file, MAX_RECORD)
        chosen = os.stat(config.path).st_mtime
    except (OSError, files.UntrustedError):
        return None
    values = dict(line.partition("=")[::2] for line in data.decode("utf-8", "replace").split("\n"))
    name = values.get("feeder", "")
    if not name or name == config.feeder_name or not chosen < modified < _LATEST:
        return None
    return Refusal(name, values.get("event", ""), modified)


def note_refusal(config: Config, feeder: str, event: str) -> None:
    """Note that another feeder than the cluster's has spoken, for `read_refusal`.

    Args:
        config: the cluster's.
        feeder: the feeder's name.
        event: the event in the feeder's own words.

    Raises:
        OSError: it cannot be written.
    """
    files.replace(config.refusal_file, f"feeder={feeder}\nevent={log.one_line(event)}\n")


def accept_event(
    config: Config,
    new: str,
    feeder: str,
    event: str,
    moment: "Moment | None" = None,
    latest: "float | None" = None,
) -> bool:
    """Make a cluster's state on this node what an event means.

    Writes the state file, or refreshes it if it holds that state already, tells the agent if there is one, and logs,
    except for what the same feeder says again. An event that a later one has overtaken is logged and changes nothing.
    `passive` waits for nobody: neither for the lock nor for the log.

    Args:
        config: the cluster's.
        new: `active` or `passive`.
        feeder: the feeder's name, for the log and the record.
        event: the event in the feeder's own words, likewise.
        moment: when it happened; now unless given.
        latest: when an `active` is no longer to be believed, in seconds of CLOCK_BOOTTIME; None for never.

    Returns:
        Whether the state is the event's now.

    Raises:
        OSError: it cannot be written.
        TooLateError: `active` could not be written in time.
    """
    given = _Event(config, new, feeder, event, moment or Moment.now())
    return given.become_passive() if new == PASSIVE else given.become_active(latest)


class _Event:
    """One event on its way into the state file."""

    def __init__(self, config: Config, new: str, feeder: str, event: str, moment: Moment) -> None:
        self._config = config
        self._new = new
        self._feeder = feeder
        self._event = event
        self._moment = moment
        self._cause = f"event={feeder}:{event}"

    def become_passive(self) -> bool:
        config = self._config
        old = read_record(config)
        if self._is_overtaken(old):
            return self._give_way()
        changed = _content(state.from_file(config)) != PASSIVE
        failure = None
        if changed:
            try:
                write_state(config, PASSIVE)
            except OSError as error:
                failure = error
        # A later hook may have made the node active since then, and the agent would take this for later still.
        is_late = failure is None and self._is_overtaken(read_record(config))
        is_sent = not is_late and ask.now(config, f"{self._feeder}:{self._event}", passive=True)
        if failure is not None and not self._agent_takes_over(is_sent):
            raise failure
        is_overtaken = False
        try:
            with Lock(config.state_file, PATIENCE_AFTERWARDS) as lock:
                # Before its record was written, ours could not stop an event that happened before ours.
                record = read_record(config)
                is_overtaken = self._is_overtaken(record)
                if is_overtaken:
                    if record is not None and record.state == ACTIVE and lock.is_ours and not ask.is_served(config):
                        write_state(config, ACTIVE)
                else:
                    if _content(state.from_file(config)) == ACTIVE:
                        write_state(config, PASSIVE)
                    self._write_record(changed, old)
        except OSError as error:
            # What counts is the state, and the node is passive.
            log.warning(config, f"{config.record_file}: not written: {error.strerror}")
        if is_overtaken:
            return self._give_way()
        if failure is None:  # else the agent has done it, and logs it
            self._log(changed, old)
        return True

    def become_active(self, latest: "float | None") -> bool:
        config = self._config
        with Lock(config.state_file, None if latest is None else latest - _boottime()) as lock:
            if latest is not None and (not lock.is_ours or _boottime() >= latest):
                raise TooLateError
            old = read_record(config)
            if self._is_overtaken(old):
                return self._give_way()
            found = state.from_file(config)
            changed = _content(found) != ACTIVE
            if changed:
                write_state(config, ACTIVE)
            elif found.source == state.STALE:
                _renew(config)
            else:
                os.utime(config.state_file, follow_symlinks=False)
            self._write_record(changed, old)
        ask.now(config, f"{self._feeder}:{self._event}")
        self._log(changed, old)
        return True

    def _is_overtaken(self, old: "Record | None") -> bool:
        """Return whether somebody has spoken who was started after this event's hook."""
        if old is None or old.boot != pin.boot_id() or not self._moment < old.moment:
            return False
        if old.moment.ticks > Moment.now().ticks:
            return False  # a moment that is yet to come is none: nobody has spoken then
        if old.answer:
            # The agent has asked since. Its answer may be older than the event, but `passive` is believed.
            return self._new == ACTIVE and old.answer == PASSIVE
        return True

    def _give_way(self) -> bool:
        ask.now(self._config, f"{self._feeder}:{self._event}")
        log.change(self._config, f"state={_content(state.from_file(self._config))} status=overtaken {self._cause}")
        return False

    def _agent_takes_over(self, is_sent: bool) -> bool:
        """Return whether the agent has made the node passive, which a hook could not: it goes on trying."""
        if not ask.is_served(self._config):
            return False
        deadline = time.monotonic() + TAKE_OVER
        while True:
            found = state.from_file(self._config)
            if found.state == PASSIVE and found.source in (state.FILE, state.AGENT):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
            is_sent = is_sent or ask.now(self._config, f"{self._feeder}:{self._event}", passive=True)

    def _log(self, changed: bool, old: "Record | None") -> None:
        if changed or old is None or (old.feeder, old.event) != (self._feeder, log.one_line(self._event)):
            log.change(self._config, f"state={self._new} status={'changed' if changed else 'confirmed'} {self._cause}")

    def _write_record(self, changed: bool, old: "Record | None") -> None:
        since = time.time() if changed or old is None else old.since
        record = Record(self._feeder, self._event, since, self._moment)
        record.boot = pin.boot_id()
        record.state = self._new
        _write_record(self._config, record)


def _content(found: state.Verdict) -> "str | None":
    """Return the state that the file holds, fresh or stale, or None, out of what state.from_file returned."""
    if found.source == state.STALE:
        return ACTIVE
    return found.state if found.source == state.FILE else None


def write_state(config: Config, new: str) -> None:
    """Write the state file. A `passive` is also written if the disk is full.

    Args:
        config: the cluster's.
        new: `active` or `passive`.

    Raises:
        OSError: it cannot be written.
    """
    try:
        state.write(config.state_file, new)
    except OSError:
        # Perhaps there is no room for a second file. A node that stays active would be worse: seven bytes of the old
        # file become eight of the same page.
        if new != PASSIVE or not _overwrite(config.state_file, new):
            raise


def _renew(config: Config) -> None:
    """Replace a stale `active`: jobs that wait for it get a notice of a file that is replaced, not of a new time."""
    try:
        write_state(config, ACTIVE)
    except OSError:
        os.utime(config.state_file, follow_symlinks=False)  # no room: the jobs look once a second


def _overwrite(path: str, new: str) -> bool:
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        if posix.fstat(fd).st_nlink != 1:
            return False  # perhaps another file's second name, if the folder is not root's
        posix.pwrite(fd, new.encode() + b"\n", 0)
        posix.ftruncate(fd, len(new) + 1)
    except OSError:
        return False
    finally:
        posix.close(fd)
    return True


def record_text(record: Record) -> str:
    """Return a record as its file holds it.

    Args:
        record: the record.
    """
    text = (
        f"feeder={log.one_line(record.feeder)}\nevent={log.one_line(record.event)}\nsince={record.since:.3f}\n"
        f"pid={record.pid}\nstarted={record.started}\n"
        f"moment={record.moment.ticks} {record.moment.pid} {record.boot}\n"
    )
    if record.state:
        text += f"state={record.state}\n"
    if record.answer:
        text += f"answer={record.answer}\nwords={log.one_line(record.words)}\n"
    return text


def _write_record(config: Config, record: Record) -> None:
    try:
        files.replace(config.record_file, record_text(record))
    except OSError as error:
        # What counts is the state, and that is written.
        log.warning(config, f"{config.record_file}: not written: {error.strerror}")


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def give_lock(fd: int, owner: "tuple[int, int]") -> None:
    """Give a lock that root has opened to the owner of its folder, whose feeder has to open it.

    A lock is empty and has one name. Anything else is another file, which the folder's owner has given that name, and
    which may have been replaced at its own place since then (/etc/shadow with fs.protected_hardlinks=0).

    Args:
        fd: its descriptor.
        owner: the folder's user and group.
    """
    found = posix.fstat(fd)
    if (
        posix.geteuid() == 0
        and owner[0] != 0
        and (found.st_mode & 0o170000, found.st_nlink, found.st_size) == (0o100000, 1, 0)
    ):
        posix.fchown(fd, *owner)


class Lock:
    """Keeps other writers of a state file away: reading the old state and writing the new one are one step.

    The lock is a file beside the state file, which is itself replaced. It is not the folder, because whoever may read a
    folder may lock it, and every user could block the feeder. It belongs to the folder's owner, whose feeder it serves.

    A writer that does not get the lock in PATIENCE seconds goes on without it: two events in the wrong order are better
    than a node that nobody can make active because a writer was stopped, or because its user holds the lock on purpose.

    Args:
        path: the state file.
        patience: how long to wait for another writer instead, in seconds.

    Attributes:
        is_ours (bool): whether we have it.

    Raises:
        OSError: the folder is missing or cannot be written.
    """

    def __init__(self, path: str, patience: "float | None" = None) -> None:
        self._path = path
        self._fd = -1
        self._patience = patience
        self.is_ours = False

    def __enter__(self) -> "Lock":
        flags = posix.O_RDWR | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC
        folder = os.path.dirname(self._path)
        try:
            self._fd = posix.open(self._path + ".lock", flags | posix.O_CREAT, 0o600)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                error.filename = folder
                raise
            # No room for an empty file: a weaker lock is better than a node that cannot be made passive.
            self._fd = posix.open(folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        else:
            owner = os.stat(folder)
            give_lock(self._fd, (owner.st_uid, owner.st_gid))
        deadline = time.monotonic() + (PATIENCE if self._patience is None else self._patience)
        while not self._take():
            if time.monotonic() >= deadline:
                log.warning(None, f"{self._path}.lock: another process holds it (see fuser); going on without it")
                break
            time.sleep(0.01)
        return self

    def _take(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.is_ours = True
        return True

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)
