# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A passive node waits for its promotion: takeover_wait."""

import os
import pathlib
import signal
import subprocess
import time
from typing import Any

import pytest

from rcron import state


@pytest.fixture
def passive(node: Any) -> Any:
    node.become("passive")
    return node


def test_a_run_that_falls_into_the_gap_is_run_by_the_successor(passive: Any) -> None:
    passive.configure("takeover_wait = 20")
    process = passive.start("echo", "ran")
    time.sleep(0.5)
    began = time.monotonic()
    state.write(str(passive.state_file), "active")
    assert process.communicate(timeout=10)[0] == "ran\n"
    assert time.monotonic() - began < 5
    assert process.returncode == 0
    assert [line.split(" cmd=")[0] for line in passive.log_without_times()] == [
        "9.6 cluster=c1 state=active status=start",
        "9.6 cluster=c1 state=active status=ok dur=N exit=0",
    ]


def test_where_nobody_promotes_it_the_job_is_ignored_after_the_wait(passive: Any) -> None:
    began = time.monotonic()
    assert passive.run("--takeover-wait", "1", "echo", "ran").stdout == ""
    assert 1 <= time.monotonic() - began < 5
    assert passive.log() == ["9.6 cluster=c1 state=passive status=ignore cmd=echo ran"]


def test_a_jobs_own_wait_overrides_the_configured_one(passive: Any) -> None:
    passive.configure("takeover_wait = 60")
    began = time.monotonic()
    assert passive.run("--takeover-wait=0", "echo", "ran").stdout == ""
    assert time.monotonic() - began < 5


def test_a_node_that_is_pinned_passive_waits_for_nobody(passive: Any) -> None:
    passive.ctl("pin", "passive")
    began = time.monotonic()
    assert passive.run("--takeover-wait", "60", "echo", "ran").stdout == ""
    assert time.monotonic() - began < 5


def test_unpinning_does_not_need_the_state_file_to_change(passive: Any) -> None:
    passive.become("active")
    passive.configure("state_max_age = 1000")
    os.utime(passive.state_file, (0, 0))
    process = passive.start("--takeover-wait", "20", "echo", "ran")
    time.sleep(0.5)
    os.utime(passive.state_file)  # a refresh, which no notice tells of
    assert process.communicate(timeout=10)[0] == "ran\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_wait_and_nothing_is_run(passive: Any, number: int) -> None:
    process = passive.start("--takeover-wait", "60", "echo", "ran", stderr=subprocess.PIPE)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (-number, "", "")


def test_the_job_has_the_signal_mask_of_before_the_wait(passive: Any) -> None:
    process = passive.start("--takeover-wait", "20", "/bin/sh", "-c", "grep SigBlk /proc/self/status")
    time.sleep(0.5)
    state.write(str(passive.state_file), "active")
    assert process.communicate(timeout=10)[0] == "SigBlk:\t0000000000000000\n"


def test_waiting_costs_next_to_no_cpu(passive: Any) -> None:
    def ticks() -> int:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    process = passive.start("--takeover-wait", "20", "echo", "ran")
    time.sleep(0.5)
    before = ticks()
    time.sleep(2)
    assert ticks() - before <= 2
    process.kill()
    process.communicate()
