# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make soak`: three nodes, keepalived, a job on all of them at the same instant twice a second, and one fault after
another.

    soak.py [--seconds N] [--seed N] [--claims] [--list] [--keep] [--judge FOLDER]

Deploys to containers of its own with playbooks/site.yml, starts in_node/ticker.py in the place of cron, does the
faults that the seed gives (faults.py), writes all down (record.py), and has oracle.py go through the record. Prints
the verdict and exits with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
INVENTORY = HERE / "inventory"
FOLDER = CHECKOUT / ".build" / "soak"
COLLECTIONS = CHECKOUT / ".build"

sys.path[:0] = [str(CHECKOUT / "molecule" / "shared"), str(COLLECTIONS), str(CHECKOUT)]
import faults  # noqa: E402 - found through the line above
import oracle  # noqa: E402
import picture  # noqa: E402
import record  # noqa: E402
from nodes import Cluster, Node  # noqa: E402

#: The ticker's entries: KIND=EVERY+OFFSET:OPTIONS.
ENTRIES = ("plain=1+0:", "wait=1+0:--takeover-wait 3", "long=4+1:", "stubborn=8+3:")
#: What claims add to each: the tick is the run's name.
CLAIMED = "--job {kind} --fire {tick}"

STATE_FILE, PIN = "/run/rcron/state", "/var/lib/rcron/state.pin"
KEPT, FORBIDDEN = "/run/rcron-agent/run-rcron-state.ask", "/run/rcron-agent/run-rcron-state.passive"

#: After how many faults the cluster is left in peace and looked at.
CHECKED = 20

#: How much is drawn, in seconds.
PICTURE = 60.0

#: Seconds for which a run waits for its claim. A leader of etcd that hangs is replaced in half of that.
CLAIM_WAIT = 10

#: Seconds without a fault at the end: what was begun comes to its end, takeover_wait included.
CALM = 12.0


class Soak:
    """One run. seconds: for how long faults are done. seed: which. claims: whether the jobs' runs are claimed."""

    def __init__(self, seconds: float, seed: int, claims: bool) -> None:
        self.seconds = seconds
        self.seed = seed
        self.claims = claims
        self.settings = record.Settings(claim_wait=CLAIM_WAIT if claims else 0.0)
        #: What ansible-playbook is given besides.
        self.options: list[str] = []
        run = hashlib.sha1(str(INVENTORY).encode(), usedforsecurity=False).hexdigest()[:6]  # as in inventory/hosts.yml
        self.cluster = Cluster([f"rcron-{run}-node{number}" for number in (1, 2, 3)])
        self.nodes = self.cluster.nodes
        self.programs: dict[Node, list[subprocess.Popen[bytes]]] = {node: [] for node in self.nodes}
        self.busy: set[Node] = set()
        self.changed = threading.Condition()
        self.begin = 0.0
        self.start = 0.0
        self.checked: list[tuple[float, str, str, str]] = []
        self.failed: list[tuple[float, str]] = []
        self.deployed = 0

    def say(self, text: str) -> None:
        """Print a line, with the seconds since the begin."""
        print(f"{time.monotonic() - self.begin:8.2f}  {text}", flush=True)

    def play(self, playbook: str, *options: str, collections: Path = COLLECTIONS) -> None:
        """Run a playbook on the nodes (AssertionError, with the end of its log, if that fails)."""
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"}
        log = FOLDER / "ansible.log"
        with log.open("a") as stream:
            ran = subprocess.run(
                ["nice", "ansible-playbook", "--inventory", str(INVENTORY), playbook, *self.options, *options],
                check=False,
                stdout=stream,
                stderr=stream,
                env=environment,
            )
        if ran.returncode:
            raise AssertionError(
                "\n".join([*log.read_text().splitlines()[-25:], f"{playbook} failed; the end of {log}"])
            )

    def prepare(self) -> None:
        """Start three nodes and deploy rcron to them."""
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        self.begin = time.monotonic()
        self.say("starts three nodes and deploys to them")
        if self.claims:
            self.options = [f"--extra-vars=@{HERE / 'claims.yml'}", f"--extra-vars=rcron_claim_wait={CLAIM_WAIT}"]
        self.play(str(CHECKOUT / "molecule" / "shared" / "create.yml"))
        if self.claims:
            # By their addresses, which a node keeps: podman writes a node's /etc/hosts anew when that boots.
            addresses = [node.run("hostname -I").split()[0] for node in self.nodes]
            self.options.append(f"--extra-vars={json.dumps({'soak_addresses': addresses})}")
        self.play(str(HERE / "prepare.yml"))
        self.play("rcron.cluster.site")
        for node in self.nodes:
            faults.limit_run(node)
        self.cluster.settle()

    def watch(self, node: Node) -> None:
        """Start what watches a node and what stands in for its cron. It ends with the node."""
        alice = ["setpriv", "--reuid=alice", "--regid=alice", "--clear-groups"]
        python = ["/usr/bin/python3", "-IS"]
        entries = [f"{entry} {CLAIMED if self.claims else ''}" for entry in ENTRIES]
        commands = {
            "states": [*alice, *python, "/usr/local/lib/soak/watcher.py", STATE_FILE, PIN, KEPT, FORBIDDEN],
            "jobs": [
                *python, "/usr/local/lib/soak/ticker.py", f"{self.start:.4f}", str(self.settings.interval), *entries
            ],
        }  # fmt: skip
        for name, command in commands.items():
            with (FOLDER / f"{node.name}.{name}").open("ab") as stream:
                self.programs[node].append(
                    subprocess.Popen(
                        [str(CHECKOUT / "molecule" / "shared" / "in-node.sh"), node.container, *command],
                        stdin=subprocess.DEVNULL,
                        stdout=stream,
                        stderr=(FOLDER / f"{node.name}.errors").open("ab"),
                        start_new_session=True,
                    )
                )

    def signal(self, node: Node, number: signal.Signals) -> None:
        """Send a signal to what `watch` started."""
        for program in self.programs[node]:
            # To its group: nsenter(1) has made a process of its own for the node.
            with suppress(ProcessLookupError):
                os.killpg(program.pid, number)

    def resume(self, node: Node) -> None:
        """Continue what `watch` started and SIGSTOP has stopped.

        nsenter(1) stops itself when it sees that its child is stopped, also if both have just been continued. One that
        stays stopped never waits for its child, and until then the node's machine cannot die.
        """
        deadline = time.monotonic() + 30
        waiting = self.programs[node]
        while waiting:
            assert time.monotonic() < deadline, f"{node}: what watches it is still stopped 30 s after SIGCONT"
            self.signal(node, signal.SIGCONT)
            time.sleep(0.1)
            waiting = [program for program in waiting if state_of(program.pid) != "S"]

    def unwatch(self, node: Node) -> None:
        """End what `watch` started."""
        self.signal(node, signal.SIGKILL)
        for program in self.programs[node]:
            program.wait()
        self.programs[node] = []

    def pick(self, planned: faults.Planned) -> list[Node]:
        """Wait for a node with the role that is to be hit, and take it; at least one node is left alone."""
        deadline = time.monotonic() + 15
        with self.changed:
            while True:
                free = [node for node in self.nodes if node not in self.busy]
                if not free:
                    # A deployment has them all, and on a busy machine it takes its time.
                    deadline = time.monotonic() + 15
                if planned.whom == faults.CLUSTER:
                    if len(free) == len(self.nodes):
                        self.busy.update(free)
                        return free
                elif len(free) > 1:
                    # Not all nodes: another one may be dying just now.
                    late = time.monotonic() > deadline - 10
                    fitting = [node for node in free if late or node.state() == planned.whom]
                    if fitting:
                        self.busy.add(fitting[0])
                        return fitting[:1]
                self.changed.wait(0.3)
                assert planned.whom == faults.CLUSTER or time.monotonic() < deadline + 60, f"no node free for {planned}"

    def hit(self, planned: faults.Planned, nodes: list[Node]) -> None:
        """Inflict one fault, and take it away after its time."""
        try:
            begun = time.monotonic()
            if planned.whom == faults.CLUSTER:
                name = ""
                self.say(f"{planned.kind} all nodes")
                self.deploy(planned.kind)
                done = ended = over = time.monotonic()
            else:
                (node,) = nodes
                name = node.name
                kind = {**faults.KINDS, **faults.CLAIM_KINDS}[planned.kind]
                self.say(f"{name} ({planned.whom}) {planned.kind}" + (f" for {planned.seconds} s" if kind.end else ""))
                kind.begin(node)
                if planned.kind == "node paused":
                    self.signal(node, signal.SIGSTOP)  # in-node.sh has started them outside of the node's cgroup
                done = ended = over = time.monotonic()
                if kind.end:
                    time.sleep(planned.seconds)
                    ended = time.monotonic()
                    if planned.kind == "node paused":
                        self.resume(node)
                    kind.end(node)
                    over = time.monotonic()
                if planned.kind == "machine killed":
                    self.unwatch(node)  # all of it died with the machine
                    self.watch(node)
            fault = record.Fault(name, planned.kind, begun, done, ended, over)
            with (FOLDER / "faults").open("a") as stream:
                stream.write(json.dumps(dataclasses.asdict(fault)) + "\n")
        except Exception as error:
            said = getattr(error, "stderr", None) or ""
            self.failed.append((time.monotonic(), f"{planned.kind} on {nodes} could not be done: {error} {said}"))
        finally:
            with self.changed:
                self.busy.difference_update(nodes)
                self.changed.notify_all()

    def deploy(self, kind: str) -> None:
        """Deploy again: another setting (kind: `redeployed`), or another version (`upgraded`)."""
        self.deployed += 1
        if kind == "redeployed":
            self.play("rcron.cluster.site", f"--extra-vars=rcron_nice_level={self.deployed % 20}")
            return
        collections = FOLDER / "upgrade"
        shutil.rmtree(collections, ignore_errors=True)
        tree = collections / "ansible_collections" / "rcron" / "cluster"
        tree.mkdir(parents=True)
        for name in ("galaxy.yml", "meta", "rcron", "man", "plugins", "roles", "playbooks"):
            source = CHECKOUT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, tree / name)
        package = tree / "rcron" / "__init__.py"
        text, found = re.subn(r'__version__ = "[^"]*"', f'__version__ = "9.0.{self.deployed}"', package.read_text())
        assert found == 1, f"{package} has no version"
        package.write_text(text)
        self.play("rcron.cluster.site", collections=collections)

    def check(self, node: Node) -> None:
        """Compare keepalived's own state with the state file, while the cluster is left alone."""
        said = node.run(
            "rm -f /tmp/keepalived.data; kill -s $(keepalived --signum=DATA) $(pgrep -o -x keepalived);"
            "for _ in $(seq 100); do"
            " grep -Eq '^   State = (MASTER|BACKUP|FAULT)' /tmp/keepalived.data 2>/dev/null && break;"
            " sleep 0.02; done; sed -En 's/^   State = (MASTER|BACKUP|FAULT).*/\\1/p' /tmp/keepalived.data; cat "
            + STATE_FILE
        ).split()
        self.checked.append((time.monotonic(), node.name, said[0], said[1]))

    def run(self) -> None:
        """Inflict all faults of the list."""
        self.start = time.monotonic() + 1
        self.begin = self.start
        for node in self.nodes:
            self.watch(node)
        time.sleep(4)
        threads: list[threading.Thread] = []
        last = time.monotonic()
        for number, planned in enumerate(faults.draw(self.seed, self.seconds, self.claims)):
            time.sleep(max(0.0, last + planned.after - time.monotonic()))
            nodes = self.pick(planned)
            last = time.monotonic()
            threads.append(threading.Thread(target=self.hit, args=(planned, nodes)))
            threads[-1].start()
            if self.failed or last - self.begin > self.seconds:
                break
            if number % CHECKED == CHECKED - 1 and not self.settled(threads):
                break
        if not self.failed:
            self.settled(threads)
        time.sleep(CALM + self.settings.claim_wait - 4)

    def settled(self, threads: list[threading.Thread]) -> bool:
        """Let all faults end and the cluster settle, and check each node."""
        for thread in threads:
            thread.join()
        time.sleep(4)
        try:
            for node in self.nodes if not self.failed else ():
                self.check(node)
        except (AssertionError, IndexError) as error:
            self.failed.append((time.monotonic(), f"keepalived could not be asked for its state: {error}"))
        return not self.failed

    def collect(self) -> record.Record:
        """End the run, and collect what the nodes have recorded."""
        end = time.monotonic()
        for node in self.nodes:
            self.unwatch(node)
            log = node.try_run("cat /var/log/syslog").stdout
            (FOLDER / f"{node.name}.syslog").write_text(log, errors="surrogateescape")
        if self.claims:
            found = self.nodes[0].run("rcronctl history --since 1d --json")
            (FOLDER / "history").write_text(found)
        about = {
            "seed": self.seed,
            "seconds": self.seconds,
            "settings": dataclasses.asdict(self.settings),
            "nodes": [node.name for node in self.nodes],
            "begin": self.start,
            "end": end,
            "wall": time.time() - time.monotonic(),
            "checked": self.checked,
            "failed": self.failed,
        }
        (FOLDER / "run.json").write_text(json.dumps(about, indent=1) + "\n")
        return record.read(FOLDER)


def state_of(pid: int) -> str:
    """Return what a process of this machine does, as a letter: proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def containers(keep: bool) -> Iterator[None]:
    """Remove the nodes at the end, whatever happens."""
    try:
        yield
    finally:
        if not keep:
            destroy = str(CHECKOUT / "molecule" / "shared" / "destroy.yml")
            subprocess.run(
                ["ansible-playbook", "--inventory", str(INVENTORY), destroy], check=False, stdout=subprocess.DEVNULL
            )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="for how long faults are injected (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, help="which faults; the same number gives the same ones (default: random)")
    parser.add_argument("--claims", action="store_true", help="have each run claimed, in an etcd on the nodes")
    parser.add_argument("--list", action="store_true", help="print the faults of the run, and do nothing")
    parser.add_argument("--keep", action="store_true", help="leave the nodes up")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="judge the record of a run again")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    if options.list:
        for planned in faults.draw(seed, options.seconds, options.claims):
            print(f"{planned.after:6.2f} s later  {planned.kind} ({planned.whom}) {planned.seconds or ''}")
        return
    if options.judge:
        found = record.read(options.judge)
    else:
        if os.geteuid():
            sys.exit("soak: it cuts the nodes' networks with nsenter and nft, which takes root; run it as root")
        print(
            f"soak: {options.seconds:.0f} s of faults, seed {seed}; the record goes to {FOLDER.relative_to(CHECKOUT)}"
        )
        FOLDER.parent.mkdir(exist_ok=True)
        lock = FOLDER.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("soak: another soak runs in this checkout; wait for its end, or use another checkout")
        with containers(options.keep):
            soak = Soak(options.seconds, seed, options.claims)
            soak.prepare()
            soak.run()
            found = soak.collect()
    judged = oracle.judge(found)
    print(oracle.report(judged))
    folder = options.judge or FOLDER
    (folder / "ticks").write_text("".join(f"{line}\n" for line in sorted(judged.explained)))
    # Of a long run, the minute around the first broken promise, or the first minute.
    middle = judged.violations[0][0] if judged.violations else found.begin + PICTURE / 2
    begin = max(found.begin, min(middle, found.end) - PICTURE / 2)
    drawn = folder / "timeline.svg"
    drawn.write_text(picture.draw(judged, begin, min(found.end, begin + PICTURE)))
    print(f"\neach tick that ran twice or nowhere, and why: {folder / 'ticks'}")
    print(f"picture of the time from {begin - found.begin:.0f} s on: {drawn}")
    if judged.violations:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nsoak: interrupted")
    except AssertionError as error:
        sys.exit(f"soak: {error}")
