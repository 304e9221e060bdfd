# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How many nodes one engine has leases for: the agents' own code, hundreds of times, with a time of their own.

    python3 tests/engines/scale.py NODES [EVERY]
    python3 tests/engines/scale.py measure

No process, network or file: each node is a Keeper and a LeaseTruth, and the engine a queue that serves one request at a
time, as quickly as `measure` finds a real etcd of three members to do it (READ and WRITE). The holder is killed
again and again. Prints how busy the engine is, for how long requests wait, and when another node is active; ends with
status 1 if a node was active without the lease.
"""

from __future__ import annotations

import heapq
import os
import pathlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

sys.path[:0] = [os.path.dirname(__file__)]

import races  # noqa: E402

from rcron import pin, settings, state  # noqa: E402
from rcron.agent.answer import Answer  # noqa: E402
from rcron.agent.engines import LEASE_ATTEMPT, Engine, EngineError, Lease  # noqa: E402
from rcron.agent.feeders import lease  # noqa: E402
from rcron.agent.keeper import Keeper  # noqa: E402
from rcron.settings import ACTIVE, PASSIVE  # noqa: E402

#: Seconds that etcd is busy with a read and with a write, and that an answer is on its way.
READ = float(os.environ.get("RCRON_SCALE_READ", "0.0041"))
WRITE = float(os.environ.get("RCRON_SCALE_WRITE", "0.0062"))
WAY = 0.002

#: How often etcd looks for leases that have ended, in seconds.
EXPIRY = 0.5

TTL = 10
KILLS = int(os.environ.get("RCRON_SCALE_KILLS", "8"))


class Clock:
    """The time, as the node that is being looked at has it."""

    now = 1000.0


class Queue(Engine):
    """An engine that serves one request at a time.

    waits: for how long each waited, in seconds. untils: until when each node has had the lease. What the engine has
    done last may be later than the time of the node that is being looked at.
    """

    keeps_leases = True

    def __init__(self) -> None:
        self.free_at = 0.0
        self.held: Lease | None = None
        self.until = 0.0
        self.untils: dict[str, float] = {}
        self.terms = 0
        self.busy = 0.0
        self.waits: list[float] = []

    def _serve(self, seconds: float) -> None:
        arrived = Clock.now + WAY / 2
        self.free_at = max(arrived, self.free_at) + seconds
        self.busy += seconds
        self.waits.append(self.free_at - arrived)
        if self.held is not None and self.free_at >= self.until:
            self.held = None
        Clock.now = min(self.free_at + WAY / 2, arrived + LEASE_ATTEMPT)

    def _answer(self) -> None:
        if self.waits[-1] > LEASE_ATTEMPT - WAY:
            raise EngineError("no answer in time")

    def lease(self, cluster: str) -> Lease | None:
        """See Engine."""
        self._serve(READ)
        self._answer()
        return self.held

    def hold(self, cluster: str, mine: Lease, ttl: int) -> Lease | None:
        """See Engine. A lease is granted, and the key bound to it."""
        self._serve(WRITE)
        self._answer()
        until = (self.free_at + ttl) // EXPIRY * EXPIRY + EXPIRY
        self._serve(WRITE)
        if mine.term == (self.held.term if self.held else 0):
            self.terms += not mine.term
            self.held = mine._replace(term=mine.term or self.terms, renewed=self.free_at)
            self.until = self.untils[mine.node] = until
        self._answer()
        return self.held

    def wanted(self, cluster: str) -> int | None:
        """See Engine."""
        self._serve(READ)
        self._answer()
        return None


class Memory:
    """What keeps a node's state, in the place of its files."""

    def __init__(self) -> None:
        self._word = PASSIVE
        self.since = 0.0

    def word(self) -> str:
        """See Store."""
        return self._word

    def write_passive(self) -> None:
        """See Store."""
        self._word = PASSIVE

    def write_active(self, answer: Answer, patient: bool = True) -> bool:
        """See Store."""
        self._word, self.since = ACTIVE, Clock.now
        return True

    def watched(self) -> None:
        """See Store."""

    def has_veto(self) -> bool:
        """See Store."""
        return False

    def is_overtaken(self, answer: Answer) -> bool:
        """See Store."""
        return False

    def nothing(self, *_: Any) -> None:
        """Whatever else a Store does."""

    lift_veto = look_at_folder = note = renew = nothing


class Node:
    """A node. place: its place."""

    def __init__(self, place: int, engine: Queue, every: float, config: settings.Config) -> None:
        options = {name: default for name, (_parser, default) in lease.OPTIONS.items()}
        options.update(ttl=TTL, place=place, every=every)
        self.place = place
        self.memory = Memory()
        self.truth = lease.LeaseTruth(config, engine, f"node{place}", options)
        self.truth._mine = self.truth._mine._replace(token=f"token{place}")
        self.keeper = Keeper(config, "lease", self.truth, self.memory, Clock.now)  # type: ignore[arg-type]
        self.dead_until = 0.0

    def step(self) -> float:
        """Ask. Returns when it is to ask again."""
        now = Clock.now
        self.keeper.tick(now)
        self.keeper.asked(now)
        answer = self.truth.ask()
        self.keeper.tick(Clock.now)
        self.keeper.answered(answer, Clock.now)
        return self.keeper.due


def simulate(nodes: int, every: float) -> int:
    """Run it. Returns the exit status."""
    engine = Queue()
    with tempfile.TemporaryDirectory() as folder:
        settings.RUNTIME = folder
        text = f"cluster_name = c1\nstate_file = {folder}/state\nstate_max_age = 9\ndefault_state = passive\n"
        config = settings.parse(text, "rcron.conf")
        all_nodes = [Node(place, engine, every, config) for place in range(nodes)]
        heap = [(1000.0 + every * place / nodes, place) for place in range(nodes)]
        heapq.heapify(heap)
        began, kill_at, killed_at = 1000.0, 1040.0, 0.0
        took: list[float] = []
        lost = wrong = 0
        holder: Node | None = None
        figures: dict[str, float] = {}
        while len(took) < KILLS and heap[0][0] < 1000.0 + 60 * (KILLS + 2):
            due, place = heapq.heappop(heap)
            Clock.now = due
            node = all_nodes[place]
            if due < node.dead_until:
                heapq.heappush(heap, (node.dead_until, place))
                continue
            due = node.step()
            is_active = node.memory.word() == ACTIVE and Clock.now < node.truth.deadline
            if is_active:
                wrong += Clock.now >= engine.untils[f"node{place}"]
            if is_active and node is not holder:
                if killed_at:
                    took.append(node.memory.since - killed_at)
                    killed_at = 0.0
                holder = node
            elif node is holder and not is_active:
                lost += 1
                holder = None
            if holder is not None and Clock.now >= kill_at:
                if not figures:
                    seconds = Clock.now - began
                    waits = sorted(engine.waits[len(engine.waits) // 4 :])
                    figures = {
                        "requests a second": len(engine.waits) / seconds,
                        "busy, %": 100 * engine.busy / seconds,
                        "wait, ms, median": 1000 * waits[len(waits) // 2],
                        "wait, ms, 99 of 100": 1000 * waits[len(waits) * 99 // 100],
                    }
                holder.dead_until, killed_at, kill_at = Clock.now + 45, Clock.now, Clock.now + 50
                holder.memory.write_passive()
                holder.truth._mine = holder.truth._mine._replace(term=0, token=f"{holder.truth._mine.token}x")
                holder.truth.deadline = float("-inf")
                due = holder.dead_until
                holder = None
            heapq.heappush(heap, (due, place))
    line = ", ".join(f"{name} {value:.0f}" for name, value in figures.items())
    kills = f"{min(took):.1f} to {max(took):.1f} s ({len(took)})" if took else "never"
    print(f"{nodes} nodes, every {every:g} s: {line}; kill to active {kills}; lost {lost} times, wrong {wrong}")
    return 1 if wrong else 0


def measure() -> int:
    """Ask a real etcd from some threads for three seconds, and print for how long it is busy with each request."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-scale") as folder:
        members = races.EtcdMembers(pathlib.Path(folder))
        try:
            for name, requests, what in (
                ("reads", 1, lambda engine, _number: engine.lease("c1")),
                ("writes", 2, lambda engine, number: engine.hold(f"c{number}", Lease(f"t{number}", "n", 0), TTL)),
            ):
                count = sum(_asked(members, what))
                print(f"{name}: {requests * count / 3:.0f} a second, {3000 / (requests * count):.2f} ms each")
        finally:
            for member in members.members:
                member.kill()
    return 0


def _asked(members: races.EtcdMembers, what: Callable[[Any, int], object]) -> list[int]:
    """Have eight threads do something for three seconds. Returns how often each has done it."""
    counts = [0] * 8
    until = time.monotonic() + 3

    def ask(thread: int) -> None:
        engine = races.engine_of(
            races.conf_of("etcd", ",".join(members.urls[thread % 3 :] + members.urls[: thread % 3]))
        )
        while time.monotonic() < until:
            what(engine, thread * 1000000 + counts[thread])
            counts[thread] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def main() -> int:
    """Run it. Returns the exit status."""
    if sys.argv[1] == "measure":
        return measure()
    time.clock_gettime = lambda _clock: Clock.now  # type: ignore[assignment]
    pin.read = lambda _config: None
    nothing = state.Verdict(PASSIVE, state.DEFAULT, "")
    state.from_file = lambda _config: nothing
    lease.LeaseTruth._write_term = lambda _self, _term: None  # type: ignore[method-assign]
    every = float(sys.argv[2]) if len(sys.argv) > 2 else 0.3
    return simulate(int(sys.argv[1]), every)


if __name__ == "__main__":
    sys.exit(main())
