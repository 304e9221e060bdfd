# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What every unit test needs: the checkout reachable under its collection name."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import settings

from tests.unit import playbooks

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure() -> None:
    """Make .build/ansible_collections/rcron/cluster, named in pyproject.toml, a link to the checkout."""
    link = CHECKOUT / ".build" / "ansible_collections" / "rcron" / "cluster"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(CHECKOUT)
    # Whoever runs the tests in the background or under nohup ignores these, and all that is started here would too.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # On a busy machine an example that takes 10 ms takes 300 at times, which hypothesis would call a failure.
    settings.register_profile("busy", deadline=None)
    settings.load_profile("busy")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a program which is not installed. `make test` installs all of them: there it fails."""
    for mark in item.iter_markers("needs"):
        program, package = mark.args
        if shutil.which(program) is None:
            give_up = pytest.fail if os.environ.get("RCRON_REQUIRE_ALL") else pytest.skip
            give_up(f"{program} is not installed (Debian's package {package})")


@pytest.fixture
def module(capsys):
    """Return a function that runs a module's main() in this process, and returns what it would tell Ansible."""
    # Not at the top: the wrapper's tests run where there is no Ansible.
    from ansible.module_utils.testing import patch_module_args

    def run(main, check_mode: bool = False, diff: bool = False, **options) -> dict:
        arguments = {**options, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def play(tmp_path):
    """Return a function that runs tasks on this machine with ansible-playbook, and returns each one's result."""
    folder = tmp_path / "play"
    folder.mkdir()

    def run(tasks: list[dict], path: str = os.environ["PATH"]) -> list[dict]:
        named = [
            {"name": f"Task {number}", "register": f"result_{number}", "ignore_errors": True, **task}
            for number, task in enumerate(tasks)
        ]
        results = ", ".join(f"result_{number}" for number in range(len(tasks)))
        content = "{{ [" + results + "] | to_json }}"
        save = {"ansible.builtin.copy": {"content": content, "dest": str(folder / "results"), "mode": "0600"}}
        plays = [{"name": "Test", "hosts": "localhost", "gather_facts": False, "tasks": [*named, save]}]
        (folder / "play.yml").write_text(json.dumps(plays))
        done = run_playbook(folder / "play.yml", path)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((folder / "results").read_text())

    return run


def run_playbook(
    playbook: pathlib.Path, path: str = os.environ["PATH"], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook on this machine under the collection of this checkout."""
    interpreter = f"ansible_python_interpreter={sys.executable}"
    words = ["-i", "localhost,", "-c", "local", "-e", interpreter, playbook.name, *options]
    return playbooks.run(words, cwd=playbook.parent, PATH=f"{pathlib.Path(sys.executable).parent}:{path}")


@pytest.fixture
def playbook(tmp_path):
    """Return a function that runs one play, given as data, with ansible-playbook's options; it returns the process."""
    folder = tmp_path / "playbook"
    folder.mkdir()

    def run(play: dict, *options: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
        whole = {"name": "Test", "hosts": "all", "gather_facts": False, **play}
        (folder / "play.yml").write_text(json.dumps([whole]))
        return run_playbook(folder / "play.yml", path, *options)

    return run


#: A connection to a host that is not there.
GONE = """
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = "name: gone"


class Connection(ConnectionBase):
    transport = "gone"

    def _connect(self):
        raise AnsibleConnectionFailure("No route to host")

    exec_command = put_file = fetch_file = close = lambda self, *words, **options: self._connect()
"""


@pytest.fixture
def playbook_here(tmp_path):
    """Return a function that runs one of our playbooks in tmp_path/here, and returns the process.

    Its hosts are this machine, with a journal of the test's own, and one that is not there.
    """
    journal = tmp_path / "bin" / "journalctl"
    journal.parent.mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "connection").mkdir()
    (tmp_path / "connection" / "gone.py").write_text(GONE)
    since, when = time.time() - 9000, time.time() - 90
    job = f"/bin/report <b> {{{{ lookup('pipe', 'touch {tmp_path}/template') }}}}"
    lines = [
        f"{since} node rcron[1]: cluster=billing state=active status=changed event=keepalived:MASTER",
        f"{when} node rcron[2]: cluster=billing state=active status=start cmd={job}",
        f"{when + 9} node rcron[2]: cluster=billing state=active status=fail dur=9 exit=3 cmd={job}",
    ]
    text = "\n".join(lines)
    journal.write_text(f"#!/bin/sh\ncase $* in *--list-boots*) exit 1 ;; esac\ncat <<'EOF'\n{text}\nEOF\n")
    journal.chmod(0o755)

    def run(playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables |= {"ansible_become": False, "rcron_bin_dir": str(tmp_path)}
        hosts = {"node1": {}, "gone": {"ansible_connection": "gone"}}
        (tmp_path / "inventory.json").write_text(json.dumps({"rcron": {"hosts": hosts, "vars": variables}}))
        return playbooks.run(
            [f"--inventory={tmp_path / 'inventory.json'}", f"rcron.cluster.{playbook}", *words],
            cwd=tmp_path / "here",
            ANSIBLE_CONNECTION_PLUGINS=str(tmp_path / "connection"),
            PATH=f"{journal.parent}:{os.environ['PATH']}",
            PWD=str(tmp_path / "here"),
        )

    return run
