# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whose process keepalived's is."""

import os
import pathlib
import resource
import signal
import subprocess
import sys

import pytest

from rcron.agent.feeders import keepalived

#: Two processes of another user's, called as keepalived's are.
HIS = """\
import os, time
with open("/proc/self/comm", "w") as stream:
    stream.write("keepalived")
os.setresuid(12345, 12345, 12345)
if os.fork():
    print(flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("is_protected", [True, False])
def test_another_user_s_keepalived_with_the_number_of_one_that_was_killed_is_not_asked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """He starts processes until one has the number, and writes what he likes when he is asked."""
    if not is_protected:
        monkeypatch.setattr(keepalived, "_is_own", lambda _pid: True)
    with subprocess.Popen([sys.executable, "-ISc", HIS], stdout=subprocess.PIPE, start_new_session=True) as his:
        try:
            assert his.stdout is not None
            his.stdout.readline()
            (tmp_path / "pid").write_text(str(his.pid))
            assert bool(keepalived.vrrp_process(str(tmp_path / "pid"), "")) == (not is_protected)
        finally:
            os.killpg(his.pid, signal.SIGKILL)


#: Shows a FIFO of its own at the path of keepalived's, in a mount namespace of its own. Argument: the folder.
IN_HIS_NAMESPACE = """\
mount -t tmpfs tmpfs "$1" || exit
mkfifo "$1/fifo"
exec 3<>"$1/fifo"
echo there
exec sleep 60
"""


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_script_of_keepalived_s_that_seems_to_read_the_fifo_does_not_have_it_asked_all_the_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """Its user needs no rights for that. The process that runs this test is keepalived's here."""
    if not is_protected:
        monkeypatch.setattr(keepalived, "_has", lambda pid, path, _identity: path in keepalived._files(pid))
    os.mkfifo(tmp_path / "fifo", 0o600)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", IN_HIS_NAMESPACE, "sh", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as his:
        try:
            assert his.stdout is not None
            if not his.stdout.readline():
                pytest.skip("this kernel lets nobody make user namespaces")
            assert keepalived.reader_of(str(tmp_path / "fifo"), os.getpid()) == (0 if is_protected else his.pid)
        finally:
            his.kill()


def test_who_reads_the_fifo_is_found(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with subprocess.Popen(
        ["sh", "-c", 'exec 3<>"$1"; echo; exec sleep 60', "sh", str(tmp_path / "fifo")], stdout=-1
    ) as it:
        try:
            assert it.stdout is not None
            it.stdout.readline()
            assert keepalived.reader_of(str(tmp_path / "fifo"), os.getpid()) == it.pid
        finally:
            it.kill()


#: Opens as many files as it may.
OPENS = """\
import os, time
try:
    while True:
        os.dup(0)
except OSError:
    print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_script_s_thousands_of_open_files_keep_the_agent_from_no_other_cluster(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """All are served by one process: what it does with one's is time for none. 19,000 took 0.5 to 1 s."""
    if not is_protected:
        monkeypatch.setattr(keepalived, "MOST_FILES", None)
    os.mkfifo(tmp_path / "fifo", 0o600)
    read: "list[str]" = []
    real = os.readlink
    monkeypatch.setattr(keepalived.os, "readlink", lambda path: read.append(path) or real(path))
    limit = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    command = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", sys.executable, "-ISc", OPENS]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as script:
        try:
            assert script.stdout is not None
            script.stdout.readline()
            assert keepalived.reader_of(str(tmp_path / "fifo"), os.getpid()) == 0
        finally:
            script.kill()
    # This process may have other children.
    assert (len([path for path in read if path.startswith(f"/proc/{script.pid}/")]) <= 256) == is_protected


#: Is asked for a dump, and does not answer.
DEAF = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: None); print(flush=True); time.sleep(60)"


@pytest.mark.parametrize("is_protected", [True, False])
def test_an_older_dump_under_a_second_name_is_no_answer(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """As with fs.protected_hardlinks=0, where any user may give root's file another name in /tmp, and put it back."""
    if not is_protected:
        monkeypatch.setattr(keepalived, "TICK", float("inf"))
    old, place = tmp_path / "kept", tmp_path / "keepalived.data"
    old.write_text("it was master once")
    os.utime(old, (1e9, 1e9))
    monkeypatch.setattr(keepalived, "_DUMP_FILE", str(place))
    real = os.kill

    def kill(pid: int, number: int) -> None:
        real(pid, number)
        if number == signal.SIGUSR1:
            os.link(old, place)

    monkeypatch.setattr(keepalived.os, "kill", kill)
    with subprocess.Popen([sys.executable, "-ISc", DEAF], stdout=subprocess.PIPE) as deaf:
        try:
            assert deaf.stdout is not None
            deaf.stdout.readline()
            assert keepalived.dump(deaf.pid) == (None if is_protected else "it was master once")
        finally:
            deaf.kill()
