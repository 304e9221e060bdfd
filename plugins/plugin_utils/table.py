# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Aligned tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: The most characters that a cell shows.
LONGEST = 1000


def lines(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Align rows under a heading, with two blanks between columns.

    Args:
        heading: The columns' names.
        rows: The rows, each with as many cells. A cell's line breaks and tabs become blanks, and other characters that
            a terminal would obey become escapes.

    Returns:
        The table's lines, without line breaks.
    """
    table = [list(heading), *([plain(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]


def plain(text: str) -> str:
    """Return a text as one line of at most LONGEST printable characters."""
    text = text[: LONGEST + 1]
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in " ".join(text.split())
    )
    return shown if len(text) <= LONGEST else f"{shown[: LONGEST - 3]}..."
