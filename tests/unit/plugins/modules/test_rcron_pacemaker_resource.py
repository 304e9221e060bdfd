# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module makes of its options, and of what the cluster says."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.rcron.cluster.plugins.modules import rcron_pacemaker_resource

CIB = """\
<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1"><configuration><crm_config/><resources/></configuration>
<status><node_state id="1" crmd="online" join="member"/></status></cib>
"""


@pytest.fixture
def run(module, tmp_path, monkeypatch):
    """Return a function that runs the module in a cluster of one node, which holds no resource."""
    (tmp_path / "cib.xml").write_text(CIB)
    for name in ("cibadmin", "crm_attribute", "crm_resource"):
        tool = tmp_path / name
        tool.write_text(
            f'#!/bin/sh\n[ "$1" = --query ] && exec cat {tmp_path}/cib.xml\necho {name} "$@" >>{tmp_path}/calls\n'
        )
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return lambda **given: module(rcron_pacemaker_resource.main, **{"resource": "rcron", "patience": 0, **given})


def test_check_mode_says_what_a_run_does_and_changes_nothing(run, tmp_path):
    given = {"properties": {"stonith-enabled": True, "priority": 3}}
    tried = run(check_mode=True, **given)
    assert not (tmp_path / "calls").exists()
    done = run(**given)
    assert tried == done
    assert done["steps"] == [
        "set the property stonith-enabled to true",
        "set the property priority to 3",
        "make the resource rcron-clone",
    ]
    assert done["changed"]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[:2] == [
        "crm_attribute --name stonith-enabled --update true",
        "crm_attribute --name priority --update 3",
    ]
    assert calls[2].startswith("cibadmin --modify --allow-create --scope resources --xml-text <clone")


def test_nothing_to_delete_is_no_change(run):
    result = run(state="absent")
    assert (result["changed"], result["steps"]) == (False, [])


def test_a_refusal_is_a_failure_that_says_what_was_done(run, tmp_path):
    resource = '<primitive id="rcron" class="ocf" provider="heartbeat" type="IPaddr2"/>'
    (tmp_path / "cib.xml").write_text(CIB.replace("<resources/>", f"<resources>{resource}</resources>"))
    failed = run(properties={"no-quorum-policy": "stop"})
    assert (failed["failed"], failed["changed"]) == (True, True)
    assert failed["msg"].startswith("the cluster has a primitive rcron already, and not from this role")
    assert failed["steps"] == ["set the property no-quorum-policy to stop"]


def test_a_cluster_that_does_not_answer_is_a_failure(run, tmp_path):
    (tmp_path / "cibadmin").write_text("#!/bin/sh\necho Connection refused >&2\nexit 102\n")
    assert run(state="absent")["msg"] == "cibadmin --query: Connection refused"


def test_defaults_are_the_documented_ones(run, monkeypatch):
    made = []

    class Resource(rcron_pacemaker_resource.Resource):
        def __init__(self, wanted, check_mode):
            made.append(wanted._asdict())
            super().__init__(wanted, True)

    monkeypatch.setattr(rcron_pacemaker_resource, "Resource", Resource)
    documented = yaml.safe_load(rcron_pacemaker_resource.DOCUMENTATION)["options"]
    run()
    assert made == [
        {name: option.get("default", "rcron") for name, option in documented.items() if name != "state"}
        | {"patience": 0}
    ]
