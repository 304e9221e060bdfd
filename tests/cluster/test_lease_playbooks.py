# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The playbooks check and status know a lease, and site upgrades its agents, changes it to claims alone, and back."""

import pathlib
import re
import shutil
import subprocess
import time

import pytest
from nodes import Cluster
from waiting import wait_until

from tests.cluster.faults import Watch, suffer
from tests.cluster.playbooks import Play

CHECKOUT = pathlib.Path(__file__).parents[2]

#: What the inventory would have for a cluster without a feeder.
CLAIM = ("-e", "rcron_feeder=claim", "-e", "rcron_claim=required")


def test_check_passes(cluster: Cluster, play: Play) -> None:
    cluster.settle()
    ran = play("rcron.cluster.check")
    assert "All is well." in ran.stdout, ran.stdout


def test_status_says_who_has_the_lease_and_its_term(cluster: Cluster, play: Play) -> None:
    active = cluster.settle()
    ran = play("rcron.cluster.status")
    assert ran.returncode == 0, ran.stdout
    held = re.findall(r"lease \((\w+), ([0-9]+)\)", ran.stdout)
    assert [holder for holder, _term in held] == [active.name] * 3, ran.stdout
    assert active.run("rcron sh -c 'echo $RCRON_TERM'").strip() in {term for _holder, term in held}


def test_check_and_status_say_that_nobody_has_the_lease(cluster: Cluster, play: Play) -> None:
    cluster.settle()
    for node in cluster.nodes[1:]:
        node.run("systemctl kill --signal=STOP etcd")
    try:
        wait_until(lambda: set(cluster.states().values()) == {"passive"}, "all are passive", 20)
        checked = play("rcron.cluster.check")
        seen = play("rcron.cluster.status")
    finally:
        for node in cluster.nodes[1:]:
            node.run("systemctl kill --signal=CONT etcd")
    assert checked.returncode != 0
    for node in cluster.nodes:
        assert re.search(rf"{node} +billing +all hosts are passive, so no job runs", checked.stdout), checked.stdout
        assert re.search(rf"{node} +billing +runs cannot be claimed: etcd: 1 of 3 members", checked.stdout)
    assert re.findall(r"lease \((\w+), ([0-9]+)\)", seen.stdout) == [], seen.stdout
    cluster.settle()


def test_an_upgraded_agent_has_no_second_one_beside_it(
    cluster: Cluster, play: Play, watch: Watch, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.settle()
    folder = tmp_path / "ansible_collections" / "rcron" / "cluster"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, folder / name)
    package = folder / "rcron" / "__init__.py"
    old = cluster.nodes[0].run("rcron --version").split()[1]
    package.write_text(package.read_text().replace(old, f"{old}.1"))
    began = [node.run("systemctl show -P MainPID rcron-agent") for node in cluster.nodes]

    def happens() -> None:
        with monkeypatch.context() as patch:
            patch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))
            ran = play("rcron.cluster.site")
        assert ran.returncode == 0, ran.stdout

    suffer("lease", "upgraded", watch, happens)
    assert {node.run("rcron --version").split()[1] for node in cluster.nodes} == {f"{old}.1"}
    assert all(node.run("systemctl show -P MainPID rcron-agent") != pid for node, pid in zip(cluster.nodes, began))
    suffer("lease", "downgraded", watch, lambda: play("rcron.cluster.site"))
    assert {node.run("rcron --version").split()[1] for node in cluster.nodes} == {old}


def test_a_lease_is_changed_to_claims_alone_and_back(cluster: Cluster, play: Play, watch: Watch) -> None:
    refused = play("-e", "rcron_feeder=claim", "rcron.cluster.site")
    assert "rcron_claim is off, and without a feeder every host would run every job" in refused.stdout
    assert re.findall(r"changed=([1-9])", refused.stdout) == []
    ran = play(*CLAIM, "rcron.cluster.site")
    assert ran.returncode == 0, ran.stdout
    assert cluster.states() == dict.fromkeys(("node1", "node2", "node3"), "active")
    assert "All is well." in (checked := play(*CLAIM, "rcron.cluster.check")).stdout, checked.stdout
    fire = int(time.time())
    ran_on = cluster.on_all(lambda node: node.run(f"rcron --job once --fire {fire} echo ran"))
    assert sorted(ran_on) == ["", "", "ran\n"]

    ran = play("rcron.cluster.site")
    assert ran.returncode == 0, ran.stdout
    # Of the three that are active, the first goes on running the jobs until it has the lease.
    watch.outcome(time.time())
    assert cluster.active() is cluster.nodes[0]
    assert "All is well." in (checked := play("rcron.cluster.check")).stdout, checked.stdout
