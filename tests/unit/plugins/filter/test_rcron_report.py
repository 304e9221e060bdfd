# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The answers of hosts become a page. How a browser takes it: tests/unit/test_report.py."""

from __future__ import annotations

import datetime
import html.parser
import json
import re
import time
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter import rcron_report as report
from ansible_collections.rcron.cluster.plugins.module_utils import job_log
from ansible_collections.rcron.cluster.plugins.plugin_utils.report.jobs import logged_as

#: When the page is made: 10:00:00 UTC on 24 November 2026, a Tuesday.
NOW = 1_795_514_400.0
HOUR = 3600
CONF = "/etc/rcron/rcron.conf"


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(report.time, "time", lambda: NOW)
    yield
    monkeypatch.undo()
    time.tzset()


def cluster(state: str = "passive", name: str = "billing", **changes: Any) -> dict[str, Any]:
    return {
        "conf": CONF,
        "error": "",
        "cluster_name": name,
        "state": state,
        "source": "file",
        "reason": "the state file says so",
        "since": NOW - 2 * HOUR,
        "feeder": {"name": "keepalived", "event": "MASTER", "alive": True, "spoke": NOW - 2},
        "pin": None,
        "default_state": "passive",
        "state_file": "/run/rcron/state",
        "settings": {"state_max_age": 10},
        "version": "1.0.0",
        **changes,
    }


def entry(command: str, schedule: str | None = "30 4 * * *", **changes: Any) -> dict[str, Any]:
    return {
        "crontab": "root",
        "line": 1,
        "name": None,
        "schedule": schedule,
        "zone": None,
        "user": "root",
        "command": command,
        "guarded": True,
        "conf": CONF,
        "takeover_wait": None,
        "ends_itself": False,
        "timers": [],
        "job": None,
        "claim": None,
        **changes,
    }


def host(*clusters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What rcron_info says of a host that has been up for long, with a log that goes back far enough."""
    return {
        "clusters": list(clusters) or [cluster()],
        "entries": [],
        "timers": [],
        "unreadable": [],
        "runs": [],
        "ignored": {},
        "events": [],
        "events_since": NOW - 30 * HOUR,
        "running": [],
        "boots": [{"begin": NOW - 99 * HOUR, "end": NOW}],
        "time": NOW,
        "timezone": "Etc/UTC",
        "utc_offset": 0,
        "clock_offset": 0.0,
        "clock_uncertainty": 0.1,
        **changes,
    }


def run(when: float, job: str, status: int = 0, seconds: int = 5, name: str = "billing") -> list[dict[str, Any]]:
    """The log of a run."""
    word = "fail" if status else "ok"
    pid = int(-when)
    lines = [
        (when, f"state=active status=start cmd={job}"),
        (when + seconds, f"state=active status={word} dur={seconds} exit={status} cmd={job}"),
    ]
    events = [job_log.event(job_log.Line(NOW + at, pid, f"cluster={name} {text}")) for at, text in lines]
    return [event._asdict() for event in events if event]


def last_run(when: float, job: str, status: int = 0, **changes: Any) -> dict[str, Any]:
    word = "fail" if status else "ok"
    run = {"cluster": "billing", "command": job, "started": NOW + when, "status": word, "duration": 5, "exit": status}
    return {**run, **changes}


class Page(html.parser.HTMLParser):
    """The texts of a page, and its tables' rows by their captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.labels: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._caption = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.tags.append(tag)
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        if tag == "tr" and "tbody" in self._open:
            self.tables.setdefault(self._caption, []).append([])
        elif tag in ("td", "th") and "tbody" in self._open:
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data
        if "caption" in self._open:
            self._caption = data.partition(":")[0]
        elif "tbody" in self._open and self.tables.get(self._caption) and "title" not in self._open:
            row = self.tables[self._caption][-1]
            if row:
                row[-1] += f" {data}" if row[-1] else data


def page(hosts: dict[str, Any], hours: float = 24) -> Page:
    return Page(report.rcron_report(hosts, hours))


def jobs(**hosts: dict[str, Any]) -> dict[str, list[str]]:
    """The rows of the jobs: outcome, last run, on, last success, due next, seconds, plot, who ran it."""
    return {row[0]: row[1:] for row in page(hosts).tables["Jobs of billing"]}


def test_it_says_who_is_active_and_since_when():
    found = page({"a": host(cluster("active")), "b": host(cluster())})
    assert "Active: a since 2026-11-24 08:00" in found.text
    assert found.tables["Hosts of billing"] == [
        ["a", "active", "2026-11-24 08:00", "keepalived, 2 s ago", "-", "0", "0"],
        ["b", "passive", "2026-11-24 08:00", "keepalived, 2 s ago", "-", "0", "0"],
    ]
    assert "No problems" in found.text


def test_problems_come_first_in_every_table():
    hosts = {
        "a": host(cluster(), runs=[last_run(-HOUR, "/bin/a"), last_run(-HOUR, "/bin/z", 3)]),
        "b": host(cluster(source="stale", reason="nobody refreshed it")),
        "gone": {"unreachable": True, "msg": "No route to host"},
    }
    found = page(hosts)
    assert "No host is active: no job runs" in found.text
    assert found.text.index("Problems: ") < found.text.index("No host is active")
    assert ["gone", "-", "unreachable: No route to host"] in found.tables[
        "What is wrong, as the playbook status sees it"
    ]
    assert [row[0] for row in found.tables["Jobs of billing"]] == ["/bin/z", "/bin/a"]
    assert found.tables["Jobs of billing"][0][1] == "! failed, exit 3"
    only_b = {"a": host(cluster("active")), "b": hosts["b"], "c": host(cluster())}
    assert [row[0] for row in page(only_b).tables["Hosts of billing"]] == ["! b", "a", "c"]
    assert found.tables["Hosts"] == [["! gone", "-", "unreachable", "-", "No route to host", "-", "-", "-"]]


def test_each_job_has_its_runs_its_hosts_and_its_next_time():
    a = host(
        cluster("active"),
        entries=[entry("/bin/a", name="nightly"), entry("/bin/unguarded", guarded=False, conf=None)],
        events=[*run(-3 * HOUR, "/bin/a"), *run(-2 * HOUR, "/bin/a", 0, 7)],
        runs=[last_run(-2 * HOUR, "/bin/a")],
    )
    b = host(events=run(-HOUR, "/bin/a", 3, 9), runs=[last_run(-HOUR, "/bin/a", 3)], entries=[entry("/bin/a")])
    assert jobs(a=a, b=b) == {
        "nightly /bin/a 30 4 * * *; root": [
            "! failed, exit 3",
            "2026-11-24 09:00",
            "b",
            "2026-11-24 08:00",
            "2026-11-25 04:30",
            "9",
            "",
            "a (2), b (1)",
        ]
    }
    assert "The last 3 runs took 5 to 9 s, mostly 7 s" in page({"a": a, "b": b}).labels


def test_an_entry_that_never_ran_is_a_job_too():
    assert jobs(a=host(cluster("active"), entries=[entry("/bin/a", "@reboot")])) == {
        "/bin/a @reboot; root": ["no run known", "-", "-", "-", "-", "-", "-", "-"]
    }


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"timezone": "Asia/Tokyo", "utc_offset": 9 * HOUR}, "2026-11-24 19:30"),
        ({"timezone": None, "utc_offset": -5 * HOUR}, "2026-11-25 09:30"),
        ({"timezone": "../../etc/passwd", "utc_offset": 10**30}, "2026-11-25 04:30"),
    ],
)
def test_a_job_is_due_by_its_hosts_time_zone(about, expected):
    found = jobs(a=host(cluster("active"), entries=[entry("/bin/a")], **about))
    assert next(iter(found.values()))[4] == expected


def test_a_job_is_due_by_its_crontabs_own_time_zone():
    found = jobs(a=host(cluster("active"), entries=[entry("/bin/a", zone="Asia/Tokyo")]))
    assert next(iter(found.values()))[4] == "2026-11-24 19:30"


def test_a_guarded_timer_is_a_job():
    timer = {
        "timer": "report.timer",
        "service": "report.service",
        "scope": "system",
        "next": NOW + HOUR,
        "guarded": True,
        "conf": CONF,
        "takeover_wait": None,
    }
    found = jobs(a=host(cluster("active"), timers=[timer, {**timer, "service": "x.service", "guarded": False}]))
    assert found == {"report.service report.timer": ["no run known", "-", "-", "-", "2026-11-24 11:00", "-", "-", "-"]}


@pytest.mark.parametrize(
    ("command", "logged"),
    [
        ("/bin/a  'b c' \"d\"", "/bin/a b c d"),
        ("/bin/a | b", "/bin/a | b"),
        ("/bin/a %input", "/bin/a"),
        (r"/bin/a | date +\%F", "/bin/a | date +%F"),
        ("/bin/a $HOME/x", "/bin/a /root/x"),
        ("/bin/a ${USER}", "/bin/a alice"),
    ],
)
def test_a_log_line_is_its_entrys(command, logged):
    hosts = {"a": host(cluster("active"), entries=[entry(command, name="it")], events=run(-HOUR, logged))}
    assert next(iter(jobs(**hosts).values()))[:3] == ["ok", "2026-11-24 09:00", "a"]
    assert len(jobs(**hosts)) == 1


def test_a_command_of_which_only_a_shell_knows_a_part_is_not_every_commands():
    assert logged_as("/bin/a $X") != logged_as("/bin/b $X")
    hosts = {"a": host(cluster("active"), entries=[entry("/bin/a $X")], events=run(-HOUR, "/bin/b 1"))}
    assert len(jobs(**hosts)) == 2


def test_a_run_that_only_the_ledger_has_counts():
    claimed = {
        "cluster": "billing",
        "user": "root",
        "job": "nightly",
        "node": "elsewhere",
        "at": NOW - HOUR,
        "exit": 0,
        "duration": 4.0,
        "gave_up": False,
    }
    a = host(cluster("active"), entries=[entry("/bin/a", name="nightly")], ledger=[claimed])
    b = host(cluster(), ledger=[claimed])
    (found,) = jobs(a=a, b=b).values()
    assert (found[0], found[2], found[7]) == ("ok", "elsewhere", "elsewhere (1)")
    # And the same run in a host's log is one run.
    a["events"] = run(-HOUR + 1, "/bin/a")
    (found,) = jobs(a=a, b=b).values()
    assert found[7] == "a (1)"


def test_a_job_that_no_host_ran_says_so():
    ignored = job_log.event(job_log.Line(NOW - 600, 9, "cluster=billing state=passive status=ignore cmd=/bin/a"))
    assert ignored
    hosts = {
        name: host(
            cluster(), events=[*run(-2 * HOUR, "/bin/a"), ignored._asdict()] if name == "a" else [ignored._asdict()]
        )
        for name in "ab"
    }
    (found,) = jobs(**hosts).values()
    assert found[:3] == ["! no host ran it", "2026-11-24 08:00", "a"]


def test_two_clusters_have_a_part_each():
    both = host(cluster("active"), cluster("passive", "mail", conf="/etc/rcron/mail.conf"))
    both["events"] = [*run(-HOUR, "/bin/a"), *run(-HOUR - 9, "/bin/m", name="mail")]
    found = page({"a": both, "b": host(cluster("active", "mail", conf="/etc/rcron/mail.conf"))})
    assert [row[0] for row in found.tables["Hosts of mail"]] == ["a", "b"]
    assert [row[0] for row in found.tables["Hosts of billing"]] == ["a"]
    assert [row[0] for row in found.tables["Jobs of mail"]] == ["/bin/m"]
    assert [row[0] for row in found.tables["Jobs of billing"]] == ["/bin/a"]


def data(text: str) -> dict[str, Any]:
    """What the page's script draws."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def test_the_timeline_has_what_is_in_its_hours_but_no_ignored_runs():
    ignored = job_log.event(job_log.Line(NOW - 600, 9, "cluster=billing state=passive status=ignore cmd=/bin/i"))
    assert ignored
    a = host(cluster("active"), events=[*run(-2 * HOUR, "/bin/old"), *run(-600, "/bin/a", 3), ignored._asdict()])
    (drawn,) = data(report.rcron_report({"a": a, "b": host()}, 1))["timelines"]
    assert drawn["jobs"] == ["/bin/a"]
    assert drawn["runs"] == [[0, 0, NOW - 600, 5.0, "failed"]]
    assert [band[3] for band in drawn["bands"] if band[0] == 0][-1] == "active"


def test_offsets_follow_the_controllers_clock(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    change = datetime.datetime(2026, 10, 25, 1, tzinfo=datetime.timezone.utc).timestamp()
    monkeypatch.setattr(report.time, "time", lambda: change + HOUR)
    a = host(cluster("active"), time=change + HOUR)
    offsets = data(report.rcron_report({"a": a}, 24))["offsets"]
    assert [offset for _since, offset in offsets] == [7200, 3600]
    assert offsets[1][0] == change


def test_hostile_text_stays_text():
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\u202e\x1b[2J\"'"
    hosts = {
        bad: host(
            cluster("active", name=bad, feeder={"name": bad, "event": bad, "alive": False, "spoke": NOW}),
            entries=[entry(bad, name=bad, user=bad, schedule=bad, zone=bad)],
            events=run(-HOUR, bad, name="x"),
        ),
        "gone": {"unreachable": True, "msg": bad},
    }
    hosts[bad]["events"] = [{**event, "cluster": bad} for event in hosts[bad]["events"]]
    text = report.rcron_report(hosts)
    tags = Page(text).tags
    assert (tags.count("script"), tags.count("img")) == (2, 0)
    assert {char for char in text if not char.isprintable()} == {"\n"}
    shown = bad.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
    assert shown in Page(text).text


def many(hosts: int, count: int) -> dict[str, Any]:
    """The answers of many hosts with many jobs, each of which ran in each of the last 24 hours."""
    commands = [f"/usr/local/bin/job{number} --all" for number in range(count)]
    entries = [entry(command, f"{number % 60} * * * *") for number, command in enumerate(commands)]
    log = [run(-HOUR * hour - number, job) for hour in range(1, 25) for number, job in enumerate(commands)]
    events = [event for part in log for event in part]
    found = {f"node{number}": host(entries=entries) for number in range(1, hosts)}
    return {"node0": host(cluster("active"), entries=entries, events=events), **found}


def test_two_hundred_hosts_and_five_hundred_jobs_are_a_page_that_a_browser_can_hold():
    """How long one takes to open it: tests/bench/page.py."""
    text = report.rcron_report(many(200, 500))
    assert len(text) < 2_000_000
    assert len(Page(text).tags) < 20_000
    assert len(Page(text).tables["Jobs of billing"]) == 500


@pytest.mark.parametrize("hours", ["soon", 0, -1, 745, None, float("nan")])
def test_invalid_hours_are_refused(hours):
    with pytest.raises(AnsibleFilterError, match="give a number above 0, up to 744"):
        report.rcron_report({}, hours)


def test_what_is_no_dict_is_refused():
    with pytest.raises(AnsibleFilterError, match="pass a dict of hosts"):
        report.FilterModule().filters()["rcron_report"]([])
