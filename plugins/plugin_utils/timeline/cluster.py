# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's timeline, put together from the answers of its hosts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import median

from ..clocks import certainly_off
from .history import MINUTE, History, Info, finite
from .records import Band, Fault, Run, Timeline
from .text import cut, shown

#: By how many seconds a host's clock must certainly be off for its times to be corrected.
CLOCKS = 0.5

#: How many seconds before a full minute a run may begin to count for that minute: clocks differ by as much.
EARLY = 2.0

HOUR = 3600
MOST_HOURS = 24 * 31
LONGEST = 80  # characters of the reason why a host has no answer
MOST_NAMED, MOST_OF_A_NAME = 8, 40  # clusters that a message names, and characters of each


class TimelineError(Exception):
    """There is no timeline. The message gives the reason and the fix."""


def timeline_of(hosts: Mapping[str, Info], hours: float = 3, cluster: str | None = None) -> Timeline:
    """Build a cluster's timeline.

    Args:
        hosts: What rcron_info's task registered for each host, with its `events`; failures included.
        hours: How many hours it goes back from when the hosts were asked, up to MOST_HOURS.
        cluster: The cluster's name; necessary if the hosts have several.

    Raises:
        TimelineError: No host has answered, or none of the clusters is meant.
    """
    silent = {name: _reason(info) for name, info in hosts.items() if "events" not in info}
    answers = {}
    for name, info in hosts.items():
        if name not in silent:
            try:
                History(name, info, str(cluster), finite(info["clock_offset"]) + finite(info["clock_uncertainty"]))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
                silent[name] = "its answer is not one of rcron_info"
            else:
                answers[name] = info
    if not answers:
        why = "; ".join(f"{name}: {what}" for name, what in silent.items())
        raise TimelineError(f"no host has answered ({why or 'there is none'})")
    cluster = cluster or _only_cluster(answers)
    offs = _clocks(answers)
    histories = [History(name, info, cluster, offs[name]) for name, info in answers.items()]
    end = median(host.now for host in histories)
    begin = (end - hours * HOUR) // MINUTE * MINUTE
    end = max(end, max(host.now for host in histories if host.now < end + MINUTE))
    bands = [band for host in histories for band in host.bands(begin)]
    bands += [Band(name, begin, end, "unknown") for name in silent]
    faults = [fault for host in histories for fault in host.faults(begin)]
    faults += [Fault(name, end, None, why) for name, why in silent.items()]
    runs = [run for host in histories for run in host.runs()]
    complete_since = max(begin, *(host.since or end for host in histories))
    lost = [] if silent else _lost(histories, runs, complete_since)
    title = f"{cluster}: who was active, and what ran where"
    return Timeline(title, begin, end, list(hosts), bands, [*_doubled(runs), *lost], faults)


def _reason(info: Info) -> str:
    """Return why a host has no answer."""
    message = shown(" ".join(str(info.get("msg", "")).split()).removeprefix("Task failed: "))
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
    return ": ".join(word for word in ("unreachable" if info.get("unreachable") else "not asked", message) if word)


def _only_cluster(answers: Mapping[str, Info]) -> str:
    deployed, logged = defaultdict(list), defaultdict(list)
    for host, info in answers.items():
        for name in dict.fromkeys(str(each["cluster_name"]) for each in info["clusters"] if not each["error"]):
            deployed[name].append(host)
        for name in dict.fromkeys(str(each["cluster"]) for each in info["events"] if each["cluster"]):
            logged[name].append(host)
    found = deployed or logged
    # Those of the most hosts first: one that somebody has taken over may name as many as he likes.
    names = sorted(found, key=lambda name: (-len(found[name]), name))
    if len(names) == 1:
        return names[0]
    if not names:
        raise TimelineError("no host has rcron, or a line of it in its log: deploy it first, with rcron.cluster.site")
    named = ", ".join(
        f"{cut(shown(name), MOST_OF_A_NAME)} (on {', '.join(found[name][:3])})" for name in names[:MOST_NAMED]
    )
    if len(names) > MOST_NAMED:
        named += f" and {len(names) - MOST_NAMED} more"
    raise TimelineError(
        f"the hosts have the clusters {named}: name the one to draw, with -e rcron_timeline_cluster=NAME"
    )


def _clocks(answers: Mapping[str, Info]) -> dict[str, float]:
    """Return by how many seconds each host's clock is certainly ahead of the median; 0 if that is not certain."""
    return {**dict.fromkeys(answers, 0.0), **certainly_off(answers, CLOCKS)}


def _minute(run: Run) -> int:
    return math.floor((run.begin + EARLY) / MINUTE)


def _by_minute(runs: list[Run]) -> dict[tuple[str, int], list[Run]]:
    found = defaultdict(list)
    for run in runs:
        found[run.job, _minute(run)].append(run)
    return found


def _doubled(runs: list[Run]) -> list[Run]:
    """Return the runs, with those marked that several hosts began in the same minute."""
    begun = _by_minute([run for run in runs if run.outcome != "ignored"])
    twice = {key for key, same in begun.items() if len({run.node for run in same}) > 1}
    return [
        run._replace(outcome="doubled") if run.outcome != "ignored" and (run.job, _minute(run)) in twice else run
        for run in runs
    ]


def _lost(hosts: list[History], runs: list[Run], since: float) -> list[Run]:
    """Return a run for each minute in which every host ignored a job or was down."""
    lost = []
    for (job, _number), same in sorted(_by_minute(runs).items()):
        first = min(run.begin for run in same)
        ignored = {run.node for run in same if run.outcome == "ignored"}
        nobody = all(run.outcome == "ignored" for run in same)
        if first >= since and nobody and all(host.name in ignored or host.was_down(first) for host in hosts):
            lost.append(Run("", job, first, None, "lost"))
    return lost
