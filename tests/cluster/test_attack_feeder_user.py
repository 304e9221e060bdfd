# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The user whose feeder sets the state of a cluster (rcron_state_user, such as Patroni's postgres): may do that and
nothing else, and can neither mislead nor block root, who reads and writes the same files."""

import json
import re
import shlex
from collections.abc import Iterator

import pytest
from nodes import Node

from tests.cluster.attacker import as_user

FOLDER, CONF = "/run/rcron-theirs", "/etc/rcron/theirs.conf"
CTL = f"timeout 20 rcronctl --conf {CONF}"


@pytest.fixture(autouse=True)
def theirs(node: Node) -> Iterator[None]:
    """A second cluster, as the role makes it with rcron_state_user: postgres."""
    node.run(
        f"install -d -o postgres {FOLDER}; printf 'cluster_name = theirs\nstate_file = {FOLDER}/state\n"
        f"default_state = passive\nstate_max_age = 60\n' >{CONF}; {CTL} set active"
    )
    yield
    node.run(f"rm -rf {FOLDER} {CONF} /var/lib/rcron-theirs /run/kept")


def by_postgres(node: Node, script: str) -> str:
    ran = as_user(node, f"cd {FOLDER}; {script}", "postgres")
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def test_the_user_sets_the_state_of_one_cluster_and_nothing_else(node: Node) -> None:
    assert by_postgres(node, f"{CTL} set passive; {CTL} is-active || true") == "passive\n"
    for more in (
        f"{CTL} pin active",
        "rcronctl set passive",
        f"echo >>{CONF}",
        "rcronctl pin passive",
    ):
        ran = as_user(node, more, "postgres")
        assert ran.returncode != 0, more
        assert "ermission denied" in ran.stdout, more
    assert node.state() == "active"


#: Contents of a record: names and values of its lines, for printf(1).
RECORDS = {
    "escape sequences": r"feeder=\033[2J\033]0;mine\007\nevent=\302\2331m\342\200\256\033[1A\nsince=1\npid=0\nstarted=",
    "line separators": r"feeder=a\342\200\250b\302\205c\rd\nevent=\013\014\034\nsince=1\npid=0\nstarted=\n",
    "no number": r"feeder=a\nevent=b\nsince=nan\npid=0\nstarted=\n",
    "no end": r"feeder=a\nevent=b\nsince=inf\npid=0\nstarted=\n",
    "no time": r"feeder=a\nevent=b\nsince=1e300\npid=0\nstarted=\n",
    "no process": r"feeder=a\nevent=b\nsince=1\npid=-1\nstarted=\n",
    "no process's number": r"feeder=a\nevent=b\nsince=1\npid=99999999999999999999999999999999999999\nstarted=0\n",
    "no UTF-8": r"feeder=\377\300\257\nevent=\000\001\nsince=1\npid=0\nstarted=\n",
    "another's process": r"feeder=a\nevent=b\nsince=1\npid=1\nstarted=1\ndaemon=1 1\nmoment=99999999999999 1 x\n",
}


@pytest.mark.parametrize("name", RECORDS)
def test_root_sees_what_the_user_writes_as_plain_lines(node: Node, name: str) -> None:
    by_postgres(node, f"printf '{RECORDS[name]}' >state.feeder; touch -d '2800-01-01' state")
    ran = node.try_run(f"{CTL} status; {CTL} status --json")
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert re.sub("[\n]", "", ran.stdout).isprintable()
    assert len(ran.stdout[: ran.stdout.index("{")].splitlines()) == 11
    assert json.loads(ran.stdout[ran.stdout.index("{") :])["cluster_name"] == "theirs"


def test_a_record_from_the_future_stops_no_event(node: Node) -> None:
    """An event is ignored if a later one has been recorded; no hook has been started later than now."""
    record = r"feeder=a\nevent=b\nsince=1\npid=0\nstarted=\nmoment=99999999999999 1 %s\n"
    for state in ("active", "passive", "active"):
        by_postgres(node, f"printf '{record}' $(cat /proc/sys/kernel/random/boot_id) >state.feeder")
        assert node.run(f"{CTL} set {state}; cat {FOLDER}/state").split()[-1] == state


@pytest.mark.parametrize("name", ["state", "state.feeder", "state.lock"])
@pytest.mark.parametrize("what", ["mkfifo", "mkdir", "ln -s /run/kept", "ln -s /dev/zero", "ln -s /nowhere"])
def test_other_things_in_a_files_place_neither_block_nor_mislead_root(node: Node, name: str, what: str) -> None:
    node.run("echo kept >/run/kept; chmod 600 /run/kept")
    by_postgres(node, f"rm -f {name}; {what} {name}")
    ran = node.try_run(
        f"{CTL} status >/dev/null; echo $?; {CTL} set passive; echo $?; timeout 20 rcron --conf {CONF} true"
    )
    statuses = ran.stdout.split()
    assert statuses[0] == "0"
    # 73: it cannot be written; a folder or a link in the lock's place cannot be locked.
    assert statuses[1] in ("0", "73"), ran.stderr
    assert "Traceback" not in ran.stderr
    assert node.run("cat /run/kept; stat -c '%U %a' /run/kept").split() == ["kept", "root", "600"]
    assert node.run("stat -c '%U %a' /dev/zero").split() == ["root", "666"]


@pytest.mark.parametrize("name", ["state", "state.feeder", "state.lock"])
def test_a_file_of_root_with_one_of_the_names_remains_roots(node: Node, name: str) -> None:
    """A hard link, as an older kernel lets anybody make one (fs.protected_hardlinks=0): made by root here."""
    node.run("echo kept >/run/kept; chmod 600 /run/kept")
    assert as_user(node, f"ln -f /run/kept {FOLDER}/{name}", "postgres").returncode != 0
    node.run(f"ln -f /run/kept {FOLDER}/{name}; {CTL} set passive; {CTL} set active || true; {CTL} set passive")
    assert node.run("cat /run/kept; stat -c '%U %a' /run/kept").split() == ["kept", "root", "600"]


#: Takes a lease on a file (fcntl(2)), says so, and does not give it up.
LEASE = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
time.sleep(40)
"""


@pytest.mark.parametrize("name", ["state", "state.feeder", "state.lock"])
def test_a_lease_on_a_file_makes_nobody_wait(node: Node, name: str) -> None:
    """Whoever opens the file otherwise waits for fs.lease-break-time, 45 s."""
    holder = (
        f"su -s /bin/sh postgres -c {shlex.quote(f'exec /usr/bin/python3 -c {shlex.quote(LEASE)} {FOLDER}/{name}')}"
    )
    said = node.run(
        f"""
        {holder} </dev/null >/run/kept & timeout 10 sh -c 'until grep -q leased /run/kept; do sleep 0.1; done'
        timeout 5 {CTL} status >/dev/null; echo $?
        timeout 2 cat {FOLDER}/{name} >/dev/null; echo $?
        timeout 9 {CTL} set passive; echo $?
        timeout 5 rcron --conf {CONF} echo ran; {CTL} is-active || true
        pkill -u postgres -f F_SETLEASE
        """
    )
    assert said.split() == ["0", "124", "0", "passive"]


def test_files_that_root_writes_there_belong_to_the_user(node: Node) -> None:
    node.run(f"rm -f {FOLDER}/*; {CTL} set active; {CTL} set passive")
    assert node.run(f"stat -c %U {FOLDER}/state {FOLDER}/state.feeder {FOLDER}/state.lock").split() == ["postgres"] * 3


def test_the_user_cannot_influence_the_pin(node: Node) -> None:
    """Whatever the feeder says, and whatever root's umask is."""
    node.run(f"umask 077; {CTL} pin passive")
    by_postgres(node, f"rcronctl --conf {CONF} set active")
    for user in ("alice", "postgres"):
        assert as_user(node, f"rcronctl --conf {CONF} is-active", user).stdout == "passive\n"
    assert node.run("stat -c '%U %a' /var/lib/rcron-theirs /var/lib/rcron-theirs/state.pin").split() == [
        *("root", "711"),
        *("root", "644"),
    ]
