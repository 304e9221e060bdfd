# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module makes of its options, and of what becomes of a Patroni."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.modules import rcron_patroni_callbacks
from ansible_collections.rcron.cluster.plugins.modules.rcron_patroni_callbacks import AdoptionError, Patroni

URL = "http://192.0.2.1:8008"


@pytest.fixture
def adopted(monkeypatch):
    """Every Patroni that was adopted. It holds nothing in check mode."""
    made = []

    def adopt(self):
        made.append(self)
        return "active"

    monkeypatch.setattr(Patroni, "adopt", adopt)
    return made


def test_the_state_that_was_set_is_returned(module, adopted):
    result = module(rcron_patroni_callbacks.main, url=URL)
    assert (result["changed"], result["state"]) == (True, "active")
    assert adopted == [Patroni("patroni", "postgres", URL, "/usr/bin/rcronctl", "/etc/rcron/rcron.conf")]


def test_options_reach_it(module, adopted):
    words = {"service": "patroni@main", "user": "pg", "rcronctl_path": "/opt/rcronctl", "conf": "/etc/rcron/b.conf"}
    module(rcron_patroni_callbacks.main, url=URL, **words)
    assert adopted == [Patroni("patroni@main", "pg", URL, "/opt/rcronctl", "/etc/rcron/b.conf")]


def test_check_mode_leaves_patroni_alone(module, adopted):
    result = module(rcron_patroni_callbacks.main, url=URL, check_mode=True)
    assert (result["changed"], result["state"]) == (True, "")
    assert adopted == []


@pytest.mark.parametrize("error", [AdoptionError("its role changes"), ProgramError("its role changes")])
def test_an_error_is_a_failure(module, monkeypatch, error):
    def adopt(self):
        raise error

    monkeypatch.setattr(Patroni, "adopt", adopt)
    failed = module(rcron_patroni_callbacks.main, url=URL)
    assert (failed["failed"], failed["msg"]) == (True, "its role changes")


def test_without_a_url_nothing_is_done(module, adopted):
    assert module(rcron_patroni_callbacks.main)["msg"] == "missing required arguments: url"
    assert adopted == []
