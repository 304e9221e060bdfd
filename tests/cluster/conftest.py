# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Fixtures for the tests of a running cluster. The scenarios in molecule/ run them, with --hosts=node://CONTAINER,…"""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import testinfra.backend
from nodes import IN_NODE, Cluster, Node
from testinfra.backend.base import BaseBackend, CommandResult
from waiting import wait_until

from tests.cluster.faults import TRIES, Watch
from tests.cluster.playbooks import Play
from tests.cluster.prometheus import LATE, Prometheus

SCHEME = "node://"


class NodeBackend(BaseBackend):  # type: ignore[misc]
    """Lets testinfra's `host` reach a node in the same way as our own `node` does."""

    NAME = "node"

    def __init__(self, name: str, *arguments: Any, **options: Any) -> None:
        """Take the container's name."""
        self.name = name
        super().__init__(name, *arguments, **options)

    def run(self, command: str, *arguments: str, **options: Any) -> CommandResult:
        """Run a shell's command."""
        command = self.get_command(command, *arguments)
        result = self.run_local("%s %s /bin/sh -c %s", IN_NODE, self.name, command)
        result.command = self.encode(command)
        return result


testinfra.backend.BACKENDS["node"] = f"{__name__}.{NodeBackend.__name__}"


def containers(config: pytest.Config) -> list[str]:
    """Return the names of the containers in --hosts."""
    return [host.removeprefix(SCHEME) for host in config.getoption("--hosts").split(",")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the argument `node` on each node, and name it after the node."""
    if "node" in metafunc.fixturenames:
        names = [Node(container).name for container in containers(metafunc.config)]
        metafunc.parametrize("node", range(len(names)), ids=names, indirect=True)
    if "watch" in metafunc.fixturenames:
        metafunc.parametrize("watch", range(TRIES), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only for a thorough run."""
    if TRIES > 1:
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def node(cluster: Cluster, request: pytest.FixtureRequest) -> Node:
    """Each node of `cluster` in turn."""
    index: int = request.param
    return cluster.nodes[index]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """All nodes together; testinfra's `host` is each of them in turn."""
    return Cluster(containers(request.config))


@pytest.fixture
def watch(cluster: Cluster) -> Iterator[Watch]:
    """What watches the nodes' states from now on. A test with it is run as often as faults are to be tried."""
    with Watch(cluster) as watch:
        yield watch


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster) -> Prometheus:
    """Prometheus on the third node, once it has the metrics of all three."""
    found = Prometheus(cluster.nodes[2])
    wait_until(lambda: found.value("count(rcron_active)") == 3.0, "Prometheus has three nodes' metrics", 2 * LATE)
    return found


@pytest.fixture
def settled(cluster: Cluster) -> Iterator[None]:
    """The first node is active, before and after a test."""
    cluster.settle(on=cluster.nodes[0])
    yield
    cluster.on_all(lambda node: node.run("rcronctl unpin; systemctl start keepalived"))
    cluster.settle(on=cluster.nodes[0])


@pytest.fixture(scope="session")
def mail(request: pytest.FixtureRequest) -> Cluster:
    """The second cluster of the same nodes, if the scenario has one."""
    return Cluster(containers(request.config), "mail")


@pytest.fixture(scope="session")
def play() -> Play:
    """Run ansible-playbook with the scenario's inventory and these words; returns the process with all its output."""

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
