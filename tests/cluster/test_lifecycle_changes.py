# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Hosts, jobs and feeders come and go, as the inventory says, on hosts reached through ssh with a password for sudo.

Each test is a change that begins where the one before it has ended. After it, exactly one host is active, the playbook
check finds nothing wrong, and in each minute that has gone by each job has run once.

With RCRON_TRIES above 1, a whole year of changes; without it, a few of them. molecule/lifecycle/prepare.yml says what
is peculiar to which host. The fourth takes part only in the whole year, and has no packages but those of a host.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import CRON_PATIENCE, Cluster, Node

from tests.cluster.measurement import report

CHECKOUT = Path(__file__).resolve().parents[2]
BUILT = CHECKOUT / ".build" / "lifecycle"

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
HEARTBEAT: dict[str, Any] = {
    "rcron_feeder": "heartbeat",
    "rcron_heartbeat_manage": True,
    "rcron_heartbeat_interface": "eth0",
    "rcron_heartbeat_initdead": "15",
}
PACEMAKER: dict[str, Any] = {"rcron_feeder": "pacemaker", "rcron_pacemaker_manage": True}
UCARP: dict[str, Any] = {
    "rcron_feeder": "ucarp",
    "rcron_ucarp_manage": True,
    "rcron_ucarp_interface": "eth0",
    "rcron_ucarp_address": "192.0.2.1",
    "rcron_ucarp_password": "8letters",
}

#: What else the playbook deploys, from files that every Debian has.
MORE: dict[str, Any] = {
    "rcron_timers_units": [{"unit": "dpkg-db-backup.timer"}],
    "rcron_scripts_paths": ["/etc/cron.daily/dpkg"],
}

#: What the inventory says besides while there is a second cluster, which the playbook of molecule/keepalived deploys.
SECOND: dict[str, Any] = {
    "rcron_state_max_age": 10,
    "rcron_keepalived_clusters": [
        {"instance": "VI_rcron", "inventory_group": "billing"},
        {
            "instance": "VI_mail",
            "inventory_group": "mail",
            "virtual_router_id": 52,
            "conf": "/etc/rcron/mail.conf",
        },
    ],
}

#: What daemons and the tool ucf of Debian keep for themselves, which no role removes.
OTHERS = r"/var/lib/(pacemaker|corosync|heartbeat|ucf)\b"


@dataclasses.dataclass
class Administrator:
    """Who has the inventory, and deploys it.

    Attributes:
        folder: Where the inventory is written, and ssh's sockets are.
        network: The first words of a command that is to reach the hosts' network, which is theirs alone.
        hosts: The cluster's hosts, in the group's order.
        feeder: The variables of the feeder.
        everybody: All hosts that there are, on which no job must run besides.
        jobs: The jobs that the inventory selects.
        moved: Those of them that are in /etc/cron.d/app; the others are in root's crontab.
        second: Those that are the second cluster's.
        name: The cluster's name.
        collections: Where the collection is that is deployed.
        since: The first minute (seconds since the epoch) in which each of the jobs must run once.
    """

    folder: Path
    network: list[str]
    hosts: list[Node]
    feeder: dict[str, Any]
    everybody: list[Node]
    jobs: list[str]
    moved: list[str] = dataclasses.field(default_factory=list)
    second: list[str] = dataclasses.field(default_factory=list)
    name: str = "billing"
    collections: Path = BUILT / "installed"
    since: dict[str, int] = dataclasses.field(default_factory=dict)

    def inventory(self) -> Path:
        """Write the inventory as it is now."""
        hosts = {node.name: {"ansible_host": address(node)} for node in self.hosts}
        roots = [job for job in self.jobs if job not in self.moved + self.second]
        entries = [
            {"user": "root", "entries": [selector(job) for job in roots]},
            *({"cron_file": "/etc/cron.d/app", "entries": [selector(job)]} for job in self.moved),
            *({"user": "root", "conf": "/etc/rcron/mail.conf", "entries": [selector(job)]} for job in self.second),
        ]
        variables = {**USER, "rcron_cluster_name": self.name, "rcron_crontab_entries": entries, **self.feeder}
        groups = {"rcron": {"hosts": hosts, "vars": variables}}
        if self.second:
            variables.update(SECOND)
            groups["billing"] = {"hosts": {host: {} for host in hosts}}
            groups["mail"] = {"hosts": {host: {} for host in reversed(hosts)}}
        path = self.folder / "hosts.json"
        path.write_text(json.dumps(groups))
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
                "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
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
        containers = [node.container for node in self.hosts]
        active = [Cluster(containers, name).settle() for name in ("", "mail")[: 2 if self.second else 1]]
        assert "All is well." in (checked := self.succeed("rcron.cluster.check")), checked
        runs = self.account(missed)
        step = os.environ["PYTEST_CURRENT_TEST"].partition("::test_")[2].partition(" ")[0].replace("_", " ")
        report(f"{step}: active {active} of {self.hosts}; runs a minute: {runs}")

    def finds_wrong(self, pattern: str) -> None:
        """Require that check fails, with a table in which a line matches."""
        checked = self.play("rcron.cluster.check")
        assert checked.returncode != 0, checked.stdout
        assert re.search(pattern, checked.stdout), checked.stdout

    def passive(self) -> Node:
        """Return a passive host."""
        return next(node for node in self.hosts if node.state() == "passive")

    def take_in(self, node: Node, place: int | None = None) -> None:
        """Add a host to the group, at its end or in a place of it; it gets the jobs' crontab."""
        node.run("systemctl stop cron")  # the entries are without the prefix until it is deployed
        crontab(*self.jobs)(node)
        self.hosts = [*self.hosts]
        self.hosts.insert(len(self.hosts) if place is None else place, node)
        self.succeed("rcron.cluster.site")
        node.run("systemctl start cron")
        self.is_well()

    def take_out(self, node: Node) -> None:
        """Take a host out, as docs/howto.md says, and its crontab away."""
        node.run("systemctl stop cron")  # the entries are without the prefix again before they are removed
        self.succeed("rcron.cluster.remove", "--limit", node.name)
        node.run("crontab -r; systemctl start cron")
        assert files(node) == []
        self.hosts = [other for other in self.hosts if other is not node]
        self.deploy(missed=1)

    def account(self, missed: int = 0) -> str:
        """Require that each job has run once in each minute until now, and count from now on what it does next.

        Args:
            missed: How many of its runs may have been missed.

        Returns:
            Each job's runs in these minutes.
        """
        said = []
        over = int(time.time() - CRON_PATIENCE) // 60 * 60 + 60
        for job in self.jobs:
            begin = self.since.setdefault(job, over)
            ran = [int(run.time) // 60 * 60 for node in self.everybody for run in node.runs(job)]
            counts = {minute: ran.count(minute) for minute in range(begin, over, 60)}
            said.append(f"{job} {list(counts.values())}")
            assert all(count <= 1 for count in counts.values()), (job, counts)
            assert list(counts.values()).count(0) <= missed, (job, counts)
            self.since[job] = over
        return ", ".join(said)

    def account_for_a_minute(self) -> None:
        """Do so when each job was due at least once since it was deployed."""
        time.sleep(max(0.0, max(self.since.values()) + CRON_PATIENCE + 1 - time.time()))
        print(self.account())


def selector(job: str) -> dict[str, str]:
    """Return what selects a job in an item of rcron_crontab_entries."""
    return {"job": f"/usr/local/bin/record {job}"}


def address(node: Node) -> str:
    """Return a node's address."""
    return node.run("hostname -I").split()[0]


def crontab(*jobs: str) -> Callable[[Node], str]:
    """Return what gives a node a crontab of root's with these jobs."""
    lines = "".join(f"* * * * * /usr/local/bin/record {job}\n" for job in jobs)
    return lambda node: node.run(f"crontab - <<'END'\n{lines}END")


def edit(*nodes: Node, script: str) -> None:
    """Edit root's crontab by hand, with a script of sed's."""
    for node in nodes:
        node.run(f"crontab -l | sed '{script}' | crontab -")


def files(node: Node) -> list[str]:
    """Return how a node's files differ from what they were before the first deployment."""
    lines = node.try_run("list-files | diff /var/tmp/before/files -").stdout.splitlines()
    return [line for line in lines if line[:1] in "<>" and not re.search(OTHERS, line)]


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
        everybody=cluster.nodes,
        jobs=["billing"],
    )


def test_check_mode_changes_nothing(administrator: Administrator) -> None:
    before = [node.run("list-files; crontab -l") for node in administrator.hosts]
    said = administrator.succeed("rcron.cluster.site", "--check", "--diff")
    assert "+* * * * * /usr/bin/rcron /usr/local/bin/record billing" in said
    assert [node.run("list-files; crontab -l") for node in administrator.hosts] == before


def test_two_hosts_are_deployed(administrator: Administrator) -> None:
    administrator.deploy()


def test_a_host_that_speaks_german_is_added(administrator: Administrator, cluster: Cluster) -> None:
    german = cluster.nodes[2]
    assert "Datei oder Verzeichnis nicht gefunden" in german.try_run("su --login bob --command 'ls /none'").stderr
    administrator.take_in(german)
    assert german.state() == "passive"


@pytest.mark.thorough
def test_a_job_is_added(administrator: Administrator) -> None:
    for node in administrator.hosts:
        node.run("(crontab -l; echo '* * * * * /usr/local/bin/record report') | crontab -")
    administrator.jobs = ["billing", "report"]
    administrator.deploy()


@pytest.mark.thorough
def test_a_prefix_that_somebody_has_taken_off_comes_back(administrator: Administrator) -> None:
    node = administrator.passive()
    node.run("systemctl stop cron")
    edit(node, script="/report/s|/usr/bin/rcron ||")
    administrator.finds_wrong(rf'"{node} .*record report')
    administrator.succeed("rcron.cluster.site")
    node.run("systemctl start cron")
    administrator.is_well()


@pytest.mark.thorough
def test_a_prefixed_command_that_somebody_has_edited_is_reported_until_it_is_selected(
    administrator: Administrator,
) -> None:
    administrator.account_for_a_minute()
    edit(*administrator.hosts, script="s/record report/record summary/")
    administrator.finds_wrong(rf'"{administrator.hosts[0]} .*record report')
    refused = administrator.play("rcron.cluster.site")
    assert refused.returncode != 0
    assert "Nothing was changed on any host" in " ".join(refused.stdout.split()), refused.stdout
    administrator.jobs = ["billing", "summary"]
    administrator.deploy()


@pytest.mark.thorough
def test_a_job_is_moved_to_another_crontab(administrator: Administrator) -> None:
    for node in administrator.hosts:
        node.run("crontab -l | sed -n 's/^\\([* ]*\\)\\(.*summary\\)$/\\1root \\2/p' >/etc/cron.d/app")
        edit(node, script="/summary/d")
    administrator.moved = ["summary"]
    administrator.deploy(missed=1)  # while it is in neither
    entry = "* * * * * root /usr/bin/rcron /usr/local/bin/record summary\n"
    assert {node.run("cat /etc/cron.d/app") for node in administrator.hosts} == {entry}


@pytest.mark.thorough
def test_a_job_is_dropped(administrator: Administrator) -> None:
    administrator.account_for_a_minute()
    administrator.jobs, administrator.moved = ["billing"], []
    said = administrator.succeed("rcron.cluster.site", "--check", "--diff")
    assert "+* * * * * root /usr/local/bin/record summary" in said
    administrator.deploy()
    for node in administrator.hosts:
        assert node.run("cat /etc/cron.d/app; rm /etc/cron.d/app") == "* * * * * root /usr/local/bin/record summary\n"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "feeder", [NONE, KEEPALIVED, HEARTBEAT, PACEMAKER, UCARP], ids=lambda feeder: feeder["rcron_feeder"]
)
def test_check_mode_shows_all_and_changes_nothing_on_a_host_that_has_nothing(
    administrator: Administrator, cluster: Cluster, feeder: dict[str, Any]
) -> None:
    node = cluster.nodes[3]
    node.run("systemctl stop cron")  # its entries are without the prefix, as check mode leaves them
    crontab("billing")(node)
    another = dataclasses.replace(administrator, hosts=[cluster.nodes[1], node], feeder={**feeder, **MORE})
    before = node.run("list-files; crontab -l")
    said = another.succeed("rcron.cluster.site", "--check", "--diff", "--limit", node.name)
    assert "+* * * * * /usr/bin/rcron /usr/local/bin/record billing" in said
    assert ("would install" in said) == (feeder is not NONE)
    assert node.run("list-files; crontab -l; crontab -r; systemctl start cron") == before


@pytest.mark.thorough
def test_a_host_is_replaced_by_one_that_has_nothing(administrator: Administrator, cluster: Cluster) -> None:
    administrator.take_out(cluster.nodes[1])
    administrator.take_in(cluster.nodes[3], place=1)
    assert cluster.nodes[3].state() == "passive"


@pytest.mark.thorough
def test_a_second_cluster_is_added(administrator: Administrator) -> None:
    for node in administrator.hosts:
        node.run("(crontab -l; echo '* * * * * /usr/local/bin/record mail') | crontab -")
    administrator.jobs, administrator.second = ["billing", "mail"], ["mail"]
    administrator.succeed(str(CHECKOUT / "molecule" / "keepalived" / "converge.yml"))
    administrator.is_well()
    entry = "* * * * * /usr/bin/rcron --conf /etc/rcron/mail.conf /usr/local/bin/record mail\n"
    assert all(entry in node.run("crontab -l") for node in administrator.hosts)


@pytest.mark.thorough
def test_the_second_cluster_is_removed(administrator: Administrator) -> None:
    administrator.account_for_a_minute()
    administrator.jobs, administrator.second = ["billing"], []
    administrator.succeed(str(CHECKOUT / "molecule" / "lifecycle" / "remove_second.yml"))
    assert "* * * * * /usr/local/bin/record mail\n" in administrator.hosts[0].run("crontab -l")
    edit(*administrator.hosts, script="/record mail/d")
    administrator.deploy(missed=1)
    left = (
        "ls -d /etc/rcron/*mail* /etc/rcron/agent.d/*mail* /run/rcron-mail; grep -l mail /etc/keepalived/*.conf; true"
    )
    assert [node.run(left) for node in administrator.hosts] == [""] * 3


@pytest.mark.thorough
def test_the_cluster_is_renamed(administrator: Administrator) -> None:
    administrator.name = "invoices"
    administrator.deploy()
    assert all("cluster_name = invoices" in node.run("cat /etc/rcron/rcron.conf") for node in administrator.hosts)


@pytest.mark.thorough
def test_the_hosts_are_upgraded(administrator: Administrator, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("next") / "ansible_collections"
    shutil.copytree(BUILT / "installed" / "ansible_collections", folder, symlinks=True)
    package = folder / "rcron" / "cluster" / "rcron" / "__init__.py"
    package.write_text(re.sub(r'(__version__ = "[^"]*)', r"\1.1", package.read_text()))
    before = administrator.hosts[0].run("/usr/bin/rcron --version").strip()
    administrator.collections = folder.parent
    administrator.deploy()
    assert [node.run("/usr/bin/rcron --version").strip() for node in administrator.hosts] == [f"{before}.1"] * 3


def test_the_feeder_is_nobody_any_more(administrator: Administrator) -> None:
    administrator.feeder = NONE
    administrator.deploy(missed=1)


def test_a_host_is_removed(administrator: Administrator) -> None:
    administrator.take_out(administrator.hosts[-1])


@pytest.mark.thorough
def test_the_feeder_is_heartbeat(administrator: Administrator) -> None:
    administrator.feeder = HEARTBEAT
    administrator.deploy(missed=1)


@pytest.mark.thorough
def test_the_feeder_is_pacemaker(administrator: Administrator) -> None:
    administrator.feeder = PACEMAKER
    administrator.deploy(missed=1)


def test_the_feeder_is_keepalived_again(administrator: Administrator) -> None:
    administrator.feeder = KEEPALIVED
    administrator.deploy(missed=1)


def test_nothing_is_left(administrator: Administrator, cluster: Cluster) -> None:
    administrator.account()
    administrator.succeed("rcron.cluster.remove")
    for node in administrator.hosts:
        assert node.run("crontab -l") == "* * * * * /usr/local/bin/record billing\n"
        # The packages stay, and so the administrator removes those that a role has installed.
        node.run("crontab -r; [ ! -e /usr/local/sbin/purge-new ] || purge-new")
    assert cluster.on_all(files) == [[], [], [], []]
