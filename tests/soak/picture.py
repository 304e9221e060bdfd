# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A judged record, or a part of it, as the picture that playbooks/timeline.yml draws of a real cluster."""

from __future__ import annotations

from collections import defaultdict

from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline import picture, records
from oracle import Judgement
from record import Run


def draw(judged: Judgement, begin: float, end: float) -> str:
    """Draw what happened from one moment to another. begin, end: as in the record. Returns an SVG document."""
    record = judged.record
    wall = record.wall
    bands = [
        records.Band(node, wall + span.begin, wall + span.end, span.what)
        for node, lane in judged.lanes.items()
        for span in lane.during(begin, end)
    ]
    ticks: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for run in record.runs:
        if begin <= run.begun <= end:
            ticks[run.kind, run.tick].append(run)
    runs = []
    for (kind, tick), started in ticks.items():
        ran = [run for run in started if run.ran is not None]
        for run in started:
            outcome = "doubled" if run.ran is not None and len(ran) > 1 else _outcome(run)
            at = run.begun if run.ran is None else run.ran
            last = run.left or run.ended
            runs.append(
                records.Run(run.node, f"{kind} {tick}", wall + at, None if last is None else wall + last, outcome)
            )
        if not ran:
            runs.append(records.Run("", f"{kind} {tick}", wall + started[0].begun, None, "lost"))
    faults = [
        records.Fault(fault.node, wall + fault.begun, wall + fault.over, fault.kind)
        for fault in record.faults
        if fault.begun <= end and begin <= fault.over
    ]
    title = f"rcron's soak, {begin - record.begin:.0f} to {end - record.begin:.0f} s"
    return picture.draw(records.Timeline(title, wall + begin, wall + end, record.nodes, bands, runs, faults))


def _outcome(run: Run) -> str:
    if run.ran is None:
        return "ignored"
    if run.status is None:
        return "running"
    if run.status in (143, 137):
        return "demoted"
    return "failed" if run.status else "ok"
