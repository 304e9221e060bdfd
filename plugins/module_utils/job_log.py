# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's log lines: the last run of each job and how it ended, and what else happened to a host's clusters.

The lines are those of rcron(8) and rcronctl(8), LOG LINES. They come from the journal, and from syslog's files if there
is no journal, or if it does not go back far enough because it is not persistent.
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
from typing import IO, NamedTuple

#: The files that syslog writes cron's messages to: Debian's, Red Hat's and SUSE's.
SYSLOG_FILES = ("/var/log/cron.log", "/var/log/cron", "/var/log/syslog", "/var/log/messages")

#: The longest line that is read, in characters. rcron's have about 2,100.
LONGEST = 16384

MINUTE, DAY = 60, 86400

#: The statuses of a job.
JOB_STATUSES = ("start", "ok", "fail", "demoted", "ignore", "stale")

_CLUSTER = r"cluster=(?P<cluster>(?:(?! warning: ).)*?)"

#: A name: in double quotes if it holds a blank.
_WORD = r'(?:"(?:[^"\\]|\\.)*"|[^\s"]+)'

#: A service's name. Anybody can log one, and it is a word of systemctl's command line.
SERVICE = re.compile(r"(?=.{9,255}\Z)(?!-)[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]+)?\.service")
JOB = re.compile(
    _CLUSTER
    + r" state=(?P<state>active|passive)(?: pin=\S+)?(?: claim=\S+)? status=(?P<status>"
    + "|".join(JOB_STATUSES)
    + r")(?: dur=(?P<duration>\d{1,9}))?(?: reason=\S+)?(?: exit=(?P<exit>\d{1,9}))?"
    + rf"(?: by={_WORD})?(?: job=(?P<job>{_WORD}))? cmd=(?P<message>.*)"
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

#: A boot as `journalctl --list-boots` prints it in UTC: older versions put a dash between its first and last entry.
_BOOT = re.compile(r" *-?\d+ [0-9a-f]{32} \w{3} (\S+ \S+) UTC\W+\w{3} (\S+ \S+) UTC")


class Line(NamedTuple):
    """A line that rcron has logged.

    Attributes:
        when: Its time, in seconds since the epoch.
        pid: The process that logged it.
        text: The line itself.
    """

    when: float
    pid: int
    text: str


class Event(NamedTuple):
    """What a line says.

    Attributes:
        time: Its time, in seconds since the epoch.
        pid: The process that logged it.
        cluster: The cluster's name; None for a warning without one.
        status: `start`, `ok`, `fail`, `demoted`, `ignore` or `stale` for a job; `changed`, `confirmed`, `pinned` or
            `unpinned` for a state; or `warning`.
        state: `active` or `passive`; None for a warning.
        message: The job's command, the feeder's event, the pin's end, or the warning.
        duration: How many seconds the job took; None if the line is not the end of a job.
        exit: The job's exit status; None likewise.
        unit: The service's name if the job is a guarded service (rcronctl(8), guard); "" otherwise.
    """

    time: float
    pid: int
    cluster: str | None
    status: str
    state: str | None
    message: str
    duration: int | None = None
    exit: int | None = None
    unit: str = ""


@dataclass
class Run:
    """One run of a job.

    Attributes:
        cluster: The cluster's name.
        command: The job's command.
        pid: The process that ran it or, of a service, that logged its start.
        started: Its start, in seconds since the epoch; None if it is older than the lines that were read.
        status: `ok`, `fail`, `demoted` (ended because its node turned passive), or `start` if no end is known.
        duration: How many seconds it took; None if no end is known.
        exit: The exit status; None if no end is known.
        unit: The service's name if the job is one; "" otherwise.
    """

    cluster: str
    command: str
    pid: int
    started: float | None
    status: str
    duration: int | None = None
    exit: int | None = None
    unit: str = ""


@dataclass
class Runs:
    """The jobs' runs.

    Attributes:
        last: The last run of each job.
        ignored: For each cluster, how many runs were ignored in the requested time.
    """

    last: list[Run]
    ignored: dict[str, int]


class Boot(NamedTuple):
    """A time in which the host was up.

    Attributes:
        begin: In seconds since the epoch; 0 if the log does not show it.
        end: In seconds since the epoch.
    """

    begin: float
    end: float


def event(line: Line) -> Event | None:
    """Read a line. Returns None for a line that is not about a job or a state, and is not a warning."""
    match = JOB.fullmatch(line.text) or STATE.fullmatch(line.text)
    if match is None:
        match = WARNING.fullmatch(line.text)
        return match and Event(line.when, line.pid, match["cluster"], "warning", None, match["message"])
    found = match.groupdict()
    duration, status = (None if found.get(name) is None else int(found[name]) for name in ("duration", "exit"))
    message = found["message"] or ""
    name = re.sub(r"\\(.)", r"\1", (found.get("job") or "").strip('"'))
    unit = name if name == message and SERVICE.fullmatch(name) else ""
    return Event(
        line.when, line.pid, found["cluster"], found["status"], found["state"], message, duration, status, unit
    )


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """Give all events of one run of a service the process that logged its start: each is logged by another one.

    Args:
        events: The events, the oldest first.
    """
    started: dict[tuple[str | None, str], int] = {}
    for found in events:
        if found.unit and found.status == "start":
            started[found.cluster, found.unit] = found.pid
        elif found.unit and found.status in ("ok", "fail", "demoted"):
            found = found._replace(pid=started.get((found.cluster, found.unit), found.pid))
        yield found


def runs(lines: Iterable[Line], ignored_since: float) -> Runs:
    """Find the last run of each job.

    Args:
        lines: The log, the oldest line first; lines that are not about a job are skipped.
        ignored_since: From when on ignored runs are counted, in seconds since the epoch.
    """
    running: dict[int, Run] = {}
    last: dict[tuple[str, str], Run] = {}
    ignored: dict[str, int] = {}
    for found in joined(filter(None, map(event, lines))):
        if found.cluster is None or found.status not in JOB_STATUSES:
            continue
        cluster, command, status, pid = found.cluster, found.message, found.status, found.pid
        if status in ("ignore", "stale"):
            if found.time >= ignored_since:
                ignored[cluster] = ignored.get(cluster, 0) + 1
            continue
        if status == "start":
            running[pid] = last[cluster, command] = Run(cluster, command, pid, found.time, status, unit=found.unit)
            continue
        run = running.get(pid)
        if run is None or (run.cluster, run.command) != (cluster, command):
            run = Run(cluster, command, pid, None, status, unit=found.unit)
            last[cluster, command] = run
        # The line of a demotion has no exit status. The line of the job's end follows, and keeps the status.
        run.status = "demoted" if run.status == "demoted" else status
        run.duration = found.duration or 0
        run.exit = found.exit
    return Runs(list(last.values()), ignored)


class Log:
    """This host's log of rcron from a time on.

    Attributes:
        since: From when on it is complete, in seconds since the epoch; None if there is no log at all.
    """

    def __init__(
        self, since: float, files: Iterable[str] = SYSLOG_FILES, now: float | None = None, host: str | None = None
    ) -> None:
        """Find the log.

        Args:
            since: From when on it is of interest, in seconds since the epoch.
            files: Syslog's files, without the suffixes of rotated ones; the first one that has a line counts.
            now: The time, in seconds since the epoch; None for this machine's clock.
            host: The host's name; None for this machine's.
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
        """Return the files to read, the oldest first, and from when on they are complete."""
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
        """Read rcron's lines, the oldest first, one at a time: there may be a line for each job and minute."""
        yield from self._from_files(self._files, self._journal_begin)
        if self._journal_begin is not None:
            options = ("--identifier=rcron", "--output=short-unix", f"--since=@{int(self._wanted)}")
            yield from from_journal(_journalctl(*options))

    def earlier(self, most: int) -> list[Line]:
        """Return the last lines from before that time, the oldest first: they show the state when it began.

        Args:
            most: How many lines to return at most.
        """
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
                # A host may collect the lines of others.
                own = match["host"].partition(".")[0] == self._host
                if own and since <= when and (before is None or when < before):
                    yield Line(when, int(match["pid"]), match["text"])

    def _read(self, text: str) -> tuple[float | None, re.Match[str] | None]:
        match = _SYSLOG.fullmatch(text)
        return (moment(match, self._now), match) if match else (None, None)

    def boots(self) -> list[Boot]:
        """Return the times in which the host was up, the oldest first; the last one has not ended.

        Earlier boots are known from the journal, or from rcron's own lines if the journal does not have the end of the
        one before this.
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
        # The journal sees one boot for all of a container's, because they have their host's boot ID.
        earlier = [boot for boot in found if boot.begin < booted - MINUTE and boot.end >= self._wanted]
        earlier = [boot._replace(end=min(boot.end, self._last_before(booted, boot))) for boot in earlier]
        if not earlier:
            before = [line.when for line in self._from_files(self._files, booted)]
            earlier = [Boot(0.0, before[-1])] if before else []
        return [*earlier, Boot(booted, self._now)]

    @staticmethod
    def _last_before(booted: float, boot: Boot) -> float:
        """Return the time of the journal's last line before this boot, except the kernel's, which are this boot's."""
        if boot.end < booted - 1:
            return boot.end
        origins = [f"_TRANSPORT={origin}" for origin in ("syslog", "journal", "stdout")]
        last = _journalctl("--output=short-unix", "--lines=1", f"--until=@{int(booted) - 1}", *origins)
        return _printed_moment(next(last, "")) or boot.begin


def from_journal(printed: Iterable[str]) -> Iterator[Line]:
    """Read what `journalctl --output=short-unix` prints; lines that are not rcron's are skipped."""
    for text in printed:
        match = _JOURNAL.fullmatch(text.rstrip("\n"))
        if match:
            yield Line(float(match["when"]), int(match["pid"]), match["text"])


def moment(match: re.Match[str], now: float) -> float | None:
    """Read the time of a file's line.

    The older format has this host's local time without a year: the last year counts in which that day is not in the
    future. Of the hour that comes twice when summer time ends, the first counts.

    Args:
        match: The parts of the line.
        now: This host's time, in seconds since the epoch.

    Returns:
        Seconds since the epoch; None if it is not a time.
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
    """Return the lines that journalctl prints; none if there is no systemd."""
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
                if journal.stdout:
                    yield from _bounded(journal.stdout)
            finally:
                journal.kill()  # a caller that has read enough does not wait for the rest
    except OSError:
        return


def _text_lines(path: str) -> Iterator[str]:
    try:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            for line in _bounded(stream):
                yield line.rstrip("\n")
    except (OSError, EOFError):  # gone, not readable, or not a gzip file
        return


def _bounded(stream: IO[str]) -> Iterator[str]:
    """Yield a stream's lines, and skip those that are too long: anybody may log hundreds of megabytes in one."""
    line = stream.readline(LONGEST + 1)
    while line:
        if len(line) <= LONGEST:
            yield line
        else:
            while line and not line.endswith("\n"):
                line = stream.readline(LONGEST + 1)
        line = stream.readline(LONGEST + 1)


def _booted(now: float) -> float:
    """Return when this host's first process started: in a container, /proc/stat has its host's boot time."""
    try:
        with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])  # proc_pid_stat(5)
    except (OSError, ValueError, IndexError):
        return now
    return now - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
