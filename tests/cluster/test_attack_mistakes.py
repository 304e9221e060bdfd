# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Mistakes of an administrator that let anybody decide whether jobs run, or what they run: refused, with a fix."""

from collections.abc import Iterator

import pytest
from nodes import Node
from waiting import wait_until

from tests.cluster.attacker import as_user
from tests.cluster.playbooks import Play


def logged(node: Node, what: str) -> None:
    wait_until(lambda: what in node.run("journalctl -t rcron -o cat -n 20"), f"in the log: {what}", 10)


CONF, STATE = "/etc/rcron/wide.conf", "/run/rcron-wide/state"


@pytest.fixture
def unfed(node: Node) -> Iterator[Node]:
    """A node with a second cluster, active: a live feeder would soon correct what is not believed."""
    node.run(
        f"mkdir /run/rcron-wide; printf 'state_file = {STATE}\ndefault_state = active\n' >{CONF}; "
        f"rcronctl --conf {CONF} set active"
    )
    yield node
    node.run(f"rm -rf /run/rcron-wide {CONF} ~alice/mine")


def test_a_state_whose_folder_everyone_may_write_is_not_believed(unfed: Node) -> None:
    """The configuration's default holds: active."""
    unfed.run("chmod 777 /run/rcron-wide")
    as_user(unfed, f"echo passive >mine; mv -f mine {STATE}")
    assert unfed.run(f"cat {STATE}; stat -c %U {STATE}").split() == ["passive", "alice"]
    assert unfed.run(f"rcron --conf {CONF} echo ran") == "ran\n"
    assert "everyone may write its folder, so it cannot be trusted" in unfed.run(f"rcronctl --conf {CONF} status")
    logged(unfed, f"{STATE}: everyone may write its folder, so it cannot be trusted: taken for active")
    # In a sticky folder nobody can replace root's file, but a file of alice's is hers.
    unfed.run("chmod 1777 /run/rcron-wide")
    assert "everyone may write its folder, so it cannot be trusted" in unfed.run(f"rcronctl --conf {CONF} status")
    unfed.run(f"rm {STATE}; rcronctl --conf {CONF} set passive")
    as_user(unfed, f"echo active >mine; mv -f mine {STATE}")
    assert f"{STATE} says so" in unfed.run(f"rcronctl --conf {CONF} status; cat {STATE}")
    assert unfed.run(f"rcron --conf {CONF} echo ran") == ""


def test_a_state_that_everyone_may_write_is_not_believed(unfed: Node) -> None:
    unfed.run(f"chmod 666 {STATE}")
    as_user(unfed, f"echo passive >{STATE}")
    assert unfed.run(f"cat {STATE}; rcron --conf {CONF} echo ran").split() == ["passive", "ran"]
    assert "everyone may write it, so it cannot be trusted" in unfed.run(f"rcronctl --conf {CONF} status")


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "chmod 666 /etc/rcron/rcron.conf",
            "chmod 644 /etc/rcron/rcron.conf",
            "/rcron.conf: everyone may write it, so it cannot be trusted; chmod o-w /etc/rcron/rcron.conf",
        ),
        (
            "chmod 777 /etc/rcron",
            "chmod 755 /etc/rcron",
            "/rcron.conf: everyone may write its folder, so it cannot be trusted; chmod o-w /etc/rcron/",
        ),
        ("chmod 600 /etc/rcron/rcron.conf", "chmod 644 /etc/rcron/rcron.conf", "chmod a+r /etc/rcron/rcron.conf"),
    ],
)
def test_nothing_runs_with_a_configuration_that_everyone_may_change_or_that_a_user_may_not_read(
    node: Node, wrong: str, right: str, message: str
) -> None:
    try:
        node.run(wrong)
        ran = as_user(node, "rcron echo ran")
        assert ran.returncode == 78
        assert message in ran.stdout
        assert "\nran" not in ran.stdout
    finally:
        node.run(right)


def test_a_pin_is_ignored_and_reported_if_everyone_could_make_one(node: Node) -> None:
    try:
        node.run("mkdir -p /var/lib/rcron; chmod 777 /var/lib/rcron")
        as_user(node, "echo passive >/var/lib/rcron/state.pin")
        assert node.run("rcron echo ran") == "ran\n"
        logged(node, "/var/lib/rcron/state.pin: everyone may write its folder, so it cannot be trusted; ignored")
    finally:
        node.run("rm -r /var/lib/rcron")


def test_a_pin_that_a_job_may_not_look_for_is_reported(node: Node) -> None:
    try:
        node.run("rcronctl pin passive; chmod 700 /var/lib/rcron")
        as_user(node, "rcron true")
        logged(node, "/var/lib/rcron/state.pin: cannot be read: Permission denied; ignored")
    finally:
        node.run("rm -r /var/lib/rcron")


#: Commands that let others replace what root's jobs run, and the words of the refusal.
LIBRARY = {
    "chown alice /usr/lib/rcron/*/rcron/settings.py": "settings.py belongs to alice, who could replace what root runs",
    "chmod 777 /usr/lib/rcron": "everyone may write /usr/lib/rcron, and so replace what root runs: chmod o-w",
}


@pytest.mark.parametrize("wrong", LIBRARY)
def test_a_deployment_refuses_what_others_could_replace(node: Node, play: Play, wrong: str) -> None:
    noted = node.run("stat -c '%n %U %G %a' /usr/lib/rcron /usr/lib/rcron/*/rcron/settings.py /etc/rcron")
    try:
        node.run(wrong)
        ran = play("--tags", "rcron", "rcron.cluster.site")
    finally:
        for line in noted.splitlines():
            name, user, group, mode = line.split()
            node.run(f"chown {user}:{group} {name}; chmod {mode} {name}")
    assert ran.returncode != 0
    assert LIBRARY[wrong] in " ".join(ran.stdout.split())
    assert "changed=0" in ran.stdout
