# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp's up and down scripts: `[--daemon PID] up|down INTERFACE ADDRESS [XPARAM]`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import DAEMONS, Call, Feeder


def meaning(call: Call) -> str | None:
    return {"up": "active", "down": "passive"}.get(call.words[0]) if len(call.words) in (3, 4) else None


FEEDER = Feeder(
    meaning=meaning,
    calls=st.tuples(
        DAEMONS,
        st.sampled_from(["up", "down", "UP"]),
        st.just(["eth0", "192.0.2.1"]),
        st.sampled_from([[], ["x"], ["-x"], ["a", "b"]]),
    ).map(lambda parts: [*parts[0], parts[1], *parts[2], *parts[3]]),
    seeds=("up eth0 192.0.2.1", "--daemon 1 down eth0 192.0.2.1 x"),
    options=("--daemon",),
)
