# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_notes: the entries of a cluster that somebody else has prefixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer, table

#: The most entries of a host that are shown: they are below the problems, which must stay in sight.
MOST_OF_A_HOST = 100


def rcron_notes(tried: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Report the prefixed entries that the inventory neither selects nor has ever selected.

    Args:
        tried: What rcron_crontab in check mode registered for each host.

    Returns:
        The lines of a table with a heading; nothing if there is no such entry.

    Raises:
        AnsibleFilterError: `tried` is not a dict.
    """
    if not isinstance(tried, Mapping):
        raise AnsibleFilterError(f"rcron_notes: {tried!r}: pass a dict of hosts and rcron_crontab's results")
    entries = {
        host: [entry for entry in result["unselected"] if not entry["released"]]
        for host, result in tried.items()
        if answer.mismatch(result, answer.REWRITTEN) is None
    }
    found = [
        (host, entry["crontab"], entry["line"], entry["command"])
        for host, listed in entries.items()
        for entry in listed[:MOST_OF_A_HOST]
    ]
    found += [
        (host, "-", "-", f"and {len(listed) - MOST_OF_A_HOST} more")
        for host, listed in entries.items()
        if len(listed) > MOST_OF_A_HOST
    ]
    return (
        table.lines(["HOST", "CRONTAB", "LINE", "PREFIXED, BUT NOT IN RCRON_CRONTAB_ENTRIES"], found) if found else []
    )


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_notes": rcron_notes}
