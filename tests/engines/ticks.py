# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Three nodes that are all active, claims in etcd, and faults: how often does each tick's job run?

    python3 tests/engines/ticks.py [SECONDS [SEED]]

A node is a folder: rcron and rcron-agent installed as the role does it, and a state file that says active. Every half
second each node starts `rcron --claim required --fire TICK`. Meanwhile agents and members of etcd are killed and
stopped. Ends with status 1 if a tick ran twice, or nowhere although some node's rcron had an answer for it.
"""

from __future__ import annotations

import collections
import os
import pathlib
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path[:0] = [os.path.dirname(__file__)]

from races import CHECKOUT, EtcdMembers  # noqa: E402

PYTHON = os.environ.get("RCRON_PYTHON", "/usr/bin/python3")

#: Seconds from one tick to the next, and claim_wait.
EVERY, WAIT = 0.5, 20


class Node:
    """rcron, and an agent for it."""

    def __init__(self, folder: pathlib.Path, name: str, urls: list[str]) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        library = folder / "library"
        texts = runpy.run_path(str(library / "rcron" / "launcher.py"))
        for program, text in (("rcron", "LAUNCHER"), ("rcron-agent", "AGENT_LAUNCHER")):
            path = self.folder / program
            path.write_text(texts[text].format(python=PYTHON, library=library))
            path.chmod(0o755)
        (self.folder / "state").write_text("active\n")
        (self.folder / "rcron.conf").write_text(f"state_file = {self.folder}/state\nclaim_wait = {WAIT}\n")
        conf = self.folder / "agent.conf"
        conf.touch(0o600)
        conf.write_text(f"engine = etcd\nendpoints = {','.join(urls)}\nnode = {name}\n")
        self.start()

    def start(self) -> None:
        """Start the agent, as systemd does when it was killed."""
        command = [self.folder / "rcron-agent", "--conf", self.folder / "rcron.conf"]
        command += ["--agent-conf", self.folder / "agent.conf", "--user", "nobody"]
        self.agent = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill the agent and start it anew."""
        self.agent.kill()
        self.agent.wait()
        time.sleep(0.2)
        self.start()

    def tick(self, number: int, ran: pathlib.Path) -> subprocess.Popen[bytes]:
        """Start a tick's job."""
        job = f"echo {number} {self.name} >>{ran}"
        options = ["--conf", self.folder / "rcron.conf", "--claim", "required", "--job", "tick", "--fire", str(number)]
        command = [self.folder / "rcron", *options, "-c", job]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def faults(nodes: list[Node], members: EtcdMembers, chance: random.Random, ended: threading.Event) -> None:
    """Let one thing after the other happen."""
    while not ended.wait(chance.uniform(0.5, 3)):
        kind = chance.choice(["agent killed", "agent stopped", "member killed", "leader stopped", "no quorum"])
        print(f"  {kind}", flush=True)
        if kind == "agent killed":
            chance.choice(nodes).kill()
        elif kind == "agent stopped":
            node = chance.choice(nodes)
            node.agent.send_signal(signal.SIGSTOP)
            ended.wait(chance.uniform(0.5, 4))
            node.agent.send_signal(signal.SIGCONT)
        elif kind == "member killed":
            member = chance.choice(members.members)
            member.kill()
            ended.wait(chance.uniform(0.5, 3))
            member.start()
        else:
            leader = max(0, members.leader())
            stopped = [members.members[leader]] if kind == "leader stopped" else members.members[:2]
            for member in stopped:
                member.signal(signal.SIGSTOP)
            ended.wait(chance.uniform(2, 6))
            for member in stopped:
                member.signal(signal.SIGCONT)


def main() -> int:
    """Run the ticks, and judge them. Returns the exit status."""
    seconds, seed = float((*sys.argv[1:], "120")[0]), int((*sys.argv[2:], "1")[0])
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-ticks") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        library = folder / "library"
        shutil.copytree(CHECKOUT / "rcron", library / "rcron", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run([PYTHON, "-I", library / "rcron" / "bytecode.py", library, library], check=True)
        ran = folder / "ran"
        ran.touch()
        members = EtcdMembers(folder)
        nodes = [Node(folder, f"node{number}", members.urls[number:] + members.urls[:number]) for number in range(3)]
        time.sleep(1)
        ended = threading.Event()
        breaker = threading.Thread(target=faults, args=(nodes, members, random.Random(seed), ended))  # noqa: S311
        breaker.start()
        began = time.monotonic()
        started: list[list[subprocess.Popen[bytes]]] = []
        while time.monotonic() - began < seconds:
            started.append([node.tick(len(started), ran) for node in nodes])
            time.sleep(max(0.0, began + len(started) * EVERY - time.monotonic()))
        ended.set()
        breaker.join()
        statuses = [[process.wait() for process in each] for each in started]
        for node in nodes:
            node.agent.terminate()
        for node in nodes:
            node.agent.wait()
        members.end()
        runs = collections.Counter(int(line.split()[0]) for line in ran.read_text().splitlines())
    twice = [tick for tick in range(len(started)) if runs[tick] > 1]
    nowhere = [tick for tick in range(len(started)) if not runs[tick]]
    # Somebody was told that another has it, and nobody ran it: its winner gave up before it got to know.
    odd = [tick for tick in nowhere if 0 in statuses[tick]]
    could_not_tell = sum(status == 75 for each in statuses for status in each)
    once = len(started) - len(twice) - len(nowhere)
    print(
        f"{len(started)} ticks on three active nodes: once {once}, twice {len(twice)}, nowhere {len(nowhere)}, of "
        f"which claimed {len(odd)}; {could_not_tell} times a node could not tell in {WAIT} s"
    )
    return 1 if twice or odd else 0


if __name__ == "__main__":
    sys.exit(main())
