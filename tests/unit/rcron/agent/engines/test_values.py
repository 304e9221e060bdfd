# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What an engine holds may be anybody's, and no number there keeps the rest of the ledger from whoever asks."""

import json
import threading

import pytest

from rcron import history, status
from rcron.agent import engines
from rcron.agent.engines import Claim, EngineError, Lease, postgresql, run_of


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


def postgresql_that_answers(monkeypatch: pytest.MonkeyPatch, *row: object) -> postgresql.PostgreSQL:
    """A server decides of which types its answers are."""
    engine = postgresql.PostgreSQL.__new__(postgresql.PostgreSQL)
    monkeypatch.setattr(engine, "_run", lambda *_words: (1, [row]), raising=False)
    return engine


@pytest.mark.parametrize("term", ["5\nLD_PRELOAD=/tmp/x.so", "5", 5.5, True, None, -1, 0, 1 << 63, b"5"])
def test_no_server_adds_a_variable_to_root_s_services(monkeypatch: pytest.MonkeyPatch, term: object) -> None:
    """The term is written into a file that is an EnvironmentFile=."""
    mine = Lease("t1", "node1", 0)
    engine = postgresql_that_answers(monkeypatch, "t1", "node1", term, 0, 7)
    for ask in (lambda: engine.hold("c1", mine, 10), lambda: engine.lease("c1")):
        with pytest.raises(EngineError, match="term is not a number"):
            ask()
    assert postgresql_that_answers(monkeypatch, "t1", "node1", 5, 0, 7).lease("c1") == Lease("t1", "node1", 5, 0, 7)


@pytest.mark.parametrize("odd", [None, 5, b"t", ["t"], 1.5, float("nan"), {}])
def test_an_odd_answer_of_postgresql_s_is_one_that_can_be_passed_on(
    monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    """What hands it on is the loop that serves everybody."""
    engine = postgresql_that_answers(monkeypatch, odd, odd, odd, odd, odd)
    holder = engine.claim(Claim("c1", "root", "a", "60", "t1", "node1", 1))
    assert [type(part) for part in holder] == [str, str, int]
    (run,) = postgresql_that_answers(monkeypatch, *[odd] * 11).history("c1", "", "", 1)
    assert json.dumps(run._asdict())
    assert postgresql_that_answers(monkeypatch, odd, odd, odd).check().startswith("PostgreSQL ")
    assert isinstance(engine.wanted("c1"), (int, type(None)))
    with pytest.raises(EngineError, match="does not have"):
        postgresql_that_answers(monkeypatch).claim(Claim("c1", "root", "a", "60", "t1", "node1", 1))


@pytest.mark.parametrize("odd", [None, b"t", ["t"], 1.5, -3, True, 1 << 70])
def test_an_odd_lease_of_postgresql_s_is_one_that_can_be_compared(monkeypatch: pytest.MonkeyPatch, odd: object) -> None:
    """With the token of the agent that asks, and with its place in the order of preference."""
    found = postgresql_that_answers(monkeypatch, odd, odd, 5, odd, 7).lease("c1")
    assert found == Lease("", "", 5, 0, 7)


def test_no_node_s_name_is_longer_than_any_node_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop that serves all clusters writes it, each time."""
    found = postgresql_that_answers(monkeypatch, "t2", "n" * 1_000_000, 5, 0, 7).lease("c1")
    assert found is not None
    assert found.node == "n" * 64


@pytest.mark.parametrize("protected", [True, False])
def test_no_server_has_old_claims_deleted_for_ever(monkeypatch: pytest.MonkeyPatch, protected: bool) -> None:
    monkeypatch.setattr(engines, "LONGEST", 0.05 if protected else 3600.0)
    engine = postgresql_that_answers(monkeypatch, 1)
    thread = threading.Thread(target=engine.clean, args=("c1", "node1"), daemon=True)
    thread.start()
    thread.join(10.0 if protected else 0.5)
    assert thread.is_alive() != protected
    monkeypatch.setattr(engine, "_run", lambda *_words: (0, []), raising=False)
    thread.join(10.0)
