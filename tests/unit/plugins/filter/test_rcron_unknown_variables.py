# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The filter rcron_unknown_variables: what it takes for a mistake, and which names it knows by itself."""

from __future__ import annotations

import pathlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_unknown_variables import (
    rcron_unknown_variables as unknown,
)

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]


def test_known_names_are_not_mentioned() -> None:
    assert unknown(["rcron_conf", "rcron_group"], ["rcron_group", "rcron_conf", "rcron_state"]) == []


def test_the_name_that_is_close_is_named() -> None:
    assert unknown(["rcron_clustername"], ["rcron_cluster_name", "rcron_conf"]) == [
        "unknown variable rcron_clustername (did you mean rcron_cluster_name?)"
    ]


def test_a_name_that_nothing_is_close_to_gets_no_guess() -> None:
    (said,) = unknown(["rcron_frobnicate_all"], ["rcron_conf"])
    assert said.startswith("unknown variable rcron_frobnicate_all: correct its name")
    assert "did you mean" not in said


def test_sentences_come_in_the_order_of_the_names() -> None:
    assert [said.split()[2] for said in unknown(["rcron_c", "rcron_a", "rcron_b"], ["rcron_a"])] == [
        "rcron_b",
        "rcron_c",
    ]


def test_a_misspelt_prefix_finds_the_role_that_was_meant() -> None:
    assert unknown(["rcron_keepalive_instance"]) == [
        "unknown variable rcron_keepalive_instance (did you mean rcron_keepalived_instance?)"
    ]


@pytest.mark.parametrize(
    ("role", "found"),
    [
        (None, ["rcron_clustername", "rcron_keepalived_instanse"]),
        ("rcron", ["rcron_clustername"]),
        ("rcron_keepalived", ["rcron_keepalived_instanse"]),
        ("rcron_crontab", []),
    ],
)
def test_a_role_looks_at_its_own_variables(role: str | None, found: list[str]) -> None:
    names = ["rcron_clustername", "rcron_keepalived_instanse", "rcron_conf"]
    assert [said.split()[2] for said in unknown(names, role=role)] == found


def test_every_variable_that_a_role_or_a_playbook_reads_is_known() -> None:
    defaults = [
        line.partition(":")[0]
        for path in CHECKOUT.glob("roles/*/defaults/main.yml")
        for line in path.read_text().splitlines()
        if line.startswith("rcron_")
    ]
    assert len(defaults) > 50
    playbooks = ["rcron_feeder", "rcron_serial", "rcron_max_fail_percentage", "rcron_timeline_hours"]
    # No default: the wrapper has its own.
    assert unknown([*defaults, *playbooks, "rcron_cluster_name", "rcron_takeover_wait"]) == []


@pytest.mark.parametrize("wrong", ["rcron_conf", None, 1, [1]])
def test_anything_but_a_list_of_names_is_an_error(wrong: object) -> None:
    with pytest.raises(AnsibleFilterError, match="must be a list of names"):
        unknown(wrong)  # type: ignore[arg-type]


def test_a_setting_that_begins_like_a_role_is_the_wrappers() -> None:
    """rcron_claim is one, and a role."""
    assert [said.split()[2] for said in unknown(["rcron_claim_wiat"], role="rcron")] == ["rcron_claim_wiat"]
    assert unknown(["rcron_claim_wiat"], role="rcron_claim") == []
