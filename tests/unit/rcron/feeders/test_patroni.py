# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What Patroni's callbacks make of a node's state. Patroni is a process of that name here, which starts the callbacks
without a shell, as the real one does."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import wait_until

from rcron import feed, settings
from rcron.feeders import patroni

#: Starts each line that it is given as a callback, and says when that has ended.
PATRONI = """\
#!{python}
import shlex, subprocess, sys
for line in sys.stdin:
    print(subprocess.call(shlex.split(line)), flush=True)
"""

ACTIONS = ["on_reload", "on_restart", "on_role_change", "on_start", "on_stop"]


class Patroni:
    """A process called patroni. node: whose rcronctl its callbacks call."""

    def __init__(self, node: Any) -> None:
        self._node = node
        program = node.folder / "patroni"
        program.write_text(PATRONI.format(python=sys.executable))
        program.chmod(0o755)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, action: str, role: str, options: str = "") -> int:
        """Start a callback and wait for it. Returns its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        conf = self._node.conf
        self.process.stdin.write(
            f"{self._node.rcronctl} --conf {conf} feed patroni {options} {action} {role} billing\n"
        )
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def daemon(node: Any) -> Iterator[Patroni]:
    """A running Patroni of a node with state_max_age 3."""
    node.configure("state_max_age = 3")
    daemon = Patroni(node)
    yield daemon
    daemon.end()


def state(node: Any) -> str:
    try:
        return str(node.state_file.read_text().strip())
    except FileNotFoundError:
        return "none"


def record(node: Any) -> feed.Record:
    found = feed.read_record(settings.load(str(node.conf)))
    assert found is not None
    return found


# --- what the words mean ---


@pytest.mark.parametrize("action", ["on_start", "on_restart", "on_role_change", "on_reload"])
def test_only_the_leader_of_a_cluster_of_its_own_is_active(action: str) -> None:
    meant = {role: patroni.state_of(action, role) for role in patroni.ROLES}
    assert sorted(role for role in meant if meant[role] == "active") == ["master", "primary", "promoted"]
    assert sorted(role for role in meant if meant[role] == "passive") == [
        "demoted",
        "replica",
        "standby_leader",
        "uninitialized",
    ]


@pytest.mark.parametrize("role", [*patroni.ROLES, "chief"])
def test_a_database_that_has_stopped_means_passive_whatever_it_was(role: str) -> None:
    assert patroni.state_of("on_stop", role) == "passive"


def test_unknown_role_is_logged_and_changes_nothing(node: Any, daemon: Patroni) -> None:
    node.become("active")
    assert daemon.call("on_role_change", "chief") == 64
    assert state(node) == "active"
    assert node.log()[-1].endswith("patroni: unknown role chief; nothing changed")


# --- a life ---


def test_state_follows_the_role(node: Any, daemon: Patroni) -> None:
    states = []
    for action, role in [
        ("on_start", "replica"),
        ("on_role_change", "primary"),
        ("on_restart", "primary"),
        ("on_role_change", "replica"),
        ("on_role_change", "master"),
        ("on_stop", "master"),
    ]:
        assert daemon.call(action, role) == 0
        states.append(state(node))
    assert states == ["passive", "active", "active", "passive", "active", "passive"]
    assert record(node).event == "on_stop master billing"


def test_callback_leaves_no_process_behind_and_takes_an_option_of_before(node: Any, daemon: Patroni) -> None:
    assert daemon.call("on_role_change", "primary", "--process=postgres-ha") == 0
    assert state(node) == "active"
    assert record(node).pid == 0
    assert not [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if is_of(node, path)]


def is_of(node: Any, cmdline: pathlib.Path) -> bool:
    """Whether a process is one of this node's rcronctl."""
    try:
        return str(node.rcronctl).encode() in cmdline.read_bytes()
    except OSError:
        return False


def test_callback_that_patroni_kills_changes_nothing_and_the_next_one_counts(node: Any, daemon: Patroni) -> None:
    daemon.call("on_start", "replica")
    with open(f"{node.state_file}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        words = [str(node.rcronctl), "--conf", str(node.conf), "feed", "patroni"]
        waiting = subprocess.Popen([*words, "on_role_change", "primary", "billing"])
        files = pathlib.Path(f"/proc/{waiting.pid}/fd")
        wait_until(
            lambda: any(path.resolve() == pathlib.Path(lock.name) for path in files.iterdir()), "it waits for the lock"
        )
        waiting.kill()
        waiting.wait()
    assert daemon.call("on_role_change", "replica") == 0
    assert state(node) == "passive"
    assert sorted(os.listdir(node.state_file.parent)) == ["state", "state.feeder", "state.lock"]


# --- on_reload, which Patroni also calls when it is started and does not know yet whether it leads ---


def test_reload_makes_no_node_active(node: Any, daemon: Patroni) -> None:
    daemon.call("on_start", "replica")
    assert daemon.call("on_reload", "primary") == 0
    assert state(node) == "passive"
    assert record(node).event == "on_start replica billing"


def test_reload_makes_a_node_passive(node: Any, daemon: Patroni) -> None:
    daemon.call("on_start", "primary")
    assert daemon.call("on_reload", "replica") == 0
    assert state(node) == "passive"


# --- somebody else's callback ---


@pytest.fixture
def theirs(node: Any) -> pathlib.Path:
    """A callback that notes its words, and which signals it ignores."""
    program = pathlib.Path(node.folder / "their callback")
    program.write_text(
        f'#!/bin/sh\necho "$@" >>"{node.folder}/noted"\ngrep SigIgn: /proc/$$/status >>"{node.folder}/noted"\n'
    )
    program.chmod(0o755)
    return program


def noted(node: Any) -> list[str]:
    return str((node.folder / "noted").read_text()).splitlines()


def test_callback_that_was_there_before_gets_the_same_words(node: Any, daemon: Patroni, theirs: pathlib.Path) -> None:
    assert daemon.call("on_role_change", "primary", f"--then \"'{theirs}' 'for me'\"") == 0
    assert state(node) == "active"
    words, ignored = noted(node)
    assert words == "for me on_role_change primary billing"
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not int(ignored.split()[1], 16) & 1 << (number - 1), "Python's own dispositions are not the callback's"


@pytest.mark.parametrize("trouble", ["role", "configuration", "state"])
def test_callback_that_was_there_before_is_called_whatever_becomes_of_ours(
    node: Any, daemon: Patroni, theirs: pathlib.Path, trouble: str
) -> None:
    role = "primary"
    if trouble == "role":
        role = "chief"
    elif trouble == "configuration":
        node.conf.write_text("nonsense\n")
    else:
        node.configure(f"state_file = {node.folder}/none/state")
        node.conf.write_text(f"state_file = {node.folder}/none/state\n")
    assert daemon.call("on_start", role, f"--then \"'{theirs}'\"") == 0
    assert noted(node)[0] == f"on_start {role} billing"
    assert any("patroni: " in line for line in node.log())
    node.configure()


@pytest.mark.parametrize("command", ["/nowhere/callback", "'unbalanced"])
def test_callback_that_cannot_be_started_is_reported(node: Any, daemon: Patroni, command: str) -> None:
    assert daemon.call("on_start", "replica", f'--then "{command}"') == 127
    assert state(node) == "passive"
    assert f"patroni: --then {command}: cannot be started: " in node.log()[-1]
