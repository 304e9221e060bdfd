# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Pacemaker's actions become states: as a promotable clone, as a plain resource, and when things are broken."""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcron import log
from rcron import settings as rcron_settings
from rcron.feeders import pacemaker

ACTIONS = ("start", "stop", "monitor", "promote", "demote")

#: What Pacemaker 2.1.5 hands to an instance of a promotable clone, and 2.0.5 (Debian 11).
PROMOTABLE = {"OCF_RESKEY_CRM_meta_promoted_max": "1", "OCF_RESKEY_crm_feature_set": "3.16.1"}
BEFORE_2_1 = {"OCF_RESKEY_CRM_meta_master_max": "1", "OCF_RESKEY_crm_feature_set": "3.6.1"}

#: Notes its name and words.
TOOL = """\
#!/bin/sh
echo "${{0##*/}} $*" >>{calls}
"""


class Agent:
    """The agent on a node. node: where. environment: what Pacemaker would add."""

    def __init__(self, node: Any, **environment: str) -> None:
        self.node = node
        tools = node.folder / "sbin"
        tools.mkdir(exist_ok=True)
        self._calls = node.folder / "calls"
        for name in ("crm_attribute", "crm_master"):
            (tools / name).write_text(TOOL.format(calls=self._calls))
            (tools / name).chmod(0o755)
        self.environment = {
            "PATH": f"{tools}:/usr/bin:/bin",
            "HA_RSCTMP": str(node.folder / "tmp"),
            "OCF_RESOURCE_INSTANCE": "rcron:0",
            **environment,
        }

    def __call__(self, action: str) -> int:
        return self.run(action).returncode

    def run(self, action: str) -> "subprocess.CompletedProcess[str]":
        return self.node.ctl("feed", "pacemaker", action, env=self.environment)

    def state(self) -> str:
        return self.node.state_file.read_text().strip()

    def calls(self) -> list[str]:
        """What was called of Pacemaker's tools since this was asked last."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.write_text("")
        return lines


@pytest.fixture
def clone(node: Any) -> Agent:
    return Agent(node, **PROMOTABLE)


@pytest.fixture
def plain(node: Any) -> Agent:
    return Agent(node)


def test_an_instance_of_a_promotable_clone_is_started_promoted_demoted_and_stopped(clone: Agent) -> None:
    assert clone("monitor") == 7
    answers = []
    for action in ("start", "start", "promote", "promote", "demote", "demote", "promote", "stop", "stop"):
        answers.append((action, clone(action), clone.state(), clone("monitor")))
    assert answers == [
        ("start", 0, "passive", 0),
        ("start", 0, "passive", 0),
        ("promote", 0, "active", 8),
        ("promote", 0, "active", 8),
        ("demote", 0, "passive", 0),
        ("demote", 0, "passive", 0),
        ("promote", 0, "active", 8),
        ("stop", 0, "passive", 7),
        ("stop", 0, "passive", 7),
    ]


def test_a_plain_resource_is_active_where_it_is_started(plain: Agent) -> None:
    assert plain("monitor") == 7
    answers = [
        (action, plain(action), plain.state(), plain("monitor")) for action in ("start", "start", "stop", "stop")
    ]
    assert answers == [
        ("start", 0, "active", 0),
        ("start", 0, "active", 0),
        ("stop", 0, "passive", 7),
        ("stop", 0, "passive", 7),
    ]
    assert (plain("promote"), plain("demote")) == (3, 3)
    assert plain.state() == "passive"


@given(st.lists(st.sampled_from(ACTIONS), max_size=12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_order_of_actions_is_answered_by_the_contract(actions: list[str], promotable: bool) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        # In this process, for there are many.
        state, conf = pathlib.Path(name, "state"), pathlib.Path(name, "rcron.conf")
        conf.write_text(f"state_file = {state}\n")
        patch.setenv("HA_RSCTMP", f"{name}/tmp")
        patch.setenv("OCF_RESKEY_CRM_meta_promoted_max", str(int(promotable)))
        patch.setattr(log, "_send", lambda *_: None)
        patch.setattr(pacemaker.Instance, "_prefer", lambda *_: None)
        role = "stopped"
        for action in actions:
            expected, role = CONTRACT[promotable](action, role)
            given = pacemaker.run(argparse.Namespace(conf=str(conf), action=action), lambda line: None)
            assert given == expected, (action, role)
            active = state.exists() and state.read_text() == "active\n"
            assert active == (role in ("promoted", "started")), (action, role)


def promotable_contract(action: str, role: str) -> tuple[int, str]:
    """What a promotable clone's instance must answer to an action, and what it is then."""
    if action == "monitor":
        return {"stopped": 7, "unpromoted": 0, "promoted": 8}[role], role
    if action == "start":
        return 0, "unpromoted"
    if action == "stop":
        return 0, "stopped"
    return (7, role) if role == "stopped" else (0, "promoted" if action == "promote" else "unpromoted")


def plain_contract(action: str, role: str) -> tuple[int, str]:
    """The same for a plain resource."""
    if action == "monitor":
        return (0 if role == "started" else 7), role
    return (3, role) if action in ("promote", "demote") else (0, "started" if action == "start" else "stopped")


CONTRACT = {True: promotable_contract, False: plain_contract}


def serve(node: Any) -> None:
    """Have an agent there, as far as a hook can see it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(rcron_settings.load(str(node.conf)).agent_file("ask"))
    node.listener = listener  # closed with the node


def age(path: pathlib.Path, seconds: float) -> None:
    """Make a file that much older."""
    when = path.stat().st_mtime - seconds
    os.utime(path, (when, when))


@pytest.mark.parametrize("is_served", [True, False])
def test_monitor_renews_nothing(clone: Agent, is_served: bool) -> None:
    """It would renew an active while the daemons that could take it back are stopped."""
    clone.node.configure("state_max_age = 100")
    if is_served:
        serve(clone.node)
    clone("start"), clone("promote")
    age(clone.node.state_file, 50)
    assert clone("monitor") == 8
    assert time.time() - clone.node.state_file.stat().st_mtime > 40
    age(clone.node.state_file, 60)
    assert clone("monitor") == 0, "stale"
    assert time.time() - clone.node.state_file.stat().st_mtime > 100


def test_a_promotion_that_comes_late_succeeds_and_leaves_the_state_to_the_agent(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pacemaker's status, which the agent asks, says that it is pending until it has succeeded."""
    recurring = {"OCF_RESKEY_CRM_meta_interval": "4000", **PROMOTABLE}
    instance = pacemaker.Instance(str(node.conf), {"HA_RSCTMP": str(node.folder / "tmp"), **recurring})
    monkeypatch.setattr(instance, "_prefer", lambda _score: None)
    assert instance.start() == 0
    serve(node)
    monkeypatch.setattr(pacemaker, "IN_TIME", -1e9)
    assert instance.promote() == 0
    assert node.state_file.read_text() == "passive\n"
    assert instance.monitor() == 8


def test_monitor_gives_an_agent_that_doubts_some_seconds(clone: Agent) -> None:
    """Pacemaker would promote another instance, or this one anew."""
    clone("start"), clone("promote")
    serve(clone.node)
    clone.node.become("passive")
    clone.environment["OCF_RESKEY_CRM_meta_interval"] = "4000"
    assert clone("monitor") == 8
    assert clone.state() == "passive"
    age(clone.node.state_file, 60)
    assert clone("monitor") == 0
    clone("demote")
    assert clone("monitor") == 0, "not what Pacemaker has made unpromoted"


def test_a_pacemaker_that_was_started_anew_finds_no_active_instance_where_the_state_is_passive(
    clone: Agent, plain: Agent
) -> None:
    """It has promoted another one meanwhile, and would stop both of two that it finds."""
    clone("start"), clone("promote")
    serve(clone.node)
    clone.node.become("passive")
    clone.calls()
    assert clone("monitor") == 0
    assert clone.calls() == ["crm_attribute --promotion=rcron --lifetime reboot --update 5"]
    plain("stop"), plain("start")
    plain.node.become("passive")
    assert plain("monitor") == 7


@pytest.mark.parametrize("prepare", [["start"], []])
def test_monitor_reports_an_operators_active_and_does_not_keep_it_fresh(clone: Agent, prepare: list[str]) -> None:
    for action in prepare:
        clone(action)
    clone.node.ctl("set", "active")
    age(clone.node.state_file, 50)
    assert clone("monitor") == 8
    assert time.time() - clone.node.state_file.stat().st_mtime > 40


@pytest.mark.parametrize("content", ["passive\n", "", "nonsense\n", None])
def test_monitor_makes_no_node_active(clone: Agent, content: "str | None") -> None:
    clone("start"), clone("promote")
    if content is None:
        clone.node.state_file.unlink()
    else:
        clone.node.state_file.write_text(content)
    assert clone("monitor") == 0, "not promoted any more, which Pacemaker mends"
    assert clone.node.state_file.exists() == (content is not None)
    assert (clone("demote"), clone("promote"), clone.state()) == (0, 0, "active")


def test_a_reboot_makes_it_stopped(clone: Agent) -> None:
    clone("start")
    shutil.rmtree(clone.node.folder / "tmp")
    assert clone("monitor") == 7


def test_promotion_without_a_start_is_refused(clone: Agent) -> None:
    clone.node.become("passive")
    assert (clone("promote"), clone("demote")) == (7, 7)
    assert clone.state() == "passive"


@pytest.mark.parametrize(
    ("environment", "tool"), [(PROMOTABLE, "crm_attribute --promotion=rcron"), (BEFORE_2_1, "crm_master")]
)
def test_every_action_sets_the_promotion_score(node: Any, environment: dict[str, str], tool: str) -> None:
    agent = Agent(node, **environment)
    answers = []
    for action in ("monitor", "start", "monitor", "promote", "monitor", "demote", "stop"):
        agent(action)
        answers += [call.replace(f"{tool} --lifetime reboot ", "") for call in agent.calls()]
    assert answers == ["--update 5", "--update 5", "--update 10", "--update 10", "--update 5", "--delete"]


def test_a_plain_resource_has_no_promotion_score(plain: Agent) -> None:
    for action in ("start", "monitor", "stop"):
        plain(action)
    assert plain.calls() == []


def test_a_node_without_configuration_cannot_run_it_but_is_stopped(clone: Agent) -> None:
    clone.node.conf.unlink()
    answers = {action: clone.run(action) for action in (*ACTIONS, "validate-all")}
    assert {action: ran.returncode for action, ran in answers.items()} == {
        "start": 5,
        "stop": 0,
        "monitor": 5,
        "promote": 7,
        "demote": 5,
        "validate-all": 5,
    }
    assert f"ocf-exit-reason:{clone.node.conf}: " in answers["monitor"].stderr


def test_stop_finds_the_state_file_without_the_configuration(clone: Agent) -> None:
    clone("start"), clone("promote")
    clone.node.conf.write_text("nonsense\n")
    assert (clone("promote"), clone("monitor")) == (5, 5)
    assert clone.state() == "active"
    assert clone("demote") == 0
    assert clone.state() == "passive"
    clone.node.become("active")
    assert clone("stop") == 0
    assert clone.state() == "passive"


def test_stop_fails_if_the_state_cannot_be_written(clone: Agent) -> None:
    clone("start")
    shutil.rmtree(clone.node.state_file.parent)
    ran = clone.run("stop")
    assert ran.returncode == 1
    assert "ocf-exit-reason:" in ran.stderr


def test_an_unknown_action_changes_nothing(clone: Agent) -> None:
    clone("start"), clone("promote")
    ran = clone.run("migrate_to")
    assert ran.returncode == 3
    assert "unknown action migrate_to" in ran.stderr
    assert clone.state() == "active"


def test_notify_changes_nothing(clone: Agent) -> None:
    clone("start"), clone("promote")
    assert clone("notify") == 0
    assert clone.state() == "active"


def test_the_same_again_is_logged_once(clone: Agent) -> None:
    clone("start"), clone("promote")
    before = clone.node.log()
    clone("monitor"), clone("monitor"), clone("promote")
    assert clone.node.log() == before
    assert before[-1] == "9.6 cluster=c1 state=active status=changed event=pacemaker:rcron promoted"


def test_meta_data_lists_every_action_and_needs_no_configuration(plain: Agent) -> None:
    plain.node.conf.unlink()
    ran = plain.run("meta-data")
    assert ran.returncode == 0
    tree = ET.fromstring(ran.stdout)  # noqa: S314 - our own
    answers = {action.get("name") for action in tree.iter("action")}
    agent = pacemaker.Instance("", {"OCF_RESKEY_CRM_meta_promoted_max": "1"})
    assert answers == {*agent.actions(), "notify", "meta-data"}
    assert [parameter.get("name") for parameter in tree.iter("parameter")] == ["conf"]
    assert tree.find(".//content").get("default") == rcron_settings.DEFAULT_PATH
