# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Many agents, each a real process, with one lease in a real etcd of three members: what does it cost, how quick is it?

    python3 tests/engines/crowd.py [NODES [EVERY [KILLS]]]

NODES (200) agents look every EVERY seconds (1) who has the lease. Prints the requests a second that etcd has answered,
the CPU of an agent that does not hold the lease and that of etcd's three members, and, for each of KILLS (5) killed
holders, when another node was active. All run on this machine, so its load is printed, too. RCRON_LEASE_TTL is the
lease's length, 6 s unless set. Ends with status 1 if two nodes were active at once, or none became active.
"""

from __future__ import annotations

import os
import pathlib
import re
import statistics
import sys
import tempfile
import time
import urllib.request

sys.path[:0] = [os.path.dirname(__file__)]

from lease import TTL, Cluster, Node, died, etcd_conf  # noqa: E402
from races import EtcdMembers  # noqa: E402

#: For how long the requests and the CPU are measured, and how often the states are looked at, in seconds.
MEASURED, LOOK = 20.0, 0.05

#: How many agents are started at once, so that none has to wait too long for its engine.
AT_ONCE = 10


def cpu(pid: int) -> float:
    """Return how many seconds of CPU a process has had, by proc(5)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answered(members: EtcdMembers) -> int:
    """Return how many requests etcd's members have answered, by their metrics."""
    total = 0.0
    for url in members.urls:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
            text = answer.read().decode()
        for labels, number in re.findall(r"^grpc_server_handled_total\{(.*)\} (\S+)$", text, re.MULTILINE):
            if 'grpc_type="unary"' in labels:
                total += float(number)
    return int(total)


def measure(cluster: Cluster, members: EtcdMembers) -> str:
    """Measure for a while in which nothing happens. Returns the figures in words."""
    holder = cluster.holder()
    agents = [node.agent.pid for node in cluster.nodes if node is not holder]
    etcd = [member.pid for member in members.members]
    began = time.monotonic()
    before = [cpu(pid) for pid in agents], [cpu(pid) for pid in etcd], answered(members)
    time.sleep(MEASURED)
    requests = answered(members) - before[2]
    seconds = time.monotonic() - began
    agent = statistics.median(cpu(pid) - was for pid, was in zip(agents, before[0]))
    server = sum(cpu(pid) - was for pid, was in zip(etcd, before[1]))
    return (
        f"{requests / seconds:.0f} requests a second, an agent {100 * agent / seconds:.1f} % of a core (median), "
        f"etcd's members together {100 * server / seconds:.0f} %"
    )


def main() -> int:
    """Run it. Returns the exit status."""
    count, every, kills = (*sys.argv[1:], *("200", "1", "5")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-crowd") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "engine").mkdir()
        members = EtcdMembers(folder / "engine")
        nodes: list[Node] = []
        try:
            for number in range(int(count)):
                nodes.append(Node(folder, number, etcd_conf, members.ports, False, f"every = {every}\n"))
                if number % AT_ONCE == AT_ONCE - 1:
                    time.sleep(1)
            cluster = Cluster(nodes, LOOK)
            cluster.holder()
            time.sleep(TTL)
            figures = measure(cluster, members)
            print(f"{count} nodes, every {every} s, ttl {TTL}: {figures}; load {os.getloadavg()[0]:.0f}", flush=True)
            for _turn in range(int(kills)):
                old, _began = cluster.another("machine killed: another node is active after", died, TTL + 1)
                old.start()
                time.sleep(TTL)
            cluster.watcher.is_over = True
        finally:
            for node in nodes:
                node.kill()
            members.end()
        watcher = cluster.watcher
        for title, values in cluster.figures.items():
            print(f"{title}: {', '.join(f'{value:.1f}' for value in sorted(values))}")
        apart = 1000 * watcher.longest_look
        print(f"two active at once: {1000 * watcher.two:.0f} ms in {watcher.looks} looks, at most {apart:.0f} ms apart")
        print(f"load {os.getloadavg()[0]:.0f}")
        never = [value for values in cluster.figures.values() for value in values if value == float("inf")]
        return 1 if watcher.two or never else 0


if __name__ == "__main__":
    sys.exit(main())
