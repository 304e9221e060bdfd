# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Log lines become runs. The lines are made by rcron itself where that is possible."""

from __future__ import annotations

import gzip
import io
import os
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import job_log
from ansible_collections.rcron.cluster.plugins.module_utils.job_log import Run
from hypothesis import given
from hypothesis import strategies as st

from rcron import ctl, log, settings


def line(when: float, pid: int, text: str) -> str:
    return f"{when:.6f} node1 rcron[{pid}]: {text}\n"


def runs(printed: list[str], ignored_since: float) -> job_log.Runs:
    """What is read of what journalctl prints."""
    return job_log.runs(job_log.from_journal(printed), ignored_since)


@pytest.fixture
def logged(monkeypatch):
    """What rcron logs, as journalctl prints it: a function that logs a job's event, and the lines so far."""
    lines: list[str] = []
    now = [100.0, 7]
    monkeypatch.setattr(log, "_send", lambda facility, level, text: lines.append(line(now[0], now[1], text)))
    conf = settings.parse("cluster_name = 'my billing'", "rcron.conf")

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
    assert runs(logged.lines, 0).last == [
        Run("my billing", "/bin/a x y", 3, 200.0, "start"),
        Run("my billing", "/bin/b\\n", 2, 101.0, "ok", 4, 0),
    ]


def test_a_demoted_job_stays_demoted_whatever_its_exit_status(logged):
    logged(100, 1, "state=active status=start", "/bin/a")
    logged(110, 1, "state=passive status=demoted dur=10 reason=stale", "/bin/a")
    logged(111, 1, "state=active status=fail dur=11 exit=143", "/bin/a")
    assert runs(logged.lines, 0).last == [Run("my billing", "/bin/a", 1, 100.0, "demoted", 11, 143)]


def test_a_run_that_began_before_what_was_read(logged):
    logged(111, 1, "state=active status=ok dur=3600 exit=0", "/bin/a")
    assert runs(logged.lines, 0).last == [Run("my billing", "/bin/a", 1, None, "ok", 3600, 0)]


def test_a_process_id_that_was_used_again(logged):
    logged(100, 1, "state=active status=start", "/bin/a")
    logged(200, 1, "state=active status=ok dur=500 exit=0", "/bin/b")
    assert [(run.command, run.status) for run in runs(logged.lines, 0).last] == [
        ("/bin/a", "start"),
        ("/bin/b", "ok"),
    ]


def test_a_service_whose_start_and_end_are_logged_by_two_processes(logged):
    logged(100, 1, "state=active status=start job=a.service", "a.service")
    logged(101, 2, 'state=active status=start job="b\\\\x2dc.service"', r"b\x2dc.service")
    logged(103, 3, "state=active status=fail dur=3 exit=4 job=a.service", "a.service")
    logged(104, 4, "state=passive status=demoted dur=3 job=" + r'"b\\x2dc.service"', r"b\x2dc.service")
    logged(200, 5, "state=passive status=ignore job=a.service", "a.service")
    assert runs(logged.lines, 0) == job_log.Runs(
        [
            Run("my billing", "a.service", 1, 100.0, "fail", 3, 4, "a.service"),
            Run("my billing", r"b\x2dc.service", 2, 101.0, "demoted", 3, None, r"b\x2dc.service"),
        ],
        {"my billing": 1},
    )


def test_a_named_job_that_is_not_a_service_is_told_apart_by_its_process(logged):
    logged(100, 1, "state=active status=start job=a.service", "/bin/a.service")
    logged(103, 3, "state=active status=ok dur=3 exit=0 job=a.service", "/bin/a.service")
    assert [run.pid for run in runs(logged.lines, 0).last] == [3]


def test_ignored_runs_are_counted_from_a_time_on(logged):
    for when in (99, 100, 101):
        logged(when, when, "state=passive status=ignore", "/bin/a")
    logged(102, 102, "state=passive status=stale", "/bin/a")
    found = runs(logged.lines, 100)
    assert (found.last, found.ignored) == ([], {"my billing": 3})


def test_every_kind_of_line_becomes_an_event(logged):
    logged(100, 1, "state=active pin=unpin status=start", "/bin/a")
    logged(101, 1, "state=active status=ok dur=1 exit=0", "/bin/a")
    logged(102, 2, "state=passive status=stale", "/bin/b")
    lines = [
        *logged.lines,
        line(103, 3, 'cluster=c d state=active status=changed event=keepalived:INSTANCE "V" MASTER'),
        line(104, 3, "cluster=c state=passive status=pinned until=2026-11-23 17:04:11 +0000"),
        line(105, 3, "cluster=c state=passive status=unpinned"),
        line(106, 3, "cluster=c warning: /run/state: not a regular file"),
        line(107, 3, "warning: no such file; not run: cluster=c state=active status=start cmd=x"),
        line(108, 3, "cluster=c state=active status=overtaken event=keepalived:INSTANCE"),  # which changes nothing
    ]
    assert [tuple(event)[:-1] for event in map(job_log.event, job_log.from_journal(lines)) if event] == [
        (100.0, 1, "my billing", "start", "active", "/bin/a", None, None),
        (101.0, 1, "my billing", "ok", "active", "/bin/a", 1, 0),
        (102.0, 2, "my billing", "stale", "passive", "/bin/b", None, None),
        (103.0, 3, "c d", "changed", "active", 'keepalived:INSTANCE "V" MASTER', None, None),
        (104.0, 3, "c", "pinned", "passive", "2026-11-23 17:04:11 +0000", None, None),
        (105.0, 3, "c", "unpinned", "passive", "", None, None),
        (106.0, 3, "c", "warning", None, "/run/state: not a regular file", None, None),
        (
            107.0,
            3,
            None,
            "warning",
            None,
            "no such file; not run: cluster=c state=active status=start cmd=x",
            None,
            None,
        ),
    ]


def test_every_line_of_feed_pin_and_unpin_is_understood(monkeypatch, tmp_path):
    """What the product logs of states, in its own words."""
    said: list[str] = []
    monkeypatch.setattr(log, "_send", lambda facility, level, text: said.append(text))
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"cluster_name = billing\nstate_file = {tmp_path}/state\n")
    for words in ("set active", "set active --feeder other", "pin passive --for 2h", "unpin", "set passive"):
        assert ctl.main(["--conf", str(conf), *words.split()]) == 0
    found = [job_log.event(job_log.Line(1.0, 1, text)) for text in said]
    assert [(event.cluster, event.status, event.state) for event in found] == [
        ("billing", "changed", "active"),
        ("billing", "confirmed", "active"),
        ("billing", "pinned", "passive"),
        ("billing", "unpinned", "active"),
        ("billing", "changed", "passive"),
    ]
    assert [event.message for event in found[:2]] == ["operator:set active", "other:set active"]
    time.strptime(found[2].message, "%Y-%m-%d %H:%M:%S %z")


NOW = 1_795_510_445.0  # 2026-11-24 08:54:05 UTC
START = "cluster=c state=active status=start cmd=/bin/"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose clock says NOW, without a journal: a function that puts a file of syslog there, last written so many
    seconds ago, and one that reads the log, of so many seconds."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("TZ", "Europe/Berlin")  # an hour ahead of UTC on that day
    time.tzset()

    class Host:
        files = (str(tmp_path / "cron.log"), str(tmp_path / "syslog"))

        def put(self, name: str, *lines: str, ago: float = 0) -> None:
            path = tmp_path / name
            data = "".join(f"{text}\n" for text in lines).encode("utf-8", "surrogateescape")
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
            os.utime(path, (NOW - ago, NOW - ago))

        def journal(self, *lines: str) -> None:
            """Have a journal: what `journalctl --output=short-unix` prints, and no boots."""
            (tmp_path / "bin").mkdir(exist_ok=True)
            shell = tmp_path / "bin" / "journalctl"
            text = "\n".join(lines)
            shell.write_text(f"#!/bin/sh\ncase $* in *--list-boots*) exit 1 ;; esac\n/bin/cat <<'EOF'\n{text}\nEOF\n")
            shell.chmod(0o755)

        def log(self, seconds: float = 3600) -> job_log.Log:
            return job_log.Log(NOW - seconds, self.files, NOW, "node1.example.com")

        def commands(self, seconds: float = 3600) -> list[tuple[float, str]]:
            return [(found.when - NOW, found.text[len(START) :]) for found in self.log(seconds).lines()]

    yield Host()
    monkeypatch.undo()
    time.tzset()


def test_both_formats_of_syslog_files_are_read(host):
    host.put(
        "syslog",
        f"Nov 24 09:53:05 node1 rcron[7]: {START}old",
        f"2026-11-24T09:53:35.250000+01:00 node1 rcron[8]: {START}new",
        f"2026-11-24T08:54:04Z node1.example.com rcron[9]: {START}utc",
    )
    assert host.commands() == [(-60, "old"), (-29.75, "new"), (-1, "utc")]


def test_lines_of_other_programs_other_hosts_and_other_times_are_not(host):
    host.put(
        "syslog",
        f"Nov 24 07:00:00 node1 rcron[1]: {START}too-old",
        f"Nov 24 09:53:05 node2 rcron[2]: {START}elsewhere",
        f"Nov 24 09:53:05 node1 rcron-c[3]: {START}another-program",
        f"Nov 24 09:53:05 node1 logger[5]: rcron[3]: {START}quoted",
        f"Nov 34 09:53:05 node1 rcron[3]: {START}no-such-day",
        f"2026-11-24T09:53:35.25000000000+99:00 node1 rcron[3]: {START}no-such-time",
        f"Nov 24 09:53:06 node1 rcron[4]: {START}own\udce9",
    )
    assert host.commands() == [(-59, "own\\xe9")]


def test_a_time_without_a_year_is_in_the_last_one_that_fits():
    def read(text: str, now: str) -> str:
        match = job_log._SYSLOG.fullmatch(f"{text} n rcron[1]: x")
        clock = time.mktime(time.strptime(now, "%Y-%m-%d %H:%M"))
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(job_log.moment(match, clock)))

    assert read("Dec 31 23:59:59", "2027-01-01 00:10") == "2026-12-31 23:59"
    assert read("Jan  1 00:00:03", "2026-12-31 23:59") == "2027-01-01 00:00"  # another clock is a little ahead
    assert read("Jan  1 00:10:00", "2027-01-01 00:10") == "2027-01-01 00:10"
    assert read("Feb 29 12:00:00", "2028-02-29 12:01") == "2028-02-29 12:00"
    assert read("Feb 29 12:00:00", "2029-02-28 12:01") == "2028-02-29 12:00"


def test_rotated_files_are_read_in_their_order_and_old_ones_not_at_all(host):
    host.put("syslog.3.gz", f"Nov 24 09:53:00 node1 rcron[1]: {START}too-old", ago=9000)
    host.put("syslog.2.gz", f"Nov 24 09:20:00 node1 rcron[1]: {START}a", ago=2000)
    host.put("syslog-20261124", f"Nov 24 09:30:00 node1 rcron[1]: {START}b", ago=1000)
    host.put("syslog", f"Nov 24 09:40:00 node1 rcron[1]: {START}c")
    host.put("syslog.d", "another thing")
    host.put("syslogger", f"Nov 24 09:50:00 node1 rcron[1]: {START}another-file")
    assert [command for _when, command in host.commands()] == ["a", "b", "c"]
    assert host.log().since == NOW - 3600


def test_the_first_file_that_has_a_line_is_taken(host):
    same = f"Nov 24 09:53:05 node1 rcron[7]: {START}once"
    host.put("cron.log", same)
    host.put("syslog", "Nov 24 09:00:00 node1 systemd[1]: Started", same)
    assert [command for _when, command in host.commands()] == ["once"]
    host.put("cron.log", "Nov 24 09:53:05 node1 CRON[7]: (root) CMD (once)")
    assert [command for _when, command in host.commands()] == ["once"]
    # It is complete from its first line on, whichever program wrote that.
    assert host.log().since == NOW - 3245


def test_files_stand_in_for_the_time_before_the_journal(host):
    host.journal(f"{NOW - 600} node1 systemd[1]: Started", f"{NOW - 500} node1 rcron[7]: {START}journal")
    host.put(
        "syslog",
        "Nov 24 08:00:00 node1 systemd[1]: Started",
        f"Nov 24 09:44:04 node1 rcron[7]: {START}file",
        f"Nov 24 09:45:45 node1 rcron[7]: {START}journal",
    )
    assert host.commands() == [(-601, "file"), (-500, "journal")]
    assert host.log().since == NOW - 3600


def test_a_journal_that_goes_back_far_enough_is_all(host):
    host.journal(f"{NOW - 3601} node1 systemd[1]: Started", f"{NOW - 500} node1 rcron[7]: {START}journal")
    host.put("syslog", f"Nov 24 09:44:04 node1 rcron[7]: {START}file")
    assert host.commands() == [(-500, "journal")]


def test_the_lines_from_before_are_available_too(host, monkeypatch):
    host.put("syslog", *(f"Nov 24 07:0{minute}:00 node1 rcron[1]: {START}{minute}" for minute in range(9)))
    host.put("syslog.1", f"Nov 23 09:00:00 node1 rcron[1]: {START}older", ago=9000)
    assert host.log().earlier(5) == []  # there is no line of the time that is asked for
    with open(host.files[1], "a") as stream:
        stream.write(f"Nov 24 09:44:04 node1 rcron[7]: {START}in-time\n")
    os.utime(host.files[1], (NOW, NOW))
    assert [line.text[-1] for line in host.log().earlier(2)] == ["7", "8"]

    asked = []
    host.journal(f"{NOW - 3601} node1 rcron[1]: {START}first")
    printed = job_log._journalctl
    monkeypatch.setattr(job_log, "_journalctl", lambda *options: asked.append(options) or printed(*options))
    assert [line.text[len(START) :] for line in host.log().earlier(2)] == ["first"]
    assert {"--lines=2", f"--until=@{int(NOW) - 3601}"} <= set(asked[-1])


def test_a_host_without_any_log(host):
    assert host.commands() == []
    assert host.log().since is None
    assert host.log().boots() == [job_log.Boot(pytest.approx(time_of_boot(), abs=2), NOW)]


def time_of_boot() -> float:
    """When this machine's first process was started, by a clock that says NOW."""
    with open("/proc/1/stat") as stream:
        ticks = int(stream.read().rpartition(")")[2].split()[19])
    return NOW - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("dash", ["\u2014", " "])  # older systemd's, newer systemd's
def test_boots_come_from_the_journal(host, monkeypatch, dash):
    monkeypatch.setattr(job_log, "_booted", lambda now: now - 1000)

    def boot(number: int, begin: str, end: str) -> str:
        return f" {number} {'0' * 32} Tue 2026-11-24 {begin} UTC{dash}Tue 2026-11-24 {end} UTC\n"

    printed = [
        "IDX BOOT ID   FIRST ENTRY   LAST ENTRY\n",
        boot(-2, "01:00:00", "02:00:00"),  # over before the time that is asked for
        boot(-1, "07:00:00", "08:33:20"),
        boot(0, "08:37:15", "08:54:05"),
    ]
    monkeypatch.setattr(job_log, "_journalctl", lambda *options: iter(printed if "--list-boots" in options else []))
    first, second = host.log().boots()
    assert (first.end - NOW, second.begin - NOW, second.end - NOW) == (-1245, -1000, 0)


def test_the_boots_of_a_container_which_are_one_to_the_journal(host, monkeypatch):
    monkeypatch.setattr(job_log, "_booted", lambda now: now - 1000)
    asked = []

    def journalctl(*options: str):
        asked.append(options)
        if "--list-boots" in options:
            return iter([f"  0 {'0' * 32} Tue 2026-11-24 07:00:00 UTC Tue 2026-11-24 08:54:05 UTC\n"])
        return iter([f"{NOW - 1100.5} node1 rcron[7]: {START}last\n"] if "--lines=1" in options else [])

    monkeypatch.setattr(job_log, "_journalctl", journalctl)
    first, second = host.log().boots()
    assert (first.end - NOW, second.begin - NOW) == (-1100.5, -1000)
    assert f"--until=@{int(NOW) - 1001}" in asked[-1]


def test_a_boot_that_only_files_know_of(host, monkeypatch):
    monkeypatch.setattr(job_log, "_booted", lambda now: now - 1000)
    host.put(
        "syslog",
        f"Nov 24 09:20:00 node1 rcron[7]: {START}a",
        f"Nov 24 09:30:00 node1 rcron[7]: {START}b",
        f"Nov 24 09:50:00 node1 rcron[7]: {START}c",
    )
    assert [(boot.begin - NOW, boot.end - NOW) for boot in host.log().boots()] == [(-NOW, -1445), (-1000, 0)]


def test_other_lines_are_skipped():
    lines = [
        line(1, 1, "cluster=c state=active status=changed event=keepalived:INSTANCE cmd"),
        line(1, 1, "cluster=c warning: state=active status=start cmd=x"),
        line(1, 1, "warning: no such file"),
        "-- Boot 123 --\n",
        "\n",
    ]
    found = runs(lines, 0)
    assert (found.last, found.ignored) == ([], {})


@given(st.text())
def test_any_line_is_read_or_skipped(text):
    runs([text, line(1, 1, text)], 0)
    job_log.moment(job_log._SYSLOG.fullmatch(text) or job_log._SYSLOG.fullmatch("Nov 24 08:54:05 n rcron[1]: x"), 0)


@pytest.mark.parametrize(
    ("text", "status", "message", "exit_status"),
    [
        ("cluster=c1 state=active status=start job=report cmd=echo a", "start", "echo a", None),
        (
            'cluster=c1 state=active status=ok dur=1 exit=0 job="a \\"b\\" c" cmd=echo job=x cmd=y',
            "ok",
            "echo job=x cmd=y",
            0,
        ),
        ("cluster=c1 state=active status=ignore by=node1 job=report cmd=true", "ignore", "true", None),
        ('cluster=c1 state=active status=ignore by="my node" cmd=true', "ignore", "true", None),
        ("cluster=c1 state=active claim=unknown status=fail dur=30 exit=75 cmd=true", "fail", "true", 75),
        ("cluster=c1 state=active pin=unpin claim=unknown status=start cmd=true", "start", "true", None),
    ],
)
def test_lines_of_claims_and_names_are_read(text: str, status: str, message: str, exit_status: "int | None") -> None:
    found = job_log.event(job_log.Line(0.0, 1, text))
    assert found is not None
    assert (found.cluster, found.status, found.message, found.exit) == ("c1", status, message, exit_status)


class Counting:
    """A stream of text that notes the longest piece that anybody asked of it."""

    def __init__(self, text: str) -> None:
        self._stream = io.StringIO(text)
        self.longest = 0

    def readline(self, size: int = -1) -> str:
        piece = self._stream.readline(size)
        self.longest = max(self.longest, len(piece))
        return piece

    def __iter__(self):
        return iter(self.readline, "")


def test_what_a_user_logs_does_not_decide_how_much_memory_is_needed():
    """logger(1) takes hundreds of megabytes as one line."""
    text = f"one\n{'x' * 100_000}\n{'y' * job_log.LONGEST}\ntwo\n{'z' * 100_000}"
    protected, plain = Counting(text), Counting(text)
    assert list(job_log._bounded(protected)) == ["one\n", "two\n"]
    assert protected.longest == job_log.LONGEST + 1
    assert len(list(plain)) == 5
    assert plain.longest == 100_001  # without the protection


def test_a_longer_line_of_a_file_is_skipped(tmp_path):
    (tmp_path / "log").write_text(f"{'x' * 100_000}\nlast\n")
    assert list(job_log._text_lines(str(tmp_path / "log"))) == ["last"]
