# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module makes of its options and of an inspector's answer, and that Ansible brings all inspectors along."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time

import pytest
import yaml
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.modules import rcron_feeder_info

MARK = "# Written by Ansible"


@pytest.fixture
def options(tmp_path):
    """For each feeder, options that name nothing that exists."""
    path = str(tmp_path / "none")
    return {
        "claim": {"mark": MARK},
        "heartbeat": {
            "folder": path,
            "script": path,
            "before": path,
            "mark": MARK,
            "service": "none",
            "times": {"keepalive": 2, "deadtime": "10s", "initdead": 30},
        },
        "keepalived": {
            "conf": path,
            "hook": path,
            "backup": path,
            "mark": MARK,
            "service": "none",
            "rcronctl": path,
            "follow": [{"kind": "instance", "name": "VI_1", "conf": path, "line": 'notify "x" root'}],
        },
        "lease": {"own": [path], "mark": MARK},
        "pacemaker": {"script": path, "corosync_conf": path, "authkey": path, "backup": path, "mark": MARK},
        "patroni": {"service": "none", "command": "rcronctl feed patroni", "mark": MARK, "record": path},
        "ucarp": {"own": [path], "hooks": [path], "mark": MARK, "run": [path]},
        "wackamole": {"perl": path, "module": path, "conf": path, "mark": MARK, "directives": ["PerlUse Rcron"]},
    }


@pytest.fixture
def run(module, systemctl):
    """Return a function that runs the module in this process, and returns what it would tell Ansible."""
    return lambda **given: module(rcron_feeder_info.main, **given)


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl that knows no unit."""
    (tmp_path / "systemctl").write_text('#!/bin/sh\n[ "$1" = show ] || exit 3\necho LoadState=not-found\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")


FEEDERS = sorted(rcron_feeder_info.FEEDERS)


@pytest.mark.parametrize("feeder", FEEDERS)
@pytest.mark.parametrize("check_mode", [False, True])
def test_every_feeder_is_looked_at_without_a_change(run, options, feeder, check_mode):
    result = run(feeder=feeder, options=options[feeder], check_mode=check_mode)
    assert result["changed"] is False
    assert result["node"]


def test_return_describes_what_is_returned(run, options):
    documented = yaml.safe_load(rcron_feeder_info.RETURN)["node"]["contains"]
    described = {
        (feeder, key)
        for key, entry in documented.items()
        # A key whose description names no feeder is there for all of them.
        for feeder in re.findall(r"V\((\w+)\)", str(entry["description"])) or options
    }
    types = {"str": str, "bool": bool, "int": int, "list": list, "dict": (dict, type(None)), "raw": object}
    returned = set()
    for feeder, given in options.items():
        for key, value in run(feeder=feeder, options=given)["node"].items():
            returned.add((feeder, key))
            assert isinstance(value, types[documented[key]["type"]]), key
    assert returned == described


def test_documentation_names_every_feeder_and_every_option():
    documented = yaml.safe_load(rcron_feeder_info.DOCUMENTATION)["options"]
    assert documented["feeder"]["choices"] == FEEDERS
    said = documented["options"]["description"]
    for feeder, inspector in rcron_feeder_info.FEEDERS.items():
        (about,) = (text for text in said if text.startswith(f"V({feeder})"))
        assert {name for name in inspector.OPTIONS if f"C({name})" not in about} == {"mark"}


def test_examples_are_taken(run):
    tasks = [task for task in yaml.safe_load(rcron_feeder_info.EXAMPLES) if "rcron.cluster.rcron_feeder_info" in task]
    assert len(tasks) == 2
    for task in tasks:
        assert "node" in run(**task["rcron.cluster.rcron_feeder_info"])


@pytest.mark.parametrize(
    ("first_line", "is_foreign"),
    [
        (MARK, False),
        ("# Written by packaging/install.py: changes made here are lost at its next run.", False),
        ("#", True),
    ],
)
def test_a_role_takes_over_a_unit_from_the_script(run, options, tmp_path, first_line, is_foreign):
    unit = tmp_path / "rcron-agent.service"
    unit.write_text(f"{first_line}\n[Unit]\n")
    node = run(feeder="patroni", options=options["patroni"], files={str(unit): MARK})["node"]
    assert node["foreign"] == ([str(unit)] if is_foreign else [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_user_in_whose_folder_a_role_would_write_is_named(run, options, tmp_path, play):
    """With a link in his folder, he decides where root writes."""
    home, roots = tmp_path / "home", tmp_path / "roots"
    for folder in (home, roots):
        folder.mkdir()
    os.chown(home, 12345, 12345)
    (home / "conf.d").symlink_to(roots)
    path = str(home / "conf.d" / "zz-rcron.yml")
    why = f"{home} belongs to uid 12345, who could replace what the role writes there: chown root {home}"
    for feeder, given in (
        ("ucarp", {"writes": [path]}),
        ("ucarp", {"files": {path: MARK}}),
        ("patroni", {"options": {**options["patroni"], "conf": str(home / "conf.d")}}),
    ):
        assert run(**{"feeder": feeder, "options": options[feeder], **given})["node"]["exposed"] == why
    os.chown(home, 0, 0)
    assert run(feeder="ucarp", options=options["ucarp"], writes=[path])["node"]["exposed"] == ""
    # Without the protection: as the roles write.
    os.chown(home, 12345, 12345)
    play([{"ansible.builtin.copy": {"content": "mine", "dest": path, "owner": "root", "mode": "0644"}}])
    assert (roots / "zz-rcron.yml").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mark": None}, "options for ucarp: missing required arguments: mark"),
        ({"known": ["a"]}, "options for ucarp: known. Supported parameters include: hooks, mark, own, run."),
        ({"own": {"a": 1}}, "options for ucarp: argument 'own' is of type dict and"),
    ],
)
def test_options_that_a_feeder_does_not_take_are_refused(run, options, change, message):
    given = {name: value for name, value in {**options["ucarp"], **change}.items() if value is not None}
    failed = run(feeder="ucarp", options=given)
    assert failed["failed"]
    assert failed["msg"].startswith(message)


def test_a_feeder_that_there_is_not_is_refused(run):
    assert "value of feeder must be one of: claim, heartbeat, " in run(feeder="chance", options={})["msg"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ProgramError("systemctl did not end"), "systemctl did not end"),
        (IsADirectoryError(21, "Is a directory", "/etc/\udce4"), "/etc/\\xe4: Is a directory"),
        (OSError("no name"), "ucarp: no name"),
    ],
)
def test_a_node_without_an_answer_is_a_failure_with_a_reason(run, options, monkeypatch, error, message):
    def inspect(options):
        raise error

    monkeypatch.setattr(rcron_feeder_info.ucarp, "inspect", inspect)
    failed = run(feeder="ucarp", options=options["ucarp"])
    assert (failed["failed"], failed["msg"]) == (True, message)


def test_a_look_without_an_end_is_given_up(run, options, monkeypatch):
    monkeypatch.setattr(rcron_feeder_info.ucarp, "inspect", lambda options: time.sleep(60))
    monkeypatch.setattr(rcron_feeder_info, "TIME_LIMIT", 1)
    began = time.monotonic()
    failed = run(feeder="ucarp", options=options["ucarp"])
    assert failed["msg"] == "looking at ucarp took more than 1 s"
    assert time.monotonic() - began < 10


def test_a_byte_that_is_not_utf8_is_shown(run, options, monkeypatch):
    answer = {"users": ["/etc/\udce4:1"], "times": {"\udce4": None}, "uid": 0}
    monkeypatch.setattr(rcron_feeder_info.ucarp, "inspect", lambda options: answer)
    shown = {"users": ["/etc/\\xe4:1"], "times": {"\\xe4": None}, "uid": 0, "exposed": "", "left": [], "compared": {}}
    assert run(feeder="ucarp", options=options["ucarp"])["node"] == shown


def test_ansible_brings_every_feeder_to_the_host(play, options, systemctl, tmp_path):
    tasks = [
        {
            "rcron.cluster.rcron_feeder_info": {"feeder": feeder, "options": options[feeder]},
            "check_mode": number % 2 == 0,
        }
        for number, feeder in enumerate(FEEDERS)
    ]
    results = play(tasks, f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")
    assert [result.get("msg", "") for result in results] == [""] * len(FEEDERS)
    assert [result["changed"] for result in results] == [False] * len(FEEDERS)
    assert results[FEEDERS.index("keepalived")]["node"]["instances"] == []


def test_what_a_role_compares_is_described_by_mode_owner_and_content(run, options, tmp_path):
    folder = tmp_path / "agent.d"
    folder.mkdir(mode=0o750)
    file = folder / "rcron.conf"
    file.write_bytes(b"conf = \xff\n")
    file.chmod(0o640)
    (folder / "link").symlink_to(file)
    os.mkfifo(folder / "fifo")
    paths = [folder, file, folder / "link", folder / "fifo", folder / "missing"]
    node = run(feeder="claim", options=options["claim"], compares=[str(path) for path in paths])["node"]
    owner = f"{os.getuid()}:{os.stat(folder).st_gid}"
    digest = hashlib.sha256(b"conf = \xff\n").hexdigest()
    assert node["compared"] == {str(folder): f"0750 {owner}", str(file): f"0640 {owner} {digest}"}


@pytest.mark.parametrize(("complete", "left"), [(False, ["gone"]), (True, ["gone", "there"])])
def test_the_role_s_own_files_of_clusters_that_are_gone_are_found(run, options, tmp_path, complete, left):
    folder, conf = tmp_path / "agent.d", tmp_path / "rcron.conf"
    folder.mkdir()
    conf.touch()
    none = str(tmp_path / "none")
    for name, mark, named in (
        ("gone", MARK, none),
        ("there", MARK, str(conf)),
        ("wanted", MARK, none),
        ("theirs", "# mine", none),
    ):
        (folder / f"{name}.conf").write_text(f"{mark}\nconf = {json.dumps(named)}\nfeeder = claim\n")
    os.mkfifo(folder / "fifo.conf")
    wanted = {str(folder / "wanted.conf"): MARK}
    given = {"files": wanted, "clusters": str(folder), "complete": complete}
    node = run(feeder="claim", options=options["claim"], **given)["node"]
    assert node["left"] == [str(folder / f"{name}.conf") for name in left]
