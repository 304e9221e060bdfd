# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a timeline: one SVG document that needs no other file.

Each node has a lane: its state is a band, with a row of marks below it for each outcome of its runs. Faults are
labelled lines. Nothing is shown by colour alone: each state has its hatching, each outcome its shape and its row. The
colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can tell apart.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from .layout import BAND, GAP, LEFT, MARK, MOST_LISTED, RIGHT, ROW, WIDTH, Label, Lane, Layout, Mark, height, sentence
from .records import Band, Fault, Run, Timeline
from .svg import add, add_text, number
from .text import CELL, LARGE, MONOSPACE, NORMAL, SMALL, columns, cut, shown, width, wrapped

#: Each state's fill, and the colour of text on it.
STATES = {
    "active": ("#0072B2", "#fff"),
    "passive": ("#fff", "#000"),
    "down": ("url(#rcron-down)", "#000"),
    "unknown": ("url(#rcron-unknown)", "#000"),
}

#: Each outcome's colour and shape, a path around 0,0. The shapes differ in black and white too.
OUTCOMES = {
    "ok": ("#009E73", {"d": "M-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "fill": "#009E73"}),
    "running": ("#56B4E9", {"d": "M-3.5,-4L4.5,0L-3.5,4z", "fill": "#56B4E9", "stroke": "#000"}),
    "ignored": ("#555", {"d": "M-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z", "fill": "#fff", "stroke": "#555"}),
    "demoted": ("#E69F00", {"d": "M-4.5,-3.5L4.5,-3.5L0,4.5z", "fill": "#E69F00", "stroke": "#000"}),
    "failed": ("#D55E00", {"d": "M-3.5,-3.5L3.5,3.5M-3.5,3.5L3.5,-3.5", "stroke": "#D55E00", "stroke-width": "2.6"}),
    "doubled": ("#CC79A7", {"d": "M-4.5,-4h3.5v8h-3.5zM1,-4h3.5v8h-3.5z", "fill": "#CC79A7", "stroke": "#000"}),
    "lost": ("#F0E442", {"d": "M0,-5L5,0L0,5L-5,0z", "fill": "#F0E442", "stroke": "#000"}),
}

MOST_NAMED = 12  # runs that a mark's tooltip names
MOST_TICKS = 12

#: Seconds between two ticks of the axis.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def draw(timeline: Timeline) -> str:
    """Draw a timeline.

    Returns:
        An SVG document, WIDTH wide and as high as necessary. The same timeline gives the same document.

    Raises:
        ValueError: The timeline has an unknown state or outcome.
    """
    for what, known, given in (
        ("state", STATES, {band.state for band in timeline.bands}),
        ("outcome", OUTCOMES, {run.outcome for run in timeline.runs}),
    ):
        if not given <= known.keys():
            raise ValueError(f"unknown {what} {min(given - known.keys())!r}: use one of {', '.join(known)}")
    return _Picture(timeline).document()


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self.layout = Layout(timeline)
        self.title = shown(timeline.title)
        self.svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})

    def document(self) -> str:
        self._describe()
        self._define()
        page = add(self.svg, "rect", width=WIDTH, fill="#fff")
        add_text(self.svg, 12, 24, cut(self.title, int((WIDTH - 24) / (LARGE * CELL))), LARGE, weight="bold")
        add_text(self.svg, 12, 40, cut(self._summary(), int((WIDTH - 24) / (NORMAL * CELL))), NORMAL)

        labels, listed = self.layout.labels()
        lanes_top = 52 + height(labels) + 4
        lanes = self.layout.lanes(lanes_top)
        bottom = lanes[-1].bottom + GAP / 2 if lanes else lanes_top + GAP
        # From the back to the front.
        self._ticks(lanes_top, bottom)
        self._lines(labels, lanes, lanes_top, bottom)
        merged = [self._lane(lane) for lane in lanes]
        self._fault_tracks(lanes)
        self._write_labels(labels, lanes_top)
        end = self._legend(bottom + 42, any(merged))
        if listed:
            end = self._list(end + 8)
        page.set("height", number(end + 6))
        self.svg.set("viewBox", f"0 0 {WIDTH} {number(end + 6)}")
        self.svg.set("font-family", MONOSPACE)
        ET.indent(self.svg, space="")
        return ET.tostring(self.svg, encoding="unicode") + "\n"

    def _seconds(self, moment: float) -> str:
        return f"{moment - self.layout.begin:.{1 if self.layout.span < 600 else 0}f} s"

    def _describe(self) -> None:
        """Add the title and the description that screen readers use."""
        self.svg.set("aria-labelledby", "rcron-title rcron-desc")
        add(self.svg, "title", id="rcron-title").text = self.title
        faults = [f"{self._seconds(fault.begin)}: {sentence(fault)}." for fault in self.layout.faults[:MOST_LISTED]]
        add(self.svg, "desc", id="rcron-desc").text = " ".join([self._summary() + ".", *faults])

    def _summary(self) -> str:
        layout = self.layout
        counts = [f"{sum(run.outcome == outcome for run in layout.runs)} {outcome}" for outcome in layout.outcomes()]
        day = _clock(layout.begin, "%Y-%m-%d %H:%M:%S")
        same = day[:10] == _clock(layout.end, "%Y-%m-%d")
        until = _clock(layout.end, "%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S")
        return (
            f"{day} to {until} UTC; {_count(layout.nodes, 'node')}; "
            f"{_count(layout.runs, 'run')}{': ' * bool(counts)}{', '.join(counts)}; {_count(layout.faults, 'event')}"
        )

    def _define(self) -> None:
        defs = add(self.svg, "defs")
        for state, size, shape in (
            ("down", 5, {"d": "M-1,1L1,-1M0,5L5,0M4,6L6,4", "stroke": "#000", "stroke-width": "1"}),
            ("unknown", 5, {"d": "M1,1h1.4v1.4h-1.4z", "fill": "#000"}),
        ):
            pattern = add(defs, "pattern", id=f"rcron-{state}", width=size, height=size, patternUnits="userSpaceOnUse")
            add(pattern, "rect", width=size, height=size, fill="#fff")
            add(pattern, "path", **shape)
        for outcome, (_colour, shape) in OUTCOMES.items():
            add(defs, "path", id=f"rcron-{outcome}", **{"fill": "none", **shape})

    # Faults

    def _lines(self, labels: list[Label], lanes: list[Lane], top: float, bottom: float) -> None:
        """Draw a line from each label to its node's lane, or through all lanes."""
        ends = {lane.name: lane.band for lane in lanes}
        group = add(self.svg, "g", stroke="#444", stroke_width="0.7", stroke_dasharray="3,2")
        for label in labels:
            end = ends[label.fault.node] if label.fault.node else bottom
            add(group, "path", d=f"M{number(label.x)},{number(top - label.level - label.height)}V{number(end)}")

    def _write_labels(self, labels: list[Label], lanes_top: float) -> None:
        for label in labels:
            top = lanes_top - label.level - label.height
            group = add(self.svg, "g")
            add(group, "title").text = self._tooltip(label.fault)
            add(group, "rect", x=label.left + 0.6, y=top, width=label.width - 1.2, height=label.height - 1, fill="#fff")
            side, anchor = (3, "start") if label.left == label.x else (label.width - 3, "end")
            for index, line in enumerate(label.lines):
                add_text(group, label.left + side, top + (index + 1) * (SMALL + 2) - 2, line, SMALL, anchor)

    def _tooltip(self, fault: Fault) -> str:
        until = "" if fault.end is None else f" to {self._seconds(fault.end)}"
        return f"{self._seconds(fault.begin)}{until}: {sentence(fault)}"

    def _fault_tracks(self, lanes: list[Lane]) -> None:
        """Draw, at the upper edge of each lane, where its faults begin and how long they last."""
        for lane in lanes:
            y = lane.track
            for fault in lane.faults:
                x = self.layout.x(fault.begin)
                group = add(self.svg, "g")
                add(group, "title").text = self._tooltip(fault)
                if fault.end is not None and fault.begin < fault.end:
                    line = f"M{number(x)},{number(y)}H{number(self.layout.x(fault.end))}m0,-2.5v5"
                    add(group, "path", d=line, stroke="#000", fill="none", **{"stroke-width": "1.6"})
                add(group, "path", d=f"M{number(x - 3.5)},{number(y - 3)}h7l-3.5,7z")

    def _list(self, y: float) -> float:
        """List the faults that have only a number above the lanes. Returns the lower edge."""
        faults = self.layout.faults
        items = [
            f"{index:>3}  {_clock(fault.begin, '%H:%M:%S')}  {self._tooltip(fault)}"
            for index, fault in enumerate(faults[:MOST_LISTED], 1)
        ]
        if len(faults) > MOST_LISTED:
            items.append(f"     and {len(faults) - MOST_LISTED} more, which are not drawn")
        room = int((WIDTH - 24) / (SMALL * CELL))
        halves = 2 if all(columns(item) < room // 2 for item in items) else 1
        lines = [line for item in items for line in wrapped(item, room, "     ")]
        high = -(-len(lines) // halves)
        for index, line in enumerate(lines):
            column, row = divmod(index, high)
            add_text(self.svg, 12 + column * WIDTH / 2, y + (row + 1) * (SMALL + 3), line, SMALL)
        return y + high * (SMALL + 3)

    # Lanes

    def _lane(self, lane: Lane) -> bool:
        """Draw a lane. Returns whether any of its marks stands for several runs."""
        group = add(self.svg, "g")
        most = int((LEFT - 18) / (NORMAL * CELL))
        name = shown(lane.name)
        add(group, "title").text = name
        add_text(group, 12, lane.band + BAND - 3, cut(name, most), NORMAL, weight="bold")
        bands = [band for band in self.layout.bands if band.node == lane.name]
        for band in sorted(bands, key=lambda band: (band.begin, band.end)):
            self._band(band, lane.band)
        merged = False
        for index, (outcome, runs) in enumerate(lane.rows.items()):
            marks = self.layout.marks(runs)
            merged = merged or len(marks) < len(runs)
            self._row(outcome, runs, marks, lane.first_row + ROW * index + ROW / 2)
        return merged

    def _band(self, band: Band, y: float) -> None:
        x, end = self.layout.x(band.begin), self.layout.x(band.end)
        fill, ink = STATES[band.state]
        group = add(self.svg, "g")
        title = f"{shown(band.node)} {band.state}, {self._seconds(band.begin)} to {self._seconds(band.end)}"
        add(group, "title").text = title
        add(group, "rect", x=x, y=y, width=max(end - x, 0.5), height=BAND, fill=fill, stroke="#000", stroke_width="0.6")
        name = width(band.state, SMALL)
        if name + 8 > end - x:
            return
        if fill.startswith("url"):
            add(group, "rect", x=x + 3, y=y + 1.5, width=name + 4, height=BAND - 3, fill="#fff")
        add_text(group, x + 5, y + BAND - 3.5, band.state, SMALL, fill=ink)

    def _row(self, outcome: str, runs: list[Run], marks: list[Mark], y: float) -> None:
        colour, _shape = OUTCOMES[outcome]
        add_text(self.svg, LEFT - 8, y + 3, f"{len(runs)} {outcome}", SMALL, anchor="end")
        group = add(self.svg, "g")
        for begin, end in self.layout.lengths(runs, outcome):
            add(group, "path", d=f"M{number(begin)},{number(y)}H{number(end)}", stroke=colour, stroke_width="2")
            if outcome != "running":
                add(group, "path", d=f"M{number(end)},{number(y - 3.5)}v7", stroke="#000")
        for mark in marks:
            held = add(group, "g")
            add(held, "title").text = self._names(mark)
            if len(mark.runs) > 1:
                count = str(len(mark.runs))
                room = width(count, SMALL) + 2
                add(held, "rect", x=mark.x + 5, y=y - 4.5, width=room, height=MARK - 1, fill="#fff")
                add_text(held, mark.x + 6.5, y + 3, count, SMALL)
            add(held, "use", href=f"#rcron-{outcome}", x=mark.x, y=y)

    def _names(self, mark: Mark) -> str:
        """Return a mark's tooltip."""
        lines = []
        for run in mark.runs[:MOST_NAMED]:
            until = "" if run.end is None or run.outcome in ("ignored", "lost") else f" to {self._seconds(run.end)}"
            where = f" on {shown(run.node)}" if run.node else ""
            lines.append(f"{shown(run.job)}{where}: {run.outcome}, {self._seconds(run.begin)}{until}")
        if len(mark.runs) > MOST_NAMED:
            lines.append(f"and {len(mark.runs) - MOST_NAMED} more")
        return "\n".join(lines)

    # Axis and legend

    def _ticks(self, top: float, bottom: float) -> None:
        """Draw the axis below the lanes: seconds since the picture's begin, and the clock."""
        begin, span = self.layout.begin, self.layout.span
        add(self.svg, "path", d=f"M{LEFT},{number(bottom)}H{RIGHT}", stroke="#000")
        step = next((step for step in STEPS if span / step <= MOST_TICKS), STEPS[-1] * (span // 1e6 + 1))
        clock = "%H:%M" if step % 60 == 0 and begin % 60 == 0 else "%H:%M:%S"
        for index in range(int(span / step) + 1):
            seconds = index * step
            x = self.layout.x(begin + seconds)
            add(self.svg, "path", d=f"M{number(x)},{number(top)}V{number(bottom)}", stroke="#ddd")
            add(self.svg, "path", d=f"M{number(x)},{number(bottom)}v4", stroke="#000")
            add_text(self.svg, x, bottom + 14, f"{seconds:.0f} s", SMALL, anchor="middle")
            add_text(self.svg, x, bottom + 25, _clock(begin + seconds, clock), SMALL, anchor="middle", fill="#555")
        add_text(self.svg, 12, bottom + 14, "seconds", SMALL)
        add_text(self.svg, 12, bottom + 25, "UTC", SMALL, fill="#555")

    def _legend(self, y: float, merged: bool) -> float:
        """Explain the fills and shapes that are in the picture. Returns the lower edge."""
        x = 12.0
        for state, (fill, _ink) in STATES.items():
            if any(band.state == state for band in self.layout.bands):
                add(self.svg, "rect", x=x, y=y - 8, width=16, height=10, fill=fill, stroke="#000", stroke_width="0.6")
                add_text(self.svg, x + 20, y, state, SMALL)
                x += 20 + width(state, SMALL) + 14
        for outcome in self.layout.outcomes():
            add(self.svg, "use", href=f"#rcron-{outcome}", x=x + 5, y=y - 3)
            add_text(self.svg, x + 14, y, outcome, SMALL)
            x += 14 + width(outcome, SMALL) + 14
        if self.layout.faults:
            add(self.svg, "path", d=f"M{number(x + 1.5)},{number(y - 6)}h7l-3.5,7z")
            add_text(self.svg, x + 14, y, "event", SMALL)
        if merged:
            y += SMALL + 5
            note = "Runs that would overlap share a mark, with the number of runs beside it."
            add_text(self.svg, 12, y, note, SMALL)
        return y


def _count(items: Sequence[object], what: str) -> str:
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"


def _clock(moment: float, form: str) -> str:
    return time.strftime(form, time.gmtime(moment))
