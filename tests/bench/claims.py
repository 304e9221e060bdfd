# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a claim costs: an active run with one beside a bare Python, 500 in a minute, and what the ledger takes.

etcd (RCRON_ETCD names the program) and rcron-agent run on this machine, etcd's data in memory. Ends with status 1 where
a promise of the project's does not hold.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import runpy
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "..", "..")]

from wrapper import ENVIRONMENT, PYTHON, TURNS, Measured, Node, cpu_of, resident, row  # noqa: E402

from rcron.agent.conf import AgentConf  # noqa: E402
from rcron.agent.engines import Claim  # noqa: E402
from rcron.agent.engines.etcd import Etcd  # noqa: E402

ETCD = os.environ.get("RCRON_ETCD", "etcd")

#: The promises: an active run with a claim to a bare Python; 500 claims' processor time on a node; the agent's memory.
MOST_RATIO, MOST_SECONDS, MOST_MIB = 1.9, 1.5, 40.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def etcd(folder: pathlib.Path) -> Iterator[str]:
    """One member whose data is in memory. Yields its URL."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _turn in range(2))
    options = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    options += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}", "--log-level", "error"]
    with subprocess.Popen([ETCD, "--data-dir", str(folder / "etcd"), *options], stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(2)
            yield client
        finally:
            process.kill()


@contextlib.contextmanager
def agent(node: Node, folder: pathlib.Path, url: str) -> Iterator[int]:
    """rcron-agent for a node. Yields its process."""
    conf = folder / "agent.conf"
    conf.touch(0o600)
    conf.write_text(f"engine = etcd\nendpoints = {url}\n")
    program = folder / "rcron-agent"
    text = runpy.run_path(str(folder / "library" / "rcron" / "launcher.py"))["AGENT_LAUNCHER"]
    program.write_text(text.format(python=PYTHON, library=folder / "library"))
    program.chmod(0o755)
    with subprocess.Popen([program, "--conf", node.conf, "--agent-conf", conf, "--user", "root"]) as process:
        try:
            while not (node.state_file.parent / "claim.sock").exists():
                time.sleep(0.05)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def start_up(node: Node) -> bool:
    """The time of one run. Returns whether the promise holds."""
    plain, active, claimed = Measured(), Measured(), Measured()
    for turn in range(-20, TURNS):
        if turn == 0:  # the first runs fill the machine's caches
            plain, active, claimed = Measured(), Measured(), Measured()
        plain.run([PYTHON, "-I", "-S", "-c", "pass"])
        active.run(node.command("/bin/true"))
        claimed.run(node.command("--claim", "required", "--job", "bench", "--fire", str(turn), "/bin/true"))
    print(f"\nactive, {TURNS} runs by turns{'median':>41}{'10 % … 90 %':>24}   ratio")
    ratios = []
    for name, found in (("python3 -I -S -c pass", plain), ("rcron", active), ("rcron, claimed in etcd", claimed)):
        ratios.append(statistics.median(a / b for a, b in zip(found.wall, plain.wall, strict=True)))
        row(name, found.wall, "ms", ratios[-1])
        row("    of which CPU", found.cpu, "ms", statistics.mean(found.cpu) / statistics.mean(plain.cpu))
    if ratios[-1] > MOST_RATIO:
        print(f"  ^ over the promised {MOST_RATIO}")
    return ratios[-1] <= MOST_RATIO


def rush(node: Node, pid: int) -> bool:
    """500 claims in one minute. Returns whether their processor time, beside that of unclaimed runs, is as promised."""
    used = {}
    for name, options in (("unclaimed", ()), ("claimed", ("--claim", "required", "--job", "rush"))):
        before = children(), cpu_of([pid])
        for index in range(500):
            fire = ("--fire", f"r{index}") if options else ()
            os.waitpid(os.posix_spawn(str(node.rcron), node.command(*options, *fire, "/bin/true"), ENVIRONMENT), 0)
        time.sleep(3)  # the ends
        used[name] = children() - before[0], cpu_of([pid]) - before[1]
    more = used["claimed"][0] - used["unclaimed"][0]
    agents = used["claimed"][1]
    both = f"rcron {more:.2f}, agent {agents:.2f}"
    print(f"\n500 claims: {more + agents:.2f} s of CPU more: {both} (promised: {MOST_SECONDS})")
    return more + agents <= MOST_SECONDS


def children() -> float:
    """The processor time of all processes that were started and have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def throughput(node: Node) -> None:
    """How many claims an agent makes in a second, asked by 16 at once."""
    path = str(node.state_file.parent / "claim.sock")
    count = 2000

    def ask(first: int) -> None:
        for fire in range(first, count, 16):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                fields = f"cluster=bench\0job=many\0fire={fire}\0token=t{fire}\0wait=30\0window=0"
                connection.sendall(f"claim\0{fields}\n".encode())
                assert connection.recv(100) == b"mine\n"

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(16)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"\n{count} claims by 16 clients: {count / (time.monotonic() - began):.0f} a second")


def growth(url: str) -> None:
    """What a claim takes in etcd's database, with its end."""
    conf = AgentConf("bench")
    conf.endpoints = url
    engine = Etcd(conf)

    def size() -> int:
        return int(engine._call("/v3/maintenance/status", {})["dbSize"])

    before, count = size(), 5000
    for fire in range(count):
        claim = Claim("billing", "root", "nightly-report", str(1764320400 + 60 * fire), "0" * 24, "node1", 1764320401)
        engine.claim(claim)
        engine.ended(claim, 0, 1.234)
    each = (size() - before) / count
    print(
        f"\na claim with its end: {each:.0f} bytes in etcd until it is compacted; 100 jobs a minute: "
        f"{each * 144000 / 1048576:.0f} MiB a day, which is what is kept"
    )


def main() -> int:
    """Print all. Returns the exit status."""
    if shutil.which(ETCD) is None:
        print(f"claims: skipped, since there is no {ETCD}; install Debian's etcd-server, or name another in RCRON_ETCD")
        return 0
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    print(f"load {os.getloadavg()[0]:.2f} before")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        node = Node(folder)
        node.become("active")
        with etcd(folder) as url, agent(node, folder, url) as pid:
            kept = start_up(node)
            kept = rush(node, pid) and kept
            throughput(node)
            growth(url)
            size = resident(pid)
            print(f"\nthe agent: {size:.1f} MiB resident (promised: at most {MOST_MIB:.0f})")
            kept = kept and size <= MOST_MIB
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
