# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found out about a Heartbeat."""

from __future__ import annotations

import os

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import heartbeat
from hypothesis import given
from hypothesis import strategies as st

import rcron.haresources

MARK = "# Written by Ansible"
TIMES = {"keepalive": "2", "deadtime": "10", "initdead": "30"}


@pytest.fixture
def folder(tmp_path):
    """Heartbeat's folder."""
    path = tmp_path / "ha.d"
    (path / "resource.d").mkdir(parents=True)
    (path / "before").mkdir()
    return path


@pytest.fixture
def inspect(folder, systemctl):
    """Return a function that looks at a Heartbeat, with other options where some are given."""

    def run(**others: object) -> dict:
        options = {
            "folder": str(folder),
            "script": f"{folder}/resource.d/rcron",
            "before": f"{folder}/before",
            "mark": MARK,
            "service": "heartbeat",
            "times": TIMES,
        }
        return heartbeat.inspect({**options, **others})

    return run


def test_a_node_without_heartbeat(inspect, monkeypatch):
    monkeypatch.setattr(heartbeat, "DAEMONS", ("/no/such/heartbeat",))
    found = inspect()
    assert sorted(found.pop("interfaces")) == sorted(os.listdir("/sys/class/net"))
    assert isinstance(found.pop("default_interface"), str)
    assert found == {
        "name": os.uname().nodename,
        "daemon": "",
        "installed": False,
        "running": False,
        "enabled": False,
        "there": [],
        "ours": False,
        "before": None,
        "owners": {},
        "named_before": [],
        "crm": "",
        "foreign": [],
        "times": "",
        "error": "",
    }


def test_a_node_with_one(inspect, folder, systemctl, monkeypatch):
    monkeypatch.setattr(heartbeat, "DAEMONS", ("/no/such/heartbeat", str(folder)))
    systemctl(active="heartbeat", enabled="heartbeat")
    (folder / "ha.cf").write_text("node a b\n")
    (folder / "haresources").write_text("A rcron rcron::/etc/rcron/b.conf\nb rcron 192.0.2.1\n")
    found = inspect()
    assert (found["daemon"], found["installed"]) == (str(folder), True)
    assert (found["running"], found["enabled"]) == (True, True)
    assert found["there"] == ["ha.cf", "haresources"]
    # The first line that names a resource decides, and Heartbeat takes names of nodes in either case.
    assert found["owners"] == {"rcron": "a", "rcron::/etc/rcron/b.conf": "a", "192.0.2.1": "b"}


@pytest.mark.parametrize(
    ("text", "ours"),
    [(f"{MARK}\ncrm no\n", True), ("crm no\n", False), (f"crm no\n# a\n# b\n{MARK}\n", False), ("", False)],
)
def test_a_configuration_is_the_role_s_by_its_mark(inspect, folder, text, ours):
    (folder / "ha.cf").write_text(text)
    assert inspect()["ours"] is ours


@pytest.mark.parametrize(
    ("text", "foreign"),
    [(None, False), ("", False), (f"#!/bin/sh\n{MARK}\n", False), ("#!/bin/sh\necho theirs\n", True)],
)
def test_a_script_is_somebody_s_without_the_mark(inspect, folder, text, foreign):
    if text is not None:
        (folder / "resource.d" / "rcron").write_text(text)
    assert bool(inspect()["foreign"]) is foreign


@pytest.mark.parametrize(
    ("text", "crm"),
    [
        ("crm yes\n", "crm yes"),
        ("crm respawn # Pacemaker\n", "crm respawn"),
        ("PaceMaker on\n", "PaceMaker on"),
        ("crm no\n", ""),
        ("crm OFF\n", ""),
        ("# crm yes\n", ""),
        ("crm\n", ""),
    ],
)
def test_the_directive_that_gives_the_decision_to_pacemaker(inspect, folder, text, crm):
    (folder / "ha.cf").write_text(text)
    assert inspect()["crm"] == crm


def test_what_was_there_before_the_role(inspect, folder):
    (folder / "before" / "haresources").write_text("a rcron::/etc/rcron/b.conf apache rcron\n")
    (folder / "before" / "unit").write_text("enabled stopped\n")
    found = inspect()
    assert found["named_before"] == ["rcron::/etc/rcron/b.conf", "rcron"]
    assert found["before"] == {"enabled": True, "running": False}
    (folder / "before" / "unit").write_text("disabled running\n")
    assert inspect()["before"] == {"enabled": False, "running": True}


def test_the_first_file_that_cannot_be_read_is_named(inspect, folder):
    (folder / "haresources").mkdir()
    (folder / "ha.cf").mkdir()
    assert inspect()["error"] == f"{folder}/haresources: Is a directory"


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ({}, ""),
        ({"keepalive": "500ms", "deadtime": "1500000us", "initdead": "1.5s"}, ""),
        ({"keepalive": "2m"}, "rcron_heartbeat_keepalive is 2m: take seconds, such as 2, or 500ms"),
        ({"keepalive": "0"}, "rcron_heartbeat_keepalive is 0: take seconds"),
        ({"initdead": ""}, "rcron_heartbeat_initdead is : take seconds"),
        ({"deadtime": "4"}, "rcron_heartbeat_deadtime is 4, and two packets come 2 apart"),
        ({"initdead": "9"}, "rcron_heartbeat_initdead is 9, less than rcron_heartbeat_deadtime"),
    ],
)
def test_times_are_held_against_each_other(inspect, times, wrong):
    found = inspect(times={**TIMES, **times})["times"]
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a rcron\n",
        "a rcron",
        "a\trcron  rcron::/x\n",
        "# a rcron\na rcron # b\n",
        "a rcron \\\n  apache # not a comment \\\n b\n",
        "a rcron\\",
        "a rcron \\\n",
        "a \u000b rcron\x0c\n",
        "a rcron\r\n",
    ],
)
def test_haresources_is_read_as_rcron_itself_reads_it(text):
    assert list(heartbeat.haresources(text)) == list(rcron.haresources.haresources(text))


@given(st.text("ab#\\\t \n\r\x00"))
def test_any_haresources_is_read_as_rcron_itself_reads_it(text):
    assert list(heartbeat.haresources(text)) == list(rcron.haresources.haresources(text))
