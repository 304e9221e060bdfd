# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What can go wrong on a node, and for how long two nodes were active meanwhile, or none.

The tests of all feeders have the same faults; each knows only its own daemon. Times are in seconds, moments in seconds
since the epoch.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.measurement import report

#: How often each fault is tried.
TRIES = int(os.environ.get("RCRON_TRIES", "1"))

#: How often the states are looked at.
INTERVAL = 0.005

#: How long exactly one node must have been active to be the right one.
STEADY = 2.0

#: How long after a fault the cluster must be right again, beside state_max_age.
GRACE = 5.0

#: The programs that may be away.
PYTHON, HOOK = "/usr/bin/python3", "/usr/bin/rcronctl"

#: How long a program is away, the state's folder is read-only, and a frozen node is frozen.
AWAY, READ_ONLY, FROZEN = 4.0, 3.0, 15.0

#: Where the kernel freezes a group of processes, what that is written to, and what freezes and thaws them: the second
#: hierarchy of control groups, and the freezer of the first, which says so when it has done it.
_FREEZERS = {
    "": ("/sys/fs/cgroup{}/cgroup.freeze", "1", "0"),
    "freezer": ("/sys/fs/cgroup/freezer{}/freezer.state", "FROZEN", "THAWED"),
}

#: Fills the queue of /dev/log, until no socket can send another datagram.
FILL_LOG = """
import socket
kept, sent, before = [], 0, -1
while sent != before:
    before = sent
    kept.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    kept[-1].setblocking(False)
    kept[-1].connect("/dev/log")
    try:
        while True:
            kept[-1].send(b"<13>fault: fill")
            sent += 1
    except BlockingIOError:
        pass
"""


def freeze(node: Node) -> None:
    """Freeze all processes of a node, also while it starts some: `podman pause` gives up then."""
    _write_freezer(node, is_to_freeze=True)


def thaw(node: Node) -> None:
    """Have all processes of a frozen node go on."""
    _write_freezer(node, is_to_freeze=False)


def freeze_unit(node: Node, unit: str) -> None:
    """Freeze the processes of a service of a node, as `systemctl freeze` does, which needs version 2 of cgroups(7)."""
    groups = _groups(node)
    if "freezer" not in groups:
        node.run(f"systemctl freeze {unit}")
        return
    systemd = Path("/sys/fs/cgroup/systemd" + groups["name=systemd"].removesuffix("/init.scope"))
    frozen = Path("/sys/fs/cgroup/freezer" + groups["freezer"], unit)
    frozen.mkdir(exist_ok=True)
    for pid in (systemd / f"system.slice/{unit}.service/cgroup.procs").read_text().split():
        (frozen / "cgroup.procs").write_text(pid)
    (frozen / "freezer.state").write_text("FROZEN")
    wait_until(lambda: (frozen / "freezer.state").read_text().strip() == "FROZEN", f"{unit} on {node} is frozen")


def thaw_unit(node: Node, unit: str) -> None:
    """Have the processes of a frozen service go on."""
    groups = _groups(node)
    if "freezer" not in groups:
        node.run(f"systemctl thaw {unit}")
        return
    frozen = Path("/sys/fs/cgroup/freezer" + groups["freezer"], unit)
    (frozen / "freezer.state").write_text("THAWED")
    for pid in (frozen / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (frozen.parent / "cgroup.procs").write_text(pid)
    frozen.rmdir()


def _groups(node: Node) -> dict[str, str]:
    """Return the control groups of a node's first process by their controllers."""
    pid = Path(f"/run/rcron-nodes/{node.container}.pid").read_text().strip()
    return dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())


def _write_freezer(node: Node, is_to_freeze: bool) -> None:
    groups = _groups(node)
    name = "freezer" if "freezer" in groups else ""
    path, frozen, thawed = _FREEZERS[name]
    file = Path(path.format(groups[name]))
    wanted = frozen if is_to_freeze else thawed
    file.write_text(wanted)
    wait_until(lambda: file.read_text().strip() == wanted, f"{node} is {'frozen' if is_to_freeze else 'thawed'}")


class Outcome(NamedTuple):
    """What came of a fault.

    Attributes:
        two: For how long two nodes were active at once.
        none: For how long none was.
        right: How long after the fault's end exactly one node was active for good; 0 if it was by then.
        states: Which nodes were active, in their order, each with the time since the fault began.
    """

    two: float
    none: float
    right: float
    states: str


class Watch:
    """Watches the nodes' states as a job would find them, while it is entered as a context.

    A node that is frozen or down is not active: it runs no jobs.

    Args:
        cluster: The nodes.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._frozen: set[str] = set()
        self._roots = {node.name: _root(node) for node in cluster.nodes}
        self._settings = {node.name: _settings(node) for node in cluster.nodes}
        self._changes: list[tuple[float, frozenset[str]]] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        wait_until(lambda: self._changes, "the watcher has looked once")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()

    @property
    def max_age(self) -> float:
        """The largest state_max_age of the nodes."""
        return max(max_age for max_age, _default in self._settings.values())

    @contextlib.contextmanager
    def frozen(self, node: Node) -> Iterator[None]:
        """Freeze all processes of a node."""
        freeze(node)
        self._frozen.add(node.name)
        try:
            yield
        finally:
            self._frozen.discard(node.name)
            thaw(node)

    def outcome(self, ended: float, patience: float = 60.0, steady: float = STEADY) -> Outcome:
        """Wait until exactly one node is active for good.

        Args:
            ended: When the fault ended.
            patience: How long to wait at most.
            steady: How long one must have been active.

        Returns:
            What has been since the watching began.
        """

        def is_right() -> bool:
            moment, active = self._changes[-1]
            return len(active) == 1 and time.time() - max(moment, ended) >= steady

        wait_until(is_right, f"exactly one node is active for good, but there was {self._words()}", patience)
        last = self._changes[-1][0]
        spans = zip(self._changes, [*self._changes[1:], (time.time(), frozenset())])
        seconds = {"two": 0.0, "none": 0.0}
        for (start, active), (end, _active) in spans:
            if len(active) != 1:
                seconds["two" if active else "none"] += end - start
        return Outcome(seconds["two"], seconds["none"], max(0.0, last - ended), self._words())

    def _words(self) -> str:
        start = self._changes[0][0]
        return ", ".join(f"{when - start:.2f} {'+'.join(sorted(who)) or '-'}" for when, who in list(self._changes))

    def _look(self) -> None:
        while not self._is_over:
            active = self._active()
            if len(active) > 1:
                # Perhaps one became passive between the two looks.
                active &= self._active()
            if not self._changes or active != self._changes[-1][1]:
                self._changes.append((time.time(), active))
            time.sleep(INTERVAL)

    def _active(self) -> frozenset[str]:
        return frozenset(node.name for node in self._cluster.nodes if self._is_active(node))

    def _is_active(self, node: Node) -> bool:
        """Whether a job would run on a node now, as rcron/state.py decides it, but for pins."""
        root = self._roots[node.name]
        if node.name in self._frozen:
            return False
        if not (root / "run").is_dir():
            self._roots[node.name] = _root(node)  # it is down, or was booted
            return False
        max_age, default = self._settings[node.name]
        agent = root / "run/rcron-agent"
        try:
            with open(root / "run/rcron/state") as file:
                word = file.read().strip()
                written = os.fstat(file.fileno()).st_mtime
        except OSError:
            word, written = "", 0.0
        if word == "active":
            is_fresh = not max_age or abs(time.time() - written) <= max_age
            return is_fresh and not (agent / "run-rcron-state.passive").exists()
        return not word and default == "active" and not (agent / "run-rcron-state.ask").exists()


def _root(node: Node) -> Path:
    """Return the root folder of a node, as this machine sees it."""
    inspect = ["podman", "inspect", "--format", "{{.State.Pid}}", node.container]
    return Path("/proc", subprocess.run(inspect, check=True, stdout=subprocess.PIPE, text=True).stdout.strip(), "root")


def _settings(node: Node) -> tuple[float, str]:
    """Return state_max_age and default_state of a node."""
    text = node.run(f"cat {node.conf}").replace("=", " ")
    found = dict(line.split(None, 1) for line in text.splitlines() if line and line[0] not in "#;")
    return float(found.get("state_max_age", 0)), found.get("default_state", "active").strip()


def suffer(
    feeder: str,
    fault: str,
    watch: Watch,
    happens: Callable[[], object],
    protocol: float = 0.0,
    recovery: float = 0.0,
    steady: float = STEADY,
) -> Outcome:
    """Have a fault happen, and require that no two nodes are active, and that one is again soon after.

    Args:
        feeder: Its name, for the report.
        fault: In a few words, for the report.
        watch: What watches the nodes, already.
        happens: Does it, and returns when it is over.
        protocol: For how long the daemon itself may have two nodes in charge.
        recovery: How long the daemon itself may need to have one node in charge again.
        steady: How long one node must have been active after it, which is longer if the daemon may decide anew.

    Returns:
        What came of it.
    """
    happens()
    ended = time.time()
    outcome = watch.outcome(ended, steady=steady)
    report(
        f"{feeder}, {fault}: two active for {outcome.two:.2f} s, none for {outcome.none:.1f} s, "
        f"right again {outcome.right:.1f} s after its end ({outcome.states})"
    )
    assert outcome.two <= protocol, outcome
    assert outcome.right <= watch.max_age + GRACE + recovery, outcome
    return outcome


# --- the faults ---


@contextlib.contextmanager
def away(program: str, *nodes: Node) -> Iterator[None]:
    """Have a program not start, as in the middle of an upgrade: PYTHON, or HOOK if the daemon itself needs Python."""
    for node in nodes:
        node.run(f"chmod a-x $(readlink -f {program})")
    try:
        yield
    finally:
        for node in nodes:
            node.run(f"chmod a+x $(readlink -f {program})")


@contextlib.contextmanager
def read_only(node: Node) -> Iterator[None]:
    """Let nobody write into the folder of the state."""
    _as_root(node, "mount --bind /run/rcron /run/rcron && mount -o remount,ro,bind /run/rcron", "--mount", "--pid")
    try:
        yield
    finally:
        _as_root(node, "umount --lazy /run/rcron", "--mount", "--pid")


def remove_folder(node: Node) -> None:
    """Remove the folder of the state."""
    node.run("rm -rf /run/rcron")


def kill_agent(node: Node) -> None:
    """Kill rcron-agent."""
    node.run("systemctl kill --signal=KILL rcron-agent")


@contextlib.contextmanager
def stopped(node: Node, processes: str) -> Iterator[None]:
    """Stop processes by a signal. processes: what pkill is to look for, such as `-x ucarp`."""
    node.run(f"pkill -STOP {processes}")
    try:
        yield
    finally:
        node.run(f"pkill -CONT {processes}")


@contextlib.contextmanager
def log_frozen(node: Node) -> Iterator[None]:
    """Stop the log daemon, with the queue of its socket full."""
    with stopped(node, "-x systemd-journal"):
        node.run(f"python3 -c '{FILL_LOG}'")
        yield


@contextlib.contextmanager
def lock_held(node: Node) -> Iterator[None]:
    """Hold the lock of the state's writers."""
    node.run("flock /run/rcron/state.lock sleep 600 </dev/null >/dev/null 2>&1 & echo $! >/run/lock-holder")
    wait_until(lambda: node.try_run("flock -n /run/rcron/state.lock true").returncode, "somebody holds the lock")
    try:
        yield
    finally:
        node.run("pkill -P $(cat /run/lock-holder); rm /run/lock-holder")


@contextlib.contextmanager
def cut_off(node: Node, packets: str = "") -> Iterator[None]:
    """Let no IP packet in or out of a node. What goes through libpcap, as ucarp's adverts do, is not stopped.

    Args:
        node: The node.
        packets: Only these, as nft says it; all, if left out.
    """
    rules = "add table inet fault; " + "; ".join(
        f"add chain inet fault {hook} {{ type filter hook {hook} priority 0; }}; "
        f"add rule inet fault {hook} {interface} != lo {packets} drop"
        for hook, interface in (("input", "iifname"), ("output", "oifname"))
    )
    _as_root(node, f"nft '{rules}'", "--net")
    try:
        yield
    finally:
        _as_root(node, "nft delete table inet fault", "--net")


def _as_root(node: Node, command: str, *namespaces: str) -> None:
    """Run this machine's shell in some of a node's namespaces, with capabilities that no node has."""
    pid = _root(node).parent.name
    ran = subprocess.run(
        ["nsenter", "--target", pid, *namespaces, "sh", "-c", command], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, f"{node}: {command}: {ran.stderr}"
