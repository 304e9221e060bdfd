# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The lease: with real files, clocks moved by hand, an engine that does as etcd does, and two nodes or more."""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from rcron import log, pin, settings, state
from rcron.agent import conf as agent_conf
from rcron.agent.answer import Answer
from rcron.agent.engines import Engine, EngineError, Lease
from rcron.agent.feeders import lease
from rcron.agent.keeper import Keeper
from rcron.agent.store import Store
from rcron.settings import ACTIVE, PASSIVE, Config, ConfigError

TTL = 10
STEP = 0.05


class Clock:
    """The time. `now`: seconds since the machine was booted. `set_by`: by how much the time of day was set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 5000.0
        self.set_by = 0.0
        began = time.time()
        monkeypatch.setattr(time, "time", lambda: began + self.now - 5000 + self.set_by)
        monkeypatch.setattr(time, "clock_gettime", lambda _clock: self.now)
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)


class Fake(Engine):
    """An engine in this process.

    is_away: no request arrives. lost: of how many of the next writes the answer is lost. takes: seconds that a request
    takes before it is done.
    """

    keeps_leases = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held: "Lease | None" = None
        self.until = self.ended = 0.0
        self.terms = 0
        self.is_away = False
        self.lost = 0
        self.takes = 0.0
        self.writes = self.looks = 0
        self.wishes: "dict[int, float]" = {}
        self.cannot_read_wishes = False

    def _arrive(self) -> None:
        self._clock.now += self.takes
        if self.is_away:
            raise EngineError("nobody answers")
        if self._clock.now >= self.until and self.held is not None:
            self.held, self.ended = None, self.until

    def lease(self, cluster: str) -> "Lease | None":
        assert cluster == "c1"
        self.looks += 1
        self._arrive()
        return self.held

    def hold(self, cluster: str, mine: Lease, ttl: int) -> "Lease | None":
        self._arrive()
        self.writes += 1
        held = self.held
        if mine.term == (held.term if held else 0):
            self.terms += not mine.term
            self.held = mine._replace(term=mine.term or self.terms, renewed=self.writes)
            self.until = self._clock.now + ttl
        elif held is not None and held.token == mine.token:
            raise EngineError("ours by an earlier request")
        if self.lost:
            self.lost -= 1
            raise EngineError("the answer was lost")
        return self.held

    def ask_for(self, cluster: str, place: int, seconds: int) -> None:
        self._arrive()
        self.wishes[place] = self._clock.now + seconds

    def wanted(self, cluster: str) -> "int | None":
        self._arrive()
        if self.cannot_read_wishes:
            raise EngineError("nobody answers")
        return min((place for place, until in self.wishes.items() if self._clock.now < until), default=None)

    def release(self, cluster: str, mine: Lease) -> None:
        self._arrive()
        if self.held and self.held.term == mine.term:
            self.held = None


class Node:
    """A node that seeks the lease. is_frozen: its agent stands still."""

    def __init__(self, folder: pathlib.Path, clock: Clock, engine: Fake, name: str, place: int, max_age: int) -> None:
        self.clock = clock
        self.engine = engine
        self.name = name
        self.place = place
        self.preempt = 0
        (folder / name).mkdir()
        self.state_file = folder / name / "state"
        self.state_file.write_text("passive\n")
        self.config: Config = settings.parse(
            f"cluster_name = c1\nstate_file = {self.state_file}\ndefault_state = passive\nstate_max_age = {max_age}\n",
            str(folder / name / "rcron.conf"),
        )
        self.is_frozen = False
        self.start()

    def start(self) -> None:
        """Start its agent."""
        options = {name: default for name, (_parser, default) in lease.OPTIONS.items()}
        self.truth = lease.LeaseTruth(
            self.config, self.engine, self.name, {**options, "place": self.place, "preempt": self.preempt}
        )
        self.keeper = Keeper(self.config, "lease", self.truth, Store(self.config, "lease"), self.clock.now)
        self.seen = self.clock.now

    def step(self) -> None:
        """Do what the loop does in one round."""
        if self.is_frozen:
            return
        self.keeper.gap(self.clock.now - self.seen - 0.25, self.clock.now)
        self.keeper.tick(self.clock.now)
        if self.keeper.due <= self.clock.now:
            self.keeper.asked(self.clock.now)
            answer = self.truth.ask()
            self.keeper.answered(answer, self.clock.now)
        self.seen = self.clock.now

    def stop(self) -> None:
        """Stop its agent cleanly, as the loop does."""
        if self.keeper.leave(self.clock.now):
            self.truth.leave()
        self.is_frozen = True

    @property
    def state(self) -> str:
        """What a job would go by."""
        return state.current(self.config).state


class Bench:
    """Some nodes, and what is seen of them. two: for how many seconds two nodes were active."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, max_age: int = TTL - 1) -> None:
        monkeypatch.setattr(settings, "RUNTIME", str(folder / "runtime"))
        (folder / "runtime").mkdir()
        self.log: "list[str]" = []
        monkeypatch.setattr(log, "_send", lambda _facility, _level, line: self.log.append(line))
        self.clock = Clock(monkeypatch)
        self.engine = Fake(self.clock)
        self.one = Node(folder, self.clock, self.engine, "one", 0, max_age)
        self.other = Node(folder, self.clock, self.engine, "other", 1, max_age)
        self.two = 0.0

    def run(self, seconds: float, until: "Callable[[], bool] | None" = None) -> float:
        """Let time pass. Returns how much did, if something is waited for."""
        began = self.clock.now
        while self.clock.now < began + seconds:
            for node in (self.one, self.other):
                node.step()
            if self.one.state == self.other.state == ACTIVE:
                self.two += STEP
            if until is not None and until():
                return self.clock.now - began
            self.clock.now += STEP
        assert until is None, "it has not happened"
        return seconds

    @property
    def states(self) -> "tuple[str, str]":
        """Both nodes'."""
        return self.one.state, self.other.state


@pytest.fixture
def bench(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two nodes, the first of which has been active for a while."""
    bench = Bench(tmp_path, monkeypatch)
    bench.run(5)
    assert bench.states == (ACTIVE, PASSIVE)
    return bench


def other_is_active(bench: Bench) -> "Callable[[], bool]":
    return lambda: bench.other.state == ACTIVE


def test_one_node_has_it_and_keeps_it(bench: Bench) -> None:
    before = bench.engine.writes
    bench.run(60)
    assert bench.states == (ACTIVE, PASSIVE)
    assert bench.engine.terms == 1
    assert 60 / 3.34 - 1 <= bench.engine.writes - before <= 60 / 3 + 1, "a third of the lease's length apart"


def test_a_dead_node_is_replaced_when_its_lease_has_ended(bench: Bench) -> None:
    bench.one.is_frozen = True
    assert bench.run(15, other_is_active(bench)) <= TTL + 1
    assert bench.two == 0
    assert bench.engine.terms == 2


def test_a_clean_stop_hands_over_at_once(bench: Bench) -> None:
    bench.one.stop()
    assert bench.one.state == PASSIVE
    assert bench.run(2, other_is_active(bench)) <= 1


def test_an_agent_that_stops_is_passive_before_it_gives_the_lease_back(bench: Bench) -> None:
    seen = []
    release = bench.engine.release
    bench.engine.release = lambda *args: (seen.append(bench.one.state), release(*args))[1]  # type: ignore[method-assign]
    bench.one.stop()
    assert seen == [PASSIVE]


def test_a_node_that_is_cut_off_is_passive_before_another_one_is_active(bench: Bench) -> None:
    for renewed_ago in range(0, 40, 3):
        node = bench.one if bench.one.state == ACTIVE else bench.other
        other = bench.other if node is bench.one else bench.one
        bench.run(renewed_ago * STEP * 2)
        away = Fake(bench.clock)
        away.is_away = True
        node.truth._engine = away
        bench.run(15, lambda other=other: other.state == ACTIVE)  # type: ignore[misc]
        assert node.state == PASSIVE
        node.truth._engine = bench.engine
        bench.run(4)
        assert sorted(bench.states) == [ACTIVE, PASSIVE]
    assert bench.two == 0


@pytest.mark.parametrize("hangs", [False, True])
def test_the_deadline_ends_it_without_the_state_files_age(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    bench = Bench(tmp_path, monkeypatch, max_age=86_400)
    bench.run(5)
    for seconds in (0.0, 1.3, 3.2):
        bench.run(seconds)
        assert bench.states == (ACTIVE, PASSIVE)
        if hangs:
            bench.run(5, lambda: bench.one.keeper.due <= bench.clock.now + STEP)
            bench.one.keeper.asked(bench.clock.now)  # and the answer never comes
        else:
            bench.one.truth._engine = Fake(bench.clock)
            bench.one.truth._engine.is_away = True
        bench.run(15, lambda: bench.one.state == PASSIVE)
        assert bench.engine.until - bench.clock.now >= 1 - STEP, "so much before the engine gives it to another one"
        bench.run(5, other_is_active(bench))
        assert bench.two == 0
        bench.other.stop()
        bench.other.start()
        bench.other.is_frozen = False
        bench.one.truth._engine = bench.engine
        bench.one.start()
        bench.run(2, lambda: bench.one.state == ACTIVE)
    assert bench.two == 0


def test_without_the_engine_no_node_is_active(bench: Bench) -> None:
    bench.engine.is_away = True
    assert bench.run(15, lambda: bench.one.state == PASSIVE) <= TTL - 1
    bench.run(20)
    assert bench.states == (PASSIVE, PASSIVE)
    bench.engine.is_away = False
    bench.run(3, lambda: ACTIVE in bench.states)


def test_an_engine_that_is_away_for_a_moment_changes_nothing(bench: Bench) -> None:
    for seconds in (1, 3, 5):
        bench.engine.is_away = True
        bench.run(seconds)
        assert bench.states == (ACTIVE, PASSIVE)
        bench.engine.is_away = False
        bench.run(5)
    assert bench.engine.terms == 1


def test_a_lost_answer_costs_nothing_and_proves_nothing(bench: Bench) -> None:
    deadline = bench.one.truth.deadline
    bench.engine.lost = 1
    bench.run(6, lambda: bench.engine.lost == 0)
    assert bench.one.truth.deadline == deadline, "an answer that was lost renews nothing"
    bench.run(30)
    assert bench.states == (ACTIVE, PASSIVE)
    assert bench.engine.terms == 1


def test_a_lease_that_was_taken_by_a_lost_answer_is_found(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    bench.engine.lost = 1
    assert bench.run(3, lambda: bench.one.state == ACTIVE) < 1
    assert bench.engine.terms == 1


def test_a_renewal_counts_from_before_it_was_sent(bench: Bench) -> None:
    bench.engine.takes = 0.4
    moments: "list[tuple[float, float, Answer]]" = []
    ask = bench.one.truth.ask

    def note() -> Answer:
        began = bench.clock.now
        answer = ask()
        moments.append((began, bench.clock.now, answer))
        return answer

    monkeypatched: Any = bench.one.truth
    monkeypatched.ask = note
    bench.run(10)
    renewals = [each for each in moments if each[2].state == ACTIVE]
    assert renewals
    for began, ended, answer in renewals:
        assert answer.moment == began
        assert ended - began > 0.39
    assert bench.one.truth.deadline == renewals[-1][0] + TTL - 1


def test_a_question_that_hangs_does_not_prolong_it(bench: Bench) -> None:
    began = bench.one.truth.deadline
    bench.run(5, lambda: bench.one.keeper.due <= bench.clock.now + STEP)
    bench.one.keeper.asked(bench.clock.now)  # and the answer never comes
    bench.run(15, lambda: bench.one.state == PASSIVE)
    assert bench.clock.now <= max(began, bench.one.truth.deadline) + STEP
    bench.run(15, other_is_active(bench))
    assert bench.two == 0


@pytest.mark.parametrize("seconds", [2, 4, 6, 9, 20, 60])
def test_frozen_and_thawed(bench: Bench, seconds: int) -> None:
    bench.one.is_frozen = True
    bench.run(seconds)
    bench.one.is_frozen = False
    was = bench.one.state
    assert was == (ACTIVE if seconds < 6 else PASSIVE) or seconds == 6
    bench.run(20)
    assert bench.two == 0
    assert bench.states == ((ACTIVE, PASSIVE) if seconds < 7 else (PASSIVE, ACTIVE))


def test_slept_with_the_machine_it_is_passive_at_once(bench: Bench) -> None:
    bench.one.is_frozen = True
    bench.engine.held = None
    bench.clock.now += 60
    bench.one.is_frozen = False
    assert bench.one.state == PASSIVE, "by the state file's age"
    bench.one.keeper.gap(60, bench.clock.now)
    assert bench.one.state == PASSIVE
    assert bench.one.state_file.read_text() == "passive\n"


@pytest.mark.parametrize("by", [-3600.0, 3600.0, -5.0, 5.0])
@pytest.mark.parametrize("cut_off", [False, True])
def test_a_clock_that_is_set_prolongs_nothing(bench: Bench, by: float, cut_off: bool) -> None:
    if cut_off:
        away = Fake(bench.clock)
        away.is_away = True
        bench.one.truth._engine = away
        bench.run(3)
    bench.clock.set_by = by
    bench.one.keeper.clock_was_set(bench.clock.now)
    bench.other.keeper.clock_was_set(bench.clock.now)
    bench.run(25)
    assert bench.two == 0
    assert bench.states == ((PASSIVE, ACTIVE) if cut_off else (ACTIVE, PASSIVE))


def test_killed_and_started_anew_it_goes_on_with_its_lease(bench: Bench) -> None:
    bench.one.start()
    bench.run(10)
    assert bench.states == (ACTIVE, PASSIVE)
    assert bench.engine.terms == 1
    assert not any("state=passive" in line for line in bench.log)


def test_an_agent_of_a_machine_that_was_booted_does_not_take_anothers_lease_for_its_own(bench: Bench) -> None:
    for name in ("token", "term"):
        pathlib.Path(bench.one.config.agent_file(name)).unlink()
    bench.one.state_file.write_text("passive\n")
    bench.one.start()
    bench.run(3)
    assert bench.states == (PASSIVE, PASSIVE), "until the one that it had before has ended"
    bench.run(15)
    assert bench.engine.terms == 2


def test_an_agent_started_anew_makes_passive_what_is_too_old(bench: Bench) -> None:
    bench.engine.is_away = True
    bench.one.is_frozen = True
    bench.run(4)
    bench.one.start()
    bench.one.is_frozen = False
    bench.run(15, lambda: bench.one.state == PASSIVE)
    assert bench.one.truth.deadline <= bench.clock.now + STEP


def test_the_lease_is_left_to_the_preferred_node(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    for turn in range(8):
        bench.engine.held, bench.engine.until = Lease("x", "third", 99), bench.clock.now + 10
        bench.run(5)
        assert bench.states == (PASSIVE, PASSIVE)
        bench.run(0.07 * turn)
        bench.engine.held = None
        assert bench.run(1, lambda: ACTIVE in bench.states) <= 0.35
        assert bench.one.state == ACTIVE


@pytest.mark.parametrize("alive", [False, True])
def test_a_lease_that_is_not_renewed_is_looked_at_more_often(bench: Bench, alive: bool) -> None:
    bench.engine.held, bench.engine.until = Lease("x", "third", 99), bench.clock.now + 1000
    for number in range(30):
        if number == 20:
            bench.engine.looks = 0
        if alive:
            bench.engine.held = bench.engine.held._replace(renewed=number)
        bench.run(1)
    assert (55 < bench.engine.looks < 75) == alive
    assert (130 < bench.engine.looks <= 200) != alive
    bench.engine.held = None
    took = bench.run(1, lambda: ACTIVE in bench.states)
    assert bench.one.state == ACTIVE
    assert took <= (0.35 if alive else 0.2)


def test_the_next_node_takes_a_dead_ones_lease_half_a_second_after_its_end(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    bench.run(5)
    for turn in range(8):
        bench.run(0.45 * turn)
        bench.one.is_frozen = True
        bench.run(TTL + 2, other_is_active(bench))
        assert bench.clock.now <= bench.engine.until - TTL + 2 * STEP, "it was taken just now"
        assert bench.clock.now - bench.engine.ended <= 0.4
        bench.other.stop()
        bench.one.is_frozen = False
        bench.one.start()
        bench.run(3, lambda: bench.one.state == ACTIVE)
        bench.other.is_frozen = False
        bench.other.start()
        bench.run(2)


def test_nobody_takes_it_back(bench: Bench) -> None:
    bench.one.stop()
    bench.run(5, other_is_active(bench))
    bench.one.is_frozen = False
    bench.one.start()
    bench.run(30)
    assert bench.states == (PASSIVE, ACTIVE), "there is no preemption"


@pytest.fixture
def preempted(bench: Bench) -> Bench:
    """The other node has it, and the preferred one, which is back, wants it when it has been well for 20 seconds."""
    bench.one.stop()
    bench.run(3, other_is_active(bench))
    bench.run(3)
    bench.one.is_frozen = False
    bench.one.preempt = 20
    bench.one.start()
    return bench


def one_is_active(bench: Bench) -> "Callable[[], bool]":
    return lambda: bench.one.state == ACTIVE


def test_a_preferred_node_takes_it_back_when_it_has_been_well_for_a_while(preempted: Bench) -> None:
    bench = preempted
    bench.run(19)
    assert bench.states == (PASSIVE, ACTIVE)
    assert bench.engine.wishes == {}
    assert bench.run(10, lambda: ACTIVE not in bench.states) <= 20 / 3 + 1, "at the holder's next renewal"
    assert bench.run(5, one_is_active(bench)) <= 1
    bench.run(60)
    assert bench.states == (ACTIVE, PASSIVE)
    assert bench.engine.terms == 3
    assert bench.two == 0


def test_the_holder_is_passive_before_it_gives_the_lease_to_a_preferred_node(preempted: Bench) -> None:
    bench = preempted
    seen = []
    release = bench.engine.release
    bench.engine.release = lambda *args: (seen.append(bench.other.state), release(*args))[1]  # type: ignore[method-assign]
    bench.run(40, one_is_active(bench))
    assert seen == [PASSIVE]


def test_a_node_that_was_not_well_does_not_want_it_yet(preempted: Bench) -> None:
    bench = preempted
    for _turn in range(4):
        bench.run(12)
        away = Fake(bench.clock)
        away.is_away = True
        bench.one.truth._engine = away
        bench.run(1)
        bench.one.truth._engine = bench.engine
    bench.run(12)
    bench.one.truth.gap(3.0)
    bench.run(12)
    assert bench.engine.wishes == {}
    bench.run(20, one_is_active(bench))


def test_the_others_leave_it_to_the_node_that_wants_it(preempted: Bench) -> None:
    bench = preempted
    bench.run(40, lambda: ACTIVE not in bench.states)
    bench.one.is_frozen = True
    assert bench.run(10, other_is_active(bench)) >= 3 - 2 * STEP, "it takes it back if that one dies"
    assert bench.two == 0


def test_a_node_does_not_want_what_a_preferred_one_has(bench: Bench) -> None:
    bench.other.preempt = 1
    bench.other.start()
    bench.run(20)
    assert bench.engine.wishes == {}
    assert bench.states == (ACTIVE, PASSIVE)


def test_a_pin_stops_the_holder_and_the_one_that_wants_it(preempted: Bench) -> None:
    bench = preempted
    pin.write(bench.other.config, ACTIVE, None)
    bench.run(60)
    assert bench.states == (PASSIVE, ACTIVE), "a node that is pinned active does not give it up"
    pin.remove(bench.other.config)
    pin.write(bench.one.config, PASSIVE, None)
    bench.run(TTL)  # what it has asked for before is over then, or has been done
    bench.run(30)
    assert bench.states == (PASSIVE, ACTIVE)
    pin.remove(bench.one.config)
    assert bench.run(40, one_is_active(bench)) >= 19, "it has to be well for as long again"
    assert bench.two == 0


def leave(node: Node) -> None:
    """Do what `rcronctl feed lease leave` does to an agent."""
    node.state_file.write_text("passive\n")
    node.keeper.event(Answer(PASSIVE, node.clock.now, "leave"), node.clock.now)


def test_whoever_makes_the_holder_passive_has_another_node_be_active(bench: Bench) -> None:
    leave(bench.one)
    assert bench.run(2, other_is_active(bench)) <= 1
    bench.run(30)
    assert bench.states == (PASSIVE, ACTIVE)
    assert bench.two == 0


def test_a_holder_that_was_made_passive_takes_the_lease_back_if_nobody_else_does(bench: Bench) -> None:
    bench.other.is_frozen = True
    leave(bench.one)
    assert 2.5 <= bench.run(10, one_is_active(bench)) <= 4
    assert bench.engine.terms == 2


def test_a_node_without_the_lease_may_be_told_to_leave_it(bench: Bench) -> None:
    leave(bench.other)
    bench.run(10)
    assert bench.states == (ACTIVE, PASSIVE)
    assert bench.engine.terms == 1


def test_wishes_that_cannot_be_read_are_none(preempted: Bench) -> None:
    bench = preempted
    bench.engine.cannot_read_wishes = True
    bench.run(60)
    assert bench.states == (PASSIVE, ACTIVE)
    assert bench.engine.terms == 2, "and it was renewed all the time"


def test_a_preferred_nodes_wish_survives_a_lost_answer(preempted: Bench) -> None:
    bench = preempted
    bench.run(30, lambda: ACTIVE not in bench.states)
    bench.engine.lost = 1
    bench.run(5, one_is_active(bench))
    assert bench.two == 0


@pytest.mark.parametrize("value", ["-1", "1.5", "", "x", "86401"])
def test_a_patience_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="not a whole number of seconds from 1 to 86400, nor 0 for never"):
        lease.patience(value)


def test_pinned_passive_gives_it_up_and_unpinned_it_may_have_it_again(bench: Bench) -> None:
    pin.write(bench.one.config, PASSIVE, None)
    assert bench.run(6, other_is_active(bench)) <= 4.5, "at the next renewal"
    bench.run(15)
    assert bench.states == (PASSIVE, ACTIVE)
    pin.remove(bench.one.config)
    bench.other.stop()
    bench.run(3, lambda: bench.one.state == ACTIVE)
    assert bench.two == 0


def test_a_pin_gives_nothing_up_before_the_state_file_says_passive(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin.write(bench.one.config, PASSIVE, None)
    assert bench.one.truth.ask().state == PASSIVE
    assert bench.one.truth.ask().state == PASSIVE
    assert bench.engine.held is not None, "the state file still says active"
    bench.one.state_file.write_text("passive\n")
    bench.one.truth.ask()
    assert bench.engine.held is None


def test_the_term_is_there_before_the_state(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pathlib.Path(bench.one.config.agent_file("term")).read_text() == "RCRON_TERM=1\n"
    bench.one.stop()
    wrote = []
    write = Store.write_active

    def look(store: Store, *args: Any, **more: Any) -> bool:
        wrote.append(pathlib.Path(bench.other.config.agent_file("term")).read_text())
        return write(store, *args, **more)

    monkeypatch.setattr(Store, "write_active", look)
    bench.run(3, other_is_active(bench))
    assert wrote == ["RCRON_TERM=2\n"]


def test_the_answer_names_the_holder_and_the_term(bench: Bench) -> None:
    assert bench.one.truth.ask().words == "has the lease, term 1"
    assert bench.other.truth.ask().words == "one has the lease, term 1"


@pytest.mark.parametrize(
    ("age", "ttl", "message"),
    [
        (0, 10, "state_max_age is 0, and a lease of 10 s counts for 9 s; write state_max_age = 9"),
        (10, 10, "write state_max_age = 9"),
        (28, 30, "write state_max_age = 27"),
    ],
)
def test_a_state_that_outlives_the_lease_is_refused(tmp_path: pathlib.Path, age: int, ttl: int, message: str) -> None:
    config = settings.parse(f"state_file = {tmp_path}/state\nstate_max_age = {age}\n", "rcron.conf")
    with pytest.raises(ConfigError, match=message):
        lease.truth(config, {"ttl": ttl, "agent_conf": "/nowhere"})


@pytest.mark.parametrize("engine", ["redis", "command"])
def test_an_engine_that_forgets_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    path = tmp_path / "agent.conf"
    path.touch(0o600)
    path.write_text(f"engine = {engine}\nendpoints = x\n")
    monkeypatch.setattr(agent_conf, "engine_of", lambda _conf: Engine())
    config = settings.parse(f"state_file = {tmp_path}/state\nstate_max_age = 9\n", "rcron.conf")
    with pytest.raises(ConfigError, match=f"the engine {engine} cannot keep a lease; take etcd or postgresql"):
        lease.truth(config, {"ttl": 10, "agent_conf": str(path)})


@pytest.mark.parametrize("value", ["4", "3601", "9.5", "", "x", "-10"])
def test_a_length_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="not a whole number of seconds from 5 to 3600"):
        lease.ttl(value)


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "12345"])
def test_a_place_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="is not a place"):
        lease.place(value)
