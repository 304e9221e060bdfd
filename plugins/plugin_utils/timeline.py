# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a cluster did in a stretch of time, and its picture: one SVG document that needs nothing beside it.

A lane per node; its state is a band, below it a row of marks for each outcome that its runs had; faults are labelled
lines. Nothing is told by colour alone: each state has its hatching, each outcome its shape and its row. The colours are
those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which the colour-blind can tell apart.

The geometry rests on text of a fixed width, so that labels which do not overlap here do not overlap anywhere.
"""

from __future__ import annotations

import time
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Band(NamedTuple):
    """A node's state for a while: `active`, `passive`, `down` or `unknown`. Times are seconds since the epoch."""

    node: str
    begin: float
    end: float
    state: str


class Run(NamedTuple):
    """A run of a job, or one that should have been.

    node: where; nothing for a run that no node made. begin, end: seconds since the epoch, end is None where none is
    known. outcome: `ok`, `failed`, `demoted` (ended because its node turned passive), `ignored`, `doubled` (another
    node ran it too), `lost` (no node ran it) or `running`.
    """

    node: str
    job: str
    begin: float
    end: float | None
    outcome: str


class Fault(NamedTuple):
    """What befell a node, or the whole cluster where `node` is nothing.

    begin, end: seconds since the epoch; end is None for what has no length. text: a few words.
    """

    node: str
    begin: float
    end: float | None
    text: str


class Timeline(NamedTuple):
    """What is drawn: the time from begin to end, in seconds since the epoch; what is outside of it is left out."""

    title: str
    begin: float
    end: float
    nodes: list[str]
    bands: list[Band]
    runs: list[Run]
    faults: list[Fault]


#: Each state's fill and what is written on it.
STATES = {
    "active": ("#0072B2", "#fff"),
    "passive": ("#fff", "#000"),
    "down": ("url(#rcron-down)", "#000"),
    "unknown": ("url(#rcron-unknown)", "#000"),
}

#: Each outcome's colour and shape, a path around 0,0, the gravest last. Each shape is another one in black and white.
OUTCOMES = {
    "ok": ("#009E73", {"d": "M-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "fill": "#009E73"}),
    "running": ("#56B4E9", {"d": "M-3.5,-4L4.5,0L-3.5,4z", "fill": "#56B4E9", "stroke": "#000"}),
    "ignored": ("#555", {"d": "M-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z", "fill": "#fff", "stroke": "#555"}),
    "demoted": ("#E69F00", {"d": "M-4.5,-3.5L4.5,-3.5L0,4.5z", "fill": "#E69F00", "stroke": "#000"}),
    "failed": ("#D55E00", {"d": "M-3.5,-3.5L3.5,3.5M-3.5,3.5L3.5,-3.5", "stroke": "#D55E00", "stroke-width": "2.6"}),
    "doubled": ("#CC79A7", {"d": "M-4.5,-4h3.5v8h-3.5zM1,-4h3.5v8h-3.5z", "fill": "#CC79A7", "stroke": "#000"}),
    "lost": ("#F0E442", {"d": "M0,-5L5,0L0,5L-5,0z", "fill": "#F0E442", "stroke": "#000"}),
}

#: Who ran what no node ran, in the place of a node's name.
NOBODY = "no node"
CLUSTER = "whole cluster"

WIDTH = 1000
LEFT, RIGHT = 150, 970  # of the stretch of time; node names stand left of it, a last mark's number right of it
MARK = 10  # a mark's width and height
ROW = 13
BAND = 13
TRACK = 9  # above a lane's band: how long its faults lasted
GAP = 9  # between lanes

#: A character's width, as a part of its height: monospaced fonts have 0.55 to 0.602.
CELL = 0.605
MONOSPACE = "DejaVu Sans Mono, Liberation Mono, Menlo, Consolas, monospace"
SMALL, NORMAL, LARGE = 9, 10.5, 15

LABEL = 44  # characters of a fault's label in a line
MOST_LABELS = 190  # the height up to which faults are labelled where they are; beyond, they have numbers and a list
MOST_LISTED = 200  # faults
LONGEST = 300  # characters of a job, a fault or a name
MOST_TOLD = 12  # runs that a mark's tooltip names
MOST_TICKS = 12

#: Seconds between two ticks of the axis.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class _Mark(NamedTuple):
    """A mark that stands for runs of one outcome."""

    x: float
    runs: list[Run]


class _Label(NamedTuple):
    """A fault's label: its line's place, its lines, its left edge, and how far its lower edge is above the lanes."""

    fault: Fault
    x: float
    lines: list[str]
    left: float
    level: float

    @property
    def width(self) -> float:
        return max(_width(line, SMALL) for line in self.lines) + 6

    @property
    def height(self) -> float:
        return len(self.lines) * (SMALL + 2) + 2


class _Lane(NamedTuple):
    """A node's lane: its upper edge, its faults, and the marks of each of its rows."""

    name: str
    top: float
    faults: list[Fault]
    rows: dict[str, list[Run]]

    @property
    def band(self) -> float:
        return self.top + (TRACK if self.faults and self.name != CLUSTER else 0)

    @property
    def track(self) -> float:
        return self.top + BAND / 2 if self.name == CLUSTER else self.top + TRACK - 5

    @property
    def first_row(self) -> float:
        return self.band + BAND + 2

    @property
    def bottom(self) -> float:
        return self.first_row + ROW * len(self.rows)


def draw(timeline: Timeline) -> str:
    """Draw a timeline.

    :returns: an SVG document, WIDTH wide, as high as it takes. The same timeline gives the same document.
    Raises ValueError for a state or an outcome that is none.
    """
    for what, known, given in (
        ("state", STATES, {band.state for band in timeline.bands}),
        ("outcome", OUTCOMES, {run.outcome for run in timeline.runs}),
    ):
        if not given <= known.keys():
            raise ValueError(f"{what} {min(given - known.keys())!r}: there is only {', '.join(known)}")
    return _Picture(timeline).document()


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self.begin = timeline.begin
        self.span = max(timeline.end - timeline.begin, 0.001)
        self.end = self.begin + self.span
        self.title = _shown(timeline.title)
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
        self.merged = False  # whether a mark stands for more than one run
        self.svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})

    def document(self) -> str:
        self._describe()
        self._define()
        page = _add(self.svg, "rect", width=WIDTH, fill="#fff")
        _text(self.svg, 12, 24, _cut(self.title, int((WIDTH - 24) / (LARGE * CELL))), LARGE, weight="bold")
        _text(self.svg, 12, 40, _cut(self._summary(), int((WIDTH - 24) / (NORMAL * CELL))), NORMAL)

        labels, listed = self._labels()
        lanes_top = 52 + max((label.level + label.height for label in labels), default=0) + 4
        lanes = self._lanes(lanes_top)
        bottom = lanes[-1].bottom + GAP / 2 if lanes else lanes_top + GAP
        # From the back to the front.
        self._ticks(lanes_top, bottom)
        self._lines(labels, lanes, lanes_top, bottom)
        for lane in lanes:
            self._lane(lane)
        self._fault_tracks(lanes)
        self._write_labels(labels, lanes_top)
        height = self._legend(bottom + 42)
        if listed:
            height = self._list(height + 8)
        page.set("height", _number(height + 6))
        self.svg.set("viewBox", f"0 0 {WIDTH} {_number(height + 6)}")
        self.svg.set("font-family", MONOSPACE)
        ET.indent(self.svg, space="")
        return ET.tostring(self.svg, encoding="unicode") + "\n"

    def _is_in(self, begin: float, end: float | None) -> bool:
        return begin <= self.end and (begin if end is None else end) >= self.begin

    def _x(self, moment: float) -> float:
        """Where a moment is; one outside of the picture is at its edge."""
        return LEFT + (RIGHT - LEFT) * min(max((moment - self.begin) / self.span, 0.0), 1.0)

    def _seconds(self, moment: float) -> str:
        return f"{moment - self.begin:.{1 if self.span < 600 else 0}f} s"

    def _describe(self) -> None:
        self.svg.set("aria-labelledby", "rcron-title rcron-desc")
        _add(self.svg, "title", id="rcron-title").text = self.title
        told = [self._summary() + "."]
        told += [f"{self._seconds(fault.begin)}: {_told(fault)}." for fault in self.faults[:MOST_LISTED]]
        _add(self.svg, "desc", id="rcron-desc").text = " ".join(told)

    def _summary(self) -> str:
        counts = [f"{sum(run.outcome == outcome for run in self.runs)} {outcome}" for outcome in self._used()]
        day = _clock(self.begin, "%Y-%m-%d %H:%M:%S")
        same = day[:10] == _clock(self.end, "%Y-%m-%d")
        until = _clock(self.end, "%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S")
        return (
            f"{day} to {until} UTC; {_count(self.nodes, 'node')}; "
            f"{_count(self.runs, 'run')}{': ' * bool(counts)}{', '.join(counts)}; {_count(self.faults, 'event')}"
        )

    def _used(self) -> list[str]:
        return [outcome for outcome in OUTCOMES if any(run.outcome == outcome for run in self.runs)]

    def _define(self) -> None:
        defs = _add(self.svg, "defs")
        for state, size, shape in (
            ("down", 5, {"d": "M-1,1L1,-1M0,5L5,0M4,6L6,4", "stroke": "#000", "stroke-width": "1"}),
            ("unknown", 5, {"d": "M1,1h1.4v1.4h-1.4z", "fill": "#000"}),
        ):
            pattern = _add(defs, "pattern", id=f"rcron-{state}", width=size, height=size, patternUnits="userSpaceOnUse")
            _add(pattern, "rect", width=size, height=size, fill="#fff")
            _add(pattern, "path", **shape)
        for outcome, (_colour, shape) in OUTCOMES.items():
            _add(defs, "path", id=f"rcron-{outcome}", **{"fill": "none", **shape})

    # Faults

    def _labels(self) -> tuple[list[_Label], bool]:
        """The faults' labels, and whether they are numbers of a list."""
        labels = self._stacked([(fault, _wrapped(_told(fault), LABEL)) for fault in self.faults])
        if max((label.level + label.height for label in labels), default=0) <= MOST_LABELS:
            return labels, False
        return self._stacked(
            [(fault, [str(number)]) for number, fault in enumerate(self.faults[:MOST_LISTED], 1)]
        ), True

    def _stacked(self, told: Iterable[tuple[Fault, list[str]]]) -> list[_Label]:
        """Lay labels out so that none overlaps, and that no line runs through another's label where that can be.

        A label stands right of its line, or left of it where the picture ends; each one above all that it would
        overlap. Taken from the right, a label that is right of its line cannot be above a line of a later fault.
        """
        right, left = [], []
        for fault, lines in told:
            label = _Label(fault, self._x(fault.begin), lines, self._x(fault.begin), 0)
            if label.x + label.width <= WIDTH - 4:
                right.append(label)
            else:
                left.append(label._replace(left=label.x - label.width))
        placed: list[_Label] = []
        for label in [*reversed(right), *left]:
            below = [
                other.level + other.height
                for other in placed
                if other.left < label.left + label.width + 2 and label.left < other.left + other.width + 2
            ]
            placed.append(label._replace(level=max(below, default=0)))
        return placed

    def _lines(self, labels: list[_Label], lanes: list[_Lane], top: float, bottom: float) -> None:
        ends = {lane.name: lane.band for lane in lanes}
        group = _add(self.svg, "g", stroke="#444", stroke_width="0.7", stroke_dasharray="3,2")
        for label in labels:
            to = ends[label.fault.node] if label.fault.node else bottom
            _add(group, "path", d=f"M{_number(label.x)},{_number(top - label.level - label.height)}V{_number(to)}")

    def _write_labels(self, labels: list[_Label], lanes_top: float) -> None:
        for label in labels:
            top = lanes_top - label.level - label.height
            group = _add(self.svg, "g")
            _add(group, "title").text = self._told_in_full(label.fault)
            _add(
                group, "rect", x=label.left + 0.6, y=top, width=label.width - 1.2, height=label.height - 1, fill="#fff"
            )
            side, anchor = (3, "start") if label.left == label.x else (label.width - 3, "end")
            for number, line in enumerate(label.lines):
                _text(group, label.left + side, top + (number + 1) * (SMALL + 2) - 2, line, SMALL, anchor)

    def _told_in_full(self, fault: Fault) -> str:
        until = "" if fault.end is None else f" to {self._seconds(fault.end)}"
        return f"{self._seconds(fault.begin)}{until}: {_told(fault)}"

    def _fault_tracks(self, lanes: list[_Lane]) -> None:
        """At the upper edge of a lane: where its faults begin, and how long they last."""
        for lane in lanes:
            y = lane.track
            for fault in lane.faults:
                x = self._x(fault.begin)
                group = _add(self.svg, "g")
                _add(group, "title").text = self._told_in_full(fault)
                if fault.end is not None and fault.begin < fault.end:
                    end = f"M{_number(x)},{_number(y)}H{_number(self._x(fault.end))}m0,-2.5v5"
                    _add(group, "path", d=end, stroke="#000", fill="none", **{"stroke-width": "1.6"})
                _add(group, "path", d=f"M{_number(x - 3.5)},{_number(y - 3)}h7l-3.5,7z")

    def _list(self, y: float) -> float:
        """The faults that have only a number above the lanes. Returns the lower edge."""
        told = [
            f"{number:>3}  {_clock(fault.begin, '%H:%M:%S')}  {self._told_in_full(fault)}"
            for number, fault in enumerate(self.faults[:MOST_LISTED], 1)
        ]
        if len(self.faults) > MOST_LISTED:
            told.append(f"     and {len(self.faults) - MOST_LISTED} more, which are not drawn")
        width = int((WIDTH - 24) / (SMALL * CELL))
        columns = 2 if all(_columns(line) < width // 2 for line in told) else 1
        lines = [line for text in told for line in _wrapped(text, width, "     ")]
        high = -(-len(lines) // columns)
        for number, line in enumerate(lines):
            column, row = divmod(number, high)
            _text(self.svg, 12 + column * WIDTH / 2, y + (row + 1) * (SMALL + 3), line, SMALL)
        return y + high * (SMALL + 3)

    # Lanes

    def _lanes(self, top: float) -> list[_Lane]:
        """Where each lane is: the whole cluster's faults, the nodes, and the runs that no node made."""
        wanted = [CLUSTER] if any(not fault.node for fault in self.faults) else []
        wanted += self.nodes
        wanted += [NOBODY] if any(not run.node for run in self.runs) else []
        lanes = []
        for number, name in enumerate(wanted):
            whole, nobody = number == 0 and name == CLUSTER, number == len(wanted) - 1 and name == NOBODY
            node = "" if whole or nobody else name
            faults = [] if nobody else [fault for fault in self.faults if fault.node == node]
            runs = [] if whole else [run for run in self.runs if run.node == node]
            rows = {outcome: [run for run in runs if run.outcome == outcome] for outcome in OUTCOMES}
            lanes.append(_Lane(name, top, faults, {outcome: found for outcome, found in rows.items() if found}))
            top = lanes[-1].bottom + GAP
        return lanes

    def _lane(self, lane: _Lane) -> None:
        group = _add(self.svg, "g")
        most = int((LEFT - 18) / (NORMAL * CELL))
        name = _shown(lane.name)
        _add(group, "title").text = name
        _text(group, 12, lane.band + BAND - 3, _cut(name, most), NORMAL, weight="bold")
        bands = [band for band in self.bands if band.node == lane.name]
        for band in sorted(bands, key=lambda band: (band.begin, band.end)):
            self._band(band, lane.band)
        for number, (outcome, runs) in enumerate(lane.rows.items()):
            self._row(outcome, runs, lane.first_row + ROW * number + ROW / 2)

    def _band(self, band: Band, y: float) -> None:
        x, end = self._x(band.begin), self._x(band.end)
        fill, ink = STATES[band.state]
        group = _add(self.svg, "g")
        _add(
            group, "title"
        ).text = f"{_shown(band.node)} {band.state}, {self._seconds(band.begin)} to {self._seconds(band.end)}"
        _add(
            group, "rect", x=x, y=y, width=max(end - x, 0.5), height=BAND, fill=fill, stroke="#000", stroke_width="0.6"
        )
        width = _width(band.state, SMALL)
        if width + 8 > end - x:
            return
        if fill.startswith("url"):
            _add(group, "rect", x=x + 3, y=y + 1.5, width=width + 4, height=BAND - 3, fill="#fff")
        _text(group, x + 5, y + BAND - 3.5, band.state, SMALL, fill=ink)

    def _row(self, outcome: str, runs: list[Run], y: float) -> None:
        colour, _shape = OUTCOMES[outcome]
        _text(self.svg, LEFT - 8, y + 3, f"{len(runs)} {outcome}", SMALL, anchor="end")
        group = _add(self.svg, "g")
        lasting = [
            (self._x(run.begin), self._x(self.end if run.end is None else run.end))
            for run in runs
            if run.end is not None or outcome == "running"
        ]
        for begin, end in _joined(lasting):
            if end - begin > MARK:
                _add(group, "path", d=f"M{_number(begin)},{_number(y)}H{_number(end)}", stroke=colour, stroke_width="2")
                if outcome != "running":
                    _add(group, "path", d=f"M{_number(end)},{_number(y - 3.5)}v7", stroke="#000")
        for mark in self._marks(runs):
            held = _add(group, "g")
            _add(held, "title").text = self._told_of(mark)
            if len(mark.runs) > 1:
                count = str(len(mark.runs))
                _add(
                    held, "rect", x=mark.x + 5, y=y - 4.5, width=_width(count, SMALL) + 2, height=MARK - 1, fill="#fff"
                )
                _text(held, mark.x + 6.5, y + 3, count, SMALL)
            _add(held, "use", href=f"#rcron-{outcome}", x=mark.x, y=y)

    def _marks(self, runs: list[Run]) -> list[_Mark]:
        """A mark for each run, or for as many of them as would overlap it."""
        marks: list[_Mark] = []
        for run in runs:
            x = self._x(run.begin)
            if marks and x - MARK / 2 < marks[-1].x + _reach(len(marks[-1].runs)):
                marks[-1].runs.append(run)
                self.merged = True
            else:
                marks.append(_Mark(x, [run]))
        return marks

    def _told_of(self, mark: _Mark) -> str:
        lines = []
        for run in mark.runs[:MOST_TOLD]:
            until = "" if run.end is None or run.outcome in ("ignored", "lost") else f" to {self._seconds(run.end)}"
            where = f" on {_shown(run.node)}" if run.node else ""
            lines.append(f"{_shown(run.job)}{where}: {run.outcome}, {self._seconds(run.begin)}{until}")
        if len(mark.runs) > MOST_TOLD:
            lines.append(f"and {len(mark.runs) - MOST_TOLD} more")
        return "\n".join(lines)

    # What is around

    def _ticks(self, top: float, bottom: float) -> None:
        """The axis below the lanes: seconds since the picture's begin, and the clock."""
        _add(self.svg, "path", d=f"M{LEFT},{_number(bottom)}H{RIGHT}", stroke="#000")
        step = next((step for step in STEPS if self.span / step <= MOST_TICKS), STEPS[-1] * (self.span // 1e6 + 1))
        clock = "%H:%M" if step % 60 == 0 and self.begin % 60 == 0 else "%H:%M:%S"
        for number in range(int(self.span / step) + 1):
            seconds = number * step
            x = self._x(self.begin + seconds)
            _add(self.svg, "path", d=f"M{_number(x)},{_number(top)}V{_number(bottom)}", stroke="#ddd")
            _add(self.svg, "path", d=f"M{_number(x)},{_number(bottom)}v4", stroke="#000")
            _text(self.svg, x, bottom + 14, f"{seconds:.0f} s", SMALL, anchor="middle")
            _text(self.svg, x, bottom + 25, _clock(self.begin + seconds, clock), SMALL, anchor="middle", fill="#555")
        _text(self.svg, 12, bottom + 14, "seconds", SMALL)
        _text(self.svg, 12, bottom + 25, "UTC", SMALL, fill="#555")

    def _legend(self, y: float) -> float:
        """What the fills and shapes mean that are in the picture. Returns the lower edge."""
        x = 12.0
        for state, (fill, _ink) in STATES.items():
            if any(band.state == state for band in self.bands):
                _add(self.svg, "rect", x=x, y=y - 8, width=16, height=10, fill=fill, stroke="#000", stroke_width="0.6")
                _text(self.svg, x + 20, y, state, SMALL)
                x += 20 + _width(state, SMALL) + 14
        for outcome in self._used():
            _add(self.svg, "use", href=f"#rcron-{outcome}", x=x + 5, y=y - 3)
            _text(self.svg, x + 14, y, outcome, SMALL)
            x += 14 + _width(outcome, SMALL) + 14
        if self.faults:
            _add(self.svg, "path", d=f"M{_number(x + 1.5)},{_number(y - 6)}h7l-3.5,7z")
            _text(self.svg, x + 14, y, "event", SMALL)
        if self.merged:
            y += SMALL + 5
            told = "Runs that would overlap share a mark; the number beside it tells how many they are."
            _text(self.svg, 12, y, told, SMALL)
        return y


def _told(fault: Fault) -> str:
    return _shown(f"{fault.node}: {fault.text}" if fault.node else fault.text)


def _count(items: Sequence[object], what: str) -> str:
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"


def _reach(runs: int) -> float:
    """How far a mark for so many runs reaches to the right of its place, with what is beside it."""
    return MARK / 2 + 1 if runs == 1 else MARK / 2 + _width(str(runs), SMALL) + 3


def _joined(lasting: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(lasting):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _clock(moment: float, form: str) -> str:
    return time.strftime(form, time.gmtime(moment))


def _shown(text: str) -> str:
    """Text from who knows where, with every character that XML forbids, or that is not to be seen, as an escape."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _width(text: str, size: float) -> float:
    return _columns(text) * size * CELL


def _cut(text: str, most: int) -> str:
    """Text of at most so many columns; the middle goes first, as ends tell names apart."""
    if _columns(text) <= most:
        return text
    head, tail = text, ""
    while _columns(head) > most - most // 3 - 1:
        head = head[:-1]
    for char in reversed(text):
        if _columns(char + tail) > most // 3:
            break
        tail = char + tail
    return f"{head}…{tail}"


def _wrapped(text: str, most: int, indent: str = "") -> list[str]:
    """Text as lines of at most so many columns, broken at blanks where there are any."""
    lines = [""]
    for word in text.split(" "):
        left = word
        if lines[-1] and _columns(f"{lines[-1]} {word}") > most:
            lines.append(indent)
            joint = ""
        else:
            joint = " " if lines[-1].strip() or not word else ""
        while _columns(lines[-1] + joint + left) > most:
            room = max(most - _columns(lines[-1] + joint), 1)
            part = left[:room]
            while _columns(part) > room and len(part) > 1:
                part = part[:-1]
            lines[-1] += joint + part
            left = left[len(part) :]
            lines.append(indent)
            joint = ""
        lines[-1] += joint + left
    return [line for line in lines if line.strip()] or [""]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    """Add an element; a `_` in an attribute's name is a hyphen, and numbers are rounded."""
    return ET.SubElement(
        parent,
        tag,
        {
            name.replace("_", "-"): _number(value) if isinstance(value, (int, float)) else str(value)
            for name, value in attributes.items()
        },
    )


def _text(
    parent: ET.Element,
    x: float,
    y: float,
    text: str,
    size: float,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = "#000",
) -> None:
    given: dict[str, object] = {"x": x, "y": y, "font_size": size}
    for name, value, usual in (
        ("text_anchor", anchor, "start"),
        ("font_weight", weight, "normal"),
        ("fill", fill, "#000"),
    ):
        if value != usual:
            given[name] = value
    if not text.isascii():
        # A fallback font need not keep to the width.
        given["textLength"] = _width(text, size)
        given["lengthAdjust"] = "spacingAndGlyphs"
    if "  " in text:
        given["xml:space"] = "preserve"
    _add(parent, "text", **given).text = text
