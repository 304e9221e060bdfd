# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The picture of a timeline: what is drawn, where, and that it can be read."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import NamedTuple

import pytest
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline import layout
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.picture import OUTCOMES, STATES, draw
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.records import Band, Fault, Run, Timeline

BEGIN = 1_795_510_800.0
SVG = "{http://www.w3.org/2000/svg}"
NODES = ["node1", "node2", "node3"]


def failover() -> Timeline:
    """node1 is killed 75 s after the begin, and node2 takes over."""
    return Timeline(
        "A failover",
        BEGIN,
        BEGIN + 200,
        NODES,
        [
            Band("node1", BEGIN, BEGIN + 75, "active"),
            Band("node1", BEGIN + 75, BEGIN + 200, "down"),
            Band("node2", BEGIN, BEGIN + 78, "passive"),
            Band("node2", BEGIN + 78, BEGIN + 200, "active"),
            Band("node3", BEGIN, BEGIN + 200, "passive"),
        ],
        [
            Run("node1", "billing", BEGIN + 60, BEGIN + 61, "ok"),
            Run("node2", "billing", BEGIN + 60, None, "ignored"),
            Run("", "billing", BEGIN + 76, None, "lost"),
            Run("node2", "billing", BEGIN + 120, BEGIN + 122, "failed"),
        ],
        [Fault("node1", BEGIN + 75, None, "killed")],
    )


def busy(seconds: float, nodes: int, runs: int, faults: int, words: str = "") -> Timeline:
    """Much of everything, the same for the same arguments."""
    chance = random.Random(7)  # noqa: S311 - no secret
    names = [f"node{number}.example.com" for number in range(1, nodes + 1)]
    bands = []
    for name in names:
        moment = BEGIN
        while moment < BEGIN + seconds:
            until = min(moment + chance.uniform(0.05, 0.3) * seconds, BEGIN + seconds)
            bands.append(Band(name, moment, until, chance.choice(list(STATES))))
            moment = until
    made = []
    for _run in range(runs):
        moment = BEGIN + chance.random() * seconds
        outcome = chance.choice(list(OUTCOMES))
        node = "" if outcome == "lost" else chance.choice(names)
        made.append(Run(node, "/usr/local/bin/billing", moment, moment + chance.random() * 9, outcome))
    befell = [
        Fault(chance.choice([*names, ""]), BEGIN + chance.random() * seconds, None, f"packet loss {number} %{words}")
        for number in range(faults)
    ]
    return Timeline("Much of everything", BEGIN, BEGIN + seconds, names, bands, made, befell)


LONG = " and a long sentence on what happened there, which nobody wants to be cut"
BUSY = {
    "30 s": busy(30, 3, 120, 8),
    "long labels": busy(60, 3, 60, 6, LONG),
    "6 h": busy(21_600, 3, 500, 10),
    "12 nodes": busy(21_600, 12, 2_000, 60),
    "all at once": busy(0.01, 4, 500, 12),
}


class Box(NamedTuple):
    """Where a text stands."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - our own document


def texts(svg: ET.Element) -> list[Box]:
    """Every text, by what the widest of the named fonts makes of it: DejaVu Sans Mono's 0.602 of the size."""
    found = []
    for element in svg.iter(f"{SVG}text"):
        size, x, y = (float(element.attrib[name]) for name in ("font-size", "x", "y"))
        words = element.text or ""
        width = float(element.attrib.get("textLength", len(words) * 0.602 * size))
        left = x - {"start": 0, "middle": width / 2, "end": width}[element.attrib.get("text-anchor", "start")]
        found.append(Box(words, left, y - 0.75 * size, left + width, y + 0.2 * size))
    return found


def marks(svg: ET.Element) -> list[tuple[str, float, float]]:
    """The outcome and place of each mark, those of the legend left out."""
    held = [use for group in svg.iter(f"{SVG}g") for use in group.findall(f"{SVG}use")]
    return [
        (use.attrib["href"].removeprefix("#rcron-"), float(use.attrib["x"]), float(use.attrib["y"])) for use in held
    ]


def titles(svg: ET.Element) -> list[str]:
    return [title.text or "" for title in svg.iter(f"{SVG}title")]


def test_a_lane_has_its_nodes_name_states_and_outcomes_below_each_other():
    found = {box.text: box for box in texts(parsed(draw(failover())))}
    order = ["node1", "1 ok", "node2", "1 ignored", "1 failed", "node3", "no node", "1 lost", "0 s", "09:00:00"]
    assert [found[text].top for text in order] == sorted(found[text].top for text in order)
    # In a band, where there is room: node1's `down` begins where its `active` ends.
    assert found["down"].left > found["active"].left


def test_marks_and_bands_are_where_their_time_is_on_the_axis():
    svg = parsed(draw(failover()))
    axis = {box.text: (box.left + box.right) / 2 for box in texts(svg) if re.fullmatch(r"\d+ s", box.text)}
    second = (axis["200 s"] - axis["0 s"]) / 200
    assert [(outcome, round((x - axis["0 s"]) / second)) for outcome, x, _y in marks(svg)] == [
        ("ok", 60),
        ("ignored", 60),
        ("failed", 120),
        ("lost", 76),
    ]
    bands = [rect for rect in svg.iter(f"{SVG}rect") if rect.attrib.get("height") == str(layout.BAND)]
    begins = sorted(round((float(band.attrib["x"]) - axis["0 s"]) / second) for band in bands)
    assert begins == [0, 0, 0, 75, 78]


def test_a_fault_has_a_line_from_its_label_to_its_node_and_one_of_the_whole_cluster_crosses_all():
    both = failover()._replace(faults=[*failover().faults, Fault("", BEGIN + 150, BEGIN + 160, "cut in two")])
    svg = parsed(draw(both))
    found = {box.text: box for box in texts(svg)}
    lines = [
        re.fullmatch(r"M([\d.]+),([\d.]+)V([\d.]+)", path.attrib["d"]).groups()
        for group in svg.iter(f"{SVG}g")
        if "stroke-dasharray" in group.attrib
        for path in group
    ]
    ends = {round(float(x)): (float(begin), float(end)) for x, begin, end in lines}
    killed, cut = found["node1: killed"], found["cut in two"]
    begin, end = ends[round(killed.left - 3)]
    assert begin < killed.bottom
    assert found["node1"].top - 4 < end < found["node1"].bottom
    begin, end = ends[round(cut.left - 3)]
    assert begin < cut.bottom
    assert found["node3"].bottom < end < found["0 s"].top
    assert "150.0 s to 160.0 s: cut in two" in titles(svg)


@pytest.mark.parametrize("what", BUSY)
def test_no_text_overlaps_another_or_leaves_the_page(what):
    svg = parsed(draw(BUSY[what]))
    width, height = (float(value) for value in svg.attrib["viewBox"].split()[2:])
    found = texts(svg)
    assert [(a.text, b.text) for a, b in combinations(found, 2) if a.overlaps(b)] == []
    assert [box for box in found if box.left < 0 or box.right > width or box.top < 0 or box.bottom > height] == []


@pytest.mark.parametrize("what", BUSY)
def test_no_mark_overlaps_another_or_a_number_beside_it(what):
    svg = parsed(draw(BUSY[what]))
    found = marks(svg)
    half = layout.MARK / 2 - 0.5
    boxes = [Box(outcome, x - half, y - half, x + half, y + half) for outcome, x, y in found]
    numbers = [box for box in texts(svg) if box.text.isdigit()]
    assert found
    assert [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)] == []
    assert [(a, b) for a in boxes for b in numbers if a.overlaps(b)] == []


@pytest.mark.parametrize("what", BUSY)
def test_every_run_is_counted_by_a_mark(what):
    svg = parsed(draw(BUSY[what]))
    counted = 0
    for group in svg.iter(f"{SVG}g"):
        if group.find(f"{SVG}use") is not None:
            number = group.find(f"{SVG}text")
            counted += 1 if number is None else int(number.text)
    assert counted == len(BUSY[what].runs)


def test_a_note_explains_marks_that_stand_for_several_runs():
    def says(drawn: str) -> bool:
        return "share a mark" in drawn

    assert says(draw(BUSY["6 h"]))
    assert not says(draw(failover()))


def test_every_fault_has_a_label_or_if_there_are_many_a_number_in_a_list():
    few = " ".join(box.text for box in texts(parsed(draw(BUSY["30 s"]))))
    many = [box.text for box in texts(parsed(draw(BUSY["12 nodes"])))]
    assert all(f"packet loss {number} %" in few for number in range(8))
    for number in range(1, 61):
        assert str(number) in many
        assert (
            sum(bool(re.match(rf" *{number}  \d\d:\d\d:\d\d  \d+ s: .*packet loss \d+ %$", text)) for text in many) == 1
        )


def test_every_outcome_has_its_row_and_its_shape():
    assert list(OUTCOMES) == list(layout.OUTCOMES)


def test_outcomes_and_states_differ_without_colour():
    shapes = [shape["d"] for _colour, shape in OUTCOMES.values()]
    assert len(set(shapes)) == len(shapes)

    def lightness(colour: str) -> float:
        digits = [digit * 2 for digit in colour[1:]] if len(colour) == 4 else re.findall("..", colour[1:])
        red, green, blue = (int(digit, 16) / 255 for digit in digits)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    fills = [fill for fill, _ink in STATES.values()]
    hatched = [fill for fill in fills if fill.startswith("url")]
    plain = [lightness(fill) for fill in fills if fill not in hatched]
    assert len(set(hatched)) == len(hatched)
    assert max(plain) - min(plain) > 0.5
    svg = parsed(draw(BUSY["30 s"]))
    patterns = {ET.tostring(pattern[1]) for pattern in svg.iter(f"{SVG}pattern")}
    assert len(patterns) == len(hatched)


HOSTILE = "<script>&\"']]>\x00\x1b[2J\x7f\x85\u202e\ud800\ufffe\U0001f600" + "日本" + "x" * 5000


def test_text_of_a_hostile_host_stays_text_and_legal():
    drawn = draw(
        Timeline(
            HOSTILE,
            BEGIN,
            BEGIN + 10,
            [HOSTILE],
            [Band(HOSTILE, BEGIN, BEGIN + 9, "active")],
            [Run(HOSTILE, HOSTILE, BEGIN + 1, None, "running")],
            [Fault(HOSTILE, BEGIN + 9, BEGIN + 12, HOSTILE)],
        )
    )
    svg = parsed(drawn.encode("utf-8"))  # which refuses a character that XML forbids
    assert {element.tag for element in svg.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "defs", "pattern", "rect", "path", "g", "text", "use")
    }
    assert any(title.startswith("<script>&\"']]>\\x00\\x1b[2J\\x7f\\x85\\u202e\\ud800\\ufffe") for title in titles(svg))
    assert len(drawn) < 20_000
    found = texts(svg)
    assert [(a.text, b.text) for a, b in combinations(found, 2) if a.overlaps(b)] == []
    assert max(box.right for box in found) <= layout.WIDTH


def test_nothing_is_fetched_and_nothing_runs():
    drawn = draw(BUSY["30 s"])
    assert re.findall(r'(?:href|src)="(?!#)|url\((?!#)|<script|<style|\son\w+=', drawn) == []


def test_screen_readers_get_a_description():
    svg = parsed(draw(failover()))
    named = {element.attrib["id"]: element.text for element in svg if "id" in element.attrib}
    assert svg.attrib["role"] == "img"
    assert [*named] == svg.attrib["aria-labelledby"].split()
    assert named["rcron-title"] == "A failover"
    assert "4 runs: 1 ok, 1 ignored, 1 failed, 1 lost; 1 event. 75.0 s: node1: killed." in named["rcron-desc"]
    assert "billing on node2: failed, 120.0 s to 122.0 s" in titles(svg)


def test_the_same_timeline_gives_the_same_picture_whatever_the_order():
    given = BUSY["6 h"]
    turned = given._replace(bands=given.bands[::-1], runs=given.runs[::-1], faults=given.faults[::-1])
    assert draw(given) == draw(given) == draw(turned)


def test_items_outside_the_time_are_left_out_and_those_across_its_edge_are_cut():
    svg = parsed(
        draw(
            Timeline(
                "",
                BEGIN,
                BEGIN + 10,
                ["node1"],
                [Band("node1", BEGIN - 99, BEGIN + 99, "active"), Band("node1", BEGIN + 50, BEGIN + 99, "down")],
                [Run("node1", "early", BEGIN - 9, BEGIN - 8, "ok"), Run("node1", "long", BEGIN - 9, BEGIN + 5, "ok")],
                [Fault("node1", BEGIN + 11, None, "late")],
            )
        )
    )
    assert marks(svg) == [("ok", layout.LEFT, pytest.approx(90, abs=40))]
    bands = [rect for rect in svg.iter(f"{SVG}rect") if rect.attrib.get("height") == str(layout.BAND)]
    assert [(float(band.attrib["x"]), float(band.attrib["width"])) for band in bands] == [
        (layout.LEFT, layout.RIGHT - layout.LEFT)
    ]
    assert "late" not in " ".join(titles(svg))


def test_an_empty_timeline_is_drawn():
    assert parsed(draw(Timeline("", BEGIN, BEGIN, [], [], [], []))).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bands": [Band("node1", BEGIN, BEGIN + 1, "Active")]}, "unknown state 'Active': use one of active, passive"),
        ({"runs": [Run("node1", "job", BEGIN, None, "fail")]}, "unknown outcome 'fail': use one of ok, running"),
    ],
)
def test_an_unknown_state_or_outcome_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        draw(failover()._replace(**wrong))
