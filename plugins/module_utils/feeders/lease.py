# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_lease asks a node before it changes anything there.

A lease has no daemon, and rcron_engine_info tries the engine. What is left is whether the file is the role's own.
"""

from __future__ import annotations

from ..node import files

OPTIONS = {
    "own": {"type": "list", "elements": "path", "required": True},
    "mark": {"type": "str", "required": True},
}


def inspect(options: dict) -> dict:
    """Look at this node.

    Args:
        options: What OPTIONS describes. `own` are the paths of all files that the role writes, `mark` is the first line
            of each.

    Returns:
        The keys that rcron_feeder_info documents for lease.
    """
    return {"foreign": files.foreign(options["own"], options["mark"])}
