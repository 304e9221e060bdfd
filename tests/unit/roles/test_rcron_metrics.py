# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_metrics on this machine in check mode: what it refuses, and what it would write."""

from __future__ import annotations

import pytest


@pytest.fixture
def role(tmp_path, playbook):
    """Return a function that runs the role in check mode with variables, and returns the process."""
    (tmp_path / "collector").mkdir()
    (tmp_path / "rcronctl").write_text("")

    def run(*options: str, **variables):
        given = {"rcron_metrics_folder": str(tmp_path / "collector"), "rcron_bin_dir": str(tmp_path), **variables}
        tasks = [{"name": "Run the role", "ansible.builtin.include_role": {"name": "rcron.cluster.rcron_metrics"}}]
        return playbook({"vars": given, "tasks": tasks}, "--check", *options)

    return run


def test_the_units_name_the_program_the_configuration_the_folder_and_the_interval(role, tmp_path):
    done = role("--diff", rcron_conf="/etc/rcron/billing.conf", rcron_metrics_interval=30)
    assert done.returncode == 0, done.stdout
    start = f"{tmp_path}/rcronctl --conf /etc/rcron/billing.conf metrics --textfile {tmp_path}/collector/rcron.prom"
    assert f"+ExecStart={start}" in done.stdout
    assert "+OnUnitActiveSec=30s" in done.stdout


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"rcron_metrics_folder": "/no/such/folder"},
            "rcron_metrics_folder is /no/such/folder, and there is no such folder",
        ),
        ({"rcron_metrics_interval": 0}, "rcron_metrics_interval is 0: give a number of seconds from 1 to 3600"),
        ({"rcron_metrics_intervall": 5}, "did you mean rcron_metrics_interval?"),
    ],
)
def test_what_would_not_work_is_refused(role, variables, message):
    done = role(**variables)
    assert done.returncode != 0
    assert f"localhost: {message}" in done.stdout.replace("\n", " ") or message in done.stdout


def test_a_folder_that_nobody_named_is_looked_for(role):
    done = role(rcron_metrics_folder="")
    # On a machine with node_exporter it is found; on another the message lists where it was looked for.
    assert "/var/lib/prometheus/node-exporter" in done.stdout or done.returncode == 0


def test_removal_of_what_is_not_there_changes_nothing(role):
    done = role(rcron_metrics_state="absent")
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout
