# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whose process keepalived's is."""

import os
import pathlib
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
