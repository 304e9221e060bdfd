# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat's resource script: start, stop and status."""

import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcron import haresources, settings


def feed_heartbeat(node: Any, *words: str) -> Any:
    return node.ctl("feed", "heartbeat", *words)


def test_start_and_stop_may_come_twice_and_leave_no_process_behind(node: Any) -> None:
    for word, state in (("start", "active"), ("stop", "passive")):
        for _turn in range(2):
            out = feed_heartbeat(node, word)
            assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
            assert node.state_file.read_text() == f"{state}\n"
    assert [line.partition(" event=")[2] for line in node.log()] == ["heartbeat:start", "heartbeat:stop"]
    assert "pid=0\n" in pathlib.Path(f"{node.state_file}.feeder").read_text()


def test_another_clusters_configuration_comes_before_the_word(node: Any) -> None:
    other = node.folder / "other.conf"
    other.write_text(f"state_file = {node.folder}/run/other\n")
    assert feed_heartbeat(node, str(other), "stop").returncode == 0
    assert (node.folder / "run/other").read_text() == "passive\n"
    assert not node.state_file.exists()


@pytest.mark.parametrize(
    "words", [[], ["restart"], ["start", "stop", "start"], ["/etc/a", "/etc/b", "start"], ["start", ""]]
)
def test_what_heartbeat_does_not_say_changes_nothing(node: Any, words: "list[str]") -> None:
    node.become("active")
    out = feed_heartbeat(node, *words)
    assert out.returncode == 64
    assert "nothing changed" in out.stderr
    assert node.state_file.read_text() == "active\n"


def test_with_a_broken_configuration_start_fails_and_stop_does_not(node: Any) -> None:
    node.configure("nonsense = 1")
    assert feed_heartbeat(node, "start").returncode == 78
    out = feed_heartbeat(node, "stop")
    assert out.returncode == 0
    assert "nonsense" in out.stderr
    assert "nonsense" in node.log()[-1]
    assert feed_heartbeat(node, "status").stdout == "stopped: no valid configuration\n"


def test_stop_fails_if_jobs_would_still_run_but_does_not_get_the_machine_rebooted(node: Any) -> None:
    shutil.rmtree(node.state_file.parent)
    out = feed_heartbeat(node, "stop")
    assert (out.returncode, "not made passive" in out.stderr) == (73, True)
    assert not running(node)  # else Heartbeat would reboot it after ten times
    node.configure("default_state = passive")
    assert feed_heartbeat(node, "stop").returncode == 0
    assert feed_heartbeat(node, "start").returncode == 73


def running(node: Any) -> bool:
    """What Heartbeat makes of it: the patterns of ResourceManager's we_own_resource."""
    said = feed_heartbeat(node, "status").stdout
    script = "case $1 in *[Nn][Oo][Tt]\\ *[Rr]unning*) exit 1;; *[Rr]unning*|*OK*) exit 0;; *) exit 1;; esac"
    return subprocess.run(["/bin/sh", "-c", script, "sh", said], check=False).returncode == 0


def test_status_says_running_only_if_the_node_is_active_and_an_agent_keeps_it_so(node: Any) -> None:
    node.configure("state_max_age = 30")
    agent = pathlib.Path(settings.load(str(node.conf)).agent_file("ask"))
    agent.touch()
    assert not running(node)  # no state file, and default_state is active
    feed_heartbeat(node, "start")
    assert running(node)
    node.ctl("pin", "passive")
    assert running(node)
    node.ctl("unpin")
    agent.unlink()
    assert not running(node), "it would turn stale"
    agent.touch()
    when = node.state_file.stat().st_mtime - 60
    os.utime(node.state_file, (when, when))
    assert not running(node), "stale"
    feed_heartbeat(node, "stop")
    node.ctl("pin", "active")
    assert not running(node)


# --- haresources ---

EXAMPLE = """\
# the usual \\
node3 x # rcron
Node1 192.0.2.10/24/eth0 \\
    rcron
\tnode2\trcron::/etc/rcron/mail.conf

node1 rcronette
"""


def test_lines_of_haresources() -> None:
    assert list(haresources.haresources(EXAMPLE)) == [
        ["node3", "x"],
        ["Node1", "192.0.2.10/24/eth0", "rcron"],
        ["node2", "rcron::/etc/rcron/mail.conf"],
        ["node1", "rcronette"],
    ]


@given(st.text(alphabet="ab#\\ \t\n:", max_size=40))
def test_lines_of_haresources_are_those_that_heartbeat_reads(text: str) -> None:
    """As ipres() in its ResourceManager does: the same sed."""
    program = [
        "-e", "s%#.*%%", "-e", ":a", "-e", r"/\\$/N; s/\\\n//; ta", "-e", "s%$% %", "-e", "s%[ \t][ \t]*% %g",
        "-e", "/^[ \t]*$/ d", "-e", "s%^ %%",
    ]  # fmt: skip
    read = subprocess.run(["sed", *program], input=text, check=True, capture_output=True, text=True).stdout
    # awk joins each line's words with one blank, and drops the lines that have none.
    assert list(haresources.haresources(text)) == [line.split() for line in read.splitlines() if line.split()]
