# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Results of hosts, checked against what rcron_info returns. tests/unit/test_hostile_host.py runs playbooks."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


@pytest.mark.parametrize(
    ("value", "shape", "said"),
    [
        ("x", str, None),
        (7, str, "a is not of type str"),
        (True, int, "a is not of type int"),
        (1, bool, "a is not of type bool"),
        (1.5, float, None),
        (True, float, "a is not a time"),
        (float("nan"), float, "a is not a time"),
        (1e300, float, "a is not a time"),
        (None, (str, None), None),
        ([], (str, None), "a is not of type str"),
        (7, (str, int), None),
        (["x", None], [str], "a[1] is not of type str"),
        ("xy", [str], "a is not a list"),
        ({"b": 7, "more": []}, {"b": int}, None),
        ({"b": [{"c": 7}]}, {"b": [{"c": str}]}, "a.b[0].c is not of type str"),
        ({}, {"b": int}, "a has no b"),
        (None, {"b": int}, "a is not a dict"),
        ({"x": 1, "y": []}, {...: int}, "a value of a is not of type int"),
    ],
)
def test_the_first_difference_between_a_value_and_a_shape_is_named(value, shape, said):
    assert answer.mismatch(value, shape, "a") == said


def test_only_what_the_module_returns_is_kept():
    found = {"clusters": [], "entries": [], "unreadable": [], "time": 1.0, "changed": False}
    assert answer.checked({**found, "ansible_facts": {"rcron_timeline_file": "/etc/x"}, "add_host": {}}) == found
    assert answer.checked({"failed": True, "msg": "no", "ansible_facts": {"a": 1}, "clusters": 7}) == {
        "failed": True,
        "msg": "no",
    }


def test_a_cluster_that_cannot_be_examined_has_only_its_error():
    found = {"clusters": [{"conf": "/c", "error": "why"}], "entries": [], "unreadable": [], "time": 1.0}
    assert answer.checked(found) == found
    found["clusters"] = [{"conf": "/c", "error": ""}]
    refused = answer.checked(found)
    assert refused["failed"]
    assert "not one of rcron_info (clusters[0] has no cluster_name): find out who has changed" in refused["msg"]


NODE = {"uid": 0, "foreign": [], "exposed": ""}
HEARTBEAT = {**NODE, "name": "n1", "ours": True, "owners": {"rcron": "n1"}}


@pytest.mark.parametrize(
    ("feeder", "node", "said"),
    [
        ("keepalived", "x", "node is not a dict"),
        ("keepalived", {}, "node has no uid"),
        ("keepalived", {**NODE, "uid": True}, "node.uid is not of type int"),
        ("keepalived", {**NODE, "peers": [1]}, "node.peers is not a dict"),
        ("keepalived", {**NODE, "priorities": {"VI_rcron": {}}}, "a value of node.priorities is not of type int"),
        ("keepalived", {**NODE, "interfaces": "eth0"}, "node.interfaces is not a dict"),
        ("pacemaker", {**NODE, "nodes": {"n1": 7}}, "a value of node.nodes is not a dict"),
        ("pacemaker", {**NODE, "address": {"a": "b"}}, "node.address is not of type str"),
        ("heartbeat", NODE, "node has no name"),
        ("heartbeat", {**HEARTBEAT, "owners": [{}]}, "node.owners is not a dict"),
        ("heartbeat", {**HEARTBEAT, "name": ["n1"]}, "node.name is not of type str"),
        ("heartbeat", {**HEARTBEAT, "ours": "no"}, "node.ours is not of type bool"),
        ("heartbeat", {**HEARTBEAT, "before": {}}, "node.before has no enabled"),
        ("heartbeat", {**HEARTBEAT, "named_before": ["x" * 1_000_000]}, "node has more than 1000000 characters"),
    ],
)
def test_what_is_known_of_a_feeder_is_of_its_types(feeder, node, said):
    refused = answer.looked({"changed": False, "node": node}, feeder)
    assert set(refused) == {"failed", "msg"}
    assert f"not one of rcron_feeder_info ({said})" in refused["msg"]


def test_of_what_is_known_of_a_feeder_nothing_else_is_kept():
    node = {**HEARTBEAT, "before": None, "more": 1}
    found = answer.looked({"changed": False, "ansible_facts": {"a": 1}, "node": node}, "heartbeat")
    assert found == {"changed": False, "node": {**HEARTBEAT, "before": None}}


ENGINE = {"uid": 0, "user": None, "shared": [], "foreign": [], "exposed": "", "words": "", "remarks": []}
ENGINE = {**ENGINE, "problem": "", "lacks": ""}


def test_what_is_known_of_an_engine_is_of_its_types():
    assert answer.tried({"changed": False, "node": ENGINE}) == {"changed": False, "node": ENGINE}
    assert "(node.remarks is not a list)" in answer.tried({"node": {**ENGINE, "remarks": "x"}})["msg"]


def test_what_a_terminal_would_obey_is_shown_as_escapes():
    """A feeder's user may write it into his configuration, whose faults are reported."""
    odd = "a\x1b]0;b\x07\x9b1m\u202e\nc"
    shown = "a\\x1b]0;b\\x07\\x9b1m\\u202e\\nc"
    command = "a\x1b]0;b\\x07\\x9b1m\\u202e\nc".replace("\x1b", "\\x1b")
    found = answer.looked({"node": {**NODE, "error": odd, "silent": [odd], "wanted": {"on_start": odd}}}, "patroni")
    assert found["node"] == {**NODE, "error": shown, "silent": [shown], "wanted": {"on_start": command}}
    assert answer.tried({"node": {**ENGINE, "problem": odd}})["node"]["problem"] == shown
    failed = answer.looked({"failed": True, "msg": odd, "exception": odd}, "patroni")
    assert failed == {"failed": True, "msg": shown}


def test_a_host_has_no_task_repeated_thousands_of_times():
    refusals = [{"option": "conf", "message": "x"}] * answer.MOST_REPEATED
    assert answer.examined({"refusals": refusals, "library": "/x"}) == {"refusals": refusals, "library": "/x"}
    found = answer.examined({"refusals": [*refusals, *refusals], "library": "/x"})
    assert (found["failed"], "(refusals has more than 100 items)" in found["msg"]) == (True, True)
    node = {"uid": 0, "foreign": [], "exposed": ""}
    engine = {**node, "user": "x", "shared": [], "words": "", "remarks": [], "problem": "", "lacks": ""}
    for check in (
        lambda many: answer.looked({"node": {**node, "left": many}}, "ucarp"),
        lambda many: answer.tried({"node": {**engine, "remarks": many}}),
    ):
        assert "failed" not in check(["/x"] * answer.MOST_REPEATED)
        assert " has more than 100 items)" in check(["/x"] * (answer.MOST_REPEATED + 1))["msg"]
