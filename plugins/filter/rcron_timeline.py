# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_timeline: a picture of what a cluster did, from the answers of rcron_info."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.cluster import (
    MOST_HOURS,
    TimelineError,
    timeline_of,
)
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.history import Info
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.picture import draw


def rcron_timeline(hosts: Mapping[str, Info], hours: float = 3, cluster: str | None = None) -> str:
    """Draw a cluster's timeline.

    Args:
        hosts: What rcron_info's task registered for each host, failures included.
        hours: How many hours the picture goes back.
        cluster: The cluster's name; necessary if the hosts have several.

    Returns:
        An SVG document.

    Raises:
        AnsibleFilterError: An argument is not valid, or no host has answered.
    """
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"rcron_timeline: {hosts!r}: pass a dict of hosts and rcron_info's results")
    try:
        back = float(hours)
    except (TypeError, ValueError):
        back = math.nan
    if not 0 < back <= MOST_HOURS:
        raise AnsibleFilterError(
            f"rcron_timeline: {hours!r} hours: give a number above 0, up to {MOST_HOURS} (rcron_timeline_hours)"
        )
    try:
        return draw(timeline_of(hosts, back, cluster or None))
    except TimelineError as error:
        raise AnsibleFilterError(f"rcron_timeline: {error}") from error


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_timeline": rcron_timeline}
