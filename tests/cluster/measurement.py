# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the tests of a running cluster measure, in lines that tests/cluster.sh finds in a scenario's log."""


def report(line: str) -> None:
    """Print a line about something that was measured, such as how long a takeover took."""
    print(f"measured: {line}")
