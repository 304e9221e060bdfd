# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The filter rcron_timeline: a picture of what a cluster did, from what rcron_info said of each of its hosts."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.plugin_utils import timeline
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline import Band, Fault, Run, Timeline

#: How far a host's clock must certainly be off for its times to be corrected, in seconds.
CLOCKS = 0.5

#: A run that begins so shortly before a full minute is that minute's: clocks differ by as much. Seconds.
EARLY = 2.0

MINUTE = 60
HOUR = 3600
MOST_HOURS = 24 * 31
LONGEST = 80  # characters of why a host was not reached

STATES = ("active", "passive")
NEXT = {"ok": "ok", "fail": "failed"}

Info = Mapping[str, Any]


class _Event(NamedTuple):
    """A line of rcron's log, as rcron_info tells it, by the cluster's clock."""

    time: float
    pid: int
    status: str
    state: str | None
    message: str
    duration: int


class _Host:
    """What a host that has answered said of one cluster, by the cluster's clock.

    Raises KeyError, TypeError, ValueError or AttributeError for what rcron_info does not say.
    """

    def __init__(self, name: str, info: Info, cluster: str, off: float) -> None:
        self.name = name
        self.off = off
        self.now = _finite(info["time"]) - off
        self.since = None if info["events_since"] is None else _finite(info["events_since"]) - off
        self.running = {int(pid) for pid in info["running"]}
        self.boots = [(_finite(boot["begin"]) - off, _finite(boot["end"]) - off) for boot in info["boots"]]
        self.boots[-1] = self.boots[-1][0], self.now
        told = [event for event in info["events"] if event["cluster"] in (cluster, None)]
        self.events = sorted(
            (
                _Event(
                    _finite(event["time"]) - off,
                    int(event["pid"]),
                    str(event["status"]),
                    None if event["state"] is None else _state(event["state"]),
                    str(event["message"]),
                    int(event["duration"] or 0),
                )
                for event in told
            ),
            key=lambda event: event.time,  # equal times stay in the log's order
        )
        self.cluster: Info = next(
            (each for each in info["clusters"] if not each["error"] and each["cluster_name"] == cluster), {}
        )
        self.feeder, self.pin = self.cluster.get("feeder"), self.cluster.get("pin")
        self.known = list(self.states())

    def gaps(self) -> Iterator[tuple[float, float]]:
        """When it was down."""
        for (_begin, end), (begin, _end) in zip(self.boots, self.boots[1:]):
            yield end, begin

    def was_down(self, moment: float) -> bool:
        return any(begin <= moment <= end for begin, end in self.gaps())

    def states(self) -> Iterator[tuple[float, str, bool]]:
        """When its log, and at last rcronctl, tell a state, which, and whether it was another one before."""
        pin: tuple[str, float | None] | None = None
        if self.pin and not any(event.status == "pinned" for event in self.events):
            until = self.pin["until"]
            pin = _state(self.pin["state"]), None if until is None else _finite(until) - self.off  # older than the log
        fed: str | None = None
        last = -math.inf
        for event in self.events:
            last = event.time
            if pin and pin[1] is not None and pin[1] <= event.time:
                if fed:
                    yield pin[1], fed, False
                pin = None
            if event.status in ("changed", "confirmed"):
                fed = event.state
                if not pin and fed:
                    yield event.time, fed, event.status == "changed"
            elif event.status in ("pinned", "unpinned") and event.state:
                pin = (event.state, self._until(event.message)) if event.status == "pinned" else None
                yield event.time, event.state, False
            elif event.status == "start":
                yield event.time, "active", False
            elif event.status in ("ignore", "stale", "demoted"):
                yield event.time, "passive", False
        if pin and pin[1] is not None and last < pin[1] <= self.now and fed:
            last = pin[1]
            yield last, fed, False
        if self.cluster:
            yield max(self._last(), last), _state(self.cluster["state"]), False

    def _until(self, message: str) -> float | None:
        try:
            return datetime.datetime.strptime(message, "%Y-%m-%d %H:%M:%S %z").timestamp() - self.off
        except (ValueError, OverflowError):
            return None

    def _last(self) -> float:
        """Since when rcronctl's state holds, as far as it is known."""
        since = self.cluster["since"]
        if self.cluster["source"] == "stale" and self.feeder:
            since = _finite(self.feeder["spoke"]) + int(self.cluster["settings"]["state_max_age"])
        elif self.cluster["source"] != "file":
            since = None
        return self.now if since is None else min(_finite(since) - self.off, self.now)

    def bands(self, begin: float) -> list[Band]:
        """Its states from a time on."""
        known = self.known
        bands: list[Band] = []

        def add(start: float, end: float, state: str) -> None:
            if end <= max(start, begin):
                return
            if bands and bands[-1].state == state and bands[-1].end >= start:
                bands[-1] = bands[-1]._replace(end=end)
            else:
                bands.append(Band(self.name, max(start, begin), end, state))

        # Of a time that the log does not reach, rcronctl knows the state and since when.
        first = min(self.since if self.since is not None else self.now, known[0][0] if known else self.now)
        start = max(first, begin)
        if self.boots[0][0] <= start:
            add(begin, start, "unknown")
        for number, (booted, end) in enumerate(self.boots):
            here = [each for each in known if booted <= each[0] <= end]
            if number or booted > first - MINUTE:  # a journal that is not persistent begins with its boot
                add(self.boots[number - 1][1] if number else begin, booted, "down" if number else "unknown")
                moment, state = booted, "passive"  # as it boots
            elif here:
                # A change tells no state before it: there may have been none, as before the first deployment.
                moment, state = first, "unknown" if here[0][2] else here[0][1]
            else:
                moment, state = first, "unknown"
            for time, new, _changed in here:
                add(moment, max(time, moment), state)
                moment, state = max(time, moment), new
            add(moment, end, state)
        return bands

    def runs(self) -> Iterator[Run]:
        """Its jobs: what ran, and what was ignored."""
        begun: dict[int, _Event] = {}
        demoted: set[int] = set()
        for event in self.events:
            start = begun.get(event.pid)
            if event.status in ("ignore", "stale"):
                yield Run(self.name, event.message, event.time, None, "ignored")
            elif event.status == "start":
                if start:
                    yield self._unfinished(start)  # its process number is another's now
                begun[event.pid] = event
                demoted.discard(event.pid)
            elif event.status == "demoted":
                demoted.add(event.pid)
            elif event.status in NEXT:
                outcome = "demoted" if event.pid in demoted else NEXT[event.status]
                if start and start.message == event.message:
                    del begun[event.pid]
                    yield Run(self.name, event.message, start.time, event.time, outcome)
                else:  # older than what was read
                    yield Run(self.name, event.message, event.time - event.duration, event.time, outcome)
        for start in begun.values():
            yield self._unfinished(start)

    def _unfinished(self, start: _Event) -> Run:
        boot = next((boot for boot in self.boots if boot[0] <= start.time <= boot[1]), self.boots[-1])
        if boot != self.boots[-1]:
            return Run(self.name, start.message, start.time, boot[1], "failed")  # it ended with its host
        return Run(self.name, start.message, start.time, None, "running" if start.pid in self.running else "failed")

    def faults(self, begin: float) -> Iterator[Fault]:
        """What befell it, and what its state changed for."""
        with_boot = self.since is not None and self.boots[0][0] > self.since - MINUTE  # there was nothing to log before
        if self.since is None or (self.since > begin + MINUTE and not with_boot):
            yield Fault(self.name, begin, self.since, "no log of this time, or more lines than are read")
        for booted, _end in self.boots:
            yield Fault(self.name, booted, None, "booted")
        for event in self.events:
            if event.status == "changed":
                yield Fault(self.name, event.time, None, f"{event.state}, {event.message}")
            elif event.status == "pinned":
                yield Fault(self.name, event.time, None, f"pinned {event.state} until {event.message}")
            elif event.status == "unpinned":
                yield Fault(self.name, event.time, None, f"unpinned, {event.state}")
        # The same is told by each job: once is enough.
        often: dict[str, list[float]] = defaultdict(list)
        for event in self.events:
            if event.time >= begin and event.status in ("warning", "stale"):
                often[event.message if event.status == "warning" else "the state was stale"].append(event.time)
        for what, times in often.items():
            if len(times) == 1:
                yield Fault(self.name, times[0], None, what)
            else:
                yield Fault(self.name, times[0], times[-1], f"{what} (logged {len(times)} times)")
        if self.off:
            way = "ahead of" if self.off > 0 else "behind"
            yield Fault(self.name, self.now, None, f"its clock is {abs(self.off):.1f} s {way} the others: corrected")


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) > 1e11:
        raise ValueError(f"{value!r} is no time")
    return number


def _state(value: Any) -> str:
    if value not in STATES:
        raise ValueError(f"{value!r} is no state")
    return str(value)


def model(hosts: Mapping[str, Info], hours: float = 3, cluster: str | None = None) -> Timeline:
    """Build the timeline of a cluster.

    :param hosts: what rcron_info's task registered for each host, with its `events`; failures included.
    :param hours: how many hours it goes back, from when the hosts were asked.
    :param cluster: the cluster's name, needed where the hosts have several.

    Raises AnsibleFilterError where that cannot be told.
    """
    silent = {name: _why(info) for name, info in hosts.items() if "events" not in info}
    answered = {}
    for name, info in hosts.items():
        if name not in silent:
            try:
                _Host(name, info, str(cluster), _finite(info["clock_offset"]) + _finite(info["clock_uncertainty"]))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
                silent[name] = "what it says is not what rcron_info says"
            else:
                answered[name] = info
    if not answered:
        why = "; ".join(f"{name}: {what}" for name, what in silent.items())
        raise AnsibleFilterError(f"rcron_timeline: no host has answered ({why or 'there is none'})")
    cluster = cluster or _only_cluster(answered)
    offs = _clocks(answered)
    told = [_Host(name, info, cluster, offs[name]) for name, info in answered.items()]
    end = median(host.now for host in told)
    begin = (end - hours * HOUR) // MINUTE * MINUTE
    end = max(end, max(host.now for host in told if host.now < end + MINUTE))
    bands = [band for host in told for band in host.bands(begin)]
    bands += [Band(name, begin, end, "unknown") for name in silent]
    faults = [fault for host in told for fault in host.faults(begin)]
    faults += [Fault(name, end, None, why) for name, why in silent.items()]
    runs = [run for host in told for run in host.runs()]
    lost = [] if silent else _lost(told, runs, max(begin, *(host.since or end for host in told)))
    title = f"{cluster}: who was active, and what ran where"
    return Timeline(title, begin, end, list(hosts), bands, [*_doubled(runs), *lost], faults)


def _why(info: Info) -> str:
    said = " ".join(str(info.get("msg", "")).split()).removeprefix("Task failed: ")
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    return ": ".join(word for word in ("unreachable" if info.get("unreachable") else "not asked", said) if word)


def _only_cluster(answered: Mapping[str, Info]) -> str:
    deployed = {
        str(each["cluster_name"]) for info in answered.values() for each in info["clusters"] if not each["error"]
    }
    logged = {str(each["cluster"]) for info in answered.values() for each in info["events"] if each["cluster"]}
    names = sorted(deployed or logged)
    if len(names) == 1:
        return names[0]
    if not names:
        raise AnsibleFilterError(
            "rcron_timeline: no host has rcron, or a line of it in its log: deploy it first, with rcron.cluster.site"
        )
    raise AnsibleFilterError(
        f"rcron_timeline: the hosts have the clusters {', '.join(names)}: name the one that is to be drawn, "
        "with -e rcron_timeline_cluster=NAME"
    )


def _clocks(answered: Mapping[str, Info]) -> dict[str, float]:
    """How far each host's clock is ahead of the middle one, in seconds, where that is certain; else 0."""
    middle = median(float(info["clock_offset"]) for info in answered.values())
    offs = {name: float(info["clock_offset"]) - middle for name, info in answered.items()}
    return {
        name: off if abs(off) - float(answered[name]["clock_uncertainty"]) > CLOCKS else 0.0
        for name, off in offs.items()
    }


def _minute(run: Run) -> int:
    return int((run.begin + EARLY) // MINUTE)


def _by_minute(runs: list[Run]) -> dict[tuple[str, int], list[Run]]:
    found = defaultdict(list)
    for run in runs:
        found[run.job, _minute(run)].append(run)
    return found


def _doubled(runs: list[Run]) -> list[Run]:
    """The runs, those of a job that several hosts began in the same minute marked."""
    begun = _by_minute([run for run in runs if run.outcome != "ignored"])
    twice = {key for key, same in begun.items() if len({run.node for run in same}) > 1}
    return [
        run._replace(outcome="doubled") if run.outcome != "ignored" and (run.job, _minute(run)) in twice else run
        for run in runs
    ]


def _lost(hosts: list[_Host], runs: list[Run], since: float) -> list[Run]:
    """A job's minutes in which every host ignored it, or was down."""
    lost = []
    for (job, _number), same in sorted(_by_minute(runs).items()):
        first = min(run.begin for run in same)
        ignored = {run.node for run in same if run.outcome == "ignored"}
        nobody = all(run.outcome == "ignored" for run in same)
        if first >= since and nobody and all(host.name in ignored or host.was_down(first) for host in hosts):
            lost.append(Run("", job, first, None, "lost"))
    return lost


def rcron_timeline(hosts: Mapping[str, Info], hours: float = 3, cluster: str | None = None) -> str:
    """Return the picture, an SVG document."""
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"rcron_timeline: {hosts!r}: give a dict of hosts and what rcron_info said of them")
    try:
        back = float(hours)
    except (TypeError, ValueError):
        back = math.nan
    if not 0 < back <= MOST_HOURS:
        raise AnsibleFilterError(
            f"rcron_timeline: {hours!r} hours: give a number above 0, up to {MOST_HOURS} (rcron_timeline_hours)"
        )
    return timeline.draw(model(hosts, back, cluster or None))


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, object]:
        return {"rcron_timeline": rcron_timeline}
