# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The record of a soak: every job's begin and end, every change of a state file, every fault, every log line.

A record is a folder: `NODE.jobs` and `NODE.states` (as in_node/ticker.py and in_node/watcher.py write them),
`NODE.syslog`, `faults` (JSON lines), `run.json`, and with claims `history`, which is the ledger as rcronctl(8) shows
it. All times are seconds of CLOCK_MONOTONIC; log lines have the wall clock's, which `run.json` ties to it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The settings of the deployment (inventory/hosts.yml), in seconds, and which node is active by default.

    claim_wait: 0 if nothing is claimed. detection: how long keepalived takes to notice a master that is gone, at the
    most: keepalived.conf(5), advert_int, three of them and the skew, which is less than one.
    """

    interval: float = 0.5
    advert_int: float = 0.4
    state_max_age: float = 4.0
    takeover_wait: float = 3.0
    kill_after: float = 2.0
    claim_wait: float = 0.0
    default_active: str = "node1"

    @property
    def detection(self) -> float:
        return 4 * self.advert_int

    @property
    def longest(self) -> float:
        """How long a tick's jobs may take in all; what begins later than that before the end is not judged."""
        return 9.0 + self.claim_wait

    @property
    def notice(self) -> float:
        """How long a node that hung distrusts keepalived, and the agent's own quarter of a second."""
        return 3 * self.advert_int + 1.25


#: The exit status of a run that nobody could claim: rcron(8).
REFUSED = 75


@dataclass
class Run:
    """One job of one tick on one node. begun: when `rcron` was started; left: when it ended, with which status
    (negative: the signal), None if its node died first. started, ended: what the job itself printed, None if it did
    not come to that."""

    node: str
    kind: str
    tick: int
    begun: float
    pid: int
    started: float | None = None
    ended: float | None = None
    left: float | None = None
    status: int | None = None

    @property
    def ran(self) -> float | None:
        """When the job started, or the latest that it can have: one that was ended before it spoke has an exit status
        that an ignored one has not."""
        return self.left if self.started is None and self.status not in (None, 0, REFUSED) else self.started


@dataclass(frozen=True)
class Seen:
    """What the watcher saw: of the state file (what: `state`) a word and when it was written, of the pin (`pin`), or of
    the agent's files (`kept`, `forbidden`)."""

    node: str
    time: float
    what: str
    word: str
    written: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A fault that was done: to which node (nothing: the cluster), what, and from when to when (begun..done is the
    time that doing it took; ended..over the time that taking it away took)."""

    node: str
    kind: str
    begun: float
    done: float
    ended: float
    over: float


@dataclass(frozen=True)
class Line:
    """A log line of rcron's. time: CLOCK_MONOTONIC's, as precisely as the log's own clock allows."""

    node: str
    time: float
    text: str


@dataclass(frozen=True)
class Claimed:
    """What the ledger says of a tick's job: which node has it, and its exit status; None if no end is known. gave_up:
    its rcron had given up before the claim was known."""

    node: str
    status: int | None
    gave_up: bool


@dataclass
class Record:
    """All of it, in the order of time. begin, end: of the run. wall: the wall clock's time at 0 of CLOCK_MONOTONIC.
    failed: when something could not be done, and what. checked: when a node was looked at in peace, which, keepalived's
    state and the state file's."""

    settings: Settings
    nodes: list[str]
    begin: float
    end: float
    wall: float
    runs: list[Run] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    checked: list[tuple[float, str, str, str]] = field(default_factory=list)
    claims: dict[tuple[str, int], Claimed] = field(default_factory=dict)

    def claimed(self, run: Run) -> Claimed | None:
        """What the ledger says of a run's tick."""
        return self.claims.get((run.kind, run.tick))


LOG_LINE = re.compile(r"^(\S+) \S+ (?:rcron|rcronctl)\[\d+\]: (.*)$")


def read(folder: Path) -> Record:
    """Read a record. folder: where it is. Raises OSError, and ValueError if no soak has written it."""
    about = json.loads((folder / "run.json").read_text())
    record = Record(Settings(**about["settings"]), about["nodes"], about["begin"], about["end"], about["wall"])
    record.checked = [tuple(check) for check in about["checked"]]
    record.failed = [tuple(failure) for failure in about["failed"]]
    for node in record.nodes:
        record.runs += _runs(node, (folder / f"{node}.jobs").read_text())
        record.seen += _seen(node, (folder / f"{node}.states").read_text())
        record.lines += _lines(node, (folder / f"{node}.syslog").read_text(errors="replace"), record.wall)
    for line in (folder / "faults").read_text().splitlines():
        record.faults.append(Fault(**json.loads(line)))
    if record.settings.claim_wait:
        for line in (folder / "history").read_text().splitlines():
            run = json.loads(line)
            key = run["job"], int(run["fire"].removeprefix("="))
            record.claims[key] = Claimed(run["node"], run["exit"], run["gave_up"])
    record.runs.sort(key=lambda run: (run.tick, run.kind, run.node))
    record.seen.sort(key=lambda seen: seen.time)
    record.faults.sort(key=lambda fault: fault.begun)
    return record


def _runs(node: str, text: str) -> list[Run]:
    runs: dict[tuple[str, int], Run] = {}
    for line in text.splitlines():
        what, kind, tick, when, *rest = line.split()
        key = kind, int(tick)
        run = runs.setdefault(key, Run(node, kind, int(tick), float(when), 0))
        if what == "begun":
            # The job may speak before the ticker, which started it, does.
            if run.pid:
                raise ValueError(f"{node}: tick {tick} of {kind} was begun twice")
            run.begun, run.pid = float(when), int(rest[0])
        elif what == "started":
            if run.started is not None:
                raise ValueError(f"{node}: the job of tick {tick} of {kind} started twice")
            run.started = float(when)
        elif what == "ended":
            run.ended = float(when)
        else:
            run.left, run.status = float(when), int(rest[0])
    return list(runs.values())


def _seen(node: str, text: str) -> list[Seen]:
    found = []
    for line in text.splitlines():
        what, when, *rest = line.split()
        if what == "state":
            found.append(Seen(node, float(when), what, rest[1], float(rest[0])))
        else:
            found.append(Seen(node, float(when), what, rest[0] if rest else ""))
    return found


def _lines(node: str, text: str, wall: float) -> list[Line]:
    found = []
    for line in text.splitlines():
        match = LOG_LINE.match(line)
        if match:
            found.append(Line(node, datetime.fromisoformat(match[1]).timestamp() - wall, match[2]))
    return found
