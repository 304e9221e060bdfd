# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A lease: `leave`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import Call, Feeder


def meaning(call: Call) -> str | None:
    return "passive" if call.words == ["leave"] else None


FEEDER = Feeder(
    meaning=meaning,
    calls=st.lists(st.sampled_from(["leave", "take", "", "LEAVE", "leave "]), min_size=0, max_size=2),
    seeds=("leave", "take", "leave leave"),
)
