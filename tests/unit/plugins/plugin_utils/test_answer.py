# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a host answers, held against what rcron_info returns. tests/unit/test_hostile_host.py has playbooks do it."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


@pytest.mark.parametrize(
    ("value", "shape", "said"),
    [
        ("x", str, None),
        (7, str, "a is no str"),
        (True, int, "a is no int"),
        (1, bool, "a is no bool"),
        (1.5, float, None),
        (True, float, "a is no time"),
        (float("nan"), float, "a is no time"),
        (1e300, float, "a is no time"),
        (None, (str, None), None),
        ([], (str, None), "a is no str"),
        (7, (str, int), None),
        (["x", None], [str], "a[1] is no str"),
        ("xy", [str], "a is no list"),
        ({"b": 7, "more": []}, {"b": int}, None),
        ({"b": [{"c": 7}]}, {"b": [{"c": str}]}, "a.b[0].c is no str"),
        ({}, {"b": int}, "a has no b"),
        (None, {"b": int}, "a is no dict"),
        ({"x": 1, "y": []}, {...: int}, "a value of a is no int"),
    ],
)
def test_a_value_has_a_shape_or_it_is_said_where_not(value, shape, said):
    assert answer.unlike(value, shape, "a") == said


def test_nothing_is_kept_that_is_not_the_modules():
    found = {"clusters": [], "entries": [], "unreadable": [], "time": 1.0, "changed": False}
    assert answer.checked({**found, "ansible_facts": {"rcron_timeline_file": "/etc/x"}, "add_host": {}}) == found
    assert answer.checked({"failed": True, "msg": "no", "ansible_facts": {"a": 1}, "clusters": 7}) == {
        "failed": True,
        "msg": "no",
    }


def test_a_cluster_that_cannot_be_told_of_has_its_error_alone():
    found = {"clusters": [{"conf": "/c", "error": "why"}], "entries": [], "unreadable": [], "time": 1.0}
    assert answer.checked(found) == found
    found["clusters"] = [{"conf": "/c", "error": ""}]
    refused = answer.checked(found)
    assert refused["failed"]
    assert "none of rcron_info's (clusters[0] has no cluster_name): look who has changed" in refused["msg"]
