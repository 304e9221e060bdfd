# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The Debian packages, with dpkg for real: docs/install.md, Debian packages. The tests go on from each other."""

import re
import time

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.install_page import (
    commands,
    connect_keepalived,
    differences,
    disconnect_keepalived,
    fail_over,
)
from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

_MAKE, INSTALL, REMOVE, PURGE = commands("Debian packages")

#: An administrator who answers apt's questions with yes.
APT = "export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/var/tmp/apt.conf"

CONF = "cluster_name = billing\ndefault_state = {}\nstate_max_age = 10\n"

#: Runs job after job, and notes each that ran and each that failed.
STREAM = """\
while [ ! -e /run/upgrade-over ]; do
    /usr/bin/rcron true && echo >>/run/upgrade-ran || echo $? >>/run/upgrade-failed
done
"""

#: How many jobs each node has at least run meanwhile.
JOBS = 200


def apt(node: Node, command: str, folder: str = "/var/tmp/this") -> str:
    """Run one of the page's commands beside the packages; what it printed."""
    return node.run(f"{APT}; cd {folder}; {command} 2>&1")


def refused(node: Node, command: str) -> str:
    """Run a command of apt's or dpkg's that must fail; what it printed."""
    ran = node.try_run(f"{APT}; cd /var/tmp/this; {command} 2>&1")
    assert ran.returncode != 0, ran.stdout
    return " ".join(ran.stdout.split())


@pytest.fixture(scope="module")
def version(cluster: Cluster) -> str:
    """This version; the next one is called VERSION.1."""
    (package,) = cluster.nodes[0].run("ls /var/tmp/this/rcron_*.deb").split()
    return package.split("_")[1]


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """The packages, with keepalived as the feeder, everywhere."""

    def install(node: Node) -> None:
        node.run("""echo 'APT::Get::Assume-Yes "true";' >/var/tmp/apt.conf""")
        apt(node, INSTALL)
        assert "default_state = passive" in node.run("cat /etc/rcron/rcron.conf")
        node.run("systemctl is-enabled rcron-agent && systemctl is-active rcron-agent")
        text = CONF.format("active" if node is cluster.nodes[0] else "passive")
        node.run(f"cat >/etc/rcron/rcron.conf <<'END'\n{text}END\nrcronctl check")
        connect_keepalived(node)
        node.run("systemctl daemon-reload && systemctl reload-or-restart rcron-agent && systemctl reload keepalived")

    cluster.on_all(install)
    cluster.settle()
    return cluster


def test_keepalived_answers(installed: Cluster, node: Node) -> None:
    wait_until(lambda: "keepalived, alive" in node.run("rcronctl status"), f"{node}: keepalived's answer", 10)
    # The image leaves out documentation.
    assert node.run("dpkg --audit; dpkg --verify rcron rcron-agent | sed '\\: /usr/share/doc/:d'") == ""


def test_another_node_takes_over(installed: Cluster) -> None:
    fail_over(installed)


def test_no_job_fails_while_one_version_after_the_other_is_installed(installed: Cluster, version: str) -> None:
    started = time.monotonic()

    def upgrade(node: Node) -> int:
        node.run(f"systemd-run --quiet --collect --unit=upgrade-stream sh -c '{STREAM}'")
        rounds = 0
        while rounds < 2 or len(node.try_run("cat /run/upgrade-ran").stdout) < JOBS:
            for folder in ("next", "this"):
                apt(node, "dpkg --install ./rcron_*.deb ./rcron-agent_*.deb", f"/var/tmp/{folder}")
            rounds += 1
        apt(node, INSTALL, "/var/tmp/next")
        node.run("touch /run/upgrade-over")
        return 2 * rounds + 1

    rounds = installed.on_all(upgrade)
    for node in installed.nodes:
        wait_until(
            lambda: node.try_run("systemctl is-active upgrade-stream").returncode,  # noqa: B023 - called at once
            "no more jobs",
            20,
        )
    ran = [len(node.run("cat /run/upgrade-ran")) for node in installed.nodes]
    failed = [node.try_run("cat /run/upgrade-failed").stdout for node in installed.nodes]
    report(
        f"packages: {sum(ran)} jobs over {sum(rounds)} upgrades and downgrades, {time.monotonic() - started:.0f} s, "
        f"{len(''.join(failed).split())} failed"
    )
    assert failed == [""] * 3
    assert min(ran) >= JOBS


def test_the_agent_runs_from_the_version_that_is_installed(installed: Cluster, version: str, node: Node) -> None:
    assert node.run("rcron --version").split()[1] == f"{version}.1"
    agent = node.run("tr '\\0' ' ' </proc/$(systemctl show --property MainPID --value rcron-agent)/cmdline")
    assert f"Xrcron=/usr/lib/rcron/{version}.1-" in agent


def test_a_new_python_has_the_bytecode_compiled_and_unused_versions_go(
    installed: Cluster, version: str, node: Node
) -> None:
    node.run("rm -r /usr/lib/rcron/*/rcron/__pycache__")
    apt(node, "dpkg-trigger --by-package=python3-minimal /usr/bin/python3 && dpkg --configure --pending")
    (library,) = node.run("ls -d /usr/lib/rcron/*").split()
    assert library.startswith(f"/usr/lib/rcron/{version}.1-")
    assert node.run(f"ls {library}/rcron/__pycache__/compiled.*")


def test_the_metrics_are_written_and_go_with_their_package(installed: Cluster, node: Node) -> None:
    apt(node, "dpkg --install ./rcron-metrics_*.deb", "/var/tmp/next")
    metrics = "/var/lib/prometheus/node-exporter/rcron.prom"
    wait_until(lambda: node.try_run(f"grep rcron_active {metrics}").stdout, f"{node} writes metrics", 20)
    apt(node, "apt-get purge rcron-metrics")
    assert node.try_run("ls -d /var/lib/prometheus /etc/systemd/system/timers.target.wants/rcron*").stdout == ""


def test_the_role_names_the_package_that_it_meets(installed: Cluster, play: Play) -> None:
    ran = play("rcron.cluster.site")
    assert ran.returncode != 0, ran.stdout
    said = " ".join(ran.stdout.split())
    for node in installed.nodes:
        assert f"{node}: the package rcron has installed rcron on this host" in said
        assert re.search(rf"{node} +: .* changed=0 ", said)
    assert "purge the package first (apt-get purge rcron)" in said


def test_nothing_is_removed_while_a_cluster_or_a_job_needs_it(installed: Cluster, node: Node) -> None:
    said = refused(node, REMOVE)
    assert "/etc/rcron/agent.d/rcron.conf has rcron-agent serve a cluster: disconnect the feeder" in said
    node.run("echo '0 0 1 1 * root /usr/bin/rcron true' >/etc/cron.d/job")
    node.run("mv /etc/rcron/agent.d/rcron.conf /var/tmp/")
    try:
        assert "/etc/cron.d/job, line 1: /usr/bin/rcron true" in refused(node, REMOVE)
        node.run("rcron true")
    finally:
        node.run("rm /etc/cron.d/job")
        # It had no cluster to serve, and apt removes it first.
        apt(node, "apt-get install ./rcron-agent_*.deb", "/var/tmp/next")
        node.run("mv /var/tmp/rcron.conf /etc/rcron/agent.d/ && systemctl reload-or-restart rcron-agent")


def test_a_removal_keeps_the_configuration_and_a_purge_nothing(installed: Cluster) -> None:
    def remove(node: Node) -> str:
        left = commands("By hand")
        disconnect_keepalived(node, left[next(i for i, command in enumerate(left) if command.startswith("rm ")) :])
        apt(node, REMOVE)
        kept = node.run("find /etc/rcron -type f").split()
        assert kept == ["/etc/rcron/rcron.conf"]
        assert "default_state" in node.run("cat /etc/rcron/rcron.conf")
        apt(node, PURGE)
        assert node.try_run("dpkg --list 'rcron*' | grep ^.[^n]").stdout.count("rcron") == 0
        return differences(node)

    assert installed.on_all(remove) == [""] * 3


def test_a_package_refuses_what_the_role_has_installed(installed: Cluster, play: Play) -> None:
    node = installed.nodes[-1]
    ran = play("rcron.cluster.site", "--tags", "rcron", "--limit", str(node))
    assert ran.returncode == 0, ran.stdout
    said = refused(node, INSTALL)
    assert "Ansible's role rcron.cluster.rcron has installed rcron on this host" in said
    assert "run the playbook rcron.cluster.remove for this host, then install the package" in said
    assert node.run("rcron --version")
    assert node.try_run("dpkg --list 'rcron*' | grep '^[a-z][^n] '").stdout == ""
    removed = play("rcron.cluster.remove", "--limit", str(node))
    assert removed.returncode == 0, removed.stdout
    assert node.run("dpkg --audit") == ""


def test_the_role_installs_the_package_upgrades_it_and_takes_it_away(
    installed: Cluster, play: Play, version: str
) -> None:
    def deploy(package: str, *words: str) -> str:
        given = ["-e", "rcron_install_method=package", "-e", f"rcron_package=/var/tmp/{package}_all.deb"]
        ran = play("rcron.cluster.site", *given, *words)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def versions() -> set[str]:
        return {
            node.run("dpkg-query --show --showformat='${Version} ' rcron; rcron --version") for node in installed.nodes
        }

    said = deploy(f"this/rcron_{version}", "--check")
    for node in installed.nodes:
        assert f"{node}: would install /var/tmp/this/rcron_{version}_all.deb" in said
        assert node.try_run("ls /usr/bin/rcron /etc/rcron").stdout == ""
    deploy(f"this/rcron_{version}")
    assert versions() == {f"{version} rcron {version}\n"}
    assert "cluster_name = billing" in installed.nodes[0].run("cat /etc/rcron/rcron.conf")
    fail_over(installed)
    assert re.findall(r" changed=[1-9]", deploy(f"this/rcron_{version}")) == []

    deploy(f"next/rcron_{version}.1")
    assert versions() == {f"{version}.1 rcron {version}.1\n"}
    refused_files = play("rcron.cluster.site")
    assert "the package rcron has installed rcron on this host" in " ".join(refused_files.stdout.split())

    removed = play("rcron.cluster.remove", "-e", "rcron_install_method=package")
    assert removed.returncode == 0, removed.stdout
    for node in installed.nodes:
        assert node.try_run("dpkg --list rcron | grep '^[a-z][^n] '").stdout == ""
        assert differences(node) == ""
