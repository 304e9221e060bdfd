# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The password that a program gets is read by no other process of nobody's, who has those of any service."""

import os
import pathlib
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]

#: Looks into all processes that it may look into until it has found a password, or for some seconds.
THIEF = """\
import pathlib, time
until = time.monotonic() + 8
while time.monotonic() < until:
    for place in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"RCRON_ENGINE_PASSWORD=a very secret one" in place.read_bytes():
                raise SystemExit(0)
        except OSError:
            pass
    time.sleep(0.02)
raise SystemExit(1)
"""

AGENT = """\
import sys
sys.path.insert(0, sys.argv[1])
from rcron.agent import ledger
if sys.argv[3] == "no":
    ledger._refuse_to_share = lambda *_: None
sys.exit(ledger.check(sys.argv[2], "nobody"))
"""


@pytest.fixture
def conf() -> "Iterator[pathlib.Path]":
    """An agent.conf whose engine is a program that takes its time."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o711)
        program = folder / "engine"
        program.write_text("#!/bin/sh\nsleep 1\n", encoding="utf-8")
        program.chmod(0o755)
        (folder / "password").write_text("a very secret one\n", encoding="utf-8")
        found = folder / "agent.conf"
        found.write_text(f"engine = command\nendpoints = {program}\npassword_file = {folder}/password\n")
        for path in (found, folder / "password"):
            path.chmod(0o600)
        yield found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_process_of_nobody_s_reads_the_password_of_the_engine(conf: pathlib.Path, is_protected: bool) -> None:
    words = [sys.executable, "-c", AGENT, str(CHECKOUT), str(conf), "yes" if is_protected else "no"]
    group = str(pwd.getpwnam("nobody").pw_gid)
    become = ["setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups"]
    thief = subprocess.Popen([*become, "/usr/bin/python3", "-c", THIEF])
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert thief.wait(30) == (1 if is_protected else 0)
    assert (done.returncode == 78) == is_protected
    assert ("name that with --user" in done.stderr) == is_protected
