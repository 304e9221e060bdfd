# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl metrics: what the journal tells, counted once, under names that show no arguments."""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from rcron import entries, feed, files, journal, metrics, services, settings, status
from rcron import pin as pins
from rcron.agent.answer import Answer, boottime
from rcron.agent.store import Store

ROOT = "root"

#: A journalctl of its own: the entries of a file after a cursor, as JSON. FAIL makes a cursor unusable.
JOURNALCTL = """\
#!/usr/bin/env python3
import json, os, sys
entries = [json.loads(line) for line in open({path!r})]
for at, word in enumerate(sys.argv):
    if word == "--after-cursor":
        cursors = [entry["__CURSOR"] for entry in entries]
        if sys.argv[at + 1] not in cursors:
            sys.exit("Failed to seek to cursor: Invalid argument")
        entries = entries[cursors.index(sys.argv[at + 1]) + 1:]
    if word.startswith("--since=@"):
        entries = [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) / 1e6 >= int(word[9:])]
    if word == "--lines=1":
        entries = entries[-1:]
for entry in entries:
    print(json.dumps(entry))
"""

CRONTAB = """\
MAILTO=root
#Ansible: nightly backup
5 0 * * * /usr/bin/rcron /usr/local/bin/backup --password=secret
* * * * * /usr/bin/rcron -c 'cd /app && ./run > out'
#Ansible: not prefixed
* * * * * /usr/local/bin/other
"""


class Host:
    """A node with a configuration, a crontab of root's, and a journal."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.conf = folder / "rcron.conf"
        self.conf.write_text(f"cluster_name = c1\nstate_file = {folder}/state\n")
        self.counters = folder / "lib" / "metrics.json"
        self.journal = folder / "journal"
        self.journal.write_text("")
        self.logged = 0
        program = folder / "bin" / "journalctl"
        program.parent.mkdir()
        program.write_text(JOURNALCTL.format(path=str(self.journal)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        self.crontab = CRONTAB

    def log(self, *lines: str, uid: int = 0, when: float = 1000.0) -> None:
        """Let processes of a user log lines, a second apart."""
        with self.journal.open("a") as stream:
            for at, line in enumerate(lines):
                self.logged += 1
                stamp = str(int((when + at) * 1e6))
                found = {
                    "MESSAGE": line,
                    "_UID": str(uid),
                    "__CURSOR": f"s={self.logged}",
                    "__REALTIME_TIMESTAMP": stamp,
                }
                stream.write(json.dumps(found) + "\n")

    def entries(self) -> list[entries.Entry]:
        conf = f"/usr/bin/rcron --conf {self.conf}"
        return list(entries.entries(self.crontab.replace("/usr/bin/rcron", conf), "/spool/root", ROOT))

    def samples(self, syslog_files: Iterable[str] = ()) -> dict[str, str]:
        """The answer: series -> value."""
        found = metrics.text(metrics.collect([str(self.conf)], self.entries(), str(self.counters), syslog_files))
        return dict(line.rsplit(" ", 1) for line in found.splitlines() if not line.startswith("#"))

    def of(self, metric: str, entry: str = "nightly backup", **labels: str) -> "str | None":
        """The value of an entry's series, or None."""
        more = "".join(f',{name}="{value}"' for name, value in labels.items())
        return self.samples().get(f'rcron_entry_{metric}{{cluster_name="c1",entry="{entry}"{more}}}')


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(settings, "RUNTIME", str(tmp_path))
    return Host(tmp_path, monkeypatch)


def at(monkeypatch: pytest.MonkeyPatch, minute: int) -> None:
    """Set the clock that metrics goes by: minutes after midnight of 1 June 2026, UTC, and ten seconds."""
    now = 1780272000 + 60 * minute + 10
    monkeypatch.setattr(metrics, "time", type("Clock", (), {"time": staticmethod(lambda: now)}))


START = "cluster=c1 state=active status=start cmd=/usr/local/bin/backup --password=secret"
OK = "cluster=c1 state=active status=ok dur=41 exit=0 cmd=/usr/local/bin/backup --password=secret"
FAIL = "cluster=c1 state=active pin=unpin status=fail dur=2 exit=3 cmd=/usr/local/bin/backup --password=secret"
IGNORED = "cluster=c1 state=passive status=ignore cmd=/usr/local/bin/backup --password=secret"


def test_a_run_is_counted_with_its_times_duration_and_exit_status(host: Host) -> None:
    host.log(START, OK, when=5000)
    assert host.of("runs_total", status="ok") == "1"
    assert host.of("last_start_timestamp_seconds") == "5000"
    assert host.of("last_success_timestamp_seconds") == "5001"
    assert host.of("last_duration_seconds") == "41"
    assert host.of("last_exit_status") == "0"
    host.log(START, FAIL, when=6000)
    assert host.of("runs_total", status="fail") == "1"
    assert host.of("last_start_timestamp_seconds") == "6000"
    assert host.of("last_success_timestamp_seconds") == "5001"
    assert host.of("last_exit_status") == "3"


def test_a_line_is_counted_once_however_often_one_asks(host: Host) -> None:
    host.log(START, OK)
    host.log(IGNORED)
    for _turn in range(3):
        assert host.of("runs_total", status="ok") == "1"
        assert host.of("ignored_total", reason="ignore") == "1"


def test_an_entry_that_never_ran_has_counters_of_0_and_no_times(host: Host) -> None:
    assert host.of("runs_total", status="ok") == "0"
    assert host.of("last_start_timestamp_seconds") is None


def test_ignored_runs_are_counted_by_their_reason(host: Host) -> None:
    host.log(IGNORED, IGNORED.replace("ignore", "stale"), IGNORED.replace("ignore", "ignore by=node2"))
    assert [host.of("ignored_total", reason=reason) for reason in ("ignore", "stale", "claimed")] == ["1", "1", "1"]


def test_a_demotion_is_not_a_second_end_of_the_run(host: Host) -> None:
    host.log(START, OK.replace("status=ok dur=41 exit=0", "status=demoted dur=3"), FAIL)
    assert host.of("demotions_total") == "1"
    assert [host.of("runs_total", status=status) for status in ("ok", "fail")] == ["0", "1"]


def test_another_users_line_is_not_believed(host: Host) -> None:
    host.log(START, OK, uid=1)
    host.log("cluster=c1 state=active status=changed event=x:y", uid=1)
    assert host.of("runs_total", status="ok") == "0"
    assert host.samples()['rcron_state_changes_total{cluster_name="c1"}'] == "0"
    host.log(OK, "cluster=c1 state=active status=changed event=x:y")
    assert host.of("runs_total", status="ok") == "1"
    assert host.samples()['rcron_state_changes_total{cluster_name="c1"}'] == "1"


def test_changes_are_counted_and_confirmations_are_not(host: Host) -> None:
    for outcome in ("changed", "confirmed", "overtaken", "changed"):
        host.log(f"cluster=c1 state=active status={outcome} event=keepalived:MASTER cmd=x")
    host.log("cluster=c2 state=active status=changed event=x:y")
    assert host.samples()['rcron_state_changes_total{cluster_name="c1"}'] == "2"


def test_a_command_that_holds_fields_tells_nothing_of_the_state(host: Host) -> None:
    host.crontab = "* * * * * /usr/bin/rcron job state=active status=changed event=a:b cmd=c\n"
    host.log("cluster=c1 state=active status=start cmd=job state=active status=changed event=a:b cmd=c")
    assert host.samples()['rcron_state_changes_total{cluster_name="c1"}'] == "0"


def test_no_argument_is_shown(host: Host) -> None:
    host.log(START, OK)
    shown = metrics.text(metrics.collect([str(host.conf)], host.entries(), str(host.counters), ()))
    assert "secret" not in shown
    assert "/app" not in shown
    (name,) = set(re.findall(r'entry="(root-[0-9a-f]{8})"', shown))
    assert f'rcron_entry_info{{cluster_name="c1",entry="{name}",crontab="/spool/root",line="4"}} 1' in shown


def test_an_entry_without_a_name_is_counted_under_its_digest(host: Host) -> None:
    host.log("cluster=c1 state=active status=ok dur=0 exit=0 cmd=cd /app && ./run > out")
    (name,) = {entry.name for entry in host.entries()} - {"nightly backup"}
    assert host.of("runs_total", name, status="ok") == "1"


def test_an_entry_that_was_removed_is_forgotten(host: Host) -> None:
    host.log(START, OK)
    assert host.of("runs_total", status="ok") == "1"
    host.crontab = ""
    assert not [series for series in host.samples() if "entry=" in series]
    assert "nightly" not in host.counters.read_text()


def test_a_journal_that_was_replaced_is_read_from_the_last_second_on(host: Host) -> None:
    host.log(START, OK, when=5000)
    host.samples()
    host.journal.write_text("")
    host.log(OK, when=4000)  # known already
    host.log(OK, when=6000)
    assert host.of("runs_total", status="ok") == "2"
    assert host.of("runs_total", status="ok") == "2"


@pytest.mark.parametrize(
    "kept",
    [
        "garbage", "{}", "[]", '{"position":{},"changes":{"c1":"x"},"jobs":{}}',
        '{"position":3,"changes":{},"jobs":{}}',
        '{"position":{},"changes":{},"jobs":{"c1\\nnightly backup":{"runs":3}}}',
        '{"position":{},"changes":{},"jobs":{"c1\\nnightly backup":{"started":NaN}}}',
        '{"position":{},"changes":{},"jobs":{"c1\\nnightly backup":{"started":{"a":1}}}}',
    ],
)  # fmt: skip
def test_counters_that_cannot_be_used_begin_anew(host: Host, kept: str) -> None:
    host.log(START, OK)
    host.samples()
    host.counters.write_text(kept)
    assert host.of("runs_total", status="ok") == "1"


def test_bytes_that_are_not_utf8_and_entries_of_others_are_no_end(host: Host) -> None:
    with host.journal.open("a") as stream:
        for message in ([255, 254], None, 3):
            found = {"MESSAGE": message, "_UID": "0", "__CURSOR": "s=0", "__REALTIME_TIMESTAMP": "1"}
            stream.write(json.dumps(found) + "\n")
    host.log(OK)
    assert host.of("runs_total", status="ok") == "1"


def syslog_line(text: str) -> str:
    return f"2026-11-28T10:00:00+00:00 {os.uname().nodename} rcron[12]: {text}\n"


def test_syslogs_file_is_read_without_a_journal_and_over_its_rotation(host: Host) -> None:
    log = host.folder / "cron.log"
    log.write_text(syslog_line(OK) + syslog_line(OK).replace(os.uname().nodename, "elsewhere"))
    series = 'rcron_entry_runs_total{cluster_name="c1",entry="nightly backup",status="ok"}'
    assert host.samples([str(log)])[series] == "1"
    with log.open("a") as stream:
        stream.write(syslog_line(OK) + syslog_line(OK).rstrip("\n"))
    assert host.samples([str(log)])[series] == "2", "a line that is not complete is read later"
    with log.open("a") as stream:
        stream.write("\n" + syslog_line(OK))
    log.rename(host.folder / "cron.log.1")
    log.write_text(syslog_line(OK))
    assert host.samples([str(log)])[series] == "5"
    assert host.samples([str(log)])[series] == "5"


def test_old_syslog_times_have_no_year(host: Host) -> None:
    log = host.folder / "cron.log"
    log.write_text(f"Jan  2 03:04:05 {os.uname().nodename} rcron[12]: {OK}\n")
    ((line),) = list(journal.Reader({}, [str(log)]).lines())
    assert (line.uid, line.text) == (None, OK)
    assert line.when > 0


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


MIDNIGHT = 1780272000


def test_an_entry_is_due_once_its_time_has_come_since_it_is_there(
    host: Host, monkeypatch: pytest.MonkeyPatch, utc: None
) -> None:
    at(monkeypatch, 3)
    assert host.of("due_timestamp_seconds") is None, "it was due at 00:05 yesterday, but who knows whether it was there"
    at(monkeypatch, 5)
    assert host.of("due_timestamp_seconds") is None, "its run may not be in the log yet"
    at(monkeypatch, 6)
    assert host.of("due_timestamp_seconds") == str(MIDNIGHT + 300)
    at(monkeypatch, 600)
    assert host.of("due_timestamp_seconds") == str(MIDNIGHT + 300)
    at(monkeypatch, 1500)
    assert host.of("due_timestamp_seconds") == str(MIDNIGHT + 86700)


def test_a_new_schedule_begins_anew(host: Host, monkeypatch: pytest.MonkeyPatch, utc: None) -> None:
    at(monkeypatch, 3)
    host.samples()
    at(monkeypatch, 60)
    host.crontab = CRONTAB.replace("5 0 * * *", "5 3 * * *")
    assert host.of("due_timestamp_seconds") is None
    at(monkeypatch, 190)
    assert host.of("due_timestamp_seconds") == str(MIDNIGHT + 3 * 3600 + 300)


@pytest.mark.parametrize("option", [" --takeover-wait 120", ""])
def test_an_entry_that_waits_for_a_promotion_is_due_later(
    host: Host, monkeypatch: pytest.MonkeyPatch, utc: None, option: str
) -> None:
    if option:
        host.crontab = CRONTAB.replace("rcron /usr", f"rcron{option} /usr")
    else:
        host.conf.write_text(host.conf.read_text() + "takeover_wait = 120\n")
    for minute, due in ((3, None), (7, None), (8, str(MIDNIGHT + 300))):
        at(monkeypatch, minute)
        assert host.of("due_timestamp_seconds") == due


def test_an_entry_without_times_is_never_due(host: Host, monkeypatch: pytest.MonkeyPatch, utc: None) -> None:
    host.crontab = CRONTAB.replace("5 0 * * *", "@reboot")
    for minute in (3, 600):
        at(monkeypatch, minute)
        assert host.of("due_timestamp_seconds") is None
        assert host.of("runs_total", status="ok") == "0"


@pytest.mark.parametrize(("cronie", "due"), [(True, MIDNIGHT + 300 - 7200), (False, None)])
def test_cronie_has_time_zones_of_its_own(
    host: Host, monkeypatch: pytest.MonkeyPatch, utc: None, cronie: bool, due: "int | None"
) -> None:
    monkeypatch.setattr(metrics, "_CRONIE", "/" if cronie else f"{host.folder}/none")
    host.crontab = f"CRON_TZ=Europe/Berlin\n{CRONTAB}"
    at(monkeypatch, -130)
    host.samples()
    at(monkeypatch, -60)
    assert host.of("due_timestamp_seconds") == (None if due is None else str(due))


def test_an_unknown_time_zone_is_not_guessed(host: Host, monkeypatch: pytest.MonkeyPatch, utc: None) -> None:
    monkeypatch.setattr(metrics, "_CRONIE", "/")
    host.crontab = f"CRON_TZ='Mars/Olympus'\n{CRONTAB}"
    for minute in (3, 600):
        at(monkeypatch, minute)
        assert host.of("due_timestamp_seconds") is None


def test_state_feeder_and_pin(host: Host) -> None:
    config = settings.load(str(host.conf))
    feed.accept_event(config, settings.ACTIVE, "keepalived", "MASTER")
    Store(config, "keepalived").note(Answer(settings.ACTIVE, boottime(), "MASTER"), None)
    found = host.samples()
    labels = 'cluster_name="c1"'
    assert found[f"rcron_active{{{labels}}}"] == "1"
    assert found[f'rcron_state_source{{{labels},source="file"}}'] == "1"
    assert found[f'rcron_feeder_alive{{{labels},feeder="keepalived"}}'] == "1"
    assert f"rcron_pin_set_timestamp_seconds{{{labels}}}" not in found
    pins.write(config, settings.PASSIVE, None)
    os.utime(config.pin_file, (0, 777))
    found = host.samples()
    assert found[f"rcron_active{{{labels}}}"] == "0"
    assert found[f'rcron_pinned{{{labels},state="passive"}}'] == "1"
    assert found[f"rcron_pin_set_timestamp_seconds{{{labels}}}"] == "777"
    assert f"rcron_state_since_timestamp_seconds{{{labels}}}" not in found


@pytest.mark.parametrize(("claims", "up"), [(None, None), ({"ok": True}, "1"), ({"ok": False}, "0")])
def test_the_engine_of_claims_is_shown_if_there_is_one(
    host: Host, monkeypatch: pytest.MonkeyPatch, claims: "dict[str, bool] | None", up: "str | None"
) -> None:
    monkeypatch.setattr(status, "_claims", lambda _config: claims)
    assert host.samples().get('rcron_engine_up{cluster_name="c1"}') == up


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["ok", "mine=3", "other=2", "unknown=1", "seconds=0.5"], ["3", "2", "1", "0.5"]),
        (["wrong", 'not understood: unknown request "counts"'], [None] * 4),
        (["ok", "mine=nan", "other=2"], [None] * 4),
        (["ok", "mine=-1"], [None] * 4),
        (["ok", "mine=x"], [None] * 4),
        (["ok", "mine=1e999"], [None] * 4),
        (["ok", "mine=3", "new=7"], ["3", None, None, None]),
    ],
)
def test_claims_are_shown_as_the_agent_counts_them(
    host: Host, monkeypatch: pytest.MonkeyPatch, answer: "list[str]", expected: "list[str | None]"
) -> None:
    monkeypatch.setattr(status, "_claims", lambda _config: {"ok": True})
    asked = []
    monkeypatch.setattr(metrics.claim, "exchange", lambda _config, line, _deadline: asked.append(line) or answer)
    found = host.samples()
    names = [f'rcron_claims_total{{cluster_name="c1",result="{result}"}}' for result in ("won", "lost", "unknown")]
    assert [found.get(name) for name in [*names, 'rcron_claim_seconds_total{cluster_name="c1"}']] == expected
    assert asked == [b"counts\0cluster=c1\n"]


def test_an_invalid_configuration_is_shown_and_hides_no_other(host: Host) -> None:
    bad = host.folder / "bad.conf"
    bad.write_text("nonsense\n")
    found = metrics.text(metrics.collect([str(bad), str(host.conf)], [], str(host.counters), ()))
    assert f'rcron_conf_valid{{conf="{bad}"}} 0' in found
    assert f'rcron_conf_valid{{conf="{host.conf}"}} 1' in found
    assert 'rcron_active{cluster_name="c1"}' in found


def test_a_series_never_comes_twice(host: Host) -> None:
    second = host.folder / "second.conf"
    second.write_bytes(host.conf.read_bytes())
    found = metrics.text(metrics.collect([str(host.conf), str(second)], host.entries(), str(host.counters), ()))
    series = [line.rpartition(" ")[0] for line in found.splitlines() if line[0] != "#"]
    assert len(series) == len(set(series))


def test_labels_are_escaped() -> None:
    sample = metrics.Sample("rcron_active", {"cluster_name": 'a"b\\c\nd'}, 1)
    assert metrics.text([sample]).splitlines()[-1] == 'rcron_active{cluster_name="a\\"b\\\\c\\nd"} 1'


@pytest.mark.needs("promtool", "prometheus")
def test_promtool_accepts_it(host: Host) -> None:
    config = settings.load(str(host.conf))
    feed.accept_event(config, settings.ACTIVE, "keepalived", "MASTER")
    Store(config, "keepalived").note(Answer(settings.ACTIVE, boottime(), "MASTER"), None)
    pins.write(config, settings.PASSIVE, None)
    host.log(START, OK)
    samples = metrics.collect([str(host.conf)], host.entries(), str(host.counters), ())
    samples.append(metrics.Sample("rcron_state_since_timestamp_seconds", {"cluster_name": "c1"}, 1))
    samples.append(metrics.Sample("rcron_entry_due_timestamp_seconds", {"cluster_name": "c1", "entry": "a"}, 1))
    samples.append(metrics.Sample("rcron_engine_up", {"cluster_name": "c1"}, 1))
    samples.append(metrics.Sample("rcron_claims_total", {"cluster_name": "c1", "result": "won"}, 1))
    samples.append(metrics.Sample("rcron_claim_seconds_total", {"cluster_name": "c1"}, 1))
    assert {sample.metric for sample in samples} == set(metrics.METRICS), "all of them"
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.text(samples), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_prints_or_replaces_a_file(node: Any, tmp_path: pathlib.Path) -> None:
    node.ctl("set", "active")
    out = node.ctl("metrics", "--counters", f"{tmp_path}/lib/metrics.json")
    assert (out.returncode, out.stderr) == (0, "")
    assert 'rcron_active{cluster_name="c1"} 1\n' in out.stdout
    target = tmp_path / "rcron.prom"
    target.write_text("old")
    out = node.ctl("metrics", "--counters", f"{tmp_path}/lib/metrics.json", "--textfile", str(target))
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert 'rcron_active{cluster_name="c1"} 1\n' in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.glob("rcron.prom*")] == ["rcron.prom"]


def test_a_folder_that_is_missing_is_named(node: Any, tmp_path: pathlib.Path) -> None:
    out = node.ctl("metrics", "--counters", f"{tmp_path}/lib/metrics.json", "--textfile", f"{tmp_path}/no/rcron.prom")
    assert out.returncode == 73
    assert f"{tmp_path}/no/rcron.prom" in out.stderr


def test_counters_of_another_user_are_not_believed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.log(START, OK)
    host.samples()
    kept = json.loads(host.counters.read_text())
    kept["jobs"]["c1\nnightly backup"]["runs"]["ok"] = 99
    host.counters.write_text(json.dumps(kept))
    assert host.of("runs_total", status="ok") == "99"
    kept["jobs"]["c1\nnightly backup"]["runs"]["ok"] = 77
    host.counters.write_text(json.dumps(kept))

    def refuse(*_arguments: Any) -> Any:
        raise files.UntrustedError("belongs to the user with UID 1, so it cannot be trusted")

    monkeypatch.setattr(files, "read_trusted", refuse)
    assert metrics.Counted.read(str(host.counters)).jobs == {}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_counters_folder_is_made_as_a_deployment_makes_it(host: Host, umask: int) -> None:
    """It is that of the pins: nobody else may read it (and be notified of changes), and everyone opens pins there."""
    before = os.umask(umask)
    try:
        host.samples()
    finally:
        os.umask(before)
    assert stat.S_IMODE(host.counters.parent.stat().st_mode) == files.FOLDER_MODE
    host.counters.parent.chmod(0o700)
    host.samples()
    assert stat.S_IMODE(host.counters.parent.stat().st_mode) == 0o700  # it was there already


#: Prints what a user may have logged: one MESSAGE of 200 MB.
HOSTILE_JOURNALCTL = """\
#!{python}
import json, sys
found = {{"_UID": "1", "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1", "MESSAGE": None}}
print(json.dumps(found), flush=True)
head, tail = json.dumps(found).split("null")
sys.stdout.write(head + '"')
for _turn in range(200):
    sys.stdout.write("x" * 1_000_000)
print('"' + tail)
print(json.dumps({{**found, "MESSAGE": "the last"}}))
"""

READ = """\
import resource, sys
from rcron import journal
if sys.argv[1] != "True":
    journal._LONGEST_ENTRY = 1 << 40
resource.setrlimit(resource.RLIMIT_AS, (150 << 20, 150 << 20))
print([line.text for line in journal.Reader({"cursor": "s=0"}).lines()][-1])
"""


@pytest.mark.parametrize("is_protected", [True, False])
def test_what_a_user_logs_does_not_decide_how_much_memory_root_needs(
    tmp_path: pathlib.Path, is_protected: bool
) -> None:
    program = tmp_path / "journalctl"
    program.write_text(HOSTILE_JOURNALCTL.format(python=sys.executable))
    program.chmod(0o755)
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(is_protected)],
        cwd=pathlib.Path(metrics.__file__).parents[1],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if is_protected:
        assert ran.stdout == "the last\n", ran.stderr
    else:
        assert "MemoryError" in ran.stderr


def test_a_long_message_is_not_asked_for(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """journalctl itself leaves it out, unless --all wants it: then it would take this node minutes to read it."""
    program = tmp_path / "journalctl"
    program.write_text('#!/bin/sh\necho "$@" >>"$0.words"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    list(journal.Reader({"cursor": "s=0"}).lines())
    assert "--output=json" in (tmp_path / "journalctl.words").read_text()
    assert "--all" not in (tmp_path / "journalctl.words").read_text()


#: What `systemctl show` says of a timer.
TIMER = """\
Unit={unit}
NextElapseUSecRealtime={next}
TimersCalendar={{ OnCalendar=hourly ; next_elapse={next} }}
{more}AccuracyUSec=1min
RandomizedDelayUSec={delay}
"""


class Timers:
    """A host's timers, as its systemctl shows them."""

    def __init__(self, host: Host) -> None:
        self._answer = host.folder / "answer"
        program = host.folder / "bin" / "systemctl"
        program.write_text(f'#!/bin/sh\n[ "$TZ $LC_ALL" = "UTC C" ] && cat {self._answer}\n')
        program.chmod(0o755)

    def show(self, *timers: str) -> None:
        """Let systemctl show these timers."""
        self._answer.write_text("\n".join(timers))


def timer(when: str, unit: str = "backup.service", delay: str = "0", more: str = "") -> str:
    """A timer that elapses next at a time of 1 June 2026."""
    elapse = f"Mon 2026-06-01 {when} UTC" if when else ""
    return TIMER.format(unit=unit, next=elapse, delay=delay, more=more)


@pytest.fixture
def timers(host: Host, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Timers:
    """A host on which backup.service is guarded."""
    folder = tmp_path / "units" / "backup.service.d"
    folder.mkdir(parents=True)
    condition = f"ExecCondition=+/bin/sh -c '/usr/bin/rcronctl --conf {host.conf} guard --passive-status 75 \"$$0\"' %n"
    (folder / "50-rcron.conf").write_text(f"[Service]\n{condition}\n")
    monkeypatch.setattr(host, "entries", lambda: services.find(str(tmp_path / "units")))
    return Timers(host)


def test_runs_of_a_guarded_service_are_counted(host: Host, timers: Timers) -> None:
    timers.show()
    fields = "job=backup.service cmd=backup.service"
    host.log(
        f"cluster=c1 state=active status=start {fields}",
        f"cluster=c1 state=active status=ok dur=12 exit=0 {fields}",
        f"cluster=c1 state=passive status=ignore {fields}",
    )
    host.log(f"cluster=c1 state=active status=fail dur=1 exit=9 {fields}", uid=1000)
    assert host.of("runs_total", "backup.service", status="ok") == "1"
    assert host.of("runs_total", "backup.service", status="fail") == "0"
    assert host.of("ignored_total", "backup.service", reason="ignore") == "1"
    assert host.of("last_start_timestamp_seconds", "backup.service") == "1000"
    assert host.of("due_timestamp_seconds", "backup.service") is None


def test_a_service_was_due_when_its_timer_should_have_elapsed(
    host: Host, timers: Timers, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = 1780272000

    def due() -> "str | None":
        return host.of("due_timestamp_seconds", "backup.service")

    timers.show(timer("02:00:00"), timer("01:00:00", delay="1h 30min"), timer("00:30:00", unit="other.service"))
    at(monkeypatch, 10)
    assert due() is None
    timers.show(timer("02:00:00"))
    at(monkeypatch, 60)
    assert due() is None  # its run takes its time to be logged
    at(monkeypatch, 61)
    # As early as another node's timer may have elapsed, by a clock that is behind.
    assert due() == str(midnight + 3600 - 5400 - 60 - 5)
    at(monkeypatch, 121)
    assert due() == str(midnight + 7200 - 60 - 5)
    # A timer that has been stopped before its time.
    timers.show(timer("04:00:00"))
    at(monkeypatch, 200)
    assert due() == str(midnight + 7200 - 60 - 5)
    timers.show(timer(""))
    at(monkeypatch, 210)
    due()
    at(monkeypatch, 300)
    assert due() == str(midnight + 7200 - 60 - 5)


@pytest.mark.parametrize("more", ["TimersMonotonic={ OnUnitActiveUSec=1h ; next_elapse=0 }\n", None])
def test_a_monotonic_timer_and_a_systemd_that_is_silent_have_no_due_time(
    host: Host, timers: Timers, monkeypatch: pytest.MonkeyPatch, more: "str | None"
) -> None:
    if more:
        timers.show(timer("01:00:00", more=more))
    for minute in (10, 70):
        at(monkeypatch, minute)
        assert host.of("due_timestamp_seconds", "backup.service") is None


def test_guarded_services_are_found(tmp_path: pathlib.Path) -> None:
    guard = "/usr/bin/rcronctl{} guard {} --passive-status 75 %n"
    for name, line in {
        "a.service.d/50-rcron.conf": guard.format("", "--takeover-wait 30"),
        "b@.service.d/x.conf": guard.format(" --conf /etc/rcron/b.conf", ""),
        "c.service": guard.format("", ""),
        "d.service": "/bin/true",
        "e.timer.d/x.conf": guard.format("", ""),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"[Service]\nExecCondition=+{line}\n")
    (tmp_path / "masked.service").symlink_to("/dev/null")
    assert [(entry.name, entry.conf, entry.takeover_wait) for entry in services.find(str(tmp_path))] == [
        ("a.service", "/etc/rcron/rcron.conf", 30),
        ("b@.service", "/etc/rcron/b.conf", None),
        ("c.service", "/etc/rcron/rcron.conf", None),
    ]
    index = entries.Index(services.find(str(tmp_path)), {"/etc/rcron/b.conf": "c1"})
    found = index.entry("c1", "b@x.service", 0)
    assert found is not None
    assert found.name == "b@.service"
    assert index.entry("c1", "b@x.service", 1000) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
@pytest.mark.parametrize("is_protected", [True, False])
def test_the_textfile_is_written_nowhere_else_than_in_the_folder_that_root_meant(
    tmp_path: pathlib.Path, is_protected: bool
) -> None:
    """/var/lib/prometheus is prometheus' own, and so he may put a link in node-exporter's place."""
    (tmp_path / "his").mkdir()
    (tmp_path / "roots").mkdir()
    (tmp_path / "his/exporter").symlink_to("../roots")
    os.chown(tmp_path / "his", 12345, 12345)
    path = str(tmp_path / "his/exporter/rcron.prom")
    if is_protected:
        with pytest.raises(OSError, match="another user could have the link lead anywhere") as raised:
            metrics._replace(path, "text")
        assert raised.value.filename == path
    else:
        files.replace(path, "text")
    assert (tmp_path / "roots/rcron.prom").exists() == (not is_protected)


def test_links_of_root_s_lead_to_the_textfile_s_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("a/../a")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    before = os.listdir("/proc/self/fd")
    metrics._replace(f"{tmp_path}/absolute//b/rcron.prom", "text")
    assert (tmp_path / "a/b/rcron.prom").read_text() == "text"
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (
        ("loop", "link lead anywhere"),
        ("none", "No such file"),
        ("a/b/rcron.prom", "Not a directory"),
    ):
        with pytest.raises(OSError, match=reason):
            metrics._replace(f"{tmp_path}/{name}/rcron.prom", "text")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("has_journal", [True, False])
def test_a_run_ends_whatever_has_been_logged_and_the_next_one_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch, has_journal: bool
) -> None:
    """A unit's time limit ends a run that takes longer, and the next one would begin at the same place."""
    monkeypatch.setattr(metrics, "MOST_LINES", 3)
    syslog = host.folder / "cron.log"
    if has_journal:
        host.log(*[OK] * 7)
    else:
        syslog.write_text(syslog_line(OK) * 7)
    series = 'rcron_entry_runs_total{cluster_name="c1",entry="nightly backup",status="ok"}'
    assert [host.samples([str(syslog)])[series] for _turn in range(4)] == ["3", "6", "7", "7"]


def test_ten_thousand_entries_take_no_longer_for_each_of_them(host: Host) -> None:
    """A user may have so many, and more; each was compared with all others."""
    compared = []

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return str.__eq__(self, other)

    host.crontab = "* * * * * /usr/bin/rcron a\n"
    (one,) = host.entries()
    found = [one._replace(name=Name(f"his {number}")) for number in range(1000)]
    counted = metrics.Counted({}, {}, {})
    assert len(list(metrics._entry_samples("c1", found, counted, 0, {}))) > 1000
    assert len(compared) < 50_000
