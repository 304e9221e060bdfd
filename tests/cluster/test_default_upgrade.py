# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""From one version to the next while jobs run and one node is down, and back. The tests go on from each other.

The version of before is one without rcron-agent: keepalived itself ran a reader of its FIFO, which wrote the states.
"""

import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from nodes import Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

#: The folder of the scenario's own version.
INSTALLED = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")

#: Runs job after job, and notes each one that it started and each that failed.
STREAM = """\
n=0
while [ ! -e /run/upgrade-over ]; do
    n=$((n + 1))
    /usr/bin/rcron sh -c "echo $n >>/run/upgrade-ran" || echo "$n: $?" >>/run/upgrade-failed
    echo $n >/run/upgrade-started
    sleep 0.05
done
"""

#: What keepalived ran then: it writes what the FIFO says, and refreshes it.
READER = """\
#!/usr/bin/python3
import os, select, sys

fd = os.open(sys.argv[-1], os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, select.POLLIN)
while True:
    if not poll.poll(2000):
        os.utime("/run/rcron/state")
        continue
    try:
        lines = os.read(fd, 65536).decode().splitlines()
    except BlockingIOError:
        continue
    if not lines:
        break
    with open("/run/rcron/state.old", "w") as draft:
        draft.write("active\\n" if " MASTER " in lines[-1] else "passive\\n")
    os.rename("/run/rcron/state.old", "/run/rcron/state")
"""

#: Takes a node back to that, without a change of its state.
WITHOUT_AGENT = f"""
    set -eu
    printf %s '{READER}' >/usr/local/sbin/old-reader
    chmod 755 /usr/local/sbin/old-reader
    sed -i 's|^    vrrp_notify_fifo .*|&\\n    vrrp_notify_fifo_script "/usr/local/sbin/old-reader" root root|' \
        /etc/keepalived/rcron.conf
    systemctl disable --quiet --now rcron-agent
    rm -r /etc/systemd/system/rcron-agent.service /etc/rcron/agent.d /run/rcron-agent
    systemctl daemon-reload
    systemctl reload keepalived
"""


class Upgrade(NamedTuple):
    """The first run of the playbook with the next version: on the active node, and on one that waits.

    Attributes:
        two: for how many seconds two nodes were active until it ended.
    """

    active: Node
    waiting: Node
    down: Node
    ran: "subprocess.CompletedProcess[str]"
    two: float


def version(node: Node) -> str:
    """The version that a job would be run by."""
    return node.run("/usr/bin/rcron --version").split()[1]


def versions(node: Node) -> list[str]:
    """The versions whose folders are there."""
    return sorted(name.rpartition("-")[0] for name in node.run("ls /usr/lib/rcron").split())


@pytest.fixture(scope="module")
def old(cluster: Cluster) -> str:
    return version(cluster.nodes[0])


@pytest.fixture(scope="module")
def new(old: str) -> str:
    return f"{old}.1"


@pytest.fixture(scope="module")
def collections(old: str, new: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """The installed collection with another version number, for the tests' playbooks from here on."""
    folder = tmp_path_factory.mktemp("next") / "ansible_collections"
    installed = pathlib.Path(INSTALLED) / "ansible_collections"
    shutil.copytree(installed, folder, symlinks=True)
    package = folder / "rcron" / "cluster" / "rcron" / "__init__.py"
    text = package.read_text()
    assert old in text
    package.write_text(text.replace(old, new))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_COLLECTIONS_PATH", str(folder.parent))
        yield folder.parent


@pytest.fixture(scope="module")
def upgrade(
    cluster: Cluster, play: Play, collections: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Upgrade:
    active = cluster.settle()
    cluster.on_all(lambda node: node.run(WITHOUT_AGENT))
    for node in cluster.nodes:
        wait_until(lambda: has_old_reader(node), f"{node} has its reader of before")  # noqa: B023 - called at once
    start = time.time()
    waiting, down = (node for node in cluster.nodes if node is not active)
    for name, words, node in (
        ("job", ["sh", "-c", "while [ ! -e /run/upgrade-over ]; do sleep 0.2; done; echo >/run/upgrade-job"], active),
        ("wait", ["--takeover-wait", "900", "sh", "-c", "echo >/run/upgrade-wait"], waiting),
    ):
        node.run(f"systemd-run --quiet --collect --unit=upgrade-{name} /usr/bin/rcron " + shell_words(words))
    active.run(f"systemd-run --quiet --collect --unit=upgrade-stream sh -c {shell_words([STREAM])}")
    wait_until(lambda: active.try_run("cat /run/upgrade-started").stdout, "jobs run", 20)
    # The address of the node that is down cannot be asked for, so the inventory gives VRRP's addresses.
    hosts = {str(node): {"rcron_keepalived_address": node.run("hostname -I").split()[0]} for node in cluster.nodes}
    addresses = tmp_path_factory.mktemp("inventory") / "addresses.json"
    addresses.write_text(json.dumps({"all": {"hosts": hosts}}))
    down.kill()
    began = time.monotonic()
    ran = play("--inventory", str(addresses), "rcron.cluster.site", "--limit", f"{active},{waiting}")
    report(f"machine upgraded: two nodes in {time.monotonic() - began:.0f} s")
    last = {change.node: change for node in (active, waiting) for change in node.changes() if change.time < start}
    before = [change._replace(time=start) for change in last.values()]
    two = seconds_with_two_active([*before, *cluster.changes_since(start)])
    down.boot()
    return Upgrade(active, waiting, down, ran, two)


def has_old_reader(node: Node) -> bool:
    """Whether a process of the version of before runs."""
    return node.try_run("pgrep -f '[/]old-reader'").returncode == 0


def shell_words(words: list[str]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


def test_the_next_version_is_there_and_the_old_one_as_long_as_it_is_needed(
    upgrade: Upgrade, old: str, new: str
) -> None:
    assert upgrade.ran.returncode == 0, upgrade.ran.stdout
    for node in (upgrade.active, upgrade.waiting):
        assert version(node) == new
        assert versions(node) == [old, new]
    assert version(upgrade.down) == old


def test_the_agent_took_over_without_two_active_nodes_and_nothing_of_before_is_left(upgrade: Upgrade) -> None:
    report(f"machine upgraded to rcron-agent: two nodes active for {upgrade.two:.2f} s")
    assert upgrade.two == 0
    for node in (upgrade.active, upgrade.waiting):
        assert not has_old_reader(node)
        assert json.loads(node.run("rcronctl status --json"))["feeder"]["answer"]["state"] == node.state()
    assert upgrade.active.state() == "active"


def test_every_job_that_was_started_meanwhile_has_run(upgrade: Upgrade) -> None:
    node = upgrade.active
    node.run("touch /run/upgrade-over")
    wait_until(lambda: node.try_run("systemctl is-active upgrade-stream").stdout != "active\n", "no more jobs", 20)
    started = int(node.run("cat /run/upgrade-started"))
    report(f"machine upgraded: {started} jobs meanwhile")
    assert node.run("cat /run/upgrade-ran").split() == [str(number + 1) for number in range(started)]
    assert node.try_run("cat /run/upgrade-failed").stdout == ""


def test_a_job_of_before_the_upgrade_ends_with_its_log_line(upgrade: Upgrade) -> None:
    node = upgrade.active
    wait_until(lambda: node.try_run("test -e /run/upgrade-job").returncode == 0, "the job ends", 20)
    line = "cluster=billing state=active status=ok dur=[0-9]* exit=0 cmd=sh -c while .*upgrade-over"
    wait_until(lambda: node.try_run(f"grep -a '{line}' /var/log/syslog").returncode == 0, "it is logged", 20)


def test_a_job_that_waited_all_through_the_upgrade_runs(upgrade: Upgrade) -> None:
    node = upgrade.waiting
    node.run("rcronctl pin active")
    try:
        wait_until(lambda: node.try_run("test -e /run/upgrade-wait").returncode == 0, "it runs", 20)
        line = "cluster=billing state=active pin=.*status=ok dur=[0-9]* exit=0 cmd=sh -c echo >/run/upgrade-wait"
        wait_until(lambda: node.try_run(f"grep -a '{line}' /var/log/syslog").returncode == 0, "it is logged", 20)
    finally:
        node.run("rcronctl unpin")


def test_check_reports_the_node_that_came_back_with_the_old_version(
    cluster: Cluster, upgrade: Upgrade, play: Play, old: str, new: str
) -> None:
    cluster.settle()
    checked = play("rcron.cluster.check")
    assert checked.returncode != 0
    lines = [line for line in checked.stdout.splitlines() if line.strip().startswith(f'"{upgrade.down} ')]
    assert any(f" {old}" in line and new in line for line in lines), checked.stdout


def test_the_next_run_upgrades_it_and_removes_what_nobody_needs_any_more(
    cluster: Cluster, upgrade: Upgrade, play: Play, new: str
) -> None:
    ran = play("rcron.cluster.site")
    assert ran.returncode == 0, ran.stdout
    assert cluster.on_all(version) == [new] * 3
    assert versions(upgrade.active) == versions(upgrade.waiting) == [new]
    assert not any(cluster.on_all(has_old_reader))
    cluster.on_all(lambda node: node.run("rm -f /usr/local/sbin/old-reader"))
    cluster.settle()
    checked = play("rcron.cluster.check")
    assert checked.returncode == 0, checked.stdout


def test_the_old_version_comes_back_as_easily(cluster: Cluster, play: Play, old: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_COLLECTIONS_PATH", INSTALLED)
        ran = play("rcron.cluster.site", "--tags", "rcron")
    assert ran.returncode == 0, ran.stdout
    assert cluster.on_all(version) == [old] * 3
    cluster.active()
