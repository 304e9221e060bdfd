# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Rows of words as an aligned table, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def lines(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Align rows under a heading, two blanks between columns.

    :param heading: the columns' names.
    :param rows: as many cells each; a line break or tab in one becomes a blank.
    :returns: the table's lines, without line breaks.
    """
    table = [list(heading), *([" ".join(str(cell).split()) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
