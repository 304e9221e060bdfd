# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which feeders' roles have connected something to a cluster on this host, whatever the inventory says now."""

from __future__ import annotations

import glob
import re
from typing import NamedTuple

from .node import files

#: Where a role leaves a file that names each cluster that its feeder sets the state of.
PLACES = (
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.service.d/rcron.conf",
    "/etc/rcron/agent.d/*.conf",
    "/usr/local/sbin/*-up",
)

#: The clusters' configurations, apart from one at a path of its own; and rcron-agent's, which a lease's file names.
CONFS, AGENT_CONF = "/etc/rcron/*.conf", "/etc/rcron/agent.conf"

MARK = re.compile(r"^# Written by Ansible, role rcron\.cluster\.rcron_([a-z]+): ", re.MULTILINE)


class Trace(NamedTuple):
    """What the role of a feeder has left.

    Attributes:
        feeder: The feeder's name.
        paths: The files.
        others: The configurations of other clusters that these files name, too.
    """

    feeder: str
    paths: list[str]
    others: list[str]


def traces(conf: str, root: str = "") -> list[Trace]:
    """Find the feeders that are connected to a cluster.

    Args:
        conf: The path of the cluster's rcron.conf.
        root: What comes before the paths that are looked at.

    Returns:
        A trace for each feeder, sorted by their names.
    """
    others = {path[len(root) :] for path in glob.glob(root + CONFS)} - {conf, AGENT_CONF}
    found: dict[str, Trace] = {}
    for path in sorted(path for place in PLACES for path in glob.glob(root + place)):
        try:
            text = files.read_text(path)
        except OSError:
            continue
        mark = MARK.search("\n".join(text.splitlines()[: files.MARK_LINES]))
        if mark and _names(text, conf):
            trace = found.setdefault(mark[1], Trace(mark[1], [], []))
            trace.paths.append(path[len(root) :])
            trace.others.extend(other for other in sorted(others) if _names(text, other) and other not in trace.others)
    return [found[name] for name in sorted(found)]


def _names(text: str, path: str) -> bool:
    """Tell whether a text has a path as a word."""
    return re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w./-])", text) is not None
