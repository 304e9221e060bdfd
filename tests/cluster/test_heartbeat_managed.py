# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A Heartbeat whose files are the role's, with auto_failback on and the cluster's address on the same line."""

import json
import os
import re
import time
from pathlib import Path

from nodes import Change, Cluster, Node, seconds_with_two_active
from waiting import wait_until

from tests.cluster.measurement import report
from tests.cluster.playbooks import Play

MANAGED = os.path.join(os.path.dirname(os.environ["RCRON_INVENTORY"]), "managed.yml")
KEYS = "/etc/ha.d/authkeys"
ADDRESS = "ip -4 address show eth0 | grep -cF 192.0.2.10/32 || true"


def key(node: Node) -> str:
    return node.run(f"sed -n 's/^1 sha1 //p' {KEYS}").strip()


def test_the_groups_first_host_is_active_when_the_playbook_ends(cluster: Cluster) -> None:
    first, second = cluster.nodes
    assert cluster.states() == {first.name: "active", second.name: "passive"}
    assert [node.run(ADDRESS).strip() for node in cluster.nodes] == ["1", "0"]
    assert cluster.on_all(lambda node: node.run("systemctl is-enabled heartbeat").strip()) == ["enabled"] * 2


def test_one_key_was_made_and_is_roots_alone(cluster: Cluster) -> None:
    keys = cluster.on_all(key)
    assert keys[0] == keys[1]
    assert re.fullmatch(r"[A-Za-z0-9]{40}", keys[0])
    assert cluster.on_all(lambda node: node.run(f"stat -c '%a %U:%G' {KEYS}")) == ["600 root:root\n"] * 2


def test_a_second_run_would_change_nothing_but_a_new_key_and_shows_neither(
    cluster: Cluster, play: Play, tmp_path: Path
) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"rcron_heartbeat_auth_key": "brandnewsecret"}))
    ran = play("--check", "--diff", "-e", f"@{tmp_path}/key.json", MANAGED)
    assert ran.returncode == 0, ran.stdout
    # The file with the key.
    assert re.findall(r"^node\d .* changed=(\d+) ", ran.stdout, re.MULTILINE) == ["1", "1"], ran.stdout
    assert "brandnewsecret" not in ran.stdout
    assert key(cluster.nodes[0]) not in ran.stdout


def test_the_role_goes_back_to_its_host_with_auto_failback(cluster: Cluster) -> None:
    first, second = cluster.nodes
    stopped = time.time()
    first.run("systemctl stop heartbeat")
    wait_until(lambda: second.state() == "active", f"{second} takes over", 20)
    assert second.run(ADDRESS).strip() == "1"
    back = time.time()
    first.run("systemctl start heartbeat")
    wait_until(lambda: first.state() == "active", f"{first} takes its resource back", 60)
    assert cluster.settle() is first
    changes = [Change(stopped, first.name, "active"), *cluster.changes_since(stopped)]
    passive, active = (
        next(c.time for c in changes if c[1:] == (node.name, state) and c.time > back)
        for node, state in ((second, "passive"), (first, "active"))
    )
    report(
        f"heartbeat back: {second} passive {passive - back:.1f} s after the start of {first}'s Heartbeat, "
        f"{first} active {active - passive:.2f} s later"
    )
    assert seconds_with_two_active(changes) == 0
