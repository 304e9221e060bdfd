# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An ordinary user of a node who means harm to others' claims."""

import json
import shlex
import time

import pytest
from nodes import Cluster, Node

from tests.cluster.attacker import as_user
from tests.cluster.measurement import report

#: How long a run of somebody else's may take meanwhile, in seconds, and how many there are.
PATIENCE = 5.0
RUNS = 10

#: What the agent's unit lets it have, in MiB.
MEMORY = 64

#: A job whose run nothing else claims, nor these tests when they are run again.
FIRE = f"{{}}-{int(time.time())}"
JOB = f"/usr/bin/rcron --claim required --job attacked --fire {FIRE} true"

#: Sends the agent what the standard input holds, and prints the answer.
SEND = """\
python3 -c 'import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/rcron/claim.sock")
connection.sendall(sys.stdin.buffer.read())
print(connection.recv(4096))'
"""

#: A thousand connections that say nothing, and again and again some that ask for pages and read none, and some that say
#: megabytes without an end.
HARM = """\
import contextlib, resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = []
end = time.monotonic() + 9
def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        connection.connect("/run/rcron/claim.sock")
    kept.append(connection)
    del kept[:-1500]
    return connection
for _turn in range(1000):
    connect()
print("connected", flush=True)
while time.monotonic() < end:
    for words in (b"history\\0cluster=billing\\0job=\\0limit=500\\0before=\\n", b"x" * 8000000):
        for _turn in range(20):
            with contextlib.suppress(OSError):
                connect().sendall(words)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> Node:
    """The first node, active."""
    cluster.nodes[0].run("rcronctl set active")
    return cluster.nodes[0]


def exits(node: Node) -> "dict[str, int | None]":
    """Each of root's runs in the ledger, and its exit status."""
    lines = node.run("rcronctl history --job attacked --json").splitlines()
    return {run["fire"]: run["exit"] for run in map(json.loads, lines) if run["user"] == "root"}


def test_no_user_reads_the_secret(first: Node) -> None:
    secret = first.run("cat /etc/rcron/agent.password").strip()
    pid = first.run("systemctl show -P MainPID rcron-claims").strip()
    places = f"/etc/rcron/agent.conf /etc/rcron/agent.password /proc/{pid}/environ /proc/{pid}/mem /proc/{pid}/maps"
    for place in places.split():
        ran = as_user(first, f"head -c 1 {place}")
        assert ran.returncode != 0, place
        assert "ermission denied" in ran.stdout, ran.stdout
    seen = as_user(
        first, f"cat /proc/{pid}/cmdline; systemctl show rcron-claims; systemctl cat rcron-claims; ps auxeww"
    )
    assert "rcron-agent" in seen.stdout
    assert secret not in seen.stdout


def test_no_user_claims_anothers_run(first: Node) -> None:
    assert as_user(first, JOB.format("taken")).returncode == 0
    ran = first.try_run(JOB.format("taken"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert exits(first)["=" + FIRE.format("taken")] == 0


def test_no_user_forges_an_end(first: Node) -> None:
    """Not even with the run's token, which nobody but etcd's users can read."""
    fire = FIRE.format("forged")
    first.run(JOB.format("forged"))
    etcdctl = "etcdctl --endpoints=https://etcd1:2379 --cacert=/etc/etcd/ca.pem --user=root:root"
    value = first.run(f"{etcdctl} get --prefix --print-value-only /rcron/claims/billing/root/attacked/%3D{fire}")
    token = json.loads(value)["token"]
    end = f"printf 'ended\\0cluster=billing\\0job=attacked\\0fire=={fire}\\0token={token}\\0exit=99\\0duration=1\\n'"
    as_user(first, f"{end} | {SEND}")
    time.sleep(1)
    assert exits(first)["=" + fire] == 0
    # With its owner's rights it has an effect.
    first.run(f"{end} | {SEND}")
    time.sleep(1)
    assert exits(first)["=" + fire] == 99


def test_no_user_hangs_the_agent_for_others(first: Node) -> None:
    restarts = first.run("systemctl show -P NRestarts rcron-claims")
    first.run(f"cat >/tmp/harm.py <<'END'\n{HARM}END\n")
    first.run("systemd-run --quiet --unit=harm --uid=alice --property=LimitNOFILE=4000 python3 /tmp/harm.py")
    time.sleep(2)
    longest = 0.0
    for number in range(RUNS):
        command = JOB.format(f"harm-{number}")
        if number % 2:
            command = f"su -s /bin/sh postgres -c {shlex.quote(command)}"
        began = time.monotonic()
        ran = first.try_run(command)
        longest = max(longest, time.monotonic() - began)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert first.run("systemctl is-active harm").strip() == "active", "the attack went on all the time"
    assert longest < PATIENCE
    assert first.run("systemctl show -P NRestarts rcron-claims") == restarts
    memory = int(first.run("awk '/^VmHWM/{print $2}' /proc/$(systemctl show -P MainPID rcron-claims)/status")) >> 10
    assert memory < MEMORY
    report(f"runs of others while a user attacks the agent: {longest:.1f} s at most; its memory: {memory} MiB at most")
    first.run("rm /tmp/harm.py; systemctl stop harm; systemctl reset-failed harm 2>/dev/null || :")
