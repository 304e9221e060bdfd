# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The playbooks beside a host that has been taken over, whose answers are whatever its new owner likes.

A host is a program in the place of its Python (ansible_python_interpreter), which Ansible starts for each module: it
prints an answer that the test has chosen. What it must not come to: that something is run on the controller, where
each answer tries to have a canary made; that the terminal of whoever reads the output obeys the host; or a traceback in
place of the host's name.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

Play = Callable[..., "subprocess.CompletedProcess[str]"]

#: The host's "Python": it prints the answer for the module that it is to run, or the answer for any.
INTERPRETER = """\
#!/bin/sh
module=${1##*/AnsiballZ_}
cat "$0.${module%.py}" 2>/dev/null || cat "$0.any"
"""

#: What a terminal would obey, and what would end a line of a table, or turn it round.
CONTROL = "\x1b[2J\x1b]0;taken\x07\x9b1m\u2028\u202e\r\x00\x85"


class Cluster:
    """Hosts that answer what they are told to, and a controller with their inventory."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.canary = folder / "canary"
        self.hosts: dict[str, dict] = {}

    def add(self, name: str, variables: dict | None = None, **answers: Any) -> None:
        """Add a host. answers: for each module, or `any`, what it prints: text as it is, anything else as JSON."""
        program = self.folder / name
        program.write_text(INTERPRETER)
        program.chmod(0o755)
        for module, answer in answers.items():
            text = answer if isinstance(answer, str) else json.dumps(answer)
            pathlib.Path(f"{program}.{module}").write_text(text)
        self.hosts[name] = {"ansible_python_interpreter": str(program), **(variables or {})}

    def play(
        self, playbook: str, *options: str, timeout: float | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection's on these hosts."""
        variables = {"ansible_connection": "local", "ansible_become": False, "rcron_feeder": "none"}
        inventory = {"rcron": {"hosts": self.hosts, "vars": variables}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        return subprocess.run(
            [
                pathlib.Path(sys.executable).parent / "ansible-playbook",
                f"--inventory={self.folder / 'inventory.json'}",
                f"rcron.cluster.{playbook}",
                *options,
            ],
            cwd=self.folder,
            env={
                **os.environ,
                "PWD": str(self.folder),
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build"),
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
                "ANSIBLE_NOCOLOR": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=timeout,
        )

    def template(self, number: int = 0) -> str:
        """What makes the canary where it is evaluated as a template, an expression, or a shell's words."""
        command = f"touch {self.canary}"
        return [
            f"{{{{ lookup('ansible.builtin.pipe', '{command}') }}}}",
            f"{{% if lookup('ansible.builtin.pipe', '{command}') %}}x{{% endif %}}",
            f"lookup('ansible.builtin.pipe', '{command}') == ''",
            f"$({command})`{command}`;{command};",
            f"{{{{ cycler.__init__.__globals__.os.system('{command}') }}}}",
        ][number % 5]


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


def everywhere(value: Any, text: Callable[[int], str], count: list[int] | None = None) -> Any:
    """A value with each of its strings, and its dicts' keys that are no names of ours, replaced."""
    count = [0] if count is None else count
    if isinstance(value, dict):
        return {name: everywhere(each, text, count) for name, each in value.items()}
    if isinstance(value, list):
        return [everywhere(each, text, count) for each in value]
    if isinstance(value, str):
        count[0] += 1
        return text(count[0])
    return value


#: What rcron_info answers where all is well.
NOW = time.time()
WELL = {
    "changed": False,
    "elapsed": 0.1,
    "time": NOW,
    "clusters": [
        {
            "conf": "/etc/rcron/rcron.conf",
            "error": "",
            "cluster_name": "billing",
            "state": "active",
            "source": "file",
            "reason": "/var/run/rcron/state says so",
            "since": int(NOW) - 60,
            "feeder": {"name": "keepalived", "event": "MASTER", "alive": True, "spoke": int(NOW)},
            "pin": {"state": "active", "until": None},
            "default_state": "active",
            "state_file": "/var/run/rcron/state",
            "settings": {"cluster_name": "billing", "nice_level": 19},
            "version": "0.1.0",
        }
    ],
    "entries": [
        {
            "crontab": "root",
            "line": 1,
            "name": "billing",
            "schedule": "5 4 * * *",
            "zone": None,
            "user": "root",
            "command": "/usr/local/bin/billing",
            "guarded": True,
            "conf": "/etc/rcron/rcron.conf",
            "takeover_wait": None,
            "ends_itself": False,
            "timers": [],
            "job": None,
            "claim": None,
        }
    ],
    "unreadable": ["/etc/cron.d/x cannot be read"],
    "runs": [
        {
            "cluster": "billing",
            "command": "/usr/local/bin/billing",
            "started": NOW - 30,
            "status": "ok",
            "duration": 1,
            "exit": 0,
        }
    ],
    "ignored": {"billing": 1},
    "events": [
        {
            "time": NOW - 30,
            "pid": 7,
            "cluster": "billing",
            "status": "start",
            "state": "active",
            "message": "/usr/local/bin/billing",
            "duration": None,
            "exit": None,
        }
    ],
    "events_since": NOW - 7200,
    "running": [7],
    "boots": [{"begin": 0, "end": NOW}],
}

#: What rcron_crontab answers in check mode.
TRIED = {
    "changed": False,
    "crontabs": [
        {
            "crontab": "root",
            "entries": [{"line": 1, "user": "root", "before": "a", "after": "b", "selected_by": ["job: a"]}],
        }
    ],
    "unselected": [],
}


def hostile(cluster: Cluster) -> dict[str, Any]:
    """Answers of hosts that mean harm, by the host's name."""
    words = everywhere(WELL, lambda number: cluster.template(number) + CONTROL)
    kept = {
        **WELL,
        "clusters": [{**words["clusters"][0], "error": "", "state": "active", "source": "file"}],
        "entries": [{**words["entries"][0], "conf": words["clusters"][0]["conf"]}],
        "runs": words["runs"],
        "unreadable": words["unreadable"],
        "ignored": {cluster.template(): 1},
    }
    one = WELL["clusters"][0]

    def with_cluster(**change: Any) -> dict:
        return {**WELL, "clusters": [{**one, **change}]}

    return {
        "templates": words,
        "plausible": kept,
        "error": with_cluster(error=cluster.template() + CONTROL),
        "failing": {"failed": True, "msg": cluster.template() + CONTROL, "exception": cluster.template()},
        "long": with_cluster(error="x" * 3_000_000),
        "string": {**WELL, "clusters": cluster.template()},
        "number": {**WELL, "clusters": 7},
        "mapping": {**WELL, "clusters": {"a": 1}},
        "nothing": {**WELL, "clusters": [None]},
        "nested": with_cluster(cluster_name=[["billing"]], version={"a": []}, settings={"nice_level": [[]]}),
        "bare": {**WELL, "clusters": [{}]},
        "entry": {**WELL, "entries": [[["x"]]]},
        "words": {**WELL, "entries": "x", "runs": "y", "unreadable": "z", "ignored": "w"},
        "runless": {**WELL, "runs": [None], "ignored": []},
        "clock": {**WELL, "time": "now", "elapsed": "long"},
        "endless": {**WELL, "time": 1e400, "elapsed": -1e400},
        "ages": with_cluster(since=1e300, feeder={"name": "a", "event": "b", "alive": 3, "spoke": "x"}),
        "pin": with_cluster(pin={"state": [], "until": 1e300}),
        "feeder": with_cluster(feeder="keepalived"),
        "list": [1, 2, 3],
        "garbage": f"Traceback (most recent call last):\n{cluster.template()}{CONTROL}\n",
        "silent": "",
        "deep": "[" * 5000 + "]" * 5000,
        "facts": {
            **WELL,
            "ansible_facts": {
                "ansible_connection": "local",
                "ansible_python_interpreter": str(cluster.canary),
                "rcron_timeline_file": str(cluster.folder / "taken"),
                "rcron_group": cluster.template(),
                "rcron_bin_dir": cluster.template(),
                "rcron_feeder": "../../../taken",
                "__rcron_problems": [],
            },
            "add_host": {"host_name": "taken", "groups": ["rcron"], "host_vars": {}},
            "_ansible_delegated_vars": {"ansible_delegated_host": "localhost"},
            "_ansible_notify": ["x"],
        },
    }


def tries(answer: object) -> object:
    """Return what a host that means harm answers to the crontabs' check: the same, under that check's names."""
    return (
        {**answer, "crontabs": answer["entries"], "unselected": []}
        if isinstance(answer, dict) and "entries" in answer
        else answer
    )


@pytest.fixture
def taken(cluster):
    """One host that is well, and the others. The first one's variables are those of what is done once for all."""
    answers = hostile(cluster)
    entries = {"rcron_crontab_entries": [{"user": "root", "entries": [{"job": "a"}]}]}
    cluster.add("facts", entries, rcron_info=answers.pop("facts"), rcron_crontab=TRIED)
    cluster.add("well", entries, rcron_info=WELL, rcron_crontab=TRIED)
    cluster.add("crontabs", entries, rcron_info=WELL, rcron_crontab={**TRIED, "crontabs": "x"})
    for name, answer in answers.items():
        cluster.add(name, entries, rcron_info=answer, rcron_crontab=TRIED if name == "plausible" else tries(answer))
    return cluster


def test_status_shows_each_host_whatever_another_one_answers(taken):
    ran = taken.play("status")
    harmless(taken, ran)
    plain(ran)
    assert ran.returncode == 0
    for name in taken.hosts:
        assert re.search(rf'^ +"{name} ', ran.stdout, re.MULTILINE), name
    assert re.search('^ +"well +billing +active ', ran.stdout, re.MULTILINE)


def test_check_names_each_host_whatever_another_one_answers(taken):
    ran = taken.play("check")
    harmless(taken, ran)
    plain(ran)
    assert ran.returncode != 0
    for name in taken.hosts:
        assert re.search(rf'^ +"{name} ', ran.stdout, re.MULTILINE), name
    assert "problems; the table is above" in ran.stdout
    assert "its answer to the crontabs' check is not one of rcron_crontab (crontabs is not a list)" in ran.stdout


def test_timeline_draws_what_it_can_and_nowhere_else(taken):
    ran = taken.play("timeline", "-e", "rcron_timeline_cluster=billing")
    harmless(taken, ran)
    assert ran.returncode == 0, ran.stdout
    assert "<script" not in (taken.folder / "timeline.svg").read_text()


def test_the_report_shows_each_host_and_nothing_that_one_of_them_wants_run(taken):
    ran = taken.play("report")
    harmless(taken, ran)
    assert ran.returncode == 0, ran.stdout
    page = (taken.folder / "report.html").read_text()
    assert page.count("<script") == 2
    assert [name for name in taken.hosts if f">{name}<" not in page and f"! {name}<" not in page] == []


#: What rcron_wrapper answers in check mode if all is well.
EXAMINED = {"changed": True, "library": "/lib/x", "paths": [], "refusals": []}


def site_answers(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """What a host answers to the deployment's modules, by what is wrong with it."""
    bad = cluster.template() + CONTROL
    well = {"any": {"changed": True}, "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}

    def refused(value: object) -> dict[str, Any]:
        return {**well, "rcron_wrapper": {**EXAMINED, "refusals": value}}

    return {
        "messages": refused([{"option": "conf_content", "message": bad}, {"option": bad, "message": bad}]),
        "expressions": refused(cluster.template(2)),
        "strings": refused([cluster.template()]),
        "types": refused([[7]]),
        "numbers": refused(7),
        "options": refused([{"option": ["x"], "message": {"a": 1}}]),
        "lists": {**well, "rcron_wrapper": [1, 2]},
        "garbage": {**well, "rcron_wrapper": bad},
        "failing": {**well, "rcron_wrapper": {"failed": True, "rc": 1, "msg": bad, "stderr": bad, "stdout": bad}},
        "silent": {"any": ""},
        "nested": refused({"a": [{"b": [bad]}]}),
        "facts": {
            **well,
            "rcron_wrapper": {**EXAMINED, "ansible_facts": {"rcron_feeder": "../" + bad, "rcron_conf": bad}},
        },
        "library": {
            **well,
            "any": {"changed": True, "msg": bad},
            "rcron_wrapper": {"changed": True, "library": bad, "paths": bad, "diff": bad, "msg": bad, "refusals": []},
            "rcron_crontab": {
                "changed": True,
                "crontabs": bad,
                "unselected": bad,
                "diff": bad,
                "msg": bad,
                "results": bad,
            },
        },
    }


#: A host whose Python never ends; on its own after a while, so that a test leaves nothing behind.
SILENT = "#!/bin/sh\nexec sleep 240\n"

#: The controller's time limit for an answer, in seconds.
PATIENCE = "__rcron_patience_for_answers"


@pytest.mark.parametrize("playbook", ["status", "check", "timeline", "report", "site", "remove"])
def test_a_host_that_never_answers_holds_no_run_up(cluster, playbook):
    entries = {"rcron_crontab_entries": [{"user": "root", "entries": [{"job": "a"}]}]}
    cluster.add("well", entries, rcron_info=WELL, rcron_crontab=TRIED, rcron_wrapper=EXAMINED, any={"changed": False})
    cluster.add("silent", entries)
    (cluster.folder / "silent").write_text(SILENT)

    def play(patience: int) -> subprocess.CompletedProcess[str]:
        ran = cluster.play(
            playbook, "-e", f"{PATIENCE}={patience}", "-e", "rcron_timeline_cluster=billing", timeout=200
        )
        harmless(cluster, ran)
        return ran

    ran = play(3)
    if playbook == "timeline":
        drawing = cluster.folder / "timeline.svg"
        if not drawing.exists():  # on a busy machine, the other host may take longer than that
            ran = play(60)
        assert drawing.exists(), ran.stdout
        return
    said = (cluster.folder / "report.html").read_text() if playbook == "report" else ran.stdout
    assert re.search(r"silent\W.*Timed out after 3 ", said), said
    if playbook == "site":
        assert "Deploy rcron" not in ran.stdout
    if playbook == "remove":
        assert "Remove the feeder's hooks and the wrapper" not in ran.stdout


def test_a_host_that_never_answers_holds_a_run_up_without_a_time_limit(cluster):
    cluster.add("silent")
    (cluster.folder / "silent").write_text(SILENT)
    with pytest.raises(subprocess.TimeoutExpired):
        cluster.play("status", "-e", f"{PATIENCE}=0", timeout=12)


#: A host that answers what it is asked, and never ends the first thing that it is to change.
ENDLESS = """\
#!/bin/sh
module=${1##*/AnsiballZ_}
module=${module%.py}
if [ $module = MODULE ] && [ -e "$0.asked" ]; then exec sleep 240; fi
[ $module != MODULE ] || touch "$0.asked"
cat "$0.$module" 2>/dev/null || cat "$0.any"
"""


@pytest.mark.parametrize(
    ("playbook", "module"), [("site", "rcron_wrapper"), ("remove", "rcron_wrapper"), ("remove", "rcron_crontab")]
)
def test_a_host_that_never_ends_a_change_holds_no_run_up(cluster, playbook, module):
    """And a removal goes on for the others, and says of which it is not done."""
    for name in ("endless", "well"):
        cluster.add(name, rcron_crontab=TRIED, rcron_wrapper=EXAMINED, any={"changed": False})
    (cluster.folder / "endless").write_text(ENDLESS.replace("MODULE", module))
    ran = cluster.play(playbook, "-e", "__rcron_patience_for_changes=5", timeout=200)
    harmless(cluster, ran)
    assert re.search(r"fatal: \[endless\].*Timed out after 5 ", ran.stdout), ran.stdout
    if playbook == "remove":
        assert "rcron was removed from well, and not from endless, whose errors are above" in ran.stdout, ran.stdout


def test_a_check_that_fails_ends_a_removal_before_anything_is_changed(cluster):
    for name in ("odd", "well"):
        cluster.add(name, rcron_crontab=TRIED, rcron_wrapper=EXAMINED, any={"changed": False})
    (cluster.folder / "odd.rcron_crontab").write_text("garbage")
    ran = cluster.play("remove")
    harmless(cluster, ran)
    assert "odd: the check above has failed. Nothing was changed on any host" in ran.stdout, ran.stdout
    assert "Take the prefixes out of the crontabs" not in ran.stdout


@pytest.mark.parametrize("playbook", ["site", "remove"])
def test_a_deployment_or_removal_ends_with_an_error_that_names_the_host(cluster, playbook):
    """Or goes through, where all that the host has said is that all is well."""
    entries = {"rcron_crontab_entries": [{"user": "root", "entries": [{"job": "a"}]}]}
    for name, answers in site_answers(cluster).items():
        if playbook == "remove" and name not in ("lists", "garbage", "silent", "library", "facts"):
            continue  # it has less to ask
        one = Cluster(cluster.folder)
        one.add(name, {**entries, "rcron_on_demotion": "terminate"}, **answers)
        ran = one.play(playbook, "--diff")
        harmless(one, ran)
        assert ran.returncode == 0 or re.search(rf"^(fatal|failed): \[{name}\]", ran.stdout, re.MULTILINE), ran.stdout
        if playbook == "site" and name not in ("facts", "library"):
            assert ran.returncode != 0, name


@pytest.mark.parametrize(
    "feeders", [7, [7], "x", [{"feeder": ["heartbeat"], "paths": [], "others": []}], [{"feeder": "heartbeat"}]]
)
def test_odd_feeders_of_before_are_an_error_that_names_the_host(cluster, feeders):
    """They are what an include is repeated for, whose errors name none."""
    for name, more in (("odd", {"feeders": feeders}), ("well", {})):
        cluster.add(name, rcron_crontab=TRIED, rcron_wrapper={**EXAMINED, **more}, any={"changed": False})
    for playbook in ("site", "remove"):
        ran = cluster.play(playbook, "--check")
        harmless(cluster, ran)
        assert re.search(
            r"^(fatal|failed): \[odd\].*its answer is not one of rcron_wrapper \(feeders", ran.stdout, re.MULTILINE
        ), ran.stdout
        assert "Deploy rcron" not in ran.stdout
        assert "Take the prefixes out" not in ran.stdout


#: What would be a line of its own in another host's file.
INJECTED = "192.0.2.1\n}\nvrrp_script taken {\n script /tmp/taken\n}\n"

#: What rcron_feeder_info answers if all is well, by the feeder.
NODES: dict[str, dict[str, Any]] = {
    "keepalived": {
        "exists": True,
        "managed": True,
        "backup": False,
        "installed": True,
        "running": True,
        "instances": [],
        "groups": [],
        "fifo": "",
        "silent": [],
        "notifies": [],
        "included": False,
        "utf8": True,
        "error": "",
    },
    "heartbeat": {
        "error": "",
        "installed": True,
        "there": ["ha.cf"],
        "daemon": "/usr/lib/heartbeat/heartbeat",
        "crm": "",
        "owners": {},
        "times": "",
        "ours": True,
        "running": True,
        "name": "node",
    },
    "pacemaker": {
        "installed": True,
        "running": True,
        "managed": True,
        "untouched": True,
        "authkey": False,
        "enabled": True,
        "address": "192.0.2.1",
    },
}
NETWORK = {"interfaces": {"eth0": "192.0.2.1"}, "default_interface": "eth0"}


def looked_at(feeder: str, **more: Any) -> dict[str, Any]:
    """What rcron_feeder_info answers."""
    network = {} if feeder == "pacemaker" else NETWORK
    return {"changed": False, "node": {"uid": 0, "foreign": [], "exposed": "", **network, **NODES[feeder], **more}}


@pytest.mark.parametrize(
    ("feeder", "more"),
    [
        ("keepalived", {"interfaces": {"eth0": INJECTED}}),
        ("heartbeat", {"interfaces": {"eth0": INJECTED}}),
        ("heartbeat", {"name": f"node{INJECTED}"}),
        ("pacemaker", {"address": INJECTED}),
    ],
)
def test_no_host_writes_into_the_files_of_the_others(cluster, feeder, more):
    variables = {"rcron_feeder": feeder, f"rcron_{feeder}_manage": True}
    for name, change in (("well", {}), ("taken", more)):
        answers = {"rcron_feeder_info": looked_at(feeder, **change), "rcron_wrapper": EXAMINED}
        cluster.add(name, variables, any={"changed": False}, **answers)
    ran = cluster.play("site")
    assert ran.returncode != 0
    assert "taken: its name or its address is " in ran.stdout
    assert "Deploy rcron" not in ran.stdout


EXPOSED = (
    "/etc/keepalived belongs to keepalived_script, who could replace what the role writes: chown root /etc/keepalived"
)


@pytest.mark.parametrize(("exposed", "exists"), [(EXPOSED, True), (EXPOSED, False), ("", True)])
def test_no_file_is_edited_where_another_user_could_lead_root_elsewhere(cluster, exposed, exists):
    """Whoever owns the folder, at a removal too, which takes the include out of keepalived.conf."""
    node = looked_at("keepalived", exposed=exposed, exists=exists, managed=False)
    answers = {"rcron_feeder_info": node, "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}
    cluster.add("node", {"rcron_feeder": "keepalived"}, any={"changed": False}, **answers)
    ran = cluster.play("remove", "--check")
    assert (f"node: {EXPOSED}" in ran.stdout) == (exists and exposed != ""), ran.stdout


#: What is of another type than the other hosts' checks and files expect.
ODD = [
    ("heartbeat", {"owners": "x"}),
    ("keepalived", {"peers": [1]}),
    ("pacemaker", {"nodes": "x"}),
    ("keepalived", {"groups": ["x" * 1_100_000]}),
]


@pytest.mark.parametrize(("feeder", "more"), ODD)
def test_an_odd_answer_is_an_error_of_the_host_that_gave_it(cluster, feeder, more):
    variables = {"rcron_feeder": feeder, f"rcron_{feeder}_manage": True}
    for name, change in (("well", {}), ("odd", more)):
        answers = {"rcron_feeder_info": looked_at(feeder, **change), "rcron_wrapper": EXAMINED}
        cluster.add(name, variables, any={"changed": False}, **answers)
    ran = cluster.play("site")
    harmless(cluster, ran)
    assert "its answer is not one of rcron_feeder_info (node" in ran.stdout
    assert re.findall(r"^fatal: \[(\w+)\]", ran.stdout, re.MULTILINE)[:1] == ["odd"], ran.stdout
    assert len(ran.stdout) < 100_000
    assert "Deploy rcron" not in ran.stdout


#: Numbers of nodes, as one of two hosts says them. The other one says 1 for well, and 2 for taken.
NUMBERS = [
    {"well": "2", "taken": "1"},
    {"well": "1", "taken": "1"},
    {"well": "1", "taken": "x"},
]


@pytest.mark.parametrize("numbers", [*NUMBERS, {"well": "1", "taken": "2", "somebody": "1"}])
def test_no_host_gives_the_others_new_numbers(cluster, numbers):
    """A node whose nodeid changes while the cluster runs is lost to it."""
    variables = {"rcron_feeder": "pacemaker", "rcron_pacemaker_manage": True}
    for name, said in (("taken", numbers), ("well", {"well": "1", "taken": "2"})):
        nodes = {each: {"name": each, "nodeid": number} for each, number in said.items()}
        answers = {"rcron_feeder_info": looked_at("pacemaker", nodes=nodes), "rcron_wrapper": EXAMINED}
        cluster.add(name, variables, any={"changed": False}, rcron_crontab=TRIED, **answers)
    ran = cluster.play("site", "--tags", "never_any")  # the checks alone
    refused = "has numbers (nodeid) that are not the same on all hosts, or that two nodes share: "
    assert (refused in ran.stdout) == (numbers in NUMBERS), ran.stdout


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_host_s_facts_decide_what_check_says_of_the_others(cluster, is_protected):
    """The first host's variables are those of what is done once for all."""
    environment = {}
    if not is_protected:
        environment["ANSIBLE_COLLECTIONS_PATH"] = unprotected(cluster, {})
        (pathlib.Path(environment["ANSIBLE_COLLECTIONS_PATH"]) / PARTS / "plugins/action/rcron_crontab.py").unlink()
    well = {**WELL, "clusters": [{**WELL["clusters"][0], "feeder": {**WELL["clusters"][0]["feeder"], "name": "ucarp"}}]}
    facts = {"ansible_facts": {"rcron_conf": "/etc/rcron/other.conf", "rcron_feeder": "ucarp"}}
    entries = {"rcron_crontab_entries": [{"user": "root", "entries": [{"job": "a"}]}]}
    cluster.add("facts", entries, rcron_info=WELL, rcron_crontab={**TRIED, **facts})
    cluster.add("well", entries, rcron_info=well, rcron_crontab=TRIED)
    ran = cluster.play("check", **environment)
    assert ("its state was last set by ucarp" in ran.stdout) == is_protected, ran.stdout


#: The first host's file with the cluster's key, by the feeder.
KEYS = {
    "heartbeat": "# Written\nauth 1\n1 sha1 {}\n",
    "pacemaker": "{}",
}
PLAIN_KEY = "k" * 128
#: The second and the third would be lines or words of their own in every host's file.
KEY_FILES = {
    "plain": lambda text: text.format(PLAIN_KEY),
    "more lines": lambda text: text.format(f"{PLAIN_KEY}\nauth 2\n2 crc"),
    "a carriage return": lambda text: text.format(f"{PLAIN_KEY}\rauth 2"),
    "a template": lambda text: text.format("{{ lookup('ansible.builtin.pipe', 'touch CANARY') }}" * 3),
    "nothing": lambda text: "",
    "no UTF-8": lambda text: text.format("\udcff" * 128),
}


def with_key(
    cluster: Cluster, feeder: str, name: str, *options: str, facts: dict[str, Any] | None = None, **environment: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Deploy from a first host that somebody has taken over. Returns the run, and all that was sent to the hosts."""
    text = KEY_FILES[name](KEYS[feeder]).replace("CANARY", str(cluster.canary))
    content = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
    variables = {"rcron_feeder": feeder, f"rcron_{feeder}_manage": True, "ansible_host": "192.0.2.1"}
    for host in ("first", "well"):
        answers = {"rcron_feeder_info": looked_at(feeder), "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}
        slurped = {"content": content, "encoding": "base64", "source": "x", "ansible_facts": facts or {}}
        plain = {"changed": False, "stat": {"exists": False}}
        # Where the agent's program is looked for.
        there = {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": "x"}}
        cluster.add(host, variables, any=plain, stat=there, slurp=slurped, **answers)
    sent = cluster.folder / "sent"
    ran = cluster.play("site", *options, ANSIBLE_REMOTE_TMP=str(sent), ANSIBLE_KEEP_REMOTE_FILES="1", **environment)
    files = [path for path in sent.rglob("*") if path.is_file() and not path.name.startswith("AnsiballZ_")]
    return ran, "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.parametrize(
    ("feeder", "name"),
    [*(("heartbeat", name) for name in KEY_FILES), ("pacemaker", "more lines")],
)
def test_a_key_that_goes_to_all_hosts_is_one_key(cluster, feeder, name):
    ran, sent = with_key(cluster, feeder, name)
    harmless(cluster, ran)
    if name == "plain":
        assert KEYS[feeder].format(PLAIN_KEY).splitlines()[-1] in sent, ran.stdout
        return
    assert ran.returncode != 0
    assert "Deploy rcron" not in ran.stdout, ran.stdout
    assert re.search(r"^(fatal|failed): \[first\]", ran.stdout, re.MULTILINE), ran.stdout
    assert "k" * 20 not in ran.stdout + ran.stderr
    assert "auth 2" not in sent


@pytest.mark.parametrize("feeder", KEYS)
def test_a_key_would_be_lines_of_every_hosts_file_without_its_grammar(cluster, feeder):
    before = KEYS[feeder].format("").rstrip("\n")
    grammar = {f"__rcron_{feeder}_key": {**NO_GRAMMAR, "before": before}}
    sent = with_key(cluster, feeder, "more lines", "-e", json.dumps(grammar))[1]
    assert re.search("^auth 2\n2 crc", sent, re.MULTILINE)


PARTS = pathlib.Path("ansible_collections", "rcron", "cluster")


def unprotected(cluster: Cluster, left_out: dict[str, str]) -> str:
    """Copy the collection, with texts left out of some files. Returns the folder for ANSIBLE_COLLECTIONS_PATH."""
    folder = cluster.folder / "unprotected"
    (folder / PARTS).mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "rcron", "roles"):
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / PARTS / name)
    for name, text in left_out.items():
        file = folder / PARTS / name
        assert text in file.read_text()
        file.write_text(file.read_text().replace(text, ""))
    return str(folder)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_host_whose_key_is_read_sets_no_variable_of_the_others(cluster, is_protected):
    environment = {}
    if not is_protected:
        left_out = {"roles/_feeder/tasks/key.yml": "  delegate_facts: true\n"}
        environment["ANSIBLE_COLLECTIONS_PATH"] = unprotected(cluster, left_out)
    facts = {"rcron_heartbeat_directives": ["respawn root /tmp/taken"]}
    ran, sent = with_key(cluster, "heartbeat", "plain", facts=facts, **environment)
    assert KEYS["heartbeat"].format(PLAIN_KEY).splitlines()[-1] in sent, ran.stdout
    # The file of the host that answered so is its own.
    assert sent.count("respawn root /tmp/taken") == (1 if is_protected else 2), ran.stdout


#: A key of which anything may be a part.
NO_GRAMMAR = {"given": "", "path": "/x", "kept": True, "option": "x", "grammar": "(?s:.*)", "length": 128}


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_host_whose_key_is_read_says_no_lines_of_the_others_files_by_a_variable(cluster, is_protected):
    """The key's own variable, which is looked at once for all: in the first host's variables."""
    grammar = {**NO_GRAMMAR, "given": "{{ rcron_heartbeat_auth_key | default('') }}", "before": ".*"}
    options = [] if is_protected else ["-e", json.dumps({"__rcron_heartbeat_key": grammar})]
    facts = {"rcron_heartbeat_auth_key": f"{PLAIN_KEY}\nauth 2\n2 crc"}
    ran, sent = with_key(cluster, "heartbeat", "plain", *options, facts=facts)
    assert sent.count("auth 2\n2 crc") == (0 if is_protected else 2), ran.stdout
    assert ("first: rcron_heartbeat_auth_key is not one word" in ran.stdout) == is_protected
    assert ("Deploy rcron" in ran.stdout) == (not is_protected)


def test_an_address_in_a_cache_of_facts_is_checked_as_the_host_s_own_is(cluster):
    """Of a host that is not in this run: what it once returned as facts goes before the inventory."""
    for feeder in ("keepalived", "pacemaker"):
        one = Cluster(cluster.folder)
        variables = {"rcron_feeder": feeder, f"rcron_{feeder}_manage": True}
        for name, more in (("well", {}), ("taken", {f"rcron_{feeder}_address": INJECTED})):
            answers = {"rcron_feeder_info": looked_at(feeder), "rcron_wrapper": EXAMINED}
            one.add(name, {**variables, **more}, any={"changed": False}, **answers)
        ran = one.play("site", "--limit", "well")
        assert ran.returncode != 0
        assert " is not an address of another host: correct " in ran.stdout
        assert "Deploy rcron" not in ran.stdout


@pytest.mark.parametrize("node", ["bad", 7, [], {}, {"uid": 0}, {"uid": [[7]], "foreign": {"a": 1}}])
def test_a_feeder_s_inspection_that_makes_no_sense_is_an_error_that_names_the_host(cluster, node):
    answer = {"changed": False, "node": cluster.template() + CONTROL if node == "bad" else node}
    cluster.add(
        "odd",
        {"rcron_feeder": "keepalived"},
        any={"changed": False},
        rcron_feeder_info=answer,
        rcron_wrapper=EXAMINED,
    )
    ran = cluster.play("site")
    harmless(cluster, ran)
    assert re.search(r"^(fatal|failed): \[odd\]", ran.stdout, re.MULTILINE), ran.stdout
    assert "Deploy rcron" not in ran.stdout


#: Beside Ansible's own, which this one is made from: what a server sends before anybody has logged in.
CONNECTION = """\
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = "name: refused\\nshort_description: A host that refuses every connection, in its own words\\n"


class Connection(Local):
    transport = "refused"

    def exec_command(self, *_args, **_more):
        raise AnsibleConnectionFailure({!r})
"""


def test_a_host_that_refuses_connections_says_nothing_that_a_terminal_obeys(cluster):
    """As far as the playbook names it: what Ansible itself says of it is Ansible's."""
    (cluster.folder / "refused.py").write_text(CONNECTION.format(f"refused: {CONTROL}"))
    cluster.add("refused", {"ansible_connection": "refused"})
    ran = cluster.play("site", "-e", "rcron_skip_unreachable=true", ANSIBLE_CONNECTION_PLUGINS=str(cluster.folder))
    named = [line for line in ran.stdout.splitlines() if "is left out, because it cannot be reached" in line]
    assert len(named) == 1, ran.stdout
    assert "refused: " in named[0]
    assert named[0].isprintable(), named


def harmless(cluster: Cluster, ran: subprocess.CompletedProcess[str]) -> None:
    """Fail where an answer had an effect on the controller, or came to words that are no person's."""
    said = ran.stdout + ran.stderr
    assert not cluster.canary.exists(), said
    assert not (cluster.folder / "taken").exists(), said
    for word in ("Unexpected", ' File "/', "KeyError", "TypeError", "unhashable", "operand"):
        assert word not in said, said


def plain(ran: subprocess.CompletedProcess[str]) -> None:
    """Fail where what was printed holds more than lines of characters that a terminal shows."""
    odd = re.findall(r"[^\n\x20-\x7e\u00a1-\u1fff\u2030-\u205f\u2070-\ud7ff]", ran.stdout + ran.stderr)
    assert not odd, [line for line in ran.stdout.splitlines() if odd[0] in line][:3]
