# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron in front of the tools that people put in front of their jobs: each does its work, and rcron none of it."""

import fcntl
import pathlib
import signal
import time
from typing import Any

import pytest


@pytest.fixture
def active(node: Any) -> Any:
    node.become("active")
    return node


def test_flock_keeps_a_second_run_out(active: Any, tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "lock"
    command = ["flock", "-n", str(lock), "echo", "ran"]
    assert active.run(*command).stdout == "ran\n"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        out = active.run(*command)
    assert (out.returncode, out.stdout) == (1, "")


def test_timeout_ends_the_job(active: Any) -> None:
    began = time.monotonic()
    assert active.run("timeout", "0.2", "sleep", "60").returncode == 124
    assert time.monotonic() - began < 30
    assert active.run("timeout", "1h", "sh", "-c", "exit 3").returncode == 3


def test_term_reaches_the_job_behind_timeout(active: Any) -> None:
    process = active.start(
        "timeout", "1h", "sh", "-c", "trap 'echo ended; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # timeout may not know its child yet, and would leave it alone
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "ended\n"


@pytest.mark.needs("chronic", "moreutils")
def test_chronic_reports_failures_only(active: Any) -> None:
    assert active.run("chronic", "echo", "well").stdout == ""
    out = active.run("chronic", "sh", "-c", "echo badly; exit 3")
    assert (out.returncode, out.stdout) == (3, "badly\n")


def test_on_a_passive_node_none_of_them_is_started(node: Any, tmp_path: pathlib.Path) -> None:
    node.become("passive")
    lock = tmp_path / "lock"
    assert node.run("flock", "-n", str(lock), "true").returncode == 0
    assert not lock.exists()
