# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Real engines, and many claimers that race for the same runs while things fail: has each run one winner?

    python3 tests/engines/races.py [etcd] [postgresql] [redis]

starts the servers itself, as processes of 127.0.0.1, from PATH (etcd; postgres, initdb and pg_basebackup; redis-server
and redis-cli). Ends with status 1 if a run had two winners, or if one had none although the engine answered in the end.
What a failover of Redis or of an asynchronous PostgreSQL loses is printed, and is not counted as a failure. README.md
has what was measured.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rcron.agent.conf import AgentConf, engine_of  # noqa: E402
from rcron.agent.engines import Claim, Engine, EngineError, postgresql  # noqa: E402

FIRES = int(os.environ.get("RCRON_RACE_FIRES", "200"))
CLAIMERS = int(os.environ.get("RCRON_RACE_CLAIMERS", "20"))

#: How long a claimer tries, in seconds: claim_wait.
WAIT = 30.0

#: How far apart the runs of a race with faults are, in seconds.
PACE = 0.2


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Program:
    """A server."""

    def __init__(self, command: list[str], user: str = "") -> None:
        self._command = command
        self._user = user
        self.start()

    def start(self) -> None:
        """Start it."""
        options = (
            {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []} if self._user else {}
        )
        self._process = subprocess.Popen(  # type: ignore[call-overload]
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **options
        )

    @property
    def pid(self) -> int:
        """Its process."""
        found: int = self._process.pid
        return found

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._process.kill()
        self._process.wait()


class Proxy(threading.Thread):
    """Stands between a client and a server, and closes the connection in place of some answers.

    Args:
        port: The server's.
        share: The share of answers that get lost, after the server has done what was asked.
    """

    def __init__(self, port: int, share: float) -> None:
        super().__init__(daemon=True)
        self._server = port
        self.share = share
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.start()

    def run(self) -> None:
        """Serve each connection in a thread of its own."""
        while True:
            client = self._listener.accept()[0]
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            while True:
                ready = select.select([client, server], [], [])[0]
                for side, other in ((client, server), (server, client)):
                    if side not in ready:
                        continue
                    try:
                        data = side.recv(65536)
                        if side is server and data and random.random() < self.share:  # noqa: S311
                            self.lost += 1
                            return
                        if not data:
                            return
                        other.sendall(data)
                    except OSError:
                        return


def race(
    name: str,
    engine: Callable[[int], Engine],
    faults: Callable[[threading.Event], None] | None = None,
    keeps_token: bool = True,
) -> bool:
    """Have all claimers claim all runs. Prints a line.

    Args:
        name: The race's name.
        engine: Makes a claimer's engine.
        faults: Happens meanwhile.
        keeps_token: Whether a claimer knows its own claim again, as rcron does, when it repeats the write.

    Returns:
        Whether each run had one winner; or, if no claimer knows its own claim again, whether that cost runs.
    """
    winners: dict[str, list[int]] = {str(fire): [] for fire in range(FIRES)}
    waits: list[float] = []
    by_token = [0]
    unknown: set[tuple[int, str]] = set()
    lock = threading.Lock()

    def claim(number: int) -> None:
        mine = engine(number)
        for fire in winners:
            if faults:
                # Long enough for some of them.
                time.sleep(max(0.0, started + int(fire) * PACE - time.monotonic()))
            base = Claim("c1", "root", name, fire, f"t{number}", f"node{number}", int(time.time()))
            began = time.monotonic()
            failed = False
            while time.monotonic() - began < WAIT:
                if failed and not keeps_token:
                    base = base._replace(token=f"{base.token}+")
                try:
                    holder = mine.claim(base)
                except EngineError:
                    failed = True
                    time.sleep(0.1)
                    continue
                with lock:
                    waits.append(time.monotonic() - began)
                    if holder.token == base.token:
                        winners[fire].append(number)
                        by_token[0] += failed
                break
            else:
                with lock:
                    unknown.add((number, fire))

    started = time.monotonic()
    ended = threading.Event()
    threads = [threading.Thread(target=claim, args=(number,)) for number in range(CLAIMERS)]
    if faults:
        threading.Thread(target=faults, args=(ended,), daemon=True).start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    took = time.monotonic() - started
    one = sum(len(found) == 1 for found in winners.values())
    two = sum(len(found) > 1 for found in winners.values())
    print(
        f"{name:<34} {FIRES} runs x {CLAIMERS}: one winner {one}, more {two}, none {FIRES - one - two}; won after a "
        f"lost answer {by_token[0]}; could not tell {len(unknown)}; longest wait {max(waits):.1f} s; {took:.0f} s",
        flush=True,
    )
    return two == 0 and (one == FIRES) == keeps_token


#: How many runs are claimed before a failover, and how long the other claimer waits for the new server, in seconds.
BEFORE = 50
BACK = 20.0


def fail_over(name: str, before: Engine, switch: Callable[[], None], after: Engine) -> int:
    """Have one claimer claim runs, then a failover, and then another one claim the same. Prints a line.

    Args:
        name: The race's name.
        before: The engine of the first claimer.
        switch: Puts another server in the place of the one that the first claimer has asked.
        after: The engine of the second claimer.

    Returns:
        How many runs both have won.
    """

    def claim(number: int, fire: int) -> Claim:
        return Claim("c1", "root", name, str(fire), f"t{number}", f"node{number}", int(time.time()))

    won = [fire for fire in range(BEFORE) if before.claim(claim(1, fire)).token == "t1"]
    switch()
    again = 0
    for fire in won:
        until = time.monotonic() + BACK
        while True:
            try:
                again += after.claim(claim(2, fire)).token == "t2"
                break
            except EngineError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
    print(f"{name:<34} {len(won)} runs claimed before a failover, {again} of them claimed again after it", flush=True)
    return again


def conf_of(engine: str, endpoints: str) -> AgentConf:
    """An agent.conf."""
    conf = AgentConf("races")
    conf.engine, conf.endpoints = engine, endpoints
    return conf


class EtcdMembers:
    """Three members."""

    def __init__(self, folder: pathlib.Path) -> None:
        peers = [free_port() for _turn in range(3)]
        self.ports = [free_port() for _turn in range(3)]
        cluster = ",".join(f"m{number}=http://127.0.0.1:{port}" for number, port in enumerate(peers))
        self.members = [
            Program(
                [
                    *("etcd", "--name", f"m{number}", "--data-dir", str(folder / f"m{number}"), "--log-level", "error"),
                    *("--listen-client-urls", f"http://127.0.0.1:{self.ports[number]}"),
                    *("--advertise-client-urls", f"http://127.0.0.1:{self.ports[number]}"),
                    *("--listen-peer-urls", f"http://127.0.0.1:{peers[number]}"),
                    *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peers[number]}"),
                    *("--initial-cluster", cluster, "--initial-cluster-state", "new"),
                ]
            )
            for number in range(3)
        ]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        until = time.monotonic() + 60
        while time.monotonic() < until and self.leader() < 0:
            time.sleep(0.2)

    def leader(self) -> int:
        """Which member leads; -1 if none says so."""
        import json
        import urllib.request

        for number, url in enumerate(self.urls):
            request = urllib.request.Request(f"{url}/v3/maintenance/status", b"{}")  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=1) as answer:  # noqa: S310
                    found = json.load(answer)
            except OSError:
                continue
            if found.get("leader") and found["leader"] == found["header"]["member_id"]:
                return number
        return -1

    def kill_leaders(self, ended: threading.Event) -> None:
        """Kill the leader again and again, and start it anew."""
        while not ended.wait(3):
            leader = self.leader()
            if leader >= 0:
                self.members[leader].kill()
                ended.wait(4)
                self.members[leader].start()

    def stop_leaders(self, ended: threading.Event) -> None:
        """Stop the leader again and again, for five seconds."""
        while not ended.wait(3):
            leader = self.leader()
            if leader >= 0:
                self.members[leader].signal(signal.SIGSTOP)
                ended.wait(5)
                self.members[leader].signal(signal.SIGCONT)

    def lose_quorum(self, ended: threading.Event) -> None:
        """Take two of three members away for six seconds, and give them back."""
        while not ended.wait(3):
            for member in self.members[:2]:
                member.signal(signal.SIGSTOP)
            ended.wait(6)
            for member in self.members[:2]:
                member.signal(signal.SIGCONT)

    def end(self) -> None:
        """End them."""
        for member in self.members:
            member.signal(signal.SIGCONT)
            member.kill()


def etcd(folder: pathlib.Path) -> Iterator[bool]:
    """The races in etcd."""
    members = EtcdMembers(folder)
    try:

        def engine(number: int) -> Engine:
            urls = members.urls[number % 3 :] + members.urls[: number % 3]
            return engine_of(conf_of("etcd", ",".join(urls)))

        yield race("etcd", engine)
        proxy = Proxy(members.ports[0], 0.5)
        yield race("etcd, half of the answers lost", lambda _number: engine_at(f"http://127.0.0.1:{proxy.port}"))
        yield race(
            "etcd, the same, a token a try",
            lambda _number: engine_at(f"http://127.0.0.1:{proxy.port}"),
            keeps_token=False,
        )
        yield race("etcd, leaders killed", engine, members.kill_leaders)
        yield race("etcd, leaders stopped", engine, members.stop_leaders)
        yield race("etcd, quorum lost and back", engine, members.lose_quorum)
    finally:
        members.end()


def engine_at(url: str) -> Engine:
    """One member of etcd."""
    return engine_of(conf_of("etcd", url))


@contextlib.contextmanager
def postgres_server(folder: pathlib.Path) -> Iterator[tuple[int, Program]]:
    """Run a database server in an empty folder. Gives its port."""
    user = "nobody" if os.geteuid() == 0 else ""
    if user:
        shutil.chown(folder, user)
    initdb = shutil.which("initdb") or "initdb"
    share = os.environ.get("RCRON_POSTGRESQL_SHARE")
    command = [initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-N", *(["-L", share] if share else [])]
    options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/", **options)  # type: ignore[call-overload]
    port = free_port()
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    server = Program([shutil.which("postgres") or "postgres", "-D", f"{folder}/data", "-p", str(port), *settings], user)
    try:
        yield port, server
    finally:
        server.signal(signal.SIGINT)
        time.sleep(1)
        server.kill()


def database_at(port: int) -> Engine:
    """The database behind a port."""
    return engine_of(conf_of("postgresql", f"host=127.0.0.1 port={port} user=postgres dbname=postgres"))


def make_tables(port: int) -> None:
    """Make the tables, as soon as the server answers."""
    first = database_at(port)
    assert isinstance(first, postgresql.PostgreSQL)
    for _turn in range(100):
        with contextlib.suppress(EngineError):
            first._run(postgresql.SCHEMA)
            break
        time.sleep(0.2)


def postgres(folder: pathlib.Path) -> Iterator[bool]:
    """The races in PostgreSQL."""
    with postgres_server(folder) as (port, server):
        make_tables(port)
        yield race("PostgreSQL", lambda _number: database_at(port))
        proxy = Proxy(port, 0.2)
        yield race("PostgreSQL, 20 % of the answers lost", lambda _number: database_at(proxy.port))

        def crash(ended: threading.Event) -> None:
            while not ended.wait(3):
                server.kill()
                ended.wait(1)
                server.start()

        yield race("PostgreSQL, killed and started", lambda _number: database_at(port), crash)
    for name, synchronous in (("asynchronous", False), ("synchronous", True)):
        place = folder / name
        place.mkdir()
        again = postgres_failover(place, synchronous)
        # An asynchronous standby that was away has none of the claims.
        yield again == 0 or not synchronous


def stand_alone(engine: Engine, standby: Program) -> None:
    """Have a run claimed while the synchronous standby is away: nobody can tell whose it is until it is there again."""
    claim = Claim("c1", "root", "alone", "1", "t1", "node1", int(time.time()))
    standby.kill()
    began = time.monotonic()
    with contextlib.suppress(EngineError):
        raise AssertionError(f"claimed without the standby: {engine.claim(claim)}")
    waited = time.monotonic() - began
    standby.start()
    while True:
        try:
            assert engine.claim(claim).token == "t1"
            break
        except EngineError:
            assert time.monotonic() < began + BACK, "the standby does not come back"
    print(f"PostgreSQL, its synchronous standby is away: could not tell after {waited:.1f} s, and won when it was back")


def postgres_failover(folder: pathlib.Path, synchronous: bool) -> int:
    """Have a standby take over, which was away meanwhile unless it replicates synchronously. Returns how many runs were
    claimed twice."""
    with postgres_server(folder) as (port, server):
        make_tables(port)
        first = database_at(port)
        assert isinstance(first, postgresql.PostgreSQL)
        user = "nobody" if os.geteuid() == 0 else ""
        options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        copy = pathlib.Path(shutil.which("initdb") or "initdb").resolve().with_name("pg_basebackup")
        source = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        command = [copy, *source, "-D", f"{folder}/standby", "-R", "--checkpoint=fast"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **options)  # type: ignore[call-overload]
        other = free_port()
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        postgres = shutil.which("postgres") or "postgres"
        standby = Program([postgres, "-D", f"{folder}/standby", "-p", str(other), *settings], user)
        try:
            until = time.monotonic() + BACK
            while not first._run("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'")[1]:
                assert time.monotonic() < until, "the standby does not replicate"
                time.sleep(0.1)
            if synchronous:
                first._run("ALTER SYSTEM SET synchronous_standby_names = '*'")
                first._run("SELECT pg_reload_conf()")
                time.sleep(1)
            else:
                standby.kill()
            name = f"PostgreSQL, {'synchronous' if synchronous else 'asynchronous, standby was away'}"

            def switch() -> None:
                server.kill()
                if not synchronous:
                    standby.start()
                promoted = database_at(other)
                # It may be read only yet, which the engine does not ask for.
                promoted._options["target_session_attrs"] = "any"  # type: ignore[attr-defined]
                until = time.monotonic() + BACK
                while True:
                    try:
                        promoted._run("SELECT pg_promote()")  # type: ignore[attr-defined]
                        return
                    except EngineError:
                        assert time.monotonic() < until, "the standby does not answer"
                        time.sleep(0.2)

            if synchronous:
                stand_alone(first, standby)
            return fail_over(name, first, switch, database_at(other))
        finally:
            standby.signal(signal.SIGINT)
            time.sleep(1)
            standby.kill()


def tell(port: int, *words: str) -> str:
    """Send a command to a Redis server. Returns its answer."""
    command = ["redis-cli", "-p", str(port), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def redis(folder: pathlib.Path) -> Iterator[bool]:
    """The races in Redis, and what a failover does there."""
    ports = [free_port(), free_port()]
    common = ["redis-server", "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    servers = []
    for number, port in enumerate(ports):
        (folder / str(number)).mkdir()
        servers.append(Program([*common, "--port", str(port), "--dir", str(folder / str(number))]))
    time.sleep(1)
    try:

        def engine(_number: int) -> Engine:
            return engine_of(conf_of("redis", f"127.0.0.1:{ports[0]}"))

        yield race("Redis", engine)
        proxy = Proxy(ports[0], 0.2)
        yield race(
            "Redis, 20 % of the answers lost",
            lambda _number: engine_of(conf_of("redis", f"127.0.0.1:{proxy.port}")),
        )

        def crash(ended: threading.Event) -> None:
            while not ended.wait(3):
                servers[0].kill()
                ended.wait(1)
                servers[0].start()

        yield race("Redis, killed and started, AOF", engine, crash)
        for name, is_away in (("with its replica", False), ("replica was away", True)):
            tell(ports[0], "REPLICAOF", "NO", "ONE")
            tell(ports[1], "REPLICAOF", "127.0.0.1", str(ports[0]))
            while "state=online" not in tell(ports[0], "INFO", "replication"):
                time.sleep(0.1)
            if is_away:
                # It hangs, and its master gives it up.
                servers[1].signal(signal.SIGSTOP)
                tell(ports[0], "CONFIG", "SET", "repl-timeout", "2")
                while "connected_slaves:0" not in tell(ports[0], "INFO", "replication"):
                    time.sleep(0.1)

            def switch() -> None:
                servers[0].kill()
                servers[1].signal(signal.SIGCONT)
                time.sleep(0.5)
                tell(ports[1], "REPLICAOF", "NO", "ONE")

            fail_over(f"Redis, {name}", engine(0), switch, engine_of(conf_of("redis", f"127.0.0.1:{ports[1]}")))
            servers[0].start()
            time.sleep(1)
            yield True
    finally:
        for server in servers:
            server.kill()


def main() -> int:
    """Run the races of the engines that the command line names, or of all. Returns the exit status."""
    known = {"etcd": etcd, "postgresql": postgres, "redis": redis}
    good = True
    for name in sys.argv[1:] or known:
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-races") as folder:
            for one in known[name](pathlib.Path(folder)):
                good = good and one
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
