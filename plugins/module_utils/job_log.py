# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's log lines: which job ran last when, how it ended, and all else that happened to a host's clusters.

The lines are those of rcron(8) and rcronctl(8), LOG LINES. They come from the journal, and from syslog's files where
there is none or where it does not go back far enough, as one that is not persistent.
"""

from __future__ import annotations

import datetime
import glob
import gzip
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: Where syslog writes what a cron job says: Debian's files, Red Hat's and SUSE's.
SYSLOG_FILES = ("/var/log/cron.log", "/var/log/cron", "/var/log/syslog", "/var/log/messages")

MINUTE, DAY = 60, 86400

#: What becomes of a job.
JOB_STATUSES = ("start", "ok", "fail", "demoted", "ignore", "stale")

_CLUSTER = r"cluster=(?P<cluster>(?:(?! warning: ).)*?)"
JOB = re.compile(
    _CLUSTER
    + r" state=(?P<state>active|passive)(?: pin=\S+)? status=(?P<status>"
    + "|".join(JOB_STATUSES)
    + r")(?: dur=(?P<duration>\d{1,9}))?(?: reason=\S+)?(?: exit=(?P<exit>\d{1,9}))? cmd=(?P<message>.*)"
)
STATE = re.compile(
    _CLUSTER + r" state=(?P<state>active|passive) status=(?P<status>changed|confirmed|pinned|unpinned)"
    r"(?: (?:event|until)=(?P<message>.*))?"
)
WARNING = re.compile(r"(?:cluster=(?P<cluster>.*?) )?warning: (?P<message>.*)")

#: A line as `journalctl --output=short-unix` prints it.
_JOURNAL = re.compile(r"(?P<when>\d{1,12}(?:\.\d+)?) \S+ rcron\[(?P<pid>\d{1,10})\]: (?P<text>.*)")

#: A line of a file: rsyslog's own time format (RFC 3339), or the older one, which has no year (RFC 3164).
_SYSLOG = re.compile(
    r"(?:(?P<full>\d{4}-\d\d-\d\dT\S+)|(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d)) "
    r"(?P<host>\S+) (?P<tag>[^\s:\[]*)(?:\[(?P<pid>\d{1,10})\])?: ?(?P<text>.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: What `journalctl --list-boots` tells of a boot, in UTC: older ones put a dash between its first and last entry.
_BOOT = re.compile(r" *-?\d+ [0-9a-f]{32} \w{3} (\S+ \S+) UTC\W+\w{3} (\S+ \S+) UTC")


class Line(NamedTuple):
    """A line that rcron has logged: when (seconds since the epoch), by which process, and what."""

    when: float
    pid: int
    text: str


class Event(NamedTuple):
    """What a line tells.

    time: seconds since the epoch. cluster: its name, None where a warning tells none. status: a job's `start`, `ok`,
    `fail`, `demoted`, `ignore` or `stale`; a state's `changed`, `confirmed`, `pinned` or `unpinned`; or `warning`.
    state: `active` or `passive`, None for a warning. message: the job's command, the feeder's event, the pin's end, or
    the warning. duration (seconds) and exit (the exit status): None if the line is not the end of a job.
    """

    time: float
    pid: int
    cluster: str | None
    status: str
    state: str | None
    message: str
    duration: int | None = None
    exit: int | None = None


@dataclass
class Run:
    """One run of a job.

    started: seconds since the epoch, None where its start is older than what was read. status: `ok`, `fail`, `demoted`
    (it was ended because its node turned passive), or `start` where no end is known. duration (seconds) and exit (the
    exit status): None where no end is known.
    """

    cluster: str
    command: str
    pid: int
    started: float | None
    status: str
    duration: int | None = None
    exit: int | None = None


@dataclass
class Runs:
    """last: the last run of each job. ignored: for each cluster, how many runs were ignored since that time."""

    last: list[Run]
    ignored: dict[str, int]


class Boot(NamedTuple):
    """The host was up from begin to end, in seconds since the epoch. begin: 0 where its log does not tell."""

    begin: float
    end: float


def event(line: Line) -> Event | None:
    """Read a line. Returns None for one that tells nothing of a job, a state or what is wrong with one."""
    match = JOB.fullmatch(line.text) or STATE.fullmatch(line.text)
    if match is None:
        match = WARNING.fullmatch(line.text)
        return match and Event(line.when, line.pid, match["cluster"], "warning", None, match["message"])
    found = match.groupdict()
    duration, status = (None if found.get(name) is None else int(found[name]) for name in ("duration", "exit"))
    return Event(
        line.when, line.pid, found["cluster"], found["status"], found["state"], found["message"] or "", duration, status
    )


def runs(lines: Iterable[Line], ignored_since: float) -> Runs:
    """Find the last run of each job.

    :param lines: the oldest first; those that are not about a job are passed over.
    :param ignored_since: seconds since the epoch, from which on ignored runs are counted.
    """
    running: dict[int, Run] = {}
    last: dict[tuple[str, str], Run] = {}
    ignored: dict[str, int] = {}
    for line in lines:
        found = event(line)
        if found is None or found.cluster is None or found.status not in JOB_STATUSES:
            continue
        cluster, command, status, pid = found.cluster, found.message, found.status, found.pid
        if status in ("ignore", "stale"):
            if found.time >= ignored_since:
                ignored[cluster] = ignored.get(cluster, 0) + 1
            continue
        if status == "start":
            running[pid] = last[cluster, command] = Run(cluster, command, pid, found.time, status)
            continue
        run = running.get(pid)
        if run is None or (run.cluster, run.command) != (cluster, command):
            run = Run(cluster, command, pid, None, status)
            last[cluster, command] = run
        # A demoted job's line tells no exit status; the line of its end follows, which keeps the word.
        run.status = "demoted" if run.status == "demoted" else status
        run.duration = found.duration or 0
        run.exit = found.exit
    return Runs(list(last.values()), ignored)


class Log:
    """This host's log of rcron from a time on.

    since: from when on it is complete, in seconds since the epoch; None where there is nothing at all.
    """

    def __init__(
        self, since: float, files: Iterable[str] = SYSLOG_FILES, now: float | None = None, host: str | None = None
    ) -> None:
        """Look where it is.

        :param since: seconds since the epoch.
        :param files: syslog's files, without what rotation adds to their names; the first that has a line counts.
        :param now, host: the clock and the host's name, where they are not this machine's.
        """
        self._wanted = since
        self._now = time.time() if now is None else now
        self._host = (os.uname().nodename if host is None else host).partition(".")[0]
        self._journal_begin = _printed_moment(next(_journalctl("--output=short-unix"), ""))
        self._files: list[str] = []
        begin = self._journal_begin
        if begin is None or begin > since:
            self._files, files_begin = self._syslog(files)
            begin = min((each for each in (begin, files_begin) if each is not None), default=None)
        self.since = None if begin is None else max(begin, since)

    def _syslog(self, files: Iterable[str]) -> tuple[list[str], float | None]:
        """The files to be read, the oldest first, and from when on they are complete."""
        for name in files:
            rotated = re.compile(re.escape(name) + r"(?:[.-]\d{1,10})?(?:\.gz)?")
            there = [path for path in glob.glob(glob.escape(name) + "*") if rotated.fullmatch(path)]
            written = {path: os.stat(path).st_mtime for path in there if os.path.isfile(path)}
            paths = sorted((path for path in written if written[path] >= self._wanted), key=lambda path: written[path])
            if next(self._from_files(paths, None), None) is None:
                continue
            if len(paths) < len(written):
                return paths, self._wanted
            stamps = (self._read(text)[0] for path in paths for text in _text_lines(path))
            return paths, next((when for when in stamps if when is not None), None)
        return [], None

    def lines(self) -> Iterator[Line]:
        """What rcron has logged, the oldest first. It may be a line for each job and minute: nothing is kept."""
        yield from self._from_files(self._files, self._journal_begin)
        if self._journal_begin is not None:
            options = ("--identifier=rcron", "--output=short-unix", f"--since=@{int(self._wanted)}")
            yield from from_journal(_journalctl(*options))

    def earlier(self, most: int) -> list[Line]:
        """So many lines from before that time, the oldest first: they tell how things stood when it began."""
        if self._files:
            every = self._from_files(self._files, self._wanted, 0.0)
            return list(deque(every, most))
        options = ("--identifier=rcron", "--output=short-unix", f"--until=@{int(self._wanted) - 1}", f"--lines={most}")
        return list(from_journal(_journalctl(*options)))

    def _from_files(self, paths: Iterable[str], before: float | None, since: float | None = None) -> Iterator[Line]:
        since = self._wanted if since is None else since
        for path in paths:
            for text in _text_lines(path):
                if " rcron[" not in text:
                    continue
                when, match = self._read(text)
                if when is None or match is None or match["tag"] != "rcron" or not match["pid"]:
                    continue
                # A host may gather the lines of others.
                own = match["host"].partition(".")[0] == self._host
                if own and since <= when and (before is None or when < before):
                    yield Line(when, int(match["pid"]), match["text"])

    def _read(self, text: str) -> tuple[float | None, re.Match[str] | None]:
        match = _SYSLOG.fullmatch(text)
        return (moment(match, self._now), match) if match else (None, None)

    def boots(self) -> list[Boot]:
        """When the host was up since then, the oldest first; the last one has not ended.

        What is known of earlier boots is known from the journal, and of the end of the one before this, where it has
        nothing on that, from rcron's own lines.
        """
        booted = _booted(self._now)
        found = []
        for line in _journalctl("--list-boots"):
            match = _BOOT.match(line)
            if match:
                begin, end = (
                    datetime.datetime.fromisoformat(f"{each}+00:00").timestamp() for each in (match[1], match[2])
                )
                found.append(Boot(begin, end))
        # A container's boots are one to the journal, as they have their host's boot ID.
        earlier = [boot for boot in found if boot.begin < booted - MINUTE and boot.end >= self._wanted]
        earlier = [boot._replace(end=min(boot.end, self._last_before(booted, boot))) for boot in earlier]
        if not earlier:
            before = [line.when for line in self._from_files(self._files, booted)]
            earlier = [Boot(0.0, before[-1])] if before else []
        return [*earlier, Boot(booted, self._now)]

    @staticmethod
    def _last_before(booted: float, boot: Boot) -> float:
        """When the journal has its last line from before this boot, but for the kernel's, which are this boot's own."""
        if boot.end < booted - 1:
            return boot.end
        origins = [f"_TRANSPORT={origin}" for origin in ("syslog", "journal", "stdout")]
        last = _journalctl("--output=short-unix", "--lines=1", f"--until=@{int(booted) - 1}", *origins)
        return _printed_moment(next(last, "")) or boot.begin


def from_journal(printed: Iterable[str]) -> Iterator[Line]:
    """Read what `journalctl --output=short-unix` prints; what is no line of rcron's is passed over."""
    for text in printed:
        match = _JOURNAL.fullmatch(text.rstrip("\n"))
        if match:
            yield Line(float(match["when"]), int(match["pid"]), match["text"])


def moment(match: re.Match[str], now: float) -> float | None:
    """Tell the time of a file's line, in seconds since the epoch; None for what is no time.

    The older format tells this host's local time, and no year: it is the last one in which that day is not to come. Of
    the hour that is twice when summer time ends, it is the first.
    """
    try:
        if match["full"]:
            full = match["full"]
            return datetime.datetime.fromisoformat(full[:-1] + "+00:00" if full.endswith("Z") else full).timestamp()
        month = _MONTHS.index(match["month"]) + 1
        hour, minute, second = (int(part) for part in match["clock"].split(":"))
        this_year = time.localtime(now).tm_year
        for year in (this_year + 1, this_year, this_year - 1):  # in January a clock may be in December, or the reverse
            try:
                found = datetime.datetime(year, month, int(match["day"]), hour, minute, min(second, 59)).timestamp()
            except ValueError:
                continue  # 29 February
            if found <= now + DAY:
                return found
    except (ValueError, OverflowError):
        pass
    return None


def _printed_moment(printed: str) -> float | None:
    match = re.match(r"\d{1,12}(\.\d+)?", printed)
    return float(match[0]) if match else None


def _journalctl(*options: str) -> Iterator[str]:
    """The lines that journalctl prints; nothing where there is no systemd."""
    command = ["journalctl", "--quiet", "--no-pager", *options]
    try:
        # run_command would keep all of it.
        with subprocess.Popen(  # pylint: disable=unknown-option-value,ansible-bad-function
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="backslashreplace",
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        ) as journal:
            try:
                yield from journal.stdout or ()
            finally:
                journal.kill()  # whoever has read enough does not wait for the rest
    except OSError:
        return


def _text_lines(path: str) -> Iterator[str]:
    try:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            for line in stream:
                yield line.rstrip("\n")
    except (OSError, EOFError):  # gone, not ours to read, or no gzip after all
        return


def _booted(now: float) -> float:
    """When this host's first process was started: a container has its host's time of boot in /proc/stat."""
    try:
        with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])  # proc_pid_stat(5)
    except (OSError, ValueError, IndexError):
        return now
    return now - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
