# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What an engine holds may be anybody's, and no number there keeps the rest of the ledger from whoever asks."""

import json

import pytest

from rcron import history, status
from rcron.agent.engines import postgresql, run_of


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "1" + "0" * 400, "-5", "true", "[]", '"5"'])
def test_numbers_that_no_run_has_are_left_out(number: str) -> None:
    text = f'{{"node": "node1", "at": {number}, "end": {{"exit": {number}, "dur": {number}}}}}'
    run = run_of(("c1", "root", "a", "60"), json.loads(text))
    assert (run.exit, run.gave_up) == (None, False)
    assert run.duration in (None, 1.0)
    assert status.moment(run.at)
    assert history.outcome(run._asdict())[0] == "unfinished"


def test_postgresql_s_numbers_that_no_run_has_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ("c1", "root", "a", "60", "node1", 1 << 62, "", 1 << 30, float("nan"), False, 17)
    engine = postgresql.PostgreSQL.__new__(postgresql.PostgreSQL)
    monkeypatch.setattr(engine, "_run", lambda *_words: (1, [row]), raising=False)
    (run,) = engine.history("c1", "", "", 1)
    assert (run.at, run.exit, run.duration, run.cursor) == (0, None, None, "17")
