# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The playbooks check and status know a lease, and site changes it to claims without any feeder, and back."""

import re
import time

from nodes import Cluster

from tests.cluster.faults import Watch
from tests.cluster.playbooks import Play

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
