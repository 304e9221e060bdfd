# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Entries and when they were due, from what `rcronctl metrics` prints."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import due
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs

from rcron import metrics

TEXT = r"""# HELP rcron_entry_due_timestamp_seconds When the entry was last due.
# TYPE rcron_entry_due_timestamp_seconds gauge
rcron_entry_due_timestamp_seconds{cluster_name="billing",entry="nightly \\ \"x\"\n"} 1767323940
rcron_entry_last_start_timestamp_seconds{cluster_name="billing",entry="nightly \\ \"x\"\n"} 1767323941.125
rcron_entry_last_start_timestamp_seconds{cluster_name="mail",entry="root-0a1b2c3d"} 5
rcron_entry_last_success_timestamp_seconds{cluster_name="mail",entry="root-0a1b2c3d"} 6
rcron_entry_due_timestamp_seconds{cluster_name="mail"} 7
"""


def test_entries_are_read() -> None:
    assert due.read(TEXT) == [
        {"cluster": "billing", "entry": 'nightly \\ "x"\n', "due": 1767323940.0, "started": 1767323941.125},
        {"cluster": "mail", "entry": "root-0a1b2c3d", "due": None, "started": 5.0},
    ]


def test_node_is_asked_only_if_it_keeps_metrics(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    asked = []
    monkeypatch.setattr(due, "COUNTERS", str(tmp_path / "metrics.json"))
    monkeypatch.setattr(programs, "output", lambda *words: asked.append(words) or TEXT)
    assert due.entries("/usr/bin/rcronctl", "/etc/rcron/rcron.conf") is None
    assert asked == []
    (tmp_path / "metrics.json").write_text("")
    assert len(due.entries("/usr/bin/rcronctl", "/etc/rcron/rcron.conf") or []) == 2
    assert asked == [("/usr/bin/rcronctl", "--conf", "/etc/rcron/rcron.conf", "metrics")]


def test_node_that_does_not_answer_has_no_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    def output(*_words: str) -> str:
        raise programs.FailedError("failed")

    monkeypatch.setattr(due, "COUNTERS", str(tmp_path))
    monkeypatch.setattr(due.os.path, "isfile", lambda _path: True)
    monkeypatch.setattr(programs, "output", output)
    assert due.entries("/usr/bin/rcronctl", "/etc/rcron/rcron.conf") is None


def test_what_rcronctl_prints_is_understood() -> None:
    name = 'a \\ "b" \n c'
    when = {"due": 1767323940.0, "last_start": 1767323941.125}
    printed = metrics.text(
        metrics.Sample(f"rcron_entry_{what}_timestamp_seconds", {"cluster_name": "my billing", "entry": name}, value)
        for what, value in when.items()
    )
    assert due.read(printed) == [
        {"cluster": "my billing", "entry": name, "due": when["due"], "started": when["last_start"]}
    ]
