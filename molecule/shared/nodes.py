# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The nodes of a test cluster, as `make demo` and tests/cluster reach them: through podman.

All times are seconds since the epoch. The containers of a machine have its clock, so times of several nodes compare.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from waiting import wait_until

Answer = TypeVar("Answer")

IN_NODE = str(Path(__file__).with_name("in-node.sh"))

#: What `Node.state` returns for a container that is not running.
DOWN = "down"

#: Seconds that a node has, after a full minute, to have begun all jobs of that minute.
CRON_PATIENCE = 20.0

#: Seconds before a full minute in which nothing is started that must end before it.
NEAR_MINUTE = 10.0


class Change(NamedTuple):
    """One change of a node's state file, as state-watch.py noted it."""

    time: float
    node: str
    state: str


class Run(NamedTuple):
    """One run of a job, as the job itself noted it."""

    time: float
    node: str


class Node:
    """One container that boots as a machine does."""

    def __init__(self, container: str, second: str = "") -> None:
        """Take the container's name, which ends in "-" and the node's own name, and a second cluster's name if that is
        meant: /etc/rcron/NAME.conf, /var/log/state-watch.NAME."""
        self.container = container
        self.conf = f"/etc/rcron/{second or 'rcron'}.conf"
        self.watch = "/var/log/state-watch" + (f".{second}" if second else "")
        self.name = container.rsplit("-", 1)[1]

    def __repr__(self) -> str:
        return self.name

    def try_run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the node's shell, as root, and return the ended process. Odd bytes become surrogates."""
        return subprocess.run(
            [IN_NODE, self.container, "/bin/sh", "-c", command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,  # the node's processes have no terminal
            encoding="utf-8",
            errors="surrogateescape",
        )

    def run(self, command: str) -> str:
        """Run a command that must succeed (AssertionError) and return what it printed."""
        ran = self.try_run(command)
        assert ran.returncode == 0, f"{self.name}: {command}: exit status {ran.returncode}: {ran.stderr or ran.stdout}"
        return ran.stdout

    def state(self) -> str:
        """Return the state that a job would find here now: active or passive, from `rcronctl is-active`, or DOWN."""
        ran = self.try_run(
            f"rcronctl --conf {self.conf} is-active --quiet; echo $?"
        )  # a status of 1 may also mean that the node is dying
        if ran.stdout in ("0\n", "1\n"):
            return ("active", "passive")[int(ran.stdout)]
        running = self._podman("container", "inspect", "--format", "{{.State.Running}}", self.container)
        assert running == "false", f"{self.name}: rcronctl is-active ended with {ran.stdout}{ran.stderr}"
        return DOWN

    def runs(self, job: str) -> list[Run]:
        """Return every run of a job (a name in /var/log/jobs) on this node."""
        log = self.try_run(f"cat /var/log/jobs/{job}.log").stdout
        return [Run(float(when), host) for host, when in (line.split() for line in log.splitlines())]

    def changes(self) -> list[Change]:
        """Return every change of this node's state file."""
        log = self.run(f"cat {self.watch}")
        return [Change(float(when), self.name, state) for when, state in (line.split() for line in log.splitlines())]

    def kill(self) -> float:
        """Kill all processes of this node at once, as a power failure does. Returns when that began."""
        when = time.time()
        self._podman("kill", "--signal", "KILL", self.container)
        self._podman("wait", self.container)
        return when

    def start(self) -> None:
        """Start this node without waiting."""
        self._podman("start", self.container)

    def boot(self) -> None:
        """Start this node and wait until its systemd has started everything."""
        self.start()
        deadline = time.monotonic() + 60
        while (said := self.try_run("systemctl is-system-running").stdout.strip()) != "running":
            assert time.monotonic() < deadline, f"{self.name}: booted, but systemd says {said!r} after 60 s"
            time.sleep(0.2)

    @staticmethod
    def _podman(*arguments: str) -> str:
        return subprocess.run(["podman", *arguments], check=True, capture_output=True, text=True).stdout.strip()


class Cluster:
    """All nodes."""

    def __init__(self, containers: list[str], second: str = "") -> None:
        """Take the containers' names, in the inventory's order, and their second cluster's name if it is that one."""
        self.nodes = [Node(container, second) for container in containers]

    def states(self) -> dict[str, str]:
        """Each node's state by the node's name."""
        return dict(zip((node.name for node in self.nodes), self.on_all(Node.state)))

    def on_all(self, function: Callable[[Node], Answer]) -> list[Answer]:
        """Call the function with each node, all at the same time, and return what it returns."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            return list(pool.map(function, self.nodes))

    def active(self) -> Node:
        """Return the only active node (AssertionError if none is, or several are)."""
        states = self.states()
        active = [node for node in self.nodes if states[node.name] == "active"]
        assert len(active) == 1, f"not exactly one node is active: {states}"
        return active[0]

    def settle(self, timeout: float = 20.0, steady: float = 2.0, on: Node | None = None) -> Node:
        """Wait until exactly one node has been active for some seconds; return it (AssertionError after timeout).

        on: the node that it must be, if keepalived must give the role back to a certain one.
        """
        deadline = time.monotonic() + timeout
        since = time.monotonic()
        last: dict[str, str] = {}
        while True:
            states = self.states()
            if states != last:
                since, last = time.monotonic(), states
            active = [node for node in self.nodes if states[node.name] == "active"]
            if len(active) == 1 and on in (None, *active) and time.monotonic() - since >= steady:
                return active[0]
            assert time.monotonic() < deadline, (
                f"not exactly {on or 'one node'} is active after {timeout:.0f} s: {states}"
            )
            time.sleep(0.2)

    def hand_over(self, to: Node) -> None:
        """Make a node the active one by stopping keepalived on the others for a moment (which must not preempt)."""
        others = [node for node in self.nodes if node is not to]
        self.on_all(lambda node: node in others and node.run("systemctl stop keepalived"))
        wait_until(lambda: to.state() == "active", f"{to} is active while keepalived is stopped on {others}", 10)
        self.on_all(lambda node: node in others and node.run("systemctl start keepalived"))
        assert self.settle(steady=1) is to

    def changes_since(self, start: float) -> list[Change]:
        """Every change of a running node's state file since a time, in order."""
        running = [node for node in self.nodes if node.state() != DOWN]
        return sorted(change for node in running for change in node.changes() if change.time >= start)

    def wait_for_minute(self, everywhere: str, say: Callable[[str], None] = print) -> int:
        """Wait for the next full minute, and until cron has begun its jobs on all running nodes.

        everywhere: the name of a job that runs on each node in each minute; say: called with a line about the
        waiting. Returns that minute's first second.
        """
        minute = (int(time.time()) // 60 + 1) * 60
        say(f"waiting {minute - time.time():.0f} s for cron's next minute")
        time.sleep(max(0.0, minute - time.time()))
        running = [node for node in self.nodes if node.state() != DOWN]
        while not all(any(run.time >= minute for run in node.runs(everywhere)) for node in running):
            assert time.time() < minute + CRON_PATIENCE, f"cron did not run {everywhere} on {running} in this minute"
            time.sleep(0.5)
        time.sleep(2)  # the minute's other jobs, and those that should not run
        return minute

    def who_ran(self, job: str, minute: int) -> list[str]:
        """Return the names of the nodes that ran a job in a minute, one for each run."""
        return [
            run.node
            for node in self.nodes
            if node.state() != DOWN
            for run in node.runs(job)
            if 0 <= run.time - minute < 60
        ]


def stay_clear_of_minute() -> None:
    """If a full minute is near, wait until it is over: what starts next must end before cron's next jobs."""
    left = 60 - time.time() % 60
    if left < NEAR_MINUTE:
        time.sleep(left + 2)


def seconds_with_two_active(changes: list[Change]) -> float:
    """Return for how long two nodes at once had `active` in their state files, from their changes in order."""
    states: dict[str, str] = {}
    total = 0.0
    for before, change in zip([None, *changes], changes):
        if before and list(states.values()).count("active") > 1:
            total += change.time - before.time
        states[change.node] = change.state
    return total
