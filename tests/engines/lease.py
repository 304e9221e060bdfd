# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Three agents that hold a lease in a real engine, and faults: are two nodes ever active, and for how long is none?

    python3 tests/engines/lease.py [etcd|postgresql] [ROUNDS [PARTITIONS]]

The engine is real: etcd with three members, or a PostgreSQL. A node is a folder, with a state file and a real
rcron-agent, which reaches the engine through a proxy of its own, so that it can be cut off. One process looks at all
state files, as jobs would, every few milliseconds and by one clock. Each round has each fault once, and the given
number of partitions comes after the rounds. Ends with status 1 if two nodes were active at once, or a limit was missed.
lease_soak.py has such faults by chance, and jobs.
"""

from __future__ import annotations

import collections
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

sys.path[:0] = [os.path.dirname(__file__)]

import races  # noqa: E402
from races import CHECKOUT, EtcdMembers  # noqa: E402

from rcron import settings, state  # noqa: E402
from rcron.settings import ACTIVE  # noqa: E402

PYTHON = os.environ.get("RCRON_PYTHON", sys.executable)

#: The lease's length, and state_max_age, in seconds.
TTL = int(os.environ.get("RCRON_LEASE_TTL", "6"))
MAX_AGE = int(TTL - max(1.0, TTL / 10))

#: Seconds from one look at the states to the next.
LOOK = 0.004

#: How far a clock jumps, in seconds.
JUMP = 3600

#: A program of rcron's on a node: its runtime folder is its own, and so is what it believes to be the time of day.
LAUNCHER = """\
import os, sys, time
sys.path.insert(0, {library!r})
def clock(real=time.time):
    with open({offset!r}) as file:
        return real() + float(file.read())
time.time = clock
from rcron import settings
settings.RUNTIME = {runtime!r}
from rcron.{module} import main
sys.exit(main(sys.argv[1:]))
"""


class Clock:
    """Stands for the module time in `rcron.state`, which needs only this of it. A node's own time of day."""

    def __init__(self, offset: float) -> None:
        self._offset = offset

    def time(self) -> float:
        """Return it."""
        return time.time() + self._offset


class Wire(threading.Thread):
    """Stands between a node and a server, and can be cut: what is sent then arrives nowhere, as in a partition.

    Args:
        port: The server's.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._server = port
        self.is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.start()

    def run(self) -> None:
        """Serve each connection in a thread of its own."""
        while True:
            client = self._listener.accept()[0]
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            while self.is_cut:
                time.sleep(0.02)
            try:
                server = socket.create_connection(("127.0.0.1", self._server), 2)
            except OSError:
                return
            with server:
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            ready = select.select([client, server], [], [], 0.05)[0]
            if self.is_cut:
                time.sleep(0.02)
                continue
            for side, other in ((client, server), (server, client)):
                if side not in ready:
                    continue
                try:
                    data = side.recv(65536)
                    if not data:
                        return
                    other.sendall(data)
                except OSError:
                    return


class Node:
    """A node: its state, its agent, and its wires to the engine.

    Args:
        folder: Where its folder is to be.
        number: Its place, from 0.
        conf: What agent.conf says besides the node's name, given the ports of its wires.
        ports: The engine's.
        has_wires: Whether it can be cut off.
        options: More lines of the file that has the agent serve the cluster.
        more: More lines of rcron.conf.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        number: int,
        conf: Callable[[list[int]], str],
        ports: list[int],
        has_wires: bool = True,
        options: str = "",
        more: str = "",
    ) -> None:
        self.name = f"node{number}"
        self.folder = folder / self.name
        for name in ("", "run", "runtime", "agent.d"):
            (self.folder / name).mkdir()
        ports = ports[number % len(ports) :] + ports[: number % len(ports)]
        self.wires = [Wire(port) for port in ports] if has_wires else []
        agent_conf = self.folder / "agent.conf"
        agent_conf.touch(0o600)
        agent_conf.write_text(f"{conf([wire.port for wire in self.wires] or ports)}node = {self.name}\n")
        rcron_conf = self.folder / "rcron.conf"
        rcron_conf.write_text(
            f"cluster_name = lease\nstate_file = {self.folder}/run/state\nstate_max_age = {MAX_AGE}\n"
            f"default_state = passive\n{more}"
        )
        (self.folder / "agent.d" / "c1.conf").write_text(
            f"conf = {rcron_conf}\nfeeder = lease\nagent_conf = {agent_conf}\nttl = {TTL}\nplace = {number}\n{options}"
        )
        self.config = settings.load(str(rcron_conf))
        self.is_dead = False
        self.set_clock(0)
        self.start()

    def program(self, module: str) -> list[str]:
        """Return the command line of a program of rcron's on this node, given its module."""
        names = {"runtime": str(self.folder / "runtime"), "offset": str(self.folder / "offset")}
        return [PYTHON, "-c", LAUNCHER.format(library=str(CHECKOUT), module=module, **names)]

    def start(self) -> None:
        """Start its agent."""
        command = [*self.program("agent.__main__"), "--clusters", str(self.folder / "agent.d")]
        self.agent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.is_dead = False

    def set_clock(self, offset: float) -> None:
        """Set its time of day so many seconds ahead of this machine's."""
        draft = self.folder / "offset.new"
        draft.write_text(str(offset))
        draft.rename(self.folder / "offset")
        self.offset = offset

    def kill(self) -> None:
        """Kill its agent."""
        self.agent.kill()
        self.agent.wait()

    def cut(self, is_cut: bool) -> None:
        """Cut the node off from the engine, or connect it again."""
        for wire in self.wires:
            wire.is_cut = is_cut

    def job_state(self) -> str:
        """What a job would go by. A machine that is dead starts none."""
        settings.RUNTIME = str(self.folder / "runtime")  # only the watching thread calls this
        state.time = Clock(self.offset)
        return "dead" if self.is_dead else state.current(self.config).state


class Watcher(threading.Thread):
    """Looks at all nodes' states again and again, by one clock. `changes`: when which were active from then on."""

    def __init__(self, nodes: list[Node], every: float = LOOK) -> None:
        super().__init__(daemon=True)
        self._nodes = nodes
        self._every = every
        self.active: tuple[str, ...] = ()
        self.changes: list[tuple[float, tuple[str, ...]]] = []
        self.two = 0.0
        self.looks = 0
        self.longest_look = 0.0
        self.is_over = False

    def run(self) -> None:
        """Look, until the end."""
        before = time.monotonic()
        while not self.is_over:
            found = tuple(node.name for node in self._nodes if node.job_state() == ACTIVE)
            now = time.monotonic()
            if len(found) > 1:
                self.two += now - before
            self.longest_look = max(self.longest_look, now - before)
            if found != self.active:
                self.active = found
                self.changes.append((now, found))
            self.looks += 1
            before = now
            time.sleep(self._every)

    def none(self, since: float) -> float:
        """Return for how many seconds no node was active since a moment, by `time.monotonic`."""
        changes = [*self.changes, (time.monotonic(), ())]
        return sum(
            max(0.0, then - max(since, moment))
            for (moment, found), (then, _next) in zip(changes, changes[1:])
            if not found
        )

    def wait(self, wanted: Callable[[tuple[str, ...]], bool], seconds: float, since: float) -> float:
        """Wait until the nodes that are active are as wanted. Returns when they were, in seconds from a moment on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for moment, found in list(self.changes):
                if moment >= since and wanted(found):
                    return moment - since
            time.sleep(0.01)
        return float("inf")


class Cluster:
    """The nodes, what watches them every so many seconds, and the figures."""

    def __init__(self, nodes: list[Node], every: float = LOOK) -> None:
        self.nodes = nodes
        self.watcher = Watcher(nodes, every)
        self.watcher.start()
        self.figures: dict[str, list[float]] = collections.defaultdict(list)
        self.missed: list[str] = []

    def holder(self) -> Node:
        """Wait for one active node, and return it."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            active = self.watcher.active
            if len(active) == 1:
                time.sleep(0.5)
                if self.watcher.active == active:
                    return next(node for node in self.nodes if node.name == active[0])
            time.sleep(0.01)
        raise SystemExit(f"no node became active: {self.watcher.changes[-5:]}")

    def settle(self) -> None:
        """Let each agent have looked."""
        time.sleep(1.5)

    def note(self, name: str, seconds: float, limit: float) -> None:
        """Take down a figure. One above its limit, in seconds, is reported."""
        self.figures[name].append(seconds)
        if seconds > limit:
            self.missed.append(f"{name}: {seconds:.2f} s, and {limit:g} s is the limit")
            print("  MISSED", self.missed[-1], flush=True)

    def another(self, name: str, what: Callable[[Node], None], limit: float) -> tuple[Node, float]:
        """Do something to the holder, and note when another node is active. Returns the old holder, and that moment."""
        old = self.holder()
        began = time.monotonic()
        what(old)
        took = self.watcher.wait(lambda found: bool(set(found) - {old.name}), TTL + 30, began)
        self.note(name, took, limit)
        return old, began

    def stays(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Do something, and note how often another node was active in the time after it."""
        old = self.holder()
        began = time.monotonic()
        what()
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        others = [found for moment, found in self.watcher.changes if moment >= began and found != (old.name,)]
        self.note(name, float(len(others)), 0)


def died(node: Node) -> None:
    """Let the machine die: nothing is written, and no job is started any more."""
    node.is_dead = True
    node.kill()


def faults(cluster: Cluster) -> None:
    """One round of faults that every engine has."""
    old, _began = cluster.another("machine killed: another node is active after", died, TTL + 1)
    old.start()
    cluster.settle()
    old, _began = cluster.another(
        "clean stop: another node is active after", lambda node: node.agent.send_signal(signal.SIGTERM), 1
    )
    old.agent.wait()
    old.start()
    cluster.settle()

    def restart(node: Node) -> None:
        node.kill()
        time.sleep(0.2)
        node.start()

    cluster.stays("agent killed and started anew: changes of the active node", TTL, lambda: restart(cluster.holder()))
    old, began = cluster.another(
        "agent stopped: another node is active after", lambda node: node.agent.send_signal(signal.SIGSTOP), TTL + 1
    )
    cluster.note(
        "agent stopped: this one is passive after",
        cluster.watcher.wait(lambda found: old.name not in found, 1, began),
        MAX_AGE + 0.1,
    )
    time.sleep(1)
    began = time.monotonic()
    old.agent.send_signal(signal.SIGCONT)
    time.sleep(2)
    again = [found for moment, found in cluster.watcher.changes if moment >= began and old.name in found]
    cluster.note("agent stopped, and continued: became active by that", float(len(again)), 0)
    cluster.settle()
    for way, offset in ("ahead", JUMP), ("back", -JUMP):
        began = time.monotonic()
        cluster.holder().set_clock(offset)
        time.sleep(TTL)
        cluster.note(f"clock set an hour {way}: none is active for", cluster.watcher.none(began), 1)
        cluster.holder().set_clock(0)
        cluster.settle()


def partition(cluster: Cluster) -> None:
    """Cut the holder off, until another node is active and a while longer."""
    old, began = cluster.another("holder cut off: another node is active after", lambda node: node.cut(True), TTL + 1.5)
    passive = cluster.watcher.wait(lambda found: old.name not in found, 1, began)
    cluster.note("holder cut off: it is passive after", passive, MAX_AGE + 0.3)
    time.sleep(0.5)
    old.cut(False)
    cluster.settle()


def etcd_faults(cluster: Cluster, members: EtcdMembers) -> None:
    """What may happen to etcd."""

    def kill_leader() -> None:
        leader = members.members[max(0, members.leader())]
        leader.kill()
        time.sleep(4)
        leader.start()

    def stop_leader() -> None:
        leader = members.members[max(0, members.leader())]
        leader.signal(signal.SIGSTOP)
        time.sleep(5)
        leader.signal(signal.SIGCONT)

    cluster.stays("etcd's leader killed: changes of the active node", TTL + 2, kill_leader)
    time.sleep(2)
    cluster.stays("etcd's leader stopped for 5 s: changes of the active node", TTL + 2, stop_leader)
    time.sleep(2)
    cluster.holder()
    began = time.monotonic()
    for member in members.members[:2]:
        member.signal(signal.SIGSTOP)
    cluster.note(
        "quorum lost: no node is active after",
        cluster.watcher.wait(lambda found: not found, TTL + 5, began),
        MAX_AGE + 0.3,
    )
    time.sleep(2)
    began = time.monotonic()
    for member in members.members[:2]:
        member.signal(signal.SIGCONT)
    cluster.note("quorum back: a node is active after", cluster.watcher.wait(bool, 60, began), TTL + 5)
    cluster.settle()


def postgresql_faults(cluster: Cluster, server: races.Program) -> None:
    """What may happen to a database."""

    def crash() -> None:
        server.kill()
        time.sleep(1)
        server.start()

    cluster.stays("database killed and started: changes of the active node", TTL + 2, crash)


def etcd_conf(ports: list[int]) -> str:
    """Return what agent.conf says of an etcd with these ports."""
    return "engine = etcd\nendpoints = " + ",".join(f"http://127.0.0.1:{port}" for port in ports) + "\n"


def engines(kind: str, folder: pathlib.Path) -> Iterator[tuple[list[int], Callable[[list[int]], str], object]]:
    """Start an engine. Yields its ports, what agent.conf says given the ports of a node's wires, and the engine."""
    if kind == "etcd":
        members = EtcdMembers(folder)
        try:
            yield members.ports, etcd_conf, members
        finally:
            members.end()
        return
    with races.postgres_server(folder) as (port, server):
        races.make_tables(port)
        yield (
            [port],
            lambda ports: (
                f'engine = postgresql\nendpoints = "host=127.0.0.1 port={ports[0]} user=postgres dbname=postgres"\n'
            ),
            server,
        )


def main() -> int:
    """Run it. Returns the exit status."""
    kind, rounds, partitions = (*sys.argv[1:], *("etcd", "1", "3")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-lease") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "engine").mkdir()
        for ports, conf, engine in engines(kind, folder / "engine"):
            nodes = [Node(folder, number, conf, ports) for number in range(3)]
            cluster = Cluster(nodes)
            try:
                cluster.settle()
                for turn in range(int(rounds)):
                    print(f"round {turn + 1}", flush=True)
                    faults(cluster)
                    if isinstance(engine, EtcdMembers):
                        etcd_faults(cluster, engine)
                    elif isinstance(engine, races.Program):
                        postgresql_faults(cluster, engine)
                for turn in range(int(partitions)):
                    print(f"partition {turn + 1}", flush=True)
                    partition(cluster)
            finally:
                cluster.watcher.is_over = True
                for node in nodes:
                    node.agent.send_signal(signal.SIGCONT)
                    node.kill()
        watcher = cluster.watcher
        for title, values in cluster.figures.items():
            print(f"{title}: {min(values):.2f} to {max(values):.2f} ({len(values)})")
        apart = 1000 * watcher.longest_look
        print(f"two active at once: {1000 * watcher.two:.0f} ms in {watcher.looks} looks, at most {apart:.0f} ms apart")
        print(f"{len(cluster.missed)} limits missed; {len(watcher.changes)} changes; load {os.getloadavg()[0]:.0f}")
        return 1 if watcher.two or cluster.missed else 0


if __name__ == "__main__":
    sys.exit(main())
