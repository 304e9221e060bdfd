# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""wackamole's Perl module: `[--daemon PID] up|down ADDRESS`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import DAEMONS, Call, Feeder


def meaning(call: Call) -> str | None:
    return {"up": "active", "down": "passive"}.get(call.words[0]) if len(call.words) == 2 else None


FEEDER = Feeder(
    meaning=meaning,
    calls=st.tuples(DAEMONS, st.sampled_from(["up", "down", "post"]), st.just("192.0.2.1")).map(
        lambda parts: [*parts[0], *parts[1:]]
    ),
    seeds=("up 192.0.2.1", "--daemon 1 down 192.0.2.1"),
    options=("--daemon",),
)
