# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's log lines, as `journalctl --output=short-unix` prints them: which job ran last when, and how it ended.

The lines are those of rcron(8), LOG LINES.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

LINE = re.compile(
    r"(?P<when>\d+(?:\.\d+)?) \S+ rcron\[(?P<pid>\d+)\]: cluster=(?P<cluster>(?:(?! warning: ).)*?)"
    r" state=(?:active|passive)(?: pin=\S+)? status=(?P<status>start|ok|fail|demoted|ignore|stale)"
    r"(?: dur=(?P<duration>\d+))?(?: reason=\S+)?(?: exit=(?P<exit>\d+))? cmd=(?P<command>.*)"
)


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


def read(lines: Iterable[str], ignored_since: float) -> Runs:
    """Read log lines, the oldest first.

    :param lines: what journalctl prints; lines that are not about a job are passed over.
    :param ignored_since: seconds since the epoch, from which on ignored runs are counted.
    """
    running: dict[int, Run] = {}
    last: dict[tuple[str, str], Run] = {}
    ignored: dict[str, int] = {}
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        cluster, command, status, pid = match["cluster"], match["command"], match["status"], int(match["pid"])
        if status in ("ignore", "stale"):
            if float(match["when"]) >= ignored_since:
                ignored[cluster] = ignored.get(cluster, 0) + 1
            continue
        if status == "start":
            running[pid] = last[cluster, command] = Run(cluster, command, pid, float(match["when"]), status)
            continue
        run = running.get(pid)
        if run is None or (run.cluster, run.command) != (cluster, command):
            run = Run(cluster, command, pid, None, status)
            last[cluster, command] = run
        # A demoted job's line tells no exit status; the line of its end follows, which keeps the word.
        run.status = "demoted" if run.status == "demoted" else status
        run.duration = int(match["duration"] or 0)
        run.exit = None if match["exit"] is None else int(match["exit"])
    return Runs(list(last.values()), ignored)


def from_journal(since: int, ignored_since: float) -> Runs:
    """Read this host's journal. It may hold a line for each job and minute, so it is not kept as a whole.

    :param since, ignored_since: seconds since the epoch.
    :returns: nothing where there is no systemd.
    """
    command = ["journalctl", "--quiet", "--no-pager", "--identifier=rcron", "--output=short-unix", f"--since=@{since}"]
    try:
        # run_command would keep all of it.
        with subprocess.Popen(  # pylint: disable=unknown-option-value,ansible-bad-function
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="backslashreplace"
        ) as journal:
            return read(journal.stdout or (), ignored_since)
    except OSError:
        return Runs([], {})
