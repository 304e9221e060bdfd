# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The socket at which runs are claimed: what it answers, and that nobody keeps it from the others."""

import grp
import json
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from rcron import settings
from rcron.agent.claims import Claims
from rcron.agent.engines import Engine

NOBODY = pwd.getpwnam("nobody").pw_uid

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")

#: Ask the agent one line as another user. Arguments: the user's number, the socket, the parts.
AS_ANOTHER = """\
import os, socket, sys
os.setgroups([])
os.setuid(int(sys.argv[1]))
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(20)
connection.connect(sys.argv[2])
connection.sendall("\\0".join(sys.argv[3].split("|")).encode() + b"\\n")
data = b""
while chunk := connection.recv(65536):
    data += chunk
    if data.endswith(b"\\n"):
        break
print(data.decode().replace("\\0", "|"), end="")
"""


@pytest.fixture
def served(node: Any, agent: Any) -> Any:
    """An agent that has been started; its socket can be reached by other users."""
    beside_the_state(node, agent)
    agent.start()
    return agent


def beside_the_state(node: Any, agent: Any) -> None:
    """Have the socket where other users can reach it."""
    node.state_file = agent.ledger.parent / "state"
    agent.path = agent.ledger.parent / "claim.sock"
    node.configure()


def ask_as_nobody(agent: Any, *parts: str) -> str:
    """Ask the agent as the user nobody."""
    command = [sys.executable, "-c", AS_ANOTHER, str(NOBODY), str(agent.path), "|".join(parts)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_the_first_is_answered_mine_and_the_second_whose_it_is(served: Any) -> None:
    assert served.ask(*served.claim("t1")) == ["mine"]
    assert served.ask(*served.claim("t2")) == ["other", "node1", "1764320400"]
    assert served.ask(*served.claim("t1")) == ["mine"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["what"], 'unknown request "what"'),
        ([""], "unknown request"),
        (["claim"], "cluster is not 1 to 256"),
        (["claim", "cluster=c1", "job=j", "fire=1", "token=t", "wait=soon"], '"soon" is not a number'),
        (["claim", "cluster=c1", "job=j", "fire=1", "token=t", "wait=1", "window=-1"], '"-1" is not a number'),
        (["claim", "cluster=c1", "job=j", "fire=1", "token=t", "wait=1e9"], '"1e9" is not a number'),
        (["claim", "cluster=c1", "job=j\r", "fire=1", "token=t", "wait=1"], "job is not 1 to 256 printable"),
        (["claim", "cluster=c1", "job=" + "j" * 257, "fire=1", "token=t", "wait=1"], "job is not 1 to 256"),
        (["ended", "cluster=c1", "job=j", "fire=1", "token=t", "exit=256", "duration=1"], '"256" is not a number'),
        (["history"], "no cluster"),
        (["counts"], "no cluster"),
        (["history", "cluster=c1", "limit=1001"], '"1001" is not a number'),
    ],
)
def test_what_is_not_a_request_is_refused_with_a_reason(served: Any, parts: "list[str]", words: str) -> None:
    answer = served.ask(*parts)
    assert answer[0] == "wrong"
    assert words in answer[1]


def test_its_status_is_the_engines(served: Any, node: Any) -> None:
    assert served.ask("status")[1].startswith("command, in a folder, ")
    (line,) = [line for line in node.ctl("status").stdout.splitlines() if line.startswith("claims:")]
    assert line.split(maxsplit=1)[1].startswith("command, in a folder, ")
    (served.ledger / "down").touch()
    time.sleep(1.1)
    assert served.ask("status")[:2] == ["failed", f"command: {served.ledger.parent}/engine: the engine is down"]
    assert "cannot be made: command: " in node.ctl("status").stdout


def test_claims_are_counted_from_when_root_first_asks(served: Any) -> None:
    served.ask(*served.claim("t0"))
    assert ask_as_nobody(served, "counts", "cluster=c1").startswith("unknown|")
    assert served.ask("counts", "cluster=c1") == ["ok", "mine=0", "other=0", "unknown=0", "seconds=0.000000"]
    assert ask_as_nobody(served, "counts", "cluster=c1").startswith("ok|mine=0|")
    served.ask(*served.claim("t1"))
    served.ask(*served.claim("t0"))
    (served.ledger / "down").touch()
    served.ask(*served.claim("t9", fire="600", wait="0.5"))
    word, *counts, seconds = served.ask("counts", "cluster=c1")
    assert [word, *counts] == ["ok", "mine=1", "other=1", "unknown=1"]
    assert float(seconds.partition("=")[2]) > 0.3
    # Not each of the clusters that any user claims for.
    served.ask(*served.claim("t1", cluster="c2"))
    assert served.ask("counts", "cluster=c2")[1] == "mine=0"
    for number in range(100):
        answer = served.ask("counts", f"cluster=x{number}")
    assert answer == ["unknown", "this cluster's claims are not counted"]


def test_status_shows_claims_only_if_there_are_any(node: Any) -> None:
    node.become("active")
    assert "claims:" not in node.ctl("status").stdout
    node.configure("claim = required")
    assert "cannot be made: rcron-agent: there is no " in node.ctl("status").stdout
    assert json.loads(node.ctl("status", "--json").stdout)["claims"]["ok"] is False


def test_history_shows_runs(served: Any, node: Any) -> None:
    served.ask(*served.claim("t1"))
    table = node.ctl("history").stdout.splitlines()
    assert table[0].split() == ["STARTED", "NODE", "USER", "OUTCOME", "JOB"]
    assert "node1" in table[1]
    assert "no end known" in table[1]
    (run,) = map(json.loads, node.ctl("history", "--json", "--unfinished").stdout.splitlines())
    assert run["node"] == "node1"
    assert node.ctl("history", "--json", "--failed").stdout == ""
    assert node.ctl("history", "--json", "--since", "1h").stdout == "", "it is of 1970"


def test_the_last_run_of_each_job(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rcron import history

    run = {"user": "root", "job": "a", "at": 5, "node": "n1", "exit": 0, "duration": 1, "gave_up": False, "command": ""}
    more = [{**run, "at": 4, "exit": 1}, {**run, "user": "bob"}, {**run, "job": "b", "exit": 1}, {**run, "job": "c"}]
    monkeypatch.setattr(history, "_page", lambda *_words: [{}, run, *more])
    monkeypatch.setattr(history, "MOST", 4)

    def last(wanted: str = "") -> "list[tuple[str, str, int]]":
        rows = map(json.loads, history.lines(settings.load(str(node.conf)), "", None, wanted, True, last=True))
        return [(row["user"], row["job"], row["at"]) for row in rows]

    assert last() == [("root", "a", 5), ("bob", "a", 5), ("root", "b", 5)]
    assert last("failed") == [("root", "b", 5)]


#: Half a minute past a full minute, in 2027.
NOON = 1800014430


@pytest.fixture
def crontab(node: Any, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The only crontab of a node that claims its runs, unchanged for ten minutes; see `missed`."""
    from rcron import entries

    path: pathlib.Path = node.conf.parent / "jobs"
    prefix = f"* * * * * root rcron --conf {node.conf}"
    path.write_text(
        f"{prefix} --job a -- true\n"
        f"{prefix} -- true x\n"
        f"{prefix} --job off --claim off -- true\n"
        f"{prefix} --job window --claim-window 60 -- true\n"
        f"@reboot root rcron --conf {node.conf} --job boot -- true\n"
        f"* * * * * root rcron --conf /etc/other.conf --job other -- true\n"
    )
    node.configure("claim = required", "takeover_wait = 60")
    for changed in (path, node.conf):
        os.utime(changed, (NOON - 600, NOON - 600))
    monkeypatch.setattr(entries, "find", lambda: list(entries.entries(path.read_text(), str(path), None)))
    monkeypatch.setattr(time, "time", lambda: float(NOON))
    return path


def missed(node: Any, monkeypatch: pytest.MonkeyPatch, runs: "list[dict[str, Any]]", **options: Any) -> Any:
    """What `rcronctl history --missed` shows of a ledger: how many minutes ago each entry was due."""
    from rcron import history

    monkeypatch.setattr(history, "_page", lambda *_words: [{}, *runs])
    given = {"job": "", "seconds": None, "as_json": True, **options}
    rows = map(json.loads, history.missed(settings.load(str(node.conf)), *given.values()))
    return [(row["job"], (NOON - 30 - row["due"]) // 60) for row in rows]


def test_history_knows_what_was_due_and_no_node_has_run(
    node: Any, crontab: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rcron import claim

    unnamed = claim.job_name("", ["true", "x"], False)

    def ran(job: str, minutes: int, gave_up: bool = False) -> "dict[str, Any]":
        fire = NOON - 30 - 60 * minutes
        return {"user": "root", "job": job, "fire": str(fire), "at": fire + 1, "gave_up": gave_up}

    # GRACE, takeover_wait and claim_wait (30) are over after 150 s, and the crontab was changed 10 minutes ago.
    due = range(2, 10)
    runs = [ran(job, minutes) for minutes in due for job in ("a", unnamed)]
    assert missed(node, monkeypatch, runs) == []
    some = [run for run in runs if run != ran("a", 5)]
    assert missed(node, monkeypatch, some) == [("a", 5)]
    assert missed(node, monkeypatch, [*some, ran("a", 5, gave_up=True)]) == [("a", 5)]
    assert missed(node, monkeypatch, [*some, {**ran("a", 5), "user": "bob"}]) == [("a", 5)]
    assert missed(node, monkeypatch, [], job=unnamed) == [(unnamed, minutes) for minutes in due]
    assert missed(node, monkeypatch, [], job="a", seconds=270) == [("a", 2), ("a", 3), ("a", 4)]


def test_history_says_nothing_of_days_whose_claims_may_be_gone(
    node: Any, crontab: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changed in (crontab, node.conf):
        os.utime(changed, (0, 0))
    minutes = missed(node, monkeypatch, [], job="a", seconds=7 * 86400)[-1][1]
    assert minutes == 24 * 60 - 1
    run = {"user": "root", "job": "a", "fire": "1", "at": NOON - 2 * 86400, "gave_up": False}
    minutes = missed(node, monkeypatch, [run], job="a", seconds=7 * 86400)[-1][1]
    assert minutes == 48 * 60 - 1


def test_missed_and_last_are_refused_together(node: Any) -> None:
    done = node.ctl("history", "--missed", "--last")
    assert done.returncode == 64
    assert "--last is about runs" in done.stderr


def test_history_says_why_it_cannot_be_had(served: Any, node: Any) -> None:
    (served.ledger / "down").touch()
    done = node.ctl("history")
    assert done.returncode == 75
    assert "the engine is down" in done.stderr
    served.stop()
    done = node.ctl("history")
    assert done.returncode == 75
    assert done.stderr.startswith("rcronctl: rcron-agent: ")


def test_a_second_agent_does_not_take_the_socket_away(served: Any) -> None:
    command = [served.program, "--conf", served.node.conf, "--agent-conf", served.conf, "--user", "root"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (
        73,
        f"rcron-agent: {served.path}: another rcron-agent answers there\n",
    )
    assert served.ask(*served.claim("t1")) == ["mine"]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [("engine = command\n", 78, "no endpoints"), ("engine = command\nendpoints = /usr/bin\n", 78, "not a program")],
)
def test_it_does_not_start_with_a_wrong_agent_conf(agent: Any, text: str, status: int, words: str) -> None:
    agent.conf.write_text(text)
    command = [agent.program, "--conf", agent.node.conf, "--agent-conf", agent.conf, "--user", "root"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(f"rcron-agent: {agent.conf}: ")
    assert words in done.stderr
    assert not agent.path.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--agent-conf"],
        ["--conf", "x"],
        ["--user", "root"],
        ["--agent-conf", "x", "--clusters", "y"],
        ["--agent-conf", "x", "--agent-conf", "y"],
        ["--agent-conf", "", "--conf", "x"],
        ["--check"],
        ["--forget", "c1"],
        ["--agent-conf", "x", "--forget"],
        ["--agent-conf", "x", "--check", "--forget", "c1"],
        ["--agent-conf", "x", "--check", "--conf", "y"],
        ["--check", "--user", "root"],
    ],
)
def test_a_wrong_command_line_is_reported(agent: Any, words: "list[str]") -> None:
    done = subprocess.run([agent.program, *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith("usage: rcron-agent")


def ask_once(agent: Any, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the agent with these words, and wait for its end."""
    command = [agent.program, "--agent-conf", agent.conf, "--user", "root", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_engine_can_be_tried_out_without_a_trace(agent: Any) -> None:
    done = ask_once(agent, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "in a folder\n", "")
    assert agent.claims() == {}


@pytest.mark.parametrize("broken", ["claim) exit 75", "ended) exit 1", "forget) exit 75", "claim) echo n 1; exit 1"])
def test_an_engine_that_does_not_do_all_is_not_fit(agent: Any, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    from rcron.agent import ledger

    monkeypatch.setattr(ledger, "PATIENCE", 0.0)
    program = pathlib.Path(agent.conf.read_text().partition("endpoints = ")[2].splitlines()[0])
    program.write_text(program.read_text().replace("case $1 in", f"case $1 in {broken} ;;", 1))
    assert ledger.check(str(agent.conf), "root") == 69


def test_what_the_engine_remarks_is_shown(agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from rcron.agent import ledger
    from rcron.agent.engines.command import Command

    monkeypatch.setattr(Command, "check", lambda _engine: "answers; one is away")
    monkeypatch.setattr(Command, "remarks", lambda _engine: ["it grows"])
    assert ledger.check(str(agent.conf), "root") == 0
    assert capsys.readouterr().out == "answers\nwarning: one is away\nwarning: it grows\n"


@needs_root
@pytest.mark.parametrize("words", [["--check"], ["--forget", "c1"]])
def test_the_engine_is_never_asked_as_root_unless_that_is_said(agent: Any, words: "list[str]") -> None:
    program = pathlib.Path(agent.conf.read_text().partition("endpoints = ")[2].splitlines()[0])
    asked = agent.ledger / "asked"
    program.write_text(program.read_text().replace("#!/bin/sh", f"#!/bin/sh\nid >>{asked}", 1))
    agent.ledger.chmod(0o777)
    done = subprocess.run(
        [agent.program, "--agent-conf", agent.conf, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    gid = pwd.getpwnam("nobody").pw_gid
    group = f"{gid}({grp.getgrgid(gid).gr_name})"
    assert set(asked.read_text().splitlines()) == {f"uid={NOBODY}(nobody) gid={group} groups={group}"}


@needs_root
def test_a_user_that_is_not_there_asks_nothing(agent: Any) -> None:
    command = [agent.program, "--agent-conf", agent.conf, "--user", "no-such-user", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 67
    assert done.stderr == "rcron-agent: user no-such-user does not exist; create it, or name another one with --user\n"


def test_a_clusters_claims_can_be_deleted(served: Any) -> None:
    served.ask(*served.claim("t1"))
    served.ask(*served.claim("t1", cluster="c2"))
    assert ask_once(served, "--forget", "c1").returncode == 0
    assert [name[:2] for name in served.claims()] == ["c2"]


def test_ends_that_wait_are_recorded_before_it_stops(served: Any) -> None:
    served.ask(*served.claim("t1"))
    served.ask("ended", *served.claim("t1")[1:5], "exit=3", "duration=1")
    served.stop()
    assert next(iter(served.claims().values()))[-1] == "end <3>"


def test_an_end_waits_for_its_engine(served: Any) -> None:
    served.ask(*served.claim("t1"))
    (served.ledger / "down").touch()
    assert served.ask("ended", *served.claim("t1")[1:5], "exit=3", "duration=1") == ["mine"]
    time.sleep(1.5)
    (served.ledger / "down").unlink()
    assert served.ended()[0][-1] == "end <3>"


def test_a_run_that_was_killed_while_it_asked_leaves_a_mark(served: Any) -> None:
    (served.ledger / "slow").write_text("1")
    connection = served.connect()
    connection.sendall("\0".join(served.claim("t1")).encode() + b"\n")
    until = time.monotonic() + 10
    while not served.claims() and time.monotonic() < until:
        time.sleep(0.02)
    connection.close()
    assert served.ended()[0][-1] == "end <>"


def test_an_answer_that_nobody_read_leaves_a_mark(served: Any) -> None:
    connection = served.connect()
    connection.sendall("\0".join(served.claim("t1")).encode() + b"\n")
    connection.recv(4096, socket.MSG_PEEK)
    connection.close()
    assert served.ended()[0][-1] == "end <>"


def test_an_answer_that_was_read_leaves_none(served: Any) -> None:
    served.ask(*served.claim("t1"))
    time.sleep(1.5)
    assert served.claims().popitem()[1] == ["t1 node1"]


def test_a_thousand_idle_connections_stop_nobody(served: Any) -> None:
    idle = []
    try:
        for _turn in range(1000):
            idle.append(served.connect())
        # Which has 20 seconds: less than if each idle one were waited for.
        assert served.ask(*served.claim("t1")) == ["mine"]
    finally:
        for connection in idle:
            connection.close()


def test_megabytes_without_a_newline_are_cut_off(served: Any) -> None:
    with served.connect() as connection, pytest.raises(OSError, match=r"Broken pipe|reset"):
        connection.sendall(b"x" * 8000000)
    assert served.ask(*served.claim("t1")) == ["mine"]


def test_many_lines_are_refused(served: Any) -> None:
    with served.connect() as connection:
        connection.sendall(b"status\nstatus\n")
        assert connection.makefile("rb").readline().startswith(b"wrong\0more than one line")


def test_who_reads_nothing_stops_nobody(served: Any) -> None:
    for index in range(300):
        (served.ledger / f"c1_root_{index}_{'x' * 180}").write_text("t1 node1\n")
    request = b"history\0cluster=c1\0limit=500\n"
    with served.connect() as one, served.connect() as two:
        for slow in (one, two):
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            slow.sendall(request)
        slow.recv(1)
        assert served.ask(*served.claim("t1")) == ["mine"]
        assert served.ask("history", "cluster=c1", "limit=500")[0] == "unknown", "two questions at once are enough"


@needs_root
def test_an_ordinary_user_claims_only_what_is_his_own(served: Any) -> None:
    assert served.ask(*served.claim("t1")) == ["mine"]
    assert ask_as_nobody(served, *served.claim("t2")) == "mine\n", "a job of his own"
    assert sorted(name.split("_")[1] for name in served.claims()) == ["nobody", "root"]


@needs_root
def test_an_ordinary_user_forges_no_end(served: Any) -> None:
    served.ask(*served.claim("t1"))
    ask_as_nobody(served, "ended", *served.claim("t1")[1:5], "exit=0", "duration=1")
    served.ask("ended", *served.claim("t1")[1:5], "exit=3", "duration=1")
    assert served.ended()[0] == ["t1 node1", "end <3>"]


@needs_root
def test_an_ordinary_user_sees_only_his_own_runs(served: Any) -> None:
    rows = [json.loads(line) for line in ask_as_nobody(served, "history", "cluster=c1").splitlines()[1:]]
    assert all(row["user"] == "nobody" for row in rows)
    assert "RCRON_USER" not in ask_as_nobody(served, "status")


@needs_root
def test_it_gives_up_roots_rights_and_its_secrets_stay_unreadable(node: Any, agent: Any) -> None:
    beside_the_state(node, agent)
    command = [agent.program, "--conf", node.conf, "--agent-conf", agent.conf, "--user", "nobody"]
    agent.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not agent.path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert agent.ask("status")[0] in ("ok", "failed")
    status = pathlib.Path(f"/proc/{agent.process.pid}/status").read_text()
    ids = [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))]
    assert ids[0] == [str(NOBODY)] * 4
    assert "0" not in ids[1]
    assert "CapEff:\t0000000000000000" in status
    assert "Groups:\t \n" in status
    script = f"import os; os.setuid({NOBODY}); open('/proc/{agent.process.pid}/environ').read()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr, "not even a process of the same user looks into it"


@pytest.mark.parametrize("how", ["unlinked", "replaced", "folder away"])
def test_it_ends_if_nobody_can_find_its_socket(served: Any, how: str) -> None:
    # systemd starts it anew, as root, who may make another one.
    folder = served.path.parent
    if how == "folder away":
        folder = folder.rename(folder.with_name(folder.name + "-away"))
    else:
        served.path.unlink()
        if how == "replaced":
            served.path.touch()
    try:
        served.process.communicate(timeout=20)
        assert served.process.returncode == 0
        served.process = None
    finally:
        folder.rename(served.path.parent)


def test_it_stays_as_long_as_its_socket_is_there(served: Any) -> None:
    time.sleep(2.5)
    assert served.ask(*served.claim("t1")) == ["mine"]


def test_it_takes_little_memory(served: Any) -> None:
    for fire in range(50):
        served.ask(*served.claim("t1", fire=str(fire)))
    status = pathlib.Path(f"/proc/{served.process.pid}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 40 * 1024


def test_it_ends_at_once_if_nothing_waits() -> None:
    began = time.monotonic()
    Claims(Engine(), "node1").stop(100.0)
    assert time.monotonic() - began < 50
