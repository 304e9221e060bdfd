# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_pacemaker: the resource agent's script, and how a node forgets its cluster."""

from __future__ import annotations

import os
import pathlib
import subprocess
import threading

import pytest
import yaml

ROLE = pathlib.Path(__file__).parents[3] / "roles/rcron_pacemaker"
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


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("is_link", [True, False])
def test_a_node_forgets_its_cluster_and_nothing_that_a_link_of_hacluster_s_leads_to(tmp_path, is_link, is_protected):
    folder = tmp_path / "cib"
    real = tmp_path / "etc" if is_link else folder
    (real / "folder").mkdir(parents=True)
    for name in ("cib.xml", "cib-1.raw", "folder/x"):
        (real / name).touch()
    if is_link:
        folder.symlink_to(real)
    command = yaml.safe_load((ROLE / "vars/main/names.yml").read_text())["__rcron_pacemaker_forget"]
    command = command.replace("{{ __rcron_pacemaker_cib }}", str(folder))
    assert "{{" not in command
    if not is_protected:
        command = f"rm -f {folder}/*"
    ran = subprocess.run(["sh", "-euc", command], check=False, capture_output=True, text=True)
    left = sorted(path.name for path in real.iterdir())
    assert left == (["cib-1.raw", "cib.xml", "folder"] if is_link and is_protected else ["folder"])
    # A folder of hacluster's does not keep the cluster from being taken down.
    assert (ran.returncode == 0) == is_protected, ran.stderr


def test_a_node_without_a_cluster_has_nothing_to_forget(tmp_path):
    command = yaml.safe_load((ROLE / "vars/main/names.yml").read_text())["__rcron_pacemaker_forget"]
    command = command.replace("{{ __rcron_pacemaker_cib }}", str(tmp_path / "none"))
    assert subprocess.run(["sh", "-euc", command], check=False, capture_output=True, text=True).stderr == ""


def test_no_task_removes_files_of_hacluster_s_by_their_path():
    for name in ("manage", "unhook"):
        text = (ROLE / f"tasks/{name}.yml").read_text()
        assert "__rcron_pacemaker_forget" in text
        assert "rm " not in text
