# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An `active` that nobody refreshed for state_max_age counts as passive."""

import json
import os
import time
from typing import Any

import pytest


@pytest.fixture
def stale(node: Any) -> Any:
    node.configure("state_max_age = 10")
    node.become("active")
    return node


@pytest.mark.parametrize(
    ("age", "ran"), [(0, True), (8, True), (12, False), (86400, False), (-8, True), (-3600, False)]
)
def test_an_active_state_is_as_good_as_it_is_fresh(stale: Any, age: int, ran: bool) -> None:
    then = time.time() - age
    os.utime(stale.state_file, (then, then))
    assert (stale.run("echo", "ran").stdout == "ran\n") == ran


def test_a_stale_state_is_logged_and_told(stale: Any) -> None:
    then = time.time() - 100
    os.utime(stale.state_file, (then, then))
    assert stale.run("echo", "ran").returncode == 0
    assert stale.log() == ["9.6 cluster=c1 state=passive status=stale cmd=echo ran"]
    status = json.loads(stale.ctl("status", "--json").stdout)
    assert (status["state"], status["source"]) == ("passive", "stale")
    assert status["reason"] == f"{stale.state_file} says active, but was last refreshed 100 s ago (state_max_age 10)"


def test_a_passive_state_never_goes_stale(stale: Any) -> None:
    stale.become("passive")
    os.utime(stale.state_file, (0, 0))
    stale.run("echo", "ran")
    assert stale.log() == ["9.6 cluster=c1 state=passive status=ignore cmd=echo ran"]


def test_without_state_max_age_an_old_state_counts(node: Any) -> None:
    node.become("active")
    os.utime(node.state_file, (0, 0))
    assert node.run("echo", "ran").stdout == "ran\n"


def test_set_refreshes_what_it_confirms(stale: Any) -> None:
    os.utime(stale.state_file, (0, 0))
    stale.ctl("set", "active")
    assert stale.ctl("is-active").returncode == 0
