# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all hooks share: the order of events, and their lock."""

import errno
import fcntl
import os
import pathlib
import re
import subprocess
import threading
import time
from typing import Any

import pytest
from waiting import wait_until

from rcron import feed, files, log, pin, settings


def record(node: Any) -> feed.Record:
    found = feed.read_record(settings.load(str(node.conf)))
    assert found is not None
    return found


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


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_record_from_the_future_would_have_every_event_discarded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """A feeder's user writes it beside the state."""
    (tmp_path / "rcron.conf").write_text(f"state_file = {tmp_path}/state\n")
    config = settings.load(str(tmp_path / "rcron.conf"))
    feed.accept_event(config, "active", "mine", "up")
    path = tmp_path / "state.feeder"
    boot = path.read_text().partition("moment=")[2].split()[2]
    path.write_text(re.sub("moment=.*", f"moment=99999999999999 1 {boot}", path.read_text()))
    if not is_protected:
        moment = feed.Moment.now()
        end = feed.Moment(10**15, 1)
        monkeypatch.setattr(feed.Moment, "now", classmethod(lambda _cls: end))
        feed.accept_event(config, "passive", "mine", "down", moment=moment)
    else:
        feed.accept_event(config, "passive", "mine", "down")
    assert (tmp_path / "state").read_text() == ("passive\n" if is_protected else "active\n")


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


# --- what no hook leaves behind ---


def test_a_hook_leaves_no_process_behind_and_holds_nothing_of_its_caller_open(node: Any) -> None:
    """ucarp, Pacemaker and Ansible wait until what their hooks write to is closed."""
    read, write = os.pipe()
    for state in ("active", "passive", "active"):
        command = [str(node.rcronctl), "--conf", str(node.conf), "set", state, "--feeder", "mine"]
        subprocess.run(command, stdout=write, stderr=write, pass_fds=[write], check=True)
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
    assert record(node).pid == 0


def test_saying_it_again_keeps_the_state_fresh_and_nothing_else_does(node: Any) -> None:
    node.configure("state_max_age = 2")
    for _turn in range(4):
        assert node.ctl("set", "active", "--feeder", "mine").returncode == 0
        time.sleep(0.8)
        assert node.ctl("is-active").returncode == 0
    wait_until(lambda: node.ctl("is-active").returncode == 1, "stale")
    assert node.ctl("set", "active", "--feeder", "mine").returncode == 0
    assert node.ctl("is-active").returncode == 0


def test_while_is_refused_and_says_what_has_taken_its_place(node: Any) -> None:
    out = node.ctl("set", "active", "--while", str(os.getpid()))
    assert out.returncode == 64
    assert "say `rcronctl set active` again and again, or let rcron-agent ask a command" in out.stderr
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_file_of_roots_that_has_lost_its_own_name_stays_roots(
    node: Any, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """Such as /etc/shadow, which passwd(1) replaces: the hard link in the lock's place is then its only name."""
    os.chown(node.state_file.parent, 1, 1)
    lock = pathlib.Path(f"{node.state_file}.lock")
    lock.write_text("root:secret\n")
    if not is_protected:
        monkeypatch.setattr(feed, "give_lock", lambda fd, owner: os.chown(fd, *owner))
    with feed.Lock(str(node.state_file)):
        pass
    assert lock.stat().st_uid == (0 if is_protected else 1)


def test_a_lock_that_is_never_given_back_holds_nobody_off_for_good(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warned = []
    monkeypatch.setattr(feed, "PATIENCE", 0.2)
    monkeypatch.setattr(feed.log, "warning", lambda conf, text: warned.append(text))
    conf = settings.load(str(node.conf))
    with feed.Lock(conf.state_file), feed.Lock(conf.state_file):
        assert warned == [f"{conf.state_file}.lock: another process holds it (see fuser); going on without it"]


# --- the record ---


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
