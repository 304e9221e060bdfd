# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The keepalived.conf that the role rcron_keepalived writes, and its README's examples."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import run_playbook

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
            *("-m", "ansible.builtin.debug", "-a", "msg={{ (__rcron_keepalived_members | first).priority }}"),
            *(word for path in [ROLE / "defaults/main.yml", *NAMES] for word in ("-e", f"@{path}")),
            *("-e", "ansible_role_name=rcron.cluster.rcron_keepalived", "-e", f"role_path={ROLE}"),
        ],
        check=True,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build")},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found = dict(re.findall(r'^host(\d+) [^"]*"msg": "?(\d+)', said, re.MULTILINE))
    assert found == {str(number): str(max(1, 200 - number * step)) for number in asked}


def test_each_cluster_has_the_hosts_and_the_order_of_its_own_group_and_priorities_stay(tmp_path: Path) -> None:
    """One cluster has a new host between two others."""
    (tmp_path / "hosts").write_text("[rcron]\nnew\none\ntwo\n[billing]\none\nnew\ntwo\n[mail]\ntwo\none\n")
    recorded = {"one": {"VI_billing": 200, "VI_mail": 180}, "two": {"VI_billing": 180, "VI_mail": 200}, "new": {}}
    clusters = [
        {"instance": "VI_billing", "inventory_group": "billing"},
        {"instance": "VI_mail", "inventory_group": "mail", "conf": "/etc/rcron/mail.conf", "virtual_router_id": 52},
    ]
    variables = {
        "role_path": str(ROLE),
        "ansible_role_name": "rcron.cluster.rcron_keepalived",
        "rcron_keepalived_clusters": clusters,
        "recorded": recorded,
        "__feeder_interface": "eth0",
    }
    facts = {
        "__feeder_inspection": {"node": {"priorities": "{{ recorded[inventory_hostname] }}"}},
        "__feeder_address": "{{ 'address-of-' ~ inventory_hostname }}",
    }
    template = "{{ lookup('ansible.builtin.template', role_path ~ '/templates/keepalived.conf.j2') }}"
    copy = {"content": template, "dest": str(tmp_path / "{{ inventory_hostname }}.conf"), "mode": "0600"}
    new = {
        "delegate_to": "new",
        "delegate_facts": True,
        "run_once": True,
        "vars": {"inventory_hostname": "new"},
    }
    play = {
        "name": "Render",
        "hosts": "one,two",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), *map(str, NAMES)],
        "tasks": [
            {"name": "Note", "ansible.builtin.set_fact": facts, **new},
            {"name": "Note", "ansible.builtin.set_fact": facts},
            {"name": "Write", "ansible.builtin.copy": copy},
        ],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = run_playbook(tmp_path / "play.yml", os.environ["PATH"], "-i", "hosts", "-e", json.dumps(variables))
    assert done.returncode == 0, done.stdout
    shown = {
        host: re.findall(r"priority (\d+)|(address-of-\w+)(?: # \w+)?\n", (tmp_path / f"{host}.conf").read_text())
        for host in ("one", "two")
    }
    assert ["".join(found) for found in shown["one"]] == [
        *("200", "address-of-one", "address-of-new", "address-of-two"),
        *("180", "address-of-one", "address-of-two"),
    ]
    assert ["".join(found) for found in shown["two"]] == [
        *("180", "address-of-two", "address-of-one", "address-of-new"),
        *("200", "address-of-two", "address-of-one"),
    ]


HARMLESS = "(VI_1) No VIP specified; at least one is sensible"
INSECURE = "SECURITY VIOLATION - scripts are being executed but script_security not enabled."


def rendered(folder: Path, value: Any, **variables: Any) -> Any:
    """Return what a value of the role's variables becomes, given some of them."""
    copy = {"content": "{{ asked | to_json }}", "dest": str(folder / "answer"), "mode": "0600"}
    play = {
        "name": "Render",
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), *map(str, sorted((ROLE / "vars/main").iterdir()))],
        "vars": {"asked": value},
        "tasks": [{"name": "Write", "ansible.builtin.copy": copy}],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    done = run_playbook(folder / "play.yml", os.environ["PATH"], f"--extra-vars={json.dumps(variables)}")
    assert done.returncode == 0, done.stdout
    return json.loads((folder / "answer").read_text())


CLUSTERS = [
    {"instance": "VI_1"},
    {"instance": "VI_2", "virtual_ipaddress": ["192.0.2.9"]},
    {"instance": "VI_3", "virtual_ipaddress": []},
]


@pytest.mark.parametrize(("common", "bare"), [([], ["VI_1", "VI_3"]), (["192.0.2.8"], ["VI_3"])])
def test_instance_without_an_address_is_found_whoever_left_it_out(tmp_path: Path, common: list, bare: list) -> None:
    variables = {"rcron_keepalived_clusters": CLUSTERS, "rcron_keepalived_virtual_ipaddress": common}
    assert rendered(tmp_path, "{{ __rcron_keepalived_bare }}", **variables) == bare


@pytest.mark.parametrize(
    ("address", "hosts", "virtual", "passes"),
    [
        ("2001:db8::1", 2, [], False),
        ("2001:db8::1", 2, ["2001:db8::9"], True),
        ("2001:db8::1", 1, [], True),  # nobody to send adverts to: none of its file is IPv6
        ("192.0.2.1", 2, [], True),
    ],
)
def test_ipv6_without_a_virtual_address_is_refused_before_anything_is_changed(
    tmp_path: Path, address: str, hosts: int, virtual: list[str], passes: bool
) -> None:
    checks = yaml.safe_load((ROLE / "vars/main/checks.yml").read_text())["__rcron_keepalived_managed_checks"]
    check = next(check for check in checks if "IPv6" in check["message"])
    variables = {
        "__feeder_address": address,
        "__feeder_all_hosts": ["a", "b"][:hosts],
        "rcron_keepalived_virtual_ipaddress": virtual,
    }
    found = rendered(tmp_path, check, **variables)
    assert found["that"] is passes
    assert passes or f"its address is {address}" in found["message"]
    assert passes or "give VI_rcron one in rcron_keepalived_virtual_ipaddress" in found["message"]


@pytest.fixture(scope="module")
def validate(tmp_path_factory) -> dict[str, str]:
    """Return the commands that check a file before it replaces another."""
    commands = {
        "own": "{{ __rcron_keepalived_validate }}",
        "include": "{{ __rcron_keepalived_validate_include }}",
    }
    return rendered(tmp_path_factory.mktemp("validate"), commands, rcron_keepalived_clusters=CLUSTERS[:2])


@pytest.fixture
def judge(tmp_path: Path, validate: dict[str, str]):
    """Return a function that has one of the commands judge a file, and returns whether it accepts it, and its output.

    said, before: what keepalived says of the file, and of the file without its first line. end: its exit status.
    """
    keepalived = tmp_path / "bin/keepalived"
    keepalived.parent.mkdir()
    keepalived.write_text(
        '#!/bin/sh\n[ "$1 $2" = "--config-test --use-file" ] || exit 1\n'
        'case $(cat "$3") in ("include x"*) said=$SAID;; (*) said=$BEFORE END=$END_BEFORE;; esac\n'
        '[ -z "$said" ] || echo "$said" >&2\n[ "$END" != KILL ] || kill -KILL $$\nexit "$END"\n'
    )
    keepalived.chmod(0o755)
    file = tmp_path / "new.conf"
    file.write_text("include x\nvrrp_instance VI_1 {\n}\n")

    def run(name: str, said: str, before: str = "", end: str = "5", end_before: str = "5") -> tuple[bool, str]:
        words = shlex.split(validate[name] % file)
        variables = {"SAID": said, "BEFORE": before, "END": end, "END_BEFORE": end_before}
        environment = {"PATH": f"{keepalived.parent}:/usr/bin:/bin", **variables}
        ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert {path.name for path in tmp_path.iterdir()} <= {"bin", "new.conf", "play"}
        assert ran.stderr == ""
        return ran.returncode == 0, ran.stdout

    return run


@pytest.mark.parametrize("said", ["", HARMLESS, f"{HARMLESS}\n\n{HARMLESS}"])
def test_keepalived_conf_is_accepted_with_nothing_but_the_one_harmless_warning(judge, said: str) -> None:
    assert judge("own", said) == (True, "")
    assert judge("own", said, end="0") == (True, "")


@pytest.mark.parametrize(
    "said",
    [
        "(VI_1) No VIP specified; at least one is required",
        "(VI_2) No VIP specified; at least one is sensible",  # it has an address
        "(VIx1) No VIP specified; at least one is sensible",
        "(VI_1) no VIP specified; at least one is sensible",
        "(VI_1) No VIP specified; at least one is sensible, and Unknown interface!",
        "(/etc/keepalived/rcron.conf: Line 3) (VI_1) No VIP specified; at least one is sensible",
        "(Line 6) Config files missing '/etc/keepalived/rcron.conf'.",
        "(/etc/keepalived/rcron.conf: Line 3) Unknown keyword 'vrrp_notify_fifo_scripts'",
        "/etc/keepalived/rcron.conf",
        INSECURE,
        "(VI_1) Unknown interface!",
    ],
)
def test_keepalived_conf_is_refused_for_every_other_line(judge, said: str) -> None:
    for end in ("0", "5"):
        assert judge("own", f"{HARMLESS}\n{said}", end=end) == (False, f"{said}\n")


@pytest.mark.parametrize("name", ["own", "include"])
@pytest.mark.parametrize(("end", "status"), [("1", 1), ("4", 4), ("KILL", 137)])
def test_file_is_refused_if_keepalived_fails_without_a_word(judge, name: str, end: str, status: int) -> None:
    accepted, said = judge(name, "", end=end)
    assert (accepted, said.splitlines()[-1]) == (False, f"keepalived ends with exit status {status}")


@pytest.mark.parametrize("name", ["own", "include"])
def test_file_is_refused_if_there_is_no_keepalived(judge, tmp_path: Path, name: str) -> None:
    (tmp_path / "bin/keepalived").rename(tmp_path / "bin/elsewhere")
    accepted, said = judge(name, "")
    assert (accepted, said.splitlines()[-1]) == (False, "keepalived ends with exit status 127")


#: What keepalived says of a file that is somebody else's, and of the same file with one more line at its top.
OLD = "(/tmp/x/new.conf.before: Line 6) Unknown keyword 'foo'\n(Line 7) Config files missing 'conf.d/*.conf'.\n(V) odd"
NEW = "(/tmp/x/new.conf: Line 7) Unknown keyword 'foo'\n(Line 8) Config files missing 'conf.d/*.conf'.\n(V) odd"


@pytest.mark.parametrize("said", ["", NEW, f"{NEW}\n{INSECURE}", INSECURE])
def test_include_is_accepted_if_it_adds_nothing_but_the_one_harmless_warning(judge, said: str) -> None:
    assert judge("include", said, OLD, end="6") == (True, "")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "(Line 3) vrrp_notify_fifo already specified - ignoring /x",
            "vrrp_notify_fifo already specified - ignoring /x",
        ),
        ("(Line 1) Config files missing '/x/rcron.conf'.", "Config files missing '/x/rcron.conf'."),
        (f"{INSECURE} And more", f"{INSECURE} And more"),
        (f"(V) {INSECURE}", f"(V) {INSECURE}"),
        ("(Line 2) Unknown keyword 'fooo'", "Unknown keyword 'fooo'"),
        ("(Line x) (V) odd", "(Line x) (V) odd"),
        ("(V) od", "(V) od"),
    ],
)
def test_include_is_refused_for_every_other_line_that_it_adds(judge, said: str, shown: str) -> None:
    assert judge("include", f"{NEW}\n{said}\n{INSECURE}", OLD, end="6") == (False, f"{shown}\n")


def test_both_forms_are_refused_where_another_user_could_replace_keepalived_conf() -> None:
    """In the form `notify`, the role takes out of it what the other form has left there."""
    names = yaml.safe_load((ROLE / "vars/main/names.yml").read_text())
    assert names["__rcron_keepalived_writes"] == ["{{ rcron_keepalived_hook }}", "{{ rcron_keepalived_conf }}"]
