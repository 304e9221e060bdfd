# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat's resource script: start, stop, status and resync, with processes called heartbeat that are none."""

import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import wait_until

from rcron import feed, process, settings
from rcron.feeders import heartbeat
from rcron.hook import EventError


def record(node: Any) -> feed.Record:
    found = feed.read_record(settings.load(str(node.conf)))
    assert found is not None
    return found


def is_refreshed(node: Any) -> bool:
    found = feed.read_record(settings.load(str(node.conf)))
    return found is not None and found.alive is True


def feed_heartbeat(node: Any, *words: str) -> Any:
    return node.ctl("feed", "heartbeat", *words)


class Daemon:
    """A shell under Heartbeat's name, which calls the resource script from a child of that name, as Heartbeat may."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.program = node.folder / "heartbeat"
        shutil.copy("/bin/dash", self.program)
        self.process: "subprocess.Popen[bytes] | None" = None

    def call(self, *words: str) -> int:
        """Have a new daemon call `rcronctl feed heartbeat WORDS` once, and go on living. Returns its pid."""
        child = 'program=$1; shift; "$@"; exit 0'
        master = '"$1" -c "$0" child "$@"; read -r _'
        command = [str(self.node.rcronctl), "--conf", str(self.node.conf), "feed", "heartbeat", *words]
        self.process = subprocess.Popen(
            [str(self.program), "-c", master, child, str(self.program), *command], stdin=subprocess.PIPE
        )
        return self.process.pid

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.communicate()
            self.process = None


@pytest.fixture
def daemon(node: Any) -> Iterator[Daemon]:
    daemon = Daemon(node)
    yield daemon
    daemon.end()
    node.ctl("set", "passive")
    wait_until(lambda: not is_refreshed(node), "nobody refreshes the state any more")


@pytest.mark.unmeasured
def test_start_makes_the_node_active_for_as_long_as_the_master_process_lives(node: Any, daemon: Daemon) -> None:
    node.configure("state_max_age = 3")
    pid = daemon.call("start")
    wait_until(lambda: is_refreshed(node), "active, and refreshed")
    # Not the child, which called and has ended since.
    assert record(node).daemon.split()[0] == str(pid)
    time.sleep(4)
    assert node.ctl("is-active").returncode == 0
    daemon.end()
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive after Heartbeat was killed")
    # The state is written first, and then logged.
    ended = "9.6 cluster=c1 state=passive status=changed event=heartbeat:ended"
    wait_until(lambda: node.log()[-1] == ended, "the log says so")


def test_stop_makes_the_node_passive_and_does_so_again(node: Any, daemon: Daemon) -> None:
    daemon.call("start")
    wait_until(lambda: is_refreshed(node), "active")
    for _turn in range(2):
        out = feed_heartbeat(node, "stop")
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
        assert node.state_file.read_text() == "passive\n"
    assert [line.partition(" event=")[2] for line in node.log()] == ["heartbeat:start", "heartbeat:stop"]


def test_start_without_heartbeat_warns_and_nothing_refreshes(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = feed_heartbeat(node, "start")
    assert out.returncode == 0
    assert "Heartbeat is not running here" in out.stderr
    assert node.state_file.read_text() == "active\n"
    assert record(node).pid == 0


def test_another_clusters_configuration_comes_before_the_word(node: Any) -> None:
    other = node.folder / "other.conf"
    other.write_text(f"state_file = {node.folder}/run/other\n")
    assert feed_heartbeat(node, str(other), "stop").returncode == 0
    assert (node.folder / "run/other").read_text() == "passive\n"
    assert not node.state_file.exists()


@pytest.mark.parametrize(
    "words", [[], ["restart"], ["start", "stop", "start"], ["/etc/a", "/etc/b", "start"], ["start", ""]]
)
def test_what_heartbeat_does_not_say_changes_nothing(node: Any, words: "list[str]") -> None:
    node.become("active")
    out = feed_heartbeat(node, *words)
    assert out.returncode == 64
    assert "nothing changed" in out.stderr
    assert node.state_file.read_text() == "active\n"


def test_with_a_broken_configuration_start_fails_and_stop_does_not(node: Any) -> None:
    node.configure("nonsense = 1")
    assert feed_heartbeat(node, "start").returncode == 78
    out = feed_heartbeat(node, "stop")
    assert out.returncode == 0
    assert "nonsense" in out.stderr
    assert "nonsense" in node.log()[-1]
    assert feed_heartbeat(node, "status").stdout == "stopped: no valid configuration\n"


def test_stop_fails_if_jobs_would_still_run_but_does_not_get_the_machine_rebooted(node: Any) -> None:
    shutil.rmtree(node.state_file.parent)
    out = feed_heartbeat(node, "stop")
    assert (out.returncode, "not made passive" in out.stderr) == (73, True)
    assert not running(node)  # else Heartbeat would reboot it after ten times
    node.configure("default_state = passive")
    assert feed_heartbeat(node, "stop").returncode == 0
    assert feed_heartbeat(node, "start").returncode == 73


def running(node: Any) -> bool:
    """What Heartbeat makes of it: the patterns of ResourceManager's we_own_resource."""
    said = feed_heartbeat(node, "status").stdout
    script = "case $1 in *[Nn][Oo][Tt]\\ *[Rr]unning*) exit 1;; *[Rr]unning*|*OK*) exit 0;; *) exit 1;; esac"
    return subprocess.run(["/bin/sh", "-c", script, "sh", said], check=False).returncode == 0


def test_status_says_running_only_if_heartbeat_made_it_active_and_a_process_refreshes_it(
    node: Any, daemon: Daemon
) -> None:
    node.configure("state_max_age = 3")
    assert not running(node)  # no state file, and default_state is active
    for state in ("active", "passive"):
        node.ctl("set", state)
        assert not running(node)
    daemon.call("start")
    wait_until(lambda: running(node), "running")
    node.ctl("pin", "passive")
    assert running(node)
    node.ctl("unpin")
    assert daemon.process
    daemon.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not running(node), "not running once the state is stale")
    daemon.end()
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")
    node.ctl("pin", "active")
    assert not running(node)
    node.ctl("unpin")


# --- haresources ---

EXAMPLE = """\
# the usual \\
node3 x # rcron
Node1 192.0.2.10/24/eth0 \\
    rcron
\tnode2\trcron::/etc/rcron/mail.conf

node1 rcronette
"""


def test_lines_of_haresources() -> None:
    assert list(heartbeat.haresources(EXAMPLE)) == [
        ["node3", "x"],
        ["Node1", "192.0.2.10/24/eth0", "rcron"],
        ["node2", "rcron::/etc/rcron/mail.conf"],
        ["node1", "rcronette"],
    ]


@given(st.text(alphabet="ab#\\ \t\n:", max_size=40))
def test_lines_of_haresources_are_those_that_heartbeat_reads(text: str) -> None:
    """As ipres() in its ResourceManager does: the same sed."""
    program = [
        "-e", "s%#.*%%", "-e", ":a", "-e", r"/\\$/N; s/\\\n//; ta", "-e", "s%$% %", "-e", "s%[ \t][ \t]*% %g",
        "-e", "/^[ \t]*$/ d", "-e", "s%^ %%",
    ]  # fmt: skip
    read = subprocess.run(["sed", *program], input=text, check=True, capture_output=True, text=True).stdout
    # awk joins each line's words with one blank, and drops the lines that have none.
    assert list(heartbeat.haresources(text)) == [line.split() for line in read.splitlines() if line.split()]


@pytest.fixture
def ha(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Heartbeat would answer, without one. Set `says` (what cl_status prints) and `daemon` (its pid)."""
    heartbeats = SimpleNamespace(says="", daemon=0)
    (tmp_path / "haresources").write_text(EXAMPLE)
    monkeypatch.setattr(heartbeat, "FOLDER", str(tmp_path))
    monkeypatch.setattr(heartbeat, "_daemon", lambda: heartbeats.daemon)
    monkeypatch.setattr(heartbeat.os, "uname", lambda: SimpleNamespace(nodename="NODE1"))
    monkeypatch.setattr(heartbeat.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=heartbeats.says + "\n"))
    return heartbeats


OWN = ["rcron::/etc/rcron/rcron.conf", "rcron"]
MAIL = ["rcron::/etc/rcron/mail.conf"]


@pytest.mark.parametrize(
    ("says", "own", "others"),
    [
        ("all", True, True),
        ("none", False, False),
        ("local", True, False),
        ("foreign", False, True),
        ("transition", None, None),
        ("", None, None),
    ],
)
def test_who_holds_a_resource(ha: SimpleNamespace, says: str, own: "bool | None", others: "bool | None") -> None:
    ha.says, ha.daemon = says, 1
    assert (heartbeat._holds(OWN), heartbeat._holds(MAIL)) == (own, others)


def test_nobody_holds_a_resource_of_a_heartbeat_that_does_not_run(ha: SimpleNamespace) -> None:
    assert heartbeat._holds(OWN) is False


def test_a_resource_that_haresources_does_not_name_is_refused(ha: SimpleNamespace) -> None:
    with pytest.raises(EventError, match=r"does not name rcron::/etc/rcron/x\.conf"):
        heartbeat._holds(["rcron::/etc/rcron/x.conf"])


def resync(node: Any, monkeypatch: pytest.MonkeyPatch, *answers: "bool | None") -> "list[str]":
    """Run resync with these answers of Heartbeat's; returns the reports."""
    left = list(answers)
    reports: "list[str]" = []
    monkeypatch.setattr(heartbeat, "_holds", lambda resources: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(heartbeat, "_daemon", lambda: 0)
    monkeypatch.setattr(heartbeat.time, "sleep", lambda _: None)
    options = SimpleNamespace(conf=str(node.conf), words=["resync"])
    assert heartbeat.run(options, reports.append) == 0  # type: ignore[arg-type]
    return reports


def test_resync_writes_what_heartbeat_says(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resync(node, monkeypatch, None, True, True)
    assert node.state_file.read_text() == "active\n"
    resync(node, monkeypatch, False, False)
    assert node.state_file.read_text() == "passive\n"


def test_resync_looks_again_until_heartbeat_says_the_same_twice(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resync(node, monkeypatch, True, False, False)
    assert node.state_file.read_text() == "passive\n"


def test_resync_leaves_it_to_a_heartbeat_that_does_not_decide(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE", -1)
    reports = resync(node, monkeypatch, None)
    assert "still in a transition" in reports[0]
    assert not node.state_file.exists()


def test_the_pid_file_names_the_daemon_if_it_is_not_an_ancestor(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, daemon: Daemon
) -> None:
    monkeypatch.setattr(process, "ancestors", lambda: iter([(1, "sh")]))
    pid_file = tmp_path / "heartbeat.pid"
    monkeypatch.setattr(heartbeat, "PID_FILE", str(pid_file))
    assert heartbeat._daemon() == 0
    pid = daemon.call("stop")
    pid_file.write_text(f"{pid:10}\n")
    assert heartbeat._daemon() == pid
    pid_file.write_text("1\n")
    assert heartbeat._daemon() == 0
    pid_file.write_text("x\n")
    assert heartbeat._daemon() == 0
