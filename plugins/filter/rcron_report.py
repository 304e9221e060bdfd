# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_report: a page about clusters, from the answers of rcron_info."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_overview import HOSTS, host_rows
from ansible_collections.rcron.cluster.plugins.filter.rcron_problems import problems
from ansible_collections.rcron.cluster.plugins.plugin_utils import table
from ansible_collections.rcron.cluster.plugins.plugin_utils.report.jobs import jobs_of
from ansible_collections.rcron.cluster.plugins.plugin_utils.report.page import Cluster, Report, html
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.cluster import (
    MOST_HOURS,
    TimelineError,
    timeline_of,
)

Info = Mapping[str, Any]


def _clusters(hosts: Mapping[str, Info]) -> dict[str, dict[str, Info]]:
    """Return the hosts of each cluster."""
    found: dict[str, dict[str, Info]] = {}
    for host, info in hosts.items():
        for cluster in info.get("clusters", []):
            if not cluster["error"]:
                found.setdefault(cluster["cluster_name"], {})[host] = info
    return found


def _cluster(
    name: str, members: Mapping[str, Info], silent: Mapping[str, Info], hours: float, now: float, bad: set[str]
) -> Cluster:
    timeline, why = None, ""
    try:
        # A host that has not answered may be one of this cluster's.
        timeline = timeline_of({**members, **silent}, hours, name)
    except TimelineError as error:
        why = str(error)
    active = [
        (host, cluster["since"])
        for host, info in members.items()
        for cluster in info["clusters"]
        if not cluster["error"] and cluster["cluster_name"] == name and cluster["state"] == "active"
    ]
    rows = [
        [row[0], *row[2:]]
        for host, info in sorted(members.items(), key=lambda member: member[0] not in bad)
        for row in host_rows(host, info)
        if row[1] == name
    ]
    jobs = jobs_of(members, name, timeline.runs if timeline else [], now)
    return Cluster(name, active, [HOSTS[0].title(), *_titles(HOSTS[2:])], rows, jobs, timeline, why)


def _titles(heading: Sequence[str]) -> list[str]:
    return [name.capitalize() for name in heading]


def rcron_report(hosts: Mapping[str, Info], hours: float = 24) -> str:
    """Make a page about the clusters of some hosts.

    Args:
        hosts: What rcron_info's task registered for each host, failures included.
        hours: How many hours the runs and events go back.

    Returns:
        An HTML document.

    Raises:
        AnsibleFilterError: An argument is not valid.
    """
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"rcron_report: {hosts!r}: pass a dict of hosts and rcron_info's results")
    try:
        back = float(hours)
    except (TypeError, ValueError):
        back = math.nan
    if not 0 < back <= MOST_HOURS:
        raise AnsibleFilterError(
            f"rcron_report: {hours!r} hours: give a number above 0, up to {MOST_HOURS} (rcron_report_hours)"
        )
    now = time.time()
    found = [(problem.host, problem.cluster or "-", table.plain(problem.what)) for problem in problems(hosts)]
    bad = {host for host, _cluster_name, _what in found}
    silent = {host: info for host, info in hosts.items() if "clusters" not in info}
    clusters = [_cluster(name, members, silent, back, now, bad) for name, members in sorted(_clusters(hosts).items())]
    named = {host for members in _clusters(hosts).values() for host in members}
    others = [row for host, info in hosts.items() if host not in named for row in host_rows(host, info)]
    if others:
        clusters.append(Cluster("", [], _titles(HOSTS), others, [], None, ""))
    return html(Report(now, back, found, clusters))


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_report": rcron_report}
