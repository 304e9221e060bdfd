# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What keepalived is asked, and how its answers are taken: with a process that behaves as keepalived 2.2.7 does."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from rcron import process, settings
from rcron.agent.answer import Answer
from rcron.agent.feeders import keepalived
from rcron.agent.feeders.keepalived import Dump, KeepalivedTruth, event_of
from rcron.settings import ACTIVE, PASSIVE, Config

INTERVAL = 0.4  # seconds from one advert to the next

#: The main process and its VRRP process.
DOUBLE = pathlib.Path(__file__).with_name("keepalived_double.py")

#: Parts of what 2.2.7 writes.
DUMP = """\
------< Global definitions >------
 Router ID = one
------< VRRP Topology >------
 VRRP Instance = VI_1
   VRRP Version = 2
   State = {state}
   Wantstate = MASTER
   Advert interval = {interval}
 VRRP Instance = VI_2
   State = BACKUP
   Advert interval = 2 sec
------< VRRP Sync groups >------
 VRRP Sync Group = VG_1, {group}
   VRRP member instances
------< VRRP Sockpool >------
------< Interfaces >------
 Name = lo
   State = UP, RUNNING
"""


def dump_of(state: str, group: str = "BACKUP", interval: str = "400 milli-sec") -> str:
    return DUMP.format(state=state, group=group, interval=interval)


class Keepalived:
    """keepalived, as far as the agent sees it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo)
        self._main: "subprocess.Popen[bytes] | None" = None
        self.says("MASTER")

    def start(self) -> None:
        """Start it, with or without its FIFO."""
        (self.folder / "child").unlink(missing_ok=True)
        self._main = subprocess.Popen([sys.executable, "-IS", DOUBLE, self.folder, str(INTERVAL)])
        end = time.monotonic() + 10
        while not (self.folder / "child").exists() or not (self.folder / "child").read_text():
            assert time.monotonic() < end
            time.sleep(0.01)

    @property
    def child(self) -> int:
        """The VRRP process."""
        return int((self.folder / "child").read_text())

    def says(self, state: str, **more: str) -> None:
        """Have the next dump say so."""
        (self.folder / "says").write_text(dump_of(state, **more))

    def tells(self, *lines: str) -> None:
        """Write lines into the FIFO."""
        with open(self.fifo, "w") as stream:
            stream.write("".join(f"{line}\n" for line in lines))

    @property
    def dumps(self) -> int:
        """How often it has written what it is."""
        log = self.folder / "log"
        return log.read_text().count("\n") if log.exists() else 0

    def kill(self) -> None:
        """Kill both processes."""
        if self._main is not None:
            child = self.child
            os.kill(child, signal.SIGKILL)
            self._main.kill()
            self._main.wait()
            while process.started_at(child):  # its files are closed only then
                time.sleep(0.005)
            self._main = None


@pytest.fixture
def daemon(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Keepalived]":
    monkeypatch.setattr(keepalived, "_DUMP_FILE", str(tmp_path / "data"))
    monkeypatch.setattr(keepalived, "LEAST", 0.0)
    daemon = Keepalived(tmp_path)
    yield daemon
    daemon.kill()


@pytest.fixture
def follow(daemon: Keepalived) -> "Iterator[Callable[..., KeepalivedTruth]]":
    """Make a truth, as the agent does."""
    made = []

    def make(fifo: bool = True, **named: str) -> KeepalivedTruth:
        options = {name: default for name, (_parser, default) in keepalived.OPTIONS.items()}
        options.update({"pid_file": str(daemon.folder / "pid"), "fifo": str(daemon.fifo) if fifo else ""})
        options.update(named or {"instance": "VI_1"})
        truth = keepalived.truth(Config("/c"), options)
        assert isinstance(truth, KeepalivedTruth)
        made.append(truth)
        truth.descriptor()
        return truth

    yield make
    for truth in made:
        truth.close()
    assert keepalived._fifos == {}


def last_of(truth: KeepalivedTruth, seconds: float) -> Answer:
    """Ask as often as the agent does for some time. Returns the last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = truth.ask()
        if time.monotonic() > end:
            return answer
        watch(truth)


def watch(truth: KeepalivedTruth) -> None:
    """Let the time pass until the next question, as the agent does."""
    end = time.monotonic() + truth.every
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, truth.look_every))
        truth.look()


def until_active(truth: KeepalivedTruth) -> Answer:
    """Ask until the answer is `active`: on a busy machine the process may seem to stand still. Returns that answer."""
    end = time.monotonic() + 30
    while True:
        answer = truth.ask()
        if answer.state == ACTIVE:
            return answer
        assert time.monotonic() < end, answer
        watch(truth)


def heard(truth: KeepalivedTruth) -> "list[str | None]":
    """What the loop hears if it looks now."""
    truth.descriptor()
    return [answer.state for answer in truth.hear()]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'INSTANCE "VI_1" MASTER 100', ("INSTANCE", "VI_1", "MASTER")),
        (b'GROUP "mail in" BACKUP 0', ("GROUP", "mail in", "BACKUP")),
        (b'INSTANCE "VI_1" FAULT', ("INSTANCE", "VI_1", "FAULT")),
        (b'INSTANCE "VI_1"', None),
        (b"", None),
        (b"INSTANCE VI_1 MASTER 100", None),
        (b'INSTANCE "VI_1" MASTER "x" 100', None),
        (b'OTHER "VI_1" MASTER 100', None),
        (b'INSTANCE "' + b"x" * 5000 + b'" MASTER 100', None),
    ],
)
def test_lines_of_the_fifo_are_events_or_nothing(line: bytes, event: "tuple[str, str, str] | None") -> None:
    assert event_of(line) == event


def test_a_dump_tells_states_and_the_interval_of_adverts() -> None:
    said = Dump(dump_of("MASTER", "FAULT", "1 sec"))
    assert said.is_whole
    assert [said.state("INSTANCE", name) for name in ("VI_1", "VI_2", "lo", "VI_3")] == [
        "MASTER",
        "BACKUP",
        "DELETED",
        "DELETED",
    ]
    assert said.state("GROUP", "VG_1") == "FAULT"
    assert (said.interval("INSTANCE", "VI_1"), said.interval("INSTANCE", "VI_2")) == (1, 2)
    assert said.interval("GROUP", "VG_1") == 1
    assert Dump(dump_of("INIT")).state("INSTANCE", "VI_1") == ""
    assert Dump(dump_of("MASTER")).interval("INSTANCE", "VI_1") == 0.4


def test_half_a_dump_is_not_whole() -> None:
    text = dump_of("MASTER")
    assert not Dump(text[: text.index("------< Interfaces")]).is_whole


@pytest.mark.parametrize("names", [{}, {"instance": "VI_1", "group": "VG_1"}])
def test_it_follows_an_instance_or_a_group(names: "dict[str, str]") -> None:
    options = {name: default for name, (_parser, default) in keepalived.OPTIONS.items()}
    with pytest.raises(settings.ConfigError, match="instance = NAME or group = NAME"):
        keepalived.truth(Config("/c"), {**options, **names})


def test_a_master_that_sends_adverts_is_active(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]") -> None:
    daemon.start()
    truth = follow()
    answer = until_active(truth)
    assert answer.words == "VI_1 is MASTER, adverts go out"
    assert answer.moment == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=2 * INTERVAL)
    last_of(truth, 1)
    assert daemon.dumps == 1
    assert (truth.silence, truth.notice) == (pytest.approx(1.75 * INTERVAL), pytest.approx(3 * INTERVAL + 1))


@pytest.mark.parametrize("state", ["BACKUP", "FAULT"])
def test_every_other_state_is_passive(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]", state: str) -> None:
    daemon.says(state)
    daemon.start()
    assert last_of(follow(), 0.5)[::2] == (PASSIVE, f"VI_1 is {state}")


def test_an_instance_that_is_not_in_the_dump_is_passive(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    assert last_of(follow(instance="VI_9"), 0.5)[::2] == (PASSIVE, "VI_9 is DELETED")


def test_lines_are_heard_at_once_and_nothing_is_asked(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    last_of(truth, 1)
    daemon.tells('INSTANCE "VI_2" MASTER 1', 'INSTANCE "VI_1" BACKUP 1', "rubbish")
    assert heard(truth) == [PASSIVE]
    assert last_of(truth, 0.5).state == PASSIVE
    daemon.tells('INSTANCE "VI_1" MASTER 1', 'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 1')
    assert heard(truth) == [None]
    assert truth.ask().state is None  # the master of before hears of it now
    until_active(truth)
    assert daemon.dumps == 1


def test_a_line_that_comes_first_does_not_spare_the_question_how_often_adverts_are_sent(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    daemon.tells('INSTANCE "VI_1" MASTER 1')
    assert heard(truth) == [None]
    until_active(truth)
    assert truth.silence == pytest.approx(1.75 * INTERVAL)
    assert daemon.dumps == 1


def test_every_process_is_asked_anew_how_often_it_sends_adverts(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    last_of(truth, 0.5)
    daemon.kill()
    daemon.says("BACKUP", interval="2 sec")
    assert heard(truth) == [PASSIVE]
    assert truth.ask().state == PASSIVE
    daemon.start()
    daemon.tells('INSTANCE "VI_1" BACKUP 1')
    heard(truth)
    assert last_of(truth, 0.5).state == PASSIVE
    assert truth.silence == pytest.approx(3.5)


def test_a_master_that_has_never_said_how_often_it_sends_adverts_is_not_confirmed(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    (daemon.folder / "says").write_text("half of it")
    daemon.start()
    truth = follow()
    truth.ask()
    daemon.tells('INSTANCE "VI_1" MASTER 1')
    heard(truth)
    answer = last_of(truth, 0.5)
    assert (answer.state, answer.words) == (None, "VI_1 is MASTER, but does not confirm it")


def test_it_is_asked_at_each_look_while_the_reader_of_before_may_take_lines(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    (daemon.folder / "reader").touch()
    truth = follow()
    until_active(truth)
    daemon.says("BACKUP")  # the other reader has the line
    assert truth.ask().state == PASSIVE
    (daemon.folder / "reader").unlink()
    time.sleep(3 * INTERVAL)
    last_of(truth, 0.2)
    dumps = daemon.dumps
    assert last_of(truth, 0.5).state == PASSIVE
    assert daemon.dumps == dumps


def test_lines_that_waited_for_a_reader_do_not_count(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.says("BACKUP")
    daemon.start()
    daemon.tells('INSTANCE "VI_1" MASTER 1')
    truth = follow()
    assert truth.hear() == []
    assert truth.ask().state == PASSIVE


def test_a_master_that_hangs_is_not_confirmed_and_not_believed_at_once_when_it_goes_on(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    until_active(truth)
    os.kill(daemon.child, signal.SIGSTOP)
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    answer = last_of(truth, 1)
    assert answer.state is None
    os.kill(daemon.child, signal.SIGCONT)
    assert last_of(truth, INTERVAL + 0.3).state is None
    daemon.tells('INSTANCE "VI_1" MASTER 1')
    assert heard(truth) == [None]
    answer = until_active(truth)
    assert answer.moment > began + 1 + 3 * INTERVAL


def test_a_master_that_blocks_in_the_kernel_is_not_confirmed(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    until_active(truth)
    (daemon.folder / "hang").touch()
    answer = last_of(truth, 2 * INTERVAL + truth.silence + 0.2)
    assert (answer.state, answer.words) == (None, "VI_1 is MASTER, but sends no adverts")


def test_a_backup_that_waits_for_a_master_that_died_becomes_master_without_delay(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.says("BACKUP")
    daemon.start()
    truth = follow()
    last_of(truth, 1)
    os.kill(daemon.child, signal.SIGSTOP)  # as if it slept
    time.sleep(3.6 * INTERVAL)
    os.kill(daemon.child, signal.SIGCONT)
    time.sleep(0.05)
    began = time.monotonic()
    daemon.tells('INSTANCE "VI_1" MASTER 1')
    assert heard(truth) == [None]
    until_active(truth)
    assert time.monotonic() - began < 0.9 * truth.notice


def test_a_keepalived_that_was_killed_is_passive(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]") -> None:
    daemon.start()
    truth = follow()
    until_active(truth)
    daemon.kill()
    assert heard(truth) == [PASSIVE]
    assert truth.ask()[::2] == (PASSIVE, "keepalived does not run")
    daemon.start()
    heard(truth)
    until_active(truth)
    assert daemon.dumps == 2


def test_a_process_that_only_has_the_number_is_not_keepalived(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    (daemon.folder / "pid").write_text(str(os.getpid()))
    assert follow().ask().state == PASSIVE


def test_a_fifo_that_keepalived_made_anew_is_read_and_keepalived_is_asked(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.start()
    truth = follow()
    last_of(truth, 0.5)
    daemon.fifo.rename(daemon.folder / "old")
    os.mkfifo(daemon.fifo)
    keep = os.open(daemon.fifo, os.O_RDWR)
    daemon.says("BACKUP")
    assert heard(truth) == []
    assert truth.ask().state == PASSIVE
    daemon.tells('INSTANCE "VI_1" FAULT 1')
    assert heard(truth) == [PASSIVE]
    os.close(keep)


def test_clusters_on_one_fifo_share_its_lines(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]") -> None:
    daemon.start()
    one, two = follow(), follow(group="VG_1")
    last_of(one, 0.2), last_of(two, 0.2)
    assert one.descriptor() == two.descriptor() >= 0
    one.hear(), two.hear()
    daemon.tells('INSTANCE "VI_1" BACKUP 1', 'GROUP "VG_1" MASTER 1')
    assert ([answer.state for answer in one.hear()], [answer.state for answer in two.hear()]) == ([PASSIVE], [None])
    one.close()
    daemon.tells('GROUP "VG_1" BACKUP 1')
    assert heard(two) == [PASSIVE]


def test_after_a_gap_it_says_again_what_it_is(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]") -> None:
    daemon.start()
    truth = follow()
    last_of(truth, 0.5)
    daemon.says("BACKUP")
    assert truth.ask().state == ACTIVE
    truth.gap(15.0)
    assert truth.ask().state == PASSIVE


def test_without_a_fifo_it_is_asked_after_each_hook(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    daemon.fifo.unlink()
    daemon.start()
    truth = follow(fifo=False)
    assert truth.descriptor() == -1
    until_active(truth)
    daemon.says("BACKUP")
    truth.event()
    assert truth.ask().state == PASSIVE
    daemon.says("MASTER")
    truth.event()
    until_active(truth)
    assert daemon.dumps == 3


def test_events_without_end_do_not_have_it_asked_without_end(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalived, "LEAST", 60.0)
    daemon.start()
    truth = follow()
    until_active(truth)
    daemon.says("BACKUP")
    for _time in range(5):
        truth.event()
        assert truth.ask().state is None  # not active, for it is in doubt
    assert daemon.dumps == 1


class Counter(KeepalivedTruth):
    """A master with an advert a second, whose counter and clock are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {name: default for name, (_parser, default) in keepalived.OPTIONS.items()}
        super().__init__({**options, "instance": "VI_1", "fifo": ""})
        self.now, self.moves, self.is_stopped = 1000.0, 0, False
        self._status = self
        monkeypatch.setattr(keepalived, "boottime", lambda: self.now)
        self._look(0, False, self.now)
        self._word, self._is_known, self._proof = "MASTER", True, self.now
        for turn in range(200):
            assert self.after(0.1, turn % 10 == 9)

    def read(self) -> "tuple[int, bool]":
        return self.moves, self.is_stopped

    def after(self, seconds: float, moves: int) -> float:
        """Look after some time in which the process woke up so often. Returns the proof's age, 0 if none counts."""
        self.now += seconds
        self.moves += moves
        proof = self.look()
        return proof and self.now - proof


def test_a_look_sees_when_the_master_last_sent_an_advert(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Counter(monkeypatch)
    assert master.after(0.1, 0) == pytest.approx(0.2)
    assert master.after(0.8, 0) == pytest.approx(1.0)
    assert master.after(0.1, 1) == pytest.approx(0.1)


def test_who_looks_late_knows_by_the_number_of_moves_that_adverts_went_out(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Counter(monkeypatch)
    # Three moves take 1.5 s at least: of the second between two of them three quarters count.
    assert master.after(2.5, 3) == pytest.approx(1.0)
    assert master.after(0.1, 1) == pytest.approx(0.1)


def test_who_looks_late_and_sees_too_few_moves_distrusts_the_process_until_it_has_heard_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master = Counter(monkeypatch)
    assert not master.after(2.5, 1)
    ages = [master.after(0.1, turn % 10 == 9) for turn in range(60)]
    # The next move comes after a second, and may be the first one since. From then on it has 4 s to notice.
    assert ages.index(next(filter(None, ages))) == pytest.approx(50, abs=1)


def test_moves_that_come_at_once_prove_nothing_of_the_time_before(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Counter(monkeypatch)
    for _turn in range(19):
        master.after(0.1, 0)
    assert not master.after(0.1, 9)


def test_moves_during_a_dump_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Counter(monkeypatch)
    master._dumped = master.now
    assert not master.after(2.5, 5)


@pytest.mark.parametrize("word", ["", "FAULT"])
def test_a_process_that_has_just_begun_or_waits_for_its_interface_is_not_distrusted(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    master = Counter(monkeypatch)
    master._word, master._proof = word, 0.0
    master.after(60.0, 1)
    master._word, master._proof = "MASTER", master.now  # as a line of the FIFO does
    assert master.after(0.1, 1) == pytest.approx(0.1)


def test_a_stopped_process_is_distrusted_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Counter(monkeypatch)
    master.is_stopped = True
    assert not master.after(0.1, 1)
    master.is_stopped = False
    assert not master.after(0.1, 1)


def test_half_a_dump_says_nothing(daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]") -> None:
    text = dump_of("MASTER")
    (daemon.folder / "says").write_text(text[: text.index("------< Interfaces")])
    daemon.start()
    assert last_of(follow(), 1).state is None
    assert daemon.dumps <= 3


def test_a_process_that_would_end_of_the_signal_gets_none() -> None:
    victim = subprocess.Popen(["sleep", "60"])
    try:
        assert keepalived.dump(victim.pid) is None
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_a_process_that_the_kernel_hides_is_reached_through_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {os.getpid(), os.getppid()}
    stat = os.stat

    def stat_of_others(path: str) -> os.stat_result:
        if path in [f"/proc/{pid}/root/" for pid in hidden]:
            raise PermissionError(13, "Permission denied", path)
        return stat(path)

    monkeypatch.setattr(keepalived.os, "stat", stat_of_others)
    assert keepalived._root_of(os.getpid()) == ""
    hidden.remove(os.getppid())
    assert keepalived._root_of(os.getpid()) == f"/proc/{os.getppid()}/root"
    hidden.clear()
    assert keepalived._root_of(os.getpid()) == f"/proc/{os.getpid()}/root"


def test_something_else_in_the_dump_s_place_is_moved_away(
    daemon: Keepalived, follow: "Callable[..., KeepalivedTruth]"
) -> None:
    (daemon.folder / "data").mkdir()
    daemon.start()
    until_active(follow())
