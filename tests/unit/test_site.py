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

from tests.unit import playbooks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the role rcron wants root")


@pytest.fixture
def root(tmp_path):
    """Where the hosts' folders are."""
    return tmp_path / "hosts"


@pytest.fixture
def site(tmp_path, root):
    """Return a function that runs the playbook on hosts, each with its own variables, and returns the process."""

    def run(hosts: dict[str, dict], *options: str, playbook: str = "site") -> subprocess.CompletedProcess[str]:
        places = {
            "rcron_conf": "etc/rcron.conf",
            "rcron_bin_dir": "bin",
            "rcron_lib_dir": "lib",
            "rcron_man_dir": "man",
            "rcron_tmpfiles_dir": "tmpfiles.d",
            "rcron_state_file": "run/state",
            "rcron_crontab_record_dir": "record",
        }
        variables = {name: f"{root}/{{{{ inventory_hostname }}}}/{path}" for name, path in places.items()}
        variables |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables |= {"ansible_become": False, "rcron_feeder": "none", "rcron_python": sys.executable}
        inventory = {"rcron": {"hosts": hosts, "vars": variables}}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        # Of crontab(1), system crontabs need only its usage text.
        (tmp_path / "path").mkdir(exist_ok=True)
        (tmp_path / "path" / "crontab").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "path" / "crontab").chmod(0o755)
        words = [f"--inventory={tmp_path / 'inventory.json'}", f"rcron.cluster.{playbook}", *options]
        return playbooks.run(words, cwd=tmp_path, PATH=f"{tmp_path / 'path'}:{os.environ['PATH']}")

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
    texts = [(root / host / "etc" / "rcron.conf").read_text() for host in deployed(root)]
    states = [text.split("default_state = ")[1].splitlines()[0] for text in texts]
    assert states == ["active", "passive", "passive"]


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


@pytest.mark.parametrize(
    ("prints", "advice"),
    [
        (
            "echo 'pyenv: python3: command not found' >&2",
            "pyenv: python3: command not found. Set ansible_python_interpreter, for this host, to the ",
        ),
        # Through ssh without pipelining, by the user whom ansible_user does not name.
        (
            "echo '/bin/sh: 1: sudo: not found'; echo 'Shared connection to two closed.' >&2",
            "/bin/sh: 1: sudo: not found. Install sudo there, or log in as root (ansible_user: root)",
        ),
        (
            "echo 'Shared connection to two closed.' >&2",
            "nothing. Set ansible_python_interpreter, for this host, to the ",
        ),
    ],
)
def test_a_host_whose_python_is_none_says_what_it_printed(tmp_path, root, site, prints, advice):
    shim = tmp_path / "python3"
    shim.write_text(f"#!/bin/sh\n{prints}\nexit 127\n")
    shim.chmod(0o755)
    hosts = {"one": {}, "two": {"ansible_python_interpreter": str(shim)}, "three": {}}
    done = site(hosts, "--check")
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "two: its Python ran no module (" in said, said
    assert f"printed: {advice}" in said, said
    assert "one: its Python" not in said


def test_two_active_hosts_are_refused_though_only_one_is_asked_for(root, site):
    hosts = {"one": {"rcron_default_state": "active"}, "two": {"rcron_default_state": "active"}}
    for options in (["--limit", "two"], ["-e", "rcron_serial=1"]):
        done = site(hosts, *options)
        assert done.returncode != 0
        assert "rcron_default_state is active on one and two" in " ".join(done.stdout.split())
        assert not root.exists()


@pytest.mark.parametrize("feeder_name", ["none", "mine"])
def test_a_wrapper_that_is_as_it_should_be_is_not_sent_again(root, site, feeder_name):
    """Only the feeder's name in rcron.conf differs, which site.yml sets if the inventory does not."""
    assert site({"one": {}}).returncode == 0
    done = site({"one": {"rcron_feeder_name": feeder_name}})
    assert done.returncode == 0, done.stdout
    said = done.stdout.partition(" : Install the wrapper, or take it away] ")[2].split("\n", 2)[1]
    assert said == ("skipping: [one]" if feeder_name == "none" else "changed: [one]"), done.stdout
    assert f"feeder_name = {feeder_name}\n" in (root / "one" / "etc" / "rcron.conf").read_text()


def test_a_host_alone_knows_the_others_defaults(root, site):
    hosts = {"one": {}, "two": {}, "three": {"rcron_default_state": "active"}}
    assert site(hosts, "--limit", "one,two").returncode == 0
    assert deployed(root) == ["one", "two"]
    for host in deployed(root):
        assert "default_state = passive" in (root / host / "etc" / "rcron.conf").read_text()
    # A host that leaves the cluster.
    assert site(hosts, "--limit", "two", playbook="remove").returncode == 0
    assert deployed(root) == ["one"]


def test_a_job_that_leaves_the_inventory_is_reported_and_set_free_and_a_removal_frees_all(root, site, tmp_path):
    """Also one that somebody has prefixed by hand."""
    crontab = tmp_path / "app"
    free = "1 1 * * * root /bin/one\n2 2 * * * root cd / && ./two | mail x\n"
    crontab.write_text(free)
    path = f"{root}/one/bin/rcron --conf {root}/one/etc/rcron.conf"

    def host(*jobs: str) -> dict[str, dict]:
        return {
            "one": {"rcron_crontab_entries": [{"cron_file": str(crontab), "entries": [{"job": job} for job in jobs]}]}
        }

    both, first = host("/bin/one", "cd / && ./two | mail x"), host("/bin/one")
    done = site(both)
    assert done.returncode == 0, done.stdout
    assert crontab.read_text() == f"1 1 * * * root {path} /bin/one\n2 2 * * * root {path} -c 'cd / && ./two | mail x'\n"
    crontab.write_text(crontab.read_text() + f"3 3 * * * root {path} /bin/by-hand\n")
    said = " ".join(site(first, playbook="check").stdout.split())
    assert f"{crontab}: line 2, 'cd / && ./two | mail x', is not in rcron_crontab_entries any more" in said
    assert "PREFIXED, BUT NOT IN RCRON_CRONTAB_ENTRIES" in said
    assert "/bin/by-hand" in said

    done = site(first, "--check", "--diff")
    assert f"-2 2 * * * root {path} -c 'cd / && ./two | mail x'\n" in done.stdout
    assert "+2 2 * * * root cd / && ./two | mail x\n" in done.stdout
    assert "./two | mail x'" in crontab.read_text()
    assert site(first).returncode == 0
    assert "2 2 * * * root cd / && ./two | mail x\n" in crontab.read_text()

    done = site(first, playbook="remove")
    assert done.returncode == 0, done.stdout
    assert crontab.read_text() == free + "3 3 * * * root /bin/by-hand\n"
    assert deployed(root) == []
    assert not (root / "one" / "record").exists()


def test_an_entry_of_a_configuration_that_is_not_there_stops_the_deployment_before_it_begins(root, site, tmp_path):
    crontab = tmp_path / "app"
    crontab.write_text("1 1 * * * root /bin/one\n")
    item = {"cron_file": str(crontab), "entries": [{"job": "/bin/one"}], "conf": "/etc/rcron/biling.conf"}
    done = site({"one": {"rcron_crontab_entries": [item]}})
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "one: conf is /etc/rcron/biling.conf, and this host has no such file" in said
    assert "one: the check above has failed. Nothing was changed on any host" in said
    assert not root.exists()


#: A host that nobody answers for.
DOWN = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def test_a_host_that_is_down_keeps_the_others_from_being_deployed_to_unless_it_is_to_be_left_out(root, site):
    hosts = {"one": {}, "two": DOWN}
    assert site(hosts).returncode != 0
    assert not root.exists()
    done = site(hosts, "-e", "rcron_skip_unreachable=true")
    assert done.returncode == 0, done.stdout
    assert "two is left out, because it cannot be reached" in done.stdout
    assert "one is left out" not in done.stdout
    assert deployed(root) == ["one"]


@pytest.fixture
def former():
    """Return a function that connects ucarp to a host's cluster, as its role did, and returns the scripts' paths."""
    paths: list[pathlib.Path] = []

    def connect(name: str, conf: str) -> list[pathlib.Path]:
        mark = "# Written by Ansible, role rcron.cluster.rcron_ucarp: changes made here are lost at its next run."
        made = [pathlib.Path(f"/usr/local/sbin/{name}-{event}") for event in ("up", "down")]
        for path in made:
            path.write_text(f"#!/bin/sh\n{mark}\n# --conf {conf} feed ucarp\n")
        paths.extend(made)
        return made

    yield connect
    for path in paths:
        path.unlink(missing_ok=True)


def test_a_feeder_that_changes_is_disconnected_and_the_active_host_stays(root, site, former):
    hosts = {host: {"rcron_ucarp_name": f"rcron-test-{os.getpid()}-{host}"} for host in ("one", "two")}
    options = ["-e", '{"__rcron_ucarp_agent": []}']
    assert site(hosts, *options).returncode == 0

    def ctl(host: str, *words: str) -> str:
        command = [root / host / "bin" / "rcronctl", "--conf", root / host / "etc" / "rcron.conf", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    ctl("one", "set", "passive")
    ctl("two", "set", "active")
    scripts = [former(hosts[host]["rcron_ucarp_name"], f"{root}/{host}/etc/rcron.conf") for host in hosts]
    done = site(hosts, *options, "--limit", "one")
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "one: rcron_feeder is none, and ucarp is connected there;" in said
    assert "run it without --limit, and with two up or out of the inventory" in said

    done = site(hosts, *options)
    assert done.returncode == 0, done.stdout
    assert [path for paths in scripts for path in paths if path.exists()] == []
    for host, state in (("one", "passive"), ("two", "active")):
        found = json.loads(ctl(host, "status", "--json"))
        assert (found["state"], found["source"], found["pin"]) == (state, "file", None)
    order = [
        done.stdout.index(f"TASK [{name}]") for name in ("Let go of the host that was active", "Let go of the others")
    ]
    assert order == sorted(order)

    scripts = former(hosts["one"]["rcron_ucarp_name"], f"{root}/one/etc/rcron.conf")
    done = site(hosts, *options, "--limit", "one", playbook="remove")
    assert done.returncode == 0, done.stdout
    assert [path for path in scripts if path.exists()] == []
    assert deployed(root) == ["two"]
