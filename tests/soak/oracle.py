# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Goes through a record, and finds which of rcron's promises were broken.

It works out from what the watchers saw, and from nothing that rcron says, which node was active when (`Lane`); every
time with two active nodes or none must have a cause among the faults; every job must have done what its node's state
asked for; every log line must say what happened, and everything that happened must have its line.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from faults import CLAIM_KINDS, HANG_KINDS, KEEPALIVED_KINDS, NETWORK_KINDS, STATE_FILE_KINDS
from record import REFUSED, Fault, Line, Record, Run

ACTIVE, PASSIVE, DOWN = "active", "passive", "down"

#: How exactly the moment of a change is known, in seconds: the watcher's interval, and what a busy machine adds.
BLUR = 0.06

#: Seconds that a busy machine may add to what keepalived, the hooks or a job need.
SLACK = 0.6

#: By how many seconds a clock is set wrong (faults.py).
CLOCK_OFF = 2.0

#: How long before a machine's death its log may be missing, in seconds: rsyslog had not written it yet.
UNWRITTEN = 5.0


class Span(NamedTuple):
    """A time, from and to, in which something was so."""

    begin: float
    end: float
    what: str

    def meets(self, begin: float, end: float) -> bool:
        """Whether it has a moment in common with another time."""
        return self.begin <= end and begin <= self.end


class Lane:
    """One node's state over time: spans without a gap between them."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans
        self._begins = [span.begin for span in spans]

    def during(self, begin: float, end: float) -> list[Span]:
        """The spans that meet a time."""
        first = max(0, bisect.bisect_right(self._begins, begin) - 1)
        last = bisect.bisect_right(self._begins, end)
        return self.spans[first:last]

    def ever(self, state: str, begin: float, end: float) -> bool:
        """Whether the node was in a state at any moment of a time."""
        return any(span.what == state for span in self.during(begin, end))

    def always(self, state: str, begin: float, end: float) -> bool:
        """Whether it was in that state all the time."""
        return all(span.what == state for span in self.during(begin, end))


@dataclass
class Judgement:
    """The verdict. violations: the promises that were broken, each with its moment. counts: what there was, in
    order. doubled, lost: for each kind of job and cause, how many ticks; explained: each of those ticks, in words.
    overlaps, gaps: for each cause, how long each of them was, in seconds."""

    record: Record
    lanes: dict[str, Lane]
    violations: list[tuple[float, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    doubled: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    explained: list[str] = field(default_factory=list)
    overlaps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gaps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def twice(self, kind: str, tick: int, begun: float, ran: list[Run], cause: str) -> None:
        """Note a tick that ran on several nodes."""
        self.doubled[kind, _summed(cause)] += 1
        who = ", ".join(f"{run.node} {(run.ran or begun) - begun:.2f} s later" for run in ran)
        self.explained.append(f"{begun - self.record.begin:9.2f}  tick {tick} of {kind} ran on {who}: {cause}")

    def nowhere(self, kind: str, tick: int, begun: float, cause: str) -> None:
        """Note a tick that nobody ran."""
        self.lost[kind, _summed(cause)] += 1
        self.explained.append(f"{begun - self.record.begin:9.2f}  tick {tick} of {kind} ran nowhere: {cause}")

    def broken(self, when: float, text: str) -> None:
        """Note a broken promise."""
        self.violations.append((when, text))


def _summed(cause: str) -> str:
    """A cause as it is counted: without what is said of it, and faults that met are one."""
    cause = cause.partition(": ")[0]
    return "several faults" if " and " in cause else cause


def judge(record: Record) -> Judgement:
    """Go through a record. Returns the Judgement."""
    lanes = {node: _lane(record, node) for node in record.nodes}
    judged = Judgement(record, lanes)
    _count(judged)
    _files(judged)
    _final_states(judged)
    overlaps = _overlaps(judged)
    gaps = _gaps(judged)
    _runs(judged)
    _ticks(judged, overlaps, gaps)
    _demotions(judged)
    _log(judged)
    judged.violations += record.failed
    judged.violations.sort()
    return judged


# Who was active when


def _lane(record: Record, node: str) -> Lane:
    """The state that a job would have found on a node, derived from its state file and its pin as rcron does."""
    settings = record.settings
    # While it is being killed, what its watcher still saw is so.
    down = [(death.done, death.over) for death in _deaths(record, node)]
    default = ACTIVE if node == settings.default_active else PASSIVE
    changes: list[tuple[float, str]] = []
    word, written, pin = "", 0.0, "none"
    agent = {"kept": False, "forbidden": False}

    def at(when: float) -> str:
        if pin in (ACTIVE, PASSIVE):
            return pin
        if word == ACTIVE:
            return ACTIVE if when - written <= settings.state_max_age and not agent["forbidden"] else PASSIVE
        return PASSIVE if word == PASSIVE or agent["kept"] else default

    seen = [event for event in record.seen if event.node == node]
    for event, following in zip(seen, [*seen[1:], None]):
        if event.what == "pin":
            pin = event.word
        elif event.what in agent:
            agent[event.what] = event.word == "there"
        else:
            word, written = event.word, event.written
        changes.append((event.time, at(event.time)))
        stale = written + settings.state_max_age
        until = following.time if following else record.end
        if word == ACTIVE and pin == "none" and not agent["forbidden"] and event.time < stale < until:
            changes.append((stale, PASSIVE))
    spans: list[Span] = []
    for (when, state), (until, _state) in zip(changes, [*changes[1:], (record.end, "")]):
        if spans and spans[-1].what == state:
            spans[-1] = spans[-1]._replace(end=until)
        else:
            spans.append(Span(when, until, state))
    for begin, end, state in [*_flickers(record, node), *((*time, DOWN) for time in down)]:
        spans = [piece for span in spans for piece in _without(span, begin, end)]
        spans.append(Span(begin, end, state))
    spans.sort()
    # The watcher of a node that boots starts a moment after it: until its first word, and before the first of all, the
    # node does nothing.
    whole: list[Span] = []
    for span in spans:
        if whole and whole[-1].end < span.begin:
            whole.append(Span(whole[-1].end, span.begin, DOWN))
        whole.append(span)
    return Lane(whole)


def _deaths(record: Record, node: str) -> list[Fault]:
    """The times in which nothing ran on a node."""
    return [fault for fault in record.faults if fault.node == node and fault.kind in ("machine killed", "node paused")]


def _flickers(record: Record, node: str) -> Iterator[tuple[float, float, str]]:
    """The times in which a node was active and its watcher did not see it, by the log's account: a few milliseconds, or
    the last ones of a machine whose watcher died first."""
    changes = [
        (line.time, match[1]) for line in record.lines if line.node == node and (match := CHANGE.match(line.text))
    ]
    deaths = _deaths(record, node)

    def unseen(begin: float, end: float) -> bool:
        near = record.seen[_at(record, begin - BLUR) : _at(record, end + BLUR)]
        return not any(event.node == node and event.word == ACTIVE for event in near)

    for (begin, word), (end, after) in zip(changes, [*changes[1:], (record.end, "")]):
        died = next((fault.done for fault in deaths if fault.begun <= begin <= fault.done), None)
        if word == ACTIVE and died is not None and unseen(begin, died):
            yield begin, died, ACTIVE
        elif (word, after) == (ACTIVE, PASSIVE) and end - begin < BLUR and unseen(begin, end):
            yield begin, end, ACTIVE


def _without(span: Span, begin: float, end: float) -> Iterator[Span]:
    if not span.meets(begin, end):
        yield span
        return
    if span.begin < begin:
        yield span._replace(end=begin)
    if span.end > end:
        yield span._replace(begin=end)


def _together(judged: Judgement) -> Iterator[tuple[float, float, frozenset[str]]]:
    """The times in which the set of active nodes is the same, and who they are."""
    edges = sorted({moment for lane in judged.lanes.values() for span in lane.spans for moment in span[:2]})
    begin = max(lane.spans[0].begin for lane in judged.lanes.values())
    for start, stop in zip(edges, edges[1:]):
        if start >= begin:
            middle = (start + stop) / 2
            yield (
                start,
                stop,
                frozenset(node for node, lane in judged.lanes.items() if lane.always(ACTIVE, middle, middle)),
            )


def _merged(pieces: Iterable[tuple[float, float, frozenset[str]]]) -> list[tuple[float, float, frozenset[str]]]:
    """Pieces that follow each other, with the same nodes, as one."""
    merged: list[tuple[float, float, frozenset[str]]] = []
    for start, stop, who in pieces:
        if merged and merged[-1][1:] == (start, who):
            merged[-1] = merged[-1][0], stop, who
        else:
            merged.append((start, stop, who))
    return merged


# What the faults excuse


#: Which faults explain that a node was active beside another one, and which that nobody was active.
EXCUSES_ACTIVE = (*NETWORK_KINDS, "pinned active", "machine killed")
EXCUSES_PASSIVE = ("pinned passive", "/run full", "folder read-only", *STATE_FILE_KINDS)


def _excuses(record: Record, node: str, begin: float, end: float, kinds: Iterable[str]) -> list[str]:
    """The faults of a node, of these kinds, that explain its state in a time.

    What README.md says of each, with its limit: a partition, until the nodes have heard each other again; a pin; a
    state file that was taken away or could not be written, until the agent has written it again.
    """
    found = []
    for fault in record.faults:
        if (
            fault.node == node
            and fault.kind in kinds
            and any(start - BLUR <= begin and end <= stop + SLACK for start, stop in _windows(record, fault))
        ):
            found.append(fault.kind)
    return found


def _windows(record: Record, fault: Fault) -> list[tuple[float, float]]:
    settings = record.settings
    if fault.kind in NETWORK_KINDS:
        return [(fault.begun, fault.over + settings.detection)]
    if fault.kind == "machine killed":
        return [(fault.begun, fault.done)]
    if fault.kind.startswith("pinned"):
        return [(fault.begun, fault.over)]
    if fault.kind in STATE_FILE_KINDS:
        return [(fault.begun, fault.done + settings.state_max_age / 3)]
    if fault.kind in ("/run full", "folder read-only"):
        return [(fault.begun, fault.over + settings.state_max_age / 3)]
    return []


def _overlaps(judged: Judgement) -> list[Span]:
    """Every time with two active nodes, with its cause."""
    record = judged.record
    spans = []
    for begin, end, who in _merged(piece for piece in _together(judged) if len(piece[2]) > 1):
        kinds: set[str] = set()
        alone = 0.0
        # One node's excuse may end when the other's begins.
        edges = {start - BLUR for fault in record.faults for start, _stop in _windows(record, fault)}
        edges |= {stop + SLACK for fault in record.faults for _start, stop in _windows(record, fault)}
        inside = sorted({begin, end, *(edge for edge in edges if begin < edge < end)})
        for start, stop in zip(inside, inside[1:]):
            causes = [_excuses(record, node, start, stop, EXCUSES_ACTIVE) for node in who]
            if sum(not found for found in causes) > 1:  # all of them but one need an excuse
                alone += stop - start
            kinds |= {kind for found in causes for kind in found[:1]}
        cause = " and ".join(sorted(kinds)) or "hand-over"
        if alone > record.settings.advert_int:
            cause = "unexplained"
            judged.broken(begin, f"{' and '.join(sorted(who))} were both active for {end - begin:.2f} s")
        spans.append(Span(begin, end, cause))
        judged.overlaps[_summed(cause)].append(end - begin)
    return spans


def _gaps(judged: Judgement) -> list[Span]:
    """Every time without an active node, with its cause."""
    record, settings = judged.record, judged.record.settings
    spans = []
    for begin, end, _who in _merged(piece for piece in _together(judged) if not piece[2]):
        # keepalived's successor is there the detection time after the last thing that happened to keepalived.
        again = [fault for fault in record.faults if fault.kind in (*KEEPALIVED_KINDS, *NETWORK_KINDS)]
        moments = [moment for fault in again for moment in (fault.begun, fault.over) if begin < moment < end]
        latest = max([begin, *moments])
        kinds = {kind for node in record.nodes for kind in _excuses(record, node, begin, end, EXCUSES_PASSIVE)}
        if end >= record.end - BLUR:
            judged.broken(begin, "nobody was active at the end")
        # A node that hung, or has just booted, may be master again at once, and has to distrust that for a while. Its
        # adverts make the one passive that was active meanwhile.
        doubted = [fault for fault in again if fault.kind in (*HANG_KINDS, "machine killed")]
        distrusted = any(fault.begun <= end and begin <= fault.over + SLACK for fault in doubted)
        if end - latest <= settings.detection + SLACK + (settings.notice if distrusted else 0.0):
            cause = _last_fault(record, begin)
        elif kinds:
            # Those first that a job's takeover_wait does not outlast.
            cause = next(kind for kind in EXCUSES_PASSIVE if kind in kinds)
        else:
            cause = "unexplained"
            judged.broken(begin, f"nobody was active for {end - begin:.2f} s")
        spans.append(Span(begin, end, cause))
        judged.gaps[cause].append(end - begin)
    return spans


def _last_fault(record: Record, when: float) -> str:
    """The fault that began or ended last before a moment, at the most some seconds."""
    near = [
        (moment, fault.kind)
        for fault in record.faults
        for moment in (fault.begun, fault.ended)
        if fault.kind not in CLAIM_KINDS and when - record.settings.state_max_age - SLACK <= moment <= when + BLUR
    ]
    return max(near)[1] if near else "no fault"


# The promises


def _count(judged: Judgement) -> None:
    record = judged.record
    active: str | None = None
    failovers = 0
    for _begin, _end, who in _together(judged):
        if len(who) == 1:
            (node,) = who
            failovers += active not in (None, node)
            active = node
    plain = [run for run in record.runs if run.kind == "plain"]
    judged.counts = {
        "seconds": round(record.end - record.begin),
        "failovers": failovers,
        "faults": len(record.faults),
        "ticks": len({run.tick for run in plain}),
        "rcron started": len(record.runs),
        "jobs started": sum(run.ran is not None for run in record.runs),
        "log lines": len(record.lines),
    }
    if record.settings.claim_wait:
        others = [run for run in record.runs if run.ran is None and run.status == 0 and _is_others(record, run)]
        late = [run for run in others if judged.lanes[run.node].ever(ACTIVE, run.begun, run.left or run.begun)]
        judged.counts |= {
            "claims in the ledger": len(record.claims),
            "runs of an active node that another one had claimed": len(late),
            "runs that nobody could claim in time": sum(run.status == REFUSED for run in record.runs),
        }


def _files(judged: Judgement) -> None:
    """No state file was ever torn, unreadable to an ordinary user, or missing unless a fault removed it."""
    record = judged.record
    for event in record.seen:
        if event.what != "state" or event.word in (ACTIVE, PASSIVE):
            continue
        excused = event.word in ("absent", "folder", "empty") and any(
            fault.node == event.node
            and fault.kind in STATE_FILE_KINDS
            and fault.begun - BLUR <= event.time <= fault.done + SLACK + record.settings.state_max_age / 3
            for fault in record.faults
        )
        # A machine that boots has an empty /run until systemd-tmpfiles has gone through.
        booting = event.word == "absent" and _down_at(judged, event.node, event.time)
        if not excused and not booting:
            judged.broken(event.time, f"{event.node}: the state file was {event.word}")


def _down_at(judged: Judgement, node: str, when: float) -> bool:
    return judged.lanes[node].ever(DOWN, when - BLUR, when + BLUR)


def _final_states(judged: Judgement) -> None:
    """While the cluster is left alone, each state file agrees with keepalived's own state."""
    for when, node, keepalived, word in judged.record.checked:
        if {"MASTER": ACTIVE, "BACKUP": PASSIVE, "FAULT": PASSIVE}[keepalived] != word:
            judged.broken(when, f"{node}: keepalived is {keepalived}, and the state file says {word}")
    judged.counts["states compared with keepalived's"] = len(judged.record.checked)


def _runs(judged: Judgement) -> None:
    """Every rcron did what its node's state asked for."""
    for run in judged.record.runs:
        lane = judged.lanes[run.node]
        who = f"{run.node}: tick {run.tick} of {run.kind}"
        if run.ran is not None and judged.record.settings.claim_wait:
            claimed = judged.record.claimed(run)
            if claimed is None or claimed.node != run.node:
                judged.broken(run.begun, f"{who} was run, and the ledger says {claimed}")
        if run.ran is not None:
            if not lane.ever(ACTIVE, run.begun - BLUR, run.ran + BLUR) and not _dies(
                judged, run.node, run.begun, run.ran
            ):
                judged.broken(run.begun, f"{who} was run, and the node was not active")
            expected: set[int | None] = {3 if run.tick % 5 == 0 else 0} if run.ended else set()
            if run.left is not None and (
                not lane.always(ACTIVE, run.begun, run.left + BLUR) or _is_stale_there(judged, run.node, run.left)
            ):
                expected |= {143, 137}  # ended as demoted, perhaps with its last word said
            if run.started is None and _meets(judged, run.node, "python3 away", run.begun, run.left or run.begun):
                expected |= {126}  # rcron had started, and its job's Python was not there
            if run.left is not None and run.status not in expected:
                judged.broken(run.begun, f"{who}: exit status {run.status}, and not {sorted(expected)}")
        elif run.status == REFUSED:
            if not _why_refused(judged, run):
                judged.broken(run.begun, f"{who} could not be claimed, and etcd had no reason for that")
        elif run.left is not None:
            if _is_others(judged.record, run):
                pass  # promoted, it had asked, and another node had it
            elif run.kind == "wait":
                last = run.begun + judged.record.settings.takeover_wait
                if run.left < last - BLUR and not _meets(judged, run.node, "pinned passive", run.begun, run.left):
                    judged.broken(run.begun, f"{who} waited for {run.left - run.begun:.2f} s only")
                if any(
                    span.what == ACTIVE and min(span.end, run.left) - max(span.begin, run.begun) > SLACK
                    for span in lane.during(run.begun, run.left)
                ):
                    judged.broken(run.begun, f"{who} waited, and was not run when the node was active")
            elif lane.always(ACTIVE, run.begun - BLUR, run.left) and not _is_stale_there(judged, run.node, run.left):
                judged.broken(run.begun, f"{who} was ignored, and the node was active")
        elif not _dies(judged, run.node, run.begun, judged.record.end) and not _is_late(judged.record, run.begun):
            judged.broken(run.begun, f"{who} never came to an end")


def _is_late(record: Record, begun: float) -> bool:
    """Whether a run may not have come to its end by the end of the record."""
    return begun > record.end - record.settings.longest


def _is_others(record: Record, run: Run) -> bool:
    """Whether another node than a run's has claimed its tick."""
    claimed = record.claimed(run)
    return claimed is not None and claimed.node != run.node


#: What takes a member of etcd away, and what cuts a node's rcron off from etcd besides.
MEMBER_KINDS = (*NETWORK_KINDS, "machine killed", "node paused", "etcd hung", "etcd killed")
AGENT_KINDS = ("claims' agent hung", "claims' agent killed", "folder removed", "folder read-only", "python3 away")

#: How long a member of etcd takes after such a fault to serve again, in seconds, with an election in it.
SERVES_AGAIN = 8.0


def _why_refused(judged: Judgement, run: Run) -> str:
    """Why a run could not be claimed in time; nothing if no fault explains it. One member of three that is away does
    not, wherever it is."""
    end = run.left or run.begun
    hit = [
        fault
        for fault in judged.record.faults
        if fault.kind in (*MEMBER_KINDS, *AGENT_KINDS) and fault.begun <= end and run.begun <= fault.over + SERVES_AGAIN
    ]
    if len({fault.node for fault in hit if fault.kind in MEMBER_KINDS}) > 1:
        return "no quorum"
    cut_off = (*NETWORK_KINDS, "machine killed", "node paused", *AGENT_KINDS)
    return next(
        (f"cut off from etcd: {fault.kind}" for fault in hit if fault.node == run.node and fault.kind in cut_off), ""
    )


def _why_claimed_in_vain(judged: Judgement, runs: list[Run]) -> str:
    """Why a tick that is claimed ran nowhere: its node died with it, or had given up; nothing if neither is so."""
    claimed = judged.record.claimed(runs[0])
    if claimed is None:
        return ""
    if claimed.gave_up or any(run.node == claimed.node and run.status == REFUSED for run in runs):
        return "claimed too late"
    (own,) = [run for run in runs if run.node == claimed.node] or [None]
    died = own is not None and own.left is None and _dies(judged, own.node, own.begun, judged.record.end)
    return "its node died after the claim" if died else ""


def _died_unanswered(judged: Judgement, runs: list[Run], wait: float) -> bool:
    """Whether the active node died while it waited for a claim that a fault held up, and no other node was promoted in
    the time that its own run of the tick waits."""
    patience = judged.record.settings.claim_wait
    for run in runs:
        held_up = any(
            fault.kind in MEMBER_KINDS or (fault.kind in AGENT_KINDS and fault.node == run.node)
            for fault in judged.record.faults
            if fault.begun <= run.begun <= fault.over + SERVES_AGAIN
        )
        if (
            held_up
            and run.left is None
            and judged.lanes[run.node].ever(ACTIVE, run.begun, run.begun)
            and _dies(judged, run.node, run.begun, run.begun + patience)
        ):
            others = [judged.lanes[other.node] for other in runs if other is not run]
            return not any(lane.ever(ACTIVE, run.begun, run.begun + wait - SLACK) for lane in others)
    return False


def _is_stale_there(judged: Judgement, node: str, when: float) -> bool:
    """Whether a node whose clock is ahead takes its state for stale, and by that clock rightly."""
    record = judged.record
    ahead = any(
        fault.node == node and fault.kind.startswith("clock") and fault.begun <= when <= fault.over + 1 + SLACK
        for fault in record.faults
    )
    # It looked a moment before its job had ended.
    looked = when - 3 * BLUR
    written = [event.written for event in record.seen if event.node == node and event.time <= looked and event.written]
    return ahead and when - written[-1] > record.settings.state_max_age - CLOCK_OFF - BLUR


def _meets(judged: Judgement, node: str, kind: str, begin: float, end: float, after: float = 0.0) -> bool:
    """Whether a node suffered a kind of fault in a time, or until so many seconds before it."""
    return any(
        fault.node == node and fault.kind == kind and fault.begun <= end and begin <= fault.over + after
        for fault in judged.record.faults
    )


def _dies(judged: Judgement, node: str, begin: float, end: float) -> bool:
    return judged.lanes[node].ever(DOWN, begin, end)


def _ticks(judged: Judgement, overlaps: list[Span], gaps: list[Span]) -> None:
    """No tick ran twice, none was lost, but for causes that are known."""
    record, settings = judged.record, judged.record.settings
    ticks: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for run in record.runs:
        ticks[run.kind, run.tick].append(run)
    for (kind, tick), runs in ticks.items():
        begun = min(run.begun for run in runs)
        ran = [run for run in runs if run.ran is not None]
        # Those first whose node was active when the tick came.
        ran.sort(key=lambda run: (not judged.lanes[run.node].ever(ACTIVE, begun, begun), run.ran))
        if settings.claim_wait and len(ran) > 1:
            judged.twice(kind, tick, begun, ran, "claimed")
            judged.broken(
                begun, f"tick {tick} of {kind} ran on {' and '.join(run.node for run in ran)}, though claimed"
            )
        elif kind != "wait" and len(ran) > 1:
            last = max(run.ran or begun for run in ran)
            causes = [span.what for span in overlaps if span.meets(begun - BLUR, last + BLUR)]
            if not causes and all(_promotion(judged, run, begun) is not None for run in ran[1:]):
                # One had looked at its state, and the role changed hands before the next one had.
                causes = ["hand-over"]
            judged.twice(kind, tick, begun, ran, causes[0] if causes else "unexplained")
            if not causes:
                judged.broken(begun, f"tick {tick} of {kind} ran on {' and '.join(run.node for run in ran)}")
        elif len(ran) > 1:
            judged.twice(kind, tick, begun, ran, _why_again(judged, overlaps, ran, begun))
        if ran or _is_late(record, begun):
            continue
        refused = next((_why_refused(judged, run) for run in runs if run.status == REFUSED), "")
        if settings.claim_wait and (why := _why_claimed_in_vain(judged, runs) or refused):
            judged.nowhere(kind, tick, begun, why)
            continue
        wait = settings.takeover_wait if kind == "wait" else 0.0
        if settings.claim_wait and wait and _died_unanswered(judged, runs, wait):
            judged.nowhere(kind, tick, begun, "its node died while it waited for the claim")
            continue
        if record.claimed(runs[0]):
            judged.broken(begun, f"tick {tick} of {kind} was run by nobody, and claimed by {record.claimed(runs[0])}")
        if not wait and any(run.left is None and _dies(judged, run.node, run.begun, record.end) for run in runs):
            judged.nowhere(kind, tick, begun, "died with its machine, before the job could speak")
            continue
        if any(_meets(judged, node, "python3 away", begun, begun, BLUR) for node in record.nodes):
            judged.nowhere(kind, tick, begun, "python3 away")
            continue
        for run in runs:
            if judged.lanes[run.node].always(ACTIVE, begun - BLUR, begun + BLUR + SLACK):
                judged.broken(begun, f"tick {tick} of {kind} was run by nobody, and {run.node} was active throughout")
        causes = [span.what for span in gaps if span.meets(begun - BLUR, begun + SLACK)]
        judged.nowhere(kind, tick, begun, causes[0] if causes else "hand-over")
        if kind == "wait" and not any(
            span.meets(begun, begun + wait)
            and (span.end - begun > wait - BLUR or span.what in ("pinned passive", "/run full"))
            for span in gaps
        ):
            judged.broken(
                begun, f"tick {tick} of {kind} was lost, though every node waited {wait:g} s for its promotion"
            )


def _why_again(judged: Judgement, overlaps: list[Span], ran: list[Run], begun: float) -> str:
    """Why a tick that waits was run by another node too."""
    for run in ran[1:]:
        promoted = _promotion(judged, run, begun)
        # Its wait began when rcron had started.
        if promoted is not None and promoted - begun <= judged.record.settings.takeover_wait + SLACK:
            continue
        causes = [span.what for span in overlaps if span.meets(begun - BLUR, (run.ran or begun) + BLUR)]
        if causes:
            return f"two active nodes: {causes[0]}"
        judged.broken(begun, f"tick {run.tick} of wait ran on {' and '.join(run.node for run in ran)}, for no reason")
        return "unexplained"
    return "within takeover_wait before a promotion"


def _promotion(judged: Judgement, run: Run, begun: float) -> float | None:
    """When a job's node became active, between the job's tick and its start."""
    last = (run.ran or begun) + BLUR
    for span in judged.lanes[run.node].during(begun - BLUR, last):
        if span.what == ACTIVE and begun - BLUR <= span.begin <= last:
            return span.begin
    return None


def _demotions(judged: Judgement) -> None:
    """With on_demotion = terminate, no job ran on for long after its node had turned passive."""
    settings = judged.record.settings
    ended = 0
    longest = {"long": 0.0, "stubborn": 0.0}
    for run in judged.record.runs:
        if run.started is None or run.kind not in longest:
            continue
        stop = run.ended or run.left or judged.record.end
        stop = max(stop, run.left or stop)
        for span in judged.lanes[run.node].during(run.started, stop):
            if span.what == DOWN:
                break
            if span.what != PASSIVE or span.begin <= run.started or span.end - span.begin < 1 + SLACK:
                continue
            ended += 1
            beyond = stop - span.begin
            longest[run.kind] = max(longest[run.kind], beyond)
            limit = 1.0 + (settings.kill_after if run.kind == "stubborn" else 0.0) + SLACK
            if beyond > limit:
                judged.broken(
                    span.begin, f"{run.node}: tick {run.tick} of {run.kind} ran on for {beyond:.2f} s as passive"
                )
            break
    judged.counts["jobs that lost their node"] = ended
    judged.counts["milliseconds that such a job went on, at the most"] = round(1000 * longest["long"])
    judged.counts["milliseconds for one that ignores TERM"] = round(1000 * longest["stubborn"])


JOB = re.compile(
    r"cluster=soak state=(active|passive)(?: pin=\S+)?(?: claim=unknown)? status=(start|ok|fail|demoted|ignore|stale)"
    r"(?: by=\S+)?(?: dur=(\d+))?(?: reason=stale)?(?: exit=(\d+))?(?: job=\w+)?"
    r" cmd=/usr/bin/python3 -IS /usr/local/lib/soak/tick\.py (\w+) (\d+)$"
)
#: The fault that lets nobody log, and how long after its end lines may come late, in seconds.
FROZEN, LATE = "log daemon frozen", 2.0
CHANGE = re.compile(r"cluster=soak state=(active|passive) status=changed event=")
PINNED = re.compile(r"cluster=soak state=(active|passive) status=pinned until=")


def _log(judged: Judgement) -> None:
    """Every log line says what happened, and everything that happened has its line."""
    record = judged.record
    said: dict[tuple[str, str, int], list[tuple[str, str, int | None]]] = defaultdict(list)
    lasted: dict[tuple[str, str, int], list[tuple[str, int]]] = defaultdict(list)
    for line in record.lines:
        # What is logged while the log daemon is frozen is dropped, or comes late.
        if line.time < record.begin:
            continue
        is_late = _meets(judged, line.node, FROZEN, line.time, line.time, LATE)
        match = JOB.match(line.text)
        if match:
            state, status, duration, code, kind, tick = match.groups()
            said[line.node, kind, int(tick)].append((status, state, None if code is None else int(code)))
            if duration:
                lasted[line.node, kind, int(tick)].append((status, int(duration)))
        elif " cmd=" in line.text:
            judged.broken(line.time, f"{line.node}: a log line of no job: {line.text}")
        elif not is_late and (match := CHANGE.match(line.text)) and not _was_seen(judged, line, match[1]):
            judged.broken(line.time, f"{line.node}: logged, and not seen in the state file: {line.text}")
        elif (
            not is_late
            and (match := PINNED.match(line.text))
            and not any(
                (event.node, event.what, event.word) == (line.node, "pin", match[1])
                for event in record.seen[_at(record, line.time - 1) : _at(record, line.time + 1)]
            )
        ):
            judged.broken(line.time, f"{line.node}: logged, and no such pin was seen: {line.text}")
    for run in record.runs:
        lines = said.pop((run.node, run.kind, run.tick), [])
        if _dies(judged, run.node, run.begun, (run.left or record.end) + UNWRITTEN) or _is_late(record, run.begun):
            continue
        if _meets(judged, run.node, FROZEN, run.begun - BLUR, run.left or record.end, LATE):
            continue
        words = [status for status, _state, _code in lines]
        codes = [code for status, _state, code in lines if status in ("ok", "fail")]
        where = f"{run.node}: tick {run.tick} of {run.kind}"
        if run.ran is None and run.left is not None:
            if run.status == REFUSED:
                right = words == ["fail"] and codes == [REFUSED]
            else:
                right = words in (["ignore"], ["stale"]) and (lines[0][1] == PASSIVE or _is_others(record, run))
        else:
            status = -1 if run.status is None else run.status
            expected = ["start", *(["demoted"] if "demoted" in words else []), "fail" if status else "ok"]
            right = words == expected and codes == [status if status >= 0 else 128 - status]
            left = run.left or record.end
            if "demoted" in words and not (
                judged.lanes[run.node].ever(PASSIVE, run.begun, left + BLUR) or _is_stale_there(judged, run.node, left)
            ):
                judged.broken(run.begun, f"{where} was ended as demoted, and the node was active throughout")
        if not right:
            judged.broken(run.begun, f"{where}: exit status {run.status}, and the log says {lines}")
        # Whole seconds, from some moment between rcron's start and the job's to the job's end.
        least = run.ended - run.started - 1 if run.ended and run.started else 0.0
        most = (run.left or record.end) - run.begun
        for status_told, duration in lasted[run.node, run.kind, run.tick]:
            # That of a demotion says when the job was asked to end.
            if not (0 if status_told == "demoted" else least - BLUR) <= duration <= most + BLUR:
                judged.broken(run.begun, f"{where}: dur={duration} in the log, for {least + 1:.2f} to {most:.2f} s")
    for (node, kind, tick), lines in said.items():
        judged.broken(record.begin, f"{node}: the log names tick {tick} of {kind}, which never was: {lines}")


def _was_seen(judged: Judgement, line: Line, word: str) -> bool:
    """Whether the state file held the state that a line names, or nobody watched."""
    near = judged.record.seen[_at(judged.record, line.time - 1) : _at(judged.record, line.time + 1)]
    return (
        any(event.node == line.node and event.word == word for event in near)
        or judged.lanes[line.node].ever(word, line.time, line.time)
        or _down_at(judged, line.node, line.time)
    )


def _at(record: Record, when: float) -> int:
    return bisect.bisect_left(record.seen, when, key=lambda event: event.time)


# For people


def report(judged: Judgement) -> str:
    """Return the verdict in lines: counts, causes, and the broken promises with the time around each."""
    lines = ["", "counts"]
    lines += [f"  {number:>8}  {name}" for name, number in judged.counts.items()]
    kinds = Counter(fault.kind for fault in judged.record.faults)
    lines += ["", "faults", *(f"  {number:>8}  {kind}" for kind, number in sorted(kinds.items()))]
    for title, times in (("two active nodes", judged.overlaps), ("no active node", judged.gaps)):
        lines += ["", f"{title}: times, the median and the longest in seconds, and the cause"]
        for cause, lengths in sorted(times.items()):
            middle = sorted(lengths)[len(lengths) // 2]
            lines.append(f"  {len(lengths):>8}  {middle:6.2f} {max(lengths):6.2f}  {cause}")
    for title, found in (("ticks that ran twice", judged.doubled), ("ticks that nobody ran", judged.lost)):
        lines += ["", f"{title}: how many, which kind of job, and the cause"]
        lines += [f"  {number:>8}  {kind:<8}  {cause}" for (kind, cause), number in sorted(found.items())]
    lines += ["", f"{len(judged.violations)} promises broken"]
    for when, text in judged.violations[:40]:
        lines.append(f"  {when - judged.record.begin:9.2f}  {text}")
    if judged.violations:
        when = judged.violations[0][0]
        lines += ["", f"around {when - judged.record.begin:.2f} s", *around(judged, when - 4, when + 4)]
    return "\n".join(lines)


def around(judged: Judgement, begin: float, end: float) -> list[str]:
    """Return what happened in a span of time, one line each."""
    record = judged.record
    events: list[tuple[float, str]] = []
    for node, lane in judged.lanes.items():
        events += [(span.begin, f"{node} {span.what}") for span in lane.during(begin, end)]
    events += [
        (event.time, f"{event.node} {event.what} file: {event.word}")
        for event in record.seen
        if event.what != "state" or event.word not in (ACTIVE, PASSIVE)
    ]
    for fault in record.faults:
        events += [(fault.begun, f"{fault.node} {fault.kind}"), (fault.done, f"{fault.node} {fault.kind}: done")]
        events += [(fault.ended, f"{fault.node} {fault.kind}: ends"), (fault.over, f"{fault.node} {fault.kind}: over")]
    for run in record.runs:
        what = f"{run.node} tick {run.tick} of {run.kind}"
        events += [(run.begun, f"{what} begun")] if run.kind != "wait" else []
        events += [(run.started, f"{what} started")] if run.started else []
        events += (
            [(run.left, f"{what} left with {run.status}")] if run.left and (run.started or run.kind == "wait") else []
        )
    events += [(line.time, f"{line.node} log: {line.text}") for line in record.lines if "cmd=" not in line.text]
    events = [event for event in events if begin <= event[0] <= end]
    return [f"  {when - record.begin:9.2f}  {text}" for when, text in sorted(events)]
