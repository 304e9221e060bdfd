# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcronctl feed lease leave` makes a node passive, and nothing else is one of its words."""

from typing import Any

import pytest


def test_leave_makes_the_node_passive(node: Any) -> None:
    node.become("active")
    out = node.ctl("feed", "lease", "leave")
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.state_file.read_text() == "passive\n"
    assert node.log() == ["9.6 cluster=c1 state=passive status=changed event=lease:leave"]


@pytest.mark.parametrize(
    ("words", "said"), [(["take"], "lease: not leave: take"), (["LEAVE"], "lease: not leave: LEAVE")]
)
def test_another_word_changes_nothing(node: Any, words: "list[str]", said: str) -> None:
    node.become("active")
    out = node.ctl("feed", "lease", *words)
    assert (out.returncode, out.stderr) == (64, f"rcronctl: {said}; nothing changed\n")
    assert node.state_file.read_text() == "active\n"


def test_a_clusters_other_feeder_is_not_overruled(node: Any) -> None:
    node.configure("feeder_name = keepalived")
    node.become("active")
    node.ctl("feed", "lease", "leave")
    assert node.state_file.read_text() == "active\n"
