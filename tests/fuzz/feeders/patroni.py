# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Patroni's callbacks: `[--process NAME] [--then COMMAND] ACTION ROLE SCOPE`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import Call, Feeder


def meaning(call: Call) -> str | None:
    if len(call.words) != 3:
        return None
    action, role, _scope = call.words
    if action == "on_stop":
        return "passive"
    if action not in ("on_start", "on_restart", "on_reload", "on_role_change"):
        return None
    if role in ("master", "primary", "promoted"):
        return None if action == "on_reload" else "active"
    return "passive" if role in ("replica", "standby_leader", "demoted", "uninitialized") else None


FEEDER = Feeder(
    meaning=meaning,
    calls=st.tuples(
        st.sampled_from([[], ["--then", "/bin/x y"], ["--then", "'"], ["--then", ""], ["--process", "p"]]),
        st.sampled_from(["on_start", "on_stop", "on_restart", "on_reload", "on_role_change", "on_fire"]),
        st.sampled_from(["master", "primary", "promoted", "replica", "standby_leader", "demoted", "chief", ""]),
        st.just("scope"),
    ).map(lambda parts: [*parts[0], *parts[1:]]),
    seeds=(
        "on_start primary scope",
        "--then /bin/x on_stop replica scope",
        "--process p on_reload master scope",
    ),
    options=("--then", "--process"),
    statuses=frozenset({127}),  # a --then that cannot be started
)
