# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Hosts, jobs and feeders come and go, as the inventory says, on hosts reached through ssh with a password for sudo.

Each test is a change that begins where the one before it has ended. After it, exactly one host is active, the playbook
check finds nothing wrong, and in each minute that has gone by each job has run once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import CRON_PATIENCE, Cluster, Node

BUILT = Path(__file__).resolve().parents[2] / ".build" / "lifecycle"

#: The ordinary user of prepare.yml.
USER = {
    "ansible_connection": "ssh",
    "ansible_user": "bob",
    "ansible_become_password": "of four hosts",
    "ansible_ssh_private_key_file": str(BUILT / "key"),
    "ansible_ssh_common_args": " ".join(
        [
            "-F /dev/null -o LogLevel=ERROR",
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",  # each run makes its hosts anew
        ]
    ),
    "ansible_pipelining": True,
}

KEEPALIVED: dict[str, Any] = {
    "rcron_feeder": "keepalived",
    "rcron_keepalived_manage": True,
    "rcron_keepalived_interface": "eth0",
    "rcron_keepalived_auth_pass": "8letters",
}
NONE: dict[str, Any] = {"rcron_feeder": "none"}


@dataclasses.dataclass
class Administrator:
    """Who has the inventory, and deploys it.

    Attributes:
        folder: Where the inventory is written, and ssh's sockets are.
        network: The first words of a command that is to reach the hosts' network, which is theirs alone.
        hosts: The cluster's hosts, in the group's order.
        feeder: The variables of the feeder.
        jobs: The jobs in root's crontab that the inventory selects.
        since: The first minute (seconds since the epoch) in which each of the jobs must run once.
    """

    folder: Path
    network: list[str]
    hosts: list[Node]
    feeder: dict[str, Any]
    jobs: list[str]
    since: dict[str, int] = dataclasses.field(default_factory=dict)

    def inventory(self) -> Path:
        """Write the inventory as it is now."""
        hosts = {node.name: {"ansible_host": address(node)} for node in self.hosts}
        entries = [{"user": "root", "entries": [{"job": f"/usr/local/bin/record {job}"} for job in self.jobs]}]
        variables = {**USER, "rcron_cluster_name": "billing", "rcron_crontab_entries": entries, **self.feeder}
        path = self.folder / "hosts.json"
        path.write_text(json.dumps({"rcron": {"hosts": hosts, "vars": variables}}))
        return path

    def play(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ansible-playbook with these words."""
        began = time.monotonic()
        ran = subprocess.run(
            [*self.network, "ansible-playbook", "--inventory", str(self.inventory()), *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder),
            },
        )
        print(f"{' '.join(words)} on {len(self.hosts)} hosts took {time.monotonic() - began:.0f} s")
        return ran

    def succeed(self, *words: str) -> str:
        """Run ansible-playbook, which must succeed, and return its output."""
        ran = self.play(*words)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def deploy(self, missed: int = 0) -> None:
        """Deploy the inventory, and require that all is well then.

        Args:
            missed: How many runs of a job may have been missed, since hosts had to agree on another active one.
        """
        self.succeed("rcron.cluster.site")
        self.is_well(missed)

    def is_well(self, missed: int = 0) -> None:
        """Require that one host is active, that check says so, and that each job has run once a minute until now."""
        active = Cluster([node.container for node in self.hosts]).settle()
        print(f"{active} is active of {self.hosts}")
        assert "All is well." in (checked := self.succeed("rcron.cluster.check")), checked
        self.account(missed)

    def take_in(self, node: Node) -> None:
        """Add a host at the group's end, which gets the jobs' crontab."""
        node.run("systemctl stop cron")  # the entries are without the prefix until it is deployed
        crontab(*self.jobs)(node)
        self.hosts = [*self.hosts, node]
        self.succeed("rcron.cluster.site")
        node.run("systemctl start cron")
        self.is_well()

    def take_out(self, node: Node) -> None:
        """Take a host out, as docs/howto.md says, and its crontab away."""
        node.run("systemctl stop cron")  # the entries are without the prefix again before they are removed
        self.succeed("rcron.cluster.remove", "--limit", node.name)
        node.run("crontab -r; systemctl start cron")
        assert files(node) == ""
        self.hosts = [other for other in self.hosts if other is not node]
        self.deploy(missed=1)

    def account(self, missed: int = 0) -> None:
        """Require that each job has run once in each minute until now, and count from now on what it does next."""
        over = int(time.time() - CRON_PATIENCE) // 60 * 60 + 60
        for job in self.jobs:
            begin = self.since.setdefault(job, over)
            ran = [int(run.time) // 60 * 60 for node in self.hosts for run in node.runs(job)]
            counts = {minute: ran.count(minute) for minute in range(begin, over, 60)}
            print(f"{job}: {list(counts.values())}")
            assert all(count <= 1 for count in counts.values()), (job, counts)
            assert list(counts.values()).count(0) <= missed, (job, counts)
            self.since[job] = over


def address(node: Node) -> str:
    """Return a node's address."""
    return node.run("hostname -I").split()[0]


def crontab(*jobs: str) -> Callable[[Node], str]:
    """Return what gives a node a crontab of root's with these jobs."""
    lines = "".join(f"* * * * * /usr/local/bin/record {job}\n" for job in jobs)
    return lambda node: node.run(f"crontab - <<'END'\n{lines}END")


def files(node: Node) -> str:
    """Return how a node's files differ from what they were before the first deployment."""
    return node.try_run("list-files | diff /var/tmp/before/files -").stdout


@pytest.fixture(scope="module")
def administrator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Administrator:
    hosts = cluster.nodes[:2]
    for node in hosts:
        crontab("billing")(node)
    pid = Path(f"/run/rcron-nodes/{cluster.nodes[0].container}.pid").read_text().strip()
    return Administrator(
        folder=tmp_path_factory.mktemp("administrator"),
        network=["nsenter", f"--target={pid}", "--net"],
        hosts=hosts,
        feeder=KEEPALIVED,
        jobs=["billing"],
    )


def test_check_mode_changes_nothing(administrator: Administrator) -> None:
    before = [node.run("list-files; crontab -l") for node in administrator.hosts]
    said = administrator.succeed("rcron.cluster.site", "--check", "--diff")
    assert "+* * * * * /usr/bin/rcron /usr/local/bin/record billing" in said
    assert [node.run("list-files; crontab -l") for node in administrator.hosts] == before


def test_two_hosts_are_deployed(administrator: Administrator) -> None:
    administrator.deploy()


def test_a_host_is_added(administrator: Administrator, cluster: Cluster) -> None:
    administrator.take_in(cluster.nodes[2])
    assert cluster.nodes[2].state() == "passive"


def test_the_feeder_is_nobody_any_more(administrator: Administrator) -> None:
    administrator.feeder = NONE
    administrator.deploy(missed=1)


def test_a_host_is_removed(administrator: Administrator) -> None:
    administrator.take_out(administrator.hosts[-1])


def test_the_feeder_is_keepalived_again(administrator: Administrator) -> None:
    administrator.feeder = KEEPALIVED
    administrator.deploy(missed=1)


def test_nothing_is_left(administrator: Administrator, cluster: Cluster) -> None:
    administrator.account()
    administrator.succeed("rcron.cluster.remove")
    for node in administrator.hosts:
        assert node.run("crontab -l") == "* * * * * /usr/local/bin/record billing\n"
        node.run("crontab -r")
    assert cluster.on_all(files) == ["", "", "", ""]
