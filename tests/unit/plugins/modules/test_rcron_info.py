# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_info: what rcronctl, the crontabs and the journal say, and what it says where they say nothing."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import pytest
import yaml
from ansible_collections.rcron.cluster.plugins.module_utils import crontab_store
from ansible_collections.rcron.cluster.plugins.modules import rcron_info
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that puts a shell script into PATH, and returns its path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return make


# --- clusters ---


@pytest.fixture
def patience(monkeypatch):
    """Give programs more time than a node does: on a busy machine, a Python may take long to begin."""
    monkeypatch.setattr(rcron_info.programs, "run", functools.partial(rcron_info.programs.run, time_limit=300))


@pytest.mark.usefixtures("patience")
def test_a_cluster_is_what_rcronctl_says(program, tmp_path):
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\ncluster_name = billing\n")
    (tmp_path / "state").write_text("passive\n")
    rcronctl = program("rcronctl", f'PYTHONPATH={CHECKOUT} exec {sys.executable} -m rcron.ctl "$@"')
    found = rcron_info.cluster(rcronctl, str(conf))
    assert found["error"] == ""
    assert (found["state"], found["source"], found["cluster_name"]) == ("passive", "file", "billing")
    assert found["settings"]["takeover_wait"] == 0
    conf.write_text("state_fil = x\n")
    found = rcron_info.cluster(rcronctl, str(conf))
    assert set(found) == {"conf", "error"}
    assert f"{conf}:1: " in found["error"]


def test_a_cluster_without_rcronctl_says_so(program):
    assert rcron_info.cluster("/nonexistent/rcronctl", "c")["error"] == (
        "/nonexistent/rcronctl cannot be run: No such file or directory"
    )
    assert rcron_info.cluster(program("silent", "exit 3"), "c")["error"].endswith("/silent ended with 3")


def test_the_agents_own_configuration_is_no_clusters(tmp_path):
    for name in ("rcron.conf", "billing.conf", "agent.conf", "other"):
        (tmp_path / name).touch()
    assert rcron_info.configurations(str(tmp_path)) == [f"{tmp_path}/billing.conf", f"{tmp_path}/rcron.conf"]


def test_the_last_claimed_runs_are_the_ledgers(program, tmp_path):
    run = {"cluster": "c", "user": "root", "job": "~0123", "fire": "1", "node": "n1", "at": 5, "command": "/bin/a"}
    run = {**run, "exit": 0, "duration": 1.5, "gave_up": False, "cursor": "7"}
    (tmp_path / "runs").write_text(json.dumps(run) + "\n" + json.dumps({**run, "job": "b", "command": ""}) + "\n")
    rcronctl = program("rcronctl", f'[ "$*" = "--conf c history --last --json" ] && cat {tmp_path}/runs')
    found = rcron_info.last_runs(rcronctl, {"conf": "c", "claims": {"ok": True, "words": ""}})
    kept = {name: value for name, value in run.items() if name not in ("fire", "cursor", "command")}
    assert found == [{**kept, "job": "/bin/a"}, {**kept, "job": "b"}]
    assert rcron_info.last_runs(rcronctl, {"conf": "c", "claims": {"ok": False, "words": ""}}) == []
    assert rcron_info.last_runs(rcronctl, {"conf": "c", "error": "c:1: bad"}) == []


@pytest.mark.parametrize(
    "line", ["", "x", "[]", "7", "{}", '{"job": 1}', '{"job": "a"}', '{"job": "~a", "command": "b"}', "[" * 9999]
)
def test_an_agent_of_the_feeder_s_user_s_hides_no_other_part_of_the_answer(program, tmp_path, line):
    (tmp_path / "runs").write_text(line + "\n")
    rcronctl = program("rcronctl", f"cat {tmp_path}/runs")
    assert rcron_info.last_runs(rcronctl, {"conf": "c", "claims": {"ok": True, "words": ""}}) == []


#: What another host may have written of a run into the ledger, or an agent that is not rcron's.
ODD_RUNS = [
    {"cluster": 7},
    {"user": ["root"]},
    {"node": None},
    {"at": "5"},
    {"at": True},
    {"at": 1e300},
    {"at": float("nan")},
    {"exit": 1.5},
    {"exit": {}},
    {"duration": "1"},
    {"duration": float("inf")},
    {"gave_up": 0},
]


@pytest.mark.parametrize("odd", ODD_RUNS)
def test_an_odd_run_of_the_ledger_hides_no_other(program, tmp_path, odd):
    good = {"cluster": "c", "user": "root", "job": "a", "node": "n1", "at": 5, "exit": 0, "duration": 1.5}
    good = {**good, "gave_up": False}
    lines = [{**good, "command": "", **odd}, {**good, "command": ""}]
    (tmp_path / "runs").write_text("[\n" + "\n".join(json.dumps(line) for line in lines))
    rcronctl = program("rcronctl", f"cat {tmp_path}/runs")
    found = rcron_info.last_runs(rcronctl, {"conf": "c", "claims": {"ok": True, "words": ""}})
    assert found == [good]
    # Without this, the controller would refuse all that the host says.
    assert answer.mismatch({**good, **odd}, answer.CLAIMED)


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_run_of_the_ledger_has_megabytes(program, tmp_path, monkeypatch, is_protected):
    """Whoever owns the state's folder may have put an agent of his own there."""
    if not is_protected:
        monkeypatch.setattr(rcron_info, "_cut", lambda value: value)
    run = {"cluster": "c", "user": "root", "job": "j" * 1_000_000, "node": "n" * 1_000_000, "at": 5, "exit": 0}
    (tmp_path / "runs").write_text(json.dumps({**run, "duration": 1.5, "gave_up": False, "command": ""}))
    rcronctl = program("rcronctl", f"cat {tmp_path}/runs")
    (found,) = rcron_info.last_runs(rcronctl, {"conf": "c", "claims": {"ok": True, "words": ""}})
    assert (len(json.dumps(found)) < 2000) == is_protected


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("modified", [2 * 10**11, 5 * 10**15, -(2 * 10**11)])
@pytest.mark.parametrize("is_protected", [True, False])
def test_the_time_of_a_file_of_the_feeder_s_user_s_hides_no_part_of_the_answer(
    program, monkeypatch, modified, is_protected
):
    if not is_protected:
        monkeypatch.setattr(rcron_info, "_with_times", lambda found, name: None)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # others than tmpfs keep fewer years
        conf = pathlib.Path(folder, "rcron.conf")
        conf.write_text(f"state_file = {folder}/run/state\ncluster_name = billing\n")
        state = pathlib.Path(folder, "run", "state")
        state.parent.mkdir()
        state.write_text("passive\n")
        os.utime(state, (modified, modified))
        rcronctl = program("rcronctl", f'PYTHONPATH={CHECKOUT} exec {sys.executable} -m rcron.ctl "$@"')
        found = rcron_info.cluster(rcronctl, str(conf))
    assert found["error"] == ""
    assert (answer.mismatch(found, answer.CLUSTER) is None) == is_protected


@pytest.mark.parametrize("line", ["", "x", "[]", "7", "null", "[" * 9999, '{"feeder": 7}'])
def test_a_rcronctl_that_is_another_program_is_an_error_of_its_cluster(program, tmp_path, line):
    (tmp_path / "said").write_text(line)
    found = rcron_info.cluster(program("rcronctl", f"cat {tmp_path}/said"), "c")
    assert set(found) == {"conf", "error"}
    assert "does not answer as rcronctl does" in found["error"]


# --- crontabs ---


@pytest.fixture
def crontabs(fake_crontab, tmp_path, monkeypatch):
    """A host with a user crontab and system crontabs. Returns the folder in place of /etc."""
    stand_in = fake_crontab("debian")
    etc = tmp_path / "etc"
    (etc / "cron.d").mkdir(parents=True)
    stand_in.crontab.write_text("#Ansible: nightly\n1 2 * * * /usr/bin/rcron --takeover-wait 9 /bin/a\n@daily /bin/b\n")
    (stand_in.spool / "no-such-user").write_text("1 2 * * * /bin/stray\n")
    (etc / "crontab").write_bytes(b"1 2 * * * bob /usr/bin/rcron --conf /etc/rcron/x.conf -c 'k\xe4se | x'\n")
    for name in ("app", "app.dpkg-old", ".hidden", "app~"):
        (etc / "cron.d" / name).write_text("1 2 * * * root /bin/c\n")
    (etc / "cron.d" / "gone").symlink_to(etc / "nowhere")
    monkeypatch.setenv("PATH", stand_in.search_path)
    every = crontab_store.all_crontabs
    monkeypatch.setattr(rcron_info, "all_crontabs", lambda command: every(command, (str(stand_in.spool),), str(etc)))
    return etc


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees all users' crontabs")
def test_every_entry_of_every_crontab_is_told(crontabs):
    found, unreadable = rcron_info.entries()
    assert unreadable == []
    shown = [(entry["crontab"], entry["line"], entry["name"], entry["user"], entry["command"]) for entry in found]
    assert shown == [
        ("root", 2, "nightly", "root", "/bin/a"),
        ("root", 3, None, "root", "/bin/b"),
        (f"{crontabs}/crontab", 1, None, "bob", "k\\xe4se | x"),
        (f"{crontabs}/cron.d/app", 1, None, "root", "/bin/c"),
    ]
    assert [(entry["guarded"], entry["conf"], entry["takeover_wait"]) for entry in found] == [
        (True, "/etc/rcron/rcron.conf", 9),
        (False, None, None),
        (True, "/etc/rcron/x.conf", None),
        (False, None, None),
    ]


@pytest.mark.parametrize("is_cronie", [True, False])
def test_each_entry_has_its_schedule(crontabs, monkeypatch, tmp_path, is_cronie):
    (crontabs / "crontab").unlink()
    text = "1\t2 * * MON root /bin/a\nCRON_TZ=Asia/Tokyo\n@daily root /bin/b\n"
    (crontabs / "cron.d" / "app").write_text(text)
    crond = tmp_path / "crond"
    monkeypatch.setattr(rcron_info, "CRONIE", str(crond))
    if is_cronie:
        crond.touch()
    found, _unreadable = rcron_info.entries()
    zone = "Asia/Tokyo" if is_cronie else None
    assert [(entry["schedule"], entry["zone"]) for entry in found[-2:]] == [("1 2 * * MON", None), ("@daily", zone)]


def test_the_time_zone_has_a_name_if_localtime_is_a_link_to_it(tmp_path):
    path = tmp_path / "localtime"
    path.symlink_to("/usr/share/zoneinfo/America/Argentina/Buenos_Aires")
    assert rcron_info.timezone(str(path)) == "America/Argentina/Buenos_Aires"
    path.unlink()
    path.write_bytes(b"TZif")
    assert rcron_info.timezone(str(path)) is None


def test_a_crontab_that_cannot_be_read_is_told(crontabs):
    (crontabs / "crontab").unlink()
    (crontabs / "crontab").mkdir()
    _found, unreadable = rcron_info.entries()
    assert unreadable == [f"{crontabs}/crontab is not a regular file. Name a crontab file such as /etc/cron.d/app."]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"# \0\n1 2 * * * root /bin/hidden\n", "line 1: NUL byte in column 3"),
        (b"1 2 * * * root rcron --takeover-wait 30s /bin/true\n", "line 1: rcron refuses to run this job"),
        (b"1 2 * * * root rcron --takeover-wait %s /bin/true\n" % (b"9" * 5000), "must be a whole number of seconds"),
        (b"1 2 * * * root rcron --takeover-wait 1_0 /bin/true\n", "because --takeover-wait is '1_0'"),
        (b"1 2 * * * root rcron --takeover-wait '\x1b[2J' /bin/true\n", r"is '\x1b[2J'"),
    ],
    ids=["NUL", "unit", "digits", "underscore", "control"],
)
def test_one_bad_crontab_is_one_line_of_the_answer_and_hides_no_other(crontabs, text, why):
    before, _unreadable = rcron_info.entries()
    (crontabs / "cron.d" / "bad").write_bytes(text)
    found, unreadable = rcron_info.entries()
    (line,) = unreadable
    assert line.startswith(f"{crontabs}/cron.d/bad")
    assert why in line
    assert [entry for entry in found if not entry["crontab"].endswith("/bad")] == before
    assert [entry["takeover_wait"] for entry in found if entry["crontab"].endswith("/bad")] in ([], [None])


def test_the_faults_of_one_crontab_leave_the_others_in_sight(crontabs):
    (crontabs / "cron.d" / "app").write_text("1 2 * * * root rcron --takeover-wait x /bin/true\n" * 5000)
    (crontabs / "cron.d" / "other").write_text("1 2 * * * root rcron --takeover-wait y /bin/true\n")
    unreadable = rcron_info.entries()[1]
    assert unreadable[-2] == f"{crontabs}/cron.d/app: and 4980 more lines with such a --takeover-wait."
    assert "is 'y'" in unreadable[-1]
    assert len(unreadable) == 22


@pytest.mark.parametrize(
    ("takeover_wait", "seconds"), [("30", 30), ("+30", 30), ("'0'", 0), ("-0", 0), ("86400", 86400), ("007", 7)]
)
def test_a_takeover_wait_is_read_as_rcron_reads_it(crontabs, takeover_wait, seconds):
    (crontabs / "cron.d" / "app").write_text(f"1 2 * * * root rcron --takeover-wait {takeover_wait} /bin/true\n")
    found, unreadable = rcron_info.entries()
    assert (found[-1]["takeover_wait"], unreadable) == (seconds, [])


def test_cronies_own_names_are_crontabs_under_cronie(fake_crontab, tmp_path):
    stand_in = fake_crontab("cronie")
    folder = tmp_path / "cron.d"
    folder.mkdir()
    for name in ("app.cron", "app.rpmsave", "app~", ".hidden", "a,v"):
        (folder / name).write_text("")
    command = crontab_store.CrontabCommand(stand_in.path)
    found = crontab_store.all_crontabs(command, (str(tmp_path / "none"),), str(tmp_path))
    assert [store.name for store in found if store.system] == [f"{folder}/app.cron"]


def test_a_host_without_crontab_has_system_crontabs_all_the_same(tmp_path):
    (tmp_path / "crontab").write_text("")
    found = crontab_store.all_crontabs(None, (str(tmp_path),), str(tmp_path))
    assert [store.name for store in found] == [f"{tmp_path}/crontab"]


# --- the journal ---


def test_the_last_runs_come_from_the_journal(program):
    cluster = "node1 rcron[%d]: cluster=billing state"
    lines = [
        f"9000.5 {cluster % os.getpid()}=active status=start cmd=/bin/mine",
        f"9000.5 {cluster % 4194305}=active status=start cmd=/bin/gone",
        f"9000.5 {cluster % 3}=active status=start cmd=/bin/a",
        f"9002.5 {cluster % 3}=active status=fail dur=2 exit=1 cmd=/bin/a",
        f"6399.9 {cluster % 4}=passive status=ignore cmd=/bin/b",
        f"6400.0 {cluster % 5}=passive status=ignore cmd=/bin/b",
    ]
    program("journalctl", f'echo "$*" >"$(dirname "$0")/asked"; cat <<\'EOF\'\n{chr(10).join(lines)}\nEOF')
    told = rcron_info.logged(500, 10000.0, [], False)
    found, ignored = told.pop("runs"), told.pop("ignored")
    assert told == {}
    assert [(run["command"], run["status"], run["started"], run["duration"], run["exit"]) for run in found] == [
        ("/bin/mine", "running", 9000.5, None, None),
        ("/bin/gone", "lost", 9000.5, None, None),
        ("/bin/a", "fail", 9000.5, 2, 1),
    ]
    assert ignored == {"billing": 1}
    asked = pathlib.Path(os.environ["PATH"].split(":")[0], "asked").read_text()
    assert "--identifier=rcron" in asked
    assert "--since=@9500" in asked


def service_runs(*names: str) -> str:
    """Return what a journal has of services that have begun."""
    line = "node1 rcron[1]: cluster=billing state=active status=start job={0} cmd={0}"
    return "\n".join(f"9000.5 {line.format(name)}" for name in names)


#: A systemctl that notes its words. a.service runs, and b.service has ended.
SYSTEMCTL = """\
printf '%s\\n' "$*" >>"$(dirname "$0")/asked-systemctl"
while [ "$1" != -- ]; do shift; done
shift
for unit; do
    case $unit in
    b.service) printf 'LoadState=loaded\\nActiveState=inactive\\n\\n' ;;
    mine.service) printf 'LoadState=not-found\\nActiveState=inactive\\n\\n' ;;
    *) printf 'LoadState=loaded\\nActiveState=active\\n\\n' ;;
    esac
done
"""


def test_what_runs_of_the_services_is_asked_in_one_question(program, tmp_path):
    program("journalctl", f"cat <<'EOF'\n{service_runs('a.service', 'b.service', 'mine.service', 'x@1.service')}\nEOF")
    program("systemctl", SYSTEMCTL)
    found = rcron_info.logged(500, 10000.0, [], False)["runs"]
    assert [(run["command"], run["status"]) for run in found] == [
        ("a.service", "running"),
        ("b.service", "lost"),
        ("mine.service", "running"),
        ("x@1.service", "running"),
    ]
    (asked,) = (tmp_path / "asked-systemctl").read_text().splitlines()
    assert asked == "show --property=LoadState,ActiveState -- a.service b.service mine.service x@1.service"


def test_a_systemd_that_does_not_answer_has_ended_nothing(program):
    program("journalctl", f"cat <<'EOF'\n{service_runs('b.service')}\nEOF")
    for text in ("exit 1", "echo ActiveState=inactive; echo; echo ActiveState=inactive"):
        program("systemctl", text)
        (run,) = rcron_info.logged(500, 10000.0, [], False)["runs"]
        assert run["status"] == "running"


FORGED = ("--image=/home/alice/x.service", "--host=192.0.2.1/x.service", "-H.service", "x@.service", "a b.service")


@pytest.mark.parametrize("is_protected", [True, False])
def test_nobody_gives_root_s_systemctl_an_option_by_logging_a_service(program, tmp_path, monkeypatch, is_protected):
    if not is_protected:
        monkeypatch.setattr(rcron_info.job_log, "SERVICE", re.compile(r".*\.service"))
    names = [*FORGED, *(f"forged{number}.service" for number in range(1000)), "b.service"]
    program("journalctl", f"cat <<'EOF'\n{service_runs(*names)}\nEOF")
    program("systemctl", SYSTEMCTL)
    monkeypatch.setattr(rcron_info, "MOST_UNITS", 200 if is_protected else 2000)
    found = rcron_info.logged(500, 10000.0, [], False)["runs"]
    assert {run["command"]: run["status"] for run in found}["b.service"] == "lost"
    (asked,) = (tmp_path / "asked-systemctl").read_text().splitlines()
    words = asked.split()
    assert words[:3] == ["show", "--property=LoadState,ActiveState", "--"]
    assert any(word in words for word in FORGED) == (not is_protected)
    assert (len(words) > 1000) == (not is_protected)


def test_a_host_without_a_journal_has_no_runs(monkeypatch):
    monkeypatch.setenv("PATH", "/no/such/rcronctl")
    assert rcron_info.logged(500, 1.0, ["/no/such/rcronctl"], False) == {"runs": [], "ignored": {}}


def test_all_that_is_logged_is_told_where_it_is_asked_for(program, monkeypatch):
    monkeypatch.setattr(rcron_info, "MOST_EVENTS", 3)
    monkeypatch.setattr(rcron_info, "LONGEST", 6)
    cluster = "node1 rcron[%d]: cluster=billing state"
    lines = [
        f"9000.0 {cluster % 1}=active status=start cmd=/bin/older",
        f"9001.0 {cluster % os.getpid()}=active status=start cmd=/bin/mine",
        f"9002.0 {cluster % 2}=active status=start cmd=/bin/gone",
        f"9003.0 {cluster % 3}=passive status=changed event=keepalived:INSTANCE",
    ]
    program("journalctl", f"cat <<'EOF'\n{chr(10).join(lines)}\nEOF")
    told = rcron_info.logged(2000, 10000.0, [], True)
    assert [(event["time"], event["status"], event["message"]) for event in told["events"]] == [
        (9001.0, "start", "/bin/m"),
        (9002.0, "start", "/bin/g"),
        (9003.0, "changed", "keepal"),
    ]
    assert told["events_since"] == 9001.0
    assert os.getpid() in told["running"]
    assert len(told["runs"]) == 3
    assert told["boots"][-1]["end"] == 10000.0


# --- as a task ---


def test_a_task_is_told_all_of_it_and_how_far_the_clock_is_off(tmp_path):
    play = tmp_path / "play.json"
    task = {"rcron.cluster.rcron_info": {"conf": ["/nonexistent.conf"], "rcronctl_path": "/no/such/rcronctl"}}
    hosts = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    play.write_text(json.dumps([{**hosts, "tasks": [{**task, "register": "told"}, {"debug": {"var": "told"}}]}]))
    out = subprocess.run(
        [
            "ansible-playbook",
            "--inventory",
            "localhost,",
            "--extra-vars",
            f"ansible_python_interpreter={sys.executable}",
            play,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1"},
    ).stdout
    told = json.loads("{" + out.partition('"told": {')[2].join(['"told": {', ""]).partition("\n}\n")[0] + "}")["told"]
    assert told["changed"] is False
    assert "elapsed" not in told
    assert told["clusters"] == [
        {"conf": "/nonexistent.conf", "error": "/no/such/rcronctl cannot be run: No such file or directory"}
    ]
    assert abs(told["clock_offset"]) <= told["clock_uncertainty"] + 0.01  # it is the same clock


def test_all_that_is_documented_is_returned_and_nothing_else(module, crontabs, program):
    line = f"{time.time():.6f} node1 rcron[1]: cluster=billing state=active status=start cmd=/bin/a"
    program("journalctl", f"echo '{line}'")
    told = module(
        rcron_info.main, conf=["/nonexistent.conf"], rcronctl_path="/no/such/rcronctl", events=True, ledger=True
    )
    documented = yaml.safe_load(rcron_info.RETURN)
    theirs = {"clock_offset", "clock_uncertainty"}  # the action plugin's, which takes `elapsed` out
    assert set(told) - {"invocation", "changed", "elapsed"} == set(documented) - theirs
    assert set(told["entries"][0]) == set(documented["entries"]["contains"])
    for name in ("runs", "events", "boots"):
        assert set(told[name][0]) == set(documented[name]["contains"])
    assert "events" not in module(rcron_info.main, conf=[])
    assert "runs" not in module(rcron_info.main, conf=[], history=0)


def test_who_keepalived_hears_without_expecting_it_comes_from_the_last_minute_of_its_journal(program):
    said = [
        "(VI_1) Received advert from 10.89.2.24 with lower priority 99, ours 100, forcing new election",
        "(VI_1) received advert from 10.89.2.24.",
        "(VI_6) Received advert from 2001:db8::7 with higher priority",
        "(VI_1) Entering BACKUP STATE",
    ]
    program("journalctl", f'echo "$*" >"$(dirname "$0")/asked"; cat <<\'EOF\'\n{chr(10).join(said)}\nEOF')
    assert rcron_info.heard() == ["10.89.2.24", "2001:db8::7"]


CMAP = """\
runtime.members.1.config_version (u64) = 0
runtime.members.1.ip (str) = r(0) ip(10.89.2.11)\x20
runtime.members.1.status (str) = joined
runtime.members.2.ip (str) = r(0) ip(2001:db8::2) r(1) ip(10.90.2.12)
runtime.members.2.status (str) = joined
runtime.members.3.ip (str) = r(0) ip(10.89.2.13)
runtime.members.3.status (str) = left
"""


@pytest.mark.parametrize(("mark", "members"), [(rcron_info.COROSYNC_MARK, ["10.89.2.11", "2001:db8::2"]), ("", [])])
def test_the_members_are_those_of_a_cluster_that_the_role_has_set_up(program, tmp_path, monkeypatch, mark, members):
    (tmp_path / "corosync.conf").write_text(f"{mark}\ntotem {{\n}}\n")
    program("corosync-cmapctl", f"cat <<'EOF'\n{CMAP}EOF")
    assert rcron_info.members(str(tmp_path / "corosync.conf")) == members
    monkeypatch.setenv("PATH", "/nonexistent")
    assert rcron_info.members(str(tmp_path / "corosync.conf")) == []


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_user_has_a_stranger_heard_by_logging_that(program, monkeypatch, is_protected):
    """`logger -t Keepalived_vrrp "Received advert from 192.0.2.66"` would have the playbook check fail."""
    said = "Received advert from 192.0.2.66"
    program("journalctl", f'case "$*" in *_UID=0*) ;; *) echo {said} ;; esac')
    if not is_protected:
        run = rcron_info.programs.run
        monkeypatch.setattr(
            rcron_info.programs, "run", lambda *words: run(*(word for word in words if word != "_UID=0"))
        )
    assert rcron_info.heard() == ([] if is_protected else ["192.0.2.66"])


def test_a_host_without_a_journal_hears_nobody(monkeypatch):
    monkeypatch.setenv("PATH", "/no/such/rcronctl")
    assert rcron_info.heard() == []
