# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How long Debian's Chromium takes to open the page of rcron.cluster.report about 200 hosts and 500 jobs.

Prints also how long the filter takes to write it. Ends with status 1 if the promise is not kept: less than two seconds
until the page is drawn, in the median of five turns.
"""

from __future__ import annotations

import pathlib
import statistics
import sys
import tempfile
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TURNS = 5
PROMISE = 2.0  # seconds


def main() -> int:
    """Measure, and return the exit status."""
    sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / ".build")]
    from ansible_collections.rcron.cluster.plugins.filter.rcron_report import rcron_report

    from tests.browser import Browser
    from tests.unit.plugins.filter.test_rcron_report import many

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path = folder / "report.html"
        answers = many(200, 500)
        began = time.monotonic()
        path.write_text(rcron_report(answers))
        print(f"page: the filter wrote {path.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.1f} s")
        times = []
        for turn in range(TURNS):
            browser = Browser(folder / str(turn))
            times.append(browser.open(path))
            browser.close()
    median = statistics.median(times)
    span = f"{min(times):.2f} to {max(times):.2f}"
    print(f"page: 200 hosts, 500 jobs opened in {median:.2f} s ({span}; promise: {PROMISE:.2f})")
    return median >= PROMISE


if __name__ == "__main__":
    sys.exit(main())
