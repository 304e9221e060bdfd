# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_pacemaker's resource.py: what it would do to a cluster's configuration, and what it refuses.

cibadmin is a script that shows a configuration made up here; in check mode nothing else is called.
"""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = pathlib.Path(__file__).parents[3] / "roles" / "rcron_pacemaker" / "files" / "resource.py"

CIB = """\
<cib validate-with="{schema}" have-quorum="1" dc-uuid="1">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options">
      <nvpair id="cib-bootstrap-options-stonith-enabled" name="stonith-enabled" value="true"/>
    </cluster_property_set></crm_config>
    <resources>{resources}</resources>
    <constraints>{constraints}</constraints>
  </configuration>
  <status>
    <node_state id="1" crmd="online" join="member"/><node_state id="2" crmd="1795500610" join="member"/>
    <node_state id="3" crmd="offline" join="down"/>
  </status>
</cib>
"""


#: Shows the configuration when it is asked, and keeps what it is told to do, word by word.
TOOL = """\
#!/bin/sh
if [ "$1" = --query ]; then
    exec cat {folder}/cib.xml
fi
printf '%s\\n' "$@" >>{folder}/calls
"""


class Cluster:
    """A cluster's configuration. folder: where its tools are."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.resources = ""
        self.constraints = ""
        self.schema = "pacemaker-3.9"

    def ask(self, state: str = "present", **asked: Any) -> dict[str, Any]:
        """What resource.py answers."""
        (self.folder / "cib.xml").write_text(
            CIB.format(schema=self.schema, resources=self.resources, constraints=self.constraints)
        )
        for name in ("cibadmin", "crm_attribute", "crm_resource"):
            tool = self.folder / name
            tool.write_text(TOOL.format(folder=self.folder))
            tool.chmod(0o755)
        words = {
            "resource": "rcron",
            "promotable": True,
            "conf": "/etc/rcron/rcron.conf",
            "interval": 4,
            "properties": {},
            "members": 2,
            "patience": 0,
            "check": True,
            **asked,
        }
        ran = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), state],
            check=True,
            input=json.dumps(words),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
        )
        return json.loads(ran.stdout)

    def make(self, **asked: Any) -> None:
        """Have the resource as resource.py makes it, by what it hands to cibadmin."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        assert self.ask(check=False, **asked)["error"] == ""
        self.resources = calls.read_text().partition("--xml-text\n")[2].strip()


@pytest.fixture
def cluster(tmp_path: pathlib.Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.mark.parametrize(("promotable", "name"), [(True, "rcron-clone"), (False, "rcron")])
def test_it_is_made_once(cluster: Cluster, promotable: bool, name: str) -> None:
    told = cluster.ask(promotable=promotable)
    assert told == {"changed": True, "did": [f"make the resource {name}"], "error": ""}
    cluster.make(promotable=promotable)
    assert cluster.ask(promotable=promotable) == {"changed": False, "did": [], "error": ""}


@pytest.mark.parametrize("changed", [{"interval": 3}, {"conf": "/etc/rcron/other.conf"}])
def test_what_is_different_is_changed(cluster: Cluster, changed: dict[str, Any]) -> None:
    cluster.make()
    assert cluster.ask(**changed)["did"] == ["change the resource rcron-clone"]


def test_what_somebody_added_stays(cluster: Cluster) -> None:
    cluster.make()
    own = '<meta_attributes id="own"><nvpair id="own-1" name="clone-max" value="2"/></meta_attributes></clone>'
    cluster.resources = cluster.resources.replace("</clone>", own)
    assert cluster.ask()["did"] == []


def test_an_older_schema_has_other_words_for_roles(cluster: Cluster) -> None:
    cluster.schema = "pacemaker-3.6"
    cluster.make()
    assert 'role="Master"' in cluster.resources
    cluster.schema = "pacemaker-3.10"
    cluster.make()
    assert 'role="Promoted"' in cluster.resources


def test_properties_are_set_where_they_differ(cluster: Cluster) -> None:
    cluster.make()
    told = cluster.ask(properties={"stonith-enabled": "true", "no-quorum-policy": "stop"})
    assert told["did"] == ["set the property no-quorum-policy to stop"]


def test_a_clone_becomes_a_plain_resource(cluster: Cluster) -> None:
    cluster.make()
    cluster.constraints = '<rsc_location id="cli-prefer-rcron-clone" rsc="rcron-clone" node="a" score="INFINITY"/>'
    assert cluster.ask(promotable=False)["did"] == [
        "stop the resource rcron-clone",
        "delete the constraint cli-prefer-rcron-clone",
        "delete the resource rcron-clone",
        "make the resource rcron",
    ]


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="mine" rsc="rcron-clone" node="a" score="50"/>',
        '<rsc_colocation id="mine" rsc="ip" with-rsc="rcron-clone" score="50"/>',
        '<rsc_order id="mine" first="db" then="rcron-clone"/>',
        '<rsc_order id="mine"><resource_set id="s"><resource_ref id="rcron"/></resource_set></rsc_order>',
    ],
)
def test_somebodys_constraint_is_not_lost_by_that_but_by_a_removal(cluster: Cluster, constraint: str) -> None:
    cluster.make()
    cluster.constraints = constraint + '<rsc_location id="other" rsc="ip" node="a" score="50"/>'
    told = cluster.ask(promotable=False)
    assert "the constraint mine names rcron-clone" in told["error"]
    assert told["did"] == []
    assert cluster.ask("absent")["did"] == [
        "stop the resource rcron-clone",
        "delete the constraint mine",
        "delete the resource rcron-clone",
    ]


@pytest.mark.parametrize(
    "resources",
    [
        '<primitive id="rcron" class="ocf" provider="heartbeat" type="IPaddr2"/>',
        '<primitive id="rcron" class="ocf" provider="rcron" type="rcron"/>',
        '<group id="rcron"><primitive id="a" class="ocf" provider="rcron" type="rcron"/></group>',
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_somebodys_resource_is_left_alone(cluster: Cluster, resources: str, state: str) -> None:
    cluster.resources = resources
    told = cluster.ask(state)
    assert "and not from this role" in told["error"]
    assert told["did"] == []


def test_a_resource_in_a_group_is_left_alone(cluster: Cluster) -> None:
    cluster.make(promotable=False)
    cluster.resources = f'<group id="g">{cluster.resources}</group>'
    assert "rcron is in the group g: set rcron_pacemaker_create: false" in cluster.ask("absent")["error"]


def test_nothing_is_deleted_where_there_is_nothing(cluster: Cluster) -> None:
    assert cluster.ask("absent") == {"changed": False, "did": [], "error": ""}


def test_the_cluster_looks_anew_where_an_agent_is_new(cluster: Cluster) -> None:
    cluster.make()
    assert cluster.ask(refresh=True)["did"] == ["have the cluster look at rcron-clone anew"]
