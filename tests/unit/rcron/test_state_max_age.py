# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An `active` that nobody refreshed for state_max_age counts as passive."""

import errno
import json
import os
import re
import time
from typing import Any

import pytest

from rcron import feed, files, settings


@pytest.fixture
def stale(node: Any) -> Any:
    node.configure("state_max_age = 10")
    node.become("active")
    return node


@pytest.mark.parametrize(
    ("age", "ran"), [(0, True), (5, True), (12, False), (86400, False), (-8, True), (-3600, False)]
)
def test_an_active_state_is_as_good_as_it_is_fresh(stale: Any, age: int, ran: bool) -> None:
    then = time.time() - age
    os.utime(stale.state_file, (then, then))
    assert (stale.run("echo", "ran").stdout == "ran\n") == ran


def test_status_says_for_how_long_an_active_state_counts(stale: Any) -> None:
    then = time.time() - 2
    os.utime(stale.state_file, (then, then))
    assert 3 <= json.loads(stale.ctl("status", "--json").stdout)["valid_for"] <= 8
    assert re.search(r"^valid for:      \d s, unless it is renewed$", stale.ctl("status").stdout, re.MULTILINE)
    os.utime(stale.state_file, (then - 20, then - 20))
    assert json.loads(stale.ctl("status", "--json").stdout)["valid_for"] is None
    stale.become("passive")
    assert json.loads(stale.ctl("status", "--json").stdout)["valid_for"] is None
    assert "valid for" not in stale.ctl("status").stdout


def test_a_stale_state_is_logged_and_reported(stale: Any) -> None:
    then = time.time() - 100
    os.utime(stale.state_file, (then, then))
    assert stale.run("echo", "ran").returncode == 0
    assert stale.log() == ["9.6 cluster=c1 state=passive status=stale cmd=echo ran"]
    status = json.loads(stale.ctl("status", "--json").stdout)
    assert (status["state"], status["source"]) == ("passive", "stale")
    # A busy machine may take some seconds until here.
    since = r"says active, but was last refreshed 1[0-5]\d s ago \(state_max_age 10\)"
    assert re.fullmatch(f"{re.escape(str(stale.state_file))} {since}", status["reason"])


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


@pytest.mark.parametrize("age", [0, 100])
def test_a_stale_file_is_replaced_and_a_fresh_one_is_touched(stale: Any, age: int) -> None:
    # Jobs that wait for a promotion get a notice of a file that is replaced. Found by the soak: of one that was touched
    # they heard up to a second later, when the node was passive again.
    conf = settings.load(str(stale.conf))
    feed.accept_event(conf, "active", "test", "MASTER")
    then = time.time() - age
    os.utime(stale.state_file, (then, then))
    inode = stale.state_file.stat().st_ino
    feed.accept_event(conf, "active", "test", "MASTER")
    assert stale.state_file.read_text() == "active\n"
    assert time.time() - stale.state_file.stat().st_mtime < 50
    assert (stale.state_file.stat().st_ino != inode) == (age > 10)


def test_a_stale_file_is_touched_if_there_is_no_room(stale: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = settings.load(str(stale.conf))
    feed.accept_event(conf, "active", "test", "MASTER")
    os.utime(stale.state_file, (1, 1))

    def no_room(_path: str, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "replace", no_room)
    feed.accept_event(conf, "active", "test", "MASTER")
    assert time.time() - stale.state_file.stat().st_mtime < 50
