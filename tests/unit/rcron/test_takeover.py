# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A passive node waits for its promotion: takeover_wait."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from rcron import state

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]


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


def test_if_nobody_promotes_it_the_job_is_ignored_after_the_wait(passive: Any) -> None:
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
    os.utime(passive.state_file)  # a refresh, which is not announced
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


def looks(pid: int) -> int:
    """How often a process has slept, which is how often it has looked at the state in between."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_job_does_not_look_each_second_if_changes_are_announced(passive: Any) -> None:
    """Two thousand jobs may be waiting at once."""
    process = passive.start("--takeover-wait", "60", "echo", "ran")
    time.sleep(0.5)
    before = looks(process.pid)
    time.sleep(2.5)
    assert looks(process.pid) - before <= 1
    state.write(str(passive.state_file), "active")
    assert process.communicate(timeout=5)[0] == "ran\n"


def test_a_state_file_that_is_a_link_is_looked_at_each_second(passive: Any) -> None:
    elsewhere = passive.folder / "elsewhere"
    passive.state_file.rename(elsewhere)
    passive.state_file.symlink_to(elsewhere)
    process = passive.start("--takeover-wait", "60", "echo", "ran")
    time.sleep(0.5)
    elsewhere.write_text("active\n")
    assert process.communicate(timeout=5)[0] == "ran\n"


def test_the_folder_may_be_another_one_after_a_removal(passive: Any) -> None:
    passive.configure("default_state = passive")
    process = passive.start("--takeover-wait", "60", "echo", "ran")
    time.sleep(0.5)
    shutil.rmtree(passive.state_file.parent)
    passive.state_file.parent.mkdir()
    passive.become("passive")
    time.sleep(1.5)
    state.write(str(passive.state_file), "active")
    assert process.communicate(timeout=5)[0] == "ran\n"


# Arguments: rcron.conf, and a folder for pins, which is not there yet. Prints how long a state may go unseen before the
# folder comes and after it, and whether its creation was announced.
WATCH = """\
import os, sys, time
from rcron import settings, state, watch
settings.Config.pin_file = sys.argv[2] + "/state.pin"
found = settings.load(sys.argv[1])
verdict = state.current(found)
watching = watch.Watch(found)
print(watching._interval(verdict) > 1)
if os.fork() == 0:
    time.sleep(0.5)
    os.mkdir(sys.argv[2])
    os._exit(0)
began = time.monotonic()
watching.wait_for_change((), 60, verdict)
print(time.monotonic() - began < 5)
print(watching._interval(verdict) > 1)
"""


def test_the_first_pin_ever_makes_a_folder_that_is_looked_at_each_second(passive: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "lib").mkdir()
    command = [sys.executable, "-c", WATCH, passive.conf, tmp_path / "lib" / "rcron"]
    said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == ["True", "True", "False"]


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
