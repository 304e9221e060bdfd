# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A run that is claimed: what identifies it, and what the answers lead to."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from rcron import claim

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

#: Arguments: what to print of the Fire, --fire, --claim-window.
IDENTIFY = """\
import sys
sys.path.insert(0, sys.argv[1])
from rcron import claim
fire = claim.identify("", 0)
print(fire.key, fire.token, fire.is_refusable)
"""


def process(pid: int, name: str, parent: int, started: float, session: int = 0) -> claim.Process:
    """A process that started at a time of this machine's clock, in seconds since the epoch."""
    since_boot = started - time.time() + time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = int(since_boot * os.sysconf("SC_CLK_TCK"))
    fields = [b"S", b"%d" % parent, b"0", b"%d" % session, *[b"0"] * 15, b"%d" % ticks]
    return claim.Process(pid, name.encode(), fields)


class Table:
    """Processes in /proc's place; the first one is this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *processes: claim.Process, terminal: bool = False) -> None:
        self._found = {each.pid: each for each in processes}
        self._self = processes[0]
        monkeypatch.setattr(claim, "process", self.look)
        monkeypatch.setattr(claim.job, "has_terminal", lambda: terminal)
        monkeypatch.delenv("TRIGGER_TIMER_REALTIME_USEC", raising=False)

    def look(self, pid: "int | str") -> "claim.Process | None":
        """What /proc shows of a process."""
        return self._self if pid == "self" else self._found.get(int(pid))


#: A full minute of a while ago.
MINUTE = int(time.time()) // 60 * 60 - 600
BOOT = MINUTE - 3000

CRON = process(100, "cron", 1, BOOT)
CHILD = process(200, "cron", 100, MINUTE)


def test_crons_minute_is_the_fire_however_late_rcron_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = process(300, "sh", 200, MINUTE + 0.8)
    own = process(400, "rcron", 300, MINUTE + 75)
    Table(monkeypatch, own, leader, CHILD, CRON)
    fire = claim.identify("", 0)
    assert (fire.key, fire.is_refusable) == (str(MINUTE), True)


@pytest.mark.parametrize("offset", [0.0, 0.004, 59.2])
def test_a_start_at_the_minute_belongs_to_it(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    child = process(200, "cron", 100, MINUTE + offset)
    Table(monkeypatch, process(300, "rcron", 200, MINUTE + offset), child, CRON)
    assert claim.identify("", 0).key == str(MINUTE)


@pytest.mark.parametrize("daemon", ["cron", "crond"])
def test_a_session_that_cron_takes_a_minute_to_open_moves_no_fire(monkeypatch: pytest.MonkeyPatch, daemon: str) -> None:
    """cron's daemon forks in the entry's minute; what it forks may wait for PAM before it starts the shell."""
    leader = process(300, "sh", 200, MINUTE + 65)
    child, top = process(200, daemon, 100, MINUTE + 1), process(100, daemon, 1, BOOT, session=100)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 66), leader, child, top)
    assert claim.identify("", 0).key == str(MINUTE)


def test_cronie_is_a_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, child = process(100, "crond", 1, BOOT), process(200, "crond", 100, MINUTE)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 90), process(300, "bash", 200, MINUTE + 1), child, daemon)
    assert claim.identify("", 0).key == str(MINUTE)


def test_a_new_session_below_cron_is_the_same_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = process(300, "sh", 200, MINUTE + 1)
    own = process(400, "rcron", 300, MINUTE + 70, session=400)
    Table(monkeypatch, own, leader, CHILD, CRON)
    assert claim.identify("", 0).key == str(MINUTE)


def test_two_runs_of_one_entry_have_one_token_and_two_entries_two(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, other = process(300, "sh", 200, MINUTE + 1), process(301, "sh", 200, MINUTE + 1)
    tokens = []
    for own, above in ((400, leader), (401, leader), (402, other)):
        Table(monkeypatch, process(own, "rcron", above.pid, MINUTE + 2), above, CHILD, CRON)
        tokens.append(claim.identify("", 0).token)
    assert tokens[0] == tokens[1] != tokens[2]


def test_at_reboot_is_recorded_and_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = process(100, "cron", 1, MINUTE + 20)
    child, leader = process(200, "cron", 100, MINUTE + 21), process(300, "sh", 200, MINUTE + 21)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 200), leader, child, daemon)
    fire = claim.identify("", 0)
    assert fire.key == f"!{fire.token}"
    assert not fire.is_refusable


def test_the_first_minute_after_crons_start_is_a_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = process(100, "cron", 1, MINUTE - 1)
    Table(monkeypatch, process(300, "rcron", 200, MINUTE + 0.5), process(200, "cron", 100, MINUTE), daemon)
    assert claim.identify("", 0).key == str(MINUTE)


def test_a_job_that_outlives_crons_daemon_is_not_taken_for_at_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of cron restarts the daemon, while a job sleeps before it asks."""
    orphan = process(200, "cron", 1, MINUTE, session=100)
    leader = process(300, "sh", 200, MINUTE + 0.1, session=300)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 30), leader, orphan, process(1, "systemd", 0, BOOT))
    fire = claim.identify("", 0)
    assert (fire.key, fire.is_refusable) == (str(MINUTE), True)


@pytest.mark.parametrize("started", [BOOT, MINUTE + 20])
def test_cron_may_be_a_containers_first_process(monkeypatch: pytest.MonkeyPatch, started: float) -> None:
    daemon, child = process(1, "cron", 0, started, session=1), process(200, "cron", 1, MINUTE + 20.5, session=1)
    leader = process(300, "sh", 200, MINUTE + 20.5, session=300)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 95), leader, child, daemon)
    fire = claim.identify("", 0)
    assert fire.is_refusable == (started == BOOT)
    assert fire.key == (str(MINUTE) if started == BOOT else f"!{fire.token}")


def test_a_cron_that_starts_jobs_itself_has_at_reboot_too(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = process(100, "crond", 1, MINUTE + 20, session=100)
    Table(monkeypatch, process(300, "rcron", 100, MINUTE + 20.5), daemon, process(1, "init", 0, BOOT))
    assert not claim.identify("", 0).is_refusable


def test_a_cron_that_starts_just_before_a_minute_runs_that_minutes_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, child = process(100, "cron", 1, MINUTE - 0.05, session=100), process(200, "cron", 100, MINUTE)
    Table(monkeypatch, process(300, "rcron", 200, MINUTE), child, daemon)
    assert claim.identify("", 0).key == str(MINUTE)


def test_a_run_at_a_terminal_is_a_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    Table(monkeypatch, process(400, "rcron", 300, MINUTE), process(300, "bash", 1, BOOT), terminal=True)
    one, two = claim.identify("", 0), claim.identify("", 0)
    assert not one.is_refusable
    assert one.key != two.key


def test_what_fire_says_counts_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Table(monkeypatch, process(400, "rcron", 300, MINUTE), process(300, "bash", 1, BOOT), terminal=True)
    fire = claim.identify("tick 7", 0)
    assert (fire.key, fire.is_refusable) == ("=tick 7", True)


def test_a_service_that_loops_is_its_own_fire_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = process(300, "sh", 1, BOOT)
    keys = []
    for started in (MINUTE + 3, MINUTE + 63):
        Table(monkeypatch, process(400, "rcron", 300, started), loop)
        keys.append(claim.identify("", 0).key)
    assert keys == [str(MINUTE), str(MINUTE + 60)]


@pytest.mark.parametrize("manager", [(), (process(50, "systemd", 1, BOOT),)])
def test_a_timers_service_is_known_by_its_first_process(
    monkeypatch: pytest.MonkeyPatch, manager: "tuple[claim.Process, ...]"
) -> None:
    """And not by its first trigger, which systemd names in each of its runs."""
    found = []
    environment = {**claim.posix.environ, b"TRIGGER_TIMER_REALTIME_USEC": b"%d" % ((MINUTE + 29) * 1000000)}
    for number, started in ((300, MINUTE + 30), (301, MINUTE + 150)):
        service = process(number, "sh", 50 if manager else 1, started)
        Table(monkeypatch, process(400, "rcron", number, started + 75), service, *manager)
        monkeypatch.setattr(claim.posix, "environ", environment)
        found.append(claim.identify("", 0))
    assert [fire.key for fire in found] == [str(MINUTE), str(MINUTE + 120)]
    assert found[0].token != found[1].token


def test_a_guarded_service_is_known_by_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**claim.posix.environ, b"TRIGGER_TIMER_REALTIME_USEC": b"%d" % ((MINUTE + 29) * 1000000)}
    monkeypatch.setattr(claim.posix, "environ", environment)
    keys = []
    for started in (MINUTE + 30, MINUTE + 150):
        Table(monkeypatch, process(400, "rcronctl", 1, started))
        keys.append(claim.identify_service(0).key)
    assert keys == [str(MINUTE), str(MINUTE + 120)]


@pytest.mark.parametrize(
    ("unit", "schedule", "is_refusable"),
    [
        ("cron-app-root-0.timer", "OnBootSec=1m", False),
        ("cron-app-root-0.timer", "OnCalendar=*-*-* *:*:00", True),
        ("cron-app-root-0.timer", "OnBootSec=1m\nOnCalendar=*-*-* *:*:00", True),
        ("other.timer", "OnBootSec=1m", True),
        ("cron-../other.timer", "OnBootSec=1m", True),
        ("cron-lost.timer", "", True),
    ],
)
def test_systemd_cron_has_at_reboot_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, unit: str, schedule: str, is_refusable: bool
) -> None:
    (tmp_path / "cron-..").mkdir()
    if schedule:
        (tmp_path / unit).write_text(f"[Unit]\nSourcePath=/etc/cron.d/app\n\n[Timer]\n{schedule}\n")
    Table(monkeypatch, process(400, "rcron", 300, MINUTE), process(300, "sh", 1, MINUTE))
    due = {b"TRIGGER_TIMER_REALTIME_USEC": b"%d" % (MINUTE * 1000000), b"TRIGGER_UNIT": unit.encode()}
    monkeypatch.setattr(claim.posix, "environ", {**claim.posix.environ, **due})
    monkeypatch.setattr(claim, "_GENERATED", os.fsencode(f"{tmp_path}/"))
    fire = claim.identify("", 0)
    assert (fire.key, fire.is_refusable) == (str(MINUTE) if is_refusable else f"!{fire.token}", is_refusable)


def test_a_session_that_hidepid_shows_alone_is_taken_for_crons(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = process(300, "sh", 2, MINUTE + 1, session=300)
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 75, session=300), leader)
    monkeypatch.setattr(claim, "_is_there", lambda pid: pid == 2)
    assert claim.identify("", 0).key == str(MINUTE)


def test_a_process_that_lost_its_parent_is_not_crons(monkeypatch: pytest.MonkeyPatch) -> None:
    Table(monkeypatch, process(400, "rcron", 300, MINUTE + 75, session=300))
    assert claim.identify("", 0).key == str(MINUTE + 60)


def test_a_window_has_no_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    Table(monkeypatch, process(300, "rcron", 200, MINUTE), CHILD, CRON)
    fire = claim.identify("", 60)
    assert (fire.key, fire.is_refusable) == (f"+{fire.token}", True)


def test_a_real_process_is_identified_by_its_own_start() -> None:
    command = [sys.executable, "-c", IDENTIFY, CHECKOUT]
    key, token, is_refusable = subprocess.run(
        command, capture_output=True, text=True, check=True, start_new_session=True
    ).stdout.split()
    assert time.time() - 120 < int(key) <= time.time()
    assert int(key) % 60 == 0
    assert (len(token), is_refusable) == (24, "True")


@pytest.mark.parametrize("text", ["", "x", ")", "1 (sh) S 2", "1 (sh) S a b c " + "0 " * 30])
def test_a_stat_that_is_none_is_nothing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(claim.posix, "read", lambda _fd, _length: text.encode())
    assert claim.process(os.getpid()) is None


def test_words_do_not_run_into_each_other() -> None:
    digests = {claim.digest(*words) for words in (["a", "b"], ["ab"], ["a b"], ["", "ab"], ["a", "b", ""])}
    assert len(digests) == 5


@pytest.fixture
def claiming(node: Any) -> Any:
    """A node that is active and must claim its runs."""
    node.become("active")
    node.configure("claim = required", "claim_wait = 10")
    return node


def run(node: Any, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run rcron without a terminal, as cron does."""
    result: "subprocess.CompletedProcess[str]" = node.run(*words, start_new_session=True)
    return result


def test_a_fire_is_run_once(claiming: Any, agent: Any) -> None:
    agent.start()
    assert run(claiming, "--job", "report", "--fire", "1", "sh", "-c", "echo ran; exit 3").stdout == "ran\n"
    again = run(claiming, "--job", "report", "--fire", "1", "echo", "ran")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert run(claiming, "--job", "report", "--fire", "2", "echo", "ran").stdout == "ran\n"
    assert claiming.log_without_times()[:3] == [
        "9.6 cluster=c1 state=active status=start job=report cmd=sh -c echo ran; exit 3",
        "9.6 cluster=c1 state=active status=fail dur=N exit=3 job=report cmd=sh -c echo ran; exit 3",
        "9.6 cluster=c1 state=active status=ignore by=node1 job=report cmd=echo ran",
    ]
    assert "end <3>" in [line for lines in agent.ended(2) for line in lines]


def test_a_job_without_a_name_is_known_by_its_words(claiming: Any, agent: Any) -> None:
    agent.start()
    assert run(claiming, "--fire", "1", "echo", "a").stdout == "a\n"
    assert run(claiming, "--fire", "1", "echo", "a").stdout == ""
    assert run(claiming, "--fire", "1", "echo", "b").stdout == "b\n"
    assert run(claiming, "--fire", "1", "-c", "echo a").stdout == "a\n"


def test_another_nodes_run_has_the_passive_exit_status(claiming: Any, agent: Any) -> None:
    claiming.configure("claim = required", "passive_exit = 7")
    agent.start()
    run(claiming, "--fire", "1", "true")
    assert run(claiming, "--fire", "1", "true").returncode == 7


@pytest.mark.parametrize("how", ["no socket", "nobody listens", "hangs", "closes", "rubbish", "drips"])
def test_if_nobody_can_tell_a_required_claim_fails_loudly_and_in_time(claiming: Any, how: str) -> None:
    claiming.configure("claim = required", "claim_wait = 1")
    path = claiming.state_file.parent / "claim.sock"
    server = None
    if how != "no socket":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        if how == "nobody listens":
            listener.close()
        else:
            listener.listen(50)
            script = {"hangs": "", "closes": "c.close()", "rubbish": "c.send(b'x' * 100000)", "drips": DRIP}[how]
            server = subprocess.Popen(
                [sys.executable, "-c", SERVE % script, str(listener.fileno())], pass_fds=[listener.fileno()]
            )
            listener.close()
    try:
        began = time.monotonic()
        done = run(claiming, "--job", "report", "echo", "ran")
        assert 0.9 < time.monotonic() - began < 20
    finally:
        if server:
            server.kill()
            server.wait()
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.count("\n") == 1
    assert "cannot tell whether this run is this node's own" in done.stderr
    warning, event = claiming.log_without_times()
    assert warning.startswith("9.4 cluster=c1 warning: claim: cannot tell")
    assert event == "9.6 cluster=c1 state=active claim=unknown status=fail dur=N exit=75 job=report cmd=echo ran"


SERVE = """\
import socket, sys, time
listener = socket.socket(fileno=int(sys.argv[1]))
kept = []
while True:
    c = listener.accept()[0]
    kept.append(c)
    try:
        %s
        pass
    except OSError:
        pass
"""
DRIP = "[(c.send(b'x'), time.sleep(0.05)) for turn in range(200)]"


def test_a_preferred_claim_runs_and_says_so(claiming: Any) -> None:
    claiming.configure("claim = preferred", "claim_wait = 1")
    done = run(claiming, "echo", "ran")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert claiming.log_without_times()[1:] == [
        "9.6 cluster=c1 state=active claim=unknown status=start cmd=echo ran",
        "9.6 cluster=c1 state=active claim=unknown status=ok dur=N exit=0 cmd=echo ran",
    ]


def test_a_node_that_turned_passive_meanwhile_does_not_run_unclaimed(claiming: Any) -> None:
    claiming.configure("claim = preferred", "claim_wait = 3")
    process = claiming.start("echo", "ran", start_new_session=True)
    time.sleep(1)
    claiming.become("passive")
    assert process.communicate(timeout=20)[0] == ""
    assert claiming.log()[-1] == "9.6 cluster=c1 state=passive status=ignore cmd=echo ran"


def test_an_entrys_own_claim_overrides_the_configured_one(claiming: Any) -> None:
    assert run(claiming, "--claim", "off", "echo", "ran").stdout == "ran\n"
    claiming.configure("claim_wait = 1")
    assert run(claiming, "--claim=required", "echo", "ran").returncode == 75


def test_a_passive_node_claims_nothing_and_loads_nothing(claiming: Any, agent: Any) -> None:
    agent.start()
    claiming.become("passive")
    assert run(claiming, "--fire", "1", "echo", "ran").stdout == ""
    assert agent.claims() == {}
    command = (
        f"import sys; sys.argv = ['rcron', *{claiming.command('true')[1:]}]; sys.path.insert(0, {str(CHECKOUT)!r})\n"
    )
    command += (
        "from rcron import __main__; __main__.main(); print([n for n in sys.modules if 'claim' in n or n == '_socket'])"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_fire_is_from_before_the_wait_for_a_promotion(claiming: Any, agent: Any) -> None:
    agent.start()
    claiming.become("passive")
    process = claiming.start("--takeover-wait", "20", "--fire", "1", "echo", "ran", start_new_session=True)
    time.sleep(0.5)
    claiming.become("active")
    assert process.communicate(timeout=20)[0] == "ran\n"
    assert run(claiming, "--fire", "1", "echo", "ran").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_agent_that_ends_in_the_middle_of_an_answer_loses_no_claim(claiming: Any, agent: Any, number: int) -> None:
    claiming.configure("claim = required", "claim_wait = 20")
    (agent.ledger / "slow").write_text("1.5")
    agent.start()
    process = claiming.start("--job", "report", "--fire", "1", "echo", "ran", start_new_session=True)
    until = time.monotonic() + 10
    while not agent.claims() and time.monotonic() < until:
        time.sleep(0.02)
    agent.stop(number)
    assert len(agent.claims()) == 1, "the engine has it, and nobody knows"
    (agent.ledger / "slow").unlink()
    agent.start()
    assert process.communicate(timeout=30)[0] == "ran\n"
    assert run(claiming, "--job", "report", "--fire", "1", "echo", "ran").stdout == ""


def test_a_slow_engine_makes_runs_late_and_starts_each_once(claiming: Any, agent: Any) -> None:
    claiming.configure("claim = required", "claim_wait = 60")
    (agent.ledger / "slow").write_text("1")
    agent.start()
    words = ("--job", "report", "--fire", "1", "echo", "ran")
    processes = [claiming.start(*words, start_new_session=True) for _node in range(6)]
    assert [process.communicate(timeout=60)[0] for process in processes].count("ran\n") == 1
    assert [process.returncode for process in processes] == [0] * 6


def test_an_engine_that_comes_back_in_time_is_waited_for(claiming: Any, agent: Any) -> None:
    (agent.ledger / "down").touch()
    agent.start()
    process = claiming.start("--fire", "1", "echo", "ran", start_new_session=True)
    time.sleep(1)
    assert process.poll() is None
    (agent.ledger / "down").unlink()
    assert process.communicate(timeout=20)[0] == "ran\n"


def test_an_engine_that_is_down_says_why(claiming: Any, agent: Any) -> None:
    claiming.configure("claim = required", "claim_wait = 2")
    (agent.ledger / "down").touch()
    agent.start()
    done = run(claiming, "--fire", "1", "echo", "ran")
    assert done.returncode == 75
    assert "the engine is down" in done.stderr


def test_a_claim_that_is_found_after_its_run_gave_up_is_marked(claiming: Any, agent: Any) -> None:
    claiming.configure("claim = required", "claim_wait = 1")
    (agent.ledger / "slow").write_text("2")
    agent.start()
    assert run(claiming, "--job", "report", "--fire", "1", "echo", "ran").returncode == 75
    assert agent.ended()[0][-1] == "end <>"


def test_a_folder_that_everyone_may_write_is_not_trusted(claiming: Any, agent: Any) -> None:
    claiming.configure("claim = required", "claim_wait = 1", "default_state = active")
    agent.start()
    claiming.state_file.parent.chmod(0o777)
    done = run(claiming, "echo", "ran")
    assert done.returncode == 75
    assert "everyone may write" in done.stderr


def test_a_person_waits_a_second_for_the_record_and_is_never_refused(
    claiming: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    from rcron import settings

    config = settings.load(str(claiming.conf))
    monkeypatch.setattr(claim.log, "_send", lambda *_line: None)
    monkeypatch.setattr(claim.job, "run", lambda *_words: 5)
    made = claim.Claim(config, "report", ["true"], False, 0)
    began = time.monotonic()
    assert made.run(claim.Fire("!t", "t", False), "required", "", None) == 5
    assert time.monotonic() - began < 20
    assert capfd.readouterr().err == ""
