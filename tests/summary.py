# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Adds up what the checks of one `make test` left in .build/results and prints one line: "N passed, N failed".

Reads pytest's JUnit files (*.xml) and what tests/check.sh notes (*.result). The arguments are the results
without which the run is not whole: one that is absent counts as a failure, so a suite that died before its
first test is not taken for a suite with nothing to say. Exit status: 0 nothing failed, 1 something did.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path(__file__).resolve().parents[1] / ".build" / "results"


def junit_counts(text: str) -> tuple[int, int, int]:
    """Return (passed, failed, skipped) of one JUnit report as pytest writes it; an error counts as failed."""
    passed = failed = skipped = 0
    for suite in ElementTree.fromstring(text).iter("testsuite"):  # noqa: S314 - written by our own pytest
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        left_out = int(suite.get("skipped", 0))
        passed += int(suite.get("tests", 0)) - bad - left_out
        failed += bad
        skipped += left_out
    return passed, failed, skipped


def main(expected: list[str]) -> int:
    """Print the sum of all results and return the exit status."""
    passed = failed = skipped = 0
    found = set()
    for path in sorted(RESULTS.glob("*")):
        found.add(path.stem)
        if path.suffix == ".xml":
            counts = junit_counts(path.read_text())
        else:
            good = path.read_text().strip() == "passed"
            counts = (int(good), int(not good), 0)
        if counts[1]:
            print(f"failed: {path.stem}")
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
    for name in expected:
        if name not in found:
            print(f"failed: {name} (it left no result)")
            failed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
