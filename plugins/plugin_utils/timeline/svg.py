# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elements of an SVG document."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from .text import width


def add(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    """Add an element. A `_` in an attribute's name becomes a hyphen, and numbers are rounded."""
    return ET.SubElement(
        parent,
        tag,
        {
            name.replace("_", "-"): number(value) if isinstance(value, (int, float)) else str(value)
            for name, value in attributes.items()
        },
    )


def add_text(
    parent: ET.Element,
    x: float,
    y: float,
    text: str,
    size: float,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = "#000",
) -> None:
    """Add a line of text.

    Args:
        parent: The element to add it to.
        x: The place that `anchor` names.
        y: The baseline.
        text: The line.
        size: The characters' height.
        anchor: Which part of the text is at x: `start`, `middle` or `end`.
        weight: `normal` or `bold`.
        fill: The colour.
    """
    given: dict[str, object] = {"x": x, "y": y, "font_size": size}
    for name, value, usual in (
        ("text_anchor", anchor, "start"),
        ("font_weight", weight, "normal"),
        ("fill", fill, "#000"),
    ):
        if value != usual:
            given[name] = value
    if not text.isascii():
        # A fallback font may have other widths.
        given["textLength"] = width(text, size)
        given["lengthAdjust"] = "spacingAndGlyphs"
    if "  " in text:
        given["xml:space"] = "preserve"
    add(parent, "text", **given).text = text


def number(value: float) -> str:
    """Return a number with one decimal place at most."""
    return f"{value:.1f}".removesuffix(".0")
