# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A feeder that is not the cluster's: feeder_name in rcron.conf."""

import json
import os
import time
from typing import Any

import pytest

UP = ("feed", "ucarp", "up", "eth0", "192.0.2.10")
DOWN = ("feed", "ucarp", "down", "eth0", "192.0.2.10")


@pytest.fixture
def configured(node: Any) -> Any:
    """A node whose feeder is keepalived, since a while ago."""
    node.configure("feeder_name = keepalived")
    os.utime(node.conf, (time.time() - 60, time.time() - 60))
    return node


def second(node: Any) -> "dict[str, Any] | None":
    found: "dict[str, Any] | None" = json.loads(node.ctl("status", "--json").stdout)["second_feeder"]
    return found


@pytest.mark.parametrize("name", ["ucarp", "any"])
def test_the_cluster_s_own_feeder_and_any_set_the_state(node: Any, name: str) -> None:
    node.configure(f"feeder_name = {name}")
    node.become("passive")
    assert node.ctl(*UP).returncode == 0
    assert node.state_file.read_text() == "active\n"
    assert second(node) is None


@pytest.mark.parametrize("name", ["keepalived", "none"])
def test_another_feeder_makes_no_node_active(configured: Any, name: str) -> None:
    configured.conf.write_text(configured.conf.read_text().replace("keepalived", name))
    configured.become("passive")
    out = configured.ctl(*UP)
    assert out.returncode == 78
    assert f"feeder_name is {name}, so ucarp cannot make this node active; disconnect ucarp" in out.stderr
    assert configured.state_file.read_text() == "passive\n"
    assert "9.6 cluster=c1 state=active status=refused event=ucarp:up eth0 192.0.2.10" in configured.log_without_times()


def test_another_feeder_makes_no_node_passive_and_may_end(configured: Any) -> None:
    """What an operator or the cluster's own feeder has set stays."""
    configured.become("active")
    assert configured.ctl(*DOWN).returncode == 0
    assert configured.ctl("set", "passive", "--feeder", "heartbeat").returncode == 78
    assert configured.state_file.read_text() == "active\n"


@pytest.mark.parametrize("words", [("set", "passive"), ("set", "passive", "--feeder", "mine")])
def test_an_operator_and_a_script_of_one_s_own_are_not_refused(configured: Any, words: "tuple[str, ...]") -> None:
    configured.become("active")
    assert configured.ctl(*words).returncode == 0
    assert configured.state_file.read_text() == "passive\n"


def test_status_names_the_second_feeder_until_the_configuration_changes(configured: Any) -> None:
    configured.become("passive")
    assert second(configured) is None
    assert "second feeder" not in configured.ctl("status").stdout
    configured.ctl(*DOWN)
    found = second(configured)
    assert found is not None
    assert (found["name"], found["event"]) == ("ucarp", "down eth0 192.0.2.10")
    assert "second feeder:  ucarp, refused " in configured.ctl("status").stdout
    os.utime(configured.conf, (time.time() + 1, time.time() + 1))
    assert second(configured) is None


def test_a_second_feeder_is_refused_where_nothing_can_be_noted(configured: Any) -> None:
    configured.become("passive")
    (configured.state_file.parent / f"{configured.state_file.name}.refused" / "x").mkdir(parents=True)
    assert configured.ctl(*UP).returncode == 78
    assert configured.state_file.read_text() == "passive\n"
    assert second(configured) is None
