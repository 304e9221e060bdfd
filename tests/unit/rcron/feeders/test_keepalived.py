# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived's events become states: the notify form and the FIFO, with its reload, stop and kill."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from waiting import wait_until

from rcron import feed, refresher, settings
from rcron.feeders import keepalived


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("MASTER", "active"),
        ("BACKUP", "passive"),
        ("FAULT", "passive"),
        ("STOP", "passive"),
        ("DELETED", "passive"),
        ("MASTER_RX_LOWER_PRI", None),
        ("MASTER_PRIORITY", None),
        ("BACKUP_PRIORITY", None),
    ],
)
def test_each_state_means_what_it_must(state: str, means: "str | None") -> None:
    assert keepalived.state_of(keepalived.parse_line(f'INSTANCE "VI_1" {state} 100')) == means
    assert keepalived.state_of(keepalived.parse_notify(["GROUP", "G 1", state, "0"])) == means


def test_a_name_may_hold_blanks() -> None:
    event = keepalived.parse_line('GROUP "my group" FAULT 0')
    assert (event.kind, event.name, event.state) == ("GROUP", "my group", "FAULT")


@pytest.mark.parametrize(
    "line",
    [
        *("", "INSTANCE VI_1 MASTER 100", 'INSTANCE "VI_1', 'INSTANCE "VI_1"', 'VS "x" UP 1', "\0"),
        # Blanks in other scripts, and none at all: keepalived writes no such line.
        *('INSTANCE\u2003"VI_1" MASTER 100', 'INSTANCE"VI_1" MASTER 100', 'INSTANCE "VI_1"MASTER 100'),
    ],
)
def test_a_line_that_is_not_an_event_is_refused(line: str) -> None:
    with pytest.raises(keepalived.EventError):
        keepalived.parse_line(line)


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(keepalived.EventError, match="unknown state SHINY of INSTANCE VI_1"):
        keepalived.state_of(keepalived.parse_line('INSTANCE "VI_1" SHINY 100'))


def notify(node: Any, *words: str, **options: Any) -> Any:
    return node.ctl("feed", "keepalived", "--instance", "VI_1", *words, **options)


def test_notify_writes_the_state_readable_under_keepaliveds_umask(node: Any) -> None:
    out = notify(node, "INSTANCE", "VI_1", "MASTER", "100", umask=0o177)
    assert (out.returncode, out.stderr) == (0, "")
    assert node.state_file.read_text() == "active\n"
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    notify(node, "INSTANCE", "VI_1", "FAULT", "100")
    assert node.state_file.read_text() == "passive\n"
    assert node.log()[-1] == '9.6 cluster=c1 state=passive status=changed event=keepalived:INSTANCE "VI_1" FAULT'


# keepalived's VRRP child, by its name: starts a hook and does not wait for it.
NOTIFIER = """\
import subprocess, sys
open("/proc/self/comm", "w").write("keepalived")
subprocess.Popen(sys.argv[1:])
sys.stdin.read()
"""


def test_notify_leaves_somebody_who_writes_passive_when_keepalived_is_killed(node: Any) -> None:
    words = ("--conf", str(node.conf), "feed", "keepalived", "--instance", "VI_1", "INSTANCE", "VI_1", "MASTER", "100")
    child = subprocess.Popen([sys.executable, "-c", NOTIFIER, str(node.rcronctl), *words], stdin=subprocess.PIPE)
    try:
        wait_for_content(node.state_file, "active\n")
        time.sleep(0.5)
        assert node.state_file.read_text() == "active\n"
    finally:
        child.kill()
        child.communicate()
    wait_for_content(node.state_file, "passive\n")
    wait_until(
        lambda: node.log()[-1].endswith("state=passive status=changed event=keepalived:ended"), "its end is logged"
    )


def test_events_of_other_instances_and_groups_change_nothing(node: Any) -> None:
    node.become("passive")
    for words in (("INSTANCE", "VI_2", "MASTER", "100"), ("GROUP", "VI_1", "MASTER", "0")):
        assert notify(node, *words).returncode == 0
    assert node.state_file.read_text() == "passive\n"
    assert node.log() == []


def test_an_unknown_event_is_logged_and_changes_nothing(node: Any) -> None:
    node.become("active")
    out = notify(node, "INSTANCE", "VI_1", "SHINY", "100")
    assert out.returncode == 64
    assert node.state_file.read_text() == "active\n"
    assert node.log() == ["9.4 warning: keepalived: unknown state SHINY of INSTANCE VI_1; nothing changed"]


def test_nothing_to_follow_is_wrong_usage(node: Any) -> None:
    out = node.ctl("feed", "keepalived", "INSTANCE", "VI_1", "MASTER", "100")
    assert out.returncode == 64
    assert "name what to follow: --instance NAME" in out.stderr


def test_two_instances_cannot_keep_one_state(node: Any) -> None:
    out = notify(node, "--instance", "VI_2", "INSTANCE", "VI_1", "MASTER", "100")
    assert out.returncode == 64
    assert "two VRRP instances cannot feed one state" in out.stderr


def test_a_second_cluster_with_the_first_one_s_state_file_is_not_fed(node: Any) -> None:
    second = node.conf.with_name("second.conf")
    second.write_text(f"cluster_name = second\nstate_file = {node.state_file}\n")
    out = notify(node, "--instance", f"VI_2={second}", "INSTANCE", "VI_2", "MASTER", "100")
    assert out.returncode == 78
    assert f"{second}: state_file {node.state_file} is {node.conf}'s too; give each cluster its own" in out.stderr
    assert not node.state_file.exists()
    assert notify(node, "--instance", f"VI_2={second}", "INSTANCE", "VI_1", "MASTER", "100").returncode == 78
    assert node.state_file.read_text() == "active\n"


# --- the FIFO ---

# keepalived's VRRP child: starts the reader, writes its standard input to the FIFO.
VRRP_CHILD = """\
import os, signal, subprocess, sys
fifo, command = sys.argv[1], sys.argv[2:]
os.mkfifo(fifo)
fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
os.umask(0o177)
reader = subprocess.Popen([*command, fifo])
print(reader.pid, flush=True)
for line in sys.stdin:
    line = line.strip()
    if line == "reload":
        os.close(fd)
        reader.wait()
        fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        reader = subprocess.Popen([*command, fifo])
        print(reader.pid, flush=True)
    elif line == "stop":
        reader.terminate()
        import time; time.sleep(0.05)
        os.write(fd, b'INSTANCE "VI_1" STOP 100\\n')
        os.close(fd)
        reader.wait()
        break
    else:
        os.write(fd, line.encode() + b"\\n")
"""


class Daemon:
    """A stand-in for keepalived's VRRP child that feeds a node through a FIFO."""

    def __init__(self, node: Any, *options: str) -> None:
        self.node = node
        command = [
            str(node.rcronctl),
            "--conf",
            str(node.conf),
            "feed",
            "keepalived",
            *(options or ("--instance", "VI_1")),
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", VRRP_CHILD, str(node.folder / "fifo"), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.reader = int(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        if line == "reload":
            self.reader = int(self._answer())

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def daemon(node: Any) -> Any:
    daemon = Daemon(node)
    yield daemon
    daemon.end()


def wait_for_content(path: pathlib.Path, content: str) -> None:
    wait_until(lambda: path.is_file() and path.read_text() == content, f"{path} holds {content!r}")


def gone(pid: int) -> None:
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"process {pid} has ended")


def test_the_fifos_events_are_followed_in_order(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" BACKUP 100')
    wait_for_content(node.state_file, "passive\n")
    daemon.send('INSTANCE "VI_2" MASTER 100')
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    for _turn in range(100):
        daemon.send('INSTANCE "VI_1" MASTER 100')
        daemon.send('INSTANCE "VI_1" BACKUP 100')
    daemon.send('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100')
    daemon.send('INSTANCE "VI_1" FAULT 100')
    wait_until(lambda: node.log()[-1].endswith("FAULT"), "the last event is logged")
    assert node.state_file.read_text() == "passive\n"
    assert len(node.log()) == 202  # MASTER twice in a row is one


def test_a_broken_line_is_logged_and_the_next_one_counts(node: Any, daemon: Daemon) -> None:
    daemon.send("rubbish")
    daemon.send("x" * 10_000)
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    assert node.log()[0] == "9.4 warning: keepalived: not an event of keepalived's FIFO: rubbish; nothing changed"


@pytest.mark.parametrize("end", ["", ' INSTANCE "VI_1" BACKUP 100'])
def test_the_rest_of_an_overlong_line_is_not_a_line_of_its_own(node: Any, end: str) -> None:
    """Whoever has a name of 4 KiB in keepalived.conf is not to make another instance's node active."""
    node.become("passive")
    fifo = node.folder / "fifo"
    with open(fifo, "wb") as stream:  # of which the reader gets 64 KiB at once, as of a full pipe
        event = b'INSTANCE "VI_1" MASTER 100'
        stream.write(event + b" " * (65536 - len(event)) + event + end.encode() + b"\n")
    assert node.ctl("feed", "keepalived", "--instance", "VI_1", str(fifo)).returncode == 73
    assert node.state_file.read_text() == "passive\n"
    (line,) = node.log()
    assert line.startswith(
        "9.4 warning: keepalived: not an event of keepalived's FIFO, a line of more than 4096 bytes: INST"
    )


def test_a_name_that_is_not_utf_8_is_that_name_only(node: Any) -> None:
    node.become("passive")
    fifo = node.folder / "fifo"
    fifo.write_bytes(b'INSTANCE "Z\xfcrich" MASTER 100\n')
    assert node.ctl("feed", "keepalived", "--instance", r"Z\xfcrich", str(fifo)).returncode == 0
    assert node.state_file.read_text() == "passive\n"
    assert node.ctl("feed", "keepalived", "--instance", b"Z\xfcrich", str(fifo)).returncode == 0
    assert node.state_file.read_text() == "active\n"
    assert node.log()[-1].endswith(r'event=keepalived:INSTANCE "Z\xfcrich" MASTER')


def test_a_fifo_that_cannot_be_read_is_named(node: Any) -> None:
    out = node.ctl("feed", "keepalived", "--instance", "VI_1", str(node.folder))
    assert (out.returncode, out.stderr) == (73, f"rcronctl: {node.folder}: Is a directory\n")


def test_a_line_that_another_reader_took_first_ends_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found by the soak: at a reload the old reader and the new one both have the FIFO open, and poll(2) wakes both. The
    # slower one died of EAGAIN, and keepalived starts none until its next reload: the node's state never changed again.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b'INSTANCE "VI_1" MASTER 100\n')
    read, refusals = os.read, [BlockingIOError()]

    def slow(number: int, size: int) -> bytes:
        if number == fd and refusals:
            raise refusals.pop()
        return read(number, size)

    monkeypatch.setattr(os, "read", slow)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda *_: None)
    lines = keepalived._lines(fd, os.getppid(), refresher.Schedule(os.getppid(), [0]))
    assert next(lines) == b'INSTANCE "VI_1" MASTER 100'
    assert not refusals
    os.close(fd)


def test_a_reload_changes_nothing(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    before = node.state_file.stat().st_ino
    first = daemon.reader
    daemon.send("reload")
    gone(first)
    assert node.state_file.stat().st_ino == before
    assert node.state_file.read_text() == "active\n"
    daemon.send('INSTANCE "VI_1" BACKUP 100')
    wait_for_content(node.state_file, "passive\n")


def test_keepalived_killed_turns_the_node_passive_at_once(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    daemon.process.kill()
    daemon.process.wait()
    wait_for_content(node.state_file, "passive\n")
    gone(daemon.reader)
    assert node.log()[-1] == "9.6 cluster=c1 state=passive status=changed event=keepalived:ended"


def test_keepalived_killed_together_with_a_term_to_the_reader_turns_the_node_passive(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    os.kill(daemon.reader, signal.SIGTERM)
    daemon.process.kill()
    daemon.process.wait()
    wait_for_content(node.state_file, "passive\n")


def test_the_stop_line_that_follows_term_is_read(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    daemon.send("stop")
    wait_for_content(node.state_file, "passive\n")
    assert daemon.process.wait(timeout=5) == 0  # and with it the reader, which logs after it has written
    assert any(line.endswith('event=keepalived:INSTANCE "VI_1" STOP') for line in node.log())


@pytest.mark.unmeasured
def test_after_term_a_reader_whose_fifo_stays_open_ends_within_a_second(node: Any, daemon: Daemon) -> None:
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    began = time.monotonic()
    os.kill(daemon.reader, signal.SIGTERM)
    while pathlib.Path(f"/proc/{daemon.reader}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() - began < 1
        time.sleep(0.01)
    assert time.monotonic() - began > 0.5
    assert node.state_file.read_text() == "active\n"


def test_a_reader_idles_without_cpu(daemon: Daemon) -> None:
    def ticks() -> int:
        fields = pathlib.Path(f"/proc/{daemon.reader}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.5)
    before = ticks()
    time.sleep(1)
    assert ticks() - before <= 1


def test_two_clusters_on_one_host_keep_their_states_apart(node: Any) -> None:
    billing = node.folder / "billing.conf"
    billing.write_text(f"state_file = {node.folder}/run/billing\ncluster_name = billing\n")
    daemon = Daemon(node, "--instance", "VI_1", "--group", f"G2={billing}")
    try:
        daemon.send('INSTANCE "VI_1" MASTER 100')
        wait_for_content(node.state_file, "active\n")
        assert not (node.folder / "run" / "billing").exists()
        daemon.send('GROUP "G2" MASTER 0')
        wait_for_content(node.folder / "run" / "billing", "active\n")
        daemon.send('GROUP "G2" FAULT 0')
        wait_for_content(node.folder / "run" / "billing", "passive\n")
        assert node.state_file.read_text() == "active\n"
    finally:
        daemon.end()


def test_a_cluster_with_a_broken_configuration_does_not_stop_the_other(node: Any) -> None:
    out = node.ctl(
        "feed", "keepalived", "--instance", "A=/nonexistent", "--instance", "B", "INSTANCE", "B", "MASTER", "1"
    )
    assert out.returncode == 78
    assert node.state_file.read_text() == "active\n"
    assert "/nonexistent: there is no such file" in out.stderr


def test_a_state_that_cannot_be_written_is_reported(node: Any) -> None:
    node.conf.write_text("state_file = /nonexistent/run/state\n")
    out = notify(node, "INSTANCE", "VI_1", "BACKUP", "100")
    assert out.returncode == 73
    assert "/nonexistent/run/state: not written, should be passive" in node.log()[0]


# --- freshness: state_max_age ---


@pytest.fixture
def fresh(node: Any) -> Any:
    """A Daemon whose reader refreshes three times a second and a half."""
    node.configure("state_max_age = 2")
    daemon = Daemon(node)
    daemon.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")
    yield daemon
    daemon.end()


def test_an_active_state_stays_fresh_while_keepalived_lives(node: Any, fresh: Daemon) -> None:
    for _turn in range(35):
        assert node.ctl("is-active").returncode == 0
        time.sleep(0.05)
    assert time.time() - node.state_file.stat().st_mtime < 1.5
    assert not any("changed" in line for line in node.log()[1:])


def test_a_keepalived_that_is_stopped_goes_stale_and_comes_back(node: Any, fresh: Daemon) -> None:
    fresh.process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    assert node.run("echo", "ran").stdout == ""
    assert node.log()[-1] == "9.6 cluster=c1 state=passive status=stale cmd=echo ran"
    fresh.process.send_signal(signal.SIGCONT)
    time.sleep(1.5)
    assert node.run("echo", "ran").stdout == "ran\n"


def test_a_reader_that_is_killed_lets_the_state_go_stale(node: Any, fresh: Daemon) -> None:
    os.kill(fresh.reader, signal.SIGKILL)
    time.sleep(0.1)
    assert node.ctl("is-active").returncode == 0
    time.sleep(2.5)
    assert node.ctl("is-active").returncode == 1
    assert "keepalived, gone, spoke" in node.ctl("status").stdout


@pytest.mark.parametrize("harm", ["delete", "truncate", "garbage", "folder"])
def test_a_state_file_that_was_harmed_is_restored(node: Any, fresh: Daemon, harm: str) -> None:
    if harm in ("delete", "folder"):
        node.state_file.unlink()
        if harm == "folder":
            node.state_file.mkdir()
    else:
        node.state_file.write_text("" if harm == "truncate" else "garbage")
    wait_for_content(node.state_file, "active\n")
    for _turn in range(500):
        if "was gone or broken; restored: active" in node.log()[-1]:
            return
        time.sleep(0.01)
    pytest.fail(node.log()[-1])


def test_a_folder_with_something_in_it_is_left_and_reported_once(node: Any, fresh: Daemon) -> None:
    node.state_file.unlink()
    node.state_file.mkdir()
    kept = node.state_file / "kept"
    kept.touch()
    time.sleep(2.5)  # three refreshes
    failures = [line for line in node.log() if "not refreshed" in line]
    assert len(failures) == 1
    assert failures[0].endswith(f"{node.state_file}: not refreshed: Directory not empty")
    assert kept.exists()
    kept.unlink()
    wait_for_content(node.state_file, "active\n")


def test_what_an_operator_set_stays_until_the_next_event(node: Any, fresh: Daemon) -> None:
    node.ctl("set", "passive")
    time.sleep(1.5)
    assert node.state_file.read_text() == "passive\n"
    fresh.send('INSTANCE "VI_1" MASTER 100')
    wait_for_content(node.state_file, "active\n")


def test_a_clock_that_is_set_is_made_good_within_two_seconds(node: Any, fresh: Daemon) -> None:
    """The file's time, set off by an hour both ways, is what a clock set by an hour makes of it."""
    for off in (-3600, 3600):
        now = time.time()
        os.utime(node.state_file, (now + off, now + off))
        time.sleep(1.5)
        assert node.ctl("is-active").returncode == 0


def test_after_a_reload_the_new_reader_goes_on_refreshing(node: Any, fresh: Daemon) -> None:
    fresh.send("reload")
    time.sleep(2.5)
    assert node.ctl("is-active").returncode == 0
    assert "keepalived, alive, spoke" in node.ctl("status").stdout


def test_a_line_that_the_last_reader_took_is_gone_on_with(node: Any, fresh: Daemon) -> None:
    last = subprocess.Popen(["sleep", "60"])
    time.sleep(0.05)  # of two events within one clock tick, the one of the higher process number counts
    assert feed.accept_event(settings.load(str(node.conf)), "passive", "keepalived", 'INSTANCE "VI_1" BACKUP', last.pid)
    last.kill()
    last.wait()
    for _turn in range(100):
        said = node.ctl("status").stdout
        if "keepalived, alive" in said and said.count('INSTANCE "VI_1" BACKUP') == 1:
            break
        time.sleep(0.05)
    else:
        pytest.fail(said)
    node.state_file.unlink()
    wait_for_content(node.state_file, "passive\n")


def test_what_an_operator_has_said_last_stays_in_the_record(node: Any, fresh: Daemon) -> None:
    node.ctl("set", "passive")
    time.sleep(1.5)  # two refreshes
    assert "operator" in node.ctl("status").stdout


def test_the_record_has_feeder_event_and_since(node: Any, fresh: Daemon) -> None:
    import json

    status = json.loads(node.ctl("status", "--json").stdout)
    since = status["since"]
    feeder = status["feeder"]
    assert (feeder["name"], feeder["event"], feeder["alive"]) == ("keepalived", 'INSTANCE "VI_1" MASTER', True)
    assert abs(feeder["spoke"] - time.time()) < 2
    time.sleep(1.2)
    fresh.send('INSTANCE "VI_1" MASTER 100')
    time.sleep(0.5)
    assert json.loads(node.ctl("status", "--json").stdout)["since"] == since
