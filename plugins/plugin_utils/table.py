# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Aligned tables for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

#: The most characters that a cell shows.
LONGEST = 1000

#: A cell is not cut to less than this.
SHORTEST = 8


def lines(
    heading: Sequence[str], rows: Iterable[Sequence[object]], width: int | None = None, elastic: Sequence[int] = ()
) -> list[str]:
    """Align rows under a heading, with two blanks between columns.

    Args:
        heading: The columns' names.
        rows: The rows, each with as many cells. A cell's line breaks and tabs become blanks, and other characters that
            a terminal would obey become escapes.
        width: The most characters of a line; None if there is no limit. Cells are cut, which three points show, but not
            to less than SHORTEST characters each.
        elastic: The columns whose cells are cut first, by their numbers from 0.

    Returns:
        The table's lines, without line breaks.
    """
    table = [list(heading), *([plain(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    if width is not None:
        widths = _narrowed(widths, width, elastic)
        table = [[cut(cell, most) for cell, most in zip(row, widths)] for row in table]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]


def _narrowed(widths: Sequence[int], width: int, elastic: Sequence[int]) -> list[int]:
    """Return the columns' widths so that a line is not longer than `width`, if that is possible."""
    left = list(widths)
    for columns in (elastic, range(len(widths))):
        too_much = sum(left) + 2 * (len(left) - 1) - width
        while too_much > 0:
            widest = max(columns, key=left.__getitem__, default=None)
            if widest is None or left[widest] <= SHORTEST:
                break
            left[widest] -= 1
            too_much -= 1
    return left


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, three points at its end if some are missing."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def wrapped(table: Sequence[str], width: int) -> list[str]:
    """Break the last column of a table, so that no line is longer than `width`.

    Args:
        table: The lines, as `lines` returns them, the heading first.
        width: The most characters of a line.
    """
    start = table[0].rindex("  ") + 2 if table and "  " in table[0] else 0
    if width - start < SHORTEST * 3:
        start = SHORTEST  # the other columns take nearly everything: names of hosts are not cut
    broken = []
    for line in table:
        broken += textwrap.wrap(line, width, subsequent_indent=" " * start, drop_whitespace=True) or [""]
    return broken


def plain(text: str) -> str:
    """Return a text as one line of at most LONGEST printable characters."""
    text = text[: LONGEST + 1]
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in " ".join(text.split())
    )
    return shown if len(text) <= LONGEST else f"{shown[: LONGEST - 3]}..."
