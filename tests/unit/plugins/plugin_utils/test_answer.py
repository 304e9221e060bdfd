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
