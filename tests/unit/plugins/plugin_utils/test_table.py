# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Tables for a terminal."""

from __future__ import annotations

from ansible_collections.rcron.cluster.plugins.plugin_utils import table


def test_columns_are_aligned_and_lines_end_without_blanks():
    assert table.lines(["A", "BC"], [["xyz", 1], ["", "two\nlines\tand a tab"]]) == [
        "A    BC",
        "xyz  1",
        "     two lines and a tab",
    ]


def test_a_table_without_rows_is_its_heading():
    assert table.lines(["A", "BC"], []) == ["A  BC"]


def test_elastic_columns_are_cut_first_and_none_below_the_shortest():
    row = ["a" * 20, "b" * 20]
    assert table.lines(["A", "B"], [row], 42, [0])[1] == "a" * 20 + "  " + "b" * 20
    assert table.lines(["A", "B"], [row], 32, [0])[1] == "a" * 7 + "...  " + "b" * 20
    assert table.lines(["A", "B"], [row], 28, [0])[1] == "aaaaa...  " + "b" * 15 + "..."
    assert table.lines(["A", "B"], [row], 5, [0])[1] == "aaaaa...  bbbbb..."


def test_last_column_is_broken_under_itself():
    lines = ["HOST  PROBLEM", "n1    one two three four five six seven"]
    assert table.wrapped(lines, 30) == ["HOST  PROBLEM", "n1    one two three four five", "      six seven"]
    assert table.wrapped([], 30) == []


def test_a_cell_cannot_control_the_terminal():
    assert table.lines(["A"], [["\x1b[2J\x9b1m\u202e\u2028x\x00"]]) == ["A", r"\x1b[2J\x9b1m\u202e x\x00"]


def test_a_long_cell_is_cut():
    assert table.lines(["A"], [["x" * 5_000_000]]) == ["A", "x" * (table.LONGEST - 3) + "..."]
