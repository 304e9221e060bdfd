# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a host that somebody has taken over, as far as the playbooks' reports come to read them.

Whatever it answers, the other hosts must be reported, in a reasonable time and where they are seen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_notes import rcron_notes
from ansible_collections.rcron.cluster.plugins.filter.rcron_overview import rcron_overview
from ansible_collections.rcron.cluster.plugins.filter.rcron_problems import rcron_problems
from ansible_collections.rcron.cluster.plugins.filter.rcron_report import rcron_report
from ansible_collections.rcron.cluster.plugins.filter.rcron_timeline import rcron_timeline
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer

NOW = 1_800_000_000.0
CONF = "/etc/rcron/rcron.conf"
CLUSTER: dict[str, Any] = {
    "conf": CONF,
    "error": "",
    "cluster_name": "billing",
    "state": "active",
    "source": "file",
    "reason": "/var/run/rcron/state says so",
    "since": NOW - 60,
    "feeder": {"name": "keepalived", "event": "MASTER", "alive": True, "spoke": NOW},
    "pin": None,
    "default_state": "active",
    "state_file": "/var/run/rcron/state",
    "settings": {"cluster_name": "billing"},
    "version": "1.0.0",
}
ENTRY: dict[str, Any] = {
    "crontab": "root",
    "line": 1,
    "name": None,
    "schedule": "5 4 * * *",
    "zone": None,
    "user": "root",
    "command": "/bin/report",
    "guarded": True,
    "conf": CONF,
    "takeover_wait": None,
    "ends_itself": False,
    "timers": [],
    "job": None,
    "claim": None,
}
RUN = {"cluster": "billing", "command": "/bin/report", "started": NOW - 30, "status": "ok", "duration": 1, "exit": 0}
EVENT: dict[str, Any] = {
    "time": NOW - 30,
    "pid": 7,
    "cluster": "billing",
    "status": "start",
    "state": "active",
    "message": "/bin/report",
    "duration": None,
    "exit": None,
}
CLAIMED = {
    "cluster": "billing",
    "user": "root",
    "job": "report",
    "node": "n1",
    "at": NOW - 30,
    "exit": 0,
    "duration": 1,
    "gave_up": False,
}
TIMER = {
    "timer": "a.timer",
    "service": "a.service",
    "scope": "system",
    "next": NOW + 60,
    "guarded": True,
    "conf": CONF,
    "takeover_wait": None,
}
SCRIPT = {"script": "/etc/cron.daily/a", "guarded": True, "conf": CONF, "takeover_wait": None}
WELL: dict[str, Any] = {
    "changed": False,
    "elapsed": 0.1,
    "time": NOW,
    "clusters": [CLUSTER],
    "entries": [ENTRY],
    "unreadable": [],
    "timers": [TIMER],
    "scripts": [SCRIPT],
    "runs": [RUN],
    "ignored": {},
    "events": [EVENT],
    "events_since": NOW - 86400,
    "running": [7],
    "boots": [{"begin": NOW - 200000, "end": NOW}],
}


def with_cluster(**changes: object) -> dict[str, Any]:
    return {**WELL, "clusters": [{**CLUSTER, **changes}]}


def hosts(bad: dict[str, Any], *, others: int = 1) -> dict[str, dict[str, Any]]:
    """What is registered for a host that answers so, which is the first, and for others."""
    found = {}
    for name, given in {"bad": bad, **{f"well{number}": WELL for number in range(others)}}.items():
        found[name] = answer.checked(given)
        if "time" in found[name]:
            found[name].update(clock_offset=found[name]["time"] - NOW, clock_uncertainty=0.01)
    return found


def report(infos: dict[str, dict[str, Any]]) -> str:
    return rcron_report(infos, 3)


REPORTS: dict[str, Callable[[dict[str, dict[str, Any]]], Any]] = {
    "problems": rcron_problems,
    "overview": lambda infos: rcron_overview(infos, rcron_problems(infos)),
    "report": report,
    "timeline": lambda infos: rcron_timeline(infos, 3, "billing"),
}

GUARDED_THERE = {"timers": [{**TIMER, "conf": "/c"}], "scripts": [{**SCRIPT, "conf": "/c"}]}
ODD: dict[str, dict[str, Any]] = {
    "before Christ, active since": with_cluster(since=-9e10),
    "before Christ, the ledger": {**WELL, "ledger": [{**CLAIMED, "at": -9e10, "duration": -9e10}]},
    "before Christ, runs": {**WELL, "runs": [{**RUN, "started": -9e10}]},
    "before Christ, by its length": {**WELL, "events": [{**EVENT, "status": "ok", "duration": 9e10}]},
    "more than a float, of a second feeder": with_cluster(second_feeder={"name": "a", "event": "b", "spoke": 10**400}),
    "more than a float": with_cluster(since=10**400),
    "a list for the name of a broken cluster": {
        **WELL,
        **GUARDED_THERE,
        "clusters": [{"conf": "/c", "error": "e", "cluster_name": ["x"]}, CLUSTER],
    },
    "a number for the name of a broken cluster": {
        **WELL,
        "scripts": [{**SCRIPT, "conf": "/c"}, {**SCRIPT, "conf": "/d"}],
        "clusters": [
            {"conf": "/c", "error": "e", "cluster_name": 7},
            {"conf": "/d", "error": "e", "cluster_name": "x"},
        ],
    },
    "a time zone in thousands of folders": {**WELL, "timezone": "a/" * 5000 + "b"},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("shown", REPORTS)
def test_no_answer_keeps_the_other_hosts_from_being_reported(name, shown):
    said = REPORTS[shown](hosts(ODD[name]))
    assert shown == "problems" or "well0" in str(said)


MANY = 20_000
SLOW: dict[str, dict[str, Any]] = {
    "clusters": {**WELL, "clusters": [{**CLUSTER, "cluster_name": f"a{n}", "conf": f"/{n}"} for n in range(3000)]},
    "names of one job": {**WELL, "entries": [{**ENTRY, "name": f"n{n}"} for n in range(2 * MANY)]},
    "services without a timer": {
        **WELL,
        "timers": [{**TIMER, "timer": f"t{n}" if n % 2 else None} for n in range(6000)],
    },
    "commands with variables": {
        **WELL,
        "entries": [{**ENTRY, "command": f"a $A b{n}"} for n in range(2000)],
        "events": [{**EVENT, "message": f"a x{n}"} for n in range(MANY)],
    },
    "last runs of one job": {**WELL, "runs": [{**RUN, "started": NOW - 6 * n} for n in range(MANY)]},
    "warnings": {**WELL, "events": [{**EVENT, "status": "warning", "message": f"w{n}"} for n in range(MANY)]},
    "boots": {
        **WELL,
        "boots": [{"begin": NOW - 7200 + n / 100, "end": NOW - 7200 + n / 100} for n in range(MANY)],
        "events": [{**EVENT, "message": f"w{n}"} for n in range(MANY)],
    },
    "megabytes of a command": {**WELL, "entries": [{**ENTRY, "command": "a" * (3_000_000 + n)} for n in range(10)]},
}

#: Each took more than 20 s, as long as it was quadratic. Seconds of processor time.
PATIENCE = 15


@pytest.mark.parametrize("name", SLOW)
def test_no_answer_keeps_the_administrator_waiting(name):
    infos = hosts(SLOW[name])
    begun = time.process_time()
    for shown in REPORTS.values():
        assert "well0" in str(shown(infos)) or shown is rcron_problems
        assert time.process_time() - begun < PATIENCE


def test_a_host_that_says_twice_that_it_guards_something_is_one_of_those_that_do():
    other = {**WELL, "timers": [{**TIMER, "guarded": False}], "scripts": [{**SCRIPT, "guarded": False}]}
    infos = {**hosts({**WELL, "timers": [TIMER] * 2, "scripts": [SCRIPT] * 2}), "well0": answer.checked(other)}
    shown = "\n".join(rcron_overview(infos))
    assert re.search(r"^a.timer .* bad  ", shown, re.MULTILINE), shown
    assert re.search(r"^/etc/cron.daily/a .* bad$", shown, re.MULTILINE), shown


def test_the_other_hosts_stay_in_sight_in_every_table():
    bad = {
        **WELL,
        "runs": [{**RUN, "command": f"a{n}", "status": "fail", "started": NOW} for n in range(3000)],
        "timers": [{**TIMER, "timer": f"a{n}", "service": f"a{n}"} for n in range(3000)],
        "scripts": [{**SCRIPT, "script": f"/a{n}"} for n in range(3000)],
        "ledger": [{**CLAIMED, "job": f"a{n}", "exit": 1, "at": NOW} for n in range(3000)],
    }
    shown = rcron_overview(hosts(bad))
    assert len(shown) < 2100
    assert [line for line in shown if "are not shown" in line] == [
        f"bad: 2500 more {what} are not shown" for what in ("timers", "scripts", "jobs", "claimed jobs")
    ]
    unselected = [{"crontab": "root", "line": 1, "command": "a", "recorded": False, "released": False}] * 3000
    notes = rcron_notes(
        {"bad": {"crontabs": [], "unselected": unselected}, "well": {"crontabs": [], "unselected": unselected[:1]}}
    )
    assert len(notes) < 110
    assert notes[-2].startswith("well "), notes[-2:]
    assert "and 2900 more" in notes[-1]


def test_an_error_of_the_timeline_holds_nothing_that_a_terminal_obeys():
    many = [{**CLUSTER, "cluster_name": f"\x1b]0;taken\x07{number}", "conf": f"/{number}"} for number in range(90)]
    with pytest.raises(AnsibleFilterError) as several:
        rcron_timeline(hosts({**WELL, "clusters": many}), 3)
    with pytest.raises(AnsibleFilterError) as silent:
        rcron_timeline({"bad": {"failed": True, "msg": "\x1b]0;taken\x07"}}, 3)
    for error in (several, silent):
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 700
    assert "bad" in str(several.value)
