# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A configuration that is one file is its owner's: rcron is not removed while it names rcron's callbacks."""

from nodes import Cluster

from tests.cluster.playbooks import Play

CONF = "/etc/patroni/config.yml"
OURS = ["/usr/bin/rcronctl", "/run/rcron/state", "/etc/systemd/system/patroni.service.d/rcron.conf"]


def test_removal_is_refused_before_anything_is_changed_until_the_lines_are_gone(cluster: Cluster, play: Play) -> None:
    ran = play("rcron.cluster.remove")
    assert ran.returncode != 0
    assert f"node1: {CONF} has Patroni call rcron. Take those lines out" in ran.stdout
    assert """on_role_change: "/usr/local/bin/note-role 'of node1'\"""" in ran.stdout, "what was there before"
    cluster.on_all(lambda node: node.run(f"ls {' '.join(OURS)}"))
    cluster.nodes[1].run("grep rcronctl /etc/patroni/conf.d/zz-rcron.yml")

    cluster.nodes[0].run(f"cp -a /var/tmp/before/config.yml {CONF} && systemctl reload patroni")
