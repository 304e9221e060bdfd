# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The tables that status.yml prints."""

from __future__ import annotations

import time

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_overview import FilterModule, job_rows, rcron_overview

CLUSTER = {
    "conf": "/etc/rcron/rcron.conf",
    "error": "",
    "cluster_name": "billing",
    "state": "active",
    "source": "file",
    "since": 1000,
    "feeder": {"name": "keepalived", "event": "x", "alive": True, "spoke": 5000},
    "pin": None,
}
LEASE = {**CLUSTER["feeder"], "name": "lease"}


@pytest.fixture(autouse=True)
def in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def host(*clusters: dict, **more: object) -> dict:
    return {"clusters": list(clusters), "entries": [], "time": 5003.9, "runs": [], "ignored": {}, **more}


def run(command: str, started: float | None, **more: object) -> dict:
    return {
        "cluster": "billing",
        "command": command,
        "started": started,
        "status": "ok",
        "duration": 2,
        "exit": 0,
        **more,
    }


def claimed(job: str, at: float, **more: object) -> dict:
    whole = {"cluster": "billing", "user": "root", "job": job, "node": "n1", "at": at, "exit": 0, "duration": 41.6}
    return {**whole, "gave_up": False, **more}


def test_the_last_claimed_run_of_each_job():
    hosts = {
        "n1": host(ledger=[claimed("a", 1000, exit=3), claimed("b", 3000, exit=None, duration=None)]),
        "n2": host(ledger=[claimed("a", 2000, node="n2"), claimed("c", 500, exit=None, gave_up=True)]),
        "n3": host(),
    }
    shown = rcron_overview(hosts)
    assert shown[shown.index("") + 1 :] == [
        "CLAIMED JOB  CLUSTER  USER  NODE  LAST RUN          EXIT          SECONDS",
        "c            billing  root  n1    1970-01-01 00:08  not run       -",
        "b            billing  root  n1    1970-01-01 00:50  no end known  -",
        "a            billing  root  n2    1970-01-01 00:33  0             42",
    ]


def test_a_row_for_each_host_and_cluster():
    entries = [{"guarded": True, "conf": CLUSTER["conf"]}, {"guarded": False, "conf": None}]
    other = {**CLUSTER, "cluster_name": "mail", "state": "passive", "source": "pin", "conf": "/etc/rcron/mail.conf"}
    other.update(pin={"state": "passive", "until": 9000}, feeder={**CLUSTER["feeder"], "alive": False, "spoke": -3000})
    assert rcron_overview({"n1": host(CLUSTER, other, entries=entries, ignored={"mail": 7})}) == [
        "HOST  CLUSTER  STATE    SINCE             FEEDER              PIN           JOBS  SKIPS/H",
        "n1    billing  active   1970-01-01 00:16  keepalived, 3 s...  -             1     0",
        "n1    mail     passive  1970-01-01 00:16  keepalived gone...  passive, 1 h  0     7",
    ]


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"unreachable": True, "msg": "x"}, "unreachable"),
        ({"msg": "failed"}, "unknown"),
        (host(), "not deployed"),
        (host({"conf": "c", "error": "c:1: bad"}), "unknown"),
    ],
)
def test_a_host_without_an_answer_has_a_row_too(info, state):
    assert state in rcron_overview({"n9": info})[1]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"feeder": None}, "none"),
        ({"pin": {"state": "active", "until": None}, "state": "passive"}, "ago  active  "),
        ({"since": None, "source": "default"}, "active (default)  -"),
        ({"feeder": {**CLUSTER["feeder"], "spoke": 5003.9 - 200_000}}, "keepalived, 2 d ago"),
        ({"feeder": {**CLUSTER["feeder"], "spoke": 6000}}, "keepalived, 0 s ago"),
        ({"feeder": {**LEASE, "answer": {"words": "has the lease, term 12"}}}, "lease (n1, 12), 3 s ago"),
        ({"feeder": {**LEASE, "answer": {"words": "node2 has the lease, term 12"}}}, "lease (node2, 12), 3 s ago"),
        ({"feeder": {**LEASE, "answer": {"words": "the lease has ended"}}}, "lease, 3 s ago"),
        ({"feeder": {**LEASE, "answer": {"words": 7}}}, "lease, 3 s ago"),
    ],
)
def test_a_cell(changes, shown):
    assert shown in rcron_overview({"n1": host({**CLUSTER, **changes})})[1]


def test_the_last_run_of_a_job_is_that_of_all_hosts():
    hosts = {
        "n1": host(CLUSTER, runs=[run("/bin/a", 100.0), run("/bin/b", 300.5, status="fail", exit=3)]),
        "n2": host(CLUSTER, runs=[run("/bin/a", 200.0, status="running", exit=None, duration=None)]),
        "n3": {"unreachable": True},
    }
    assert job_rows(hosts) == [
        ["/bin/b", "billing", "n1", "1970-01-01 00:05", "fail", "3", "2"],
        ["/bin/a", "billing", "n2", "1970-01-01 00:03", "running", "-", "-"],
    ]
    assert rcron_overview(hosts)[4:6] == ["", "JOB     CLUSTER  HOST  LAST RUN          STATUS   EXIT  SECONDS"]


def test_a_run_with_a_known_start_counts_before_one_without():
    hosts = {"n1": host(CLUSTER, runs=[run("/bin/a", None)]), "n2": host(CLUSTER, runs=[run("/bin/a", 1.0)])}
    assert [row[2] for row in job_rows(hosts)] == ["n2"]


def test_jobs_that_failed_come_first():
    runs = [run("/bin/a", 100.0, status="fail"), run("/bin/b", 300.0), run("/bin/c", 200.0, status="lost")]
    assert [row[0] for row in job_rows({"n1": host(CLUSTER, runs=runs)})] == ["/bin/c", "/bin/a", "/bin/b"]


def test_problems_come_first_and_no_line_is_too_long_for_a_terminal_of_100_columns():
    why = "crontab of alice: line 12 is '/usr/local/bin/report --all'; it should be '/usr/bin/rcron /usr/local/bin/re'"
    problems = ["HOST           CLUSTER  PROBLEM", f"web1.example  billing  {why}"]
    info = host(
        {**CLUSTER, "pin": {"state": "active", "until": None}, "error": ""},
        {**CLUSTER, "error": "/etc/rcron/b.conf:3: " + "x" * 500},
        runs=[run("/usr/local/bin/job " + "y" * 500, 1.0)],
        timers=[{"timer": "z" * 90 + ".timer", "service": "z" * 90 + ".service", "scope": "system", "next": 1.0,
                 "guarded": True, "conf": CLUSTER["conf"], "takeover_wait": None}],
    )  # fmt: skip
    lines = rcron_overview({"web1.example": info, "web2.example": {"msg": "m" * 500}}, problems)
    assert lines[0] == problems[0]
    assert " ".join(" ".join(lines[1 : lines.index("")]).split()) == " ".join(problems[1].split())
    assert lines[lines.index("") + 1].startswith("HOST ")
    # Ansible shows a list's items with eight blanks, quotes and a comma.
    assert max(len(f'        "{line}",') for line in lines) <= 100
    assert any(line.startswith("/usr/local/bin/job yyy") and "  ok " in line for line in lines)


def test_a_value_that_is_not_a_dict_is_refused():
    with pytest.raises(AnsibleFilterError, match="pass a dict of hosts"):
        FilterModule().filters()["rcron_overview"]("n1")


def test_timers_are_shown_if_one_is_guarded():
    guarded = {"timer": "a.timer", "service": "a.service", "scope": "system", "next": 7200.0, "guarded": True}
    guarded |= {"conf": CLUSTER["conf"], "takeover_wait": None}
    bare = {**guarded, "guarded": False, "conf": None, "next": 3600.0}
    apt = {**bare, "timer": "apt-daily.timer", "service": "apt-daily.service"}
    mine = {**guarded, "timer": None, "service": "mine.service", "scope": "user", "next": None}
    stopped = {**guarded, "timer": None, "next": None}  # the drop-in is there, and the timer is not loaded
    template = {**stopped, "service": "b@.service"}
    hosts = {
        "n1": host(CLUSTER, timers=[guarded, apt, mine]),
        "n2": host(CLUSTER, timers=[bare, apt, mine]),
        "n3": host(CLUSTER, timers=[stopped, mine, template]),
    }
    lines = rcron_overview(hosts)
    assert [" ".join(line.split()) for line in lines[lines.index("") + 1 :]] == [
        "TIMER SERVICE CLUSTER GUARDED ON NEXT",
        "a.timer a.service billing n1, n3 1970-01-01 01:00",
        "apt-daily.timer apt-daily.service - none 1970-01-01 01:00",
        "- b@.service billing n3 -",
        "users' own mine.service billing all -",
    ]
    assert "TIMER" not in " ".join(rcron_overview({"n1": host(CLUSTER, timers=[apt])}))


def test_scripts_are_shown_if_one_is_guarded():
    script = {"script": "/etc/cron.daily/report", "guarded": True, "conf": CLUSTER["conf"], "takeover_wait": None}
    other = {"script": "/etc/cron.daily/dpkg", "guarded": False, "conf": None, "takeover_wait": None}
    assert not any("SCRIPT" in line for line in rcron_overview({"n1": host(CLUSTER, scripts=[other])}))
    lines = rcron_overview({"n1": host(CLUSTER, scripts=[script, other]), "n2": host(CLUSTER, scripts=[other])})
    assert [" ".join(line.split()) for line in lines[lines.index("") + 1 :]] == [
        "SCRIPT CLUSTER GUARDED ON",
        "/etc/cron.daily/dpkg - none",
        "/etc/cron.daily/report billing n1",
    ]
