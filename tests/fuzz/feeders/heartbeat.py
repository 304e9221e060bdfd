# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat's resource script: `[CONF] start|stop|status|resync`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from hypothesis import strategies as st

from rcron.feeders import heartbeat
from tests.fuzz.feeder import MISSING, OWN, Call, Feeder


def meaning(call: Call) -> str | None:
    words = call.words[1:] if len(call.words) == 2 and call.words[0] == OWN else call.words
    # The stand-in for cl_status answers resync with the other state than the one before.
    states = {"start": "active", "stop": "passive", "resync": "active" if call.before == "passive" else "passive"}
    return states.get(words[0]) if len(words) == 1 else None


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    with mock.patch.object(heartbeat, "FOLDER", "."), mock.patch.object(heartbeat, "PATIENCE", 0.0):
        yield


FEEDER = Feeder(
    meaning=meaning,
    calls=st.lists(st.sampled_from(["start", "stop", "status", "resync", MISSING, OWN]), min_size=1, max_size=3),
    seeds=("start", "stop", "status", "resync", f"{OWN} start", "/etc/x.conf stop"),
    statuses=frozenset({3}),  # `status` answers as LSB says
    stand_ins=stand_ins,
)
