# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which lines are entries: a table of what each cron runs, against `parse` and against the crons that are installed.

RCRON_TEST_CRONTABS names further crontab(1) commands to hold the table against, separated by colons, for instance those
of unpacked packages. The table was held against Debian's cron 3.0pl1-162 and -197, cronie 1.7.2 and systemd-cron 1.15.
"""

from __future__ import annotations

import os

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import crontab
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import CrontabCommand, StoreError

DEBIAN, CRONIE, SYSTEMD = "debian", "cronie", "systemd-cron"
ALL = {DEBIAN, CRONIE, SYSTEMD}
OLD = {DEBIAN, CRONIE}

#: Lines of a user's crontab, without their command, and the crons that run a command for them.
SCHEDULES = [
    ("* * * * *", ALL),
    ("0 5 1 1 0", ALL),
    ("59 23 31 12 7", ALL),
    ("*/5 0-7/2,9,22-23 1,15 1-12/3 0-6", ALL),
    ("0 0 1 jan-mar mon-fri", ALL),
    ("0 0 1 JAN,Dec sun,Wed,sat", ALL),
    ("@daily", ALL),
    ("@reboot", ALL),
    # Debian's cron passes over what follows a complete range.
    ("1-3-5 * * * *", {DEBIAN}),
    ("*/5/10 * * * *", {DEBIAN}),
    ("1-3/2/4 * * * *", {DEBIAN}),
    ("*/5-3 * * * *", {DEBIAN}),
    ("5-10- * * * *", {DEBIAN}),
    ("* * * * mon-fri-sat", {DEBIAN, SYSTEMD}),
    ("*. 5; *-3 *foo *", {DEBIAN}),
    ("1-3! * * * *", {DEBIAN}),
    ("1~5/2 * * * *", {DEBIAN}),
    ("1-5~ * * * *", {DEBIAN}),
    ("1-3-5,61 * * * *", {DEBIAN}),
    ("1,2;3,61 * * * *", {DEBIAN}),
    ("4294967301 * * * *", OLD),
    ("000000000005 * * * *", ALL),
    ("5-3 * * * *", OLD),
    # Random times are cronie's; to Debian's cron they are a number and what follows it.
    ("0~10 * * * *", OLD),
    ("5~ * * * *", OLD),
    ("~ * * * *", {CRONIE}),
    ("~30 * * * *", {CRONIE}),
    ("1,~30 * * * *", {CRONIE}),
    ("~/5 * * * *", set()),
    ("~5/2 * * * *", set()),
    ("30~5 * * * *", {DEBIAN}),
    # systemd-cron
    ("1/20 * * * *", {SYSTEMD}),
    ("5-70 * * * *", {SYSTEMD}),
    ("0 22 * September Sunday", {SYSTEMD}),
    # what no cron runs
    ("61 * * * *", set()),
    ("* 24 * * *", set()),
    ("* * 32 * *", set()),
    ("* * * 13 *", set()),
    ("* * 0 * *", set()),
    ("60-70 * * * *", set()),
    ("*/0 * * * *", set()),
    ("*/ * * * *", set()),
    ("*/x * * * *", set()),
    ("5- * * * *", set()),
    ("5, * * * *", set()),
    (",5 * * * *", set()),
    ("-5 * * * *", {CRONIE}),
    ("5x * * * *", set()),
    ("jan * * * *", set()),
    ("* * * foo *", set()),
    ("* * * * *  *", set()),
    ("@dailyx", set()),
    ("@", set()),
]
#: Whole lines of which the command is a part.
LINES = [
    ("* * * * * -n job", {CRONIE}),
    ("@daily -n  job", {CRONIE}),
    ("-@daily job", {CRONIE}),
    ("-* * * * * job", {CRONIE}),
    ("@daily = job", set()),
    ("A=* * * * * job", set()),
    ("0 = 5 * * * job", set()),
    ('@daily = "x" y', OLD),
    # Debian's cron has the shell read these, which takes them for its own options and runs nothing.
    ("@daily -x c", set()),
    ("@daily -n", set()),
    ("@daily -n -n job", set()),
    ("@daily -- job", set()),
]
TABLE = [(f"{schedule} job", crons) for schedule, crons in SCHEDULES] + LINES


@pytest.mark.parametrize(("line", "crons"), TABLE)
def test_a_line_is_an_entry_if_any_cron_runs_it(line, crons):
    assert bool(crontab.parse(line.encode() + b"\n", system=False)) == bool(crons)


@pytest.mark.parametrize(("schedule", "crons"), SCHEDULES)
def test_so_it_is_in_a_system_crontab(schedule, crons):
    assert bool(crontab.parse(f"{schedule} root job\n".encode(), system=True)) == bool(crons)


def installed() -> list[CrontabCommand]:
    """Find the crontab(1) commands here whose check of a crontab can be held against the table."""
    found = [CrontabCommand(path) for path in os.environ.get("RCRON_TEST_CRONTABS", "").split(":") if path]
    try:
        found.append(CrontabCommand())
    except StoreError:
        pass
    return [command for command in found if kind(command)]


def kind(command: CrontabCommand) -> str:
    if command.refusal(b"* * * * * job\n") is not None or command.refusal(b"no entry\n") is None:
        return ""
    return DEBIAN if command.is_debian else CRONIE if command.max_command else SYSTEMD


def test_the_crons_that_are_installed_run_what_the_table_says():
    commands = installed()
    if not commands:
        pytest.skip("no crontab(1) here that checks a crontab without installing it (Debian 12's cron, cronie)")
    wrong: list[tuple[str, str]] = []
    for command in commands:
        cron = kind(command)
        for line, crons in TABLE:
            # Debian's and systemd-cron's take a command of the shell's options for one, though nothing comes of it.
            if " -" in line and cron != CRONIE:
                continue
            # A line with `=` that sets a variable is good, too, and tells nothing.
            if "=" in line and cron not in crons:
                continue
            if (command.refusal(line.encode() + b"\n") is None) != (cron in crons):
                wrong.append((command.path, line))
    assert wrong == []
