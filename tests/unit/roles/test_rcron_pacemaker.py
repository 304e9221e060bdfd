# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The resource agent's script, as the role rcron_pacemaker installs it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import threading

import pytest

TEMPLATE = pathlib.Path(__file__).parents[3] / "roles/rcron_pacemaker/templates/rcron.j2"

#: A stand-in for Python: it notes what it is called with.
PYTHON = """\
#!/bin/sh
shift
echo "$@" >>{calls}
exit 8
"""


@pytest.fixture
def agent(tmp_path):
    """Return a function that runs the script with these words, with an rcronctl whose interpreter is in tmp_path."""
    (tmp_path / "python").write_text(PYTHON.format(calls=tmp_path / "calls"))
    (tmp_path / "rcronctl").write_text(f"#!{tmp_path}/python\n")
    (tmp_path / "rcronctl").chmod(0o755)
    text = TEMPLATE.read_text().partition("#}\n")[2]
    text = text.replace("{{ __feeder_mark }}", "# mark").replace("{{ __feeder_rcronctl }}", f"{tmp_path}/rcronctl")
    assert "{{" not in text
    (tmp_path / "rcron").write_text(text)

    def run(*words: str, **environment: str):
        return subprocess.run(
            ["sh", tmp_path / "rcron", *words],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HA_RSCTMP": str(tmp_path), **environment},
        )

    return run


def calls(tmp_path: pathlib.Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_an_action_goes_to_rcronctl_with_the_parameter_and_its_status_comes_back(agent, tmp_path):
    (tmp_path / "python").chmod(0o755)
    assert agent("monitor", OCF_RESKEY_conf="/etc/rcron/mail.conf").returncode == 8
    assert agent("start").returncode == 8
    assert calls(tmp_path) == [
        "--conf /etc/rcron/mail.conf feed pacemaker monitor",
        "--conf /etc/rcron/rcron.conf feed pacemaker start",
    ]


def test_python_that_comes_back_in_a_moment_is_waited_for(agent, tmp_path):
    """Pacemaker calls a stop that fails no second time, and blocks the resource."""
    upgrade = threading.Timer(1.5, (tmp_path / "python").chmod, [0o755])
    upgrade.start()
    assert agent("stop").returncode == 8
    upgrade.join()
    assert calls(tmp_path) == ["--conf /etc/rcron/rcron.conf feed pacemaker stop"]


@pytest.mark.parametrize("is_there", [True, False])
def test_python_that_stays_away_is_a_failure(agent, tmp_path, is_there):
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    (tmp_path / "sleep").chmod(0o755)
    if not is_there:
        (tmp_path / "python").unlink()
    assert agent("stop", PATH=f"{tmp_path}:{os.environ['PATH']}").returncode == 1
    assert calls(tmp_path) == []


def test_without_rcronctl_it_is_stopped_and_cannot_be_started(agent, tmp_path):
    (tmp_path / "rcronctl").unlink()
    assert agent("stop").returncode == 0
    ran = agent("start")
    assert ran.returncode == 5
    assert ran.stderr.startswith(f"ocf-exit-reason:{tmp_path}/rcronctl is not there: ")
