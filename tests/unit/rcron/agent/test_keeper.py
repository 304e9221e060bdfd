# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How answers become a state: with real files, a clock moved by hand, and a daemon that says what it is told."""

import contextlib
import errno
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rcron import feed, files, log, settings, state
from rcron.agent.answer import Answer
from rcron.agent.keeper import Keeper
from rcron.agent.store import Store
from rcron.agent.truth import Truth
from rcron.settings import ACTIVE, PASSIVE

STEP = 0.05


class Daemon(Truth):
    """Says what it is told. `says` None: it cannot tell. `hangs`: it does not answer at all."""

    every = 1.0
    notice = 4.0

    def __init__(self) -> None:
        self.says: "str | None" = PASSIVE
        self.hangs = False
        self.asked: "list[float]" = []
        self.gaps = 0
        self.unwatched = 0.0
        self.seen: "Callable[[], float]" = lambda: 0.0

    def look(self) -> float:
        return self.seen()

    def gap(self, seconds: float) -> None:
        self.gaps += 1
        self.unwatched = seconds


class Bench:
    """A node with one cluster. `now` is the clock, in seconds of boottime."""

    def __init__(
        self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, lines: str = "state_max_age = 10"
    ) -> None:
        self._began = time.time()
        self._base = 5000.0
        self.now = self._base
        self.set_by = 0.0
        monkeypatch.setattr(time, "time", lambda: self._began + self.now - self._base + self.set_by)
        monkeypatch.setattr(time, "clock_gettime", lambda _clock: self.now)
        monkeypatch.setattr(settings, "RUNTIME", str(folder / "runtime"))
        (folder / "runtime").mkdir()
        self.folder = folder / "run"
        self.folder.mkdir()
        self.state_file = self.folder / "state"
        self.config = settings.parse(
            f"state_file = {self.state_file}\ndefault_state = passive\n{lines}\n", str(folder / "rcron.conf")
        )
        self.daemon = Daemon()
        self.log: "list[str]" = []
        monkeypatch.setattr(log, "_send", lambda _facility, _level, line: self.log.append(line))

    def begin(self) -> "Keeper":
        """Start the agent."""
        self._question: "tuple[float, str | None] | None" = None
        self.keeper = Keeper(self.config, "test", self.daemon, Store(self.config, "test"), self.now)
        return self.keeper

    def run(self, seconds: float) -> None:
        """Let time pass, with all going its way."""
        end = self.now + seconds
        while self.now < end - STEP / 2:
            self.step()
            self.now += STEP
        self.step()

    def step(self) -> None:
        """Do what the loop does in one round: a question is answered at once, unless the daemon hangs."""
        self.keeper.tick(self.now)
        if self.keeper.due <= self.now:
            self.daemon.asked.append(round(self.now - self._base, 2))
            self.keeper.asked(self.now)
            self._question = (self.now, self.daemon.says)
        if self._question is not None and not self.daemon.hangs:
            moment, said = self._question
            self._question = None
            self.keeper.answered(Answer(said, moment, f"it is {said}"), self.now)

    def freeze(self, seconds: float) -> None:
        """Let the whole machine stand still, and go on."""
        self.now += seconds
        self.keeper.gap(seconds, self.now)

    @property
    def state(self) -> str:
        """What a job would go by."""
        return state.current(self.config).state

    def record(self) -> str:
        """What the record holds."""
        return pathlib.Path(self.config.record_file).read_text()

    def hook(self, new: str, ago: float = 0.0) -> None:
        """Have a hook write a state, as one does that was started some seconds ago, and tell the agent nothing."""
        ticks = int((self.now - ago) * os.sysconf("SC_CLK_TCK"))
        feed.accept_event(self.config, new, "test", f"event {new}", moment=feed.Moment(ticks, 1))


@pytest.fixture
def bench(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, monkeypatch)
    bench.state_file.write_text("passive\n")
    return bench


@pytest.fixture
def active(bench: Bench) -> Bench:
    """A node that has been active for a while."""
    bench.daemon.says = ACTIVE
    bench.begin()
    bench.run(6)
    assert bench.state == ACTIVE
    bench.log.clear()
    bench.daemon.asked.clear()
    return bench


@pytest.fixture
def unwritable(active: Bench, monkeypatch: pytest.MonkeyPatch) -> "Callable[[bool], None]":
    """Make the state's folder read-only, or writable again."""
    is_read_only = [False]
    replace = files.replace

    def refuse(path: str, text: str, *rest: Any) -> None:
        if is_read_only[0] and str(active.folder) in path:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        replace(path, text, *rest)

    def overwrite(path: str, new: str) -> bool:
        assert is_read_only[0], new
        return False

    monkeypatch.setattr(files, "replace", refuse)
    monkeypatch.setattr(feed, "_overwrite", overwrite)

    def change(read_only: bool) -> None:
        is_read_only[0] = read_only

    return change


# What the daemon says


def test_the_state_is_what_the_daemon_says(bench: Bench) -> None:
    bench.begin()
    bench.run(5)
    assert bench.state == PASSIVE
    bench.daemon.says = ACTIVE
    bench.run(1.1)
    assert bench.state == ACTIVE
    bench.daemon.says = PASSIVE
    bench.run(1.1)
    assert bench.state == PASSIVE
    changes = [line.partition(" ")[2] for line in bench.log]
    assert changes == [
        "state=active status=changed event=test:it is active",
        "state=passive status=changed event=test:it is passive",
    ]


def test_a_lost_event_is_found_by_the_next_question(active: Bench) -> None:
    active.daemon.says = PASSIVE
    active.run(1.0)
    assert active.state == PASSIVE


def test_it_asks_once_in_a_while_and_three_times_in_state_max_age(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, "state_max_age = 2")
    bench.begin()
    bench.run(2.1)
    assert bench.daemon.asked == pytest.approx([0, 0.7, 1.4, 2.1], abs=0.06)


def test_an_active_state_stays_fresh_for_as_long_as_the_daemon_confirms_it(active: Bench) -> None:
    for _turn in range(40):
        active.run(1.0)
        assert active.state == ACTIVE
    assert active.log == []
    assert active.state_file.stat().st_mtime == pytest.approx(time.time(), abs=1.1)


def test_an_answer_renews_the_state_as_of_the_moment_of_its_question(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(2.0)
    put = active.daemon.asked[-1]
    active.daemon.hangs = False
    active.run(0.0)
    age = time.time() - active.state_file.stat().st_mtime
    assert age == pytest.approx(active.now - active._base - put, abs=0.06)
    assert age > 0.9


def test_a_daemon_that_cannot_tell_renews_nothing(active: Bench) -> None:
    active.daemon.says = None
    active.run(9)
    assert active.state == ACTIVE
    active.run(2)
    assert active.state == PASSIVE
    assert state.current(active.config).source == state.STALE
    active.daemon.says = ACTIVE
    active.run(1.1)
    assert active.state == ACTIVE


def test_a_daemon_that_hangs_renews_nothing_and_is_asked_no_second_question(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(12)
    assert active.state == PASSIVE
    assert len(active.daemon.asked) <= 2
    record = feed.read_record(active.config)
    assert record is not None
    assert (record.answer, record.words) == ("unknown", "no answer in 2 s")


def test_an_answer_that_took_too_long_renews_nothing(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(11)
    active.daemon.hangs = False
    active.daemon.says = None
    active.run(0.0)  # the late answer was `active`, as of eleven seconds ago
    assert active.state == PASSIVE


def test_where_peers_wait_no_longer_silence_makes_it_passive_before_it_is_stale(active: Bench) -> None:
    active.daemon.silence = 2.0
    active.daemon.says = None
    active.run(1.5)
    assert active.state == ACTIVE
    active.run(0.8)
    assert (active.state, state.current(active.config).source) == (PASSIVE, state.FILE)
    assert "no answer for 2 s" in active.log[-1]


def test_a_look_that_sees_the_daemon_work_stands_in_for_an_answer_and_renews_nothing(active: Bench) -> None:
    active.daemon.silence = 2.0
    active.daemon.hangs = True
    active.daemon.seen = lambda: active.now - 0.5
    active.run(3)
    assert active.state == ACTIVE
    active.run(8)
    assert (active.state, state.current(active.config).source) == (PASSIVE, state.STALE)


def test_a_look_that_sees_nothing_does_not_put_off_the_silence(active: Bench) -> None:
    active.daemon.silence = 2.0
    active.daemon.says = None
    then = active.now
    active.daemon.seen = lambda: then + 1
    active.run(2.8)
    assert active.state == ACTIVE
    active.run(0.5)
    assert (active.state, state.current(active.config).source) == (PASSIVE, state.FILE)


def test_a_daemon_is_looked_at_as_often_as_it_wants(active: Bench) -> None:
    active.daemon.look_every = 0.1
    active.keeper.tick(active.now)
    assert active.keeper.awaited == pytest.approx(active.now + 0.1)


def test_the_silence_before_a_hooks_active_does_not_count_against_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    bench.daemon.silence = 2.0
    bench.begin()
    bench.run(60)
    bench.daemon.says = None
    bench.run(1)
    feed.write_state(bench.config, ACTIVE)  # by a hook, whose datagram is under way
    os.utime(bench.state_file, (time.time(), time.time()))
    bench.run(1)
    assert bench.state == ACTIVE
    bench.run(3)
    assert bench.state == PASSIVE


def test_a_state_that_is_never_stale_is_passive_after_silence(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, "state_max_age = 0")
    bench.daemon.says = ACTIVE
    bench.daemon.silence = 3.0
    bench.begin()
    bench.run(6)
    assert bench.state == ACTIVE
    bench.daemon.hangs = True
    bench.run(4)
    assert bench.state == PASSIVE


# Gaps


def test_after_a_gap_no_active_counts_until_the_daemon_can_have_noticed(active: Bench) -> None:
    active.freeze(15)
    assert active.state == PASSIVE
    active.run(3.9)
    assert active.state == PASSIVE
    active.run(1.2)
    assert active.state == ACTIVE


def test_a_gap_in_which_another_node_may_have_taken_over_makes_it_passive_although_its_state_is_fresh(
    active: Bench,
) -> None:
    active.freeze(5)
    assert (active.state, state.current(active.config).source) == (PASSIVE, state.FILE)
    assert "stood still for 5.0 s" in active.log[-1]


def test_a_passive_answer_counts_at_once_after_a_gap(active: Bench) -> None:
    active.daemon.says = PASSIVE
    active.freeze(2.5)
    assert active.state == ACTIVE  # nobody can have taken over in that time
    active.run(0.1)
    assert active.state == PASSIVE


def test_the_daemon_is_told_for_how_long_nobody_watched_it(active: Bench) -> None:
    assert active.daemon.unwatched == float("inf")  # there was no state at the start
    active.freeze(5)
    assert active.daemon.unwatched == pytest.approx(5, abs=1.1)
    active.run(6)
    active.now += 3
    active.begin()
    assert active.daemon.unwatched == pytest.approx(3, abs=1.1)
    active.now += 15  # the state is stale
    active.begin()
    assert active.daemon.unwatched == float("inf")


def test_a_small_delay_is_no_gap(active: Bench) -> None:
    active.freeze(0.9)
    active.run(1.1)
    assert active.daemon.gaps == 1  # that of the start
    assert active.state_file.stat().st_mtime == pytest.approx(time.time(), abs=1.1)


def test_an_answer_from_before_the_gap_counts_for_nothing(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(1.1)
    active.freeze(5)
    active.daemon.hangs = False
    active.daemon.says = None
    active.run(8)
    assert active.state == PASSIVE


def test_a_new_agent_believes_no_active_at_once(bench: Bench) -> None:
    bench.state_file.write_text("active\n")
    os.utime(bench.state_file, (time.time() - 8, time.time() - 8))
    bench.daemon.says = ACTIVE
    bench.begin()
    assert bench.daemon.gaps == 1
    bench.run(3)
    assert bench.state == PASSIVE  # stale
    bench.run(2)
    assert bench.state == ACTIVE


def test_how_long_a_new_agent_doubts_depends_on_what_it_has_learned_of_the_daemon(bench: Bench) -> None:
    bench.daemon.says = ACTIVE
    bench.daemon.notice = 60.0
    bench.begin()
    bench.run(3)
    assert bench.state == PASSIVE
    bench.daemon.notice = 4.0  # as its configuration says
    bench.run(2)
    assert bench.state == ACTIVE


def test_a_new_agent_believes_a_passive_at_once(bench: Bench) -> None:
    bench.state_file.write_text("active\n")
    os.utime(bench.state_file, (time.time() - 8, time.time() - 8))
    bench.begin()
    bench.run(0.0)
    assert bench.state_file.read_text() == "passive\n"


def test_an_agent_that_was_away_for_a_moment_goes_on(active: Bench) -> None:
    active.run(0.5)
    active.begin()
    active.run(9)
    assert active.state == ACTIVE
    assert active.daemon.gaps == 1  # that of the first start
    assert active.log == []


@pytest.mark.parametrize("seconds", [2, 5])
def test_an_agent_that_is_started_anew_after_a_gap_distrusts_as_the_old_one_would(
    active: Bench, seconds: float
) -> None:
    """Systemd's watchdog ends an agent that stood still with its node, perhaps after it has said passive."""
    active.freeze(seconds)
    written = active.state_file.stat().st_mtime
    active.run(0.2)
    active.begin()
    active.run(3.5)
    assert active.state == (PASSIVE if seconds == 5 else ACTIVE)
    assert active.state_file.stat().st_mtime == written
    active.run(2)
    assert active.state_file.stat().st_mtime > written
    assert active.state == ACTIVE


# Hooks


def test_what_a_hook_wrote_after_the_question_was_put_stands(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(1.1)
    active.hook(PASSIVE)
    active.daemon.hangs = False
    active.daemon.says = PASSIVE
    active.step()  # the answer to the old question, which is `active`
    assert active.state == PASSIVE
    active.run(3)
    assert active.state == PASSIVE


@contextlib.contextmanager
def locked(bench: Bench) -> "Iterator[None]":
    """Somebody holds the state's lock."""
    fd = os.open(f"{bench.state_file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_no_answer_is_noted_over_what_a_hook_is_writing(active: Bench) -> None:
    """An answer's note would take the moment of the hook's event away, and a still later hook would count."""
    active.daemon.says = PASSIVE
    with locked(active):
        active.run(1.1)
        assert active.state == PASSIVE
        assert "it is passive" not in active.record()
    active.run(1.1)
    assert "event=it is passive\n" in active.record()
    assert "answer=passive\n" in active.record()


def test_a_lock_that_is_never_given_back_keeps_no_answer_from_being_noted(active: Bench) -> None:
    active.daemon.says = PASSIVE
    with locked(active):
        active.run(3.1)
        assert "event=it is passive\n" in active.record()


def test_a_passive_hook_is_believed_before_a_question_that_was_put_earlier(active: Bench) -> None:
    active.daemon.hangs = True
    active.run(1.1)
    active.keeper.event(Answer(PASSIVE, active.now, "BACKUP"), active.now)
    assert active.state == PASSIVE
    active.daemon.hangs = False
    active.step()
    assert active.state == PASSIVE


def test_an_event_that_the_daemon_does_not_confirm_is_undone(active: Bench) -> None:
    active.keeper.event(Answer(PASSIVE, active.now, "set passive"), active.now)
    assert active.state == PASSIVE
    active.run(0.2)
    assert active.state == ACTIVE


def test_an_event_has_the_daemon_asked_at_once_and_some_times_more(active: Bench) -> None:
    active.run(0.5)
    active.daemon.asked.clear()
    active.keeper.event(Answer(None, active.now, "start"), active.now)
    now = active.now - active._base
    active.run(3.6)
    assert [round(moment - now, 2) for moment in active.daemon.asked] == pytest.approx(
        [0.0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5], abs=0.06
    )


def test_events_without_end_make_it_ask_no_more_than_twenty_times_a_second(active: Bench) -> None:
    active.daemon.asked.clear()
    for _turn in range(100):
        active.keeper.event(Answer(None, active.now, "again"), active.now)
        active.step()
        active.now += 0.01
    assert len(active.daemon.asked) <= 21


def test_an_active_that_a_hook_wrote_is_confirmed_and_not_logged_again(bench: Bench) -> None:
    bench.begin()
    bench.run(5)
    bench.hook(ACTIVE)
    bench.daemon.says = ACTIVE
    bench.keeper.event(Answer(None, bench.now, "MASTER"), bench.now)
    bench.run(12)
    assert bench.state == ACTIVE
    assert [line for line in bench.log if "status=changed" in line] == [
        "cluster=default_cluster state=active status=changed event=test:event active"
    ]


def test_an_old_passive_does_not_undo_a_newer_active(active: Bench) -> None:
    active.run(0.5)
    active.keeper.event(Answer(PASSIVE, active.now - 3, "BACKUP"), active.now)
    assert active.state == ACTIVE


# Files


def test_passive_is_tried_until_it_is_written_and_meanwhile_a_veto_holds(
    active: Bench, unwritable: "Callable[[bool], None]"
) -> None:
    unwritable(True)
    active.daemon.says = PASSIVE
    active.run(1.1)
    assert active.state_file.read_text() == "active\n"
    assert active.state == PASSIVE
    active.daemon.says = ACTIVE  # it is passive first
    active.run(3)
    assert active.state == PASSIVE
    unwritable(False)
    active.daemon.says = PASSIVE
    active.run(0.3)
    assert active.state_file.read_text() == "passive\n"
    assert not os.path.exists(active.config.agent_file("passive"))
    assert [line for line in active.log if "should be passive" in line] == [
        f"cluster=default_cluster warning: {active.state_file}: not written, should be passive: Read-only file system"
    ]


def test_an_active_that_cannot_be_renewed_is_stale_and_comes_back(
    active: Bench, unwritable: "Callable[[bool], None]"
) -> None:
    active.state_file.unlink()
    unwritable(True)
    active.run(3)
    assert active.state == PASSIVE
    unwritable(False)
    active.run(1.1)
    assert active.state == ACTIVE


def test_an_agent_that_was_killed_before_it_could_write_goes_on_trying(
    active: Bench, unwritable: "Callable[[bool], None]"
) -> None:
    unwritable(True)
    active.daemon.says = PASSIVE
    active.run(1.1)
    active.begin()
    active.run(1)
    assert active.state == PASSIVE
    unwritable(False)
    active.run(0.3)
    assert active.state_file.read_text() == "passive\n"


@pytest.mark.parametrize("says", [ACTIVE, PASSIVE])
def test_a_folder_that_is_gone_is_made_anew_as_it_was(active: Bench, says: str) -> None:
    active.folder.chmod(0o750)
    active.run(1.1)
    for path in active.folder.iterdir():
        path.unlink()
    active.folder.rmdir()
    active.daemon.says = says
    active.run(1.1)
    assert active.state == says
    assert active.state_file.read_text() == f"{says}\n"
    assert active.folder.stat().st_mode & 0o7777 == 0o750


def test_a_state_file_that_is_gone_or_broken_is_written_anew(active: Bench) -> None:
    active.state_file.write_text("x\n")
    active.run(1.1)
    assert active.state == ACTIVE
    active.state_file.unlink()
    active.run(1.1)
    assert active.state == ACTIVE


def test_somebody_who_holds_the_lock_delays_an_active_for_a_second_and_a_passive_not_at_all(bench: Bench) -> None:
    bench.begin()
    bench.run(5)
    with feed.Lock(bench.config.state_file):
        bench.daemon.says = ACTIVE
        bench.run(1.0)
        assert bench.state == PASSIVE
        bench.run(1.2)
        assert bench.state == ACTIVE
        bench.daemon.says = PASSIVE
        bench.run(1.0)
        assert bench.state == PASSIVE


def test_a_clock_that_was_set_does_not_make_the_state_stale(active: Bench) -> None:
    active.set_by = 3600
    assert active.state == PASSIVE
    active.keeper.clock_was_set(active.now)
    assert active.state == ACTIVE


def test_the_record_tells_the_last_answer_its_time_and_who_asked(active: Bench) -> None:
    record = feed.read_record(active.config)
    assert record is not None
    assert (record.feeder, record.answer, record.words, record.pid) == ("test", "active", "it is active", os.getpid())
    assert record.spoke == pytest.approx(time.time(), abs=1.1)
    active.daemon.says = None
    active.run(3)
    record = feed.read_record(active.config)
    assert record is not None
    assert (record.answer, record.event) == ("unknown", "it is active")
    assert record.spoke == pytest.approx(time.time(), abs=1.1)
