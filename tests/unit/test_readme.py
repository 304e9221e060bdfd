# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Every command that the README tells is run by a test, a scenario, the demo, or `make test` itself."""

from __future__ import annotations

import pathlib
import re

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text()

#: What begins a command, and is no word of prose.
COMMAND = re.compile(r"(make|ansible-playbook|ansible-galaxy|ansible|rcronctl|rcron|systemctl|journalctl) .*")

#: Where each command is run: a file, and what stands there. A command's own files and hosts are left out.
RUN_BY = {
    "make demo": ("molecule/demo/demo.py", "rcron.cluster.site"),
    "make test": (".ci/run", "make test"),
    "make man": ("Makefile", "man.build"),
    "make soak": ("tests/all.sh", "make soak SECONDS"),
    "make help": ("tests/unit/test_readme.py", "make.*help"),
    "ansible-galaxy collection build": ("tests/tarball.sh", "ansible-galaxy collection build"),
    "ansible-galaxy collection install": ("tests/tarball.sh", "ansible-galaxy collection install"),
    "ansible-playbook rcron.cluster.site": ("molecule/shared/converge.yml", "rcron.cluster.site"),
    "ansible-playbook rcron.cluster.site --check --diff": (
        "tests/cluster/test_default_check_mode.py",
        '"--check", "--diff"',
    ),
    "ansible-playbook rcron.cluster.site -e rcron_serial=1": ("tests", "rcron_serial"),
    "ansible-playbook rcron.cluster.check": ("tests/cluster/test_default_reports.py", "rcron.cluster.check"),
    "ansible-playbook rcron.cluster.status": ("tests/cluster/test_default_reports.py", "rcron.cluster.status"),
    "ansible-playbook rcron.cluster.timeline": ("tests/cluster/test_default_reports.py", "rcron.cluster.timeline"),
    "ansible-playbook rcron.cluster.remove": ("molecule/default/remove.yml", "rcron.cluster.remove"),
    "rcronctl status": ("tests/cluster/test_suites_keepalived.py", "rcronctl status"),
    "rcronctl status --json": ("tests/unit/rcron/test_ctl.py", '"status", "--json"'),
    "rcronctl is-active": ("molecule/shared/nodes.py", "rcronctl is-active"),
    "rcronctl set active": ("molecule/cron/converge.yml", "set active"),
    "rcronctl set passive": ("molecule/cron/converge.yml", "set passive"),
    "rcronctl pin active|passive [--for 2h30m]": ("tests/cluster/test_suites_pin.py", "rcronctl pin"),
    "rcronctl pin passive --for 2h": ("tests/cluster/test_suites_pin.py", "rcronctl pin passive"),
    "systemctl stop keepalived": ("tests/cluster/test_default_failover.py", "systemctl stop keepalived"),
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
    "rcronctl set active --feeder NAME --while DAEMON'S-PID": ("tests/unit/rcron/test_hook.py", '"--while"'),
    "rcronctl set passive --feeder NAME": ("tests/unit/rcron/test_hook.py", '"passive", "--feeder"'),
}


def commands() -> list[str]:
    """The commands in indented blocks and in `code`, without options that name a user's own files."""
    blocks = re.findall(r"^    (\S.*)$", README, re.MULTILINE)
    told = [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))]
    found = []
    for text in told:
        if COMMAND.fullmatch(text):
            plain = re.sub(r" -i hosts\.yml| \S*\.tar\.gz", "", text)
            if plain not in found:
                found.append(plain)
    return found


def test_commands_are_found() -> None:
    assert {"make demo", "ansible-playbook rcron.cluster.site", "rcronctl status"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_a_command_is_run_by_something(command: str) -> None:
    path, words = RUN_BY[command]
    files = [CHECKOUT / path] if (CHECKOUT / path).is_file() else sorted((CHECKOUT / path).rglob("*.py"))
    assert any(re.search(words, file.read_text(), re.MULTILINE) for file in files), f"{path} does not run it"


def test_nothing_is_listed_that_the_readme_does_not_tell() -> None:
    assert sorted(set(RUN_BY) - set(commands())) == []


def test_make_help_lists_the_targets_that_the_readme_tells() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    listed = re.findall(r"^([a-z-]*):.*## ", makefile, re.MULTILINE)
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE)) <= set(listed)
