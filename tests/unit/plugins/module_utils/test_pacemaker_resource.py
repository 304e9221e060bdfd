# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's resource: what would be done to a cluster's configuration, and what is refused.

cibadmin is a script that shows a configuration made up here; in check mode nothing else is called.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import pacemaker_resource
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.pacemaker_resource import RefusedError, Resource, Wanted

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


#: Shows the configuration when it is asked, and keeps what it is to do, word by word.
TOOL = """\
#!/bin/sh
if [ "$1" = --query ]; then
    exec cat {folder}/cib.xml
fi
printf '%s\\n' "$@" >>{folder}/calls
"""


class Cluster:
    """A cluster's configuration.

    Attributes:
        folder: Where its tools are.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.resources = ""
        self.constraints = ""
        self.schema = "pacemaker-3.9"
        for name in ("cibadmin", "crm_attribute", "crm_resource", "crm_mon"):
            tool = folder / name
            tool.write_text(TOOL.format(folder=folder))
            tool.chmod(0o755)

    def ask(self, state: str = "present", check_mode: bool = True, **others: Any) -> dict[str, Any]:
        """Return what was or would be done, and why not more."""
        (self.folder / "cib.xml").write_text(
            CIB.format(schema=self.schema, resources=self.resources, constraints=self.constraints)
        )
        wanted = {
            "resource": "rcron",
            "promotable": True,
            "conf": "/etc/rcron/rcron.conf",
            "interval": 4,
            "properties": {},
            "members": 2,
            "patience": 0,
            "refresh": False,
            **others,
        }
        resource = Resource(Wanted(**wanted), check_mode)
        error = ""
        try:
            getattr(resource, state)()
        except (RefusedError, ProgramError) as refused:
            error = str(refused)
        return {"steps": resource.steps, "error": error}

    def make(self, **others: Any) -> None:
        """Have the resource as it is made, by what is handed to cibadmin."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        assert self.ask(check_mode=False, **others)["error"] == ""
        self.resources = calls.read_text().partition("--xml-text\n")[2].strip()


@pytest.fixture
def cluster(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Cluster(tmp_path)


@pytest.mark.parametrize(("promotable", "name"), [(True, "rcron-clone"), (False, "rcron")])
def test_it_is_made_once(cluster: Cluster, promotable: bool, name: str) -> None:
    found = cluster.ask(promotable=promotable)
    assert found == {"steps": [f"make the resource {name}"], "error": ""}
    cluster.make(promotable=promotable)
    assert cluster.ask(promotable=promotable) == {"steps": [], "error": ""}


@pytest.mark.parametrize("changed", [{"interval": 3}, {"conf": "/etc/rcron/other.conf"}])
def test_what_is_different_is_changed(cluster: Cluster, changed: dict[str, Any]) -> None:
    cluster.make()
    assert cluster.ask(**changed)["steps"] == ["change the resource rcron-clone"]


def test_what_somebody_added_stays(cluster: Cluster) -> None:
    cluster.make()
    own = '<meta_attributes id="own"><nvpair id="own-1" name="clone-max" value="2"/></meta_attributes></clone>'
    cluster.resources = cluster.resources.replace("</clone>", own)
    assert cluster.ask()["steps"] == []


def test_an_older_schema_has_other_words_for_roles(cluster: Cluster) -> None:
    cluster.schema = "pacemaker-3.6"
    cluster.make()
    assert 'role="Master"' in cluster.resources
    cluster.schema = "pacemaker-3.10"
    cluster.make()
    assert 'role="Promoted"' in cluster.resources


def test_properties_are_set_where_they_differ(cluster: Cluster) -> None:
    cluster.make()
    found = cluster.ask(properties={"stonith-enabled": "true", "no-quorum-policy": "stop"})
    assert found["steps"] == ["set the property no-quorum-policy to stop"]


def test_a_clone_becomes_a_plain_resource(cluster: Cluster) -> None:
    cluster.make()
    cluster.constraints = '<rsc_location id="cli-prefer-rcron-clone" rsc="rcron-clone" node="a" score="INFINITY"/>'
    assert cluster.ask(promotable=False)["steps"] == [
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
    found = cluster.ask(promotable=False)
    assert "the constraint mine names rcron-clone" in found["error"]
    assert found["steps"] == []
    assert cluster.ask("absent")["steps"] == [
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
    found = cluster.ask(state)
    assert "and not from this role" in found["error"]
    assert found["steps"] == []


def test_a_resource_in_a_group_is_left_alone(cluster: Cluster) -> None:
    cluster.make(promotable=False)
    cluster.resources = f'<group id="g">{cluster.resources}</group>'
    assert "rcron is in the group g: set rcron_pacemaker_create: false" in cluster.ask("absent")["error"]


def test_nothing_is_deleted_where_there_is_nothing(cluster: Cluster) -> None:
    assert cluster.ask("absent") == {"steps": [], "error": ""}


def test_the_cluster_looks_anew_where_an_agent_is_new(cluster: Cluster) -> None:
    cluster.make()
    assert cluster.ask(refresh=True)["steps"] == ["have the cluster look at rcron-clone anew"]


def test_what_was_done_before_a_tool_failed_is_kept(cluster: Cluster) -> None:
    (cluster.folder / "crm_attribute").write_text("#!/bin/sh\necho no quorum >&2; exit 1\n")
    found = cluster.ask(check_mode=False, properties={"no-quorum-policy": "stop"})
    assert found["steps"] == ["set the property no-quorum-policy to stop"]
    assert found["error"] == "crm_attribute --name no-quorum-policy --update stop: no quorum"


def test_a_tool_that_does_not_end_is_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.make()
    monkeypatch.setattr(pacemaker_resource, "TOOL_TIME", 0.2)
    (cluster.folder / "crm_resource").write_text("#!/bin/sh\nexec sleep 60\n")
    assert cluster.ask(check_mode=False, refresh=True)["error"].endswith("--cleanup did not end within 0.2 s")


def test_members_that_do_not_join_are_waited_for(cluster: Cluster) -> None:
    (cluster.folder / "crm_mon").write_text("#!/bin/sh\necho 2 nodes online\n")
    found = cluster.ask(members=3, patience=1)
    assert found["steps"] == []
    assert found["error"] == (
        "not within 1 s: 3 nodes are in the cluster, with a quorum (rcron_pacemaker_patience). crm_mon says:\n"
        "2 nodes online\n"
    )


def locate(cluster: Cluster, *lines: str) -> None:
    """Have crm_resource say where the resource runs."""
    said = "\n".join(lines)
    (cluster.folder / "crm_resource").write_text(f"#!/bin/sh\ncat <<'end'\n{said}\nend\n")


def test_one_promoted_instance_is_waited_for(cluster: Cluster) -> None:
    cluster.make()
    running = "resource rcron-clone is running on: a", "resource rcron-clone is running on: b"
    locate(cluster, *running)
    assert "not within 1 s: rcron-clone is active on one node" in cluster.ask(check_mode=False, patience=1)["error"]
    locate(cluster, running[0] + " Promoted", running[1])
    assert cluster.ask(check_mode=False, patience=1)["error"] == ""


@pytest.mark.parametrize(
    ("name", "value"), [("target-role", "Stopped"), ("is-managed", "false"), ("is-managed", "FALSE")]
)
def test_a_resource_that_was_stopped_on_purpose_is_not_waited_for(cluster: Cluster, name: str, value: str) -> None:
    cluster.make()
    own = f'<meta_attributes id="own"><nvpair id="own-1" name="{name}" value="{value}"/></meta_attributes></clone>'
    cluster.resources = cluster.resources.replace("</clone>", own)
    locate(cluster)
    assert cluster.ask(check_mode=False, patience=1)["error"] == ""
