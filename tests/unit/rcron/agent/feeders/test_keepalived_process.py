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
