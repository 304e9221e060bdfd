# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host did: its states, runs and events, read out of the answer of rcron_info."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .records import Band, Fault, Run

MINUTE = 60

STATES = ("active", "passive")

#: The outcome of a run, by the status of its last line.
OUTCOMES = {"ok": "ok", "fail": "failed"}

Info = Mapping[str, Any]


class _Event(NamedTuple):
    """A line of rcron's log, as rcron_info returns it, but with the cluster's time."""

    time: float
    pid: int
    status: str
    state: str | None
    message: str
    duration: int


class _Sighting(NamedTuple):
    """A moment at which a host's state is known.

    Attributes:
        time: The moment.
        state: `active` or `passive`.
        changed: Whether the state was another one before.
    """

    time: float
    state: str
    changed: bool


class History:
    """What a host's answer says about one cluster, by the cluster's clock.

    Attributes:
        name: The host's name.
        off: By how many seconds its clock is ahead of the cluster's.
        now: When it was asked.
        since: From when on its log is complete; None if it has no log.
    """

    def __init__(self, name: str, info: Info, cluster: str, off: float) -> None:
        """Read an answer.

        Raises:
            KeyError: It is not an answer of rcron_info.
            TypeError: Likewise.
            ValueError: Likewise.
            AttributeError: Likewise.
            IndexError: Likewise.
            OverflowError: Likewise.
        """
        self.name = name
        self.off = off
        self.now = finite(info["time"]) - off
        self.since = None if info["events_since"] is None else finite(info["events_since"]) - off
        self._running = {int(pid) for pid in info["running"]}
        self._boots = [(finite(boot["begin"]) - off, finite(boot["end"]) - off) for boot in info["boots"]]
        self._boots[-1] = self._boots[-1][0], self.now
        of_cluster = [event for event in info["events"] if event["cluster"] in (cluster, None)]
        self._events = sorted(
            (
                _Event(
                    finite(event["time"]) - off,
                    int(event["pid"]),
                    str(event["status"]),
                    None if event["state"] is None else _state(event["state"]),
                    str(event["message"]),
                    int(event["duration"] or 0),
                )
                for event in of_cluster
            ),
            key=lambda event: event.time,  # equal times stay in the log's order
        )
        self._cluster: Info = next(
            (each for each in info["clusters"] if not each["error"] and each["cluster_name"] == cluster), {}
        )
        self._sightings = list(self._sight())

    def was_down(self, moment: float) -> bool:
        """Return whether the host was down at a moment."""
        return any(down <= moment <= booted for (_booted, down), (booted, _down) in zip(self._boots, self._boots[1:]))

    def _sight(self) -> Iterator[_Sighting]:
        """Find the moments at which the log, and finally rcronctl, name a state."""
        pin: tuple[str, float | None] | None = None
        pinned = self._cluster.get("pin")
        if pinned and not any(event.status == "pinned" for event in self._events):  # a pin that is older than the log
            pin = _state(pinned["state"]), None if pinned["until"] is None else finite(pinned["until"]) - self.off
        fed: str | None = None
        last = -math.inf
        for event in self._events:
            last = event.time
            if pin and pin[1] is not None and pin[1] <= event.time:
                if fed:
                    yield _Sighting(pin[1], fed, changed=False)
                pin = None
            if event.status in ("changed", "confirmed"):
                fed = event.state
                if not pin and fed:
                    yield _Sighting(event.time, fed, changed=event.status == "changed")
            elif event.status in ("pinned", "unpinned") and event.state:
                pin = (event.state, self._pin_end(event.message)) if event.status == "pinned" else None
                yield _Sighting(event.time, event.state, changed=False)
            elif event.status == "start":
                yield _Sighting(event.time, "active", changed=False)
            elif event.status in ("ignore", "stale", "demoted"):
                yield _Sighting(event.time, "passive", changed=False)
        if pin and pin[1] is not None and last < pin[1] <= self.now and fed:
            last = pin[1]
            yield _Sighting(last, fed, changed=False)
        if self._cluster:
            yield _Sighting(max(self._current_since(), last), _state(self._cluster["state"]), changed=False)

    def _pin_end(self, message: str) -> float | None:
        try:
            return datetime.datetime.strptime(message, "%Y-%m-%d %H:%M:%S %z").timestamp() - self.off
        except (ValueError, OverflowError):
            return None

    def _current_since(self) -> float:
        """Return since when rcronctl's state has held, as far as that is known."""
        since = self._cluster["since"]
        feeder = self._cluster.get("feeder")
        if self._cluster["source"] == "stale" and feeder:
            since = finite(feeder["spoke"]) + int(self._cluster["settings"]["state_max_age"])
        elif self._cluster["source"] != "file":
            since = None
        return self.now if since is None else min(finite(since) - self.off, self.now)

    def bands(self, begin: float) -> list[Band]:
        """Return the host's states from a moment on."""
        sightings = self._sightings
        bands: list[Band] = []

        def add(start: float, end: float, state: str) -> None:
            if end <= max(start, begin):
                return
            if bands and bands[-1].state == state and bands[-1].end >= start:
                bands[-1] = bands[-1]._replace(end=end)
            else:
                bands.append(Band(self.name, max(start, begin), end, state))

        # rcronctl knows the state, and since when, also for a time before the log.
        first = min(self.since if self.since is not None else self.now, sightings[0].time if sightings else self.now)
        start = max(first, begin)
        if self._boots[0][0] <= start:
            add(begin, start, "unknown")
        for index, (booted, end) in enumerate(self._boots):
            here = [sighting for sighting in sightings if booted <= sighting.time <= end]
            if index or booted > first - MINUTE:  # a journal that is not persistent begins with its boot
                add(self._boots[index - 1][1] if index else begin, booted, "down" if index else "unknown")
                moment, state = booted, "passive"  # as it boots
            elif here:
                # A change says nothing about the state before: there may have been none, before the first deployment.
                moment, state = first, "unknown" if here[0].changed else here[0].state
            else:
                moment, state = first, "unknown"
            for sighting in here:
                add(moment, max(sighting.time, moment), state)
                moment, state = max(sighting.time, moment), sighting.state
            add(moment, end, state)
        return bands

    def runs(self) -> Iterator[Run]:
        """Return the host's runs, the ignored ones included."""
        begun: dict[int, _Event] = {}
        demoted: set[int] = set()
        for event in self._events:
            start = begun.get(event.pid)
            if event.status in ("ignore", "stale"):
                yield Run(self.name, event.message, event.time, None, "ignored")
            elif event.status == "start":
                if start:
                    yield self._unfinished(start)  # its process ID belongs to another process now
                begun[event.pid] = event
                demoted.discard(event.pid)
            elif event.status == "demoted":
                demoted.add(event.pid)
            elif event.status in OUTCOMES:
                outcome = "demoted" if event.pid in demoted else OUTCOMES[event.status]
                if start and start.message == event.message:
                    del begun[event.pid]
                    yield Run(self.name, event.message, start.time, event.time, outcome)
                else:  # it began before the part of the log that was read
                    yield Run(self.name, event.message, event.time - event.duration, event.time, outcome)
        for start in begun.values():
            yield self._unfinished(start)

    def _unfinished(self, start: _Event) -> Run:
        boot = next((boot for boot in self._boots if boot[0] <= start.time <= boot[1]), self._boots[-1])
        if boot != self._boots[-1]:
            return Run(self.name, start.message, start.time, boot[1], "failed")  # it ended with its host
        outcome = "running" if start.pid in self._running else "failed"
        return Run(self.name, start.message, start.time, None, outcome)

    def faults(self, begin: float) -> Iterator[Fault]:
        """Return the host's boots, changes of state, pins and warnings from a moment on."""
        # If the log begins with the boot, there was nothing to log before.
        with_boot = self.since is not None and self._boots[0][0] > self.since - MINUTE
        if self.since is None or (self.since > begin + MINUTE and not with_boot):
            yield Fault(self.name, begin, self.since, "no log of this time, or more lines than are read")
        for booted, _end in self._boots:
            yield Fault(self.name, booted, None, "booted")
        for event in self._events:
            if event.status == "changed":
                yield Fault(self.name, event.time, None, f"{event.state}, {event.message}")
            elif event.status == "pinned":
                yield Fault(self.name, event.time, None, f"pinned {event.state} until {event.message}")
            elif event.status == "unpinned":
                yield Fault(self.name, event.time, None, f"unpinned, {event.state}")
        # Every job logs the same warning: once is enough.
        repeated: dict[str, list[float]] = defaultdict(list)
        for event in self._events:
            if event.time >= begin and event.status in ("warning", "stale"):
                repeated[event.message if event.status == "warning" else "the state was stale"].append(event.time)
        for what, times in repeated.items():
            if len(times) == 1:
                yield Fault(self.name, times[0], None, what)
            else:
                yield Fault(self.name, times[0], times[-1], f"{what} (logged {len(times)} times)")
        if self.off:
            way = "ahead of" if self.off > 0 else "behind"
            yield Fault(self.name, self.now, None, f"its clock is {abs(self.off):.1f} s {way} the others: corrected")


def finite(value: Any) -> float:
    """Return a number of seconds.

    Raises:
        TypeError: The value is not a number.
        ValueError: It cannot be a time.
    """
    seconds = float(value)
    if not math.isfinite(seconds) or abs(seconds) > 1e11:
        raise ValueError(f"{value!r} is not a time")
    return seconds


def _state(value: Any) -> str:
    if value not in STATES:
        raise ValueError(f"{value!r} is not a state")
    return str(value)
