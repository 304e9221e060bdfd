# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived's events become states, by its notify."""

from typing import Any

import pytest

from rcron.feeders import keepalived


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("MASTER", "active"),
        ("BACKUP", "passive"),
        ("FAULT", "passive"),
        ("STOP", "passive"),
        ("DELETED", "passive"),
        ("MASTER_RX_LOWER_PRI", None),
        ("MASTER_PRIORITY", None),
        ("BACKUP_PRIORITY", None),
    ],
)
def test_each_state_means_what_it_must(state: str, means: "str | None") -> None:
    assert keepalived.state_of(keepalived.parse_notify(["GROUP", "G 1", state, "0"])) == means


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(keepalived.EventError, match="unknown state SHINY of INSTANCE VI_1"):
        keepalived.state_of(keepalived.parse_notify(["INSTANCE", "VI_1", "SHINY"]))


def notify(node: Any, *words: str, **options: Any) -> Any:
    return node.ctl("feed", "keepalived", "--instance", "VI_1", *words, **options)


def test_notify_writes_the_state_readable_under_keepaliveds_umask(node: Any) -> None:
    out = notify(node, "INSTANCE", "VI_1", "MASTER", "100", umask=0o177)
    assert (out.returncode, out.stderr) == (0, "")
    assert node.state_file.read_text() == "active\n"
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    notify(node, "INSTANCE", "VI_1", "FAULT", "100")
    assert node.state_file.read_text() == "passive\n"
    assert node.log()[-1] == '9.6 cluster=c1 state=passive status=changed event=keepalived:INSTANCE "VI_1" FAULT'


def test_the_form_for_the_fifo_of_before_says_what_to_do(node: Any) -> None:
    out = notify(node, "/run/rcron-keepalived.fifo")
    assert out.returncode == 64
    assert "rcron-agent reads keepalived's FIFO now: run the role rcron_keepalived once more" in out.stderr


def test_events_of_other_instances_and_groups_change_nothing(node: Any) -> None:
    node.become("passive")
    for words in (("INSTANCE", "VI_2", "MASTER", "100"), ("GROUP", "VI_1", "MASTER", "0")):
        assert notify(node, *words).returncode == 0
    assert node.state_file.read_text() == "passive\n"
    assert node.log() == []


def test_an_unknown_event_is_logged_and_changes_nothing(node: Any) -> None:
    node.become("active")
    out = notify(node, "INSTANCE", "VI_1", "SHINY", "100")
    assert out.returncode == 64
    assert node.state_file.read_text() == "active\n"
    assert node.log() == ["9.4 warning: keepalived: unknown state SHINY of INSTANCE VI_1; nothing changed"]


def test_nothing_to_follow_is_wrong_usage(node: Any) -> None:
    out = node.ctl("feed", "keepalived", "INSTANCE", "VI_1", "MASTER", "100")
    assert out.returncode == 64
    assert "name what to follow: --instance NAME" in out.stderr


def test_two_instances_cannot_keep_one_state(node: Any) -> None:
    out = notify(node, "--instance", "VI_2", "INSTANCE", "VI_1", "MASTER", "100")
    assert out.returncode == 64
    assert "two VRRP instances cannot feed one state" in out.stderr


def test_a_second_cluster_with_the_first_one_s_state_file_is_not_fed(node: Any) -> None:
    second = node.conf.with_name("second.conf")
    second.write_text(f"cluster_name = second\nstate_file = {node.state_file}\n")
    out = notify(node, "--instance", f"VI_2={second}", "INSTANCE", "VI_2", "MASTER", "100")
    assert out.returncode == 78
    assert f"{second}: state_file {node.state_file} is {node.conf}'s too; give each cluster its own" in out.stderr
    assert not node.state_file.exists()
    assert notify(node, "--instance", f"VI_2={second}", "INSTANCE", "VI_1", "MASTER", "100").returncode == 78
    assert node.state_file.read_text() == "active\n"


def test_a_cluster_with_a_broken_configuration_does_not_stop_the_other(node: Any) -> None:
    out = node.ctl(
        "feed", "keepalived", "--instance", "A=/nonexistent", "--instance", "B", "INSTANCE", "B", "MASTER", "1"
    )
    assert out.returncode == 78
    assert node.state_file.read_text() == "active\n"
    assert "/nonexistent: there is no such file" in out.stderr


def test_a_state_that_cannot_be_written_is_reported(node: Any) -> None:
    node.conf.write_text("state_file = /nonexistent/run/state\n")
    out = notify(node, "INSTANCE", "VI_1", "BACKUP", "100")
    assert out.returncode == 73
    assert "/nonexistent/run/state: not written, should be passive" in node.log()[0]
