# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The wrapper on machines in trouble. Each node has a second cluster for this, "hard", whose state nothing else writes.

What no container may do to its machine (mounts, the clock) is done to the command alone: in a mount namespace of its
own, or with libfaketime. Files keep the kernel's time then, and differ from the command's as after a clock was set.
"""

import re
import shlex
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.playbooks import Play

#: The configurations of the second cluster; the second of them with an age after which a state is stale, in seconds.
HARD, AGED = "/etc/rcron/hard.conf", "/etc/rcron/aged.conf"
STATE = "/run/rcron-hard/state"

RCRON, CTL = f"rcron --conf {HARD}", f"rcronctl --conf {HARD}"


@pytest.fixture(scope="module", autouse=True)
def second_cluster(cluster: Cluster) -> Iterator[None]:
    text = f"cluster_name = hard\nstate_file = {STATE}\ndefault_state = passive\n"
    for node in cluster.nodes:
        node.run(
            f"mkdir -p /run/rcron-hard; printf '{text}' >{HARD}; {{ cat {HARD}; echo state_max_age = 3; }} >{AGED}"
        )
    yield
    for node in cluster.nodes:
        node.run(f"rm -rf /run/rcron-hard /run/rcron-agent/*hard* /var/lib/rcron-hard {HARD} {AGED}")


def in_namespace(node: Node, script: str) -> str:
    """Run a script as root in a mount namespace of its own; return what it printed, standard error included."""
    return node.run(f"unshare -Urm sh -ec {shlex.quote(script)} 2>&1")


def test_demotion_is_written_on_a_full_file_system(node: Node) -> None:
    said = in_namespace(
        node,
        f"""
        mount -t tmpfs -o size=64k none /run/rcron-hard
        mkdir -p /tmp/hard.d
        printf '#!/bin/sh\\nexit $(cat /tmp/hard.answer)\\n' >/tmp/hard.d/ask; chmod 755 /tmp/hard.d/ask
        printf '%s\\n' 'conf = {AGED}' 'feeder = command' 'command = /tmp/hard.d/ask' 'every = 0.2' 'notice = 0.1' \\
            >/tmp/hard.d/hard.conf
        echo 0 >/tmp/hard.answer; rcron-agent --clusters /tmp/hard.d & agent=$!
        trap 'kill $agent; rm -r /tmp/hard.d /tmp/hard.answer /run/rcron-agent/*hard*' EXIT
        until_is() {{
            for _ in $(seq 200); do
                [ "$(cat {STATE} 2>/dev/null)" = $1 ] && return
                sleep 0.1
            done
            echo "not $1"
        }}
        until_is active
        cat /dev/zero >/run/rcron-hard/filling 2>/dev/null || echo full
        {RCRON} echo ran while active
        echo 1 >/tmp/hard.answer; until_is passive
        cat {STATE}
        {RCRON} echo ran while passive
        # A promotion cannot be written. That is made up for when there is room again.
        echo 0 >/tmp/hard.answer; sleep 1.5
        {CTL} is-active || true
        {CTL} set active || echo exit $?
        rm /run/rcron-hard/filling; until_is active
        {RCRON} echo ran again
        cat {STATE}; ls -A /run/rcron-hard
        """,
    ).splitlines()
    assert said[:4] == ["full", "ran while active", "passive", "passive"]
    assert said[4].startswith(f"rcronctl: {STATE}")
    assert said[4].endswith("No space left on device; free some space there")
    # Nothing but the state, the feeder's record and the hooks' lock is left.
    assert said[5:] == ["exit 73", "ran again", "active", "state", "state.feeder", "state.lock"]
    last = "exit=0 cmd=echo ran again"
    wait_until(lambda: node.try_run(f"grep -F '{last}' /var/log/syslog").stdout, "the log has the last run")
    log = node.run("cat /var/log/syslog")
    assert re.search("cluster=hard state=active status=ok dur=[01] exit=0 cmd=echo ran while active", log)
    assert "cluster=hard state=passive status=ignore cmd=echo ran while passive" in log


def test_jobs_run_on_a_read_only_root(node: Node) -> None:
    said = in_namespace(
        node,
        f"""
        mount --rbind / /mnt; mount -o remount,bind,ro /mnt
        chroot /mnt sh -ec '
            touch /etc/written 2>/dev/null || echo read-only
            {CTL} set active; {RCRON} echo ran while active
            {CTL} set passive; {RCRON} echo ran while passive
            {CTL} pin active || echo exit $?
            {CTL} is-active || true'
        """,
    ).splitlines()
    assert said[:2] == ["read-only", "ran while active"]
    assert said[2].startswith("rcronctl: /var/lib/rcron-hard")
    assert said[2].endswith("Read-only file system")
    assert said[3:] == ["exit 73", "passive"]


#: States by name: how to make each, and the output of a job of root's and of an ordinary user's.
STATES = {
    "active": (f"{CTL} set active", "ran", "ran"),
    "passive": (f"{CTL} set passive", "", ""),
    "pinned active": (f"{CTL} set passive; {CTL} pin active", "ran", "ran"),
    "pinned passive": (f"{CTL} set active; {CTL} pin passive", "", ""),
    "stale": (f"{CTL} set active; touch -d '1 hour ago' {STATE}", "", ""),
    "missing": (f"rm -f {STATE}", "", ""),
    "garbage": (f"echo actively >{STATE}", "", ""),
    "writable for everyone": (f"{CTL} set active; chmod o+w {STATE}", "", ""),
    "readable for root only": (f"{CTL} set active; chmod 600 {STATE}", "ran", ""),
}


def test_job_of_an_ordinary_user_finds_every_state_that_roots_jobs_find(node: Node) -> None:
    job = f"rcron --conf {AGED} echo ran"
    script = "".join(
        f'{{ {make}; }} >/dev/null; echo "{name}: $({job}) $? $(su alice -c "{job}") $?"; {CTL} unpin >/dev/null\n'
        for name, (make, *printed) in STATES.items()
    )
    expected = [f"{name}: {root} 0 {alice} 0" for name, (make, root, alice) in STATES.items()]
    assert node.run(script).splitlines() == expected


def test_ordinary_user_changes_nothing(node: Node) -> None:
    node.run(f"{CTL} set passive")
    for words in ("set active", "pin active"):
        tried = node.try_run(f"su alice -c '{CTL} {words}'")
        assert tried.returncode == 73
        assert "run this as root" in tried.stderr
    assert node.run(f"{CTL} is-active || true") == "passive\n"


def test_jobs_run_without_a_syslog_socket(node: Node) -> None:
    said = in_namespace(
        node,
        f"""
        mount -t tmpfs none /run/systemd/journal
        test -S /dev/log || echo no log
        {CTL} set active; {RCRON} sh -c "echo ran; exit 3" || echo exit $?
        {CTL} set passive; {RCRON} echo ran while passive; echo exit $?
        """,
    ).splitlines()
    assert said == ["no log", "ran", "exit 3", "exit 0"]


LIBRARY = "$(dirname $(dirname $(readlink -f /usr/bin/rcron)))"

#: Bytecode that does not fit when a node gets another Python: the file has another name; or the name is the same, and
#: the magic number in it differs.
BYTECODE = {
    "of another version": "for file in *.pyc; do mv $file ${file%%.*}.cpython-38.pyc; done",
    "of another build": "for file in *.pyc; do printf '\\0\\0\\r\\n' | dd of=$file conv=notrunc status=none; done",
    "missing": "rm -- *.pyc",
}


@pytest.mark.parametrize("change", BYTECODE)
def test_jobs_run_after_an_upgrade_of_the_interpreter(node: Node, change: str) -> None:
    node.run(f"{CTL} set active")
    node.run(f"cd {LIBRARY}/rcron/__pycache__ && {BYTECODE[change]}")
    for job in (f"su alice -c '{RCRON} echo ran'", f"{RCRON} echo ran"):
        ran = node.try_run(job)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ran\n", ""), job


def test_next_deployment_compiles_for_the_new_interpreter(cluster: Cluster, play: Play) -> None:
    for node in cluster.nodes:
        node.run(f"rm -rf {LIBRARY}/rcron/__pycache__ {LIBRARY}/rcron/feeders/__pycache__")
        node.run(f"{RCRON} true")  # root's jobs compile what they load, and no more
    ran = play("--tags", "rcron", "rcron.cluster.site")
    assert ran.returncode == 0, ran.stdout
    for node in cluster.nodes:
        modules = node.run(f"cd {LIBRARY}/rcron && ls *.py feeders/*.py | wc -l")
        tag = node.run("python3 -c 'import sys; print(sys.implementation.cache_tag)'").strip()
        assert (
            node.run(f"cd {LIBRARY}/rcron && ls __pycache__/*.{tag}.pyc feeders/__pycache__/*.{tag}.pyc | wc -l")
            == modules
        )


FAKETIME = (
    "export LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1)"
    " NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1"
)


@pytest.mark.parametrize("step", ["+1h", "-1h"])
def test_active_state_is_stale_after_the_clock_was_set(node: Node, step: str) -> None:
    node.run(f"{CTL} set active")
    asked = f"{FAKETIME} FAKETIME={step}; rcronctl --conf {AGED} is-active || true; rcron --conf {AGED} echo ran"
    assert node.run(asked) == "passive\n"


def test_pin_neither_ends_nor_lasts_longer_after_the_clock_was_set(node: Node) -> None:
    node.run(f"{CTL} set active; {CTL} pin passive --for 4s")
    asked = "".join(f"FAKETIME={step} {CTL} is-active || true\n" for step in ("+3h", "-3h"))
    assert node.run(f"{FAKETIME}\n{asked} sleep 6\n{asked}") == "passive\npassive\nactive\nactive\n"


def test_live_feeder_repairs_the_state_after_the_clock_was_set(cluster: Cluster) -> None:
    active = cluster.settle(steady=1)
    for moment in ("1 hour ago", "1 hour"):
        # The agent is stopped for so long that its next refresh cannot fall in between.
        said = active.run(
            f"agent=$(systemctl show --property=MainPID --value rcron-agent); kill -STOP $agent"
            f"; touch -d '{moment}' /run/rcron/state; rcronctl is-active || true; kill -CONT $agent"
        )
        assert said == "passive\n"
        wait_until(lambda: active.state() == "active", f"{active} is active again after {moment}", 5)


def test_one_event_is_one_line_of_the_log_whatever_the_jobs_name(node: Node) -> None:
    node.run(f"{CTL} set active; mkdir -p /var/tmp/odd")
    number = time.time_ns()
    name = rf"/var/tmp/odd/marked\nOct 11 22:14:15 root su: injected {number}\r\033[2J\377\342\200\250x"
    node.run(
        f"""
        name=$(printf '{name}'); printf '#!/bin/sh\nexit 3\n' >"$name"; chmod 755 "$name"
        {RCRON} "$name" -x || true; {RCRON} -c "'$name' -x" || true
        {CTL} set passive; {RCRON} "$name" -x; rm "$name"
        """
    )
    escaped = rf"/var/tmp/odd/marked\nOct 11 22:14:15 root su: injected {number}\r\x1b[2J\xff\u2028x"
    shown = {
        "the journal": f"journalctl -t rcron -o cat | grep -a 'injected {number}'",
        "syslog": f"grep -a 'injected {number}' /var/log/syslog | sed 's/.*rcron[^ ]*: //'",
    }
    expected = [
        f"cluster=hard state=active status=start cmd={escaped} -x",
        f"cluster=hard state=active status=fail dur=0 exit=3 cmd={escaped} -x",
        f"cluster=hard state=active status=start cmd='{escaped}' -x",
        f"cluster=hard state=active status=fail dur=0 exit=3 cmd='{escaped}' -x",
        f"cluster=hard state=passive status=ignore cmd={escaped} -x",
    ]
    for where, command in shown.items():
        wait_until_logged = (
            f"for _ in $(seq 50); do [ $({command} | wc -l) -lt 5 ] || break; sleep 0.1; done; {command}"
        )
        assert node.run(wait_until_logged).splitlines() == expected, where
