# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the parts of a timeline's picture are: lanes, marks and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .records import Fault, Run, Timeline
from .text import SMALL, shown, width, wrapped

#: Outcomes in the order of their rows, the gravest last.
OUTCOMES = ("ok", "running", "ignored", "demoted", "failed", "doubled", "lost")

#: The lanes that belong to no node: runs that no node made, and events of the whole cluster.
NOBODY = "no node"
CLUSTER = "whole cluster"

WIDTH = 1000
LEFT, RIGHT = 150, 970  # of the time axis; node names are left of it, a last mark's number right of it
MARK = 10  # a mark's width and height
ROW = 13
BAND = 13
TRACK = 9  # above a lane's band, for the length of its faults
GAP = 9  # between lanes

LABEL = 44  # characters in a line of a fault's label
MOST_LABELS = 190  # the height up to which faults are labelled in place; beyond, they have numbers and a list
MOST_LISTED = 200  # faults


class Mark(NamedTuple):
    """A mark that stands for runs of one outcome.

    Attributes:
        x: The mark's centre.
        runs: The runs, of which the first is at x.
    """

    x: float
    runs: list[Run]


class Label(NamedTuple):
    """A fault's label.

    Attributes:
        fault: The fault.
        x: The place of the fault's line.
        lines: The label's text.
        left: The label's left edge.
        level: How far its lower edge is above the lanes.
    """

    fault: Fault
    x: float
    lines: list[str]
    left: float
    level: float

    @property
    def width(self) -> float:
        """The label's width."""
        return max(width(line, SMALL) for line in self.lines) + 6

    @property
    def height(self) -> float:
        """The label's height."""
        return len(self.lines) * (SMALL + 2) + 2


class Lane(NamedTuple):
    """A node's lane, or that of the whole cluster or of no node.

    Attributes:
        name: The node's name, CLUSTER or NOBODY.
        top: The upper edge.
        faults: The lane's faults.
        rows: For each outcome, the runs in its row.
    """

    name: str
    top: float
    faults: list[Fault]
    rows: dict[str, list[Run]]

    @property
    def band(self) -> float:
        """The upper edge of the band that shows the states."""
        return self.top + (TRACK if self.faults and self.name != CLUSTER else 0)

    @property
    def track(self) -> float:
        """The middle of the track that shows the faults."""
        return self.top + BAND / 2 if self.name == CLUSTER else self.top + TRACK - 5

    @property
    def first_row(self) -> float:
        """The upper edge of the first row of runs."""
        return self.band + BAND + 2

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.first_row + ROW * len(self.rows)


class Layout:
    """The parts of a timeline that are in the picture, and their places.

    Attributes:
        begin: Where the picture begins, in seconds since the epoch.
        end: Where it ends, which is never where it begins.
        span: How many seconds it shows.
        bands: The nodes' states in that time.
        runs: The runs in that time, in their order.
        faults: The faults in that time, in their order.
        nodes: All nodes that are named, in the order of their lanes.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.begin = timeline.begin
        self.span = max(timeline.end - timeline.begin, 0.001)
        self.end = self.begin + self.span
        self.bands = [band for band in timeline.bands if self._is_in(band.begin, band.end)]
        self.runs = sorted(
            (run for run in timeline.runs if self._is_in(run.begin, run.end)),
            key=lambda run: (run.begin, run.job, run.node, run.outcome),
        )
        self.faults = sorted(
            (fault for fault in timeline.faults if self._is_in(fault.begin, fault.end)),
            key=lambda fault: (fault.begin, fault.node, fault.text),
        )
        named = [item.node for part in (self.bands, self.runs, self.faults) for item in part if item.node]
        self.nodes = list(dict.fromkeys([*timeline.nodes, *named]))

    def _is_in(self, begin: float, end: float | None) -> bool:
        return begin <= self.end and (begin if end is None else end) >= self.begin

    def x(self, moment: float) -> float:
        """Return the place of a moment; of one outside the picture, the nearest edge."""
        return LEFT + (RIGHT - LEFT) * min(max((moment - self.begin) / self.span, 0.0), 1.0)

    def outcomes(self) -> list[str]:
        """Return the outcomes that there are, in their order."""
        return [outcome for outcome in OUTCOMES if any(run.outcome == outcome for run in self.runs)]

    def lanes(self, top: float) -> list[Lane]:
        """Lay out the lanes: the whole cluster's faults, the nodes, and the runs that no node made.

        Args:
            top: The first lane's upper edge.
        """
        names = [CLUSTER] if any(not fault.node for fault in self.faults) else []
        names += self.nodes
        names += [NOBODY] if any(not run.node for run in self.runs) else []
        lanes = []
        for index, name in enumerate(names):
            # A node may have one of these names too.
            whole, nobody = index == 0 and name == CLUSTER, index == len(names) - 1 and name == NOBODY
            node = "" if whole or nobody else name
            faults = [] if nobody else [fault for fault in self.faults if fault.node == node]
            runs = [] if whole else [run for run in self.runs if run.node == node]
            rows = {outcome: [run for run in runs if run.outcome == outcome] for outcome in OUTCOMES}
            lanes.append(Lane(name, top, faults, {outcome: found for outcome, found in rows.items() if found}))
            top = lanes[-1].bottom + GAP
        return lanes

    def marks(self, runs: Iterable[Run]) -> list[Mark]:
        """Return a mark for each run of a row; runs that would overlap share one."""
        marks: list[Mark] = []
        for run in runs:
            x = self.x(run.begin)
            if marks and x - MARK / 2 < marks[-1].x + _reach(len(marks[-1].runs)):
                marks[-1].runs.append(run)
            else:
                marks.append(Mark(x, [run]))
        return marks

    def lengths(self, runs: Sequence[Run], outcome: str) -> list[tuple[float, float]]:
        """Return where the lines begin and end that show how long the runs of a row took; overlapping ones are joined.

        Args:
            runs: The runs.
            outcome: Their outcome.
        """
        lasting = [
            (self.x(run.begin), self.x(self.end if run.end is None else run.end))
            for run in runs
            if run.end is not None or outcome == "running"
        ]
        return [(begin, end) for begin, end in _joined(lasting) if end - begin > MARK]

    def labels(self) -> tuple[list[Label], bool]:
        """Lay out the faults' labels.

        Returns:
            The labels, and whether they are only numbers of a list, because there is no room for their texts.
        """
        if len(self.faults) <= MOST_LISTED:
            labels = self._stacked([(fault, wrapped(sentence(fault), LABEL)) for fault in self.faults])
            if height(labels) <= MOST_LABELS:
                return labels, False
        numbered = [(fault, [str(index)]) for index, fault in enumerate(self.faults[:MOST_LISTED], 1)]
        return self._stacked(numbered), True

    def _stacked(self, labelled: Iterable[tuple[Fault, list[str]]]) -> list[Label]:
        """Lay labels out so that none overlaps, and that no line runs through another's label if that can be avoided.

        A label is right of its line, or left of it at the end of the picture, and above all that it would overlap.
        Taken from the right, a label that is right of its line cannot be above a line of a later fault.
        """
        right, left = [], []
        for fault, lines in labelled:
            label = Label(fault, self.x(fault.begin), lines, self.x(fault.begin), 0)
            if label.x + label.width <= WIDTH - 4:
                right.append(label)
            else:
                left.append(label._replace(left=label.x - label.width))
        placed: list[Label] = []
        for label in [*reversed(right), *left]:
            below = [
                other.level + other.height
                for other in placed
                if other.left < label.left + label.width + 2 and label.left < other.left + other.width + 2
            ]
            placed.append(label._replace(level=max(below, default=0)))
        return placed


def height(labels: Iterable[Label]) -> float:
    """Return how high the labels reach above the lanes."""
    return max((label.level + label.height for label in labels), default=0)


def sentence(fault: Fault) -> str:
    """Return a fault's text, after its node's name if it has one."""
    return shown(f"{fault.node}: {fault.text}" if fault.node else fault.text)


def _reach(runs: int) -> float:
    """Return how far a mark for a number of runs reaches to the right of its place, with the number beside it."""
    return MARK / 2 + 1 if runs == 1 else MARK / 2 + width(str(runs), SMALL) + 3


def _joined(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined
