# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Signals, timers and process groups: nobody loses a job because rcron stands between."""

import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import wait_until

import rcron
from rcron import child

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


class Terminal:
    """An interactive bash in a terminal of its own, which is told what to do as a person tells it."""

    def __init__(self) -> None:
        import pty

        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noediting", "-i"], {"PATH": "/usr/bin:/bin", "PS1": "> "})
        self.output = b""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def see(self, text: bytes) -> None:
        deadline = time.monotonic() + 20
        while text not in self.output:
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], self.output
            self.output += os.read(self.terminal, 1024)
        self.output = self.output.partition(text)[2]

    def end(self) -> None:
        os.close(self.terminal)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal() -> "Iterator[Terminal]":
    terminal = Terminal()
    yield terminal
    terminal.end()


@pytest.mark.parametrize("on_demotion", ["continue", "terminate"])
def test_a_job_that_was_brought_to_the_foreground_gets_ctrl_c(node: Any, terminal: Terminal, on_demotion: str) -> None:
    node.configure(f"on_demotion = {on_demotion}")
    node.become("active")
    ready = node.folder / "ready"
    script = node.folder / "job"
    script.write_text(
        f"#!/bin/sh\ntrap 'echo in''terrupted; exit 9' INT\ntouch {ready}\nwhile :; do sleep 0.05; done\n"
    )
    script.chmod(0o755)
    terminal.type(f"{' '.join(node.command(str(script)))} &\n")
    wait_until(ready.exists, "ready is there")
    terminal.type("fg\n")
    terminal.see(str(script).encode())
    time.sleep(0.3)  # bash has written its line before it gives the terminal away
    terminal.type("\x03")
    terminal.see(b"interrupted")
    terminal.type("echo status=$?\n")
    terminal.see(b"status=9")


@pytest.mark.parametrize("on_demotion", ["continue", "terminate"])
def test_ctrl_z_stops_a_job_that_was_brought_to_the_foreground(node: Any, terminal: Terminal, on_demotion: str) -> None:
    node.configure(f"on_demotion = {on_demotion}")
    node.become("active")
    mark = node.folder / "mark"
    script = node.folder / "job"
    script.write_text(f"#!/bin/sh\nwhile :; do echo >> {mark}; sleep 0.05; done\n")
    script.chmod(0o755)
    terminal.type(f"{' '.join(node.command(str(script)))} &\n")
    wait_until(mark.exists, "mark is there")
    terminal.type("fg\n")
    terminal.see(str(script).encode())
    time.sleep(0.3)
    terminal.type("\x1a")
    terminal.see(b"Stopped")
    size = mark.stat().st_size
    time.sleep(0.5)
    assert mark.stat().st_size <= size + 1
    terminal.type("fg\n")
    wait_until(lambda: mark.stat().st_size > size + 1, "the job goes on")
    terminal.type("\x03")
    terminal.type("echo status=$?\n")
    terminal.see(b"status=130")


@pytest.mark.parametrize("number", ["ALRM", "VTALRM", "PROF", "PWR", "STKFLT", "RTMIN", "RTMAX", "XCPU"])
def test_no_signal_ends_rcron_and_leaves_its_job_behind(node: Any, number: str) -> None:
    node.become("active")
    ready = node.folder / "ready"
    process = node.start("bash", "-c", f"trap 'echo got; exit 9' {number}; touch {ready}; while :; do sleep 0.01; done")
    wait_until(ready.exists, "ready is there")
    subprocess.run(["bash", "-c", f"kill -{number} {process.pid}"], check=True)
    assert process.communicate(timeout=20)[0] == "got\n"
    assert process.returncode == 9


def test_an_alarm_that_was_set_before_rcron_is_the_jobs(node: Any) -> None:
    """alarm(2) survives an exec, and `perl -e 'alarm 1; exec @ARGV'` is an old timeout."""
    node.become("active")
    process = node.start("sh", "-c", "trap 'echo rang; exit 9' ALRM; while :; do sleep 0.01; done", preexec_fn=alarm)
    assert process.communicate(timeout=20)[0] == "rang\n"
    assert process.returncode == 9


def test_an_alarm_that_was_set_before_rcron_ends_the_job_that_does_not_catch_it(node: Any) -> None:
    node.become("active")
    process = node.start("sh", "-c", "echo $$; exec sleep 60", preexec_fn=alarm)
    pid = int(process.communicate(timeout=20)[0])
    assert process.returncode == 128 + signal.SIGALRM
    assert not os.path.exists(f"/proc/{pid}")


def alarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, 1)


@as_root
def test_as_process_1_rcron_leaves_no_zombies(node: Any) -> None:
    """A container whose command is `rcron job`: all orphans are its children."""
    node.become("active")
    script = "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done; sleep 1; ps -e -o stat=,comm=; exit 3"
    command = ["unshare", "--pid", "--fork", "--mount-proc", *node.command("sh", "-c", script)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.returncode == 3
    assert out.stdout.count("\n") >= 3
    assert "Z" not in out.stdout


def test_children_that_a_shell_left_to_rcron_are_not_zombies(node: Any) -> None:
    node.become("active")
    job = "sleep 0.5; ps -o stat= --ppid $PPID; exit 4"
    script = f"sleep 0.1 & sleep 0.1 & exec {' '.join(node.command('sh', '-c'))} '{job}'"
    out = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert out.returncode == 4
    assert out.stdout
    assert "Z" not in out.stdout


@pytest.fixture
def others_job() -> "Iterator[tuple[list[str], pathlib.Path]]":
    """A command line by which an ordinary user runs another user's job behind rcron, and its folder.

    The checkout and its interpreter may stand where only root can go.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        shutil.copytree(pathlib.Path(rcron.__file__).parent, folder / "rcron")
        (folder / "state").write_text("active\n")
        (folder / "conf").write_text(f"state_file = {folder}/state\non_demotion = terminate\nkill_after = 1\n")
        # As sudo does: all ids are the other user's. Only CAP_SETUID is passed on, so rcron may not signal the job.
        as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+setuid --ambient-caps=+setuid"
        as_other = "setpriv --reuid=65533 --inh-caps=-all --ambient-caps=-all"
        command = [*as_nobody.split(), "/usr/bin/python3", "-m", "rcron", "--conf", f"{folder}/conf", *as_other.split()]
        yield command, folder


@as_root
@pytest.mark.parametrize("on_demotion", ["continue", "terminate"])
def test_a_signal_that_another_users_job_cannot_be_sent_is_reported_and_rcron_waits_on(
    others_job: "tuple[list[str], pathlib.Path]", on_demotion: str
) -> None:
    command, folder = others_job
    conf = folder / "conf"
    conf.write_text(conf.read_text().replace("terminate", on_demotion))
    process = start([*command, "sh", "-c", "echo begun; sleep 1.5; exit 7"], folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    _out, err = process.communicate(timeout=20)
    assert "signal 15 did not reach the job, process " in err
    assert ": Operation not permitted; it goes on\n" in err
    assert "Traceback" not in err
    assert process.returncode == 7


@as_root
@pytest.mark.parametrize("job", ["{}", "sh -c '{}; exit $?'"], ids=["the job itself", "one of its processes"])
def test_a_demotion_that_another_users_job_outlives_is_reported(
    others_job: "tuple[list[str], pathlib.Path]", job: str
) -> None:
    command, folder = others_job
    script = "echo begun; sleep 2.5; exit 7"
    if job != "{}":
        at = command.index("--conf") + 2
        inner = " ".join(command[at:])
        command = [*command[:at], "sh", "-c", f"trap \"\" TERM; {inner} sh -c '{script}'; exit 7"]
    else:
        command = [*command, "sh", "-c", script]
    process = start(command, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    (folder / "state.new").write_text("passive\n")
    (folder / "state.new").rename(folder / "state")
    _out, err = process.communicate(timeout=20)
    assert "TERM may not be sent to another user's process " in err
    assert "KILL may not be sent to another user's process " in err
    assert "Traceback" not in err
    assert process.returncode == (7 if job == "{}" else 128 + signal.SIGKILL)


def start(command: "list[str]", folder: pathlib.Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


WAIT = """\
import signal, sys
sys.path.insert(0, {library!r})
from rcron import child
signal.pthread_sigmask(signal.SIG_BLOCK, child.WAITED_FOR)
for _time in range(int(sys.argv[1])):
    print("waits", flush=True)
    info = child.next_signal(child.WAITED_FOR, float(sys.argv[2]))
    print(info and info.si_signo, flush=True)
"""


@pytest.fixture
def waiting(tmp_path: pathlib.Path) -> "Iterator[Any]":
    """Start a process that waits for signals, so often and for so many seconds each time."""
    library = str(pathlib.Path(rcron.__file__).resolve().parents[1])
    started = []

    def start(times: int, seconds: float) -> "subprocess.Popen[str]":
        command = [sys.executable, "-IS", "-c", WAIT.format(library=library), str(times), str(seconds)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_a_wait_in_which_rcron_was_stopped_brings_no_signal_that_nobody_sent(waiting: Any) -> None:
    one = waiting(3, 0.2)
    for _time in range(3):
        assert one.stdout.readline() == "waits\n"
        one.send_signal(signal.SIGSTOP)
        time.sleep(0.4)
        one.send_signal(signal.SIGCONT)
        assert one.stdout.readline() == "None\n"


def test_the_same_signal_twice_is_two_signals(waiting: Any) -> None:
    one = waiting(2, 60)
    for _time in range(2):
        assert one.stdout.readline() == "waits\n"
        one.send_signal(signal.SIGTERM)
        assert one.stdout.readline() == f"{int(signal.SIGTERM)}\n"


def test_a_signal_that_comes_when_the_time_is_up_counts_and_the_one_of_before_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, pid = 0, 7
    said = [signal.struct_siginfo((number, code, 0, pid, 0, 0, 0)) for number in (15, 15, 1, 1, 15)]
    monkeypatch.setattr(child, "_last", None)
    monkeypatch.setattr(child._signal, "sigtimedwait", lambda _signals, _seconds: said.pop(0))
    counted = [child.next_signal(child.WAITED_FOR, 0.0) for _time in range(5)]
    assert [info and info.si_signo for info in counted] == [15, None, 1, None, 15]
