# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's jobs: what ran, where, for how long, and when each comes next, from the answers of its hosts."""

from __future__ import annotations

import datetime
import itertools
import re
import shlex
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.rcron.cluster.plugins.module_utils import crontab
from ansible_collections.rcron.cluster.rcron import schedule

from ..timeline.records import Run

#: How many characters of a command rcron_info's events have: longer ones are the same job if these are the same.
LONGEST = 300

#: By how many seconds two accounts of the same run may differ: clocks, and what is rounded.
SAME = 5.0

#: The most characters of a command that are looked at, and the most names, schedules and users of one job that are
#: shown. A host that somebody has taken over has as many as he likes.
MOST_READ, MOST_OF_A_JOB = 4096, 100

#: How many pairs of a log line and an entry with variables are compared, in all: about a second's.
MOST_COMPARED = 1_000_000

#: What a time zone is called, and how many are looked for. Python looks for a module by any other name, too.
MOST_ZONES = 200
ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,3}")

#: What of a command only a shell knows. A log line has something else in its place.
VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")
GAP = "\0"

#: The outcomes of a job's last run that are a problem, the gravest first.
BAD = ("lost", "failed", "doubled", "demoted")

#: Statuses of rcron_info's runs, as outcomes of the timeline's.
OUTCOMES = {"ok": "ok", "fail": "failed", "demoted": "demoted", "running": "running", "lost": "failed"}

Info = Mapping[str, Any]


@dataclass
class Past:
    """A run.

    Attributes:
        node: The host that ran it; empty if none did.
        begin: When it began, in seconds since the epoch.
        end: When it ended; None if that is not known.
        outcome: As in the timeline's runs.
        exit: Its exit status; None if that is not known.
    """

    node: str
    begin: float
    end: float | None
    outcome: str
    exit: int | None = None


@dataclass
class Job:
    """A job of a cluster.

    Attributes:
        command: What its log lines say, the first LONGEST characters.
        names: The names of its entries.
        schedules: When they run: the crontabs' fields, or the timers' names.
        users: Whom it runs as.
        past: Its runs, the oldest first.
        due: When it is due next, in seconds since the epoch; None if that is not known.
    """

    command: str
    names: list[str] = field(default_factory=list)
    schedules: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    due: float | None = None

    @property
    def title(self) -> str:
        """What the job is called: its entry's name, or its command."""
        return ", ".join(self.names) or self.command

    @property
    def outcome(self) -> str:
        """The last run's outcome; empty if no run is known."""
        return self.past[-1].outcome if self.past else ""

    @property
    def last(self) -> Past | None:
        """The last run that a host has begun; None if none is known."""
        return next((run for run in reversed(self.past) if run.node), None)

    @property
    def success(self) -> Past | None:
        """The last run that succeeded; None if none is known."""
        return next((run for run in reversed(self.past) if run.outcome == "ok" or run.exit == 0), None)

    @property
    def lengths(self) -> list[Past]:
        """The runs whose length is known."""
        return [run for run in self.past if run.node and run.end is not None]

    @property
    def nodes(self) -> list[tuple[str, int]]:
        """The hosts that ran it, with the number of runs, the most first."""
        return Counter(run.node for run in self.past if run.node).most_common()


class _Member(NamedTuple):
    """A host, and the path of the cluster's configuration there."""

    host: str
    info: Info
    conf: str
    active: bool


def jobs_of(hosts: Mapping[str, Info], cluster: str, runs: Iterable[Run], now: float) -> list[Job]:
    """Find a cluster's jobs: each guarded entry, timer and script, and whatever else was run.

    Args:
        hosts: The answers of its hosts.
        cluster: The cluster's name.
        runs: The timeline's.
        now: After when a job is due next, in seconds since the epoch.

    Returns:
        The jobs, those with a problem first.
    """
    members = [
        _Member(host, info, each["conf"], each["state"] == "active")
        for host, info in hosts.items()
        for each in info.get("clusters", [])
        if not each["error"] and each["cluster_name"] == cluster
    ]
    members.sort(key=lambda member: not member.active)  # the active host's clock and crontab count
    jobs = _Jobs()
    for member in members:
        _add_entries(jobs, member, now)
        _add_timers(jobs, member, now)
    for run in runs:
        if run.outcome != "ignored":
            jobs.find(run.job).past.append(Past(run.node, run.begin, run.end, run.outcome))
    for member in members:
        _add_last_runs(jobs, member, cluster)
    for job in jobs.every():
        job.past.sort(key=lambda run: run.begin)
    # All hosts have the same ledger.
    claimed = [run for member in members for run in member.info.get("ledger", []) if run["cluster"] == cluster]
    _add_claimed(jobs, claimed)
    return sorted(jobs.every(), key=lambda job: (_gravity(job), job.title.lower(), job.command))


def _gravity(job: Job) -> int:
    return BAD.index(job.outcome) if job.outcome in BAD else len(BAD)


class _Jobs:
    """The jobs by what their log lines say."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._gapped: dict[str, Job] = {}
        self._found: dict[str, Job] = {}
        self._entries: dict[str, Job] = {}
        self._left = MOST_COMPARED
        self._zones: dict[str, datetime.tzinfo | None] = {}

    def every(self) -> Sequence[Job]:
        return [*self._jobs.values(), *self._gapped.values()]

    def zone(self, name: str | None) -> datetime.tzinfo | None:
        """Return a time zone by its name, None if this controller does not have it."""
        if not name or name in self._zones or len(self._zones) >= MOST_ZONES:
            return self._zones.get(name or "")
        try:
            self._zones[name] = zoneinfo.ZoneInfo(name) if ZONE.fullmatch(name) else None
        except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
            self._zones[name] = None
        return self._zones[name]

    def of_entry(self, command: str) -> Job:
        """Return the job of an entry, by its command."""
        job = self._entries.get(command)
        if job is None:
            logged = logged_as(command)
            held = self._gapped if GAP in logged else self._jobs
            job = self._entries[command] = held.setdefault(logged, Job(logged.replace(GAP, "…")))
        return job

    def find(self, message: str) -> Job:
        """Return the job that a log line is about."""
        message = message[:LONGEST].strip()
        if message in self._jobs:
            return self._jobs[message]
        if message not in self._found:
            gapped = itertools.islice(self._gapped.items(), max(self._left, 0))
            self._left -= len(self._gapped)
            fitting = (job for logged, job in gapped if _fits(logged, message))
            self._found[message] = next(fitting, None) or self._jobs.setdefault(message, Job(message))
        return self._found[message]


def _fits(pattern: str, text: str) -> bool:
    """Return whether a text has a pattern's parts in their order."""
    first, *between, last = pattern.split(GAP)
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def logged_as(command: str) -> str:
    """Return what rcron logs of an entry's command, with GAP in place of a simple command's variables.

    Args:
        command: The command as rcron_info returns it: without the prefix, and with what is behind its `%`.
    """
    given, _input = crontab.split_percent(command[:MOST_READ].encode("utf-8", "backslashreplace"))
    text = given.decode().replace("\\%", "%").strip()
    if crontab.is_simple(given):
        try:
            text = " ".join(shlex.split(text))
        except ValueError:
            return text[:LONGEST]
        return VARIABLE.sub(GAP, text)[:LONGEST]
    return text[:LONGEST]


def _add_entries(jobs: _Jobs, member: _Member, now: float) -> None:
    for entry in member.info["entries"]:
        if not entry["guarded"] or entry["conf"] != member.conf:
            continue
        job = jobs.of_entry(entry["command"])
        if entry["name"]:
            _note(job.names, entry["name"])
        _note(job.users, entry["user"])
        # The other hosts have the same entry, and perhaps another time zone: the first one counts.
        if not entry["schedule"] or not _note(job.schedules, entry["schedule"]):
            continue
        times = schedule.parse(entry["schedule"])
        due = times and schedule.next_due(times, now, _zone(jobs, entry["zone"], member.info))
        if due is not None and (job.due is None or due < job.due):
            job.due = due


def _note(known: list[str], one: str) -> bool:
    """Add a text to a list, and return whether it was not in it."""
    if len(known) >= MOST_OF_A_JOB or one in known:
        return False
    known.append(one)
    return True


def _zone(jobs: _Jobs, name: str | None, info: Info) -> datetime.tzinfo:
    """Return the time zone of an entry."""
    found = jobs.zone(name) or jobs.zone(info.get("timezone"))
    if found:
        return found
    offset = info.get("utc_offset", 0)
    return datetime.timezone(datetime.timedelta(seconds=offset if abs(offset) < 86400 else 0))


def _add_timers(jobs: _Jobs, member: _Member, now: float) -> None:
    guarded = [timer for timer in member.info.get("timers", []) if timer["guarded"] and timer["conf"] == member.conf]
    for timer in guarded:
        job = jobs.find(timer["service"])
        if timer["timer"]:
            _note(job.schedules, timer["timer"])
        due = timer["next"]
        if due is not None and due > now and (job.due is None or due < job.due):
            job.due = due


def _add_last_runs(jobs: _Jobs, member: _Member, cluster: str) -> None:
    """Add what a host says of its jobs' last runs: their exit statuses, and those that the events do not reach."""
    begun = [run for run in member.info.get("runs", []) if run["cluster"] == cluster and run["started"] is not None]
    found: set[int] = set()
    for run in sorted(begun, key=lambda run: -run["started"]):
        job = jobs.find(run["command"])
        # A job's last run: a module returns one for each command, and several may be one job's.
        if id(job) in found:
            continue
        found.add(id(job))
        begin = run["started"]
        for past in job.past:
            if past.node == member.host and abs(past.begin - begin) < SAME:
                past.exit = run["exit"]
                break
        else:
            end = None if run["duration"] is None else begin + run["duration"]
            outcome = OUTCOMES.get(run["status"], "failed")
            job.past.append(Past(member.host, begin, end, outcome, run["exit"]))


def _add_claimed(jobs: _Jobs, claimed: Iterable[Mapping[str, Any]]) -> None:
    """Add the ledger's last run of each job, unless a host's log has it."""
    named = {name: job for job in jobs.every() for name in job.names}
    for run in claimed:
        job = named.get(run["job"]) or jobs.find(run["job"])
        last = job.last
        if run["gave_up"] or (last and last.begin > run["at"] - SAME):
            continue
        end = None if run["duration"] is None else run["at"] + run["duration"]
        outcome = "running" if run["exit"] is None else "failed" if run["exit"] else "ok"
        job.past.append(Past(run["node"], run["at"], end, outcome, run["exit"]))
