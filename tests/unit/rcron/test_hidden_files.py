# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A /proc that hides, and files that cannot be read: a job is run or ignored all the same, and nobody is misled."""

import ctypes
import errno
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any

import pytest

import rcron
from rcron import demotion, log, pin, process, settings, state

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


def mount_proc(options: bytes) -> None:
    """Mount /proc anew, for this process only."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mount_namespace, private = 0x20000, 0x44000  # CLONE_NEWNS; MS_REC | MS_PRIVATE
    if libc.unshare(new_mount_namespace) or libc.mount(b"none", b"/", None, private, None):
        os._exit(99)
    if libc.mount(b"proc", b"/proc", b"proc", 0, options):
        os._exit(99)


def subset() -> None:
    mount_proc(b"subset=pid")


def hide() -> None:
    mount_proc(b"hidepid=2")


def has_such_a_proc(options: str) -> bool:
    command = ["unshare", "-m", "mount", "-t", "proc", "-o", options, "proc", "/proc"]
    return os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_such_a_proc("subset=pid"), reason="only root, from Linux 5.8 on")
def test_a_pin_with_an_end_holds_under_a_proc_of_processes_only(node: Any) -> None:
    node.become("passive")
    assert node.ctl("pin", "active", "--for", "1h").returncode == 0
    for where in (subset, None):
        out = node.run("echo", "ran", preexec_fn=where)
        assert (out.stdout, out.stderr, out.returncode) == ("ran\n", "", 0)
    out = node.ctl("pin", "passive", "--for", "1h", preexec_fn=subset)
    assert (out.returncode, out.stderr) == (0, "")
    node.become("active")
    for where in (subset, None):
        assert node.run("echo", "ran", preexec_fn=where).stdout == ""
        assert json.loads(node.ctl("status", "--json", preexec_fn=where).stdout)["pin"]["state"] == "passive"


def test_a_pin_without_a_boots_id_ends_by_the_clock(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = settings.load(str(node.conf))
    monkeypatch.setattr(pin, "boot_id", lambda: "-")
    pin.write(conf, "passive", 100)
    now = pin.time.time()
    held = pin.read(conf)
    assert held is not None
    assert held.left is not None
    assert 99 < held.left <= 100
    monkeypatch.setattr(pin.time, "time", lambda: now + 101)
    assert pin.read(conf) is None


@pytest.mark.skipif(not has_such_a_proc("hidepid=2"), reason="only root, and not in every container")
def test_a_feeder_that_a_user_may_not_see_is_not_called_gone() -> None:
    # The checkout and its interpreter may stand where only root can go.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        shutil.copytree(pathlib.Path(rcron.__file__).parent, folder / "rcron")
        (folder / "state").write_text("active\n")
        (folder / "conf").write_text(f"state_file = {folder}/state\n")
        record = "feeder=keepalived\nevent=MASTER\nsince=1.0\npid={}\nstarted={}\nmoment=1 1 -\n"
        command = ["/usr/bin/python3", "-m", "rcron.ctl", "--conf", f"{folder}/conf", "status"]

        def status(*words: str, user: int) -> str:
            return subprocess.run(
                [*command, *words], cwd=folder, preexec_fn=lambda: (hide(), os.setgid(user), os.setuid(user)),
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip

        (folder / "state.feeder").write_text(record.format(os.getpid(), process.started_at(os.getpid())))
        assert "feeder:         keepalived, a process that this user cannot see, spoke " in status(user=65534)
        assert json.loads(status("--json", user=65534))["feeder"]["alive"] is None
        assert "feeder:         keepalived, alive, spoke " in status(user=0)
        (folder / "state.feeder").write_text(record.format(4194304, 5))  # no process can have that number
        for user in (65534, 0):
            assert "feeder:         keepalived, gone, spoke " in status(user=user)


FAULTS = [errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.ENOTDIR, errno.EMFILE, errno.ESTALE]


@pytest.mark.parametrize("call", ["open", "stat", "fstat", "read"])
@pytest.mark.parametrize("kind", ["state", "state.pin", "", "boot_id"])
@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_no_file_that_cannot_be_read_keeps_the_state_from_being_known(
    node: Any, monkeypatch: pytest.MonkeyPatch, call: str, kind: str, fault: int
) -> None:
    """`kind`: the file, or the folder of both, or all that is in /proc."""
    node.become("active")
    conf = settings.load(str(node.conf))
    pin.write(conf, "active", 3600)
    conf.default_state = "passive"
    logged: "list[str]" = []
    monkeypatch.setattr(log, "_send", lambda _facility, _level, line: logged.append(line))
    real = {name: getattr(os, name) for name in ("open", "stat", "fstat", "read")}
    opened: "dict[int, str]" = {}

    def fail(path: str) -> bool:
        return path.endswith("/" + kind)

    def hidden_open(path: str, *arguments: Any, **names: Any) -> int:
        if call == "open" and fail(path):
            raise OSError(fault, os.strerror(fault), path)
        fd: int = real["open"](path, *arguments, **names)
        is_again = path.startswith("/proc/self/fd/")
        opened[fd] = opened[int(path.rpartition("/")[2])] if is_again else path
        return fd

    def hidden(name: str) -> Any:
        def ask(what: Any, *arguments: Any, **names: Any) -> Any:
            if call == name and fail(opened.get(what, "") if isinstance(what, int) else what):
                raise OSError(fault, os.strerror(fault))
            return real[name](what, *arguments, **names)

        return ask

    if kind == "boot_id":

        def no_proc(path: str, *arguments: Any, **names: Any) -> Any:
            raise OSError(fault, os.strerror(fault), path)

        monkeypatch.setattr(pin, "open", no_proc, raising=False)
    monkeypatch.setattr(state.posix, "open", hidden_open)
    for name in ("stat", "fstat", "read"):
        monkeypatch.setattr(state.posix, name, hidden(name))
    verdict = state.current(conf)
    monkeypatch.undo()
    assert verdict.state in ("active", "passive")
    assert verdict.state == "active" or verdict.warning or verdict.source == "pin", "a fault is not silent"
    if kind == "boot_id":
        assert (verdict.state, verdict.source) == ("active", "pin")


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff" * 200, b"a b", b"-", b"\n", b"x" * 100_000])
def test_an_absurd_boot_id_does_not_keep_the_state_from_being_known(
    node: Any, monkeypatch: pytest.MonkeyPatch, content: bytes, tmp_path: pathlib.Path
) -> None:
    node.become("passive")
    (tmp_path / "boot_id").write_bytes(content)
    real = open
    conf = settings.load(str(node.conf))
    monkeypatch.setattr(pin, "open", lambda path, *rest: real(tmp_path / "boot_id", *rest), raising=False)
    pin.write(conf, "active", 3600)
    verdict = state.current(conf)
    assert (verdict.state, verdict.source) == ("active", "pin")


@pytest.mark.parametrize(
    "content",
    [b"", b"1", b"1 (x)", b"1 (x) R", b"1 (x) R 1 1", b"1 (x) R" + b" -1" * 18, b"1 (x) R" + b" x" * 30, b"\xff" * 99],
)
def test_an_absurd_proc_is_one_that_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, content: bytes, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "stat").write_bytes(content)
    real = os.open
    monkeypatch.setattr(process, "open", lambda _path, mode: (tmp_path / "stat").open(mode), raising=False)
    monkeypatch.setattr(demotion.posix, "open", lambda _path, flags: real(tmp_path / "stat", flags))
    own = os.getpid()
    assert (process.started_at(own), process.lives(own), process.is_stopped(own), process.name(own)) == (
        "",
        False,
        False,
        "",
    )
    assert process.is_hidden(own)
    assert demotion._stat(own) is None
