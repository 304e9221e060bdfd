# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""playbooks/site.yml on hosts that are folders of this machine: hosts that come one after the other, and --limit."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the role rcron wants root")


@pytest.fixture
def root(tmp_path):
    """Where the hosts' folders are."""
    return tmp_path / "hosts"


@pytest.fixture
def site(tmp_path, root):
    """Return a function that runs the playbook on hosts, each with its own variables, and returns the process."""

    def run(hosts: dict[str, dict], *options: str) -> subprocess.CompletedProcess[str]:
        places = {
            "rcron_conf": "etc/rcron.conf",
            "rcron_bin_dir": "bin",
            "rcron_lib_dir": "lib",
            "rcron_man_dir": "man",
            "rcron_tmpfiles_dir": "tmpfiles.d",
            "rcron_state_file": "run/state",
        }
        variables = {name: f"{root}/{{{{ inventory_hostname }}}}/{path}" for name, path in places.items()}
        variables |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables |= {"ansible_become": False, "rcron_feeder": "none", "rcron_python": sys.executable}
        inventory = {"rcron": {"hosts": hosts, "vars": variables}}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        return subprocess.run(
            [
                pathlib.Path(sys.executable).parent / "ansible-playbook",
                f"--inventory={tmp_path / 'inventory.json'}",
                "rcron.cluster.site",
                *options,
            ],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build"),
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def deployed(root: pathlib.Path) -> list[str]:
    """The hosts that have the wrapper."""
    return sorted(path.parent.parent.name for path in root.glob("*/bin/rcron"))


#: What has the module fail on a host, though all checks before it went well.
FULL = {"rcron_tmpfiles_dir": "/dev/null/tmpfiles.d"}


def test_a_host_that_fails_ends_the_play_before_the_next(root, site):
    done = site({"one": {}, "two": FULL, "three": {}}, "-e", "rcron_serial=1")
    assert done.returncode != 0
    assert "/dev/null" in done.stdout, done.stdout
    assert deployed(root) == ["one"]
    # Mended, the next run does the rest.
    done = site({"one": {}, "two": {}, "three": {}}, "-e", "rcron_serial=1")
    assert done.returncode == 0, done.stdout
    assert deployed(root) == ["one", "three", "two"]
    # One is the first of the group in each batch's eyes.
    states = [(root / host / "etc" / "rcron.conf").read_text().split("default_state = ")[1] for host in deployed(root)]
    assert states == ["active\n", "passive\n", "passive\n"]


def test_a_host_that_is_not_well_ends_the_play_before_the_next(root, site):
    # As a feeder leaves it that has died: what it last said, and a process that is no more.
    record = root / "two" / "run" / "state.feeder"
    record.parent.mkdir(parents=True)
    record.write_text("feeder=keepalived\nevent=MASTER\nsince=1.0\npid=1\nstarted=another\n")
    one_by_one = ["-e", "rcron_serial=1", "-e", "__rcron_patience=1"]
    done = site({"one": {}, "two": {}, "three": {}}, *one_by_one)
    assert done.returncode != 0
    assert "two: its feeder is not alive: see rcronctl status there" in " ".join(done.stdout.split())
    assert deployed(root) == ["one", "two"]


def test_failures_may_be_borne(root, site):
    hosts = {"one": FULL, "two": {}, "three": {}}
    # Of the first two hosts one fails: half of them.
    done = site(hosts, "-e", "rcron_serial=2", "-e", "rcron_max_fail_percentage=50")
    assert done.returncode != 0
    assert deployed(root) == ["three", "two"]


def test_a_host_that_fails_ends_the_play_for_all(root, site):
    done = site({"one": FULL, "two": {}})
    assert done.returncode != 0
    assert "failed=1" in done.stdout


def test_two_active_hosts_are_refused_though_only_one_is_asked_for(root, site):
    hosts = {"one": {"rcron_default_state": "active"}, "two": {"rcron_default_state": "active"}}
    for options in (["--limit", "two"], ["-e", "rcron_serial=1"]):
        done = site(hosts, *options)
        assert done.returncode != 0
        assert "rcron_default_state is active on one and two" in " ".join(done.stdout.split())
        assert not root.exists()


def test_a_host_alone_knows_the_others_defaults(root, site):
    hosts = {"one": {}, "two": {}, "three": {"rcron_default_state": "active"}}
    assert site(hosts, "--limit", "one,two").returncode == 0
    assert deployed(root) == ["one", "two"]
    for host in deployed(root):
        assert "default_state = passive" in (root / host / "etc" / "rcron.conf").read_text()
