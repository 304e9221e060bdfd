# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""When a node's prefixed entries were last due, and when they last started there: from `rcronctl metrics`.

Cron's rules are kept in one place, which runs on the node.
"""

from __future__ import annotations

import os
import re
from typing import Any

from .node import programs

#: What the metrics have counted. Without it a node does not know since when it has an entry.
COUNTERS = "/var/lib/rcron/metrics.json"

#: A sample of an entry: https://prometheus.io/docs/instrumenting/exposition_formats/
_SAMPLE = re.compile(
    r"rcron_entry_(?P<what>due|last_start)_timestamp_seconds"
    r'\{cluster_name="(?P<cluster>(?:[^"\\]|\\.)*)",entry="(?P<entry>(?:[^"\\]|\\.)*)"\} (?P<when>[0-9.]+)'
)


def entries(rcronctl: str, conf: str) -> list[dict[str, Any]] | None:
    """Ask a node for its entries.

    Args:
        rcronctl: The program.
        conf: A configuration; those beside it are asked for, too.

    Returns:
        What the module rcron_info documents; None if the node keeps no metrics, or does not answer.
    """
    if not os.path.isfile(COUNTERS):
        return None
    try:
        return read(programs.output(rcronctl, "--conf", conf, "metrics"))
    except programs.ProgramError:
        return None


def read(text: str) -> list[dict[str, Any]]:
    """Find the entries in Prometheus' text format.

    Args:
        text: What `rcronctl metrics` prints.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            continue
        names = _plain(sample["cluster"]), _plain(sample["entry"])
        entry = found.setdefault(names, {"cluster": names[0], "entry": names[1], "due": None, "started": None})
        entry["due" if sample["what"] == "due" else "started"] = float(sample["when"])
    return list(found.values())


def _plain(value: str) -> str:
    """Return a label's value without its escapes."""
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
