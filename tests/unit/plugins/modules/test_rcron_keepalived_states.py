# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module makes of its options, and of what keepalived says."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.keepalived_states import Found
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.modules import rcron_keepalived_states
from ansible_collections.rcron.cluster.plugins.modules.rcron_keepalived_states import StatesError

FOLLOW = [{"kind": "group", "name": "VG"}]


@pytest.fixture
def handed_over(monkeypatch):
    """The arguments of every keepalived that was asked. It holds nothing in check mode."""
    made = []

    class Keepalived:
        def __init__(self, *arguments):
            self._arguments = arguments

        def hand_over(self):
            made.append(self._arguments)
            return [Found("instance", "VI_1", "MASTER"), Found("group", "V\udce4", "FAULT")]

    monkeypatch.setattr(rcron_keepalived_states, "Keepalived", Keepalived)
    return made


def test_what_keepalived_says_is_returned(module, handed_over):
    result = module(rcron_keepalived_states.main, follow=FOLLOW)
    assert result["changed"]
    assert result["states"] == [
        {"kind": "instance", "name": "VI_1", "state": "MASTER"},
        {"kind": "group", "name": "V\\xe4", "state": "FAULT"},
    ]
    follow = [{"kind": "group", "name": "VG", "conf": "/etc/rcron/rcron.conf", "line": None}]
    assert handed_over == [("keepalived", "", "/usr/bin/rcronctl", follow)]


def test_options_reach_it(module, handed_over):
    module(rcron_keepalived_states.main, follow=[], service="ka", fifo="/run/fifo", rcronctl_path="/opt/rcronctl")
    assert handed_over == [("ka", "/run/fifo", "/opt/rcronctl", [])]


def test_check_mode_leaves_keepalived_alone(module, handed_over):
    result = module(rcron_keepalived_states.main, follow=FOLLOW, check_mode=True)
    assert (result["changed"], result["states"]) == (True, [])
    assert handed_over == []


@pytest.mark.parametrize("error", [StatesError("nobody reads it"), ProgramError("nobody reads it")])
def test_an_error_is_a_failure(module, monkeypatch, error):
    def hand_over(self):
        raise error

    monkeypatch.setattr(rcron_keepalived_states.Keepalived, "hand_over", hand_over)
    failed = module(rcron_keepalived_states.main, follow=FOLLOW)
    assert (failed["failed"], failed["msg"]) == (True, "nobody reads it")


@pytest.mark.parametrize(
    ("follow", "message"),
    [
        ([{"kind": "instance"}], "missing required arguments: name found in follow"),
        ([{"kind": "track", "name": "x"}], "value of kind must be one of: instance, group, got: track found in follow"),
    ],
)
def test_what_cannot_be_followed_is_refused(module, handed_over, follow, message):
    assert module(rcron_keepalived_states.main, follow=follow)["msg"] == message
    assert handed_over == []
