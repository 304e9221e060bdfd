# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived is asked for its states. A process of this test's is keepalived, and writes its data on a signal."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import keepalived_states
from ansible_collections.rcron.cluster.plugins.module_utils.keepalived_states import Found, Keepalived, StatesError

DATA = """------< VRRP Topology >------
 VRRP Instance = VI_1
   VRRP Version = 2
   State = {state}
   Wantstate = {state}
 VRRP Instance = VI 2
   State = FAULT
   Last transition = 0
------< VRRP Sync groups >------
 VRRP Sync Group = VG, MASTER
   Num members = 1
"""

FOLLOW = [
    {"kind": "instance", "name": "VI_1", "conf": "/etc/rcron/rcron.conf"},
    {"kind": "group", "name": "VG", "conf": "/etc/rcron/b.conf"},
    {"kind": "instance", "name": "VG", "conf": "/etc/rcron/c.conf"},
]

DAEMON = """
import os, signal, sys
folder, answers = sys.argv[1], sys.argv[2:]
def answer(*arguments):
    text = answers.pop(0) if len(answers) > 1 else answers[0]
    if text:
        with open(folder + "/new", "w") as stream:
            stream.write(text)
        os.replace(folder + "/new", folder + "/keepalived.data")
        open(folder + "/keepalived_parent.data", "w").close()
signal.signal(signal.SIGUSR2, answer)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def daemon(tmp_path, program, monkeypatch):
    """Return a function that starts a keepalived, which gives these answers, the last of them again and again."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(keepalived_states, "FOLDER", f"{folder}/")
    monkeypatch.setattr(keepalived_states, "OWNER", os.geteuid())
    monkeypatch.setattr(keepalived_states, "PATIENCE", 5.0)
    program("keepalived", f'[ "$*" = --signum=DATA ] && echo {signal.SIGUSR2:d}')
    for name in ("rcronctl", "systemd-run"):
        program(name, f'echo {name} "$@" >>{tmp_path}/calls')
    started = []

    def start(*answers: str) -> pathlib.Path:
        words = [sys.executable, "-I", "-c", DAEMON, folder, *answers]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        program("systemctl", f"echo MainPID={process.pid}")
        return folder

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def fifo(tmp_path):
    """A FIFO with a reader."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, descriptor
    os.close(descriptor)


def calls(folder: pathlib.Path) -> list[str]:
    """Return what was called, without process ids."""
    lines = (folder / "calls").read_text().replace(f"{folder}/programs/", "").splitlines()
    return [" ".join("PID" if word.isdecimal() else word for word in line.split()) for line in lines]


def active(conf: str) -> str:
    return (
        f"systemd-run --scope --quiet --slice=system.slice -- rcronctl --conf {conf} set active --while PID --feeder"
        " keepalived"
    )


def passive(conf: str) -> str:
    return f"rcronctl --conf {conf} set passive --feeder keepalived"


def test_states_of_instances_and_groups():
    assert keepalived_states.states(DATA.format(state="BACKUP")) == [
        Found("instance", "VI_1", "BACKUP"),
        Found("instance", "VI 2", "FAULT"),
        Found("group", "VG", "MASTER"),
    ]


def test_a_keepalived_that_does_not_run_makes_every_cluster_passive(daemon, program, tmp_path):
    program("systemctl", "echo MainPID=0")
    assert Keepalived("keepalived", "", f"{tmp_path}/programs/rcronctl", FOLLOW).hand_over() == []
    assert calls(tmp_path) == [passive(cluster["conf"]) for cluster in FOLLOW]


def test_without_a_fifo_each_cluster_is_set_by_what_it_follows(daemon, tmp_path):
    folder = daemon(DATA.format(state="BACKUP"))
    found = Keepalived("keepalived", "", f"{tmp_path}/programs/rcronctl", FOLLOW).hand_over()
    assert [state for _kind, _name, state in found] == ["BACKUP", "FAULT", "MASTER"]
    once = [passive("/etc/rcron/rcron.conf"), active("/etc/rcron/b.conf"), passive("/etc/rcron/c.conf")]
    assert calls(tmp_path) == once
    assert list(folder.iterdir()) == []


def test_a_state_that_changes_meanwhile_is_set_once_more(daemon, tmp_path):
    daemon(DATA.format(state="BACKUP"), DATA.format(state="MASTER"))
    found = Keepalived("keepalived", "", f"{tmp_path}/programs/rcronctl", FOLLOW[:1]).hand_over()
    assert found[0] == Found("instance", "VI_1", "MASTER")
    assert calls(tmp_path) == [passive("/etc/rcron/rcron.conf"), active("/etc/rcron/rcron.conf")]


def test_a_fifo_gets_what_keepalived_would_write(daemon, fifo):
    path, reader = fifo
    daemon(DATA.format(state="MASTER"))
    Keepalived("keepalived", str(path), "/no/such/rcronctl", FOLLOW).hand_over()
    assert os.read(reader, 4096) == b'INSTANCE "VI_1" MASTER 0\nINSTANCE "VI 2" FAULT 0\nGROUP "VG" MASTER 0\n'


def test_a_fifo_that_nobody_reads_is_an_error(daemon, tmp_path, monkeypatch):
    monkeypatch.setattr(keepalived_states, "PATIENCE", 0.5)
    os.mkfifo(tmp_path / "unread")
    daemon(DATA)
    with pytest.raises(StatesError, match=r"nobody reads .*/unread: .*journalctl -u keepalived tells why"):
        Keepalived("keepalived", f"{tmp_path}/unread", "/no/such/rcronctl", FOLLOW).hand_over()


def test_a_keepalived_that_writes_nothing_is_an_error(daemon, monkeypatch):
    monkeypatch.setattr(keepalived_states, "PATIENCE", 0.5)
    folder = daemon("")
    (folder / "keepalived.data").write_text(DATA)  # an earlier one
    began = time.monotonic()
    with pytest.raises(StatesError, match=r"it did not write .*/keepalived.data within 0 s$"):
        Keepalived("keepalived", "", "/no/such/rcronctl", FOLLOW).hand_over()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("planted", ["folder", "link", "fifo", "socket"])
def test_what_somebody_has_put_there_is_moved_aside(daemon, tmp_path, planted):
    folder = daemon(DATA.format(state="MASTER"))
    path = folder / "keepalived.data"
    if planted == "folder":
        (path / "full").mkdir(parents=True)
    elif planted == "link":
        path.symlink_to("/etc/passwd")
    elif planted == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o140644)
    found = Keepalived("keepalived", "", f"{tmp_path}/programs/rcronctl", FOLLOW).hand_over()
    assert found[0].state == "MASTER"
    (aside,) = folder.iterdir()
    assert aside.name.startswith("keepalived.data.")
