# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp's up and down scripts become states."""

import pathlib
import subprocess
from typing import Any

import pytest
from waiting import wait_until


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


def test_the_node_turns_passive_when_ucarp_is_killed(node: Any, tmp_path: pathlib.Path) -> None:
    # A process that is called ucarp, and whose script hands its words on without knowing its number.
    daemon = tmp_path / "ucarp"
    script = tmp_path / "up"
    script.write_text(f'#!/bin/sh\n{node.rcronctl} --conf {node.conf} feed ucarp up "$@"\n')
    script.chmod(0o755)
    daemon.write_text(f"#!/bin/sh\n{script} eth0 192.0.2.10\nread -r _\n")
    daemon.chmod(0o755)
    process = subprocess.Popen([daemon], stdin=subprocess.PIPE)
    wait_until(lambda: node.state_file.exists() and node.state_file.read_text() == "active\n", "up is applied")
    record = tmp_path / "run" / "state.feeder"
    wait_until(lambda: record.exists() and f"daemon={process.pid} " in record.read_text(), "it is watched")
    process.kill()
    process.communicate()
    wait_until(lambda: node.state_file.read_text() == "passive\n", "its end is noticed")
    wait_until(
        lambda: node.log()[-1] == "9.6 cluster=c1 state=passive status=changed event=ucarp:ended", "it is logged"
    )


def test_ucarp_may_be_named_by_its_number_and_be_dead_already(node: Any) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert node.ctl("feed", "ucarp", "--daemon", str(process.pid), "up", "eth0", "192.0.2.10").returncode == 0
    wait_until(lambda: node.state_file.read_text() == "passive\n", "nobody stays active for a ucarp that is dead")


@pytest.mark.parametrize("number", ["99999999999", "9999999999999999999999", "-1"])
def test_a_number_that_no_process_can_have_is_that_of_a_dead_ucarp(node: Any, number: str) -> None:
    """The process that a hook leaves behind died of it, and the node stayed active for ever."""
    assert node.ctl("feed", "ucarp", "--daemon", number, "up", "eth0", "192.0.2.10").returncode == 0
    wait_until(lambda: node.state_file.read_text() == "passive\n", "nobody stays active for a ucarp that cannot be")
