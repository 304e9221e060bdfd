# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""When a state is refreshed: by the clock, and by what the daemon does."""

import time

import pytest

from rcron import process, refresher


class Daemon:
    """A clock that is moved by hand, and a daemon that is stopped by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.set_by = 0.0
        self.stopped = False
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now + 1e9 + self.set_by)
        monkeypatch.setattr(process, "is_stopped", lambda _pid: self.stopped)

    def due_at(self, schedule: refresher.Schedule, until: float) -> "list[float]":
        """When, after the schedule's own ticks, a refresh is due, in seconds since the begin."""
        found = []
        while self.now < 1000 + until:
            self.now += schedule.tick
            if schedule.restart_if_due():
                found.append(round(self.now - 1000, 2))
        return found


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    return Daemon(monkeypatch)


def test_a_state_is_refreshed_three_times_before_it_is_stale(daemon: Daemon) -> None:
    assert daemon.due_at(refresher.Schedule(1, [12, 3]), 4) == [1.0, 2.0, 3.0, 4.0]


def test_a_refresh_does_not_wait_for_a_whole_tick(daemon: Daemon) -> None:
    # Found by the soak: every two seconds, and a clock that was two seconds ahead took the state for stale.
    assert daemon.due_at(refresher.Schedule(1, [4]), 4) == [1.33, 2.67, 4.0]


def test_one_that_is_late_sleeps_all_the_same(daemon: Daemon) -> None:
    schedule = refresher.Schedule(1, [4])
    daemon.now += 60  # keepalived's reader takes a sleep of nothing for its end
    assert schedule.tick > 0


def test_a_state_that_is_never_stale_is_looked_after_all_the_same(daemon: Daemon) -> None:
    assert daemon.due_at(refresher.Schedule(1, [0]), 10) == [5.0, 10.0]


def test_a_clock_that_was_set_is_made_good_at_the_next_tick(daemon: Daemon) -> None:
    schedule = refresher.Schedule(1, [30])
    daemon.now += 1
    assert not schedule.restart_if_due()
    daemon.set_by = -2
    assert daemon.due_at(schedule, 2) == [2.0]


def test_a_stopped_daemon_s_state_is_refreshed_a_moment_after_it_goes_on(daemon: Daemon) -> None:
    # Found by the soak: keepalived went on as master, its peer gave way at once, and for up to two seconds more its own
    # state was stale: no node was active.
    schedule = refresher.Schedule(1, [4])
    daemon.now += 0.5
    daemon.stopped = True
    assert daemon.due_at(schedule, 9) == []
    daemon.stopped = False
    went_on = daemon.now - 1000
    first = daemon.due_at(schedule, 12)[0]
    assert 0.24 <= first - went_on <= 0.51  # not at once: what its peers said meanwhile is read first
