# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After the removal of two clusters that keepalived called by `notify`: its owner's files are back, nothing is left."""

import time

from nodes import Cluster, Node


def test_no_file_is_left_and_none_is_missing(cluster: Cluster) -> None:
    def differences(node: Node) -> str:
        return node.try_run("list-files | diff /var/tmp/before/files -").stdout

    assert cluster.on_all(differences) == ["", ""]


def test_crontab_is_byte_for_byte_what_it_was(node: Node) -> None:
    node.run("crontab -l | cmp /var/tmp/before/root -")


def test_no_process_of_ours_is_left(node: Node) -> None:
    deadline = time.monotonic() + 20  # what refreshed a state looks every few seconds whether it is its own still
    while found := node.try_run("pgrep -fa 'bin/rcro[n]'").stdout:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_keepalived_keeps_running(node: Node) -> None:
    assert node.run("systemctl is-active keepalived") == "active\n"
    assert node.run("systemctl is-system-running").strip() == "running"
