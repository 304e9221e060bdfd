# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What rcron costs on a node: time beside a bare Python, memory, and many jobs at once.

rcron is installed into a folder as the role installs it, for the system's own Python (RCRON_PYTHON names another).
Every ratio comes from one run, in which the commands that are compared take turns; README.md tells how to read them.
Where RCRON_C names a binary of the C rcron, it joins in. Ends with status 1 where a promise of the project's does not
hold.
"""

from __future__ import annotations

import os
import pathlib
import re
import resource
import runpy
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("RCRON_PYTHON", "/usr/bin/python3")
C_RCRON = os.environ.get("RCRON_C")
TURNS = int(os.environ.get("RCRON_BENCH_TURNS", "400"))

#: What Debian's cron gives a job: no locale, in which Python starts otherwise than in a terminal's.
ENVIRONMENT = {"HOME": "/root", "LOGNAME": "root", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}


#: The condition in docs/timers.md, with its words as arguments.
GUARD = '"$0" guard --passive-status 75 --conf "$1" "$2"; case $? in 0|75) exit 0;; *) exit 255;; esac'


class Node:
    """rcron in a folder, as a node has it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.state_file = folder / "state"
        self.conf = folder / "rcron.conf"
        self.rcron = folder / "rcron"
        library = folder / "library"
        shutil.copytree(CHECKOUT / "rcron", library / "rcron", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run([PYTHON, "-I", library / "rcron" / "bytecode.py", library, library], check=True)
        self.rcronctl = folder / "rcronctl"
        texts = runpy.run_path(str(library / "rcron" / "launcher.py"))
        for path, name in ((self.rcron, "LAUNCHER"), (self.rcronctl, "CTL_LAUNCHER")):
            path.write_text(texts[name].format(python=PYTHON, library=library))
            path.chmod(0o755)
        self.conf.write_text(f"state_file = {self.state_file}\n")

    def become(self, state: str) -> None:
        """Replace the state file, as a feeder does."""
        new = self.state_file.with_suffix(".new")
        new.write_text(state + "\n")
        new.rename(self.state_file)

    def command(self, *words: str) -> list[str]:
        """A prefixed command."""
        return [str(self.rcron), "--conf", str(self.conf), *words]

    def guard(self) -> list[str]:
        """What systemd runs before a guarded service, here with a status of 0 on a passive node, too."""
        return ["/bin/sh", "-c", GUARD, str(self.rcronctl), str(self.conf), "a.service"]


class Measured:
    """What TURNS runs of one command took, each in milliseconds."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def run(self, command: list[str]) -> None:
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, ENVIRONMENT)
        status, usage = os.wait4(pid, 0)[1:]
        self.wall.append((time.perf_counter() - began) * 1000)
        self.cpu.append((usage.ru_utime + usage.ru_stime) * 1000)
        if status:
            sys.exit(f"{' '.join(command)}: ended with {status}")


def in_turns(commands: dict[str, list[str]]) -> dict[str, Measured]:
    """Run commands by turns, so that whatever else the machine does weighs on all alike."""
    measured = {name: Measured() for name in commands}
    for turn in range(TURNS + 20):
        for name, command in commands.items():
            measured[name].run(command)
        if turn == 19:  # the first runs fill the machine's caches
            measured = {name: Measured() for name in commands}
    return measured


def row(name: str, values: list[float], unit: str, ratio: float | None = None) -> None:
    """Print a median with its spread, from the 10th to the 90th percentile."""
    deciles = statistics.quantiles(values, n=10)
    low, high = deciles[0], deciles[-1]
    shown = "" if ratio is None else f"{ratio:8.3f}"
    print(f"  {name:<44} {statistics.median(values):8.2f} {unit:<4} {low:8.2f} … {high:<8.2f} {shown}")


def start_up(node: Node) -> bool:
    """Passive, and active around /bin/true, beside a Python that does nothing."""
    kept = True
    for state, limit in (("passive", 1.0), ("active", 1.2)):
        node.become(state)
        commands = {
            "python3 -I -S -c pass": [PYTHON, "-I", "-S", "-c", "pass"],
            f"rcron /bin/true, {state}": node.command("/bin/true"),
        }
        if C_RCRON:
            commands[f"C rcron /bin/true, {state}"] = [C_RCRON, "--conf", str(node.conf), "/bin/true"]
        measured = in_turns(commands)
        base = measured["python3 -I -S -c pass"]
        print(f"\n{state}, {TURNS} runs by turns{'median':>33}{'10 % … 90 %':>24}   ratio")
        for name, found in measured.items():
            # Pair by pair: the ratio of two runs that had the same machine.
            ratio = statistics.median(a / b for a, b in zip(found.wall, base.wall, strict=True))
            row(name, found.wall, "ms", ratio)
            row("    of which CPU", found.cpu, "ms", statistics.mean(found.cpu) / statistics.mean(base.cpu))
            if name.startswith("rcron") and ratio > limit:
                print(f"  ^ over the promised {limit:.2f}")
                kept = False
    return kept


def guard(node: Node) -> bool:
    """A service's guard on a passive node, beside a passive rcron."""
    node.become("passive")
    measured = in_turns({"rcron /bin/true": node.command("/bin/true"), "rcronctl guard, from sh": node.guard()})
    base = measured["rcron /bin/true"]
    print(f"\nguard, passive, {TURNS} runs by turns{'median':>26}{'10 % … 90 %':>24}   ratio")
    ratio = 0.0
    for name, found in measured.items():
        ratio = statistics.median(a / b for a, b in zip(found.wall, base.wall, strict=True))
        row(name, found.wall, "ms", ratio)
        row("    of which CPU", found.cpu, "ms", statistics.mean(found.cpu) / statistics.mean(base.cpu))
    if ratio > 1.3:
        print("  ^ over the promised 1.30")
    return ratio <= 1.3


def resident(pid: int) -> float:
    """A process's resident memory, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def proportional(pids: list[int]) -> float:
    """The memory of processes with what they share counted once, in MiB."""
    total = 0
    for pid in pids:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"Pss:\s+(\d+) kB", rollup)[1])  # type: ignore[index]
    return total / 1024


def cpu_of(pids: list[int]) -> float:
    """The CPU that processes have had, in seconds."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(node: Node) -> bool:
    """The resident memory of an rcron whose job runs."""
    node.become("active")
    with subprocess.Popen(node.command("/bin/sleep", "60")) as process:
        time.sleep(0.5)
        size = resident(process.pid)
        process.terminate()
    print(f"\nmemory of a waiting rcron{size:>29.2f} MiB resident (promised: at most 9)")
    return size <= 9


def rush(node: Node) -> None:
    """500 passive jobs started within a second."""
    node.become("passive")
    commands = {"rcron": node.command("/bin/true")}
    if C_RCRON:
        commands["C rcron"] = [C_RCRON, "--conf", str(node.conf), "/bin/true"]
    for name, command in commands.items():
        peak = [0.0]
        ended = threading.Event()
        before = free_memory()

        watcher = threading.Thread(target=watch_memory, args=(peak, ended, before))
        watcher.start()
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        pids = []
        for i in range(500):
            time.sleep(max(0.0, began + i * 0.002 - time.perf_counter()))
            pids.append(os.posix_spawn(command[0], command, ENVIRONMENT))
        for pid in pids:
            os.waitpid(pid, 0)
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended.set()
        watcher.join()
        seconds = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
        print(
            f"\n500 passive jobs started in one second ({name}): {seconds:.2f} s of CPU, the last ended after "
            f"{took:.2f} s, {peak[0]:.0f} MiB more in use at the peak"
        )


def watch_memory(peak: list[float], ended: threading.Event, before: float) -> None:
    """Note in `peak` how much more memory, in MiB, is in use than there was `before`, until `ended`."""
    while not ended.wait(0.01):
        peak[0] = max(peak[0], before - free_memory())


def free_memory() -> float:
    """The memory that the machine has to spare, in MiB."""
    meminfo = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"MemAvailable:\s+(\d+)", meminfo)[1]) / 1024  # type: ignore[index]


def waiting(node: Node) -> None:
    """200 jobs that wait for a takeover at once, and the promotion that they wait for."""
    node.become("passive")
    stamp = node.state_file.with_name("stamps")
    stamp.touch()
    job = f"date +%s.%N >> {stamp}"
    processes = [subprocess.Popen(node.command("--takeover-wait", "120", "-c", job)) for number in range(200)]
    pids = [process.pid for process in processes]
    time.sleep(5)
    before = cpu_of(pids)
    time.sleep(10)
    used = cpu_of(pids) - before
    size = proportional(pids)
    print(f"\n200 jobs waiting for a takeover: {used * 10:.1f} % of one core and {size:.0f} MiB, all together")
    began = time.time()
    node.become("active")
    for process in processes:
        process.wait(timeout=60)
    starts = sorted(float(line) - began for line in stamp.read_text().split())
    first, last = starts[0] * 1000, starts[-1] * 1000
    print(f"  promoted: the first runs after {first:.0f} ms, the last of {len(starts)} after {last:.0f} ms")
    delays = []
    for _turn in range(20):
        node.become("passive")
        stamp.write_text("")
        with subprocess.Popen(node.command("--takeover-wait", "120", "-c", job)) as process:
            time.sleep(0.3)
            began = time.time()
            node.become("active")
            process.wait(timeout=60)
        delays.append((float(stamp.read_text()) - began) * 1000)
    row("from a state's rename to one waiting job's start", delays, "ms")


def main() -> int:
    """Print all tables. Returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version} ({PYTHON}), {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before")
    with tempfile.TemporaryDirectory() as name:
        node = Node(pathlib.Path(name))
        kept = start_up(node)
        kept = guard(node) and kept
        kept = memory(node) and kept
        rush(node)
        waiting(node)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
