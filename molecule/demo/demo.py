# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make demo`: three machines with the same cron jobs, a deployment, a failover; leaves the machines up.

    python molecule/demo/demo.py [keepalived|lease]

They are deployed with playbooks/site.yml, as a user's own hosts would be. Ansible's output goes to .build/demo.log,
and a picture of all that happened to .build/demo.svg.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
INVENTORY = HERE / "inventory"
LOG = CHECKOUT / ".build" / "demo.log"
PICTURE = CHECKOUT / ".build" / "demo.svg"

sys.path[:0] = [str(HERE.parent / "shared"), str(CHECKOUT / ".build")]
from ansible_collections.rcron.cluster.plugins.module_utils import job_log  # noqa: E402 - found through the line above
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline import picture, records  # noqa: E402
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.cluster import timeline_of  # noqa: E402
from nodes import DOWN, Change, Cluster, Node, stay_clear_of_minute  # noqa: E402

#: The jobs of root.crontab: those that rcron is to run on one machine, and the one that it leaves alone.
JOBS = {"billing": "on one machine", "report": "on one machine", "cleanup": "on each machine"}
SELECTED = ("billing", "report")
EVERYWHERE = "cleanup"

#: What is given to ansible-playbook besides the inventory, by the feeder.
FEEDERS = {"keepalived": (), "lease": ("--extra-vars", f"@{HERE / 'vars' / 'lease.yml'}")}

STEPS = 5
step_number = 0


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def step(text: str) -> None:
    """Print the next step."""
    global step_number
    step_number += 1
    say(f"\n[{step_number}/{STEPS}] {text}")


def play(playbook: str, feeder: str) -> None:
    """Run a playbook on the nodes, for a feeder; if it fails, show the end of the log and stop the demo."""
    start = time.monotonic()
    with LOG.open("a") as log:
        ran = subprocess.run(
            ["ansible-playbook", "--inventory", str(INVENTORY), *FEEDERS[feeder], playbook],
            check=False,
            stdout=log,
            stderr=log,
        )
    if ran.returncode:
        say("\n".join(line[:200] for line in LOG.read_text().splitlines()[-25:]))
        sys.exit(f"demo: {playbook} failed; above is the end of {LOG}. `make demo-stop` removes what is there.")
    say(f"      done in {time.monotonic() - start:.0f} s")


def show_states(cluster: Cluster) -> None:
    """Print each node's state."""
    for name, state in cluster.states().items():
        say(f"      {name}   {'-- killed --' if state == DOWN else state}")


def show_minute(cluster: Cluster) -> None:
    """Wait for cron and print who ran what."""
    minute = cluster.wait_for_minute(EVERYWHERE, lambda line: say(f"      {line}"))
    say()
    say(f"      {'job':<10}{'to be run':<18}ran at {time.strftime('%H:%M', time.localtime(minute))} on")
    for job, where in JOBS.items():
        say(f"      {job:<10}{where:<18}{' '.join(cluster.who_ran(job, minute)) or 'nobody'}")


class Record:
    """What the nodes did since a time, for the picture: the changes of their states, and what rcron has logged."""

    def __init__(self) -> None:
        self.begin = time.time()
        self.changes: dict[str, list[Change]] = {}
        self.said: dict[str, dict[str, object]] = {}

    def read(self, node: Node) -> None:
        """Read a node's record; of one that is to be killed, before."""
        self.changes[node.name] = node.changes()
        lines = node.run("journalctl --quiet --identifier=rcron --output=short-unix").splitlines()
        events = [event for event in map(job_log.event, job_log.from_journal(lines)) if event]
        now = time.time()
        self.said[node.name] = {  # as the module rcron_info says it
            "clusters": [],
            "events": [event._asdict() for event in events],
            "events_since": self.begin,
            "running": [],
            "boots": [{"begin": 0, "end": now}],
            "time": now,
            "clock_offset": 0,
            "clock_uncertainty": 0,
        }

    def draw(self, faults: list[records.Fault], killed: records.Fault) -> None:
        """Draw it. faults: what happened; killed: the one that a node did not come back from."""
        end = time.time()
        bands = []
        for name, changes in self.changes.items():
            states = [(change.time, change.state) for change in changes if change.state in picture.STATES]
            if name == killed.node:
                states.append((killed.begin, DOWN))
            for (since, state), (until, _next) in zip(states, [*states[1:], (end, "")]):
                bands.append(records.Band(name, max(since, self.begin), until, state))
        ran = timeline_of(self.said, hours=1)
        title = "make demo: three machines, a job for one of them, and a power cut"
        drawn = ran._replace(title=title, begin=self.begin, end=end, bands=bands, faults=[*faults, killed])
        PICTURE.write_text(picture.draw(drawn))


def main() -> None:
    """Run the demo."""
    feeder = (sys.argv[1:] or ["keepalived"])[0]
    if feeder not in FEEDERS:
        sys.exit(f'demo: there is none with the feeder "{feeder}"; FEEDER is {" or ".join(FEEDERS)}')
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    run = hashlib.sha1(str(INVENTORY).encode(), usedforsecurity=False).hexdigest()[:6]  # as in inventory/hosts.yml
    cluster = Cluster([f"rcron-{run}-node{number}" for number in (1, 2, 3)])

    say(f"rcron's demo: three machines have the same cron jobs. Ansible's output is in {LOG.relative_to(CHECKOUT)}")
    if feeder == "lease":
        say("No VRRP: the machine is active that holds a lease in an etcd, of which each machine has a member.")
    step("Starting node1, node2 and node3: containers that boot Debian (the first time, an image is built)")
    play(str(HERE.parent / "shared" / "create.yml"), feeder)
    step("Giving each of them the same crontab, three jobs a minute")
    play(str(HERE / "prepare.yml"), feeder)
    step("Deploying rcron with playbooks/site.yml")
    play("rcron.cluster.site", feeder)

    record = Record()
    step("Who is active, and who runs what?")
    cluster.settle()
    show_states(cluster)
    show_minute(cluster)

    stay_clear_of_minute()
    active = cluster.settle()
    step(f"Killing {active}, which is active, as a power cut would")
    record.read(active)
    killed = active.kill()
    new = cluster.settle()
    show_states(cluster)
    show_minute(cluster)
    flip = next(change.time for change in new.changes() if change.time > killed and change.state == "active") - killed
    first = min(run.time for job in SELECTED for run in new.runs(job) if run.time > killed) - killed
    say()
    say(f"      {new} was active {flip:.1f} s after the kill.")
    say(f"      Its first job ran {first:.1f} s after the kill, at cron's next minute.")

    say()
    for node in cluster.nodes:
        if node is not active:
            record.read(node)
    took_over = records.Fault(new.name, killed + flip, None, f"active, {flip:.1f} s after")
    record.draw([took_over], records.Fault(active.name, killed, None, "killed"))
    say(f"A picture of all that:              {PICTURE.relative_to(CHECKOUT)}   (open it in a browser)")
    say(f"The nodes stay up. Look around:     podman exec -it {new.container} bash   (rcronctl status; crontab -l)")
    say(f"Switch {active} on again:              podman start {active.container}")
    say("Remove all of it:                   make demo-stop")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted. `make demo` starts again, `make demo-stop` removes what is there.")
    except AssertionError as error:
        sys.exit(f"demo: {error}\ndemo: `make demo-stop` removes what is there.")
