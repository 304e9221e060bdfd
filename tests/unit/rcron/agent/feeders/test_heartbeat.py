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
        return heartbeat.HeartbeatTruth(settings.parse(f"state_file = {self.folder}/state\n", path), options)


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


@pytest.mark.parametrize(
    ("before", "file", "state"),
    [
        ("foreign", "active", ACTIVE),  # it takes resources, and the script was called
        ("foreign", "passive", None),
        ("foreign", None, None),
        ("local", "active", None),  # it may be giving them, and the script's call was lost
        (None, "active", None),
    ],
)
def test_a_node_that_had_nothing_keeps_what_the_script_wrote_while_heartbeat_takes_the_rest(
    daemon: Daemon, before: "str | None", file: "str | None", state: "str | None"
) -> None:
    truth = daemon.truth()
    if before is not None:
        daemon.says = before
        truth.ask()
    if file is not None:
        (daemon.folder / "state").write_text(f"{file}\n")
    daemon.says = "transition"
    for _turn in range(3):
        daemon.now += 1
        assert truth.ask().state == state
    daemon.says = "all"
    assert truth.ask().state == ACTIVE
    daemon.says = "transition"
    assert truth.ask().state is None, "from now on it may be giving what it has"


def test_a_gap_has_it_forget_what_the_node_had(daemon: Daemon) -> None:
    truth = daemon.truth()
    (daemon.folder / "state").write_text("active\n")
    daemon.says = "foreign"
    truth.ask()
    truth.gap(15.0)
    daemon.says = "transition"
    assert truth.ask().state is None


def test_files_that_are_gone_raise_and_keep_the_agent_from_asking(daemon: Daemon) -> None:
    truth = daemon.truth()
    (daemon.folder / "ha.cf").unlink()
    with pytest.raises(FileNotFoundError):
        truth.ask()


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        ("Name:\theartbeat\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n", True),
        ("Name:\theartbeat\nState:\tT (stopped)\nUid:\t0\t0\t0\t0\n", True),
        ("Name:\theartbeat\nState:\tZ (zombie)\nUid:\t0\t0\t0\t0\n", False),
        ("Name:\theartbeat\nState:\tS (sleeping)\nUid:\t1000\t0\t0\t0\n", False),
        ("Name:\tsleep\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n", False),
        ("Name:\theartbeat\n", False),
    ],
)
def test_the_process_of_the_pid_file_is_heartbeat_if_it_is_roots_and_called_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, status: str, runs: bool
) -> None:
    monkeypatch.setattr(heartbeat, "PROC", str(tmp_path))
    for name in ("ha.cf", "haresources"):
        (tmp_path / name).write_text("")
    truth = heartbeat.HeartbeatTruth(
        settings.parse("", DEFAULT_PATH), {"folder": str(tmp_path), "pid_file": str(tmp_path / "pid")}
    )
    assert not truth._is_running()
    (tmp_path / "pid").write_text("     77777\n")
    assert not truth._is_running()
    (tmp_path / "77777").mkdir()
    (tmp_path / "77777" / "status").write_text(status)
    assert truth._is_running() is runs
