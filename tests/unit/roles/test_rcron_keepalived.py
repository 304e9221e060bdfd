# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_keepalived sees in a keepalived.conf, and its README's examples."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
ROLE = CHECKOUT / "roles/rcron_keepalived"
HOST = os.uname().nodename.partition(".")[0]
COMMAND = "/usr/bin/env /usr/bin/rcronctl feed keepalived --instance VI_1"
LINE = f'notify "{COMMAND}" root'
FOLLOW = {"kind": "instance", "name": "VI_1", "conf": "/etc/rcron/rcron.conf", "line": LINE}
GROUP_LINE = 'notify "/usr/bin/env /usr/bin/rcronctl --conf /etc/rcron/mail.conf feed keepalived --group VG" root'
GROUP = {"kind": "group", "name": "VG", "conf": "/etc/rcron/mail.conf", "line": GROUP_LINE}


@pytest.fixture
def inspect(tmp_path):
    """Return a function that has the role look at a keepalived.conf, and other files in its folder."""

    def run(text: str, *follow: dict, **files: str) -> dict:
        for name, content in {"keepalived": text, **files}.items():
            (tmp_path / f"{name}.conf").write_text(content)
        asked = {
            "conf": str(tmp_path / "keepalived.conf"),
            "hook": str(tmp_path / "rcron.conf"),
            "backup": str(tmp_path / "backup"),
            "mark": "# ours",
            "service": "no-such-unit",
            "rcronctl": "/usr/bin/rcronctl",
            "follow": follow,
            "known": ["rcron_keepalived_conf"],
            "unknown": [],
        }
        program = (ROLE / "files/inspect_node.py").read_text()
        ran = subprocess.run(
            [sys.executable, "-I", "-c", program],
            input=json.dumps(asked),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        return json.loads(ran.stdout.replace(str(tmp_path), ""))

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
def test_an_instance_that_does_not_is_told_of_with_the_mend(inspect, text: str, said: str) -> None:
    assert said in " ".join(inspect(text, FOLLOW)["silent"])


def test_the_mend_mends(inspect) -> None:
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


@pytest.mark.parametrize("form", ["fifo", "notify"])
def test_managed_file_tells_rcron_in_either_form(playbook, form: str) -> None:
    variables = {
        "role_path": str(ROLE),
        "rcron_keepalived_hook_form": form,
        "rcron_keepalived_clusters": [{"instance": "VI_1"}, {"instance": "VI_2", "conf": "/etc/rcron/mail.conf"}],
        "__rcron_keepalived_interface": "eth0",
        "__rcron_keepalived_source": "192.0.2.1",
    }
    files = [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")]
    template = "{{ lookup('ansible.builtin.template', role_path ~ '/templates/keepalived.conf.j2') }}"
    task = {"name": "Render", "ansible.builtin.debug": {"msg": template}}
    text = playbook({"vars_files": files, "tasks": [task]}, f"--extra-vars={json.dumps(variables)}").stdout
    told = (LINE, GROUP_LINE.replace("--group VG", "--instance VI_2"))
    assert [line.replace('"', '\\"') in text for line in told] == [form == "notify"] * 2
    assert ("include /etc/keepalived/rcron.conf" in text) == (form == "fifo")


def blocks(path: Path) -> list[str]:
    """The YAML examples of a README."""
    return re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize(("example", "name"), [("Deploy two", "converge.yml"), ("Take two", "remove_clusters.yml")])
def test_two_clusters_of_the_readme_are_those_that_the_scenario_deploys(example: str, name: str) -> None:
    """Line for line, but for the head of the file."""
    text = (CHECKOUT / "molecule/keepalived" / name).read_text()
    played = text[text.index("- name: ") :]
    assert [block for block in blocks(ROLE / "README.md") if f"- name: {example}" in block] == [played]


def test_inventory_of_the_readme_is_that_of_the_scenario() -> None:
    """But for how the nodes are made and reached, and for comments."""
    inventory = (CHECKOUT / "molecule/keepalived/inventory/hosts.yml").read_text()
    shown = next(block for block in blocks(ROLE / "README.md") if "    mail:\n" in block)
    reached = re.compile(r"^ *((ansible|node)_\w+:|#).*\n|^---\n|^\n|(?<=:) #.*", re.MULTILINE)
    assert reached.sub("", inventory) == shown


@pytest.mark.parametrize(("hosts", "step"), [(1, 20), (2, 20), (10, 20), (11, 19), (100, 2), (250, 1)])
def test_priorities_fall_by_as_much_as_there_is_room_for(tmp_path: Path, hosts: int, step: int) -> None:
    # A backup whose priority is one below another's waits 4 ms longer than that: both would take over at once.
    (tmp_path / "hosts").write_text("[rcron]\n" + "".join(f"host{number}\n" for number in range(hosts)))
    asked = sorted({0, min(1, hosts - 1), hosts - 1})
    said = subprocess.run(
        [
            *("ansible", "-i", tmp_path / "hosts", ",".join(f"host{number}" for number in asked), "-c", "local"),
            *("-m", "ansible.builtin.debug", "-a", "msg={{ __rcron_keepalived_priority }}"),
            *("-e", f"@{ROLE}/vars/main.yml"),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found = dict(re.findall(r'^host(\d+) [^"]*"msg": "?(\d+)', said, re.MULTILINE))
    assert found == {str(number): str(max(1, 200 - number * step)) for number in asked}
