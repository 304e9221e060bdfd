# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_claims, on a host whose modules answer what a test says."""

from __future__ import annotations

import json
import pathlib
import re
import stat

import pytest

ROLE = "rcron.cluster.rcron_claims"

#: The host's "Python": it prints the answer for the module that it is to run, or the answer for any.
INTERPRETER = """\
#!/bin/sh
module=${1##*/AnsiballZ_}
cat "$0.${module%.py}" 2>/dev/null || cat "$0.any"
"""

NODE = {
    "uid": 0,
    "words": "3 of 3 members",
    "remarks": [],
    "problem": "",
    "lacks": "",
    "user": None,
    "shared": [],
    "foreign": [],
    "exposed": "",
}
#: What is at each path of the host, if anything is.
FOUND = {"lnk_target": "/usr/lib/rcron/1/bin/rcron-agent", "isdir": False, "islnk": False, "checksum": "0"}

CLAIMS = {"ok": True, "words": "etcd, 3 of 3 members, 2 ms"}

CHANGES = ["Create the user that the agent becomes", "Write its configuration", "Write its unit"]


@pytest.fixture
def play(playbook, tmp_path: pathlib.Path):
    """Return a function that runs the role on the host, and returns the process.

    Its keyword arguments: node, what differs in the answer of rcron_engine_info; claims, what rcronctl's status says;
    others, what is beside its configuration; and the play's variables.
    """
    host = tmp_path / "host"
    host.write_text(INTERPRETER)
    host.chmod(stat.S_IRWXU)

    def run(*options: str, node=None, claims=None, others=(), is_installed=True, **variables):
        status = json.dumps({"claims": claims or CLAIMS, "cluster_name": "billing"})
        answers = {
            "any": {"changed": True},
            "stat": {"changed": False, "stat": {**FOUND, "exists": is_installed}},
            "command": {"changed": False, "rc": 0, "stdout": status},
            "find": {"changed": False, "files": [{"path": path} for path in others]},
            "rcron_engine_info": {"changed": False, "node": {**NODE, **(node or {})}},
        }
        for module, said in answers.items():
            host.with_name(f"host.{module}").write_text(json.dumps(said))
        role = {"name": ROLE}
        engine = {"rcron_claims_engine": "etcd", "rcron_claims_endpoints": "https://etcd1:2379"}
        tasks = [{"name": "Include", "ansible.builtin.include_role": role}]
        content = {"vars": {**engine, **variables}, "tasks": tasks}
        return playbook(content, "-e", f"ansible_python_interpreter={host}", *options)

    return run


def results(ran, task: str) -> str:
    """What a task did, as ansible-playbook prints it; an empty string if it was not reached."""
    return "".join(re.findall(rf"^TASK \[(?:[\w.]+ : )?{task}\] \*+\n(.*?)^$", ran.stdout, re.MULTILINE | re.DOTALL))


def said(ran) -> str:
    return " ".join((ran.stdout + ran.stderr).split())


def done(ran) -> list[str]:
    """The tasks that were not skipped, in their order."""
    names = re.findall(r"^TASK \[[\w.]+ : (.*?)\]", ran.stdout, re.MULTILINE)
    return [name for name in names if results(ran, name) and not results(ran, name).startswith("skipping")]


def test_it_tries_the_engine_first_and_waits_for_the_first_claim(play):
    ran = play(rcron_claims_password="s3cret", node={"remarks": ["it grows for ever"]})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    wanted = ["Look at the host, and try the engine from there", *CHANGES, "Start it, or have it read what is new"]
    assert [name for name in done(ran) if name in wanted] == wanted
    assert done(ran)[-1] == "Stop if they cannot"
    assert "localhost: etcd: it grows for ever" in said(ran)
    assert "s3cret" not in ran.stdout


def test_check_mode_before_the_first_run_changes_nothing(play):
    ran = play("--check", "--diff", is_installed=False, rcron_claims_engine="redis", node={"lacks": "python3-redis"})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "would install python3-redis" in said(ran)
    assert "Install what the engine needs" not in done(ran)
    assert "Start it, or have it read what is new" not in done(ran)


def test_all_that_would_not_work_is_said_before_anything_is_changed(play):
    node = {
        "problem": "wrong password",
        "foreign": ["/etc/rcron/agent.conf"],
        "exposed": "bob may write /etc/rcron",
        "uid": 1000,
    }
    ran = play("-i", "localhost,other,", node=node, rcron_claims_engines="etcd", rcron_claims_node="node1")
    assert ran.returncode != 0
    for message in (
        "localhost: claims cannot be made from here: wrong password",
        "/etc/rcron/agent.conf is there already, and not from this role",
        "bob may write /etc/rcron",
        "only root may set up the agent: set become: true",
        "did you mean rcron_claims_engine?",
        "other has the same rcron_claims_node, node1: the names must differ",
    ):
        assert message in said(ran)
    assert not set(done(ran)) & set(CHANGES)


def test_an_agent_that_cannot_claim_ends_the_play(play):
    ran = play("-e", "__rcron_claims_patience=1", claims={"ok": False, "words": "etcd: no leader"})
    assert ran.returncode != 0
    assert "runs cannot be claimed: etcd: no leader: see journalctl -u rcron-claims there" in said(ran)


def test_what_an_agent_of_somebody_else_s_says_is_nothing_that_a_terminal_obeys(play):
    words = "a\x1b]0;b\x07\x9b1m\u202e"
    ran = play("-e", "__rcron_claims_patience=1", claims={"ok": False, "words": words})
    assert "runs cannot be claimed: a" in said(ran)
    assert not re.search("[\x1b\x07\x9b\u202e]", ran.stdout + ran.stderr)


def removed(ran) -> list[str]:
    return re.findall(r"item=(\S+)\)", results(ran, "Remove its files, and the folder if that holds nothing else"))


def test_a_removal_leaves_no_trace_also_of_a_second_cluster(play):
    ran = play(
        rcron_claims_state="absent",
        rcron_claims_forget=True,
        rcron_conf="/etc/rcron/billing.conf",
        rcron_state_file="/run/billing/state",
        node={"user": "rcron claims, by Ansible"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert removed(ran) == [
        "/etc/rcron/claims/billing.conf",
        "/etc/systemd/system/rcron-claims-billing.service",
        "/etc/rcron/claims/billing.password",
        "/run/billing/claim.sock",
        "/etc/rcron/claims",
    ]
    assert {"Delete the user that the role has created", "Delete the cluster's claims"} <= set(done(ran))


@pytest.mark.parametrize("node", [{"user": "somebody"}, {"user": "rcron claims, by Ansible", "shared": ["/x.service"]}])
def test_what_others_need_stays(play, node):
    # `off` without quotes.
    ran = play(rcron_claims_state="absent", node=node, others=["/etc/rcron/rcron.conf"], rcron_claim=False)
    assert removed(ran) == [
        "/etc/rcron/agent.conf",
        "/etc/systemd/system/rcron-claims.service",
        "/etc/rcron/agent.password",
        "/run/rcron/claim.sock",
    ]
    assert not {"Delete the user that the role has created", "Delete the cluster's claims"} & set(done(ran))


def test_it_is_not_taken_from_runs_that_are_claimed(play):
    ran = play(rcron_claims_state="absent", rcron_claim="preferred")
    assert ran.returncode != 0
    assert "without the agent nobody could claim" in said(ran)
    assert removed(ran) == []
