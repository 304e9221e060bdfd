# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the tests of a running cluster share. The scenarios in molecule/ run them, with --hosts=podman://NAME,…"""

import os
import subprocess
from collections.abc import Callable

import pytest
from nodes import Cluster, Node

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]


def nodes(config: pytest.Config) -> list[Node]:
    """The nodes that --hosts names."""
    return [Node(name.removeprefix("podman://")) for name in config.getoption("--hosts").split(",")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the argument `node` on each node, and name it after the node."""
    if "node" in metafunc.fixturenames:
        names = [node.name for node in nodes(metafunc.config)]
        metafunc.parametrize("node", range(len(names)), ids=names, indirect=True)


@pytest.fixture
def node(cluster: Cluster, request: pytest.FixtureRequest) -> Node:
    """One node after the other; one of `cluster`'s."""
    return cluster.nodes[request.param]


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
