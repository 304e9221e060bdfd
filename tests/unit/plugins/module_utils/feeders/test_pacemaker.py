# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found out about a Corosync and a Pacemaker."""

from __future__ import annotations

import hashlib
import ipaddress
import pathlib

import jinja2
import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import pacemaker
from ansible_collections.rcron.cluster.plugins.module_utils.node import network, programs

MARK = "# Written by Ansible"
ROLE = pathlib.Path(__file__).parents[5] / "roles/rcron_pacemaker"


@pytest.fixture
def inspect(tmp_path, systemctl, program, monkeypatch):
    """Return a function that looks at a cluster, and the paths that it is told."""
    program("dpkg-query", "exit 1")
    monkeypatch.setattr(pacemaker, "CIB", str(tmp_path / "cib.xml"))
    options = {name: str(tmp_path / name) for name in ("script", "corosync_conf", "authkey", "backup")}

    def run() -> dict:
        return pacemaker.inspect({**options, "mark": MARK})

    return run


def test_a_node_without_a_cluster(inspect, monkeypatch):
    monkeypatch.setattr(programs, "DAEMON_PATH", "/no/such")
    found = inspect()
    assert found.pop("address") == "" or ipaddress.IPv4Address(network.default_address())
    assert found == {
        "installed": False,
        "running": False,
        "enabled": False,
        "enabled_before": False,
        "foreign": [],
        "managed": False,
        "nodes": {},
        "peers": {},
        "untouched": True,
        "backup": False,
        "authkey": False,
        "quorum_policy": "stop",
    }


def test_all_programs_and_both_daemons_count(inspect, program, systemctl, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "DAEMON_PATH", str(tmp_path / "programs"))
    for name in pacemaker.PROGRAMS[1:]:
        program(name, "")
    systemctl(active="pacemaker", enabled="corosync")
    found = inspect()
    assert (found["installed"], found["running"], found["enabled"]) == (False, False, False)
    program(pacemaker.PROGRAMS[0], "")
    systemctl(active="pacemaker corosync", enabled="corosync pacemaker")
    found = inspect()
    assert (found["installed"], found["running"], found["enabled"]) == (True, True, True)


def test_files_are_told_apart_by_the_mark(inspect, tmp_path):
    (tmp_path / "script").write_text(f"#!/bin/sh\n{MARK}\n")
    (tmp_path / "corosync_conf").write_text(f"{MARK}\ntotem {{\n")
    (tmp_path / "authkey").write_text("key")
    (tmp_path / "backup").write_text("")
    found = inspect()
    assert (found["foreign"], found["managed"], found["authkey"], found["backup"]) == ([], True, True, True)
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "corosync_conf").write_text("totem {\n")
    found = inspect()
    assert (bool(found["foreign"]), found["managed"]) == (True, False)
    (tmp_path / "script").unlink()
    (tmp_path / "script").symlink_to("nowhere")
    assert inspect()["foreign"]


@pytest.mark.parametrize("now", ["", "corosync pacemaker"])
@pytest.mark.parametrize("before", [True, False])
def test_the_role_s_own_file_says_how_it_was_at_boot(inspect, systemctl, tmp_path, before, now):
    systemctl(active="", enabled=now)
    assert inspect()["enabled_before"] == bool(now)
    template = (ROLE / "templates/corosync.conf.j2").read_text()
    node = {"enabled_before": before}
    text = jinja2.Environment(trim_blocks=True, autoescape=False).from_string(template)  # noqa: S701 - no HTML
    (tmp_path / "corosync_conf").write_text(text.render(__feeder_mark=MARK, __feeder_node=node, __feeder_hosts=[]))
    assert inspect()["enabled_before"] == before


def test_the_nodes_are_read_from_the_role_s_own_file(inspect, tmp_path):
    text = "totem {\n}\n\nnodelist {\n"
    for number, name in ((1, "n1"), (3, "n3")):
        text += f"    node {{\n        name: {name}\n        nodeid: {number}\n"
        text += f"        ring0_addr: 192.0.2.{number}\n    }}\n"
    (tmp_path / "corosync_conf").write_text(f"{MARK}\n{text}}}\n")
    assert inspect()["nodes"] == {
        "n1": {"name": "n1", "nodeid": "1", "ring0_addr": "192.0.2.1"},
        "n3": {"name": "n3", "nodeid": "3", "ring0_addr": "192.0.2.3"},
    }
    assert inspect()["peers"] == {"n1": "192.0.2.1", "n3": "192.0.2.3"}
    (tmp_path / "corosync_conf").write_text(text + "}\n")
    assert (inspect()["nodes"], inspect()["peers"]) == ({}, {})


def test_a_cluster_is_untouched_as_long_as_it_is_the_package_s(inspect, program, tmp_path):
    conf = tmp_path / "corosync_conf"
    conf.write_text("totem {\n}\n")
    assert not inspect()["untouched"]
    digest = hashlib.md5(conf.read_bytes(), usedforsecurity=False).hexdigest()
    program("dpkg-query", f"printf '\\n /etc/default/corosync 0\\n {conf} {digest}\\n'")
    assert inspect()["untouched"]
    conf.write_text("totem {\n# mine\n}\n")
    assert not inspect()["untouched"]


@pytest.mark.parametrize(
    ("cib", "untouched"),
    [
        ("<cib><resources/></cib>", True),
        ('<resources><primitive id="a"/></resources>', False),
        ("<template >", False),
        ("<primitives>", True),
    ],
)
def test_a_cluster_with_a_resource_is_somebody_s(inspect, tmp_path, cib, untouched):
    (tmp_path / "cib.xml").write_text(cib)
    assert inspect()["untouched"] is untouched


@pytest.mark.parametrize(
    ("cib", "policy"),
    [
        ('<nvpair id="x-no-quorum-policy" name="no-quorum-policy" value="ignore"/>', "ignore"),
        ('<nvpair value="freeze" name="no-quorum-policy" id="x"/>', "freeze"),
        ('<nvpair id="x" name="stonith-enabled" value="ignore"/>', "stop"),
        ("", "stop"),
    ],
)
def test_what_a_cluster_does_without_a_quorum(inspect, tmp_path, cib, policy):
    (tmp_path / "cib.xml").write_text(f"<cib><cluster_property_set>{cib}</cluster_property_set></cib>")
    assert inspect()["quorum_policy"] == policy


@pytest.mark.parametrize(
    ("shown", "address"),
    [
        ("2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0", "192.0.2.7"),
        ("2: eth0    inet 192.0.2.7/24 scope global eth0\n3: eth1    inet 198.51.100.7/24 scope global eth1", ""),
        ("", ""),
    ],
)
def test_without_a_default_route_the_only_address_is_taken(program, monkeypatch, shown, address):
    def connect(self, where):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(network.socket, "socket", type("Socket", (network.socket.socket,), {"connect": connect}))
    program("ip", f"cat <<'end'\n{shown}\nend")
    assert network.default_address() == address
