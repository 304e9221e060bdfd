# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A lease, claimed jobs every second, and faults by chance: does each tick run once, and are two nodes ever active?

    python3 tests/engines/lease_soak.py [FAILOVERS [SEED]]

Nodes, engine (etcd with three members) and watcher are those of lease.py; each node has an agent of claims besides.
Every second each node starts `rcron --claim required --takeover-wait 20 --fire TICK`, as cron does. Meanwhile machines
die, agents are stopped, killed and ended, nodes are cut off, members of etcd die and hang, the holder's clock is set an
hour ahead or back, until the lease has changed hands FAILOVERS (500) times; last, a holder is suspended for a minute.
Ends with status 1 if two nodes were active at once, a tick ran twice, or a tick ran nowhere and nothing excuses that: a
node that died after its claim, a claim that could not be made, or no active node for as long as a passive one waits.
"""

from __future__ import annotations

import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

sys.path[:0] = [os.path.dirname(__file__)]

import lease  # noqa: E402
from lease import JUMP, TTL, Cluster, etcd_conf  # noqa: E402
from races import EtcdMembers  # noqa: E402

#: Seconds: from one tick to the next, for how long a passive node waits to take over, and for which a claim waits.
EVERY, TAKEOVER, CLAIM = 1.0, 20, 15

#: What a run that rcron ignores ends with here, so that it is not taken for one that ran.
IGNORED = 3

#: More of rcron.conf.
SETTINGS = f"claim_wait = {CLAIM}\npassive_exit = {IGNORED}\n"

#: What happens, and how often beside the others.
FAULTS = {
    "machine dies": 4,
    "agent ends": 8,
    "agent hangs": 3,
    "holder cut off": 4,
    "another node cut off": 1,
    "agent killed": 1,
    "etcd's leader killed": 1,
    "etcd's leader hangs": 1,
    "quorum lost": 1,
    "clock ahead": 1,
    "clock back": 1,
}


class Node(lease.Node):
    """A node that has claims, too, and jobs."""

    def start(self) -> None:
        """Start its agents."""
        super().start()
        words = ["--conf", self.config.path, "--agent-conf", str(self.folder / "agent.conf"), "--user", "nobody"]
        self.claims = subprocess.Popen([*self.program("agent.__main__"), *words], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill its agents."""
        for agent in (self.agent, self.claims):
            agent.kill()
            agent.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send both agents a signal."""
        for agent in (self.agent, self.claims):
            agent.send_signal(number)

    def tick(self, number: int, ran: pathlib.Path) -> subprocess.Popen[bytes]:
        """Start a tick's job, as this node's cron."""
        words = ["--conf", self.config.path, "--claim", "required", "--takeover-wait", str(TAKEOVER)]
        words += ["--job", "tick", "--fire", str(number), "-c", f"echo {number} {self.name} >>{ran}"]
        command = [*self.program("__main__"), *words]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


class Ticks(threading.Thread):
    """Starts the jobs. `started`: of each tick, when it was due by `time.monotonic`, and each node's process."""

    def __init__(self, nodes: list[Node], ran: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._nodes = nodes
        self._ran = ran
        self.started: list[tuple[float, dict[str, subprocess.Popen[bytes]]]] = []
        self.statuses: list[dict[str, int]] = []
        self.is_over = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Start one tick after the other, until the end."""
        due = time.monotonic()
        while not self.is_over:
            with self._lock:
                number = len(self.started)
                alive = [node for node in self._nodes if not node.is_dead]
                self.started.append((due, {node.name: node.tick(number, self._ran) for node in alive}))
                # Each that has ended would stay as a zombie.
                for _due, processes in self.started[-2 * (TAKEOVER + CLAIM) :]:
                    for process in processes.values():
                        process.poll()
            due += EVERY
            time.sleep(max(0.0, due - time.monotonic()))

    def kill(self, node: Node) -> None:
        """Let a node's machine die with all its jobs."""
        with self._lock:
            node.is_dead = True
            node.kill()
            for _due, processes in self.started[-2 * (TAKEOVER + CLAIM) :]:
                process = processes.get(node.name)
                if process is not None and process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Start no more, and wait for those that run."""
        self.is_over = True
        self.join()
        for _due, processes in self.started:
            self.statuses.append({name: process.wait() for name, process in processes.items()})


def failovers(cluster: Cluster) -> int:
    """Return how often a node became active that was not the last one before it."""
    holders = [found[0] for _moment, found in cluster.watcher.changes if found]
    return sum(holder != before for before, holder in zip(holders, holders[1:]))


class Faults:
    """What happens to the cluster, by chance.

    Args:
        cluster: The nodes.
        ticks: Their jobs.
        members: etcd's.
        chance: What chooses.
    """

    def __init__(self, cluster: Cluster, ticks: Ticks, members: EtcdMembers, chance: random.Random) -> None:
        self._cluster = cluster
        self._ticks = ticks
        self._members = members
        self._chance = chance
        self.done: collections.Counter[str] = collections.Counter()
        self.longest: dict[str, float] = {}

    def next(self) -> None:
        """Let something happen, and wait until one node is active again."""
        kind = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        holder = self._cluster.holder()
        assert isinstance(holder, Node)
        self.done[kind] += 1
        began = time.monotonic()
        if kind == "machine dies":
            self._ticks.kill(holder)
            self._another(holder)
            holder.start()
        elif kind == "agent ends":
            holder.agent.terminate()
            holder.agent.wait()
            self._another(holder)
            holder.kill()
            holder.start()
        elif kind == "agent hangs":
            holder.agent.send_signal(signal.SIGSTOP)
            self._another(holder)
            time.sleep(self._chance.uniform(0, 2))
            holder.agent.send_signal(signal.SIGCONT)
        elif kind == "holder cut off":
            self._cut(holder, lambda: self._another(holder))
        elif kind == "another node cut off":
            other = self._chance.choice([node for node in self._cluster.nodes if node is not holder])
            self._cut(other, lambda: time.sleep(self._chance.uniform(1, 8)))
        elif kind == "agent killed":
            holder.kill()
            time.sleep(self._chance.uniform(0, 1))
            holder.start()
        elif kind.startswith("clock"):
            holder.set_clock(JUMP if kind.endswith("ahead") else -JUMP)
            time.sleep(self._chance.uniform(1, 4))
            holder.set_clock(0)
        else:
            self._etcd(kind)
        self._cluster.holder()
        self.longest[kind] = max(self.longest.get(kind, 0), self._cluster.watcher.none(began))
        time.sleep(self._chance.uniform(0.2, 1))

    def suspend(self) -> int:
        """Suspend a holder for a minute. Returns how often it became active by being continued, which must be never."""
        holder = self._cluster.holder()
        assert isinstance(holder, Node)
        holder.is_dead = True
        holder.signal(signal.SIGSTOP)
        time.sleep(60)
        began = time.monotonic()
        holder.is_dead = False
        time.sleep(0.2)
        holder.signal(signal.SIGCONT)
        time.sleep(3)
        again = [moment for moment, found in self._cluster.watcher.changes if moment >= began and holder.name in found]
        return len(again)

    def _another(self, holder: lease.Node) -> None:
        self._cluster.watcher.wait(lambda found: bool(set(found) - {holder.name}), TTL + 30, time.monotonic())

    def _cut(self, node: lease.Node, meanwhile: Callable[[], None]) -> None:
        node.cut(True)
        meanwhile()
        time.sleep(self._chance.uniform(0, 2))
        node.cut(False)

    def _etcd(self, kind: str) -> None:
        leader = self._members.members[max(0, self._members.leader())]
        if kind == "etcd's leader killed":
            leader.kill()
            time.sleep(self._chance.uniform(1, 4))
            leader.start()
            return
        stopped = [leader] if kind == "etcd's leader hangs" else self._members.members[:2]
        for member in stopped:
            member.signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(2, 8))
        for member in stopped:
            member.signal(signal.SIGCONT)


def judge(ticks: Ticks, cluster: Cluster, ran: pathlib.Path) -> int:
    """Print how often each tick ran. Returns how many ran twice, or nowhere without an excuse."""
    runs = collections.Counter(int(line.split()[0]) for line in ran.read_text().splitlines())
    excuses: collections.Counter[str] = collections.Counter()
    twice = [number for number in range(len(ticks.started)) if runs[number] > 1]
    for number, (due, _processes) in enumerate(ticks.started):
        if runs[number]:
            continue
        statuses = ticks.statuses[number].values()
        until = due + TAKEOVER
        changes = [*cluster.watcher.changes, (float("inf"), ())]
        someone = [
            True
            for (moment, found), (then, _next) in zip(changes, changes[1:])
            if found and moment < until and then > due
        ]
        if -signal.SIGKILL in statuses:
            excuses["its node died"] += 1
        elif os.EX_TEMPFAIL in statuses:
            excuses["no claim could be made"] += 1
        elif not someone:
            excuses["no node was active"] += 1
        else:
            excuses["NO EXCUSE"] += 1
            print(f"tick {number}, due at {due:.1f}: {ticks.statuses[number]}")
    once = len(ticks.started) - len(twice) - sum(excuses.values())
    nowhere = ", ".join(f"{count} {words}" for words, count in sorted(excuses.items())) or "0"
    print(f"{len(ticks.started)} ticks: once {once}; twice {len(twice)}; nowhere: {nowhere}")
    return len(twice) + excuses["NO EXCUSE"]


def main() -> int:
    """Run it. Returns the exit status."""
    wanted, seed = int((*sys.argv[1:], "500")[0]), int((*sys.argv[2:], "1")[0])
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "engine").mkdir()
        ran = folder / "ran"
        ran.touch()
        members = EtcdMembers(folder / "engine")
        nodes = [Node(folder, number, etcd_conf, members.ports, more=SETTINGS) for number in range(3)]
        cluster = Cluster(list(nodes))
        ticks = Ticks(nodes, ran)
        faults = Faults(cluster, ticks, members, random.Random(seed))  # noqa: S311
        began = time.monotonic()
        try:
            cluster.holder()
            ticks.start()
            while (found := failovers(cluster)) < wanted:
                if sum(faults.done.values()) % 20 == 0:
                    seconds = time.monotonic() - began
                    print(f"{seconds:.0f} s, {found} failovers, two active for {cluster.watcher.two:.3f} s", flush=True)
                faults.next()
            again = faults.suspend()
            cluster.holder()
            ticks.end()
        finally:
            cluster.watcher.is_over = True
            for node in nodes:
                node.signal(signal.SIGCONT)
                node.kill()
            members.end()
        wrong = judge(ticks, cluster, ran)
    watcher = cluster.watcher
    seconds = time.monotonic() - began
    for kind, count in sorted(faults.done.items()):
        print(f"{kind}: {count} times, no active node for {faults.longest[kind]:.1f} s at most")
    print(f"suspended for a minute: became active by going on: {again} times")
    print(f"{failovers(cluster)} failovers in {seconds:.0f} s with ttl {TTL}; load {os.getloadavg()[0]:.0f}")
    apart = 1000 * watcher.longest_look
    print(f"two active at once: {1000 * watcher.two:.0f} ms in {watcher.looks} looks, at most {apart:.0f} ms apart")
    return 1 if watcher.two or wrong or again else 0


if __name__ == "__main__":
    sys.exit(main())
