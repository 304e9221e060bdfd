# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_claim, on a host whose modules answer what a test says."""

from __future__ import annotations

import json
import pathlib
import stat

import pytest

NODE = {"uid": 0, "foreign": [], "exposed": ""}


@pytest.fixture
def preflight(playbook, tmp_path: pathlib.Path):
    """Return a function that runs the role's checks on the host with these variables, and returns what was said."""
    host = tmp_path / "host"
    answer = json.dumps({"changed": False, "node": NODE})
    host.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    host.chmod(stat.S_IRWXU)

    def run(**variables):
        role = {"name": "rcron.cluster.rcron_claim", "tasks_from": "preflight", "public": True}
        tasks = [
            {"name": "Check", "ansible.builtin.include_role": role},
            {"name": "Show", "ansible.builtin.debug": {"msg": "{{ __rcron_claim_agent | to_json }}"}},
        ]
        ran = playbook({"vars": variables, "tasks": tasks}, "-e", f"ansible_python_interpreter={host}")
        return ran.returncode, " ".join((ran.stdout + ran.stderr).split())

    return run


@pytest.mark.parametrize("given", ["preferred", "off", False, None])
def test_a_cluster_whose_runs_need_not_be_claimed_is_refused(preflight, given):
    status, said = preflight(**({} if given is None else {"rcron_claim": given}), rcron_claims_engine="etcd")
    assert status != 0
    assert f"localhost: rcron_claim is {given or 'off'}, and without a feeder every host would run every job" in said


def test_a_cluster_without_an_engine_is_refused(preflight):
    status, said = preflight(rcron_claim="required")
    assert status != 0
    assert "localhost: rcron_claims_engine is not set" in said


def test_the_settings_of_claims_are_none_of_its_own_variables(preflight):
    status, said = preflight(rcron_claim="required", rcron_claim_wait=5, rcron_claims_engine="redis")
    assert status == 0, said
    assert r"[{\"conf\": \"/etc/rcron/rcron.conf\"}]" in said
