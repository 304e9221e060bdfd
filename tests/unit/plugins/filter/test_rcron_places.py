# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Numbers that rank a cluster's hosts."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_places import rcron_places
from hypothesis import given
from hypothesis import strategies as st

THREE = {"a": 200, "b": 180, "c": 160}


def falling(hosts: str, recorded: dict) -> dict[str, int]:
    """As the role rcron_keepalived calls it."""
    return rcron_places(list(hosts), recorded, 200, 1)


@pytest.mark.parametrize(
    ("hosts", "recorded", "found"),
    [
        ("abc", {}, THREE),
        ("abc", THREE, THREE),
        # One more host, wherever it is.
        ("anbc", THREE, {**THREE, "n": 190}),
        ("abcn", THREE, {**THREE, "n": 140}),
        ("anmbc", THREE, {**THREE, "n": 194, "m": 187}),
        # One less.
        ("ac", THREE, {"a": 200, "c": 160}),
        ("bc", THREE, {"b": 180, "c": 160}),
        ("nbc", THREE, {"n": 200, "b": 180, "c": 160}),
        ("nbc", {"b": 190, "c": 160}, {"n": 200, "b": 190, "c": 160}),
        # No room, or another order: all anew.
        ("nabc", THREE, {"n": 200, "a": 180, "b": 160, "c": 140}),
        ("anb", {"a": 200, "b": 191}, {"a": 200, "n": 180, "b": 160}),
        ("bac", THREE, {"b": 200, "a": 180, "c": 160}),
        ("abc", {"a": 180, "b": 180, "c": 160}, THREE),
        ("abn", {"a": 200, "b": 5}, {"a": 200, "b": 180, "n": 160}),
        ("abn", {"a": 200, "b": 6}, {"a": 200, "b": 6, "n": 1}),
        # A host that is not the group's any more, and what a host says that cannot be.
        ("abc", {**THREE, "x": 190}, THREE),
        ("abc", {"a": 200, "b": 180, "c": 255}, THREE),
        ("abc", {"a": 200, "b": "180\n}", "c": True}, THREE),
        ("", {}, {}),
        ("a", {"a": 7}, {"a": 7}),
    ],
)
def test_a_host_keeps_its_number_when_others_come_and_go(hosts: str, recorded: dict, found: dict) -> None:
    assert falling(hosts, recorded) == found


@pytest.mark.parametrize(
    ("hosts", "recorded", "found"),
    [
        ("abc", {}, {"a": 0, "b": 20, "c": 40}),
        ("anbc", {"a": 0, "b": 20, "c": 40}, {"a": 0, "n": 10, "b": 20, "c": 40}),
        ("abn", {"a": 0, "b": 236}, {"a": 0, "b": 20, "n": 40}),
    ],
)
def test_numbers_may_rise(hosts: str, recorded: dict, found: dict) -> None:
    assert rcron_places(list(hosts), recorded, 0, 240) == found


@given(st.permutations("abcdefgh"), st.integers(0, 8), st.data())
def test_a_second_run_changes_nothing_and_the_order_is_the_groups(hosts, count, data) -> None:
    recorded = {host: data.draw(st.integers(1, 200)) for host in hosts[:count]}
    hosts = data.draw(st.permutations(hosts))
    found = rcron_places(hosts, recorded, 200, 1)
    numbers = [found[host] for host in hosts]
    assert numbers == sorted(set(numbers), reverse=True)
    assert set(numbers) <= set(range(1, 201))
    assert rcron_places(hosts, found, 200, 1) == found


@pytest.mark.parametrize(("hosts", "recorded"), [("abc", {}), (["a"], [])])
def test_other_input_is_refused(hosts, recorded) -> None:
    with pytest.raises(AnsibleFilterError):
        rcron_places(hosts, recorded, 200, 1)
