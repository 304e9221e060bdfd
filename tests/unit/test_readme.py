# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Every command that the README and docs/ show is run by a test, a scenario, the demo, or `make test` itself."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from rcron.settings import ConfigError, parse

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text() for path in [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md"))]}
README = PAGES["README.md"]

#: The first word of a command, as opposed to a word of prose.
COMMAND = re.compile(
    r"(make|ansible-playbook|ansible-galaxy|ansible-doc|ansible|rcronctl|rcron|systemctl|journalctl|printf|tar|apt-get"
    r"|python3 packaging/\S+) .*"
)

#: Where each command, without the hosts' file, is run: a file or a folder of Python files, and the words that do so.
RUN_BY = {
    "make demo": ("molecule/demo/demo.py", "rcron.cluster.site"),
    "make test": (".ci/run", "make test"),
    "make man": ("Makefile", "man.build"),
    "make docs": ("Makefile", "tests/published.sh docs"),
    "make fuzz-short": ("tests/all.sh", "make fuzz-short"),
    "make cluster SCENARIOS=attack": ("tests/all.sh", "cluster"),
    "make tarball": ("tests/unit/packaging/test_install.py", '"make", "tarball"'),
    "make packages": ("tests/unit/packaging/test_packages.py", '"make", "packages"'),
    "apt-get install --yes git python3-venv openssh-client": (
        "tests/new_user.py",
        'section.page."docs/install.md"., "What it needs"',
    ),
    "systemctl stop etcd && rm -r /var/lib/etcd/default && systemctl start etcd": (
        "tests/new_user.py",
        "for command in commands.section.:",
    ),
    "apt-get install ./rcron_*.deb ./rcron-agent_*.deb": ("tests/cluster/test_packages_debs.py", "apt.node, INSTALL"),
    "apt-get remove rcron rcron-agent": ("tests/cluster/test_packages_debs.py", "apt.node, REMOVE"),
    "apt-get purge rcron rcron-agent": ("tests/cluster/test_packages_debs.py", "apt.node, PURGE"),
    # test_the_commands_of_the_page runs the block of them that the page shows.
    "tar -xzf && cd rcron-VERSION": ("tests/unit/packaging/test_install.py", r'startswith\("tar'),
    "printf 'cluster_name = billing\\ndefault_state = passive\\nstate_max_age = 10\\n' > billing.conf": (
        "tests/unit/packaging/test_install.py",
        "BY_HAND",
    ),
    "python3 packaging/install.py check --config billing.conf": ("tests/unit/packaging/test_install.py", "BY_HAND"),
    "python3 packaging/install.py present --config billing.conf": ("tests/unit/packaging/test_install.py", "BY_HAND"),
    "python3 packaging/install.py absent": ("tests/unit/packaging/test_install.py", "BY_HAND"),
    # The scenario runs all commands of this section, as the page has them.
    "systemctl daemon-reload": ("tests/cluster/test_packages_by_hand.py", 'commands."By hand"'),
    "systemctl enable --now rcron-agent": ("tests/cluster/test_packages_by_hand.py", 'commands."By hand"'),
    "systemctl reload keepalived": ("tests/cluster/test_packages_by_hand.py", 'commands."By hand"'),
    "systemctl daemon-reload && systemctl reload keepalived": (
        "tests/cluster/test_packages_by_hand.py",
        'commands."By hand"',
    ),
    "ansible-doc --type role rcron.cluster.rcron": ("tests/unit/test_readme.py", "ansible-doc.*role"),
    "make test-long PARTS=faults": ("tests/long.sh", r"faults\) run faults .* make cluster"),
    "make soak": ("tests/long.sh", r"soak\) run soak make soak SECONDS"),
    "make help": ("tests/unit/test_readme.py", "make.*help"),
    "ansible-galaxy collection build": ("tests/tarball.sh", "ansible-galaxy collection build"),
    "ansible-galaxy collection install": ("tests/tarball.sh", "ansible-galaxy collection install"),
    "ansible rcron --become -m rcron.cluster.rcron_info -a history=0": (
        "tests/unit/test_readme.py",
        '"rcron.cluster.rcron_info"',
    ),
    "ansible-playbook rcron.cluster.site": ("molecule/shared/converge.yml", "rcron.cluster.site"),
    "ansible-playbook rcron.cluster.site --check --diff": (
        "tests/cluster/test_default_check_mode.py",
        '"--check", "--diff"',
    ),
    "ansible-playbook rcron.cluster.site -e rcron_serial=1": ("tests", "rcron_serial"),
    "ansible-playbook rcron.cluster.site -e rcron_skip_unreachable=true": ("tests", "rcron_skip_unreachable=true"),
    "ansible-playbook rcron.cluster.remove --limit node3.example.com": (
        "tests/unit/test_site.py",
        '"--limit", "two", playbook="remove"',
    ),
    "ansible-playbook rcron.cluster.check": ("tests/cluster/test_default_reports.py", "rcron.cluster.check"),
    "ansible-playbook rcron.cluster.status": ("tests/cluster/test_default_reports.py", "rcron.cluster.status"),
    "ansible-playbook rcron.cluster.timeline": ("tests/cluster/test_default_reports.py", "rcron.cluster.timeline"),
    "ansible-playbook rcron.cluster.report": ("tests/unit/test_report.py", 'playbook_here\\("report"\\)'),
    "ansible-playbook rcron.cluster.remove": ("molecule/default/remove.yml", "rcron.cluster.remove"),
    "rcronctl status": ("tests/cluster/test_suites_keepalived.py", "rcronctl status"),
    "rcronctl status --json": ("tests/unit/rcron/test_ctl.py", '"status", "--json"'),
    "rcronctl check": ("tests/unit/rcron/test_ctl.py", '"check"'),
    "rcronctl is-active": ("molecule/shared/nodes.py", "rcronctl is-active"),
    "rcronctl health": ("tests/unit/rcron/test_health.py", '"health", "--no-clock"'),
    "rcronctl metrics": ("tests/unit/rcron/test_metrics.py", '"metrics", "--counters"'),
    "rcronctl migrate-check": ("tests/unit/rcron/test_migrate.py", '"migrate-check"'),
    "rcronctl migrate-check FILE": ("tests/unit/rcron/test_migrate.py", '"migrate-check", str'),
    "rcronctl guard": ("tests/unit/rcron/test_guard.py", '"guard"'),
    "rcronctl history": ("tests/unit/rcron/agent/test_server.py", '"history"'),
    "rcron --claim required": ("tests/unit/rcron/test_claim.py", "--claim=required"),
    "systemctl stop": ("tests/unit/rcron/test_guard.py", "systemctl stop"),
    "rcronctl feed": ("tests/unit/rcron/feeders", "feed"),
    "rcronctl feed lease leave": ("tests/cluster/test_lease_faults.py", "rcronctl feed lease leave"),
    "rcronctl set": ("molecule/cron/converge.yml", "set active"),
    "rcronctl set active": ("molecule/cron/converge.yml", "set active"),
    "rcronctl set passive": ("molecule/cron/converge.yml", "set passive"),
    "rcronctl pin": ("tests/cluster/test_suites_pin.py", "rcronctl pin"),
    "rcronctl pin active": ("tests/unit/rcron/test_pin.py", '"pin", "active"'),
    "rcronctl pin passive": ("tests/unit/rcron/agent/feeders/test_lease.py", "pin.write.*PASSIVE"),
    "rcronctl pin active|passive [--for 2h30m]": ("tests/cluster/test_suites_pin.py", "rcronctl pin"),
    "rcronctl pin passive --for 2h": ("tests/cluster/test_suites_pin.py", "rcronctl pin passive"),
    "systemctl stop keepalived": ("tests/cluster/test_default_failover.py", "systemctl stop keepalived"),
    "rcron 'a | b'": ("tests/unit/rcron/test_command_line.py", r"a \| b"),
    "rcron -c": ("tests/unit/rcron/test_command_line.py", '"-c"'),
    "rcron -c '…'": ("tests/unit/rcron/test_command_line.py", '"-c"'),
    "rcron -c 'a && b > out'": ("tests/unit/rcron/test_command_line.py", '"-c"'),
    "rcron --takeover-wait SECONDS job": ("tests/unit/rcron/test_takeover.py", "--takeover-wait"),
    "rcron flock -n /run/lock/job job": ("tests/unit/rcron/test_composition.py", '"flock", "-n"'),
    "rcron timeout 1h job": ("tests/unit/rcron/test_composition.py", '"timeout", "1h"'),
    "rcron chronic job": ("tests/unit/rcron/test_composition.py", '"chronic"'),
    "journalctl -t rcron": ("plugins/module_utils/job_log.py", "--identifier=rcron"),
    # What not to write, and why: the law's tests show both.
    "rcron cd /app && ./job": ("tests/unit/plugins/module_utils/corpus/lists.txt", "^cd .*&&"),
    "rcron job > out": ("tests/unit/plugins/module_utils/corpus/redirections.txt", ">"),
    # The feeder of one's own: tests/unit/rcron/feeders/test_own.py runs the whole script.
    "rcronctl set active --feeder NAME": ("tests/unit/rcron/test_hook.py", '"active", "--feeder"'),
    "rcronctl set passive --feeder NAME": ("tests/unit/rcron/test_hook.py", '"passive", "--feeder"'),
}


def commands() -> list[str]:
    """The commands in indented blocks and in `code` of all pages, without options that name a user's own files."""
    found = []
    for page in PAGES.values():
        blocks = re.findall(r"^    (\S.*)$", page, re.MULTILINE)
        inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
        for text in [*blocks, *inline]:
            if COMMAND.fullmatch(text):
                plain = re.sub(r"\brcron-[0-9.]+$", "rcron-VERSION", re.sub(r" -i hosts\.yml| \S*\.tar\.gz", "", text))
                if plain not in found:
                    found.append(plain)
    return found


SHOWN = frozenset(commands())

# docs/migrate.md's crontab lines, which both programs have run: the C rcron for the table, this one in test_migrate.py.
RUN_BY |= {
    line.replace("|", "\\|"): ("tests/unit/rcron/c_rcron.json", re.escape(json.dumps(line)))
    for line in (row.get("crontab", "") for row in json.loads((CHECKOUT / "tests/unit/rcron/c_rcron.json").read_text()))
    if line.replace("|", "\\|") in SHOWN and line.replace("|", "\\|") not in RUN_BY
}


def test_commands_are_found() -> None:
    assert {"make demo", "ansible-playbook rcron.cluster.site", "rcronctl status"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_a_command_is_run_by_something(command: str) -> None:
    path, words = RUN_BY[command]
    files = [CHECKOUT / path] if (CHECKOUT / path).is_file() else sorted((CHECKOUT / path).rglob("*.py"))
    assert any(re.search(words, file.read_text(), re.MULTILINE) for file in files), f"{path} does not run it"


def test_nothing_is_listed_that_no_page_shows() -> None:
    assert sorted(set(RUN_BY) - set(commands())) == []


def test_make_help_lists_the_targets_that_the_pages_show() -> None:
    pages = "\n".join([*PAGES.values(), (CHECKOUT / "CONTRIBUTING.md").read_text()])
    shown = set(re.findall(r"(?:`|^    )make ([a-z-]+)", pages, re.MULTILINE))
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert shown <= set(re.findall(r"^make ([a-z-]+)", listed, re.MULTILINE))


def test_a_module_works_without_a_playbook(tmp_path: pathlib.Path) -> None:
    python = f"ansible_python_interpreter={sys.executable}"
    hosts = tmp_path / "hosts"
    hosts.write_text(f"[rcron]\nlocalhost ansible_connection=local {python}\n")
    module = ["-m", "rcron.cluster.rcron_info", "-a", "history=0"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build"), "ANSIBLE_NOCOLOR": "1"}
    ran = subprocess.run(
        ["ansible", "rcron", "-i", hosts, *module], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"clock_offset"' in ran.stdout


def test_ansible_doc_shows_a_roles_variables() -> None:
    command = ["ansible-doc", "--type", "role", "rcron.cluster.rcron"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build")}
    assert (
        "rcron_default_state"
        in subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    )


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 900


def test_the_readmes_inventory_has_only_variables_that_the_roles_know() -> None:
    inventory = yaml.safe_load(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    known = set()
    for specs in CHECKOUT.glob("roles/*/meta/argument_specs.yml"):
        known |= set(yaml.safe_load(specs.read_text())["argument_specs"]["main"]["options"])
    assert set(inventory["rcron"]["vars"]) <= known
    assert not [name for name in inventory["rcron"]["vars"] if name.endswith("_manage")], (
        "it overwrites a daemon's file"
    )


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("exit 0", 0),
        ("exit 75", 1),
        ("exit 1", 255),
        ("exit 78", 255),
        ("exit 255", 255),
        ("kill -9 $$", 255),
        (None, 255),
    ],
)
def test_the_timers_condition_skips_on_passive_nodes_only(
    answer: str | None, status: int, tmp_path: pathlib.Path
) -> None:
    """systemd skips a service for the exit statuses 1 to 254 of its condition, and reports 255 as a failure."""
    (condition,) = re.findall(r"^ExecCondition=\+(.*) %n$", PAGES["timers.md"], re.MULTILINE)
    rcronctl = tmp_path / "rcronctl"  # without an answer it is missing: the shell's status is 127
    if answer:
        rcronctl.write_text(
            f"#!/bin/sh\n[ \"$*\" = 'guard --passive-status 75 a\\x2db@c.service' ] || exit 0\n{answer}\n"
        )
        rcronctl.chmod(0o755)
    assert condition.count("/usr/bin/rcronctl") == 1
    # systemd's quotes are the shell's here; it takes $$ for a $ that is not a variable of its own.
    words = [word.replace("$$", "$") for word in shlex.split(condition.replace("/usr/bin/rcronctl", str(rcronctl)))]
    ran = subprocess.run([*words, r"a\x2db@c.service"], check=False, stderr=subprocess.DEVNULL)
    assert ran.returncode == status


#: What docs/migrate.md says of the C rcron's configuration: forms that are refused here, and forms that only work
#: here.
REFUSED = [
    "nice_level = 5\nnice_level = 5\n",
    'cluster_name = ""\n',
    'cluster_name = "a\n',
    'cluster_name = "a\nb"\n',
    "cluster_name = caf\udce9\n",
    "nice_level = 25\n",
    "nice_level = 5-3\n",
    "state_file = state\n",
]
TAKEN = [
    "",
    "nice_level = 5",
    "nice_level = 5\r\n",
    "  # a comment\n",
    "syslog_facility = LOG_AUTHPRIV\n",
    "syslog_facility = LOG_Cron\n",
    'default_state = "active"\n',
    'nice_level = "5"\n',
    "cluster_name = active\n",
    "cluster_name = yes\n",
    "cluster_name = 5\n",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_said_to_be_refused_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, "rcron.conf")


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_said_to_work_works(text: str) -> None:
    parse(text, "rcron.conf")
