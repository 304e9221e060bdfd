# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived: `[--instance NAME[=CONF]]... [--group NAME[=CONF]]...`, then the four words of `notify`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.feeder import MISSING, Call, Feeder


def meaning(call: Call) -> str | None:
    followed = [("INSTANCE", *name.partition("=")[::2]) for name in call.options.get("--instance", [])]
    followed += [("GROUP", *name.partition("=")[::2]) for name in call.options.get("--group", [])]
    ours = [(kind, name) for kind, name, conf in followed if conf in ("", call.conf)]
    event = call.words
    # Two cannot keep one state.
    if (
        len(event) not in (3, 4)
        or len(ours) != 1
        or ours[0] != (event[0], event[1])
        or not all(named for _kind, named, _conf in followed)
    ):
        return None
    return {"MASTER": "active", **dict.fromkeys(("BACKUP", "FAULT", "STOP", "DELETED"), "passive")}.get(event[2])


_OPTIONS = st.just(["--instance", "VI_1"]) | st.lists(
    st.tuples(
        st.sampled_from(["--instance", "--group"]),
        st.sampled_from(["VI_1", "VI_2", f"VI_1={MISSING}", "=", ""]),
    ),
    max_size=2,
).map(lambda pairs: [word for pair in pairs for word in pair])
_EVENTS = st.sampled_from(["fifo", "."]).map(lambda path: [path]) | st.tuples(
    st.sampled_from(["INSTANCE", "GROUP", "VS"]),
    st.sampled_from(["VI_1", "VI_2"]),
    st.sampled_from(["MASTER", "BACKUP", "FAULT", "STOP", "DELETED", "MASTER_PRIORITY", "master", "SHINY"]),
    st.sampled_from([["100"], ["0"], [], ["100", "x"]]),
).map(lambda words: [*words[:3], *words[3]])

FEEDER = Feeder(
    meaning=meaning,
    calls=st.tuples(_OPTIONS, _EVENTS).map(lambda pair: pair[0] + pair[1]),
    seeds=(
        "--instance VI_1 INSTANCE VI_1 MASTER 100",
        "--group VI_1 GROUP VI_1 FAULT 0",
        "--instance VI_1 fifo",
        "--instance VI_1 --group G=/x INSTANCE VI_1 BACKUP 100",
        "--instance VI_1 INSTANCE VI_1 MASTER 100 x",
    ),
    options=("--instance", "--group"),
)
