# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Pacemaker's resource agent: an action."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import Call, Feeder

ACTIONS = ("start", "stop", "monitor", "promote", "demote", "notify", "meta-data", "validate-all")


def meaning(call: Call) -> str | None:
    if len(call.words) != 1:
        return None
    states = {"start": "passive" if call.promotable else "active", "stop": "passive"}
    if call.promotable:
        states["demote"] = "passive"
    return states.get(call.words[0])


FEEDER = Feeder(
    meaning=meaning,
    calls=st.sampled_from([*ACTIONS, "status"]).map(lambda word: [word]),
    seeds=ACTIONS,
    statuses=frozenset({1, 3, 5, 7, 8}),  # OCF's
)
