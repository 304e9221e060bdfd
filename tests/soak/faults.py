# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The kinds of faults that a node can suffer, and the list of those of a run: the same seed gives the same list.

The list names the role of the node that is hit (`active`, `passive`), not the node: the run finds out which node has
that role when the time comes, and records it.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodes import Node

from tests.cluster.faults import FILL_LOG, freeze, freeze_unit, thaw, thaw_unit

ACTIVE, PASSIVE, CLUSTER = "active", "passive", "cluster"

#: Seconds between the beginnings of two faults.
PAUSE = (1.0, 3.0)


@dataclass(frozen=True)
class Planned:
    """One fault of the list. after: seconds since the one before it began. kind: a name of KINDS or DEPLOYMENTS. whom:
    the role of the node that it hits, or `cluster`. seconds: how long it lasts, unless the kind of fault
    decides that."""

    after: float
    kind: str
    whom: str
    seconds: float


@dataclass(frozen=True)
class Kind:
    """A kind of fault. what: a description. begin: inflicts it on a node; end: takes it away, if `begin` does
    not. seconds: the shortest and the longest time between both. weight: how often it is drawn."""

    what: str
    begin: Callable[[Node], object]
    end: Callable[[Node], object] | None = None
    seconds: tuple[float, float] = (0.0, 0.0)
    weight: float = 1.0


def shell(command: str) -> Callable[[Node], None]:
    """Return a step that runs a command in the node as root."""

    def step(node: Node) -> None:
        node.run(command)

    return step


def pid_of(node: Node) -> str:
    """Return the process ID of the node's init on this machine."""
    return Path(f"/run/rcron-nodes/{node.container}.pid").read_text().strip()


#: nsenter(1)'s options, and the kernel's names.
NAMESPACES = {"net": "net", "mount": "mnt"}


def on_machine(node: Node, namespace: str, command: list[str], said: str | None = None) -> None:
    """Run a program of this machine in one namespace of a node."""
    subprocess.run(
        ["nsenter", f"--{namespace}=/proc/{pid_of(node)}/ns/{NAMESPACES[namespace]}", "--", *command],
        check=True,
        input=said,
        text=True,
    )


def network(incoming: str, outgoing: str) -> Callable[[Node], None]:
    """Return a step that makes the node's network drop incoming and outgoing packets: `all`, a percentage, or none."""

    def chain(hook: str, interface: str, what: str) -> str:
        rule = {"all": "drop", "": "accept"}.get(what, f"numgen random mod 100 < {what} drop")
        return f"chain {hook} {{ type filter hook {hook} priority 0; {interface} lo accept; {rule}; }};"

    def step(node: Node) -> None:
        rules = f"table inet soak {{ {chain('input', 'iif', incoming)} {chain('output', 'oif', outgoing)} }}"
        on_machine(node, "net", ["nft", "-f", "-"], rules)

    return step


def frozen_log(node: Node) -> None:
    """Stop the node's log daemon and fill up the queue of its socket, so that the next one who writes to it waits."""
    node.run(f"pkill -STOP -x systemd-journal && python3 -c '{FILL_LOG}'")


def mount(options: str) -> Callable[[Node], None]:
    """Return a step that runs a shell's command in the node's file systems, with this machine's capabilities."""

    def step(node: Node) -> None:
        target = ["nsenter", "--target", pid_of(node), "--mount", "--pid"]
        subprocess.run([*target, "sh", "-c", options], check=True)

    return step


def heal(node: Node) -> None:
    """Remove the network's fault."""
    on_machine(node, "net", ["nft", "delete", "table", "inet", "soak"])


def limit_run(node: Node) -> None:
    """Limit the size of the node's /run so that it can be filled up: podman gives it half of the machine's memory.

    systemd 257 reads its units anew only if 16 MiB are free there.
    """
    on_machine(node, "mount", ["mount", "-o", "remount,size=32m", "/run"])


def boot(node: Node) -> None:
    """Switch the node on again and wait for cron."""
    node.start()
    limit_run(node)
    deadline = time.monotonic() + 60
    while node.try_run("systemctl is-active --quiet cron").returncode:
        assert time.monotonic() < deadline, f"{node}: booted, but cron has not started after 60 s"
        time.sleep(0.05)


START = "systemctl reset-failed keepalived; systemctl start keepalived"
STATE = "/run/rcron/state"
CLOCK = "/etc/soak-clock"  # what in_node/ticker.py and keepalived's hooks see
FILL = "cat /dev/zero >/run/soak-fill 2>/dev/null || true"
FOLDER = "/run/rcron"
#: The agent may write the file between the two.
FOLDER_FOR_STATE = f"until rm -f {STATE} && mkdir {STATE}; do :; done"
PYTHON = "$(readlink -f /usr/bin/python3)"
READ_ONLY = f"mount --bind {FOLDER} {FOLDER} && mount -o remount,ro,bind {FOLDER}"
#: keepalived's main process and its VRRP child; and the child.
BOTH, CHILD = "$(pgrep -x keepalived)", "$(pgrep -x -P $(pgrep -o -x keepalived) keepalived)"

NETWORK_KINDS = {
    "network cut": Kind("nothing comes in, nothing goes out", network("all", "all"), heal, (1.0, 5.0), 0.6),
    "hears nobody": Kind("nothing comes in", network("all", ""), heal, (1.0, 5.0), 0.6),
    "heard by nobody": Kind("nothing goes out", network("", "all"), heal, (1.0, 5.0), 0.6),
    "packets lost": Kind("30 % of them, both ways", network("30", "30"), heal, (2.0, 6.0), 0.6),
}
STATE_FILE_KINDS = {
    "state deleted": Kind("rm", shell(f"rm -f {STATE}"), weight=0.3),
    "state truncated": Kind("to nothing", shell(f": >{STATE}"), weight=0.3),
    "state a folder": Kind("an empty one", shell(FOLDER_FOR_STATE), weight=0.3),
    "folder removed": Kind("with all in it", shell(f"rm -rf {FOLDER}"), weight=0.6),
}
#: After these a node distrusts keepalived until that can have noticed that it was replaced.
HANG_KINDS = {
    "keepalived hung": Kind(
        "STOP and CONT", shell(f"kill -STOP {BOTH}"), shell(f"kill -CONT {BOTH}"), (0.5, 10.0), 1.5
    ),
    "keepalived asleep": Kind(
        "its cgroup frozen: in state S or D",
        lambda node: freeze_unit(node, "keepalived"),
        lambda node: thaw_unit(node, "keepalived"),
        (0.5, 10.0),
        0.8,
    ),
    "node paused": Kind("all processes frozen", freeze, thaw, (1.0, 15.0), 0.8),
    "log daemon frozen": Kind("its socket full", frozen_log, shell("pkill -CONT -x systemd-journal"), (1.0, 8.0), 0.8),
    "agent killed": Kind("rcron-agent; systemd restarts it", shell("systemctl kill -s KILL rcron-agent"), weight=1.0),
}
KEEPALIVED_KINDS = {
    "machine killed": Kind("all processes die at once; boots later", Node.kill, boot, (0.5, 3.0), 2.0),
    "keepalived stopped": Kind("and started later", shell("systemctl stop keepalived"), shell(START), (0.2, 4.0), 1.5),
    "keepalived restarted": Kind("systemctl restart", shell("systemctl restart keepalived"), weight=1.5),
    "keepalived reloaded": Kind("systemctl reload", shell("systemctl reload keepalived"), weight=0.4),
    "VRRP child killed": Kind("KILL; its parent starts another", shell(f"kill -KILL {CHILD}"), weight=1.5),
    "keepalived killed": Kind("both; started later", shell(f"kill -KILL {BOTH}"), shell(START), (0.2, 4.0), 2.0),
    **HANG_KINDS,
}
KINDS = {
    **KEEPALIVED_KINDS,
    **NETWORK_KINDS,
    "clock ahead": Kind("by 2 s", shell(f"echo +2 >{CLOCK}"), shell(f"echo +0 >{CLOCK}"), (2.0, 5.0), 0.4),
    "clock behind": Kind("by 2 s", shell(f"echo -2 >{CLOCK}"), shell(f"echo +0 >{CLOCK}"), (2.0, 5.0), 0.4),
    "/run full": Kind("to the last page", shell(FILL), shell("rm /run/soak-fill"), (1.0, 5.0), 0.5),
    **STATE_FILE_KINDS,
    "folder read-only": Kind("", mount(READ_ONLY), mount(f"umount --lazy {FOLDER}"), (3.0, 3.0), 0.6),
    "python3 away": Kind("not executable", shell(f"chmod a-x {PYTHON}"), shell(f"chmod a+x {PYTHON}"), (4.0, 4.0), 0.6),
    "pinned passive": Kind("and unpinned", shell("rcronctl pin passive"), shell("rcronctl unpin"), (1.0, 4.0), 0.4),
    "pinned active": Kind("and unpinned", shell("rcronctl pin active"), shell("rcronctl unpin"), (1.0, 4.0), 0.4),
}


def kill_unit(signal: str, unit: str) -> str:
    """Return the command that sends a signal to a unit's processes, if there are any: systemd may be restarting it."""
    return f"systemctl kill --signal={signal} {unit} || :"


#: What happens to claims besides, in a soak that has them (claims.yml).
CLAIM_KINDS = {
    "etcd hung": Kind(
        "STOP and CONT",
        shell(kill_unit("STOP", "etcd")),
        shell(kill_unit("CONT", "etcd")),
        (0.5, 8.0),
        1.5,
    ),
    "etcd killed": Kind(
        "and started later",
        shell(kill_unit("KILL", "etcd")),
        shell("systemctl reset-failed etcd; systemctl start --no-block etcd"),
        (0.2, 5.0),
        1.5,
    ),
    "claims' agent hung": Kind(
        "STOP and CONT",
        shell(kill_unit("STOP", "rcron-claims")),
        shell(kill_unit("CONT", "rcron-claims")),
        (0.5, 5.0),
        1.0,
    ),
    "claims' agent killed": Kind("systemd restarts it", shell(kill_unit("KILL", "rcron-claims")), weight=1.5),
}

#: What soak.py does to the whole cluster with Ansible, and every how many seconds.
DEPLOYMENTS = {"redeployed": 240.0, "upgraded": 420.0}


def draw(seed: int, seconds: float, claims: bool = False) -> list[Planned]:
    """Draw the list of faults for a run. seed: identifies the list. seconds: how long the run is to last. claims:
    whether what serves claims fails, too."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets: the same seed is to give the same faults
    kinds = {**KINDS, **(CLAIM_KINDS if claims else {})}
    names, weights = list(kinds), [kind.weight for kind in kinds.values()]
    planned: list[Planned] = []
    now = 0.0
    due = {name: every * 0.2 for name, every in DEPLOYMENTS.items()}
    while now < seconds:
        after = round(chance.uniform(*PAUSE), 2)
        now += after
        late = [name for name, when in due.items() if when <= now]
        if late:
            due[late[0]] += DEPLOYMENTS[late[0]]
            planned.append(Planned(after, late[0], CLUSTER, 0.0))
            continue
        name = chance.choices(names, weights)[0]
        whom = ACTIVE if chance.random() < 0.85 else PASSIVE
        planned.append(Planned(after, name, whom, round(chance.uniform(*kinds[name].seconds), 2)))
    return planned
