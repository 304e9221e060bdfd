# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""No feeder: every node is active if runs have to be claimed."""

import pathlib

import pytest

from rcron import settings
from rcron.agent import clusters
from rcron.settings import ACTIVE, ConfigError


def cluster_of(folder: pathlib.Path, mode: str, more: str = "") -> clusters.Cluster:
    """A cluster without a feeder."""
    (folder / "rcron.conf").write_text(f"state_file = {folder}/state\nclaim = {mode}\n")
    (folder / "c1.conf").write_text(f"conf = {folder}/rcron.conf\nfeeder = claim\n{more}")
    return clusters.load("c1", str(folder / "c1.conf"))


def test_every_node_is_active(tmp_path: pathlib.Path) -> None:
    truth = clusters.truth_of(cluster_of(tmp_path, "required"))
    answer = truth.ask()
    assert answer.state == ACTIVE
    assert not truth.leaves


@pytest.mark.parametrize("mode", [settings.OFF, "preferred"])
def test_not_if_runs_need_not_be_claimed(tmp_path: pathlib.Path, mode: str) -> None:
    with pytest.raises(ConfigError, match=f"claim is {mode}, and without a feeder .*; write claim = required"):
        clusters.truth_of(cluster_of(tmp_path, mode))


def test_it_has_no_options(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match='unknown name "place"; take one of conf, feeder'):
        cluster_of(tmp_path, "required", "place = 1\n")
