# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp's up and down scripts become states."""

from typing import Any

import pytest


def test_up_makes_the_node_active_and_down_makes_it_passive(node: Any) -> None:
    out = node.ctl("feed", "ucarp", "up", "eth0", "192.0.2.10", umask=0o177)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.state_file.read_text() == "active\n"
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    node.ctl("feed", "ucarp", "down", "eth0", "192.0.2.10")
    assert node.state_file.read_text() == "passive\n"
    assert node.log() == [
        "9.6 cluster=c1 state=active status=changed event=ucarp:up eth0 192.0.2.10",
        "9.6 cluster=c1 state=passive status=changed event=ucarp:down eth0 192.0.2.10",
    ]


@pytest.mark.parametrize("parameter", ["billing", "--daemon", "-x", "", "two words"])
def test_an_xparam_is_recorded_and_means_nothing(node: Any, parameter: str) -> None:
    assert node.ctl("feed", "ucarp", "up", "eth0", "192.0.2.10", parameter).returncode == 0
    assert node.state_file.read_text() == "active\n"
    assert node.log()[-1].endswith(f"event=ucarp:up eth0 192.0.2.10 {parameter}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "0 words, but ucarp's scripts give up|down INTERFACE ADDRESS [XPARAM]"),
        (["up"], "1 words, but"),
        (["up", "eth0", "192.0.2.10", "x", "y"], "5 words, but"),
        (["UP", "eth0", "192.0.2.10"], "not up or down: UP"),
        (["eth0", "192.0.2.10", "up"], "not up or down: eth0"),
    ],
)
@pytest.mark.parametrize("state", ["active", "passive"])
def test_what_no_script_is_given_is_logged_and_changes_nothing(
    node: Any, words: "list[str]", said: str, state: str
) -> None:
    node.become(state)
    out = node.ctl("feed", "ucarp", *words)
    assert out.returncode == 64
    assert out.stderr.startswith(f"rcronctl: ucarp: {said}")
    assert out.stderr.endswith("; nothing changed\n")
    assert said in node.log()[-1]
    assert node.state_file.read_text() == state + "\n"


@pytest.mark.parametrize("number", ["1", "99999999999", "x"])
def test_a_script_of_before_the_agent_may_name_ucarps_process(node: Any, number: str) -> None:
    assert node.ctl("feed", "ucarp", "--daemon", number, "up", "eth0", "192.0.2.10").returncode == 0
    assert node.state_file.read_text() == "active\n"
    assert "\npid=0\n" in (node.folder / "run" / "state.feeder").read_text()
