# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts' clocks are certainly off, from what rcron_info says of each."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any


def certainly_off(hosts: Mapping[str, Mapping[str, Any]], allowed: float) -> dict[str, float]:
    """Find the clocks that are off whatever the requests to the hosts took.

    A clock is known as an interval, as wide as its host took to answer. If most clocks are right, the right time lies
    between the median of all intervals' beginnings and that of their ends.

    Args:
        hosts: By the host's name, `clock_offset` and `clock_uncertainty` as rcron_info returns them.
        allowed: How many seconds two clocks may differ.

    Returns:
        By how many seconds a clock is ahead of the median, by the names of the hosts whose clocks are off.
    """
    if not hosts:
        return {}
    offsets = {host: float(info["clock_offset"]) for host, info in hosts.items()}
    ends = {
        host: (offset - float(hosts[host]["clock_uncertainty"]), offset + float(hosts[host]["clock_uncertainty"]))
        for host, offset in offsets.items()
    }
    earliest, latest = (median(each[end] for each in ends.values()) for end in (0, 1))
    middle = median(offsets.values())
    return {
        host: offsets[host] - middle
        for host, (low, high) in ends.items()
        if low - latest > allowed or earliest - high > allowed
    }
