# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron is removed: every service that was guarded starts again."""

from nodes import Node

from tests.cluster.playbooks import as_alice


def test_no_guard_is_left(node: Node) -> None:
    assert (
        node.run("ls /etc/systemd/system/*/50-rcron.conf /etc/systemd/user/*/50-rcron.conf 2>/dev/null || true") == ""
    )
    assert node.try_run("ls /etc/systemd/system/plain.service.d").returncode == 2
    assert node.try_run("ls /usr/bin/rcronctl").returncode == 2


def test_script_of_cron_daily_is_its_packages_again(node: Node) -> None:
    found = node.run(
        "stat --format='%a %U %G' /etc/cron.daily/own-report; ls /etc/cron.daily; dpkg-statoverride --list"
    )
    assert found.splitlines()[0] == "755 root root"
    assert "own-report-rcron" not in found
    assert "cron.daily" not in found.partition("own-report\n")[2]
    node.run("rm -f /var/log/jobs/*; run-parts --regex '^own-report' /etc/cron.daily")
    assert len(node.runs("daily-1")) == 1


def test_services_start(node: Node) -> None:
    node.run("rm -f /var/log/jobs/*")
    node.run("systemctl start plain.service instance@z.service renamed.service sandbox.service")
    node.run(as_alice("systemctl --user start mine.service"))
    for job in ("plain", "instance-z", "renamed", "sandbox", "mine"):
        assert len(node.runs(job)) == 1, job
