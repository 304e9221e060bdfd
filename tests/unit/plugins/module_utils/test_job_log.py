# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Log lines become runs. The lines are made by rcron itself where that is possible."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import job_log
from ansible_collections.rcron.cluster.plugins.module_utils.job_log import Run
from hypothesis import given
from hypothesis import strategies as st

from rcron import config, log


def line(when: float, pid: int, text: str) -> str:
    return f"{when:.6f} node1 rcron[{pid}]: {text}\n"


@pytest.fixture
def logged(monkeypatch):
    """What rcron logs, as journalctl prints it: a function that logs a job's event, and the lines so far."""
    lines: list[str] = []
    now = [100.0, 7]
    monkeypatch.setattr(log, "_send", lambda facility, level, text: lines.append(line(now[0], now[1], text)))
    conf = config.parse("cluster_name = 'my billing'", "rcron.conf")

    def event(when: float, pid: int, fields: str, *words: str) -> None:
        now[:] = [when, pid]
        log.event(conf, fields, log.command(list(words)))

    event.lines = lines
    return event


def test_the_last_run_of_each_job(logged):
    logged(100, 1, "state=active status=start", "/bin/a", "x y")
    logged(101, 2, "state=active pin=unpin status=start", "/bin/b\n")
    logged(103, 1, "state=active status=fail dur=3 exit=4", "/bin/a", "x y")
    logged(105, 2, "state=active pin=unpin status=ok dur=4 exit=0", "/bin/b\n")
    logged(200, 3, "state=active status=start", "/bin/a", "x y")
    assert job_log.read(logged.lines, 0).last == [
        Run("my billing", "/bin/a x y", 3, 200.0, "start"),
        Run("my billing", "/bin/b\\n", 2, 101.0, "ok", 4, 0),
    ]


def test_a_demoted_job_stays_so_whatever_its_exit_status(logged):
    logged(100, 1, "state=active status=start", "/bin/a")
    logged(110, 1, "state=passive status=demoted dur=10 reason=stale", "/bin/a")
    logged(111, 1, "state=active status=fail dur=11 exit=143", "/bin/a")
    assert job_log.read(logged.lines, 0).last == [Run("my billing", "/bin/a", 1, 100.0, "demoted", 11, 143)]


def test_a_run_that_began_before_what_was_read(logged):
    logged(111, 1, "state=active status=ok dur=3600 exit=0", "/bin/a")
    assert job_log.read(logged.lines, 0).last == [Run("my billing", "/bin/a", 1, None, "ok", 3600, 0)]


def test_a_process_number_that_was_used_again(logged):
    logged(100, 1, "state=active status=start", "/bin/a")
    logged(200, 1, "state=active status=ok dur=500 exit=0", "/bin/b")
    assert [(run.command, run.status) for run in job_log.read(logged.lines, 0).last] == [
        ("/bin/a", "start"),
        ("/bin/b", "ok"),
    ]


def test_ignored_runs_are_counted_from_a_time_on(logged):
    for when in (99, 100, 101):
        logged(when, when, "state=passive status=ignore", "/bin/a")
    logged(102, 102, "state=passive status=stale", "/bin/a")
    found = job_log.read(logged.lines, 100)
    assert (found.last, found.ignored) == ([], {"my billing": 3})


def test_other_lines_are_passed_over():
    lines = [
        line(1, 1, "cluster=c state=active status=changed event=keepalived:INSTANCE cmd"),
        line(1, 1, "cluster=c warning: state=active status=start cmd=x"),
        line(1, 1, "warning: no such file"),
        "-- Boot 123 --\n",
        "\n",
    ]
    found = job_log.read(lines, 0)
    assert (found.last, found.ignored) == ([], {})


@given(st.text())
def test_any_line_is_read_or_passed_over(text):
    job_log.read([text, line(1, 1, text)], 0)
