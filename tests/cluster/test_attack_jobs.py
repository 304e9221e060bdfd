# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An ordinary user of a deployed node tries to make root's jobs work for them: through the environment, through
the names of their own jobs, through signals, and by looking into processes."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Node
from waiting import wait_until

from tests.cluster import measurement
from tests.cluster.attacker import Attempt, as_user, outcome, outcome_without_protection

# --- the environment ---

#: The user's folder with programs for root to run, each of which notes that it ran.
HOME = "/home/alice/trap"
TRAP = f"""
mkdir -p {HOME}/py/rcron {HOME}/bin {HOME}/gconv {HOME}/tmp; cd {HOME}
for name in rcron/__init__ syslog fcntl site sitecustomize usercustomize encodings _signal difflib; do
    echo "import posix; posix.open('{HOME}/sprung', 0o101, 0o666)" >py/$name.py
done
for name in python3 sh env true id logger dirname readlink; do
    printf '#!/bin/sh\\n: >{HOME}/sprung\\nexec /usr/bin/"${{0##*/}}" "$@"\\n' >bin/$name
done
echo ': >{HOME}/sprung' >rc
echo 'module UTF-8// X// trap 1' >gconv/gconv-modules
chmod -R a+rwX .; chmod 755 bin/*
"""
ENVIRONMENT = {
    "PYTHONPATH": f"{HOME}/py",
    "PYTHONSTARTUP": f"{HOME}/py/site.py",
    "PYTHONUSERBASE": f"{HOME}/py",
    "PYTHONPYCACHEPREFIX": f"{HOME}/tmp",
    "PYTHONINSPECT": "1",
    "PYTHONBREAKPOINT": "site.main",
    "PYTHONPLATLIBDIR": f"{HOME}/py",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "ascii:strict",
    "LD_LIBRARY_PATH": f"{HOME}/lib",
    "GCONV_PATH": f"{HOME}/gconv",
    "PATH": f"{HOME}/bin:/usr/bin:/bin",
    "IFS": "/",
    "SHELL": f"{HOME}/bin/sh",
    "ENV": f"{HOME}/rc",
    "BASH_ENV": f"{HOME}/rc",
    "PS4": f"$(: >{HOME}/sprung)",
    "SHELLOPTS": "xtrace",
    "LC_ALL": "xx_YY",
    "LANGUAGE": "../../../../home/alice/trap",
    "TMPDIR": f"{HOME}/tmp",
    "HOME": f"{HOME}/py",
    "TZ": f":{HOME}/rc",
    "HOSTALIASES": f"{HOME}/rc",
}
SPRUNG = f"test -e {HOME}/sprung && echo sprung || echo not; rm -f {HOME}/sprung"
#: Variables that stop any Python that heeds them.
DEADLY = {"PYTHONHASHSEED": "none", "PYTHONTRACEMALLOC": "none", "PYTHONHOME": f"{HOME}/py"}
IN_TRAP = f"cd {HOME}/py; env -i {shlex.join(f'{name}={value}' for name, value in ENVIRONMENT.items())}"


@pytest.fixture
def trap(node: Node) -> Iterator[None]:
    node.run(TRAP)
    yield
    node.run(f"rm -rf {HOME}; rcronctl unpin")


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize(
    "command",
    [
        "rcron /bin/ls /",
        "rcron ls /",
        "rcron -c 'ls / | cat'",
        "rcron --takeover-wait 1 ls",
        "rcronctl status",
        "rcronctl is-active",
        "rcronctl set passive",
    ],
)
def test_no_variable_makes_a_passive_node_run_anything(node: Node, command: str) -> None:
    node.run("rcronctl pin passive")
    deadly = shlex.join(f"{name}={value}" for name, value in DEADLY.items())
    ran = node.run(f"({IN_TRAP} {deadly} /usr/bin/{command} </dev/null 2>&1 || true); {SPRUNG}").splitlines()
    assert ran[-1] == "not", ran
    assert "Traceback" not in "".join(ran)
    assert "Fatal Python error" not in "".join(ran)
    node.run("rcronctl unpin; rcronctl set active")


@pytest.mark.usefixtures("trap")
def test_the_wrapper_itself_runs_nothing_from_the_environment_on_an_active_node(node: Node) -> None:
    """The job's own use of its environment is not the wrapper's concern, as without the prefix."""
    ran = node.run(f"{IN_TRAP} /usr/bin/rcron /bin/echo ran </dev/null 2>&1; {SPRUNG}")
    assert ran == "ran\nnot\n"


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize(
    "command", ["/usr/bin/python3 -c ''", "/usr/bin/env python3 -I -S -c ''", "/bin/bash -c :", "/bin/sh -c true\\;id"]
)
def test_the_trap_works_on_programs_without_protection(node: Node, command: str) -> None:
    assert node.run(f"({IN_TRAP} {command} >/dev/null 2>&1 || true); {SPRUNG}") == "sprung\n"


def test_a_job_has_no_more_rights_than_its_user(node: Node) -> None:
    assert node.run("find $(readlink -f /usr/bin/rcron | xargs dirname | xargs dirname) -perm /7000") == ""
    ran = as_user(node, "LD_PRELOAD=$HOME/mine.so rcron id -u; rcron cat /etc/shadow")
    assert "1000" in ran.stdout.split()
    assert "/etc/shadow: Permission denied" in ran.stdout
    # ld.so would ignore it for a program that gives rights.
    assert "mine.so" in ran.stdout


# --- the log ---

FORGED = "Nov 24 00:00:00 node1 rcron[1]: cluster=billing state=active status=ok dur=1 exit=0 cmd=/usr/local/bin/record"

#: Names of jobs, for printf(1).
NAMES = {
    "newline": rf"x\n{FORGED}",
    "carriage return": rf"x\r{FORGED}",
    "line separator": r"x\342\200\250y",
    "next line": r"x\302\205y",
    "escape sequences": r"\033[2J\033]0;mine\007\302\2331m",
    "right to left": r"\342\200\256x\342\201\246",
    "no UTF-8": r"\377\300\257\355\240\200",
    "format": r"%%s%%n%%100000d",
    "end of its field": r"x exit=0 cmd=y status=ok",
}


@pytest.mark.parametrize("name", [*NAMES, "overlong"])
def test_a_job_is_one_plain_line_of_the_log_whatever_its_name(node: Node, name: str) -> None:
    word = f"printf '{NAMES[name]}'" if name in NAMES else "head -c 100000 /dev/zero | tr '\\0' x"
    pid = as_user(node, f'rcron true "$({word})" & echo $!; wait').stdout.strip()
    read = f"journalctl -o json --output-fields=MESSAGE -t rcron _UID=1000 _PID={pid}"
    lines = wait_until(
        lambda: found if len(found := node.run(read).split("\n")[:-1]) >= 2 else None, "two lines in the journal", 10
    )
    messages = [json.loads(line)["MESSAGE"] for line in lines]
    assert [message.partition(" cmd=")[0] for message in messages] == [
        "cluster=billing state=active status=start",
        "cluster=billing state=active status=ok dur=0 exit=0",
    ]
    for message in messages:
        assert message.isprintable()
        assert len(message) < 2200
    assert node.run("grep -ac '^Nov 24 00:00:00' /var/log/syslog || true") == "0\n"


def test_a_full_log_stops_no_job(node: Node) -> None:
    ran = node.run(
        "su alice -c 'timeout 2 sh -c \"yes | logger\"' & sleep 0.5; timeout 20 rcron echo ran; echo $?; wait; true"
    )
    assert ran == "ran\n0\n"


# --- processes ---

#: Root's processes: the agent, rcron with a job, and the job.
PROCESSES = """
    mkdir -p /run/attack
    MINE=secret rcron sleep 60 & sleep 0.7
    { systemctl show --property=MainPID --value rcron-agent; echo $!; cat /proc/$!/task/$!/children; } |
        xargs -n1 >/run/attack/pids
"""
NO_PROCESSES = "tail -n 2 /run/attack/pids | xargs kill -9; rm -r /run/attack"

#: The same for processes of the user's own.
OWN = """
    cp /run/attack/pids /run/attack/roots
    su alice -c 'MINE=secret exec rcron sleep 60' >/dev/null 2>&1 & sleep 0.5
    ps -u alice -o pid= >/run/attack/pids
"""

INTO = {
    "signals": Attempt(
        "for pid in $(cat /run/attack/pids); do kill -STOP $pid; kill -TERM $pid; done",
        "for pid in $(cat /run/attack/pids); do grep -q ') T ' /proc/$pid/stat && exit 0; done; exit 1",
        OWN,
    ),
    "environment": Attempt(
        "for pid in $(cat /run/attack/pids); do tr '\\0' '\\n' </proc/$pid/environ | grep MINE >mine; done",
        "test -s $HOME/mine",
        OWN,
    ),
    # As ptrace(2) asks for the same rights.
    "memory": Attempt(
        "for pid in $(cat /run/attack/pids); do (exec 3</proc/$pid/mem) && touch mine; done", "test -e $HOME/mine", OWN
    ),
    "priority": Attempt(
        "for pid in $(cat /run/attack/pids); do renice -n 19 -p $pid; done && touch mine",
        "test -e $HOME/mine",
        OWN,
    ),
}


@pytest.fixture
def processes(node: Node) -> Iterator[None]:
    node.run(f"({PROCESSES}) >/dev/null 2>&1")
    assert len(node.run("cat /run/attack/pids").split()) == 3
    yield
    node.run(f"cd /run/attack; [ ! -e roots ] || mv roots pids; {NO_PROCESSES}; pkill -9 -u alice; true")


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("name", INTO)
def test_no_user_reaches_into_roots_processes(node: Node, name: str) -> None:
    done, said = outcome(node, INTO[name])
    assert not done, said
    assert "not permitted" in said or "ermission denied" in said


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("name", INTO)
def test_a_user_reaches_into_his_own(node: Node, name: str) -> None:
    done, said = outcome_without_protection(node, INTO[name])
    assert done, said


def test_mounts_of_a_users_own_deceive_nobody_else(node: Node) -> None:
    """In a user namespace everybody is root, over nothing but what he has mounted himself."""
    node.run("rcronctl set active")
    own = (
        "cd /run/rcron; mount -t tmpfs none .; cd .; echo passive >state; rcronctl is-active; grep -c $PWD /proc/mounts"
    )
    ran = as_user(
        node,
        f"unshare -Urm sh -c {shlex.quote(own)}; unshare -Ur rcronctl set passive; unshare -Ur rcronctl pin passive",
    )
    assert ran.stdout.split("\n")[:2] == ["passive", "1"]  # his own processes see it
    assert ran.stdout.count("ermission denied") == 2
    assert node.state() == "active"
    assert "/run/rcron" not in node.run("cat /proc/1/mounts")


# --- starvation ---

#: Root's agent that keeps a state fresh on one processor, by a program of its own for each question.
AGENT = """
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
taskset -c $cpu rcron-agent --clusters /etc/attack.d </dev/null >/dev/null 2>&1 &
echo $! >/run/attack/agent
until [ "$(cat /run/attack/state 2>/dev/null)" = active ]; do sleep 0.1; done
"""

#: A user's busy processes on the same processor. Prints how old the state was at most within 14 s.
BESIDE = """
su -s /bin/sh alice -c "{busy}" </dev/null >/dev/null 2>&1 &
{more}
/usr/bin/python3 -c '
import os, time
oldest, end = 0.0, time.time() + 14
while time.time() < end:
    oldest = max(oldest, time.time() - os.stat("/run/attack/state").st_mtime)
    time.sleep(0.01)
print(oldest)'
rcronctl --conf /etc/rcron/attack.conf is-active
"""
BUSY = "for process in $(seq 20); do taskset -c $cpu timeout 14 sh -c 'while :; do :; done' & done; wait"


@pytest.fixture
def kept_fresh(node: Node) -> Iterator[None]:
    """A state that is fresh for 10 s, and that an agent of its own keeps so."""
    settings = "state_file = /run/attack/state\nstate_max_age = 10\ndefault_state = passive\n"
    cluster = "conf = /etc/rcron/attack.conf\nfeeder = command\ncommand = /bin/true\nnotice = 0.1\n"
    node.run(
        f"mkdir -m 755 /run/attack /etc/attack.d; printf '{settings}' >/etc/rcron/attack.conf;"
        f"printf '{cluster}' >/etc/attack.d/attack.conf"
    )
    yield
    node.run(
        "pkill -9 -u alice; kill -9 $(cat /run/attack/agent);"
        "rm -r /run/attack /etc/attack.d /etc/rcron/attack.conf /run/rcron-agent/run-attack-state.*"
    )


def oldest(node: Node, more: str) -> "tuple[float, str]":
    """Return how old the state was at most beside a user's busy processes, in seconds, and what it was then."""
    said = node.try_run(f"{AGENT}\n{BESIDE.format(busy=BUSY, more=more)}").stdout.split()
    return float(said[0]), said[1]


@pytest.mark.usefixtures("kept_fresh")
def test_busy_processes_do_not_keep_a_state_from_being_refreshed(node: Node) -> None:
    """The kernel shares a processor fairly, and a question takes little of it."""
    age, state = oldest(node, "true")
    measurement.report(f"beside 20 busy processes on its processor, a state that is fresh for 10 s was {age:.2f} s old")
    assert age < 10
    assert state == "active"


@pytest.mark.usefixtures("kept_fresh")
def test_a_state_that_is_not_refreshed_is_passive(node: Node) -> None:
    """What a user could come to who starves the agent for good: here it is stopped."""
    age, state = oldest(node, "kill -STOP $(cat /run/attack/agent)")
    assert age > 10
    assert state == "passive"


#: Takes all processes that the node may have, and notes it in the file `full`. Never more than these: outside of the
#: node's limit it would take the machine's.
HOG = """
import os, time
try:
    for _process in range(400):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
except OSError:
    os.close(os.open("full", os.O_CREAT))
time.sleep(30)
"""

#: Root, who has his programs started before; they go on once no other process can be created.
AMONG = """
import os, subprocess, sys, time
home = "/home/alice"
held = [sys.argv[1].split(), sys.argv[2].split()]
def started(command):
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read go; exec "$@" 2>&1', "x", *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
waiting = [started(command) for command in held]
words = ["su", "-s", "/bin/sh", "alice", "-c", "cd; exec /usr/bin/python3 hog"]
hog = subprocess.Popen(words, stdin=subprocess.DEVNULL)
end = time.time() + 20
while not os.path.exists(home + "/full") and time.time() < end:
    time.sleep(0.1)
try:
    if os.fork() == 0:
        os._exit(0)
    print("a process was created")
except BlockingIOError:
    print("no process can be created")
before = os.stat("/run/attack/state").st_mtime
time.sleep(3)
print("refreshed" if os.stat("/run/attack/state").st_mtime > before else "not refreshed")
for process in waiting:
    print(process.communicate("go\\n", timeout=20)[0].strip(), process.returncode)
for name in os.listdir("/proc"):
    try:
        if name.isdigit() and os.stat("/proc/" + name).st_uid == 1000:
            os.kill(int(name), 9)
    except OSError:
        pass
"""


def processes_allowed(node: Node) -> Path:
    """Return the file of this machine's that limits how many processes the node may have."""
    show = ["podman", "container", "inspect", "--format", "{{.State.CgroupPath}}", node.container]
    group = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    # cgroups version 1, and version 2.
    files = [Path(f"/sys/fs/cgroup{controller}{group}/pids.max") for controller in ("/pids", "")]
    return next(file for file in files if file.exists())


@pytest.mark.usefixtures("kept_fresh")
def test_a_user_who_takes_all_processes_stops_jobs_but_no_decision(node: Node) -> None:
    """A fork bomb, in a node that may have 200 processes. A feeder that only a program can ask cannot be asked then."""
    # Not by node.run, whose processes are not the node's, here and below.
    start = "echo $$ >/run/attack/agent; exec rcron-agent --clusters /etc/attack.d"
    subprocess.run(
        ["podman", "exec", "--detach", node.container, "sh", "-c", start], check=True, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: node.try_run("cat /run/attack/state").stdout == "active\n", "the agent keeps the state")
    node.run(f"printf %s {shlex.quote(HOG)} >~alice/hog; chmod 644 ~alice/hog")
    commands = [f"{program} --conf /etc/rcron/attack.conf {rest}" for program, rest in AT_LAST]
    allowed = processes_allowed(node)
    allowed.write_text("200")
    try:
        words = ["podman", "exec", node.container, "/usr/bin/python3", "-c", AMONG, *commands]
        said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=100).stdout.splitlines()
    finally:
        allowed.write_text("max")
        node.run("rm -f ~alice/hog ~alice/full")
    assert said[:2] == ["no process can be created", "not refreshed"]
    assert said[2].startswith("rcron: echo: cannot fork")
    assert said[3].endswith(" 0")
    assert "state=passive status=changed event=operator:set passive" in node.run("grep -F cluster= /var/log/syslog")


#: What root runs then: a job, and a feeder's word.
AT_LAST = [("rcron", "echo ran"), ("rcronctl", "set passive")]
