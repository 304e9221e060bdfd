# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Hooks of a cluster that rcron-agent serves, the agent a process: what is late, locked or not writable."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import wait_until

from rcron import settings, state

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

AGENT = """\
import sys
sys.path.insert(0, {checkout!r})
from rcron import log, settings
settings.RUNTIME = {runtime!r}
log._send = lambda facility, level, line: None
from rcron.agent.__main__ import main
sys.exit(main(["--clusters", {clusters!r}]))
"""

#: What the daemon says: the exit status in a file, 0 active, 1 passive, else it cannot tell.
DAEMON = """\
#!/bin/sh
read said <{says} || exit 3
exit "$said"
"""

ACTIVE, PASSIVE, CANNOT_TELL = "0", "1", "3"


class Served:
    """A node whose cluster an agent serves, and the daemon that it asks."""

    def __init__(self, node: Any) -> None:
        self.node = node
        node.configure("state_max_age = 30", "default_state = active")
        node.become("passive")  # fresh, so that the agent believes its daemon at once
        self.config = settings.load(str(node.conf))
        self.process: "subprocess.Popen[bytes] | None" = None
        self._says = node.folder / "says"
        self.says(PASSIVE)
        program = node.folder / "program"
        program.write_text(DAEMON.format(says=self._says))
        program.chmod(0o755)
        clusters = node.folder / "agent.d"
        clusters.mkdir()
        (clusters / "c1.conf").write_text(
            f"conf = {node.conf}\nfeeder = command\ncommand = {program}\nevery = 0.2\nlimit = 5\nnotice = 10\n"
        )
        self._text = AGENT.format(checkout=str(CHECKOUT), runtime=node.runtime, clusters=str(clusters))
        self.start()

    def start(self) -> None:
        """Start the agent."""
        self.process = subprocess.Popen([sys.executable, "-IS", "-c", self._text])
        wait_until(lambda: pathlib.Path(self.config.agent_file("ask")).exists(), "the agent serves the cluster")

    def signal(self, number: int) -> None:
        """Send the agent a signal; its end is waited for."""
        assert self.process is not None
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait()

    def says(self, what: str) -> None:
        """Have the daemon answer so from now on."""
        new = self._says.with_suffix(".new")
        new.write_text(what + "\n")
        new.rename(self._says)

    @property
    def is_active(self) -> bool:
        """Whether a job would run."""
        return state.current(self.config).state == settings.ACTIVE

    def becomes_active(self) -> None:
        """Have the daemon say `active` and the node follow; then the daemon says nothing more."""
        self.says(ACTIVE)
        wait_until(lambda: self.is_active, "active")
        self.says(CANNOT_TELL)
        time.sleep(0.5)
        assert self.is_active

    def end(self) -> None:
        """End the agent."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def served(node: Any) -> Iterator[Served]:
    served = Served(node)
    yield served
    served.end()


@pytest.fixture
def read_only() -> "Iterator[Callable[[pathlib.Path], None]]":
    """A function that makes a folder read-only, and one more call of it writable again."""
    mounted: "list[pathlib.Path]" = []

    def switch(folder: pathlib.Path) -> None:
        if folder in mounted:
            subprocess.run(["umount", folder], check=True)
            mounted.remove(folder)
            return
        if subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(folder)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    yield switch
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def late(node: Any, seconds: float, *words: str) -> "subprocess.CompletedProcess[str]":
    """A hook that goes on only some time after its start, as one that was frozen with its node."""
    command = f'sleep {seconds}; exec "$0" --conf "$@"'
    return subprocess.run(
        ["/bin/sh", "-c", command, str(node.rcronctl), str(node.conf), *words],
        check=False,
        capture_output=True,
        text=True,
    )


def set_active(node: Any) -> None:
    """Have a hook make the node active. On a busy machine one may take too long."""
    wait_until(lambda: node.ctl("set", "active", "--feeder", "mine").returncode == 0, "a hook in time", 30)


# --- a hook does what it always did, and leaves nothing behind ---


def test_events_become_states_at_once(node: Any, served: Served) -> None:
    served.says(CANNOT_TELL)
    time.sleep(0.5)
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 0
    assert node.state_file.read_text() == "passive\n"
    set_active(node)
    assert node.state_file.read_text() == "active\n"


def test_the_daemon_is_asked_after_an_event(node: Any, served: Served) -> None:
    served.says(ACTIVE)
    wait_until(lambda: served.is_active, "active")
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 0
    wait_until(lambda: served.is_active, "the daemon's word counts")
    served.says(PASSIVE)
    wait_until(lambda: not served.is_active, "passive")
    set_active(node)
    wait_until(lambda: not served.is_active, "the daemon's word counts again")


# --- late ---


def test_an_active_that_comes_late_only_has_the_daemon_asked(node: Any, served: Served) -> None:
    served.says(CANNOT_TELL)
    time.sleep(0.5)
    done = late(node, 0.6, "set", "active", "--feeder", "mine")
    assert (done.returncode, "it took too long" in done.stderr) == (75, True)
    assert not served.is_active
    assert node.log()[-1] == "9.6 cluster=c1 state=active status=asked event=mine:set active"


def test_a_passive_that_comes_late_counts(node: Any, served: Served) -> None:
    served.becomes_active()
    assert late(node, 0.6, "set", "passive", "--feeder", "mine").returncode == 0
    assert not served.is_active


def test_without_an_agent_an_active_is_never_too_late(node: Any) -> None:
    assert late(node, 0.6, "set", "active", "--feeder", "mine").returncode == 0
    assert node.state_file.read_text() == "active\n"


# --- the lock ---


@pytest.fixture
def locked(node: Any) -> Iterator[None]:
    """Somebody holds the lock."""
    with open(f"{node.state_file}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def passive_within(node: Any, *words: str, **options: Any) -> float:
    """Start a hook. Returns after how many seconds of its life the state is passive; the hook ends later."""
    began = time.monotonic()
    hook = subprocess.Popen([str(node.rcronctl), "--conf", str(node.conf), *words], **options)
    while node.state_file.read_text() != "passive\n":
        assert hook.poll() is None
        time.sleep(0.001)
    passed = time.monotonic() - began
    assert hook.wait(30) == 0
    took = time.monotonic() - began
    print(f"passive after {passed:.3f} s, the hook's end after {took:.3f} s")
    assert took - passed < 3  # half a second for the lock, and a busy machine
    return passed


@pytest.mark.parametrize("with_agent", [True, False])
def test_passive_waits_for_no_lock(node: Any, with_agent: bool, request: pytest.FixtureRequest) -> None:
    if with_agent:
        request.getfixturevalue("served").becomes_active()
    else:
        node.become("active")
    node.ctl("is-active")  # whatever the first start of an interpreter takes
    unlocked = time.monotonic()
    node.ctl("is-active")
    start = time.monotonic() - unlocked
    request.getfixturevalue("locked")
    assert passive_within(node, "set", "passive", "--feeder", "mine") < 3 * start + 0.3


@pytest.mark.usefixtures("locked")
def test_active_does_not_wait_for_the_lock_either(node: Any, served: Served) -> None:
    served.says(CANNOT_TELL)
    began = time.monotonic()
    done = node.ctl("set", "active", "--feeder", "mine")
    assert done.returncode == 75
    assert time.monotonic() - began < 4
    assert not served.is_active
    served.says(ACTIVE)
    wait_until(lambda: served.is_active, "the agent goes on without the lock")


# --- a state that cannot be written ---


def test_a_read_only_folder_is_passive_by_the_agent_until_it_is_writable(
    node: Any, served: Served, read_only: "Callable[[pathlib.Path], None]"
) -> None:
    served.becomes_active()
    read_only(node.state_file.parent)
    done = node.ctl("set", "passive", "--feeder", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert node.state_file.read_text() == "active\n"
    assert not served.is_active
    assert node.run("echo", "ran").stdout == ""
    read_only(node.state_file.parent)
    wait_until(lambda: node.state_file.read_text() == "passive\n", "written")
    # Only then is what stood in for it taken away.
    wait_until(lambda: not os.path.exists(served.config.agent_file("passive")), "the veto is lifted")


def test_a_read_only_folder_without_an_agent_fails(node: Any, read_only: "Callable[[pathlib.Path], None]") -> None:
    node.become("active")
    read_only(node.state_file.parent)
    done = node.ctl("set", "passive", "--feeder", "mine")
    assert (done.returncode, "Read-only file system" in done.stderr) == (73, True)


def test_a_read_only_folder_and_an_agent_that_hangs_fail(
    node: Any, served: Served, read_only: "Callable[[pathlib.Path], None]"
) -> None:
    served.becomes_active()
    served.signal(signal.SIGSTOP)
    read_only(node.state_file.parent)
    try:
        assert node.ctl("set", "passive", "--feeder", "mine", timeout=10).returncode == 73
        assert node.ctl("feed", "heartbeat", "stop", timeout=10).returncode == 73
    finally:
        served.signal(signal.SIGCONT)
    # It got the message all the same.
    wait_until(lambda: not served.is_active, "passive")


def test_a_hook_of_an_agent_that_is_being_started_anew_is_heard_by_the_next(
    node: Any, served: Served, read_only: "Callable[[pathlib.Path], None]"
) -> None:
    served.becomes_active()
    served.says(PASSIVE)
    served.signal(signal.SIGKILL)
    set_active(node)
    read_only(node.state_file.parent)
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 73
    served.start()
    wait_until(lambda: not served.is_active, "passive")


def test_a_folder_that_is_gone_is_passive_although_default_state_is_active(node: Any, served: Served) -> None:
    served.becomes_active()
    shutil.rmtree(node.state_file.parent)
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 0
    assert not served.is_active
    wait_until(lambda: node.state_file.exists() and node.state_file.read_text() == "passive\n", "made anew")


def test_something_else_in_the_states_place_is_passive_although_default_state_is_active(
    node: Any, served: Served
) -> None:
    served.becomes_active()
    node.state_file.unlink()
    (node.state_file / "x").mkdir(parents=True)
    assert node.ctl("set", "passive", "--feeder", "mine").returncode == 0
    assert not served.is_active
    assert node.run("echo", "ran").stdout == ""


# --- Heartbeat and Pacemaker ---


@pytest.mark.parametrize("with_agent", [True, False])
def test_heartbeats_stop_succeeds_only_if_the_node_is_passive(
    node: Any,
    with_agent: bool,
    request: pytest.FixtureRequest,
    read_only: "Callable[[pathlib.Path], None]",
) -> None:
    if with_agent:
        request.getfixturevalue("served").becomes_active()
    else:
        node.become("active")
    read_only(node.state_file.parent)
    done = node.ctl("feed", "heartbeat", "stop")
    assert (done.returncode, "not made passive" in done.stderr) == ((0, False) if with_agent else (73, True))
    assert node.ctl("is-active").stdout == ("passive\n" if with_agent else "active\n")
    # Heartbeat reboots the machine if `stop` fails ten times and `status` says that it runs.
    assert node.ctl("feed", "heartbeat", "status").stdout == "stopped\n"


def pacemaker(node: Any, action: str) -> int:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HA_RSCTMP": str(node.folder / "tmp"),
        "OCF_RESKEY_CRM_meta_promoted_max": "1",
        "OCF_RESKEY_crm_feature_set": "3.16.1",
    }
    return int(node.ctl("feed", "pacemaker", action, env=environment).returncode)


def test_pacemakers_demote_writes_the_state_if_its_note_cannot_be_written(
    node: Any, read_only: "Callable[[pathlib.Path], None]"
) -> None:
    assert [pacemaker(node, action) for action in ("start", "promote", "monitor")] == [0, 0, 8]
    read_only(node.folder / "tmp")
    assert pacemaker(node, "demote") == 0
    assert node.state_file.read_text() == "passive\n"
    assert pacemaker(node, "monitor") == 0
    read_only(node.folder / "tmp")
    assert [pacemaker(node, action) for action in ("promote", "monitor", "stop", "monitor")] == [0, 8, 0, 7]


@pytest.mark.parametrize("action", ["demote", "stop"])
def test_pacemakers_actions_succeed_if_the_agent_keeps_the_node_passive(
    node: Any, served: Served, action: str, read_only: "Callable[[pathlib.Path], None]"
) -> None:
    served.says(CANNOT_TELL)
    assert pacemaker(node, "start") == 0
    wait_until(lambda: pacemaker(node, "promote") == 0, "a hook in time", 30)
    read_only(node.state_file.parent)
    assert pacemaker(node, action) == 0
    assert not served.is_active


def test_pacemakers_monitor_renews_nothing_that_an_agent_serves(node: Any, served: Served) -> None:
    served.says(CANNOT_TELL)
    assert pacemaker(node, "start") == 0
    wait_until(lambda: pacemaker(node, "promote") == 0, "a hook in time", 30)
    time.sleep(0.5)
    then = node.state_file.stat().st_mtime
    time.sleep(0.1)
    assert pacemaker(node, "monitor") == 8
    assert node.state_file.stat().st_mtime == then


# --- what is reported ---


def test_set_tells_an_operator_that_the_next_answer_counts(node: Any, served: Served) -> None:
    served.says(CANNOT_TELL)
    done = node.ctl("set", "passive")
    assert (
        done.stdout == "rcron-agent asks the feeder, whose next answer counts; to overrule it: rcronctl pin passive\n"
    )
    assert node.ctl("set", "passive", "--feeder", "mine").stdout == ""


def answer(node: Any) -> Any:
    """The last answer, as status shows it to programs."""
    feeder = json.loads(node.ctl("status", "--json").stdout)["feeder"]
    return feeder and feeder["answer"]


def test_status_shows_the_last_answer_its_age_and_who_asked(node: Any, served: Served) -> None:
    wait_until(lambda: bool(answer(node)), "an answer")
    found = answer(node)
    assert served.process is not None
    assert (found["state"], found["pid"]) == ("passive", served.process.pid)
    assert abs(time.time() - found["at"]) < 10
    assert json.loads(node.ctl("status", "--json").stdout)["agent"] is True
    lines = node.ctl("status").stdout.splitlines()
    line = next(line for line in lines if line.startswith("answer:"))
    assert line.startswith("answer:         passive ")
    assert line.endswith(f"(asked by rcron-agent, pid {served.process.pid})")


def test_status_of_a_passive_node_distinguishes_a_dead_daemon_from_one_that_says_passive(
    node: Any, served: Served
) -> None:
    wait_until(lambda: bool(answer(node)), "an answer")
    said = answer(node)["words"]
    served.says(CANNOT_TELL)
    wait_until(lambda: answer(node)["state"] == "unknown", "another answer")
    assert answer(node)["words"] != said
    assert not served.is_active
    served.signal(signal.SIGKILL)
    assert "which is gone)" in node.ctl("status").stdout


def test_status_says_if_nobody_asks(node: Any) -> None:
    node.ctl("set", "passive")
    assert "answer:         none: no rcron-agent asks the feeder\n" in node.ctl("status").stdout
    assert json.loads(node.ctl("status", "--json").stdout)["agent"] is False
