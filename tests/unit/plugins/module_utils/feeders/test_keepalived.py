# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is seen in a keepalived.conf."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import keepalived

HOST = os.uname().nodename.partition(".")[0]
COMMAND = "/usr/bin/env /usr/bin/rcronctl feed keepalived --instance VI_1"
LINE = f'notify "{COMMAND}" root'
FOLLOW = {"kind": "instance", "name": "VI_1", "conf": "/etc/rcron/rcron.conf", "line": LINE}
GROUP_LINE = 'notify "/usr/bin/env /usr/bin/rcronctl --conf /etc/rcron/mail.conf feed keepalived --group VG" root'
GROUP = {"kind": "group", "name": "VG", "conf": "/etc/rcron/mail.conf", "line": GROUP_LINE}


@pytest.fixture
def inspect(tmp_path, systemctl):
    """Return a function that looks at a keepalived.conf, and other files in its folder."""

    def run(text: str, *follow: dict, **texts: str) -> dict:
        for name, content in {"keepalived": text, **texts}.items():
            (tmp_path / f"{name}.conf").write_text(content)
        options = {
            "conf": str(tmp_path / "keepalived.conf"),
            "hook": str(tmp_path / "rcron.conf"),
            "backup": str(tmp_path / "backup"),
            "mark": "# ours",
            "service": "no-such-unit",
            "rcronctl": "/usr/bin/rcronctl",
            "follow": follow,
        }
        return json.loads(json.dumps(keepalived.inspect(options)).replace(str(tmp_path), ""))

    return run


@pytest.mark.parametrize(
    ("text", "instances"),
    [
        ("vrrp_instance VI_1 {\n}\n", ["VI_1"]),
        ("vrrp_instance VI_1\n{\n}\n", ["VI_1"]),
        ('vrrp_instance "VI 1" { state BACKUP }', ["VI 1"]),
        ("# vrrp_instance VI_1 {\n! vrrp_instance VI_2 {\n", []),
        ('notify "a # b" root # c\nvrrp_instance VI_1{', ["VI_1"]),
        (f"@{HOST} vrrp_instance VI_1 {{\n@other vrrp_instance VI_2 {{\n", ["VI_1"]),
        (f"@^{HOST} vrrp_instance VI_1 {{\n@^other vrrp_instance VI_2 {{\n", ["VI_2"]),
        ("$NAME=VI_1\nvrrp_instance $NAME {\n}\nvrrp_instance ${NAME}_b {\n}\n", ["VI_1", "VI_1_b"]),
        (f"@{HOST} $NAME=here\n@other $NAME=there\nvrrp_instance $NAME {{\n", ["here"]),
        (
            "$BLOCK= \\\n vrrp_instance VI_${N} { \\\n state BACKUP \\\n }\n$N=1\n$BLOCK\n$N=2\n$BLOCK\n",
            ["VI_1", "VI_2"],
        ),
        ("$A=$A\n$B=b $C\n$C=c $B\n$A\n$B\nvrrp_instance VI_1 {\n", ["VI_1"]),
        ("include parts*.conf\n", ["VI_1", "VI_2"]),
        ("include no-such-file\nvrrp_instance VI_1 {\n}\n", ["VI_1"]),
    ],
)
def test_instances_are_those_that_keepalived_sees(inspect, text: str, instances: list[str]) -> None:
    parts = {"parts1": "include keepalived.conf\nvrrp_instance VI_1 {\n}\n", "parts2": "vrrp_instance VI_2 {\n}"}
    assert inspect(text, **parts)["instances"] == instances


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("global_defs {\n  vrrp_notify_fifo /run/x\n}\n", "/keepalived.conf:2"),
        ("global_defs { vrrp_notify_fifo /run/x }\n", "/keepalived.conf:1"),
        ("global_defs {\n  # vrrp_notify_fifo /run/x\n  vrrp_notify_fifo_script /x\n}\n", ""),
        ("global_defs {\n  @other vrrp_notify_fifo /run/x\n}\n", ""),
        ("include defs.conf\n", "/defs.conf:1"),
        ("include rcron.conf\n", ""),  # our own
    ],
)
def test_a_fifo_is_seen_where_it_is_this_hosts(inspect, text: str, where: str) -> None:
    ours = "# ours\nglobal_defs { vrrp_notify_fifo /run/rcron }\n"
    assert inspect(text, defs="vrrp_notify_fifo /run/x", rcron=ours)["fifo"] == where


def instance(*lines: str) -> str:
    return "\n".join(["vrrp_instance VI_1 {", *lines, "}", ""])


@pytest.mark.parametrize(
    "text",
    [
        instance(LINE),
        instance('notify "/usr/local/bin/log /usr/bin/rcronctl feed keepalived --instance=VI_1" root root'),
        instance('notify "/bin/env /usr/bin/rcronctl feed keepalived --instance VI_1=/etc/rcron/rcron.conf" root'),
        instance(
            'notify "/usr/bin/env /usr/bin/rcronctl --conf=/etc/rcron/rcron.conf feed keepalived --instance VI_1" root'
        ),
        "global_defs {\n script_user root\n}\n" + instance(LINE.removesuffix(" root")),
        instance(f"@{HOST} {LINE}"),
        instance(
            "notify /usr/local/bin/own",
            *(
                f'notify_{word.lower()} "{COMMAND} INSTANCE VI_1 {word} 0" root'
                for word in ("MASTER", "BACKUP", "FAULT", "STOP")
            ),
        ),
    ],
)
def test_an_instance_that_calls_rcron_is_taken(inspect, text: str) -> None:
    assert inspect(text, FOLLOW)["silent"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (instance(), f"vrrp_instance VI_1 (/keepalived.conf:1) does not call rcron: add to it the line {LINE}"),
        (instance(f"@other {LINE}"), f"does not call rcron: add to it the line {LINE}"),
        (LINE + "\n" + instance(), "vrrp_instance VI_1 (/keepalived.conf:2) does not call rcron"),
        (instance(LINE.replace("VI_1", "VI_2")), "keepalived takes only one"),
        (instance(LINE.replace("rcronctl", "rcronctl --conf /etc/rcron/x.conf")), "keepalived takes only one"),
        (instance(LINE.removesuffix(" root")), "/keepalived.conf:2 names no user, and only root may write the state"),
        (
            instance(LINE.replace("/usr/bin/env ", "")),
            "/keepalived.conf:2 runs /usr/bin/rcronctl, a link that keepalived",
        ),
        (instance(LINE.replace(" root", " nobody")), "/keepalived.conf:2 runs it as nobody, and only root"),
        (
            instance("notify /usr/local/bin/own"),
            f"has another notify, /keepalived.conf:2, and keepalived takes only one: put {LINE} in its place, or add"
            f' the lines notify_master "{COMMAND} INSTANCE VI_1 MASTER 0" root; notify_backup ',
        ),
        (
            instance(
                'notify_master "/usr/bin/env /usr/bin/rcronctl feed keepalived --instance VI_1 INSTANCE VI_1 MASTER 0"'
            ),
            "does not call rcron",
        ),
    ],
)
def test_an_instance_that_does_not_is_reported_with_what_to_add(inspect, text: str, said: str) -> None:
    assert said in " ".join(inspect(text, FOLLOW)["silent"])


def test_what_is_asked_for_is_enough(inspect) -> None:
    """Whichever of the lines that are asked for is added."""
    own = "notify /usr/local/bin/own"
    said = inspect(instance(own), FOLLOW)["silent"][0]
    lines = said.partition("add the lines ")[2].split("; ")
    assert len(lines) == 4
    assert inspect(instance(own, *lines), FOLLOW)["silent"] == []
    group = "vrrp_sync_group VG {\n group {\n  VI_1\n }\n%s\n}\n" + instance()
    said = inspect(group % "", GROUP)["silent"][0]
    assert said == f"vrrp_sync_group VG (/keepalived.conf:1) does not call rcron: add to it the line {GROUP_LINE}"
    assert inspect(group % GROUP_LINE, GROUP)["silent"] == []


@pytest.mark.parametrize(("mark", "priorities"), [("# ours\n", {"VI_1": 200, "VI_2": 180}), ("", {})])
def test_priorities_are_read_from_the_roles_own_file(inspect, mark: str, priorities: dict) -> None:
    text = "vrrp_instance VI_1 {\n    priority 200\n}\nvrrp_instance VI_2 {\n priority 180\n track { priority 7\n}\n}\n"
    text += "vrrp_instance VI_3 {\n    priority many\n}\n"
    assert inspect(mark + text)["priorities"] == priorities


@pytest.mark.parametrize(("mark", "peers"), [("# ours\n", {"n2": "192.0.2.12", "n3": "2001:db8::3"}), ("", {})])
def test_the_peers_are_read_from_the_roles_own_file(inspect, mark: str, peers: dict) -> None:
    text = "vrrp_instance VI_1 {\n    unicast_src_ip 192.0.2.11\n    unicast_peer {\n"
    text += "        192.0.2.12 # n2\n        2001:db8::3 # n3\n        192.0.2.14\n    }\n}\n"
    assert inspect(mark + text)["peers"] == peers
