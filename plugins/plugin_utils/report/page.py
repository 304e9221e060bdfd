# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page about clusters: one HTML document that needs no other file, and no network.

All that hosts have said is text of the document's tree, which the standard library's serializer escapes, or part of one
block of JSON without `<`. The policy in the page's head lets nothing run or load but the script and the styles that
are in it.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import pathlib
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from ..answer import LATEST
from ..timeline.picture import OUTCOMES
from ..timeline.records import Timeline
from ..timeline.text import shown
from .jobs import BAD, Job, Past

FOLDER = pathlib.Path(__file__).parent

#: The most rows of a table, runs and events that the page shows.
MOST_ROWS, MOST_RUNS, MOST_EVENTS, MOST_LISTED = 5000, 20000, 5000, 300

#: The runs that a job's plot shows, its width and its height.
MOST_BARS, WIDE, HIGH = 24, 120, 24

HOUR = 3600

#: What a job's last run means, by its outcome.
WORDS = {
    "lost": "no host ran it",
    "failed": "failed",
    "doubled": "ran on several hosts",
    "demoted": "ended: its host turned passive",
    "running": "running",
    "ok": "ok",
    "": "no run known",
}


class Cluster(NamedTuple):
    """A cluster.

    Attributes:
        name: Its name; empty for the hosts that have none or have not answered.
        active: The active hosts, each with when that began, in seconds since the epoch, or None.
        heading: The columns of the hosts' table.
        hosts: Its rows, those with a problem first.
        jobs: The jobs, those with a problem first.
        timeline: What happened; None if it is not known.
        why: Why it is not known.
    """

    name: str
    active: Sequence[tuple[str, float | None]]
    heading: Sequence[str]
    hosts: Sequence[Sequence[str]]
    jobs: Sequence[Job]
    timeline: Timeline | None
    why: str


class Report(NamedTuple):
    """What the page shows.

    Attributes:
        now: When it was asked for, in seconds since the epoch.
        hours: How many hours the runs and events go back.
        problems: A host, a cluster and a sentence each.
        clusters: The clusters.
    """

    now: float
    hours: float
    problems: Sequence[tuple[str, str, str]]
    clusters: Sequence[Cluster]


def html(report: Report) -> str:
    """Return a report as an HTML document."""
    return _Page(report).document()


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """Add an element. A `_` in an attribute's name becomes a hyphen, at its end it is dropped."""
    given = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    element = ET.SubElement(parent, tag, given)
    element.text = shown(text)
    return element


class _Page:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.root = ET.Element("html", {"lang": "en"})
        self.timelines: list[dict[str, object]] = []

    def document(self) -> str:
        style, script = (_read(name) for name in ("page.css", "page.js"))
        names = [cluster.name for cluster in self.report.clusters if cluster.name]
        title = f"rcron: {', '.join(names) or 'no cluster'}"
        head = _add(self.root, "head")
        _add(head, "meta", charset="utf-8")
        policy = f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}"
        _add(head, "meta", http_equiv="Content-Security-Policy", content=policy)
        _add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
        _add(head, "title", title)
        _add(head, "link", rel="icon", href="data:,")  # or a browser asks a server for one
        _add(head, "style").text = style
        body = _add(self.root, "body")
        self._head(body, title)
        main = _add(body, "main")
        self._problems(main)
        for number, cluster in enumerate(self.report.clusters):
            self._cluster(main, cluster, number)
        self._hatchings(body)
        data = {
            "offsets": _offsets(self.report.now - self.report.hours * HOUR - HOUR, self.report.now),
            "shapes": {outcome: shape["d"] for outcome, (_colour, shape) in OUTCOMES.items()},
            "timelines": self.timelines,
        }
        held = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
        _add(body, "script", type="application/json", id="data").text = held.replace("&", "\\u0026")
        _add(body, "script").text = script
        return "<!DOCTYPE html>\n" + ET.tostring(self.root, encoding="unicode", method="html") + "\n"

    def _head(self, body: ET.Element, title: str) -> None:
        header = _add(body, "header")
        _add(header, "h1", title)
        line = _add(header, "p", "As of ")
        _moment(line, self.report.now).tail = (
            f" ({time.strftime('%Z, UTC%z', time.localtime(self.report.now))}, as all times here); runs and events of "
            f"the last {self.report.hours:g} hours."
        )
        named = [(number, cluster) for number, cluster in enumerate(self.report.clusters) if cluster.name]
        if len(named) > 1:
            links = _add(header, "nav", aria_label="Clusters")
            for number, cluster in named:
                _add(links, "a", cluster.name, href=f"#cluster-{number}")
        tools = _add(header, "div", class_="tools script", hidden="hidden")
        _add(tools, "label", "Show only rows with", for_="filter")
        _add(tools, "input", type="search", id="filter")
        _add(tools, "span", id="filtered", role="status")

    def _problems(self, main: ET.Element) -> None:
        section = _add(main, "section", aria_labelledby="problems")
        found = self.report.problems
        _add(section, "h2", f"Problems: {len(found)}" if found else "No problems", id="problems")
        if found:
            _table(section, "What is wrong, as the playbook status sees it", ("Host", "Cluster", "Problem"), found)

    def _cluster(self, main: ET.Element, cluster: Cluster, number: int) -> None:
        title = f"cluster-{number}"
        section = _add(main, "section", aria_labelledby=title)
        _add(section, "h2", f"Cluster {cluster.name}" if cluster.name else "Hosts without a cluster", id=title)
        if cluster.name:
            _active(section, cluster)
        bad = {host for host, _cluster, _what in self.report.problems}
        of_it = f" of {cluster.name}" if cluster.name else ""
        _table(
            section, f"Hosts{of_it}", cluster.heading, cluster.hosts, {row[0] for row in cluster.hosts if row[0] in bad}
        )
        if cluster.jobs:
            self._jobs(section, cluster)
        if cluster.timeline:
            self._timeline(section, cluster, cluster.timeline)
        elif cluster.why:
            _add(section, "p", f"There is no timeline: {cluster.why}", class_="faint")

    def _jobs(self, section: ET.Element, cluster: Cluster) -> None:
        jobs = cluster.jobs
        heading = (
            "Job",
            "Last outcome",
            "Last run",
            "On",
            "Last success",
            "Due next",
            "Seconds",
            "How long",
            "Who ran it",
        )
        body = _table(section, f"Jobs of {cluster.name}: {len(jobs)}", heading, [])
        for job in jobs[:MOST_ROWS]:
            row = _add(body, "tr", class_="is-bad") if job.outcome in BAD else _add(body, "tr")
            name = _add(row, "th", job.title, scope="row")
            if job.names:
                _add(name, "code", job.command)
            about = "; ".join(filter(None, [", ".join(job.schedules), ", ".join(job.users)]))
            if about:
                _add(name, "code", about)
            last, success = job.last, job.success
            words = WORDS[job.outcome]
            if job.outcome == "failed" and last and last.exit:
                words += f", exit {last.exit}"
            _add(row, "td", f"! {words}", class_="bad") if job.outcome in BAD else _add(row, "td", words)
            _when(row, last and last.begin)
            _add(row, "td", last.node if last else "-")
            _when(row, success and success.begin)
            _when(row, job.due)
            seconds = [run.end - run.begin for run in job.lengths if run.end is not None]
            _add(row, "td", f"{seconds[-1]:.0f}" if seconds else "-", class_="number")
            _plot(_add(row, "td"), job.lengths[-MOST_BARS:])
            _add(row, "td", ", ".join(f"{node} ({count})" for node, count in job.nodes[:5]) or "-")
        _more(section, len(jobs), MOST_ROWS, "jobs")

    def _timeline(self, section: ET.Element, cluster: Cluster, timeline: Timeline) -> None:
        box = f"timeline-{len(self.timelines)}"
        _add(section, "h3", "Timeline", id=f"{box}-title")
        tools = _add(section, "div", class_="tools script", hidden="hidden")
        for words, key in (
            ("Zoom in", "+"),
            ("Zoom out", "-"),
            ("Earlier", "PageUp"),
            ("Later", "PageDown"),
            ("All", "0"),
        ):
            _add(tools, "button", words, type="button", data_timeline=box, data_key=key)
        _add(
            tools,
            "span",
            "Point at it, drag it, or use the keys: left and right for the next event, up and down for the hosts, + "
            "and - to zoom, Page up and down, 0 for all.",
            class_="faint",
            id=f"{box}-keys",
        )
        described = {"aria_labelledby": f"{box}-title", "aria_describedby": f"{box}-keys"}
        _add(section, "div", class_="timeline", id=box, tabindex="0", role="application", **described)
        _key(section)
        known, runs, faults = _drawn(timeline)
        self.timelines.append(known)
        _more(section, runs, MOST_RUNS, "runs of the timeline")
        _more(section, faults, MOST_EVENTS, "events of the timeline")
        _add(_add(section, "noscript"), "p", "The timeline needs JavaScript; the list of the events does not.")
        listed = _add(section, "details")
        _add(listed, "summary", f"Events of {cluster.name} as a list")
        events = sorted(timeline.faults, key=lambda fault: -fault.begin)
        events = [fault for fault in events if fault.begin >= timeline.begin]
        rows = [(_clock(fault.begin), fault.node or "all", fault.text) for fault in events[:MOST_LISTED]]
        _table(listed, f"Events of {cluster.name}, the latest first", ("When", "Host", "What"), rows)
        _more(listed, len(events), MOST_LISTED, "events")

    def _hatchings(self, body: ET.Element) -> None:
        """Define the fills of bands that are neither active nor passive."""
        svg = _add(body, "svg", width=0, height=0, aria_hidden="true")
        size = {"width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
        for name, path in (("down", "M0,6L6,0M-1,1L1,-1M5,7L7,5"), ("unknown", "M1,3h1.5")):
            pattern = _add(svg, "pattern", id=name, **size)
            _add(pattern, "path", d=path, stroke="#808080", stroke_width="1.4")


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return how a Content-Security-Policy names a text of the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(_known(moment)))


def _known(moment: float) -> float:
    """Return the moment that is closest to one that a host has named, and that Python has a date for."""
    return min(max(moment, 0.0), LATEST)


def _moment(parent: ET.Element, moment: float) -> ET.Element:
    universal = datetime.datetime.fromtimestamp(_known(moment), datetime.timezone.utc)
    return _add(parent, "time", _clock(moment)[:16], datetime=universal.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _when(row: ET.Element, moment: float | None) -> None:
    cell = _add(row, "td", "" if moment is not None else "-", class_="when")
    if moment is not None:
        _moment(cell, moment)


def _offsets(begin: float, end: float) -> list[list[float]]:
    """Return from when on this controller's clock is by how many seconds ahead of UTC."""
    found: list[list[float]] = []
    moment = begin // HOUR * HOUR
    while moment <= end + HOUR:
        offset = time.localtime(moment).tm_gmtoff
        if not found or found[-1][1] != offset:
            found.append([moment, offset])
        moment += HOUR
    return found


def _table(
    parent: ET.Element,
    caption: str,
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    bad: Iterable[str] = (),
) -> ET.Element:
    """Add a table, and return its body. Rows whose first cell is `bad` are marked."""
    frame = _add(parent, "div", class_="scroll", tabindex="0", role="region", aria_label=shown(caption))
    table = _add(frame, "table")
    _add(table, "caption", caption)
    titles = _add(_add(table, "thead"), "tr")
    for name in heading:
        _add(titles, "th", name, scope="col")
    body = _add(table, "tbody")
    for cells in rows[:MOST_ROWS]:
        is_bad = cells[0] in bad
        row = _add(body, "tr", class_="is-bad") if is_bad else _add(body, "tr")
        _add(row, "th", f"! {cells[0]}" if is_bad else cells[0], scope="row")
        for cell in cells[1:]:
            _add(row, "td", cell)
    _more(parent, len(rows), MOST_ROWS, "rows")
    return body


def _more(parent: ET.Element, count: int, most: int, what: str) -> None:
    if count > most:
        _add(parent, "p", f"{count - most} more {what} are not shown.", class_="faint")


def _active(section: ET.Element, cluster: Cluster) -> None:
    """Say who is active and since when."""
    if not cluster.active:
        _add(section, "p", "! No host is active: no job runs.", class_="bad none")
        return
    line = _add(section, "p", "Active: ")
    for number, (host, since) in enumerate(cluster.active[:MOST_BARS]):
        name = _add(line, "strong", host)
        name.tail = " since " if since is not None else ""
        last = name if since is None else _moment(line, since)
        last.tail = ", " if number + 1 < len(cluster.active) else ""
    if len(cluster.active) > MOST_BARS:
        _add(line, "span", f"and {len(cluster.active) - MOST_BARS} more")


def _plot(cell: ET.Element, runs: Sequence[Past]) -> None:
    """Draw how long a job's runs took: a bar each, hollow for those that did not end well."""
    seconds = [max(run.end - run.begin, 0.0) for run in runs if run.end is not None]
    if not seconds:
        cell.text = "-"
        return
    words = (
        f"The last {len(seconds)} runs took {min(seconds):.0f} to {max(seconds):.0f} s, mostly {median(seconds):.0f} s"
    )
    svg = _add(cell, "svg", class_="plot", viewBox=f"0 0 {WIDE} {HIGH}", role="img", aria_label=words)
    _add(svg, "title", words)
    most = max(*seconds, 1.0)
    step = WIDE / MOST_BARS
    bars: dict[bool, list[str]] = {False: [], True: []}
    for number, (run, length) in enumerate(zip(runs, seconds)):
        high = max(length / most * (HIGH - 2), 1.0)
        left = number * step + 0.75
        bars[run.outcome in BAD].append(f"M{left:.1f},{HIGH - 0.75}v-{high:.1f}h{step - 1.5:.1f}v{high:.1f}z")
    for is_bad, paths in bars.items():
        if paths:
            _add(svg, "path", d="".join(paths), class_="failed" if is_bad else "well")


def _key(section: ET.Element) -> None:
    """Explain the timeline's fills and shapes."""
    listed = _add(section, "ul", class_="key")
    for state in ("active", "passive", "down", "unknown"):
        item = _add(listed, "li")
        svg = _add(item, "svg", viewBox="0 0 16 14", aria_hidden="true")
        fill = {"fill": f"url(#{state})"} if state in ("down", "unknown") else {}
        _add(svg, "rect", x=1, y=2, width=14, height=10, class_="" if fill else f"band {state}", **fill)
        svg.tail = f" {state}"
    for outcome, (_colour, shape) in OUTCOMES.items():
        if outcome == "ignored":
            continue  # on each passive host in each minute: they would cover the rest
        item = _add(listed, "li")
        svg = _add(item, "svg", viewBox="-8 -7 16 14", aria_hidden="true")
        _add(svg, "path", d=shape["d"], class_=f"run {outcome}")
        svg.tail = f" {outcome}"
    item = _add(listed, "li")
    svg = _add(item, "svg", viewBox="-8 -7 16 14", aria_hidden="true")
    _add(svg, "path", d="M-4,-3h8l-4,7z", fill="currentColor")
    svg.tail = " event"


def _drawn(timeline: Timeline) -> tuple[dict[str, object], int, int]:
    """Return what the script draws, and how many runs and events there are of which it draws some."""
    nodes = {name: number for number, name in enumerate(timeline.nodes)}
    jobs: dict[str, int] = {}

    def ends_in_it(begin: float, end: float | None) -> bool:
        return begin <= timeline.end and (begin if end is None else end) >= timeline.begin

    runs = [run for run in timeline.runs if run.outcome != "ignored" and ends_in_it(run.begin, run.end)]
    faults = [fault for fault in timeline.faults if ends_in_it(fault.begin, fault.end)]
    # Those that are a problem come first if there are too many, then the latest.
    kept = sorted(runs, key=lambda run: (run.outcome not in BAD, -run.begin))[:MOST_RUNS]
    drawn: Mapping[str, object] = {
        "begin": timeline.begin,
        "end": timeline.end,
        "nodes": [shown(name) for name in timeline.nodes],
        "bands": [
            [nodes.get(band.node, -1), round(band.begin, 1), round(band.end, 1), band.state] for band in timeline.bands
        ],
        "runs": [
            [
                nodes.get(run.node, -1),
                jobs.setdefault(shown(run.job), len(jobs)),
                round(run.begin, 1),
                None if run.end is None else round(run.end - run.begin, 1),
                run.outcome,
            ]
            for run in kept
        ],
        "faults": [
            [
                nodes.get(fault.node, -1),
                round(fault.begin, 1),
                None if fault.end is None else round(fault.end, 1),
                shown(fault.text),
            ]
            for fault in sorted(faults, key=lambda fault: -fault.begin)[:MOST_EVENTS]
        ],
        "jobs": list(jobs),
    }
    return dict(drawn), len(runs), len(faults)
