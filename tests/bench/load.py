# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Hundreds of prefixed entries due in one minute on three nodes with real cron, and thousands of jobs waiting at once.

Three nodes (containers that boot systemd, cron, rsyslog and keepalived) are deployed with playbooks/site.yml, which
prefixes the entries too. Each case gives nodes a crontab whose entries are all due in the next minute, and looks at
what that minute cost: how long until the last job has begun, processor time and memory of each node (from its control
group, so that what measures is not measured), and whether each job ran once, on the active node, and left its log
lines. The same crontab unprefixed is beside it, and where RCRON_C names a binary of the C rcron, that too. In the cases
"alone" only one node has a crontab: three nodes share this machine's processors, which three hosts would not.

RCRON_LOAD_JOBS: entries due in the minute (500). RCRON_LOAD_WAITING: jobs that wait at once (2000). Neither can be more
than 10,000, the most lines that Debian's cron takes. RCRON_LOAD_ROUNDS: how often all cases are measured (2).
RCRON_LOAD_CASES: a regular expression, for some of them (all).
Ends with status 1 where a job was lost, run twice, or run where it should not, or where the journal lacks a line.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT / "molecule" / "shared"
FOLDER = CHECKOUT / ".build" / "load"
sys.path.insert(0, str(SHARED))
from nodes import CRON_PATIENCE, IN_NODE, Cluster, Node, seconds_with_two_active  # noqa: E402 - found through the line above
from waiting import wait_until  # noqa: E402

T = TypeVar("T")

JOBS = int(os.environ.get("RCRON_LOAD_JOBS", "500"))
WAITING = int(os.environ.get("RCRON_LOAD_WAITING", "2000"))
ROUNDS = int(os.environ.get("RCRON_LOAD_ROUNDS", "2"))
CHOSEN = re.compile(os.environ.get("RCRON_LOAD_CASES", ""))
C_RCRON = os.environ.get("RCRON_C")
#: Never due: 30 February. A case puts a minute in its place.
NEVER = "0 0 30 2 *"
#: Seconds that a node has to begin, and to end, what is due in a minute.
PATIENCE = 240.0

#: Seconds that the jobs of a passive node wait for its promotion: longer than it takes to start and measure them all.
WAIT = 180
#: The same where one of three nodes is promoted, and the jobs of the other two give up.
GAP = 60

#: As in molecule/demo: another checkout's nodes have other names.
RUN = "load" + hashlib.sha1(str(CHECKOUT).encode(), usedforsecurity=False).hexdigest()[:6]
NAMES = ["node1", "node2", "node3"]
HOSTS = {name: {"ansible_host": f"rcron-{RUN}-{name}"} for name in NAMES}
VARIABLES = {
    "ansible_connection": "node",
    "ansible_become": False,
    "ansible_python_interpreter": "/usr/bin/python3",
    "rcron_cluster_name": "load",
    "rcron_keepalived_manage": True,
    "rcron_keepalived_interface": "eth0",
    "rcron_keepalived_nopreempt": True,
    "rcron_crontab_entries": [
        {"cron_file": "/etc/cron.d/load-mark", "entries": [{"regexp": "."}]},
        {"cron_file": "/etc/cron.d/load-hold", "entries": [{"regexp": "."}]},
        {"cron_file": "/etc/cron.d/load-wait", "entries": [{"regexp": "."}], "takeover_wait": WAIT},
        {"cron_file": "/etc/cron.d/load-gap", "entries": [{"regexp": "."}], "takeover_wait": GAP},
    ],
}

#: The job. Its file's size says how often it ran, and the file's time when it began.
MARK = "#!/bin/sh\necho >>/run/load/$1\n"
#: A job that goes on until somebody opens the FIFO for writing, and uses no processor time until then.
HOLD = MARK + "read -r line </run/load.end || exit 0\n"

#: Prints, for each name of a process (comm), how many there are, and their proportional set size in KiB, all together:
#: proc_pid_smaps(5).
PROFILE = """\
import json, os
found = {}
for pid in filter(str.isdecimal, os.listdir("/proc")):
    try:
        name = open(f"/proc/{pid}/comm").read().strip()
        rollup = open(f"/proc/{pid}/smaps_rollup").read().split()
        kib = int(rollup[rollup.index("Pss:") + 1])
    except (OSError, ValueError):
        continue  # a process of the kernel's, or one that has just ended
    row = found.setdefault(name, [0, 0])
    row[:] = row[0] + 1, row[1] + kib
print(json.dumps(found))
"""


class ControlGroup:
    """What the kernel counted for all processes of a node: cgroups(7), version 2 or 1."""

    def __init__(self, node: Node) -> None:
        said = subprocess.run(
            ["podman", "inspect", "--format", "{{.Id}} {{.State.Pid}}", node.container],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        paths = {}
        for line in Path(f"/proc/{said[1]}/cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            # systemd in the node puts itself into a group below the node's.
            above, found, _below = path.partition(said[0])
            for controller in controllers.split(","):
                paths[controller] = (
                    above + found + (".scope" if path[len(above + found) :].startswith(".scope") else "")
                )
        root = Path("/sys/fs/cgroup")
        if "memory" in paths:
            self._cpu = root / "cpuacct" / paths["cpuacct"][1:] / "cpuacct.usage"
            self._memory = root / "memory" / paths["memory"][1:]
            self._tasks = root / "pids" / paths["pids"][1:] / "pids.current"
            self._usage, self._cache = "memory.usage_in_bytes", "total_cache"
        else:
            group = root / paths[""][1:]
            self._cpu, self._memory, self._tasks = group / "cpu.stat", group, group / "pids.current"
            self._usage, self._cache = "memory.current", "file"

    def cpu(self) -> float:
        """Processor time so far, in seconds."""
        text = self._cpu.read_text()
        return int(text) / 1e9 if text.strip().isdecimal() else int(text.split()[1]) / 1e6

    def memory(self) -> float:
        """Memory in use, the kernel's own for these processes included and files left out, in MiB."""
        fields = dict(line.split() for line in (self._memory / "memory.stat").read_text().splitlines())
        return (int((self._memory / self._usage).read_text()) - int(fields[self._cache])) / 2**20

    def tasks(self) -> int:
        """How many processes and threads there are."""
        return int(self._tasks.read_text())


class Peak(threading.Thread):
    """Watches a node from a moment at which it has nothing to do.

    idle_memory, idle_tasks: what there was then. idle_busy: the part of a processor that it used in the second before.
    memory, tasks: the most since. steady_since: when the number of tasks last changed. quiet_since: since when it is as
    it was, 0 while it is not. cpu: seconds of processor time until then.
    """

    def __init__(self, group: ControlGroup) -> None:
        super().__init__(daemon=True)
        self._group = group
        self._stopped = threading.Event()
        cpu = group.cpu()
        time.sleep(1)
        self._cpu = group.cpu()
        self.idle_busy = self._cpu - cpu
        self.idle_memory, self.idle_tasks = group.memory(), group.tasks()
        self.memory, self.tasks = self.idle_memory, self.idle_tasks
        self.steady_since = self.quiet_since = self.cpu = 0.0
        self.start()

    def run(self) -> None:
        before = self.idle_tasks
        while not self._stopped.wait(0.04):
            tasks = self._group.tasks()
            if tasks != before:
                before, self.steady_since = tasks, time.time()
            self.tasks = max(self.tasks, tasks)
            self.memory = max(self.memory, self._group.memory())
            if tasks > self.idle_tasks + 1:
                self.quiet_since = 0.0
            elif not self.quiet_since:
                self.cpu = self.cpu_so_far()
                self.quiet_since = time.time()

    def cpu_so_far(self) -> float:
        """Seconds of processor time since the beginning."""
        return self._group.cpu() - self._cpu

    def await_quiet(self) -> None:
        """Wait until all has ended, and for a second more."""
        wait_until(lambda: 0 < self.quiet_since < time.time() - 1, "all jobs end", PATIENCE)

    def stop(self) -> None:
        """End this."""
        self._stopped.set()
        self.join()


class Machine:
    """A node, and what it is measured by."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.group = ControlGroup(node)
        self._syslog = 0

    def __repr__(self) -> str:
        return self.node.name

    def due(self, entries: str, minute: float, count: int) -> None:
        """Give it a crontab of so many entries of a kind (a name in /srv/load), all due at a full minute."""
        at = time.strftime("%-M %-H %-d %-m *", time.localtime(minute))
        self.node.run(
            f"rm -rf /run/load && mkdir -m 1777 /run/load && head -n {count} /srv/load/{entries} |"
            f" sed 's/^{re.escape(NEVER)}/{at}/' >/etc/cron.d/load"
        )

    def clear(self) -> None:
        """Take the crontab away."""
        self.node.run("rm -f /etc/cron.d/load; rm -rf /run/load; mkdir -m 1777 /run/load")

    def mark_syslog(self) -> None:
        """Begin to count rsyslog's lines here."""
        self._syslog = int(self.node.run("stat -c %s /var/log/syslog"))

    def lines(self, since: float) -> dict[str, Counter[str]]:
        """How often each log line of rcron's (`STATUS NUMBER`) is in the journal, and in rsyslog's file."""
        journal = self.node.run(
            f"journalctl --quiet --output cat --identifier rcron --identifier rcron-c --since @{since:.0f}"
        )
        syslog = self.node.run(f"tail -c +{self._syslog + 1} /var/log/syslog | grep -a ' rcron.*status=' || true")
        found = re.compile(r"status=(\S+) .*cmd=\S+ (\d+)$", re.MULTILINE)
        return {
            "journal": Counter(" ".join(match) for match in found.findall(journal)),
            "syslog": Counter(" ".join(match) for match in found.findall(syslog)),
        }

    def runs(self) -> dict[str, tuple[int, float]]:
        """Each job that ran here: how often, and when it began (seconds since the epoch)."""
        lines = self.node.run("find /run/load -type f -printf '%f %s %T@\\n'").splitlines()
        return {name: (int(size), float(when)) for name, size, when in map(str.split, lines)}

    def begun(self) -> int:
        """How many jobs have run here."""
        return int(self.node.run("ls /run/load | wc -l"))

    def profile(self) -> dict[str, tuple[int, int]]:
        """How many processes of each name there are, and their proportional set size in KiB, all together."""
        said = json.loads(self.node.run("/usr/bin/python3 -I -S /usr/local/sbin/profile.py"))
        return {comm: (count, kib) for comm, (count, kib) in said.items()}

    def daemons(self) -> float:
        """Processor time of the two that keep the log, journald and rsyslogd, in seconds."""
        pids = "$(systemctl show --property MainPID --value systemd-journald rsyslog)"
        text = self.node.run(f"for pid in {pids}; do cat /proc/$pid/stat; done")
        fields = [line.rpartition(")")[2].split() for line in text.splitlines()]
        return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


class Case(NamedTuple):
    """A minute. entries: what stands in the crontab. where: the role of the one node that has it; empty for all."""

    name: str
    entries: str
    where: str

    @property
    def prefixed(self) -> bool:
        return not self.entries.startswith("bare")


#: What stands before a job, by the names of the entries' files in /srv/load.
KINDS = {"bare": "unprefixed", "rcron": "rcron", **({"c": "C rcron"} if C_RCRON else {})}
RUSHES = [
    *(Case(f"three nodes, {title}", f"{kind}-mark", "") for kind, title in KINDS.items()),
    *(
        Case(f"alone, {title}", f"{kind}-mark", where)
        for kind, title in KINDS.items()
        for where in (("active",) if kind == "bare" else ("active", "passive"))
    ),
]


class Table:
    """Figures by the name of what was measured, several for each; printed as median and spread."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: dict[str, dict[str, list[float]]] = {}

    def add(self, name: str, figures: dict[str, float]) -> None:
        """Take the figures of one measurement, by their columns, and print them."""
        row = self._rows.setdefault(name, {})
        for column, figure in figures.items():
            row.setdefault(column, []).append(figure)
        say(f"  {name}: " + ", ".join(f"{column} {figure:.3g}" for column, figure in figures.items()))

    def show(self) -> None:
        """Print all of it."""
        if not self._rows:
            return
        columns = list(dict.fromkeys(column for row in self._rows.values() for column in row))
        say(f"\n{self._title}")
        cells = [["", *columns]]
        for name, row in self._rows.items():
            cells.append([name, *(spread(row[column]) if column in row else "" for column in columns)])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            say(
                "  "
                + line[0].ljust(widths[0])
                + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths[1:]))
            )


def spread(figures: list[float]) -> str:
    """A median, and the least and the most."""
    digits = 0 if max(figures) >= 100 else 1 if max(figures) >= 10 else 2
    median = f"{statistics.median(figures):.{digits}f}"
    return f"{median} ({min(figures):.{digits}f} … {max(figures):.{digits}f})" if len(figures) > 1 else median


class Bench:
    """The cluster, the figures, and what was found wrong."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.machines = [Machine(node) for node in cluster.nodes]
        self.wrong: list[str] = []
        self.rushes = Table(f"{JOBS} jobs due in one minute; seconds from the full minute, memory at the peak")
        self.waits = Table(
            "Many jobs that wait, or are waited for; `all there` counts from the full minute, all after it from the"
            " promotion, the demotion, or the jobs' end"
        )
        self.bare: dict[str, float] = {}  # processor time of the unprefixed crontab in this round

    def expect(self, true: bool, what: str) -> None:
        """Note what is wrong."""
        if not true:
            self.wrong.append(what)
            say(f"  WRONG: {what}")

    def roles(self) -> dict[Machine, str]:
        """Who is active now (AssertionError unless exactly one is), who is passive."""
        active = self.cluster.settle(timeout=60)
        return {machine: "active" if machine.node is active else "passive" for machine in self.machines}

    def first(self, role: str) -> Machine:
        """The first node that is in a role (AssertionError unless exactly one is active)."""
        roles = self.roles()
        return next(machine for machine in self.machines if roles[machine] == role)

    @contextmanager
    def due(self, machines: list[Machine], entries: str, count: int) -> Iterator[tuple[float, dict[Machine, Peak]]]:
        """Give nodes a crontab whose entries are due at the next minute, and wait for that; take it away at the end.

        Yields the minute, and what watches each of the nodes since before it.
        """
        minute = (time.time() // 60 + 1) * 60
        if minute - time.time() < 6:
            minute += 60
        on(machines, lambda machine: machine.due(entries, minute, count))
        on(machines, Machine.mark_syslog)
        time.sleep(max(0.0, minute - 2 - time.time()))
        peaks = dict(zip(machines, on(machines, lambda machine: Peak(machine.group)), strict=True))
        try:
            time.sleep(max(0.0, minute - time.time()))
            yield minute, peaks
        finally:
            for peak in peaks.values():
                peak.stop()
            on(machines, Machine.clear)

    def rush(self, case: Case) -> None:
        """Measure one minute of cron's."""
        roles = self.roles()
        chosen = [machine for machine in self.machines if case.where in ("", roles[machine])]
        chosen = chosen if not case.where else chosen[:1]
        with self.due(chosen, case.entries, JOBS) as (minute, peaks):
            # The seconds that they have had until now are few beside those of the next.
            daemons = {machine: machine.daemons() for machine in chosen}
            for machine, peak in peaks.items():
                wait_until(
                    lambda peak=peak: peak.tasks > peak.idle_tasks + 2, f"cron begins on {machine}", CRON_PATIENCE
                )
            for peak in peaks.values():
                peak.await_quiet()
            for machine, peak in peaks.items():
                role = roles[machine] if case.prefixed else "each"
                runs, lines = machine.runs(), machine.lines(minute - 1)
                starts = sorted(when - minute for _count, when in runs.values())
                group = case.name.partition(",")[0]
                if not case.prefixed:
                    self.bare[group] = peak.cpu
                self.rushes.add(
                    f"{case.name}, {role}",
                    {
                        **({"first begun": starts[0], "last begun": starts[-1]} if starts else {}),
                        "all over": peak.quiet_since - minute,
                        "CPU s": peak.cpu,
                        **({"x unprefixed": peak.cpu / self.bare[group]} if group in self.bare else {}),
                        "of it logging": machine.daemons() - daemons[machine],
                        "MiB": peak.memory - peak.idle_memory,
                        "processes": peak.tasks - peak.idle_tasks,
                        **(self.prove(case.name, role, machine, runs, lines, JOBS)),
                    },
                )
        self.expect(self.roles() == roles, f"{case.name}: the roles changed")

    def hold(self, machine: Machine, peak: Peak, minute: float, count: int) -> dict[str, float]:
        """Wait until many jobs are there and nothing more happens; return what that took, and what waiting takes."""
        wait_until(
            lambda: peak.tasks - peak.idle_tasks >= count and peak.steady_since < time.time() - 2,
            f"{count} jobs are there on {machine}",
            PATIENCE,
        )
        begun, cpu = peak.steady_since - minute, peak.cpu_so_far()
        time.sleep(1)
        before, began = machine.group.cpu(), time.monotonic()
        time.sleep(15)
        busy = (machine.group.cpu() - before) / (time.monotonic() - began)
        memory = machine.group.memory() - peak.idle_memory
        profile = machine.profile()
        return {
            "all there": begun,
            "CPU s": cpu,
            "busy %": max(0.0, busy - peak.idle_busy) * 100,
            "MiB": memory,
            **{
                f"MiB each {comm}": kib / 1024 / number
                for comm, (number, kib) in sorted(profile.items())
                if number >= count / 2
            },
            "processes": peak.tasks - peak.idle_tasks,
        }

    def takeover(self) -> None:
        """Many jobs wait on a passive node, which is then promoted while its peers look on."""
        name = f"{WAITING} wait for a takeover"
        machine = self.first("passive")
        with self.due([machine], "rcron-wait", WAITING) as (minute, peaks):
            peak = peaks[machine]
            figures = self.hold(machine, peak, minute, WAITING)
            self.expect(machine.begun() == 0, f"{name}: {machine.begun()} ran before the promotion")
            on(self.machines, lambda other: other.node.run("systemctl start state-watch"))
            began, cpu = time.time(), machine.group.cpu()
            self.cluster.hand_over(machine.node)
            wait_until(lambda: machine.begun() == WAITING, f"all jobs run on {machine}", PATIENCE)
            on(self.machines, lambda other: other.node.run("systemctl stop state-watch"))
            peak.await_quiet()
            used = machine.group.cpu() - cpu
            changes = [change for change in self.cluster.changes_since(began) if change.state in ("active", "passive")]
            runs, lines = machine.runs(), machine.lines(minute - 1)
        promoted = next(change.time for change in changes if change.node == machine.node.name)
        two = seconds_with_two_active(changes)
        self.expect(two == 0, f"{name}: two nodes were active for {two:.1f} s: {changes}")
        self.expect(self.roles()[machine] == "active", f"{name}: the promoted node did not stay active")
        starts = sorted(when - promoted for _count, when in runs.values())
        figures.update(
            {
                "first begun": starts[0],
                "last begun": starts[-1],
                "all over": peak.quiet_since - promoted,
                "CPU s of that": used,
                **self.prove(name, "active", machine, runs, lines, WAITING),
            }
        )
        self.waits.add(name, figures)

    def gap(self) -> None:
        """No node is active in the minute, all wait, one is promoted: each job runs there, and nowhere else."""
        name = f"{JOBS} wait on each of three nodes"
        on(self.machines, lambda machine: machine.node.run("systemctl stop keepalived"))
        chosen, *others = self.machines
        with self.due(self.machines, "rcron-gap", JOBS) as (minute, peaks):
            for machine, peak in peaks.items():
                peak.idle_tasks += 4  # keepalived's, which will run again
                wait_until(
                    lambda peak=peak: peak.tasks - peak.idle_tasks >= JOBS and peak.steady_since < time.time() - 2,
                    f"all jobs wait on {machine}",
                    PATIENCE,
                )
            chosen.node.run("systemctl start keepalived")
            wait_until(lambda: chosen.begun() == JOBS, f"all jobs run on {chosen}", PATIENCE)
            on(others, lambda machine: machine.node.run("systemctl start keepalived"))
            for machine, peak in peaks.items():
                peak.await_quiet()
                role = "active" if machine is chosen else "passive"
                self.prove(name, role, machine, machine.runs(), machine.lines(minute - 1), JOBS)
        self.roles()

    def long(self, kind: str, title: str) -> None:
        """Many long jobs run at once on the active node, and end at once."""
        name = f"{WAITING} long jobs, {title}"
        machine = self.first("active")
        with self.due([machine], f"{kind}-hold", WAITING) as (minute, peaks):
            peak = peaks[machine]
            figures = self.hold(machine, peak, minute, WAITING)
            ended, cpu = time.time(), machine.group.cpu()
            machine.node.run(": >/run/load.end")
            peak.await_quiet()
            figures.update({"all over": peak.quiet_since - ended, "CPU s of that": machine.group.cpu() - cpu})
            role = "active" if kind != "bare" else "each"
            figures.update(self.prove(name, role, machine, machine.runs(), machine.lines(minute - 1), WAITING))
        self.waits.add(name, figures)

    def demotion(self) -> None:
        """Many long jobs under on_demotion = terminate, and the node turns passive."""
        name = f"{JOBS} long jobs and a demotion"
        machine = self.first("active")
        with self.due([machine], "terminate-hold", JOBS) as (minute, peaks):
            peak = peaks[machine]
            figures = self.hold(machine, peak, minute, JOBS)
            machine.node.run("systemctl start state-watch")
            demoted, cpu = time.time(), machine.group.cpu()
            machine.node.run("systemctl stop keepalived")
            peak.idle_tasks += 4
            peak.await_quiet()
            machine.node.run("systemctl stop state-watch")
            used = machine.group.cpu() - cpu
            demoted = next(
                change.time for change in machine.node.changes() if change.time >= demoted and change.state == "passive"
            )
            got = machine.lines(minute - 1)["journal"]
        figures.update({"all over": peak.quiet_since - demoted, "CPU s of that": used})
        self.waits.add(name, figures)
        machine.node.run("systemctl start keepalived")
        for status in ("start", "demoted", "fail"):
            count = sum(got[f"{status} {number}"] == 1 for number in range(1, JOBS + 1))
            self.expect(count == JOBS, f"{name}: {count} jobs have their line {status}")
        self.roles()

    def prove(
        self,
        name: str,
        role: str,
        machine: Machine,
        runs: dict[str, tuple[int, float]],
        lines: dict[str, Counter[str]],
        jobs: int,
    ) -> dict[str, float]:
        """Hold that each job ran once where it should, and left each of its lines in the journal once, no other did.

        Returns how many lines rsyslog's file lacks: journald hands on what rsyslog is ready for, and drops the rest.
        """
        numbers = [str(number) for number in range(1, jobs + 1)]
        times = Counter({number: count for number, (count, _when) in runs.items()})
        wanted = {"passive": 0}.get(role, 1)
        counts = Counter(times[number] for number in numbers)
        self.expect(
            counts == {wanted: jobs} and set(runs) <= set(numbers),
            f"{name}: on {machine} ({role}) not each job ran {wanted} times; runs: jobs {dict(counts)}",
        )
        statuses = {"active": ("start", "ok"), "passive": ("ignore",), "each": ()}[role]
        expected = Counter(f"{status} {number}" for status in statuses for number in numbers)
        got = lines["journal"]
        missing, more = sum((expected - got).values()), sum((got - expected).values())
        self.expect(
            not missing and not more,
            f"{name}: journal of {machine} ({role}): {missing} lines are missing, {more} are too many",
        )
        return {"not in syslog": sum((expected - lines["syslog"]).values())}


def on(machines: list[Machine], function: Callable[[Machine], T]) -> list[T]:
    """Do something on several nodes at the same time."""
    with ThreadPoolExecutor(len(machines)) as pool:
        return list(pool.map(function, machines))


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def set_up() -> Cluster:
    """Start and deploy the nodes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    image = subprocess.run(
        [SHARED / "image.sh", "bookworm"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    subprocess.run([SHARED / "nodes.sh", "up", RUN, *(f"{name}={image}" for name in NAMES)], check=True)
    cluster = Cluster([f"rcron-{RUN}-{name}" for name in NAMES])
    most = max(JOBS, WAITING)
    for node in cluster.nodes:
        give(node, "/usr/local/bin/mark", MARK.encode(), "0755")
        give(node, "/usr/local/bin/hold", HOLD.encode(), "0755")
        give(node, "/usr/local/sbin/profile.py", PROFILE.encode())
        # What writes down each state of a test node is busy all the time, which would be measured too.
        node.run(
            "systemctl disable --now --quiet state-watch; mkdir -p /srv/load /run/load && mkfifo /run/load.end &&"
            f" for kind in mark hold; do seq -f '{NEVER} root /usr/local/bin/'$kind' %.0f' {most}"
            " >/srv/load/bare-$kind; done && cd /etc/cron.d && cp /srv/load/bare-hold load-hold &&"
            " for kind in mark wait gap; do cp /srv/load/bare-mark load-$kind; done"
        )
        if C_RCRON:
            give(node, "/usr/local/bin/rcron-c", Path(C_RCRON).read_bytes(), "0755")
            give(node, "/etc/rcron-c.conf", b"cluster_name = load\nstate_file = /var/run/rcron/state\n")
            for kind in ("mark", "hold"):
                prefix = "/usr/local/bin/rcron-c --conf /etc/rcron-c.conf"
                node.run(f"sed 's,root ,root {prefix} ,' /srv/load/bare-{kind} >/srv/load/c-{kind}")
    inventory = FOLDER / "inventory.json"
    inventory.write_text(json.dumps({"rcron": {"hosts": HOSTS, "vars": VARIABLES}}))
    began = time.monotonic()
    with (FOLDER / "site.log").open("w") as log:
        ran = subprocess.run(
            ["ansible-playbook", "--inventory", inventory, "rcron.cluster.site"], check=False, stdout=log, stderr=log
        )
    if ran.returncode:
        sys.exit(f"load: site.yml failed; see {FOLDER / 'site.log'}")
    say(f"deployed, and {4 * most} entries a node prefixed, in {time.monotonic() - began:.0f} s")
    for node in cluster.nodes:
        node.run(
            "cd /etc/cron.d; for kind in mark wait gap hold; do mv load-$kind /srv/load/rcron-$kind; done;"
            "cd /etc/rcron && { cat rcron.conf; echo on_demotion = terminate; } >terminate.conf && cd /srv/load &&"
            " sed 's,/usr/bin/rcron,& --conf /etc/rcron/terminate.conf,' rcron-hold >terminate-hold"
        )
        if C_RCRON:
            node.run("/usr/local/bin/rcron-c --conf /etc/rcron-c.conf /bin/true")
    return cluster


def give(node: Node, path: str, content: bytes, mode: str = "0644") -> None:
    """Put a file into a node."""
    command = [IN_NODE, node.container, "/bin/sh", "-c", f"cat >{path} && chmod {mode} {path}"]
    subprocess.run(command, input=content, check=True)


def main() -> int:
    """Measure, and print all tables. Returns the exit status."""
    try:
        bench = Bench(set_up())
        for number in range(ROUNDS):
            say(f"\nround {number + 1} of {ROUNDS}, load {os.getloadavg()[0]:.1f} before")
            work: dict[str, Callable[[], None]] = {
                **{f"{case.name}, {case.where}": functools.partial(bench.rush, case) for case in RUSHES},
                "takeover": bench.takeover,
                "gap": bench.gap,
                **{f"long, {title}": functools.partial(bench.long, kind, title) for kind, title in KINDS.items()},
                "demotion": bench.demotion,
            }
            for name, measure in work.items():
                if CHOSEN.search(name):
                    measure()
        bench.rushes.show()
        bench.waits.show()
    finally:
        subprocess.run([SHARED / "nodes.sh", "down", RUN], check=True)
    for wrong in bench.wrong:
        say(f"WRONG: {wrong}")
    return 1 if bench.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
