# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What Heartbeat's answers mean: with a cl_status of the test's own, and a clock moved by hand."""

import os
import pathlib
from typing import Any

import pytest

from rcron import settings
from rcron.agent.command import Program
from rcron.agent.feeders import heartbeat
from rcron.settings import ACTIVE, DEFAULT_PATH, PASSIVE

NODE = os.uname().nodename


class Daemon:
    """A Heartbeat. `says`: what cl_status prints. `pid`: its master control process; 0, it is not running."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.says = "all"
        self.is_running = True
        self.takes = 0.1
        self.now = 1000.0
        monkeypatch.setattr(heartbeat, "boottime", lambda: self.now)
        monkeypatch.setattr(Program, "run", self.run)
        monkeypatch.setattr(heartbeat.HeartbeatTruth, "_is_running", lambda _: self.is_running)
        self.write("deadtime 10\nkeepalive 2\n", f"{NODE} IPaddr2::192.0.2.1 rcron\n")

    def write(self, ha_cf: str, haresources: str) -> None:
        (self.folder / "ha.cf").write_text(ha_cf)
        (self.folder / "haresources").write_text(haresources)

    def run(self, argv: "list[str]", seconds: float, environment: Any = None) -> "tuple[int, str]":
        assert argv == ["cl_status", "rscstatus"]
        self.now += self.takes
        if self.takes > seconds:
            raise TimeoutError("no answer")
        return (0 if self.says else 1), f"{self.says}\n"

    def truth(self, path: str = DEFAULT_PATH) -> heartbeat.HeartbeatTruth:
        options = {"folder": str(self.folder), "pid_file": str(self.folder / "pid")}
        return heartbeat.HeartbeatTruth(settings.parse("", path), options)


@pytest.fixture
def daemon(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    return Daemon(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("says", "state"),
    [("all", ACTIVE), ("none", PASSIVE), ("local", ACTIVE), ("foreign", PASSIVE), ("transition", None), ("what", None)],
)
def test_what_it_says_is_the_state(daemon: Daemon, says: str, state: "str | None") -> None:
    daemon.says = says
    answer = daemon.truth().ask()
    assert answer == (state, 1000.0, f"cl_status rscstatus: {says}"), "the moment is the question's"


def test_local_and_foreign_are_the_other_nodes_if_the_line_is(daemon: Daemon) -> None:
    daemon.write("deadtime 10\n", f"OTHER rcron\n{NODE} rcron::/etc/rcron/billing.conf")
    truths = daemon.truth(), daemon.truth("/etc/rcron/billing.conf")
    daemon.says = "local"
    assert [truth.ask().state for truth in truths] == [PASSIVE, ACTIVE]
    daemon.says = "foreign"
    assert [truth.ask().state for truth in truths] == [ACTIVE, PASSIVE]


def test_a_cluster_that_haresources_does_not_name_is_passive(daemon: Daemon) -> None:
    assert daemon.truth("/etc/rcron/other.conf").ask().state == PASSIVE
    truth = daemon.truth()
    assert truth.ask().state == ACTIVE
    daemon.write("deadtime 10\n", "# nothing any more\n")
    assert truth.ask().state == PASSIVE


@pytest.mark.parametrize("says", ["", "all", "transition"])
def test_one_that_does_not_run_is_passive(daemon: Daemon, says: str) -> None:
    daemon.says, daemon.is_running = says, False
    assert daemon.truth().ask().state == PASSIVE


def test_one_that_has_just_been_started_cannot_tell(daemon: Daemon) -> None:
    daemon.says = ""
    assert daemon.truth().ask().state is None


def test_one_that_hangs_fails_within_the_limit(daemon: Daemon) -> None:
    daemon.takes = 60
    with pytest.raises(OSError, match="no answer"):
        daemon.truth().ask()


def test_one_that_hung_is_believed_only_when_it_can_know_its_successor(daemon: Daemon) -> None:
    truth = daemon.truth()
    assert truth.ask().state == ACTIVE
    daemon.now += 15
    answers = []
    for _turn in range(12):
        answers.append(truth.ask().state)
        daemon.now += 0.9
    assert answers == [None] * 11 + [ACTIVE]


def test_what_is_passive_counts_meanwhile(daemon: Daemon) -> None:
    truth = daemon.truth()
    truth.ask()
    daemon.now += 15
    daemon.says = "none"
    assert truth.ask().state == PASSIVE


def test_its_times_are_those_of_ha_cf(daemon: Daemon) -> None:
    truth = daemon.truth()
    assert truth.notice > 10
    assert truth.silence == 10 - 2 - heartbeat.MARGIN, "the peer takes over 10 s after the last packet"
    daemon.write("deadtime 5000ms\nkeepalive 500ms\n", f"{NODE} rcron\n")
    truth.ask()
    assert truth.notice == 5 + heartbeat.MARGIN
    assert truth.silence == 4.5 - heartbeat.MARGIN
    assert truth.every < truth.silence / 2


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", (30, 2)),
        ("deadtime 7\n", (7, 2)),
        ("#deadtime 7\nkeepalive 100ms # fast", (30, 0.1)),
        ("  deadtime\t1min\nkeepalive 1sec", (60, 1)),
        ("deadtime soon\n", (30, 2)),
    ],
)
def test_times(text: str, read: "tuple[float, float]") -> None:
    assert heartbeat.times(text) == pytest.approx(read)


def test_files_that_are_gone_raise_and_keep_the_agent_from_asking(daemon: Daemon) -> None:
    truth = daemon.truth()
    (daemon.folder / "ha.cf").unlink()
    with pytest.raises(FileNotFoundError):
        truth.ask()


def test_a_process_with_heartbeats_name_only_is_not_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ha.cf").write_text("")
    (tmp_path / "haresources").write_text("")
    truth = heartbeat.HeartbeatTruth(
        settings.parse("", DEFAULT_PATH), {"folder": str(tmp_path), "pid_file": str(tmp_path / "pid")}
    )
    assert not truth._is_running()
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    comm = pathlib.Path("/proc/self/comm")
    before = comm.read_text().strip()  # it ends with a newline, which would become a part of the name
    comm.write_text("heartbeat")
    try:
        assert not truth._is_running()
    finally:
        comm.write_text(before)
