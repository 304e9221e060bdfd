# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived: what a VRRP instance or sync group is, and whether the process that decides it still works.

Tried on 2.1.5, 2.2.7 and 2.3.3:

- `vrrp_notify_fifo` without a script: keepalived creates the FIFO and writes a line for every event, in order, such as
  `INSTANCE "VI_1" MASTER 100`. It keeps both ends open, so that lines wait for a reader. There is one FIFO for all
  instances, so the clusters of a node share its reader here.
- The VRRP process, a child of the main one, sleeps until the next advert is due or arrives. Each time adds one to its
  voluntary_ctxt_switches in /proc/PID/status. A master whose number stands still sends nothing, whatever it is waiting
  for, and a backup takes over three adverts and up to one more after the last one it got.
- USR1 makes the VRRP process write keepalived.data into its /tmp, with the state and the advert's interval of each
  instance. It is asked for that only in doubt, because it logs it each time: at the start, after a gap, when the FIFO
  or the process is a new one, and after it stood still. If keepalived.conf has a FIFO of its own and calls rcron by
  `notify`, it is asked after each hook, and when a script of its own begins or ends, at most every CADENCE seconds.
"""

import itertools
import os
import stat
import threading
import time
from collections.abc import Callable
from typing import Any

from rcron import process, settings
from rcron.agent.answer import Answer, boottime
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import ACTIVE, PASSIVE, Config

#: What each state of an instance or group means.
STATES = {"MASTER": ACTIVE, "BACKUP": PASSIVE, "FAULT": PASSIVE, "STOP": PASSIVE, "DELETED": PASSIVE}

#: Seconds for which a dump is waited for.
PATIENCE = 1.2

#: The least time from one dump to the next, in seconds, unless an event asks for one.
CADENCE = 5.0

#: The least time from one dump to the next, in seconds, also if events ask for one.
LEAST = 0.25

#: Over how many adverts the counter's moves are counted, to know how fast it moves.
SAMPLE = 8

#: A moment before all others.
NEVER = float("-inf")

#: Seconds that a master of before gets to hear the new one's first advert, which goes out when the line is written.
HAND_OVER = 0.2

#: The most that is read of a dump, in bytes: an instance takes 2 KB.
MAX_DUMP = 4 << 20

#: The longest line of the FIFO, in bytes.
MAX_LINE = 4096

#: How many open files of a script's are looked at for the FIFO, the lowest numbers first. A track_script's user may
#: have half a million, and nobody else is asked meanwhile.
MOST_FILES = 256

#: By how many seconds a dump may seem older than the question: the kernel's clock for files goes in ticks.
TICK = 0.1

_SIGUSR1 = 10  # signal's enum costs more memory than this module
_DUMP_FILE = "/tmp/keepalived.data"  # noqa: S108 - keepalived's own choice
_dumps_lock = threading.Lock()
_fifos_lock = threading.Lock()
_fifos: "dict[str, Fifo]" = {}


def _name(value: str) -> str:
    if '"' in value:
        raise ValueError(f"{value} is not the name of a VRRP instance or sync group: it holds a quote")
    return value


def _path(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path')
    return value


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "instance": (_name, ""),
    "group": (_name, ""),
    "fifo": (_path, "/run/rcron-keepalived.fifo"),
    "pid_file": (_path, "/run/keepalived.pid"),
}


def truth(config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them; an empty fifo means that keepalived calls rcron by `notify`.

    Raises:
        ConfigError: neither or both of instance and group are given.
    """
    if bool(options["instance"]) == bool(options["group"]):
        raise settings.ConfigError(f"keepalived, {config.path}: name what it follows: instance = NAME or group = NAME")
    return KeepalivedTruth(options)


class KeepalivedTruth(Truth):
    """Follows one VRRP instance or sync group. options: as OPTIONS names them."""

    def __init__(self, options: "dict[str, Any]") -> None:
        self._kind = "INSTANCE" if options["instance"] else "GROUP"
        self._name = options["instance"] or options["group"]
        self._pid_file = options["pid_file"]
        self._fifo = Fifo.of(options["fifo"], self) if options["fifo"] else None
        self._lock = threading.Lock()
        #: keepalived's last word, and when it came; what is known of an event only counts if it came after a dump.
        self._word = ""
        self._spoke = 0.0
        self._heard: "list[Answer]" = []
        self._is_in_doubt = True
        self._is_urgent = True
        #: This VRRP process has said what it is, and how often it sends adverts. No line of the FIFO has the latter.
        self._is_known = False
        #: Who else reads the FIFO, such as a vrrp_notify_fifo_script. He may take each line.
        self._other_reader = 0
        self._dumped = NEVER
        self._may_dump = 0.0
        self._failures = 0
        #: The VRRP process, its status, its counters, and when these were read.
        self._process = 0
        self._status: "Status | None" = None
        self._switches = -1
        self._reaped = ""
        self._looked = 0.0
        #: The least time from one move of the counter to the next, in seconds, as far as is known, and since when and
        #: from which number on its moves are counted.
        self._spacing = 0.0
        self._sampled = 0.0
        self._sample = 0
        #: The process has done something at this moment or later.
        self._proof = 0.0
        self._distrusted_until = 0.0
        self._set_interval(1.0)

    def _set_interval(self, seconds: float) -> None:
        """Take over the advert's interval. A backup takes over after three of them at the earliest."""
        self._interval = seconds
        self._set_pace()
        # A process that blocks moves its counter once more before it does: up to one interval after its last advert.
        self.silence = max(0.4, 1.75 * seconds)
        self.notice = 3 * seconds + 1
        self._spacing = self._sampled = 0.0

    def _set_pace(self) -> None:
        """Look often at a master, which is one only as long as it sends adverts; what others become, the FIFO says."""
        self.every = min(1.0, max(0.1, 0.3 * self._interval if self._fifo is None else self._interval))
        self.look_every = max(0.04, 0.1 * self._interval) if self._word == "MASTER" else 1.0

    def descriptor(self) -> int:
        """Return the FIFO, opened anew if keepalived has made it anew; -1 if there is none."""
        return -1 if self._fifo is None else self._fifo.descriptor()

    def hear(self) -> "list[Answer]":
        """Read the FIFO's lines. All clusters on one FIFO share them."""
        if self._fifo is not None:
            self._fifo.read()
        with self._lock:
            heard, self._heard = self._heard, []
        return heard

    def take_line(self, kind: str, name: str, word: str) -> None:
        """Take one line of the FIFO, in the loop's thread.

        Args:
            kind: `INSTANCE` or `GROUP`.
            name: the instance's or group's.
            word: its state, or what else has happened to it.
        """
        if (kind, name) != (self._kind, self._name) or word not in STATES:
            return
        now = boottime()
        with self._lock:
            is_trusted = now >= self._distrusted_until and not self._stood_still(now) and not self._is_stopped()
            self._word = word
            self._spoke = now
            self._is_urgent = False
            self._is_in_doubt = not self._is_known
            if STATES[word] == PASSIVE or is_trusted:
                # A line is what this process has just done.
                self._proof = max(self._proof, now)
            if STATES[word] == PASSIVE:
                self._heard.append(Answer(PASSIVE, now, self._words))
            else:
                self._heard.append(cannot_tell(f"{self._words}: asked again in a moment", now))

    def take_end(self) -> None:
        """Take the FIFO's end, in the loop's thread: keepalived was reloaded, or has ended."""
        now = boottime()
        with self._lock:
            self._doubt()
            if self._process and not process.lives(self._process):
                self._word = ""
                self._heard.append(Answer(PASSIVE, now, "keepalived has ended"))
            else:
                self._heard.append(cannot_tell("keepalived's FIFO was closed", now))

    def gap(self, seconds: float) -> None:
        """Have keepalived say what it is: nobody watched, or the FIFO is another one."""
        with self._lock:
            self._doubt()

    def event(self) -> None:
        """Have keepalived say what it is: a hook was called, or the reader of before took a line of the FIFO."""
        with self._lock:
            self._doubt()

    def close(self) -> None:
        """Leave the FIFO to the other clusters."""
        with self._lock:
            self._forget_process()
        if self._fifo is not None:
            self._fifo.leave(self)

    def look(self) -> float:
        """Read the VRRP process's counter. Returns when it last did something, if it is a master that is trusted."""
        with self._lock:
            found = self._status.read() if self._status is not None else None
            if found is None or self._switches < 0:
                return 0.0
            now = boottime()
            self._count(*found, now)
            is_trusted = self._word == "MASTER" and self._is_known and now >= self._distrusted_until
            return self._proof if is_trusted else 0.0

    def ask(self) -> Answer:
        """Look whether the VRRP process works, and have it say what it is if that is in doubt."""
        now = boottime()
        with self._lock:
            found = self._status.read() if self._status is not None else None
            if found is not None:
                self._look(*found, boottime())
        if found is None:
            found = self._find_process()
        if found is None:
            with self._lock:
                self._word = ""
                self._doubt()
            return Answer(PASSIVE, now, "keepalived does not run")
        with self._lock:
            if self._switches < 0:
                self._look(*found, boottime())
            is_due = self._is_in_doubt and now >= self._may_dump and (self._is_urgent or now - self._dumped >= CADENCE)
        if is_due and not found[1]:
            self._learn(self._process, now)
        with self._lock:
            self._set_pace()
            return self._answer(now)

    @property
    def _words(self) -> str:
        return f"{self._name} is {self._word}"

    def _answer(self, now: float) -> Answer:
        if not self._word:
            return cannot_tell(f"keepalived does not say what {self._name} is", now)
        if STATES[self._word] == PASSIVE:
            return Answer(PASSIVE, now, self._words)
        if not self._is_known or (self._is_in_doubt and self._is_urgent):
            return cannot_tell(f"{self._words}, but does not confirm it", now)
        if now - self._spoke < HAND_OVER:
            return cannot_tell(f"{self._words} since this moment", now)
        if now < self._distrusted_until:
            return cannot_tell(f"{self._words}, but stood still before", now)
        if self._stood_still(now):
            return cannot_tell(f"{self._words}, but sends no adverts", now)
        return Answer(ACTIVE, self._proof, f"{self._words}, adverts go out")

    def _doubt(self, is_urgent: bool = True) -> None:
        self._is_in_doubt = True
        self._is_urgent = self._is_urgent or is_urgent

    def _stood_still(self, now: float) -> bool:
        """Return whether the process has done nothing for longer than in its state it ever does."""
        if self._word == "MASTER":
            return now - self._proof > self.silence
        # One in FAULT waits for its interface.
        return self._word == "BACKUP" and now - self._proof > self._quiet

    def _is_stopped(self) -> bool:
        return bool(self._process) and process.is_stopped(self._process)

    def _find_process(self) -> "tuple[int, bool] | None":
        """Look for keepalived's VRRP process. Returns what its status says, or None if there is none."""
        with self._lock:
            self._forget_process()
        pid = vrrp_process(self._pid_file, self._fifo.path if self._fifo is not None else "")
        try:
            status = Status(pid) if pid else None
        except OSError:
            status = None
        found = status.read() if status is not None else None
        with self._lock:
            self._process = pid if found is not None else 0
            self._status = status
            self._switches = -1
        return found

    def _forget_process(self) -> None:
        if self._status is not None:
            self._status.close()
        self._status = None

    def _look(self, switches: int, is_stopped: bool, now: float) -> None:
        """Compare the process's counter, its children and the FIFO's readers with those of the last look."""
        reaped = traces_of_children(self._process) if self._fifo is None else ""
        if self._switches < 0:
            self._word = ""
            self._proof = 0.0
            self._is_known = False
            self._dumped = NEVER
            self._spacing = self._sampled = 0.0
            self._switches, self._looked = switches, now
            self._doubt()
        else:
            self._count(switches, is_stopped, now)
            if reaped != self._reaped or (self._fifo is not None and not self._fifo.is_open):
                self._doubt(is_urgent=False)
        if self._fifo is not None:
            reader = reader_of(self._fifo.path, self._process)
            if reader or self._other_reader:
                self._doubt()
            self._other_reader = reader
        self._reaped = reaped

    def _count(self, switches: int, is_stopped: bool, now: float) -> None:
        """Compare the process's counter with that of the last look.

        Whoever looks may himself have been starved. Several moves at once then say how long the process can have stood
        still at most: they come no faster than before, unless it was asked for a dump.
        """
        moves = switches - self._switches
        if moves:
            busy = min((moves - 1) * self._spacing, now - self._looked) if self._dumped < self._looked else 0.0
            if now - self._proof - busy > self._replaced_after:
                # Its peers may have replaced it; it has to hear their adverts first.
                self._distrust(now)
            self._proof = max(self._proof, self._looked + busy)
        if is_stopped:
            self._distrust(now)
        self._switches, self._looked = switches, now
        if not self._sampled or switches < self._sample:
            self._sampled, self._sample = now, switches
        elif now - self._sampled >= SAMPLE * self._interval and switches > self._sample:
            # A process that is late for once moves faster afterwards.
            self._spacing = min(self._interval, 0.75 * (now - self._sampled) / (switches - self._sample))
            self._sampled, self._sample = now, switches

    @property
    def _replaced_after(self) -> float:
        """Seconds without a sign of life after which a peer may have taken over."""
        if self._word == "BACKUP":
            return self._quiet
        # One that has not said what it is has no role to lose, and one in FAULT waits for its interface.
        return max(self.silence, 1.9 * self._interval) if self._word == "MASTER" else float("inf")

    @property
    def _quiet(self) -> float:
        """Seconds for which a backup sleeps: it waits for three adverts and a fraction of one."""
        return 4.5 * self._interval + 0.5

    def _distrust(self, now: float) -> None:
        self._distrusted_until = now + self.notice
        self._spacing = self._sampled = 0.0
        self._doubt()

    def _learn(self, pid: int, now: float) -> None:
        """Have keepalived say what the instance is, and how often it sends adverts."""
        with self._lock:
            self._dumped = now
            self._is_in_doubt = self._is_urgent = False
        text = dump(pid)
        said = Dump(text) if text is not None else None
        with self._lock:
            if said is None or not said.is_whole:
                self._failures += 1
                self._may_dump = now + min(CADENCE, 0.2 * 2**self._failures)
                self._doubt()
                return
            self._failures = 0
            self._may_dump = now + LEAST
            self._is_known = True
            interval = said.interval(self._kind, self._name)
            if interval:
                self._set_interval(interval)
            if self._spoke >= now:
                return  # a line of the FIFO came after the question, and says more
            if not self._stood_still(now):
                self._proof = max(self._proof, now)
            self._word = said.state(self._kind, self._name)


class Dump:
    """What keepalived's dump says. text: the file's."""

    def __init__(self, text: str) -> None:
        self._states: "dict[tuple[str, str], str]" = {}
        self._intervals: "dict[str, float]" = {}
        #: Whether it goes on after the instances. A process that hangs while it writes leaves half a file.
        self.is_whole = False
        instance = ""
        for line in text.split("\n"):
            head, equals, value = line.partition(" = ")
            if line.startswith("------<"):
                self.is_whole = self.is_whole or "Interfaces" in line
                instance = ""
            elif equals and head == " VRRP Instance":
                instance = value
            elif equals and head == " VRRP Sync Group":
                name, _comma, word = value.rpartition(", ")
                self._states["GROUP", name] = word
            elif instance and head == "   State":
                self._states["INSTANCE", instance] = value.partition(" ")[0]
            elif instance and head == "   Advert interval":
                self._intervals[instance] = _seconds(value)

    def state(self, kind: str, name: str) -> str:
        """Return the state's word; DELETED if there is no such instance or group, nothing if it is in none as yet."""
        word = self._states.get((kind, name), "DELETED")
        return word if word in STATES else ""

    def interval(self, kind: str, name: str) -> float:
        """Return the seconds between two adverts; the shortest of all instances for a group, 0 if it is not known."""
        if kind == "INSTANCE":
            return self._intervals.get(name, 0.0)
        return min(self._intervals.values(), default=0.0)


def _seconds(value: str) -> float:
    """Read `1 sec`, or `20 milli-sec`. Returns 0 for something else."""
    number, _blank, unit = value.partition(" ")
    try:
        return float(number) / (1000 if unit.startswith("m") else 1)
    except ValueError:
        return 0.0


class Fifo:
    """keepalived's FIFO, with one reader for all clusters that follow it.

    All but `of` and `leave` is for the loop's thread.

    Args:
        path: the FIFO's.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._members: "list[KeepalivedTruth]" = []
        self._fd = -1
        self._identity = (0, 0)
        self._buffer = b""

    @classmethod
    def of(cls, path: str, member: KeepalivedTruth) -> "Fifo":
        """Return the FIFO of this path, whose lines the member gets from now on."""
        with _fifos_lock:
            fifo = _fifos.setdefault(path, cls(path))
            fifo._members = [*fifo._members, member]
            return fifo

    def leave(self, member: KeepalivedTruth) -> None:
        """Give the member no more lines. The last one to leave has the FIFO closed."""
        with _fifos_lock:
            self._members = [other for other in self._members if other is not member]
            if not self._members:
                _fifos.pop(self.path, None)
                self._close()

    @property
    def is_open(self) -> bool:
        """Whether there is a FIFO to read."""
        return self._fd >= 0

    def descriptor(self) -> int:
        """Return the open FIFO, the one that has the path now; -1 if there is none."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
            identity = (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else (0, 0)
        except OSError:
            identity = (0, 0)
        if identity != self._identity:
            was_open = self._fd >= 0
            self._close()
            if identity != (0, 0):
                self._open(identity)
            if was_open or self._fd >= 0:
                for member in self._members:
                    member.gap(0.0)
        return self._fd

    def _open(self, identity: "tuple[int, int]") -> None:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return
        # Nobody knows how old these lines are, nor how many another reader took: keepalived is asked instead.
        try:
            while os.read(fd, 65536):
                pass
        except BlockingIOError:
            pass
        self._fd, self._identity, self._buffer = fd, identity, b""

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._identity = -1, (0, 0)

    def read(self) -> None:
        """Read what there is, and hand each line to the members."""
        if self._fd < 0:
            return
        try:
            chunk = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self._close()
            for member in self._members:
                member.take_end()
            return
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        # The part that is cut off must not pass for a line of its own.
        self._buffer = self._buffer[: MAX_LINE + 1]
        for line in lines:
            found = event_of(line)
            if found is not None:
                for member in self._members:
                    member.take_line(*found)


def event_of(line: bytes) -> "tuple[str, str, str] | None":
    """Read one line of the FIFO.

    Args:
        line: such as `INSTANCE "VI_1" MASTER 100`, without its newline.

    Returns:
        INSTANCE or GROUP, the name, and the state; None if it is not an event.
    """
    parts = line.split(b'"')
    if len(line) > MAX_LINE or len(parts) != 3:
        return None
    kind, name, tail = parts
    words = tail.split()
    if not words or not kind[-1:].isspace() or not tail[:1].isspace():
        return None
    found = [part.decode("utf-8", "surrogateescape") for part in (kind.rstrip(), name, words[0])]
    return (found[0], found[1], found[2]) if found[0] in ("INSTANCE", "GROUP") else None


def vrrp_process(pid_file: str, fifo: str) -> int:
    """Find keepalived's VRRP process: the main one's child that is called so, has the FIFO, or is the only one.

    Args:
        pid_file: the main process's.
        fifo: the FIFO's path; empty if it is not ours.

    Returns:
        The process's number, or 0.
    """
    try:
        with open(pid_file, encoding="ascii") as stream:
            main = int(stream.read(16))
    except (OSError, ValueError):
        return 0
    if not process.lives(main) or not process.name(main).startswith("keepalived") or not _is_own(main):
        return 0
    children = [pid for pid in _children(main) if process.lives(pid) and process.name(pid).startswith("keepalived")]
    for pid in children:
        if process.name(pid) == "keepalived_vrrp" or (fifo and fifo in _files(pid)):
            return pid
    if len(children) > 1:
        # One of them checks servers. The one that speaks VRRP has raw sockets of that protocol.
        children = [pid for pid in children if _raw_sockets(pid) & set(_files(pid))] or children
    return children[0] if children else 0


def reader_of(fifo: str, pid: int) -> int:
    """Find who reads keepalived's FIFO on its behalf: what it has started as vrrp_notify_fifo_script.

    Args:
        fifo: the FIFO's path.
        pid: keepalived's VRRP process.

    Returns:
        The process's number, or 0.
    """
    try:
        status = os.stat(fifo, follow_symlinks=False)
    except OSError:
        return 0
    return next((child for child in _children(pid) if _has(child, fifo, (status.st_dev, status.st_ino))), 0)


def _has(pid: int, path: str, identity: "tuple[int, int]") -> bool:
    """Return whether a process has a file open, given by its path and by its device and inode.

    In a mount namespace of its own, what a track_script's user has made may have any path.
    """
    try:
        with os.scandir(f"/proc/{pid}/fd") as found:
            for entry in itertools.islice(found, MOST_FILES):
                if os.readlink(entry.path) == path:
                    status = os.stat(entry.path)
                    if (status.st_dev, status.st_ino) == identity:
                        return True
    except OSError:
        pass  # it has ended, or closed a file meanwhile
    return False


def _children(main: int) -> "list[int]":
    try:
        with open(f"/proc/{main}/task/{main}/children", encoding="ascii") as stream:
            return [int(word) for word in stream.read().split()]
    except (OSError, ValueError):
        return []


def _files(pid: int) -> "list[str]":
    found = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    except OSError:
        pass  # it has ended, or closed a file meanwhile
    return found


def _raw_sockets(pid: int) -> "set[str]":
    """Return what /proc/PID/fd calls the sockets of VRRP, protocol 112."""
    found: "set[str]" = set()
    for table in ("raw", "raw6"):
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except OSError:
            continue
        found.update(f"socket:[{row[9]}]" for row in rows if row[1].endswith(":0070"))
    return found


def _is_own(pid: int) -> bool:
    """Return whether a process is of the user that the agent runs as, which is root.

    The file of a keepalived that was killed has a number that any user's process may have by now, under any name.
    """
    users = [str(os.geteuid())] * 4
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            return any(line.split()[1:] == users for line in stream if line.startswith("Uid:"))
    except OSError:
        return False


class Status:
    """A process's status, kept open: it is never another's, and costs one call to read.

    Args:
        pid: the process.

    Raises:
        OSError: there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self._fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> "tuple[int, bool] | None":
        """Return how often the process has gone to sleep by itself, and whether it is stopped; None if it has ended."""
        try:
            data = os.pread(self._fd, 8192, 0)
            state = data.split(b"\nState:", 1)[1].split(None, 1)[0]
            switches = int(data.split(b"\nvoluntary_ctxt_switches:", 1)[1].split(None, 1)[0])
        except (OSError, IndexError, ValueError):
            return None
        return None if state in b"ZX" else (switches, state in b"Tt")

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def traces_of_children(pid: int) -> str:
    """Return one line that changes with each child of a process that begins or ends."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    ended = f"{fields[8]} {fields[13]} {fields[14]}"  # cminflt, cutime, cstime: proc_pid_stat(5)
    return f"{ended} {_children(pid)}"


def dump(pid: int) -> "str | None":
    """Have a VRRP process write down what it is.

    Args:
        pid: the process.

    Returns:
        What it wrote, or None if it did not in PATIENCE seconds.

    Raises:
        OSError: it has ended, or its /tmp cannot be searched.
    """
    with _dumps_lock:
        if not _takes_usr1(pid):
            return None
        path = _root_of(pid) + _DUMP_FILE
        _remove(path)
        asked = time.time() - TICK
        os.kill(pid, _SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        size = -1
        while time.monotonic() < deadline:
            time.sleep(0.02)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.stat(f"/proc/{pid}").st_uid:
                return None  # another user's, who may write there, too
            if found.st_mtime < asked:
                return None  # an older dump that he kept under a second name
            if found.st_size and found.st_size == size:
                text = _read(path)
                _remove(path)
                return text
            size = found.st_size
        return None


def _root_of(pid: int) -> str:
    """Return the root folder that a VRRP process sees: its unit may have a /tmp of its own (PrivateTmp=).

    After it has looked whether a track_script's user may run the script, which it does as that user, the kernel hides
    what it has from all without CAP_SYS_PTRACE: from root, too, in many a container. Its parent is not hidden.
    """
    for each in (pid, process.parent(pid)):
        folder = f"/proc/{each}/root"
        try:
            os.stat(f"{folder}/")
        except OSError:
            continue
        return folder
    return ""


def _takes_usr1(pid: int) -> bool:
    """Return whether the process expects USR1: while it starts, that would end it."""
    bit = 1 << (_SIGUSR1 - 1)
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                name, _colon, mask = line.partition(":")
                if name in ("SigBlk", "SigCgt") and int(mask, 16) & bit:
                    return True
    except OSError:
        pass
    return False


def _remove(path: str) -> None:
    """Remove a file; move away what is none. Anybody may put something there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        os.rename(path, f"{path}.{os.urandom(8).hex()}")


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as stream:
        return stream.read(MAX_DUMP).decode("utf-8", "surrogateescape")
