# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Rows of words as an aligned table, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: The most that is shown of a cell, in characters.
LONGEST = 1000


def lines(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Align rows under a heading, two blanks between columns.

    :param heading: the columns' names.
    :param rows: as many cells each; a line break or tab in one becomes a blank, and what else a terminal would obey an
        escape.
    :returns: the table's lines, without line breaks.
    """
    table = [list(heading), *([plain(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]


def plain(text: str) -> str:
    """Return a text as one line of at most LONGEST characters, all of which a terminal shows as they are."""
    text = text[: LONGEST + 1]
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in " ".join(text.split())
    )
    return shown if len(text) <= LONGEST else f"{shown[: LONGEST - 3]}..."
