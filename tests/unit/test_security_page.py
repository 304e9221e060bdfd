# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""docs/security.md names the tests of each attack: they exist, under these names."""

from __future__ import annotations

import pathlib
import re

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TRIED = (CHECKOUT / "docs" / "security.md").read_text().partition("## What has been tried")[2].partition("\n## ")[0]

#: The last column of each row of the table.
CELLS = [
    line.split("|")[-2].strip() for line in TRIED.splitlines() if line.startswith("| ") and "`" in line.split("|")[-2]
]


def names_in(cell: str) -> list[tuple[str, list[str]]]:
    """Return the files that a cell names, each with the parts of its tests' names that follow it."""
    found: list[tuple[str, list[str]]] = []
    for word in re.findall("`([^`]*)`", cell):
        is_step = (CHECKOUT / "tests" / "cluster" / f"test_attack_{word}.py").exists()
        if is_step or word.endswith(".py"):
            found.append((f"test_attack_{word}.py" if is_step else word, []))
        else:
            found[-1][1].append(word)
    return found


def test_the_table_is_found():
    assert len(CELLS) > 20


@pytest.mark.parametrize("cell", CELLS)
def test_the_tests_of_an_attack_exist(cell):
    named = names_in(cell)
    assert named
    for name, parts in named:
        paths = [path for path in (CHECKOUT / "tests").rglob(name.rpartition("/")[2]) if str(path).endswith(f"/{name}")]
        assert paths, name
        tests = [test for path in paths for test in re.findall(r"(?m)^def test_(\w+)", path.read_text())]
        # A row of a table of attempts has blanks in its name.
        tests += [
            row.replace(" ", "_") for path in paths for row in re.findall(r'(?m)^    "([^"]+)": ', path.read_text())
        ]
        assert [part for part in parts if not any(part in test for test in tests)] == []
