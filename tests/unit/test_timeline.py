# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""playbooks/timeline.yml on hosts that are this machine, with a journal of the test's own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


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
def draw(tmp_path):
    """Return a function that runs the playbook with some words, and returns the process."""
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

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables |= {"ansible_become": False, "rcron_bin_dir": str(tmp_path)}
        hosts = {"node1": {}, "gone": {"ansible_connection": "gone"}}
        (tmp_path / "inventory.json").write_text(json.dumps({"rcron": {"hosts": hosts, "vars": variables}}))
        return subprocess.run(
            [
                pathlib.Path(sys.executable).parent / "ansible-playbook",
                f"--inventory={tmp_path / 'inventory.json'}",
                "rcron.cluster.timeline",
                *words,
            ],
            cwd=tmp_path / "here",
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build"),
                "ANSIBLE_CONNECTION_PLUGINS": str(tmp_path / "connection"),
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
                "ANSIBLE_NOCOLOR": "1",
                "PATH": f"{journal.parent}:{os.environ['PATH']}",
                "PWD": str(tmp_path / "here"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_picture_is_written_where_the_playbook_was_started(draw, tmp_path):
    path = tmp_path / "here" / "timeline.svg"
    tried = draw("--check")
    assert tried.returncode == 0, tried.stdout
    assert "changed=1" in tried.stdout
    assert not path.exists()

    def drawn(*words: str) -> list[str]:
        """The titles of what is drawn."""
        done = draw(*words)
        assert done.returncode == 0, done.stdout
        assert f'"msg": "{path}"' in done.stdout
        svg = ET.parse(path).getroot()  # noqa: S314 - our own document
        return [element.text for element in svg.iter("{http://www.w3.org/2000/svg}title")]

    titles = drawn()
    assert titles[0] == "billing: who was active, and what ran where"
    assert any(title.startswith("/bin/report <b> {{ lookup('pipe', 'touch ") for title in titles)
    assert any(title.startswith("gone unknown, 0 s to ") for title in titles)
    assert any("gone: unreachable: No route to host" in title for title in titles)
    assert any("gone: not asked" in title for title in drawn("--limit", "node1"))
    # What a host says is no template.
    assert not (tmp_path / "template").exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["timeline.svg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rcron_timeline_hour=1", "unknown variable rcron_timeline_hour (did you mean rcron_timeline_hours?)"),
        ("rcron_timeline_hours=soon", "rcron_timeline_hours is soon: give a number of hours above 0"),
        ("rcron_timeline_hours=745", "rcron_timeline_hours is 745: give a number of hours above 0, up to 744"),
        (
            "rcron_timeline_file=no/such/folder.svg",
            "rcron_timeline_file is no/such/folder.svg: name a file in an existing folder",
        ),
        ("rcron_timeline_file=/", "rcron_timeline_file is /: name a file"),
    ],
)
def test_invalid_variables_are_refused(draw, words, said):
    done = draw("-e", words)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Read every host's log" not in done.stdout
