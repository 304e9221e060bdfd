# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the tests of a running cluster share. The scenarios in molecule/ run them, with --hosts=podman://NAME,…"""

import os
import subprocess
from collections.abc import Callable

import pytest
from nodes import Cluster

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """All nodes together, where testinfra's `host` is one after the other."""
    return Cluster([name.removeprefix("podman://") for name in request.config.getoption("--hosts").split(",")])


@pytest.fixture(scope="session")
def play() -> Playbook:
    """Run ansible-playbook with the scenario's inventory and the words given; returns how it went and all it said."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["ansible-playbook", "--inventory", os.environ["RCRON_INVENTORY"], *words],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        )

    return run
