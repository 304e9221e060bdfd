# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Anything may stand in the place of a file that is looked at. The answer comes soon, and is an answer or a reason."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import heartbeat, pacemaker, patroni, ucarp
from ansible_collections.rcron.cluster.plugins.module_utils.node import files
from ansible_collections.rcron.cluster.plugins.modules import rcron_feeder_info

MARK = "# Written by Ansible"

#: Seconds. A node that is busy with other tests is slow, and one that waits for a FIFO never answers.
SOON = 30

#: For each feeder, each file that is looked at, with a text that makes sense there.
FILES = {
    ("heartbeat", "ha.d/ha.cf"): "crm yes\n",
    ("heartbeat", "ha.d/haresources"): "node1 rcron\n",
    ("heartbeat", "ha.d/rcron"): f"#!/bin/sh\n{MARK}\n",
    ("heartbeat", "before/haresources"): "node1 rcron\n",
    ("heartbeat", "before/unit"): "enabled running\n",
    ("keepalived", "keepalived.conf"): "include part.conf\nvrrp_instance VI_1 {\n notify x root\n}\n",
    ("keepalived", "part.conf"): "vrrp_instance VI_2 {\n}\n",
    ("keepalived", "hook.conf"): f"{MARK}\n",
    ("keepalived", "default"): "DAEMON_ARGS='-i here'\n",
    ("lease", "agent.d/lease.conf"): f"{MARK}\n",
    ("pacemaker", "script"): f"#!/bin/sh\n{MARK}\n",
    ("pacemaker", "corosync.conf"): f"{MARK}\n",
    ("pacemaker", "cib.xml"): '<primitive id="a"/>',
    ("patroni", "conf.d/a.yml"): "postgresql: {callbacks: {on_start: /a}}\n",
    ("patroni", "conf.d/zz-rcron.yml"): f"{MARK}\n",
    ("patroni", "patroni"): "#!PYTHON\n",
    ("patroni", "record"): "feeder=patroni\n",
    ("ucarp", "interfaces"): "up HOOK\n",
    ("ucarp", "x-up"): f"#!/bin/sh\n{MARK}\n",
    ("wackamole", "wackamole.conf"): "PerlUse Rcron\n",
    ("wackamole", "Rcron.pm"): f"{MARK}\n",
}


@pytest.fixture
def node(tmp_path, systemctl, program, monkeypatch):
    """A folder with all of FILES, and the options with which each feeder looks at them."""
    for (_feeder, name), text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("HOOK", f"{tmp_path}/x-up").replace("PYTHON", sys.executable))
    exec_start = f"{{ path=/p ; argv[]={tmp_path}/patroni {tmp_path}/conf.d ; ignore_errors=no }}"
    systemctl(shown=f"MainPID=0\nLoadState=loaded\nExecStart={exec_start}")
    program("dpkg-query", "exit 1")
    monkeypatch.setattr(heartbeat, "DAEMONS", ())
    monkeypatch.setattr(rcron_feeder_info.keepalived, "DAEMON_OPTIONS", (f"{tmp_path}/default",))
    monkeypatch.setattr(pacemaker, "CIB", f"{tmp_path}/cib.xml")
    monkeypatch.setattr(ucarp, "PLACES", (f"{tmp_path}/interfaces",))
    return tmp_path


def look(node: pathlib.Path, feeder: str) -> dict | str:
    """Return the answer, or the reason why there is none."""
    options = {
        "claim": {},
        "heartbeat": {
            "folder": f"{node}/ha.d",
            "script": f"{node}/ha.d/rcron",
            "before": f"{node}/before",
            "service": "heartbeat",
            "times": {"keepalive": "2", "deadtime": "10", "initdead": "30"},
        },
        "keepalived": {
            "conf": f"{node}/keepalived.conf",
            "hook": f"{node}/hook.conf",
            "backup": f"{node}/backup",
            "service": "keepalived",
            "rcronctl": "/usr/bin/rcronctl",
            "follow": [{"kind": "instance", "name": "VI_1", "conf": "/c", "line": 'notify "x" root'}],
        },
        "lease": {"own": [f"{node}/agent.d/lease.conf"]},
        "pacemaker": {
            "script": f"{node}/script",
            "corosync_conf": f"{node}/corosync.conf",
            "authkey": f"{node}/authkey",
            "backup": f"{node}/backup",
        },
        "patroni": {"service": "patroni", "command": "rcronctl feed patroni", "record": f"{node}/record"},
        "ucarp": {"own": [f"{node}/x-up"], "hooks": [f"{node}/x-up"], "run": []},
        "wackamole": {
            "perl": "true",
            "module": f"{node}/Rcron.pm",
            "conf": f"{node}/wackamole.conf",
            "directives": ["PerlUse Rcron"],
        },
    }
    try:
        return rcron_feeder_info.look(feeder, {**options[feeder], "mark": MARK}, SOON)
    except rcron_feeder_info.InspectionError as error:
        return str(error)


def fifo(path: pathlib.Path) -> None:
    os.mkfifo(path)


def folder(path: pathlib.Path) -> None:
    path.mkdir()


def sparse(path: pathlib.Path) -> None:
    with open(path, "wb") as stream:
        stream.truncate(1 << 30)


def endless(path: pathlib.Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: pathlib.Path) -> None:
    path.symlink_to(path)


def socket_file(path: pathlib.Path) -> None:
    os.mknod(path, 0o140644)


#: What stands in the place of a file.
PLANTED = [fifo, folder, sparse, endless, loop, socket_file]

#: What is done to its text.
SPOILED = {
    "Latin-1": lambda text: text.replace("\n", " caf\xe9\n").encode("latin-1") + b"\xe9",
    "NUL": lambda text: text.replace(" ", " \0").encode() + b"\0",
    "NUL alone": lambda text: b"\0",
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
    "one endless line": lambda text: text.encode().rstrip() + b"a " * (1 << 18),
    "quotes": lambda text: b"\"'" * 10000 + text.encode(),
    "brackets": lambda text: b"{" * 10000 + b"}" * 20000 + text.encode(),
    "backslashes": lambda text: b"\\\n" * 10000 + text.encode(),
    "itself": lambda text: b"include *.conf\n$A=${A} $A \\\n $A\n$A\n" + text.encode(),
    "nothing": lambda text: b"",
}


def test_every_file_is_looked_at(node, monkeypatch):
    """If one were not, nothing of the below would hold."""
    looked_at = []
    read_head = files.read_head

    def noting(path: str, *size: int) -> bytes:
        looked_at.append((feeder, path.removeprefix(f"{node}/")))
        return read_head(path, *size)

    monkeypatch.setattr(files, "read_head", noting)
    for feeder in rcron_feeder_info.FEEDERS:
        assert isinstance(look(node, feeder), dict)
    assert set(FILES) <= set(looked_at)


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize(("feeder", "name"), FILES)
def test_what_stands_in_the_place_of_a_file_is_answered_for(node, feeder, name, plant):
    (node / name).unlink()
    plant(node / name)
    began = time.monotonic()
    answer = look(node, feeder)
    assert time.monotonic() - began < SOON
    json.dumps(answer).encode()
    assert "took more than" not in str(answer)
    if name in ("x-up", "hook.conf", "script") and plant is not loop:
        assert answer["foreign"] == [f"{node}/{name}"]
    if name in ("ha.d/ha.cf", "ha.d/haresources", "before/unit", "keepalived.conf") and plant is not loop:
        assert answer["error"].startswith(f"{node}/{name}: ")


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize(("feeder", "name"), FILES)
def test_a_file_with_anything_in_it_is_answered_for(node, feeder, name, spoil):
    path = node / name
    path.write_bytes(SPOILED[spoil](path.read_text()))
    began = time.monotonic()
    answer = look(node, feeder)
    assert time.monotonic() - began < SOON
    json.dumps(answer).encode()
    assert "took more than" not in str(answer)


def test_a_configuration_that_doubles_itself_has_an_end(node):
    (node / "keepalived.conf").write_text("$A= \\\n $A \\\n $A\n$A\n")
    began = time.monotonic()
    answer = look(node, "keepalived")
    assert "more than 50000 lines made of parameters" in answer["error"]
    assert time.monotonic() - began < SOON


def test_files_that_include_each_other_without_end_have_one(node):
    for number in range(200):
        (node / f"n{number}.conf").write_text(f"include n{number + 1}.conf\n")
    (node / "keepalived.conf").write_text("include n0.conf\n")
    assert "includes more than 100 files inside each other" in look(node, "keepalived")["error"]


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 5000, "? " * 3000, "a: &a {b: *a}\n", "- 1\n", "postgresql: 3\n", "x: \0", "1: {\xe9: 1}"]
)
def test_patroni_s_configuration_may_be_any_yaml(node, text):
    (node / "conf.d" / "a.yml").write_text(text)
    answer = look(node, "patroni")
    assert answer["missing"] == list(patroni.ACTIONS)
    assert "Traceback" not in answer["error"]
