# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The keepalived.conf that the role rcron_keepalived writes, and its README's examples."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[3]
ROLE = CHECKOUT / "roles/rcron_keepalived"
NAMES = [CHECKOUT / "roles/_feeder/vars/main.yml", ROLE / "vars/main/names.yml"]
LINE = 'notify "/usr/bin/env /usr/bin/rcronctl feed keepalived --instance VI_1" root'
GROUP_LINE = 'notify "/usr/bin/env /usr/bin/rcronctl --conf /etc/rcron/mail.conf feed keepalived --group VG" root'


@pytest.mark.parametrize("form", ["fifo", "notify"])
def test_managed_file_tells_rcron_in_either_form(playbook, form: str) -> None:
    variables = {
        "role_path": str(ROLE),
        "ansible_role_name": "rcron.cluster.rcron_keepalived",
        "rcron_keepalived_hook_form": form,
        "rcron_keepalived_clusters": [{"instance": "VI_1"}, {"instance": "VI_2", "conf": "/etc/rcron/mail.conf"}],
        "__feeder_interface": "eth0",
        "__feeder_address": "192.0.2.1",
    }
    files = [str(ROLE / "defaults/main.yml"), *map(str, NAMES)]
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
            *(word for path in NAMES for word in ("-e", f"@{path}")),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found = dict(re.findall(r'^host(\d+) [^"]*"msg": "?(\d+)', said, re.MULTILINE))
    assert found == {str(number): str(max(1, 200 - number * step)) for number in asked}


@pytest.mark.parametrize(
    ("said", "accepted"),
    [
        ("", True),
        ("(VI_rcron) No VIP specified; at least one is sensible", True),
        ("(VI_rcron) No VIP specified; at least one is required", False),
        ("(VI_rcron) No VIP specified; at least one is sensible\nUnknown keyword 'x'", False),
    ],
)
def test_keepalived_conf_is_refused_for_all_but_the_one_harmless_warning(
    tmp_path: Path, said: str, accepted: bool
) -> None:
    tasks = yaml.safe_load((Path(__file__).parents[3] / "roles/rcron_keepalived/tasks/manage.yml").read_text())
    validate = next(task for task in tasks if task["name"] == "Write keepalived.conf")["ansible.builtin.template"][
        "validate"
    ]
    keepalived = tmp_path / "keepalived"
    keepalived.write_text('#!/bin/sh\n[ -z "$SAID" ] || echo "$SAID" >&2; exit 5\n')
    keepalived.chmod(0o755)
    words = shlex.split(validate.replace("{{ rcron_keepalived_hook }}", "/etc/keepalived/rcron.conf") % "new.conf")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SAID": said}
    assert (subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0) == accepted
