# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After the removal nothing of the claims is left on the nodes; what was claimed stays in etcd."""

from nodes import Node


def test_nothing_is_left(node: Node) -> None:
    places = "/etc/rcron /run/rcron /usr/lib/rcron /etc/systemd/system/rcron* /etc/systemd/system/*/rcron*"
    assert node.run(f"ls -d {places} 2>/dev/null || :") == ""
    assert node.try_run("id rcron-agent").returncode != 0
    assert node.run("systemctl list-units --all --no-legend 'rcron*'") == ""
    jobs = node.run("cat /etc/cron.d/jobs")
    assert jobs.count("/usr/local/bin/mark") == 3
    assert "rcron" not in jobs
