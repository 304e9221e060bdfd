# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A job ends when its node turns passive: on_demotion = terminate."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from waiting import wait_until

from rcron import demotion, settings, state

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def active(node: Any) -> Any:
    node.configure("on_demotion = terminate", "kill_after = 1")
    node.become("active")
    return node


class Job:
    """A shell script that runs under rcron, ready once it has begun."""

    def __init__(self, node: Any, script: str) -> None:
        self.node = node
        self.ready = node.folder / "ready"
        self.process = node.start("sh", "-c", script.format(ready=self.ready))
        wait_until(self.ready.exists, "ready is there")

    def demote(self) -> None:
        state.write(str(self.node.state_file), "passive")

    def end(self) -> "tuple[float, int]":
        """Seconds until rcron ended, and its exit status."""
        began = time.monotonic()
        self.process.communicate(timeout=20)
        return time.monotonic() - began, self.process.returncode


def running(mark: pathlib.Path) -> bool:
    """Whether whoever writes to a file goes on with it."""
    before = mark.stat().st_size
    time.sleep(0.4)
    return mark.stat().st_size != before


# Writes the state about a thousand times a second.
FLIP = """\
import sys, time
sys.path.insert(0, sys.argv[1])
from rcron import state
end = time.monotonic() + 30
while time.monotonic() < end:
    for new in ("active", "passive"):
        state.write(sys.argv[2], new)
        time.sleep(0.0005)
"""

BEAT = "while :; do echo >> {mark}; sleep 0.05; done"


def test_a_demotion_ends_the_job_within_a_second(active: Any) -> None:
    job = Job(active, "touch {ready}; exec sleep 60")
    job.demote()
    seconds, status = job.end()
    assert status == 128 + signal.SIGTERM
    assert seconds < 2
    log = active.log_without_times()
    assert log[1].startswith("9.6 cluster=c1 state=passive status=demoted dur=N cmd=sh -c ")
    assert log[2].startswith("9.6 cluster=c1 state=active status=fail dur=N exit=143 cmd=sh -c ")


def test_a_state_that_goes_stale_ends_the_job(active: Any) -> None:
    active.configure("on_demotion = terminate", "state_max_age = 1")
    active.become("active")
    job = Job(active, "touch {ready}; exec sleep 60")
    assert job.end()[0] < 6
    assert " state=passive status=demoted " in active.log()[1]
    assert " reason=stale " in active.log()[1]


def test_a_veto_of_the_agents_ends_the_job_long_before_the_state_is_stale(active: Any) -> None:
    """The node's folder is read-only, so nothing changes there."""
    active.configure("on_demotion = terminate", "state_max_age = 8")
    active.become("active")
    job = Job(active, "touch {ready}; exec sleep 60")
    time.sleep(0.5)  # it has looked at the state once more after it has started the job
    pathlib.Path(settings.load(str(active.conf)).agent_file("passive")).touch()
    seconds, status = job.end()
    assert status == 143
    assert seconds < 4
    assert not any("reason=stale" in line for line in active.log())


def test_an_active_state_that_is_refreshed_is_looked_at_no_oftener_than_it_could_be_stale(active: Any) -> None:
    active.configure("on_demotion = terminate", "state_max_age = 4")
    active.become("active")
    job = Job(active, "touch {ready}; exec sleep 60")
    time.sleep(0.5)
    status = pathlib.Path(f"/proc/{job.process.pid}/status")

    def looks() -> int:
        return int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    before = looks()
    for _turn in range(3):
        time.sleep(1)
        os.utime(active.state_file)
    assert looks() - before <= 1
    time.sleep(2)
    assert job.process.poll() is None  # it was refreshed after the last look
    job.demote()
    assert job.end()[1] == 143


def test_a_pin_ends_the_job(active: Any) -> None:
    job = Job(active, "touch {ready}; exec sleep 60")
    active.ctl("pin", "passive")
    assert job.end()[1] == 143
    assert any("state=passive pin=unpin status=demoted" in line for line in active.log())


def test_the_jobs_children_are_ended_too(active: Any) -> None:
    mark = active.folder / "mark"
    beat = BEAT.format(mark=mark)
    job = Job(active, f"({beat}) & ({beat}) & touch {{ready}}; wait")
    job.demote()
    job.end()
    assert not running(mark)


def test_what_ignores_term_is_killed_after_kill_after(active: Any) -> None:
    job = Job(active, "trap '' TERM; touch {ready}; while :; do sleep 0.05; done")
    job.demote()
    seconds, status = job.end()
    assert status == 128 + signal.SIGKILL
    assert 0.9 < seconds < 5


def test_a_child_that_outlives_the_job_is_killed_after_kill_after(active: Any) -> None:
    mark = active.folder / "mark"
    job = Job(active, f"(trap '' TERM; {BEAT.format(mark=mark)}) & touch {{ready}}; sleep 60")
    job.demote()
    seconds, status = job.end()
    assert status == 143
    assert 0.9 < seconds < 5
    assert not running(mark)


def test_a_job_that_cleans_up_has_its_time(active: Any) -> None:
    active.configure("on_demotion = terminate", "kill_after = 10")
    done = active.folder / "done"
    job = Job(active, f"trap 'sleep 0.5; touch {done}; exit 7' TERM; touch {{ready}}; while :; do sleep 0.05; done")
    job.demote()
    seconds, status = job.end()
    assert status == 7
    assert seconds < 5
    assert done.exists()


@pytest.mark.parametrize("leave", ["timeout 60", "setsid -w"])
def test_what_left_the_group_is_found_by_its_parents(active: Any, leave: str) -> None:
    mark = active.folder / "mark"
    job = Job(active, f"{leave} sh -c '{BEAT.format(mark=mark)}' & touch {{ready}}; wait; :")
    time.sleep(0.3)
    assert running(mark)
    job.demote()
    job.end()
    assert not running(mark)


def test_a_stopped_job_is_ended(active: Any) -> None:
    job = Job(active, "echo $$ > {ready}.pid; touch {ready}; while :; do sleep 0.05; done")
    os.kill(int(pathlib.Path(f"{job.ready}.pid").read_text()), signal.SIGSTOP)
    job.demote()
    assert job.end()[1] == 143


def test_a_job_that_ends_by_itself_keeps_its_status(active: Any) -> None:
    assert active.run("sh", "-c", "exit 5").returncode == 5
    assert active.run("-c", "exit 6").returncode == 6
    assert active.run("true").returncode == 0


def test_signals_still_reach_the_job(active: Any) -> None:
    job = Job(active, "trap 'exit 9' USR1; touch {ready}; while :; do sleep 0.05; done")
    job.process.send_signal(signal.SIGUSR1)
    assert job.end()[1] == 9


def test_by_default_a_demotion_leaves_the_job_alone(active: Any) -> None:
    active.configure()
    job = Job(active, "touch {ready}; sleep 1.5; exit 4")
    job.demote()
    assert job.end()[1] == 4
    assert not any("demoted" in line for line in active.log())


@pytest.mark.parametrize("options", [[], ["--takeover-wait", "20"]])
def test_rcron_may_be_removed_while_it_waits(active: Any, tmp_path: pathlib.Path, options: "list[str]") -> None:
    library = tmp_path / "library"
    shutil.copytree(CHECKOUT / "rcron", library / "rcron", ignore=shutil.ignore_patterns("__pycache__"))
    active.rcron.write_text(active.rcron.read_text().replace(repr(str(CHECKOUT)), repr(str(library))))
    state.write(str(active.state_file), "passive" if options else "active")
    process = active.start(*options, "sh", "-c", "echo ran; sleep 2; exit 5")
    time.sleep(1)
    shutil.rmtree(library)
    # Whatever is looked at now is looked at without the library: a pin, a new state, the job itself.
    active.ctl("pin", "active")
    assert process.communicate(timeout=20)[0] == "ran\n"
    assert process.returncode == 5


def test_a_removal_of_rcron_is_not_a_demotion(active: Any) -> None:
    """The configuration goes first, before the state becomes default_state, which is passive on most nodes."""
    job = Job(active, "touch {ready}; sleep 1.5; exit 4")
    active.conf.unlink()
    job.demote()
    assert job.end()[1] == 4
    assert not any("demoted" in line for line in active.log())


def test_nobody_elses_process_is_ended(active: Any) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    job = Job(active, "touch {ready}; exec sleep 60")
    job.demote()
    job.end()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_jobs_that_start_while_the_state_flips_log_what_they_did(active: Any) -> None:
    """Each job's log must match what it did, whatever the state was just then."""
    active.configure()
    process = subprocess.Popen([sys.executable, "-c", FLIP, str(CHECKOUT), str(active.state_file)])
    while state.current(settings.load(str(active.conf))).state == "active":
        time.sleep(0.001)
    try:
        jobs = [(i, active.start("echo", f"ran-{i}")) for i in range(100)]
        ran = {i for i, job in jobs if job.communicate(timeout=30)[0] == f"ran-{i}\n"}
    finally:
        process.kill()
        process.wait()
    log = active.log_without_times()
    assert 0 < len(ran) < 100
    for i in range(100):
        lines = [line.split(" ", 1)[1] for line in log if line.endswith(f"cmd=echo ran-{i}")]
        if i in ran:
            assert sorted(lines) == [
                f"cluster=c1 state=active status=ok dur=N exit=0 cmd=echo ran-{i}",
                f"cluster=c1 state=active status=start cmd=echo ran-{i}",
            ]
        else:
            assert lines == [f"cluster=c1 state=passive status=ignore cmd=echo ran-{i}"]
    assert not any("warning" in line for line in log)


def test_a_demotion_does_not_look_through_all_processes(active: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hundred jobs that did, all at once, kept two processors busy for 15 s."""
    listed = []
    listdir = demotion.posix.listdir
    monkeypatch.setattr(demotion.posix, "listdir", lambda path: listed.append(path) or listdir(path))
    job = os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, setpgroup=0)
    other = os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, setpgroup=job)
    members = demotion._Members(job, own_group=True)
    members.signal(signal.SIGTERM)
    os.waitpid(job, 0)
    assert members.left()  # nobody has asked yet how the other one ended
    os.waitpid(other, 0)
    assert not members.left()
    assert listed.count("/proc") == 0


def test_if_the_kernel_does_not_tell_of_children_all_processes_are_looked_through(
    active: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["sh", "-c", "setsid sleep 60 & setsid sleep 60 & wait"], start_new_session=True)
    while len(demotion._children(process.pid)) < 2:
        time.sleep(0.01)
    assert demotion._all_children()[process.pid] == demotion._children(process.pid)
    monkeypatch.setattr(demotion, "_has_children_files", lambda: False)
    members = demotion._Members(process.pid, own_group=True)
    members.signal(signal.SIGTERM)
    process.wait()
    while members.left():
        time.sleep(0.01)
    assert not members._living()
