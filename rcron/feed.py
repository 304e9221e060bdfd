# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What every feeder shares: an event's state goes into the state file, one event at a time and in their order, and the
feeder's record says who wrote it, why and when.

A feeder's own module in rcron/feeders/ only knows its daemon's events and which state each of them means.
"""

import errno
import fcntl
import os
import posix
import time
from typing import NamedTuple

from rcron import files, log, process, state
from rcron.settings import ACTIVE, PASSIVE, Config

#: The end of the year 9999, in seconds since the epoch: what is later, or no number (float reads nan), is no date.
_LATEST = 253402300800

#: The most of a record that is read, in bytes.
MAX_RECORD = 4096

#: How long a writer waits for the lock, in seconds. A writer holds it for some milliseconds.
PATIENCE = 5.0


class Moment(NamedTuple):
    """When a hook was started, which tells the order of two events whose hooks run beside each other.

    ticks: clock ticks since boot, as proc_pid_stat(5) counts. pid: the hook's process; of two that were started in the
    same tick, the later one has the higher number.
    """

    ticks: int
    pid: int

    @classmethod
    def now(cls) -> "Moment":
        """This moment, for a feeder that is told its events one after the other."""
        ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        return cls(int(ticks), os.getpid())


class Record:
    """What a feeder last said, kept in STATE_FILE.feeder for rcronctl and for the feeders; no job goes by it.

    feeder: its name. event: its last event, in its own words. since: when it gave the state, in seconds since the
    epoch. pid: the process that goes on feeding, or 0 where none does (a hook that has ended). started: when that
    process was started, as process.start tells it. daemon: the process that it watches and that one's start, or
    nothing. moment, boot: when the event happened, in that boot of the machine. spoke: when the record was last written
    or refreshed, in seconds since the epoch. answer, words: what the daemon said when the agent last asked it,
    `active`, `passive` or `unknown`, and in words; nothing where nobody asks.
    """

    __slots__ = ("answer", "boot", "daemon", "event", "feeder", "moment", "pid", "since", "spoke", "started", "words")

    def __init__(self, feeder: str, event: str, since: float, moment: Moment) -> None:
        self.feeder = feeder
        self.event = event
        self.since = since
        self.moment = moment
        self.boot = ""
        self.pid = 0
        self.started = ""
        self.daemon = ""
        self.spoke = since
        self.answer = ""
        self.words = ""

    @property
    def alive(self) -> "bool | None":
        """Whether the feeding process lives; None where there is none to live."""
        return None if self.pid == 0 else bool(self.started) and process.start(self.pid) == self.started

    def is_fed_by(self, pid: int, daemon: str = "") -> None:
        """Note the process that goes on feeding, 0 for none, and whom it watches."""
        self.pid = pid
        self.started = process.start(pid) if pid else ""
        self.daemon = daemon


def read_record(config: Config) -> "Record | None":
    """What the feeder last said. config: the cluster's. Returns None where nobody spoke yet, or it is unreadable.

    In a folder of the feeder's user it holds whatever that user likes, and root reads it too.
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
    record.daemon = values.get("daemon", "")
    record.spoke = modified
    record.answer = values.get("answer", "")
    record.words = values.get("words", "")
    return record


def apply(
    config: Config,
    new: str,
    feeder: str,
    event: str,
    pid: int = 0,
    moment: "Moment | None" = None,
    follows: int = 0,
) -> bool:
    """Make a cluster's state on this node what an event means.

    config: the cluster's configuration. new: `active` or `passive`. feeder, event: who says so and why, for the log and
    the record. pid: the process that goes on feeding, or 0. moment: when it happened, where that was not just now.
    follows: the process that must be the one which feeds the state, or 0 for any.

    Writes the state file, or refreshes it where it holds that state already, and logs both, but for what the same
    feeder says again. An event that a later one has overtaken is logged and changes nothing. Returns whether the
    state is the event's now. Raises OSError where it cannot be written.
    """
    with Lock(config.state_file):
        old = read_record(config)
        if follows and (old is None or old.pid != follows):
            return False
        told = f"event={feeder}:{event}"
        here = boot_id()
        when = moment or Moment.now()
        if old is not None and old.boot == here and when < old.moment:
            log.notice(config, f"state={_content(state.from_file(config))} status=overtaken {told}")
            return False
        found = state.from_file(config)
        changed = _content(found) != new
        if changed:
            write_state(config, new)
        elif found.source == state.STALE:
            _renew(config)
        else:
            os.utime(config.state_file, follow_symlinks=False)
        record = Record(feeder, event, time.time() if changed or old is None else old.since, when)
        record.boot = here
        if pid:
            record.is_fed_by(pid)
        elif old is not None and old.daemon and new == ACTIVE and old.alive:
            # Who sees to it that the state stays fresh goes on doing so.
            record.is_fed_by(old.pid, old.daemon)
        if changed or old is None or (old.feeder, old.event) != (feeder, log.one_line(event)):
            log.notice(config, f"state={new} status={'changed' if changed else 'confirmed'} {told}")
        _write_record(config, record)
        return True


def attach(config: Config, feeder: str, pid: int) -> "str | None":
    """Tell that a process feeds this cluster from now on, without an event.

    Returns the state that it goes on from, the file's, or None where the file holds none. Raises OSError.
    """
    with Lock(config.state_file):
        old = read_record(config)
        record = Record(feeder, "started", time.time(), Moment.now())
        record.boot = boot_id()
        if old is not None:
            record.event, record.since = old.event, old.since
        record.is_fed_by(pid)
        _write_record(config, record)
        return _content(state.from_file(config))


def hand_on(config: Config, moment: Moment, pid: int, daemon: str) -> bool:
    """Tell that a process goes on feeding where a hook has ended.

    moment: the hook's. pid, daemon: as a Record has them. Returns whether that hook's event is still the last one: if
    not, there is nothing to go on with. Raises OSError.
    """
    with Lock(config.state_file):
        record = read_record(config)
        if record is None or record.moment != moment:
            return False
        record.is_fed_by(pid, daemon)
        _write_record(config, record)
        return True


def refresh(config: Config, wanted: "str | None", follows: int = 0) -> bool:
    """Say that the feeder lives: an `active` counts as fresh again. A state file that is gone or broken is restored.

    config: the cluster's. wanted: the state that the feeder gave last, or None where it gave none. An operator's
    `rcronctl set` in between is left alone. follows: the process that must be the one which feeds the state, or 0 for
    any. Returns whether the file had to be written. Raises OSError.
    """
    with Lock(config.state_file):
        if follows:
            record = read_record(config)
            if record is None and not os.path.lexists(config.record_file):
                # rcron has been removed since the caller looked: nothing of it is to come back.
                posix.unlink(config.state_file + ".lock")
            if record is None or record.pid != follows:
                return False
        found = state.from_file(config)
        broken = found.source == state.DEFAULT and wanted is not None
        if wanted is not None and broken:
            write_state(config, wanted)
        elif found.source == state.STALE:
            _renew(config)
        for path in (config.state_file, config.record_file):
            try:
                os.utime(path, follow_symlinks=False)
            except FileNotFoundError:
                pass
    return broken


def _content(found: state.Verdict) -> "str | None":
    """The state that the file holds, fresh or stale; None where it holds none. found: what state.from_file says."""
    if found.source == state.STALE:
        return ACTIVE
    return found.state if found.source == state.FILE else None


def write_state(config: Config, new: str) -> None:
    try:
        state.write(config.state_file, new)
    except OSError:
        # No room for a second file, perhaps. A node that goes on being active is the worse evil: seven bytes of the old
        # file become eight of the same page.
        if new != PASSIVE or not _overwrite(config.state_file, new):
            raise


def _renew(config: Config) -> None:
    """Write a stale `active` anew: jobs that wait for it are told of a file that is replaced, not of a new time."""
    try:
        write_state(config, ACTIVE)
    except OSError:
        os.utime(config.state_file, follow_symlinks=False)  # no room: they look once a second


def _overwrite(path: str, new: str) -> bool:
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        if posix.fstat(fd).st_nlink != 1:
            return False  # another file's second name, perhaps, where the folder is not root's
        posix.pwrite(fd, new.encode() + b"\n", 0)
        posix.ftruncate(fd, len(new) + 1)
    except OSError:
        return False
    finally:
        posix.close(fd)
    return True


def record_text(record: Record) -> str:
    """A record as its file holds it."""
    text = (
        f"feeder={log.one_line(record.feeder)}\nevent={log.one_line(record.event)}\nsince={record.since:.3f}\n"
        f"pid={record.pid}\nstarted={record.started}\ndaemon={record.daemon}\n"
        f"moment={record.moment.ticks} {record.moment.pid} {record.boot}\n"
    )
    if record.answer:
        text += f"answer={record.answer}\nwords={log.one_line(record.words)}\n"
    return text


def _write_record(config: Config, record: Record) -> None:
    try:
        files.replace(config.record_file, record_text(record))
    except OSError as error:
        # The state is what counts, and it stands.
        log.warning(config, f"{config.record_file}: not written: {error.strerror}")


def boot_id() -> str:
    """What tells this boot of the machine from others, whose clock ticks began at 0 too."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip() or "-"
    except OSError:
        return "-"


class Lock:
    """Holds other writers of a state file off: the look at the old state and the write of the new one are one step.

    The lock is a file beside the state file, which is itself replaced, and not the folder: whoever may read a folder
    may lock it, and every user could hold the feeder off. It belongs to the folder's owner, whose feeder it serves.
    Who cannot have it in PATIENCE seconds goes on without: better two events in the wrong order than a node that cannot
    be made passive because a writer was stopped, or its user holds the lock on purpose.
    Raises OSError where the folder is missing or not to be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        flags = posix.O_RDWR | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC
        folder = os.path.dirname(self._path)
        try:
            self._fd = posix.open(self._path + ".lock", flags | posix.O_CREAT, 0o600)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                error.filename = folder
                raise
            # No room for an empty file: better the second-best lock than a node that cannot be made passive.
            self._fd = posix.open(folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        else:
            owner = os.stat(folder)
            # Not where it is another file's second name, planted there by the folder's owner.
            if posix.geteuid() == 0 and owner.st_uid != 0 and posix.fstat(self._fd).st_nlink == 1:
                posix.fchown(self._fd, owner.st_uid, owner.st_gid)
        deadline = time.monotonic() + PATIENCE
        while not self._is_ours():
            if time.monotonic() >= deadline:
                log.warning(None, f"{self._path}.lock: somebody holds it (fuser tells who); going on without it")
                return
            time.sleep(0.01)

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)
