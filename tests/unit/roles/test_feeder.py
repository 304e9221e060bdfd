# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all feeder roles have from the role _feeder: wackamole's, on a host whose modules answer what a test says."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import stat

import jinja2
import pytest

from tests.unit import playbooks

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

ROLE = "rcron.cluster.rcron_wackamole"
FOLDER = "/usr/local/lib/rcron-wackamole"
MODULE = f"{FOLDER}/Rcron.pm"
DROP_IN = "/etc/systemd/system/wackamole.service.d/rcron.conf"

AGENT_FILE = "/etc/rcron/agent.d/rcron.conf"
AGENT_UNIT = "/etc/systemd/system/rcron-agent.service"
LIBRARY = "/usr/lib/rcron/1-0123abcd/bin/rcron-agent"

#: What is at each path of the host, if anything is.
FOUND = {"lnk_target": LIBRARY, "isdir": False, "islnk": False, "checksum": "0"}

#: What a daemon answers to the agent.
ANSWER = {"state": "passive", "words": "it is a standby"}

#: The host's "Python": it prints the answer for the module that it is to run, or the answer for any.
INTERPRETER = """\
#!/bin/sh
module=${1##*/AnsiballZ_}
cat "$0.${module%.py}" 2>/dev/null || cat "$0.any"
"""

NODE = {
    "uid": 0,
    "foreign": [],
    "exposed": "",
    "perl": True,
    "lacks": ["PerlUse Rcron"],
    "control": "/var/run/wack.it",
}
NOT_NAMED = [
    f"PerlUseLib {FOLDER}",
    "PerlUse Rcron",
    "RunDynamic Rcron::up on up",
    "RunDynamic Rcron::down on down",
]


@pytest.fixture
def play(playbook, tmp_path: pathlib.Path):
    """Return a function that runs a play's tasks or roles on the host, and returns the process.

    Its keyword arguments: node, what differs in the answer of rcron_feeder_info; others, what is in the role's folders
    beside its files; changed, whether files are changed; is_installed, whether rcron is; answer, the daemon's last
    answer to the agent; and the play's variables.
    """
    host = tmp_path / "host"
    host.write_text(INTERPRETER)
    host.chmod(stat.S_IRWXU)

    def run(
        content: dict,
        *options: str,
        node=None,
        others=(),
        changed=False,
        is_installed=True,
        **variables,
    ):
        status = {"feeder": {"answer": variables.pop("answer", ANSWER)}}
        answers = {
            "any": {"changed": changed},
            "stat": {"changed": False, "stat": {**FOUND, "exists": is_installed}},
            "command": {"changed": False, "rc": 0, "stdout": json.dumps(status)},
            "find": {"changed": False, "files": [{"path": path} for path in others]},
            "rcron_feeder_info": {"changed": False, "node": {**NODE, **(node or {})}},
        }
        for module, said in answers.items():
            host.with_name(f"host.{module}").write_text(json.dumps(said))
        variables = {"rcron_wackamole_address": "192.0.2.10", **variables}
        no_agent = json.dumps({"__rcron_wackamole_agent": []})
        words = ["-e", f"ansible_python_interpreter={host}", "-e", no_agent, *options]
        return playbook({"vars": variables, **content}, *words)

    return run


@pytest.fixture
def served(play):
    """Return the same function, for a role that has the agent ask its daemon about one cluster, or two."""

    def run(content: dict, *options: str, confs=("/etc/rcron/rcron.conf",), **others):
        entries = [{"conf": conf, "options": {"address": "192.0.2.10"}} for conf in confs]
        return play(content, "-e", json.dumps({"__rcron_wackamole_agent": entries}), *options, **others)

    return run


def include(tasks_from: str = "main", **variables) -> dict:
    role = {"name": ROLE, "tasks_from": tasks_from}
    return {"name": f"Include {tasks_from}", "ansible.builtin.include_role": role, "vars": variables}


def results(ran, task: str) -> str:
    """What a task did, as ansible-playbook prints it; an empty string if it was not reached."""
    return "".join(re.findall(rf"^TASK \[(?:[\w.]+ : )?{task}\] \*+\n(.*?)^$", ran.stdout, re.MULTILINE | re.DOTALL))


def inspections(ran) -> int:
    return ran.stdout.count("TASK [rcron.cluster._feeder : Inspect the feeder on the node]")


def removed(ran) -> list[str]:
    return re.findall(r"item=(\S+)\)", results(ran, "Remove the files, and the folders that hold nothing else"))


def test_a_role_by_itself_checks_first_and_then_writes_the_drop_in_and_its_hook(play):
    ran = play({"roles": [ROLE]})
    assert ran.returncode == 0, ran.stdout
    names = ["Inspect the feeder on the node", "Refuse what would not work with this feeder", "Write the drop-in"]
    places = [ran.stdout.index(f" : {name}]") for name in [*names, "Write the Perl module"]]
    assert places == sorted(places)


@pytest.mark.parametrize(("changed", "done"), [(True, "changed: "), (False, "skipping: ")])
def test_systemd_reads_a_drop_in_that_has_changed(play, changed, done):
    assert results(play({"roles": [ROLE]}, changed=changed), "Make systemd read it").startswith(done)


def test_a_removal_takes_files_and_folders_away(play):
    ran = play({"roles": [ROLE]}, rcron_wackamole_state="absent", node={"lacks": NOT_NAMED}, others=[MODULE, DROP_IN])
    assert ran.returncode == 0, ran.stdout
    assert set(removed(ran)) == {MODULE, DROP_IN, FOLDER, DROP_IN.removesuffix("/rcron.conf")}
    assert "Write the drop-in" not in ran.stdout


def test_a_folder_that_holds_something_else_stays(play):
    others = [MODULE, DROP_IN, f"{FOLDER}/Mine.pm"]
    ran = play({"roles": [ROLE]}, rcron_wackamole_state="absent", node={"lacks": NOT_NAMED}, others=others)
    assert set(removed(ran)) == {MODULE, DROP_IN, DROP_IN.removesuffix("/rcron.conf")}


@pytest.mark.parametrize("state", ["present", "absent"])
def test_somebody_s_file_is_neither_replaced_nor_removed(play, state):
    node = {"foreign": [MODULE], "lacks": NOT_NAMED}
    ran = play({"roles": [ROLE]}, rcron_wackamole_state=state, node=node)
    assert ran.returncode != 0
    assert f"localhost: {MODULE} is there already, and not from this role: rename it, or name another" in ran.stdout
    assert "Write" not in ran.stdout
    assert removed(ran) == []


def test_all_that_is_wrong_is_said_in_one_run_and_nothing_done(play):
    ran = play({"roles": [ROLE]}, node={"perl": False, "uid": 1000}, rcron_wackamole_adress="192.0.2.10")
    assert ran.returncode != 0
    assert "localhost: unknown variable rcron_wackamole_adress (did you mean rcron_wackamole_address?)" in ran.stdout
    assert "localhost: /usr/bin/perl cannot be run or lacks its module POSIX" in ran.stdout
    assert "localhost: the tasks run as uid 1000, and only root may" in ran.stdout
    assert "Write" not in ran.stdout


def test_what_has_been_checked_is_not_checked_again(play):
    ran = play({"tasks": [include("preflight"), include()]})
    assert ran.returncode == 0, ran.stdout
    assert inspections(ran) == 1


@pytest.mark.parametrize(
    "change",
    [{"rcron_wackamole_address": "192.0.2.11"}, {"rcron_conf": "/etc/rcron/b.conf"}, {"rcron_bin_dir": "/opt"}],
)
def test_with_other_variables_it_is_checked_again(play, change):
    ran = play({"tasks": [include("preflight"), include(**change)]})
    assert ran.returncode == 0, ran.stdout
    assert inspections(ran) == 2


def test_a_removal_is_checked_by_its_own_checks(play):
    ran = play({"tasks": [include("preflight"), include("preflight_remove")]})
    assert ran.returncode != 0
    assert "/etc/wackamole.conf still has PerlUseLib" in ran.stdout


def test_a_role_s_tag_runs_all_of_it(play):
    ran = play({"roles": [{"role": ROLE, "tags": ["feeder"]}]}, "--tags=feeder")
    assert results(ran, "Write the Perl module").startswith("ok: ")
    assert "Write" not in play({"roles": [{"role": ROLE, "tags": ["feeder"]}]}, "--tags=other").stdout


def test_the_agent_serves_the_cluster_before_the_feeder_is_connected_and_has_answered_at_the_end(served):
    ran = served({"roles": [ROLE]})
    assert ran.returncode == 0, ran.stdout
    names = [
        *("Refuse what would not work with this feeder", "Have the agent serve the cluster", "Write the agent's unit"),
        *("Start the agent, or have it read what is new", "Write the drop-in", "Write the Perl module"),
        "Wait until the agent knows what the feeder says",
    ]
    places = [ran.stdout.index(f" : {name}]") for name in names]
    assert places == sorted(places)


def rendered(template: str, **variables) -> str:
    """Return what rcron_feeder_info says of a file of root's that Ansible's module template has written."""
    source = (CHECKOUT / "roles" / "_feeder" / "templates" / template).read_text()
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    text = environment.from_string(source).render(**variables)
    return f"0644 0:0 {hashlib.sha256(text.encode()).hexdigest()}"


def test_a_file_is_written_only_if_it_differs_from_what_the_host_has(served):
    """Ansible's module template takes four round trips to find that nothing is to be done."""
    written = "changes made here are lost at its next run."
    unit = rendered(
        "rcron-agent.service.j2",
        __feeder_agent_mark=f"# Written by Ansible, role rcron.cluster._feeder: {written}",
        __feeder_agent_link={"stat": FOUND},
        __feeder_agent_program="/usr/bin/rcron-agent",
    )
    cluster = rendered(
        "agent.conf.j2",
        __feeder_mark=f"# Written by Ansible, role {ROLE}: {written}",
        __feeder="wackamole",
        item={"conf": "/etc/rcron/rcron.conf", "options": {"address": "192.0.2.10"}},
    )
    names = {
        AGENT_UNIT: ("Write the agent's unit", unit),
        AGENT_FILE: ("Have the agent serve the cluster", cluster),
        "/etc/rcron/agent.d": ("Create the folder of the agent's clusters", "0755 0:0"),
        "/etc/systemd/system/wackamole.service.d": ("Create the folder for the unit's drop-in", "0755 0:0"),
    }
    same = {path: words for path, (_name, words) in names.items()}
    ran = served({"roles": [ROLE]}, node={"compared": same})
    assert ran.returncode == 0, ran.stdout
    for name, _words in names.values():
        assert results(ran, name).startswith("skipping: "), name
    other = served({"roles": [ROLE]}, node={"compared": {path: f"{words}0" for path, words in same.items()}})
    for name, _words in names.values():
        assert results(other, name).startswith("ok: "), name


def test_no_program_that_needs_too_much_memory_ends_the_agent_that_asks_it():
    """With OOMPolicy=stop, as systemd has it (systemd.service(5)), the service would end, and give leases back."""
    units = [*CHECKOUT.glob("roles/*/templates/*.service.j2"), CHECKOUT / "docs" / "ledger.md"]
    limited = [text for text in (unit.read_text() for unit in units) if "\nMemoryMax=" in text]
    assert ["\nOOMPolicy=continue\n" in text for text in limited] == [True] * 3


def test_a_feeder_that_the_agent_does_not_ask_has_nothing_of_it(play):
    ran = play({"roles": [ROLE]})
    assert ran.returncode == 0, ran.stdout
    assert "gent" not in "".join(re.findall(r"TASK \[.*? : (.*?)\].*\n(?:ok|changed): ", ran.stdout))


def test_a_node_without_rcron_is_refused_before_anything_is_written(served):
    ran = served({"roles": [ROLE]}, is_installed=False)
    assert ran.returncode != 0
    assert "there is no /usr/bin/rcron-agent: run the role rcron.cluster.rcron first" in ran.stdout
    assert "Have the agent serve" not in ran.stdout


@pytest.mark.parametrize("path", [AGENT_FILE, AGENT_UNIT])
def test_somebody_s_file_of_the_agent_is_refused(served, path):
    ran = served({"roles": [ROLE]}, node={"foreign": [path]})
    assert ran.returncode != 0
    assert f"localhost: {path} is there already, and not from this role: remove it, with the feeder's" in ran.stdout
    assert "Write" not in ran.stdout


def test_a_folder_in_which_another_user_could_replace_what_is_written_is_refused(play):
    ran = play({"roles": [ROLE]}, node={"exposed": "/x belongs to postgres"})
    assert ran.returncode != 0
    assert "localhost: /x belongs to postgres" in ran.stdout
    assert "Write" not in ran.stdout


def test_two_clusters_whose_files_would_have_one_name_are_refused(served):
    ran = served({"roles": [ROLE]}, confs=("/etc/rcron/a.conf", "/srv/a.conf"))
    assert ran.returncode != 0
    assert "have one name: give each cluster's rcron.conf its own" in ran.stdout


def test_a_daemon_that_was_never_asked_ends_the_play(served):
    ran = served({"roles": [ROLE]}, "-e", "__feeder_agent_patience=0", answer=None)
    assert ran.returncode != 0
    assert "rcron-agent has asked wackamole nothing for /etc/rcron/rcron.conf" in ran.stdout


def test_what_a_daemon_cannot_tell_is_reported(served):
    answer = {"state": "unknown", "words": "it hangs"}
    ran = served({"roles": [ROLE]}, "-e", "__feeder_agent_patience=0", answer=answer)
    assert ran.returncode == 0, ran.stdout
    assert "localhost: /etc/rcron/rcron.conf: wackamole cannot tell: it hangs" in ran.stdout


def test_what_a_daemon_cannot_tell_is_nothing_that_a_terminal_obeys(served):
    """A feeder's user owns the record that it comes from."""
    answer = {"state": "unknown", "words": "a\x1b]0;b\x07\x9b1m\u202e"}
    ran = served({"roles": [ROLE]}, "-e", "__feeder_agent_patience=0", answer=answer)
    assert "wackamole cannot tell: a" in ran.stdout
    assert not re.search("[\x1b\x07\x9b\u202e]", ran.stdout + ran.stderr)


@pytest.mark.parametrize("others", [[], ["/etc/rcron/agent.d/mail.conf"]])
def test_the_agent_goes_with_its_last_cluster(served, others):
    ran = served(
        {"roles": [ROLE]},
        rcron_wackamole_state="absent",
        node={"lacks": NOT_NAMED},
        others=[AGENT_FILE, *others],
        changed=True,
    )
    assert ran.returncode == 0, ran.stdout
    gone = {AGENT_UNIT, "/run/rcron-agent", "/etc/rcron/agent.d"}
    assert AGENT_FILE in removed(ran)
    assert gone & set(removed(ran)) == (set() if others else gone)
    stopped = results(ran, "Stop an agent that serves no other cluster")
    reread = results(ran, "Have an agent that serves other clusters forget this one")
    assert (stopped[:8], reread[:8]) == (("skipping", "changed:") if others else ("ok: [loc", "skipping"))


@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_agent_forgets_a_cluster_that_is_gone(served, state):
    gone = "/etc/rcron/agent.d/mail.conf"
    ran = served(
        {"roles": [ROLE]},
        rcron_wackamole_state=state,
        node={"lacks": NOT_NAMED if state == "absent" else NODE["lacks"], "left": [gone]},
        others=[AGENT_FILE, gone],
        changed=True,
    )
    assert ran.returncode == 0, ran.stdout
    if state == "present":
        assert f"item={gone})" in results(ran, "Have it forget clusters that have left")
    else:
        assert {gone, AGENT_UNIT} <= set(removed(ran))


@pytest.mark.parametrize("options", [("--check",), ()])
def test_a_package_is_not_asked_for_in_check_mode(play, options):
    """Ansible's module for Debian's packages would fail on a host without python3-apt."""
    managed = {"__feeder_managed": True, "__feeder_packages": ["keepalived"], "__feeder_all_managed_checks": []}
    node = {"installed": False, "interfaces": {"eth0": "192.0.2.11"}, "default_interface": "eth0", "name": "node1"}
    ran = play({"tasks": [include()]}, "-e", json.dumps(managed), *options, node=node, __feeder_interface_option="x")
    assert ("skipping:" in results(ran, "Install the feeder")) == bool(options), ran.stdout
    said = results(ran, "Say that the feeder would be installed")
    assert ("would install keepalived" in said) == bool(options), ran.stdout
    assert ("changed:" in said) == bool(options)


#: What rcron_feeder_info says of a host whose feeder is to be set up by the role.
BARE = {
    "installed": False,
    "interfaces": {"eth0": "192.0.2.11"},
    "default_interface": "eth0",
    "name": "node1",
    "error": "",
    "exists": False,
    "managed": False,
    "fifo": "",
    "instances": [],
    "groups": [],
    "silent": [],
    "backup": False,
    "there": [],
    "ours": False,
    "owners": {},
    "times": "",
    "crm": "",
    "daemon": "",
    "named_before": [],
    "running": False,
}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_host_outside_the_limit_is_asked_and_one_that_is_down_keeps_its_address(tmp_path, is_known):
    """One is deployed to; two is up, three is down."""
    inventory = {}
    for number, name in enumerate(("one", "two"), 1):
        node = {**NODE, **BARE, "interfaces": {"eth0": f"192.0.2.{number}"}}
        node["peers"] = {"two": "192.0.2.99", "three": "192.0.2.3"} if name == "one" and is_known else {}
        interpreter = tmp_path / name
        interpreter.write_text(INTERPRETER)
        interpreter.chmod(stat.S_IRWXU)
        interpreter.with_name(f"{name}.any").write_text(json.dumps({"changed": False, "node": node}))
        inventory[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
    inventory["three"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    (tmp_path / "hosts.json").write_text(json.dumps({"rcron": {"hosts": inventory}}))
    role = {"name": "rcron.cluster.rcron_keepalived", "tasks_from": "preflight"}
    shown = {"msg": "{{ groups.rcron | map('extract', hostvars) | map(attribute='__feeder_address') | join(' ') }}"}
    content = {
        "name": "Test",
        "hosts": "rcron",
        "gather_facts": False,
        "vars": {"rcron_keepalived_manage": True},
        "tasks": [
            {"name": "Check", "ansible.builtin.include_role": role},
            {"name": "Show", "ansible.builtin.debug": shown},
        ],
    }
    (tmp_path / "play.yml").write_text(json.dumps([content]))
    ran = playbooks.run(["-i", "hosts.json", "play.yml", "--limit", "one"], cwd=tmp_path)
    assert ran.returncode == (0 if is_known else 2), ran.stdout
    assert ("192.0.2.1 192.0.2.2 192.0.2.3" in ran.stdout) == is_known
    refused = "one: three cannot be asked for the address now, and no earlier deployment has noted it here"
    assert (refused in " ".join(ran.stdout.split())) != is_known


@pytest.mark.parametrize(
    ("feeder", "node", "replace", "is_refused"),
    [
        ("keepalived", {"exists": True}, False, True),
        ("keepalived", {"exists": True}, True, False),
        ("keepalived", {}, False, False),
        ("heartbeat", {"there": ["ha.cf", "haresources"]}, False, True),
        ("heartbeat", {"there": ["ha.cf", "haresources"], "ours": True}, False, False),
    ],
)
def test_a_configuration_of_somebody_elses_is_not_replaced_unless_it_may_be(play, feeder, node, replace, is_refused):
    role = {"name": f"rcron.cluster.rcron_{feeder}", "tasks_from": "preflight"}
    preflight = {"tasks": [{"name": "Check", "ansible.builtin.include_role": role}]}
    variables = {f"rcron_{feeder}_manage": True, f"rcron_{feeder}_replace": replace}
    ran = play(preflight, node={**BARE, **node}, rcron_group="all", **variables)
    assert "Refuse what would not work with this feeder" in ran.stdout
    said = f"is not this role's, and rcron_{feeder}_manage would replace it"
    assert (said in " ".join(ran.stdout.split())) == is_refused, ran.stdout
