# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_claim asks a node before it changes anything there: nothing.

It has no daemon, and writes no file of its own; rcron_engine_info tries the engine.
"""

from __future__ import annotations

OPTIONS = {"mark": {"type": "str", "required": True}}


def inspect(options: dict) -> dict:
    """Look at this node.

    Args:
        options: What OPTIONS describes.

    Returns:
        The keys that rcron_feeder_info documents for claim.
    """
    return {"foreign": []}
