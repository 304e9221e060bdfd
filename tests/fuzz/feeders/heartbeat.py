# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat's resource script: `[CONF] start|stop|status`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import MISSING, OWN, Call, Feeder


def meaning(call: Call) -> str | None:
    words = call.words[1:] if len(call.words) == 2 and call.words[0] == OWN else call.words
    states = {"start": "active", "stop": "passive"}
    return states.get(words[0]) if len(words) == 1 else None


FEEDER = Feeder(
    meaning=meaning,
    calls=st.lists(st.sampled_from(["start", "stop", "status", MISSING, OWN]), min_size=1, max_size=3),
    seeds=("start", "stop", "status", f"{OWN} start", "/etc/x.conf stop"),
    statuses=frozenset({3}),  # `status` answers as LSB says
)
