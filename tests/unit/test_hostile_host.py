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
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit import playbooks

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

Play = Callable[..., "subprocess.CompletedProcess[str]"]

#: The host's "Python": it prints the answer for the module that it is to run, or the answer for any. What was sent with
#: the module is kept if the host has a folder for it.
INTERPRETER = """\
#!/bin/sh
module=${1##*/AnsiballZ_}
if [ -d "$0.sent" ]; then
    for file in "${1%/*}"/* "${1%/*}"/.[!.]*; do
        case $file in *.py | *\\*) ;; *) cp "$file" "$0.sent/$$.${file##*/}" ;; esac
    done
fi
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
        pathlib.Path(f"{program}.sent").mkdir(exist_ok=True)
        self.hosts[name] = {"ansible_python_interpreter": str(program), **(variables or {})}

    def sent(self, name: str) -> str:
        """All files that were sent to a host."""
        files = sorted((self.folder / f"{name}.sent").iterdir())
        return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)

    def play(
        self,
        playbook: str,
        *options: str,
        timeout: float | None = None,
        others: tuple[str, ...] = (),
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection's, or one at a path, on these hosts. others: which are of another group."""
        variables = {"ansible_connection": "local", "ansible_become": False, "rcron_feeder": "none"}
        groups = {
            "others": {"hosts": {name: self.hosts[name] for name in others}, "vars": variables},
            "rcron": {
                "hosts": {name: self.hosts[name] for name in self.hosts if name not in others},
                "vars": variables,
            },
        }
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"children": groups}}))
        words = [f"--inventory={self.folder / 'inventory.json'}"]
        words += [playbook if "/" in playbook else f"rcron.cluster.{playbook}", *options]
        return playbooks.run(words, cwd=self.folder, timeout=timeout, PWD=str(self.folder), **environment)

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
        examined = {**EXAMINED, "paths": ["/x"]}  # if nothing is to be changed, it is not asked again
        cluster.add(name, rcron_crontab=TRIED, rcron_wrapper=examined, any={"changed": False})
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


def names(ran: subprocess.CompletedProcess[str], host: str) -> bool:
    """Whether an error names the host: one of its own, and not that another one's has ended the run."""
    own = rf"^(fatal|failed): \[{host}\](?!.*the check above has failed)"
    return re.search(own, ran.stdout, re.MULTILINE) is not None


#: What goes through, by itself, if all that such a host has said is that all is well.
GO_THROUGH = ("facts", "library")


@pytest.mark.parametrize("playbook", ["site", "remove"])
@pytest.mark.parametrize("alone", [(), *((name,) for name in GO_THROUGH)])
def test_a_deployment_or_removal_ends_with_an_error_that_names_the_host(cluster, playbook, alone):
    """All that are wrong fail in one task."""
    entries = {"rcron_crontab_entries": [{"user": "root", "entries": [{"job": "a"}]}], "rcron_on_demotion": "terminate"}
    all_answers = site_answers(cluster)
    wrong = all_answers.keys() - set(GO_THROUGH) if playbook == "site" else {"lists", "garbage", "silent"}
    for name in alone or sorted(wrong):
        cluster.add(name, entries, **all_answers[name])
    ran = cluster.play(playbook, "--diff")
    harmless(cluster, ran)
    if alone:
        assert ran.returncode == 0 or names(ran, *alone), ran.stdout
    else:
        assert ran.returncode != 0
        assert [name for name in cluster.hosts if not names(ran, name)] == [], ran.stdout


#: What the modules' answer names for feeders of before.
ODD_FEEDERS = [7, [7], "x", [{"feeder": ["heartbeat"], "paths": [], "others": []}], [{"feeder": "heartbeat"}]]


@pytest.mark.parametrize("playbook", ["site", "remove"])
def test_odd_feeders_of_before_are_an_error_that_names_the_host(cluster, playbook):
    """They are what an include is repeated for, whose errors name none."""
    odd = {f"odd{number}": {"feeders": feeders} for number, feeders in enumerate(ODD_FEEDERS)}
    for name, more in {**odd, "well": {}}.items():
        cluster.add(name, rcron_crontab=TRIED, rcron_wrapper={**EXAMINED, **more}, any={"changed": False})
    ran = cluster.play(playbook, "--check")
    harmless(cluster, ran)
    said = r"^(?:fatal|failed): \[(\w+)\].*its answer is not one of rcron_wrapper \(feeders"
    assert set(re.findall(said, ran.stdout, re.MULTILINE)) == set(odd), ran.stdout
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
        "enabled_before": True,
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


def test_no_file_is_edited_where_another_user_could_lead_root_elsewhere(cluster):
    """Whoever owns the folder, at a removal too, which takes the include out of keepalived.conf."""
    for name, exposed, exists in [("led", EXPOSED, True), ("without", EXPOSED, False), ("well", "", True)]:
        node = looked_at("keepalived", exposed=exposed, exists=exists, managed=False)
        answers = {"rcron_feeder_info": node, "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}
        cluster.add(name, {"rcron_feeder": "keepalived"}, any={"changed": False}, **answers)
    ran = cluster.play("remove", "--check")
    assert set(re.findall(rf"(\w+): {re.escape(EXPOSED)}", ran.stdout)) == {"led"}, ran.stdout


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
        environment = unprotected(cluster, {})
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


#: What deploys nothing but the feeder, after all checks.
FEEDER_ALONE = ("--tags", "rcron_feeder")


def with_key(
    cluster: Cluster,
    feeder: str,
    name: str,
    *options: str,
    facts: dict[str, Any] | None = None,
    address: str | None = None,
    **environment: str,
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Deploy from a first host that somebody has taken over. Returns the run, and all that was sent to the hosts."""
    text = KEY_FILES[name](KEYS[feeder]).replace("CANARY", str(cluster.canary))
    content = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
    variables = {"rcron_feeder": feeder, f"rcron_{feeder}_manage": True, "ansible_host": "192.0.2.1"}
    if address:
        variables[f"rcron_{feeder}_address"] = address
    for host in ("first", "well"):
        answers = {"rcron_feeder_info": looked_at(feeder), "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}
        slurped = {"content": content, "encoding": "base64", "source": "x", "ansible_facts": facts or {}}
        plain = {"changed": False, "stat": {"exists": False}}
        # Where the agent's program is looked for.
        there = {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": "x"}}
        cluster.add(host, variables, any=plain, stat=there, slurp=slurped, **answers)
    ran = cluster.play("site", *options, "-e", "__feeder_agent_patience=1", **environment)
    return ran, cluster.sent("first") + cluster.sent("well")


@pytest.mark.parametrize(
    ("feeder", "name"),
    [*(("heartbeat", name) for name in KEY_FILES), ("pacemaker", "more lines")],
)
def test_a_key_that_goes_to_all_hosts_is_one_key(cluster, feeder, name):
    ran, sent = with_key(cluster, feeder, name, *FEEDER_ALONE)
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
    sent = with_key(cluster, feeder, "more lines", *FEEDER_ALONE, "-e", json.dumps(grammar))[1]
    assert re.search("^auth 2\n2 crc", sent, re.MULTILINE)


PARTS = pathlib.Path("ansible_collections", "rcron", "cluster")


def unprotected(cluster: Cluster, changes: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Copy the collection, with a text replaced in some files. Returns what names it to Ansible."""
    folder = cluster.folder / "unprotected"
    (folder / PARTS).mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "rcron", "roles"):
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / PARTS / name)
    for name, (text, instead) in changes.items():
        file = folder / PARTS / name
        assert text in file.read_text()
        file.write_text(file.read_text().replace(text, instead))
    return {"ANSIBLE_COLLECTIONS_PATH": str(folder)}


#: What refuses facts that are named like the collection's variables, and the same without.
REFUSES, ACCEPTS = "that: said == []", "that: true"

#: Facts in the answer of the host whose key is read, and what they would have written into the files of all hosts: the
#: variables of the first host are those of what is done once for all.
KEY_FACTS = [
    ({"rcron_heartbeat_directives": ["respawn root /tmp/taken"]}, "respawn root /tmp/taken"),
    ({"rcron_heartbeat_auth_key": f"{PLAIN_KEY}\nauth 2\n2 crc"}, "auth 2\n2 crc"),
]


@pytest.mark.parametrize(("facts", "text"), KEY_FACTS)
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_host_whose_key_is_read_sets_no_variable_of_the_others(cluster, is_protected, facts, text):
    changes = {"roles/_feeder/tasks/key.yml": ("  delegate_facts: true\n", "")}
    environment = {}
    if not is_protected:
        environment = unprotected(cluster, changes)
        key = pathlib.Path(environment["ANSIBLE_COLLECTIONS_PATH"]) / PARTS / "roles/_feeder/tasks/key.yml"
        key.write_text(key.read_text().replace(REFUSES, ACCEPTS))
    ran, sent = with_key(cluster, "heartbeat", "plain", *FEEDER_ALONE, facts=facts, **environment)
    assert sent.count(text) == (0 if is_protected else 2), ran.stdout
    assert ("first: it has answered with facts that are named like variables" in ran.stdout) == is_protected
    assert ("Deploy rcron" in ran.stdout) == (not is_protected)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_first_host_that_is_left_out_sends_no_lines_with_its_key(cluster, is_protected):
    """Its address is in the inventory, and is checked before its key is read."""
    changes = {"roles/_feeder/tasks/key.yml": (REFUSES, ACCEPTS)}
    environment = {} if is_protected else unprotected(cluster, changes)
    facts = {"rcron_pacemaker_address": INJECTED}
    options = ("--limit", "well", *FEEDER_ALONE, "-e", "rcron_pacemaker_patience=0")
    ran, sent = with_key(cluster, "pacemaker", "plain", *options, facts=facts, address="192.0.2.7", **environment)
    assert ("vrrp_script taken" in sent) == (not is_protected), ran.stdout
    assert ("first: it has answered with facts that are named like variables" in ran.stdout) == is_protected


def add_with_facts(cluster: Cluster, facts: dict[str, Any], names: tuple[str, ...] = ("taken", "well")) -> None:
    """Add hosts of which `taken` says that it had a feeder before, and is asked more after the checks: with facts."""
    key = {"content": base64.b64encode(b"S" * 128).decode(), "encoding": "base64"}
    there = {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": "x"}}
    looked = looked_at("pacemaker", users=[], present=[])
    for name in ("other", *names):
        former = {"paths": ["/x"]} | (
            {"feeders": [{"feeder": "ucarp", "paths": [], "others": []}]} if name == "taken" else {}
        )
        said = {"changed": False, "rc": 0, "stdout": "{}", "ansible_facts": facts if name == "taken" else {}}
        answers = {"rcron_feeder_info": looked, "rcron_crontab": TRIED, "slurp": key, "stat": there, "any": said}
        cluster.add(name, rcron_wrapper={**EXAMINED, **former}, **answers)


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_host_is_given_the_key_of_another_cluster(cluster, is_protected):
    """By facts, of which its group is one, after the checks."""
    environment = (
        {} if is_protected else unprotected(cluster, {"roles/_feeder/tasks/preflight.yml": (REFUSES, ACCEPTS)})
    )
    facts = {"rcron_feeder": "pacemaker", "rcron_pacemaker_manage": True, "rcron_group": "all"}
    add_with_facts(cluster, facts)
    ran = cluster.play("site", *FEEDER_ALONE, others=("other",), **environment)
    assert ("S" * 128 in cluster.sent("taken")) == (not is_protected), ran.stdout
    assert ("taken: it has answered with facts that are named like variables" in ran.stdout) == is_protected


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_host_makes_the_first_one_passive_by_facts(cluster, is_protected):
    """As its default state, after the checks, in which two active hosts are refused."""
    environment = {}
    if not is_protected:
        environment = unprotected(cluster, {"roles/rcron/tasks/preflight.yml": (REFUSES, ACCEPTS)})
    add_with_facts(cluster, {"rcron_default_state": "active"}, ("well", "taken"))
    # What a host is to get is in the module's arguments.
    note = 'grep -o "default_state = [a-z]*" "$1" >>"$0.states"'
    (cluster.folder / "well").write_text(INTERPRETER.replace("\ncat ", f"\n{note}\ncat ", 1))
    ran = cluster.play("site", "--tags", "rcron", others=("other",), **environment)
    said = (cluster.folder / "well.states").read_text().split("default_state = ")[1:]
    assert [state.strip() for state in said] == ["active", *([] if is_protected else ["passive"])], ran.stdout
    assert ("taken: it has answered with facts that are named like variables" in ran.stdout) == is_protected


def role_on_the_controller(cluster: Cluster) -> pathlib.Path:
    """Make a folder that a host's facts name. Returns its path."""
    folder = cluster.folder / "evil"
    (folder / "tasks").mkdir(parents=True)
    task = {"name": "Evil", "delegate_to": "localhost", "ansible.builtin.command": f"touch {cluster.canary}"}
    (folder / "tasks" / "main.yml").write_text(json.dumps([task]))
    return folder


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_host_names_a_role_of_the_controllers(cluster, is_protected):
    """Such as a folder that holds a copy of the host's files."""
    environment = {} if is_protected else unprotected(cluster, {"playbooks/site.yml": (" | basename }}", " }}")})
    facts = {"rcron_feeder": f"/..{'/..' * 20}{role_on_the_controller(cluster)}"}
    add_with_facts(cluster, facts)
    ran = cluster.play("site", *FEEDER_ALONE, others=("other",), **environment)
    assert cluster.canary.exists() == (not is_protected), ran.stdout
    assert ("role 'rcron.cluster.rcron_evil' was not found" in ran.stdout) == is_protected, ran.stdout


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_host_names_tasks_of_the_controllers(cluster, is_protected):
    by_name = ("'present' if rcron_metrics_state == 'present' else 'absent'", "rcron_metrics_state")
    environment = {} if is_protected else unprotected(cluster, {"roles/rcron_metrics/tasks/main.yml": by_name})
    facts = {"rcron_metrics_state": str(role_on_the_controller(cluster) / "tasks" / "main")}
    there = {"changed": False, "stat": {"exists": True, "isdir": True}, "ansible_facts": facts}
    cluster.add("taken", any={"changed": False}, stat=there)
    plays = [{"name": "Test", "hosts": "rcron", "gather_facts": False, "roles": ["rcron.cluster.rcron_metrics"]}]
    (cluster.folder / "play.yml").write_text(json.dumps(plays))
    ran = cluster.play(str(cluster.folder / "play.yml"), **environment)
    assert cluster.canary.exists() == (not is_protected), ran.stdout
    assert ("rcron_metrics : Look for the units" in ran.stdout) == is_protected


@pytest.mark.parametrize("playbook", ["report", "timeline"])
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_fact_of_before_names_the_file_that_is_written_on_the_controller(cluster, is_protected, playbook):
    """As a play before it in the same run has gathered them, or a cache of facts holds them."""
    environment = (
        {} if is_protected else unprotected(cluster, {"playbooks/_group.yml": ("meta: clear_facts", "meta: noop")})
    )
    victim = cluster.folder / "victim"
    victim.write_text("precious")
    for name, facts in (("taken", {f"rcron_{playbook}_file": str(victim)}), ("well", {})):
        cluster.add(name, any={"changed": False}, rcron_info=WELL, setup={"changed": False, "ansible_facts": facts})
    plays = [{"name": "Test", "hosts": "rcron"}, {"name": "Report", "import_playbook": f"rcron.cluster.{playbook}"}]
    (cluster.folder / "plays.yml").write_text(json.dumps(plays))
    ran = cluster.play(str(cluster.folder / "plays.yml"), **environment)
    assert ran.returncode == 0, ran.stdout
    assert (victim.read_text() == "precious") == is_protected
    assert "taken has facts that are named like variables of this collection" in ran.stdout
    name = {"report": "report.html", "timeline": "timeline.svg"}[playbook]
    assert (cluster.folder / name).exists() == is_protected


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_fact_takes_a_change_its_time_limit(cluster, is_protected):
    limit = "__rcron_patience_for_changes"
    of_plays = {"playbooks/site.yml": (f"{limit}: 3600", f"{limit}: 4")}
    by_default = {"playbooks/site.yml": (f'timeout: "{{{{ {limit} }}}}"\n', 'timeout: "{{ other | default(4) }}"\n')}
    environment = unprotected(cluster, of_plays if is_protected else by_default)
    facts = {limit: 0, "other": 0, "__rcron_patience_for_answers": 0}
    there = {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": "x"}}
    looked = {
        "changed": False,
        "node": {"uid": 0, "foreign": [], "exposed": "", "perl": True, "lacks": [], "control": ""},
    }
    variables = {"rcron_feeder": "wackamole", "rcron_wackamole_address": "192.0.2.10"}
    answers = {
        "rcron_feeder_info": looked,
        "rcron_wrapper": EXAMINED,
        "rcron_crontab": TRIED,
        "any": {"changed": False},
    }
    cluster.add("taken", variables, stat={**there, "ansible_facts": facts}, **answers)
    (cluster.folder / "taken").write_text(ENDLESS.replace("MODULE", "copy").replace(' && [ -e "$0.asked" ]', ""))
    options = ("site", *FEEDER_ALONE)
    if is_protected:
        ran = cluster.play(*options, timeout=200, **environment)
        assert "Timed out after 4 " in ran.stdout, ran.stdout
    else:
        with pytest.raises(subprocess.TimeoutExpired):
            cluster.play(*options, timeout=15, **environment)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_removal_from_pacemaker_ends_only_for_the_host_that_fails(cluster, is_protected):
    """The resource is the whole cluster's; and what was done to it is shown as a terminal does not obey it."""
    environment = {}
    if not is_protected:
        environment = unprotected(
            cluster, {"roles/rcron_pacemaker/tasks/unhook.yml": ("throttle: 1", "run_once: true")}
        )
    for name in ("failing", "well"):
        done = (
            {"failed": True, "msg": "no"} if name == "failing" else {"changed": True, "steps": [f"stop it {CONTROL}"]}
        )
        looked = looked_at("pacemaker", managed=False)
        answers = {"rcron_feeder_info": looked, "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED}
        plain = {"changed": False, "files": []}
        cluster.add(name, {"rcron_feeder": "pacemaker"}, any=plain, rcron_pacemaker_resource=done, **answers)
    ran = cluster.play("remove", **environment)
    done = "rcron was removed from well, and not from failing, whose errors are above"
    assert (done in ran.stdout) == is_protected, ran.stdout
    if is_protected:
        plain_steps = [line for line in ran.stdout.splitlines() if "stop it" in line]
        assert plain_steps
        assert all(line.isprintable() for line in plain_steps)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_removal_of_claims_ends_only_for_the_host_that_fails(cluster, is_protected):
    once = ("  # From each host: with run_once,", "  run_once: true # From each host: with run_once,")
    environment = {} if is_protected else unprotected(cluster, {"roles/rcron_claims/tasks/remove.yml": once})
    node = {"uid": 0, "words": "", "remarks": [], "problem": "", "lacks": "", "user": None, "shared": [], "foreign": []}
    variables = {"rcron_claims_engine": "etcd", "rcron_claims_endpoints": "https://x:1", "rcron_claims_forget": True}
    for name in ("failing", "well"):
        answers = {"rcron_engine_info": {"changed": False, "node": {**node, "exposed": ""}}, "rcron_wrapper": EXAMINED}
        command = {"changed": False, "rc": 0, "stdout": json.dumps({"cluster_name": "billing"})}
        cluster.add(
            name, variables, any={"changed": False, "files": []}, command=command, rcron_crontab=TRIED, **answers
        )
    fails = 'if grep -q -e --forget "$1"; then echo \'{"failed": true, "msg": "no"}\'; exit 1; fi'
    (cluster.folder / "failing").write_text(INTERPRETER.replace("\ncat ", f"\n{fails}\ncat ", 1))
    ran = cluster.play("remove", **environment)
    done = "rcron was removed from well, and not from failing, whose errors are above"
    assert (done in ran.stdout) == is_protected, ran.stdout


def test_no_host_has_a_removal_repeated_for_thousands_of_files(cluster):
    """Only the role's own files are removed, whatever it says is there."""
    present = ["/usr/local/sbin/rcron-ucarp-up", *(f"/x{number}" for number in range(40))]
    looked = {"uid": 0, "foreign": [], "exposed": "", "present": present, "users": [], "installed": "", "missing": []}
    answers = {
        "rcron_feeder_info": {"changed": False, "node": looked},
        "rcron_wrapper": EXAMINED,
        "rcron_crontab": TRIED,
    }
    cluster.add("taken", {"rcron_feeder": "ucarp"}, any={"changed": False, "files": []}, **answers)
    ran = cluster.play("remove", *FEEDER_ALONE)
    assert "item=/usr/local/sbin/rcron-ucarp-up" in ran.stdout, ran.stdout
    assert "item=/x" not in ran.stdout


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_host_whose_feeder_is_left_alone_writes_no_lines_into_the_others_files(cluster, is_protected):
    """Its address in the inventory is checked with the others', and a later answer's facts do not change it."""
    environment = {}
    if not is_protected:
        only = ("when: __feeder_managed or __feeder_names_peers and ", "when: __feeder_managed and ")
        environment = unprotected(cluster, {"roles/_feeder/tasks/preflight.yml": only})
    there = {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": "x"}}
    facts = {"rcron_keepalived_address": INJECTED}
    for name, stat in (("well", there), ("taken", {**there, "ansible_facts": facts})):
        variables = {"rcron_feeder": "keepalived", "rcron_keepalived_manage": name == "well"}
        variables |= {"rcron_keepalived_address": "192.0.2.7", "__feeder_agent_patience": 1}
        looked = looked_at("keepalived", instances=["VI_rcron"])
        answers = {"rcron_feeder_info": looked, "rcron_wrapper": EXAMINED, "rcron_crontab": TRIED, "stat": stat}
        cluster.add(name, variables, any={"changed": False}, **answers)
    options = (*FEEDER_ALONE, "-e", "__feeder_agent_patience=1")
    ran = cluster.play("site", *options, **environment)
    assert "unicast_peer" in cluster.sent("well"), ran.stdout
    assert ("vrrp_script taken" in cluster.sent("well")) == (not is_protected)


#: A key of which anything may be a part.
NO_GRAMMAR = {"given": "", "path": "/x", "kept": True, "option": "x", "grammar": "(?s:.*)", "length": 128}


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


def test_a_feeder_s_inspection_that_makes_no_sense_is_an_error_that_names_the_host(cluster):
    nodes = [cluster.template() + CONTROL, 7, [], {}, {"uid": 0}, {"uid": [[7]], "foreign": {"a": 1}}]
    for number, node in enumerate(nodes):
        answers = {"rcron_feeder_info": {"changed": False, "node": node}, "rcron_wrapper": EXAMINED}
        cluster.add(f"odd{number}", {"rcron_feeder": "keepalived"}, any={"changed": False}, **answers)
    ran = cluster.play("site")
    harmless(cluster, ran)
    assert [name for name in cluster.hosts if not names(ran, name)] == [], ran.stdout
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
