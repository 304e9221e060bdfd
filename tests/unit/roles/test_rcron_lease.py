# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_lease, on a host whose modules answer what a test says."""

from __future__ import annotations

import json
import pathlib
import stat

import pytest

ROLE = "rcron.cluster.rcron_lease"

NODE = {"uid": 0, "foreign": [], "exposed": ""}


@pytest.fixture
def preflight(playbook, tmp_path: pathlib.Path):
    """Return a function that runs the role's checks on the host with these variables, and returns what was said."""
    host = tmp_path / "host"
    answer = json.dumps({"changed": False, "node": NODE})
    host.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    host.chmod(stat.S_IRWXU)

    def run(**variables):
        role = {"name": ROLE, "tasks_from": "preflight", "public": True}
        tasks = [
            {"name": "Check", "ansible.builtin.include_role": role},
            {"name": "Show", "ansible.builtin.debug": {"msg": "{{ __rcron_lease_agent | to_json }}"}},
        ]
        ran = playbook({"vars": variables, "tasks": tasks}, "-e", f"ansible_python_interpreter={host}")
        return ran.returncode, " ".join((ran.stdout + ran.stderr).split())

    return run


def test_all_that_would_not_work_is_said_before_anything_is_changed(preflight):
    status, said = preflight(
        rcron_claims_engine="redis",
        rcron_lease_ttl=4,
        rcron_lease_priority=-1,
        rcron_lease_preempt=-1,
        rcron_lease_every=0.0,
        rcron_lease_prioritty=2,
    )
    assert status != 0
    for part in (
        'localhost: rcron_claims_engine is \\"redis\\", and a lease is kept in etcd or postgresql: set it',
        "rcron_lease_ttl is 4: set 5 to 3600 seconds",
        "rcron_state_max_age is 9, and a lease of 4 s counts for 3 s: set rcron_state_max_age: 3",
        "rcron_lease_priority is -1: set 1 for the preferred host",
        "rcron_lease_preempt is -1: set 1 to 86400 seconds, or 0 for never",
        "rcron_lease_every is 0.0: set 0.1 to 60 seconds",
        "rcron_lease_prioritty",
    ):
        assert part in said, part


def test_what_the_agent_reads_follows_the_inventory(preflight):
    status, said = preflight(
        rcron_claims_engine="etcd", rcron_lease_priority=3, rcron_lease_ttl=20, rcron_state_max_age=18
    )
    assert status == 0, said
    for part in ("etc/rcron/agent.conf", '\\"ttl\\": 20', '\\"place\\": 2', '\\"preempt\\": 0', '\\"every\\": 0.3'):
        assert part in said, part
