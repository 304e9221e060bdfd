# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all hooks share: the order of events, and the process that is left behind on an active node."""

import errno
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import wait_until

from rcron import feed, files, log, pin, process, settings


def record(node: Any) -> feed.Record:
    found = feed.read_record(settings.load(str(node.conf)))
    assert found is not None
    return found


@pytest.fixture
def daemon() -> "Iterator[subprocess.Popen[bytes]]":
    """A process for the state to hang on."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def followed(node: Any, daemon: "subprocess.Popen[bytes]") -> Iterator[int]:
    """An active node with state_max_age 2, and the process that refreshes its state while the daemon lives."""
    node.configure("state_max_age = 2")
    out = node.ctl("set", "active", "--feeder", "mine", "--while", str(daemon.pid), umask=0o177)
    assert (out.returncode, out.stderr) == (0, "")
    wait_until(lambda: record(node).pid, "a process is left behind")
    pid = record(node).pid
    yield pid
    node.ctl("set", "passive")
    wait_until(lambda: not process.started_at(pid), "that process ends", 15)


# --- order ---


def late(node: Any, state: str, feeder: str = "mine") -> "subprocess.Popen[str]":
    """A hook that has been started, and will say its word when its standard input is closed."""
    command = f'read -r _; exec "$0" --conf "$1" set {state} --feeder {feeder}'
    return subprocess.Popen(
        ["/bin/sh", "-c", command, str(node.rcronctl), str(node.conf)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_hook_that_a_later_one_has_overtaken_changes_nothing(node: Any) -> None:
    first = late(node, "active")
    time.sleep(0.05)
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 0
    first.communicate()
    assert first.returncode == 75
    assert node.state_file.read_text() == "passive\n"
    assert node.log()[-1] == "9.6 cluster=c1 state=passive status=overtaken event=mine:set active"


def test_of_many_hooks_that_run_at_once_the_one_that_was_started_last_holds(node: Any) -> None:
    hooks = [late(node, state) for state in ("active", "passive") * 10]
    # All of them go on at the same moment; some were started in the same clock tick.
    threads = [threading.Thread(target=hook.communicate) for hook in reversed(hooks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {hook.returncode for hook in hooks} <= {0, 75}
    assert hooks[-1].returncode == 0
    assert node.state_file.read_text() == "passive\n"
    assert record(node).moment.pid == hooks[-1].pid


def tamper(node: Any, moment: str) -> None:
    """Give the record another moment: `TICKS PID BOOT`, with this boot for an empty BOOT."""
    path = pathlib.Path(f"{node.state_file}.feeder")
    lines = path.read_text().splitlines()
    own = next(line for line in lines if line.startswith("moment="))
    path.write_text("\n".join(lines).replace(own, f"moment={moment} {own.split()[2]}".rstrip()) + "\n")


@pytest.mark.parametrize("moment", ["99999999999 1 another-boot", "99999999999 1", "99999999999999 1"])
def test_an_event_of_another_boot_or_of_the_future_overtakes_nothing(node: Any, moment: str) -> None:
    for new in ("active", "passive", "active"):
        node.ctl("set", "passive" if new == "active" else "active")
        tamper(node, moment)
        assert node.ctl("set", new).returncode == 0
        assert node.state_file.read_text() == f"{new}\n"


def test_set_reports_that_a_later_event_has_overtaken_it(node: Any) -> None:
    operator = late(node, "active", "operator")
    time.sleep(0.05)
    node.ctl("set", "passive", "--feeder", "mine")
    assert "not set: a later event has come" in operator.communicate()[1]
    assert operator.returncode == 75


def test_set_succeeds_if_a_later_event_has_given_the_same_state(node: Any) -> None:
    """ExecStopPost= of a unit whose hook was faster: systemd would call the unit failed."""
    first = late(node, "passive")
    time.sleep(0.05)
    node.ctl("set", "passive", "--feeder", "mine")
    assert (first.communicate()[1], first.returncode) == ("", 0)


def test_set_reports_a_pin_that_overrides_it(node: Any) -> None:
    node.ctl("pin", "passive")
    done = node.ctl("set", "active")
    assert done.returncode == 0
    assert done.stdout.endswith("what was set counts after rcronctl unpin\n")


def test_passive_is_written_before_anything_is_logged_or_recorded(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = settings.load(str(node.conf))
    node.become("active")
    seen = []
    write = files.replace

    def look(*_: Any) -> None:
        seen.append(node.state_file.read_text())

    def replace(path: str, text: str) -> None:
        if path == conf.record_file:
            look()
        write(path, text)

    monkeypatch.setattr(log, "change", look)
    monkeypatch.setattr(files, "replace", replace)
    assert feed.accept_event(conf, "passive", "mine", "down")
    assert seen == ["passive\n", "passive\n"]


@pytest.mark.parametrize("is_served", [False, True])
def test_an_older_passive_that_comes_over_a_later_active_is_taken_back(
    node: Any, monkeypatch: pytest.MonkeyPatch, is_served: bool
) -> None:
    """The later hook speaks between the older one's look at the record and its write. An agent asks the daemon."""
    conf = settings.load(str(node.conf))
    node.become("active")
    if is_served:
        pathlib.Path(conf.agent_file("ask")).touch()
    older = feed.Moment.now()
    write = feed.write_state

    def overtaken(config: settings.Config, new: str) -> None:
        monkeypatch.setattr(feed, "write_state", write)
        assert feed.accept_event(conf, "active", "mine", "up", moment=feed.Moment(older.ticks, older.pid + 1))
        write(config, new)

    monkeypatch.setattr(feed, "write_state", overtaken)
    assert not feed.accept_event(conf, "passive", "mine", "down", moment=older)
    assert node.state_file.read_text() == ("passive\n" if is_served else "active\n")


def test_the_agent_does_not_hear_of_a_passive_that_a_later_active_has_overtaken(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older hook has written its state, and is slow: the agent would take its message for later than the active."""
    conf = settings.load(str(node.conf))
    node.become("active")
    older = feed.Moment.now()
    write = feed.write_state
    told = []

    def slow(config: settings.Config, new: str) -> None:
        write(config, new)
        monkeypatch.setattr(feed, "write_state", write)
        assert feed.accept_event(conf, "active", "mine", "up", moment=feed.Moment(older.ticks, older.pid + 1))

    def tell(_config: settings.Config, words: str, passive: bool = False) -> bool:
        told.append((words, passive))
        return True

    monkeypatch.setattr(feed, "write_state", slow)
    monkeypatch.setattr(feed.ask, "now", tell)
    assert not feed.accept_event(conf, "passive", "mine", "down", moment=older)
    assert node.state_file.read_text() == "active\n"
    assert told == [("mine:up", False), ("mine:down", False)]


def test_an_older_active_that_comes_over_a_later_passive_is_taken_back(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older hook has the lock, and has looked at the record, when the later one writes its state."""
    conf = settings.load(str(node.conf))
    node.become("active")
    now = feed.Moment.now()
    write = feed.write_state

    def comes_over(config: settings.Config, new: str) -> None:
        write(config, new)
        monkeypatch.setattr(feed, "write_state", write)
        write(config, "active")

    monkeypatch.setattr(feed, "write_state", comes_over)
    assert feed.accept_event(conf, "passive", "mine", "down", moment=now)
    assert node.state_file.read_text() == "passive\n"


@pytest.mark.parametrize(
    ("new", "answer", "counts"),
    [
        ("passive", "active", True),
        ("passive", "unknown", True),
        ("active", "unknown", True),
        ("active", "passive", False),
    ],
)
def test_what_the_agent_has_asked_since_a_hook_was_started(node: Any, new: str, answer: str, counts: bool) -> None:
    conf = settings.load(str(node.conf))
    node.become("active" if new == "passive" else "passive")
    now = feed.Moment.now()
    record = feed.Record("mine", "asked", time.time(), feed.Moment(now.ticks, now.pid + 1))
    record.boot, record.answer = pin.boot_id(), answer
    files.replace(conf.record_file, feed.record_text(record))
    assert feed.accept_event(conf, new, "mine", "event", moment=now) is counts
    assert (node.state_file.read_text() == f"{new}\n") is counts


def test_a_record_of_an_older_version_is_read(node: Any) -> None:
    node.become("active")
    path = pathlib.Path(f"{node.state_file}.feeder")
    path.write_text("feeder=keepalived\nevent=x\nsince=1.5\npid=0\nstarted=\n")
    assert record(node).event == "x"
    assert node.ctl("set", "passive").returncode == 0
    assert node.state_file.read_text() == "passive\n"


def test_what_the_same_feeder_says_again_is_logged_once(node: Any) -> None:
    for _turn in range(3):
        node.ctl("set", "active", "--feeder", "mine")
    node.ctl("set", "active")
    assert [line.partition(" state=")[2] for line in node.log()] == [
        "active status=changed event=mine:set active",
        "active status=confirmed event=operator:set active",
    ]


# --- the process that is left behind ---


def test_the_state_stays_fresh_while_the_daemon_lives(node: Any, followed: int) -> None:
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    for _turn in range(8):
        time.sleep(0.5)
        assert node.ctl("is-active").returncode == 0
    assert "mine, alive, spoke" in node.ctl("status").stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_node_is_passive_at_the_daemons_end(
    node: Any, followed: int, daemon: "subprocess.Popen[bytes]", number: int
) -> None:
    began = time.monotonic()
    daemon.send_signal(number)
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")
    print(f"passive {time.monotonic() - began:.3f} s after the daemon's end")
    wait_until(lambda: node.log()[-1] == "9.6 cluster=c1 state=passive status=changed event=mine:ended", "a log line")
    wait_until(lambda: not process.started_at(followed), "the process ends")


def test_a_daemon_that_is_stopped_lets_the_state_go_stale(
    node: Any, followed: int, daemon: "subprocess.Popen[bytes]"
) -> None:
    daemon.send_signal(signal.SIGSTOP)
    wait_until(lambda: node.ctl("is-active").returncode == 1, "stale")
    assert "but was last refreshed" in node.ctl("status").stdout
    daemon.send_signal(signal.SIGCONT)
    wait_until(lambda: node.ctl("is-active").returncode == 0, "fresh again")


def test_term_to_all_of_a_service_leaves_somebody_to_see_the_daemon_end(
    node: Any, followed: int, daemon: "subprocess.Popen[bytes]"
) -> None:
    os.kill(followed, signal.SIGTERM)
    time.sleep(0.2)
    assert process.started_at(followed)
    daemon.terminate()
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")


def test_a_process_that_is_killed_lets_the_state_go_stale(node: Any, followed: int) -> None:
    os.kill(followed, signal.SIGKILL)
    wait_until(lambda: node.ctl("is-active").returncode == 1, "stale")
    assert "mine, gone, spoke" in node.ctl("status").stdout


def test_saying_it_again_leaves_one_process(node: Any, followed: int, daemon: "subprocess.Popen[bytes]") -> None:
    for _turn in range(3):
        node.ctl("set", "active", "--feeder", "mine", "--while", str(daemon.pid))
    time.sleep(0.2)
    assert record(node).pid == followed
    # Nor does an operator who says the same take the refreshing away.
    node.ctl("set", "active")
    assert record(node).pid == followed


def test_another_daemon_takes_the_place_of_the_first(node: Any, followed: int) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        node.ctl("set", "active", "--feeder", "mine", "--while", str(other.pid))
        wait_until(lambda: record(node).pid not in (0, followed), "another process")
        wait_until(lambda: not process.started_at(followed), "the first process ends")
        assert node.state_file.read_text() == "active\n"
        other.kill()
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")


def test_passive_ends_the_process_and_stays(node: Any, followed: int, daemon: "subprocess.Popen[bytes]") -> None:
    node.ctl("set", "passive", "--feeder", "mine")
    wait_until(lambda: not process.started_at(followed), "the process ends", 15)
    assert node.state_file.read_text() == "passive\n"
    assert node.log()[-1].endswith("event=mine:set passive")


def test_a_state_file_that_was_harmed_is_restored(node: Any, followed: int) -> None:
    node.state_file.unlink()
    wait_until(lambda: node.state_file.exists() and node.state_file.read_text() == "active\n", "restored")
    wait_until(lambda: "was gone or broken; restored: active" in node.log()[-1], "logged")


def test_a_removal_ends_the_process_and_nothing_comes_back(node: Any, followed: int) -> None:
    folder = node.state_file.parent
    for path in folder.iterdir():
        path.unlink()
    wait_until(lambda: not process.started_at(followed), "the process ends", 15)
    assert list(folder.iterdir()) == []


def test_a_daemon_that_has_died_already_makes_the_node_passive(node: Any) -> None:
    code = """import sys
sys.path.insert(0, sys.argv[2])
from rcron import settings, hook
hook.apply(settings.load(sys.argv[1]), "active", "mine", "up", daemon=int(sys.argv[3]))
"""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
        checkout = str(pathlib.Path(feed.__file__).parents[1])
        subprocess.run([sys.executable, "-c", code, str(node.conf), checkout, str(gone.pid)], check=True)
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")


def test_the_process_holds_nothing_of_its_caller_open(node: Any, daemon: "subprocess.Popen[bytes]") -> None:
    """ucarp, Pacemaker and Ansible wait until what their hooks write to is closed."""
    read, write = os.pipe()
    began = time.monotonic()
    command = [str(node.rcronctl), "--conf", str(node.conf), "set", "active", "--while", str(daemon.pid)]
    subprocess.run(command, stdout=write, stderr=write, pass_fds=[write], check=True)
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
    assert time.monotonic() - began < 20
    node.ctl("set", "passive")


def test_while_wants_a_living_process_and_an_active_node(node: Any, daemon: "subprocess.Popen[bytes]") -> None:
    out = node.ctl("set", "active", "--while", "4194305")
    assert (out.returncode, "there is no process 4194305" in out.stderr) == (64, True)
    out = node.ctl("set", "passive", "--while", str(daemon.pid))
    assert (out.returncode, "--while needs active" in out.stderr) == (64, True)
    assert not node.state_file.exists()


# --- the lock ---


def test_a_lock_on_the_folder_holds_nobody_off(node: Any) -> None:
    """Whoever may read a folder may lock it."""
    fd = os.open(node.state_file.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        assert node.ctl("set", "active", timeout=10).returncode == 0
    finally:
        os.close(fd)


def test_the_lock_is_for_the_owner_alone(node: Any) -> None:
    node.ctl("set", "active")
    lock = pathlib.Path(f"{node.state_file}.lock")
    assert lock.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_locks_place_is_not_followed(node: Any) -> None:
    target = node.folder / "target"
    pathlib.Path(f"{node.state_file}.lock").symlink_to(target)
    out = node.ctl("set", "active")
    assert out.returncode == 73
    assert not target.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_lock_of_a_folder_of_another_users_is_his(node: Any) -> None:
    os.chown(node.state_file.parent, 1, 1)
    node.ctl("set", "active")
    assert pathlib.Path(f"{node.state_file}.lock").stat().st_uid == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_of_roots_under_the_locks_name_stays_roots(node: Any) -> None:
    """A hard link that the folder's owner has made, if the kernel permits that."""
    os.chown(node.state_file.parent, 1, 1)
    other = node.folder / "other"
    other.touch(0o600)
    os.link(other, f"{node.state_file}.lock")
    assert node.ctl("set", "active").returncode == 0
    assert other.stat().st_uid == 0


def test_a_lock_that_is_never_given_back_holds_nobody_off_for_good(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warned = []
    monkeypatch.setattr(feed, "PATIENCE", 0.2)
    monkeypatch.setattr(feed.log, "warning", lambda conf, text: warned.append(text))
    conf = settings.load(str(node.conf))
    with feed.Lock(conf.state_file), feed.Lock(conf.state_file):
        assert warned == [f"{conf.state_file}.lock: another process holds it (see fuser); going on without it"]


# --- /proc ---


def test_an_ancestor_is_found_by_its_name() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from rcron import process; print(process.ancestor('bash'))"
    checkout = str(pathlib.Path(feed.__file__).parents[1])
    script = 'echo $$; "$0" -c "$1" "$2" | cat'
    out = subprocess.run(
        ["bash", "-c", script, sys.executable, code, checkout], capture_output=True, text=True, check=True
    ).stdout.split()
    assert out[0] == out[1]
    assert process.ancestor("no-such-name") == 0


def test_an_ancestor_that_calls_itself_otherwise_is_found_by_its_program() -> None:
    checkout = str(pathlib.Path(feed.__file__).parents[1])
    program = os.path.basename(os.readlink("/proc/self/exe"))
    ask = (
        f"import sys; sys.path.insert(0, {checkout!r}); from rcron import process; print(process.ancestor({program!r}))"
    )
    rename = f"""
import os, subprocess, sys
open("/proc/self/comm", "w").write("otherwise")
print(os.getpid(), flush=True)
subprocess.run(["sh", "-c", '"$0" -c "$1"; true', sys.executable, {ask!r}], check=True)
"""
    out = subprocess.run([sys.executable, "-c", rename], capture_output=True, text=True, check=True).stdout.split()
    assert out[0] == out[1]


def test_a_refresh_after_a_removal_or_another_event_brings_nothing_back(node: Any) -> None:
    """As when either falls between a refresher's look at the record and its refresh."""
    conf = settings.load(str(node.conf))
    assert feed.refresh(conf, settings.ACTIVE, follows=os.getpid()) is False
    assert list(node.state_file.parent.iterdir()) == []
    node.ctl("set", "passive")
    os.utime(node.state_file, (1000, 1000))
    assert feed.refresh(conf, settings.ACTIVE, follows=os.getpid()) is False
    assert (node.state_file.read_text(), node.state_file.stat().st_mtime) == ("passive\n", 1000)


def test_a_record_that_cannot_be_written_is_reported_and_the_state_stands(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = settings.load(str(node.conf))
    write = files.replace

    def refuse(path: str, text: str) -> None:
        if path == conf.record_file:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        write(path, text)

    warned: list[str] = []
    monkeypatch.setattr(files, "replace", refuse)
    monkeypatch.setattr(log, "warning", lambda _config, text: warned.append(text))
    assert feed.accept_event(conf, "active", "test", "MASTER")
    assert node.state_file.read_text() == "active\n"
    assert warned == [f"{conf.record_file}: not written: Disk quota exceeded"]
