# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl: what the administrator and the hooks call."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

from rcron import __version__, ctl, status


def test_status_shows_state_reason_and_source(node: Any) -> None:
    node.become("passive")
    os.utime(node.state_file, (0, 86400))
    out = node.ctl("status", env={"TZ": "UTC"})
    assert out.returncode == 0
    lines = out.stdout.splitlines()
    assert lines[1].startswith("since:          1970-01-02 00:00:00 +0000 (")
    assert lines[:1] + lines[2:] == [
        "state:          passive",
        f"why:            {node.state_file} says so",
        "feeder:         none has reported yet",
        "answer:         none: no rcron-agent asks the feeder",
        "pin:            none",
        "default state:  active",
        "cluster:        c1",
        f"state file:     {node.state_file}",
        f"configuration:  {node.conf}",
        f"version:        {__version__}",
    ]


def test_status_says_what_the_state_file_says_whatever_the_pin_says(node: Any) -> None:
    node.become("active")
    assert node.ctl("pin", "passive").returncode == 0
    found = json.loads(node.ctl("status", "--json").stdout)
    assert (found["state"], found["file"]) == ("passive", "active")


def test_status_does_not_read_what_a_feeder_s_user_has_led_the_state_file_to(node: Any) -> None:
    """The playbook site looks at it by this, on a host whose feeder has changed."""
    secret = node.folder / "shadow"
    secret.write_text("root:secret\n")
    node.state_file.symlink_to(secret)
    out = node.ctl("status", "--json")
    assert json.loads(out.stdout)["file"] is None
    assert "secret" not in out.stdout
    assert "secret" in subprocess.run(["cat", node.state_file], capture_output=True, text=True, check=True).stdout
    node.state_file.unlink()
    os.mkfifo(node.state_file)
    assert json.loads(node.ctl("status", "--json", timeout=10).stdout)["file"] is None
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["cat", node.state_file], check=False, timeout=1)


def test_status_json_is_for_programs(node: Any) -> None:
    node.become("active")
    os.utime(node.state_file, (0, 86400))
    assert json.loads(node.ctl("status", "--json").stdout) == {
        "state": "active",
        "source": "file",
        "reason": f"{node.state_file} says so",
        "file": "active",
        "since": 86400,
        "valid_for": None,
        "feeder": None,
        "second_feeder": None,
        "agent": False,
        "claims": None,
        "pin": None,
        "default_state": "active",
        "cluster_name": "c1",
        "state_file": str(node.state_file),
        "settings": {
            "claim": "off",
            "claim_wait": 30,
            "cluster_name": "c1",
            "default_state": "active",
            "feeder_name": "any",
            "kill_after": 10,
            "nice_level": 19,
            "on_demotion": "continue",
            "passive_exit": 0,
            "state_file": str(node.state_file),
            "state_max_age": 0,
            "syslog_facility": 72,
            "syslog_level": 6,
            "takeover_wait": 0,
        },
        "conf": str(node.conf),
        "version": __version__,
    }


def test_status_has_colours_on_a_terminal_only(node: Any) -> None:
    node.become("active")
    assert "\033" not in node.ctl("status").stdout
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(str(node.rcronctl), [str(node.rcronctl), "--conf", str(node.conf), "status"])
    out = b""
    try:
        while chunk := os.read(terminal, 4096):
            out += chunk
    except OSError:
        pass  # EIO: the end
    os.waitpid(pid, 0)
    assert b"state:          \033[32mactive\033[0m" in out


def test_status_shows_an_operators_set(node: Any) -> None:
    node.ctl("set", "passive")
    status = json.loads(node.ctl("status", "--json").stdout)
    assert (status["feeder"]["name"], status["feeder"]["event"]) == ("operator", "set passive")
    assert status["feeder"]["alive"] is None
    assert re.search(r"operator, no process to watch, spoke \d+ s ago: set passive\n", node.ctl("status").stdout)


def test_status_without_a_state_file_says_why(node: Any) -> None:
    status = json.loads(node.ctl("status", "--json").stdout)
    assert (status["state"], status["since"]) == ("active", None)
    assert status["reason"] == f"default_state, because of {node.state_file}: there is no such file"
    assert "since:          unknown" in node.ctl("status").stdout


@pytest.mark.parametrize(("state", "status"), [("active", 0), ("passive", 1)])
def test_is_active_answers_by_its_exit_status(node: Any, state: str, status: int) -> None:
    node.become(state)
    out = node.ctl("is-active")
    assert (out.returncode, out.stdout) == (status, state + "\n")
    out = node.ctl("is-active", "--quiet")
    assert (out.returncode, out.stdout) == (status, "")


def test_rcron_and_rcronctl_agree(node: Any) -> None:
    for content in ("active", "passive", "ACTIVE\n", "inactive", ""):
        node.state_file.write_text(content)
        ran = node.run("echo", "ran").stdout == "ran\n"
        assert ran == (node.ctl("is-active").returncode == 0), content


def test_set_writes_the_state_and_logs_it(node: Any) -> None:
    for state in ("active", "passive"):
        out = node.ctl("set", state)
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
        assert node.state_file.read_text() == state + "\n"
        assert node.log()[-1] == f"9.6 cluster=c1 state={state} status=changed event=operator:set {state}"


def test_set_repairs_an_unreadable_state_even_if_default_state_says_the_same(node: Any) -> None:
    node.state_file.write_text("garbage")
    node.ctl("set", "active")
    assert node.state_file.read_text() == "active\n"


def test_set_to_a_folder_that_is_missing_says_so(node: Any) -> None:
    node.configure()
    node.conf.write_text("state_file = /nonexistent/run/state\n")
    out = node.ctl("set", "active")
    assert out.returncode == 73
    assert out.stderr.startswith("rcronctl: /nonexistent/run: No such file or directory; create the folder")


@pytest.mark.parametrize("words", [["set"], ["set", "inactive"], ["unknown"], [], ["feed"], ["feed", "unknown"]])
def test_wrong_usage_exits_64(node: Any, words: "list[str]") -> None:
    out = node.ctl(*words)
    assert out.returncode == 64
    assert out.stderr.startswith("usage: rcronctl")
    assert not node.state_file.exists()


def test_check_validates_a_configuration(node: Any) -> None:
    out = node.ctl("check")
    assert out.returncode == 0
    assert out.stdout.startswith(f"{node.conf}: valid: cluster c1, state file {node.state_file}")
    bad = node.folder / "bad.conf"
    bad.write_text("\nnice_levle = 3\n")
    out = node.ctl("check", str(bad))
    assert (out.returncode, out.stdout) == (78, "")
    assert out.stderr == f'rcronctl: {bad}:2: unknown name "nice_levle"; did you mean "nice_level"?\n'


@pytest.mark.parametrize("words", [["status"], ["is-active"], ["set", "active"]])
def test_an_invalid_configuration_exits_78_and_changes_nothing(node: Any, words: "list[str]") -> None:
    node.configure("nonsense = 1")
    out = node.ctl(*words)
    assert (out.returncode, out.stdout) == (78, "")
    assert not node.state_file.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["pin", "passive", "--for", "2h\n\x1b[2J"],
        ["set", "act\nive"],
        ["feed", "ucarp", "u\np", "eth0", "192.0.2.1"],
        ["feed", "patroni", "on_start", "chi\nef", "scope"],
        ["feed", "keepalived", "--instance", "VI_1", "mis\nsing", "VI_1", "MASTER"],
        ["--conf", "mis\nsing", "is-active"],
        ["check", "mis\nsing"],
    ],
)
def test_words_that_are_quoted_break_no_line(node: Any, words: "list[str]") -> None:
    out = node.ctl(*words)
    assert out.returncode in (64, 73, 78)
    *usage, last = out.stderr.splitlines()
    assert last.startswith("rcronctl")
    assert last.isprintable()
    assert r"\n" in last
    assert "".join(usage).isprintable()


def test_a_configuration_may_have_any_name(node: Any) -> None:
    name = node.folder / "z\udcfcrich\n.conf"
    name.write_text("")
    out = node.ctl("check", str(name))
    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout.startswith(rf"{node.folder}/z\xfcrich\n.conf: valid: ")


@pytest.mark.parametrize(
    "words",
    [
        ["--conf=--", "status"],
        ["pin", "passive", "--for=--"],
        ["feed", "patroni", "on_start", "--", "--", "scope"],
    ],
)
def test_two_dashes_are_no_value(node: Any, words: "list[str]") -> None:
    """argparse gives a list without a value there, before Python 3.13."""
    out = node.ctl(*words)
    assert out.returncode in (64, 78)
    assert "Traceback" not in out.stderr
    assert not node.state_file.exists()


@pytest.mark.parametrize("since", ["nan", "inf", "-1", "1e300", "9" * 400])
def test_a_record_with_an_impossible_time_is_ignored(node: Any, since: str) -> None:
    node.ctl("set", "active")
    record = node.state_file.with_name("state.feeder")
    lines = [f"since={since}" if line.startswith("since=") else line for line in record.read_text().splitlines()]
    record.write_text("\n".join(lines))
    out = node.ctl("status")
    assert (out.returncode, out.stderr) == (0, "")
    assert "feeder:         none has reported yet\n" in out.stdout


def test_a_time_that_no_calendar_has_is_shown_as_a_number() -> None:
    """As that of a file may be: tmpfs keeps 64 bits."""
    assert status.moment(2**62) == "4611686018427387904 s after 1970"


def test_status_survives_whatever_a_feeders_user_has_left_in_a_records_place(node: Any) -> None:
    node.ctl("set", "active")
    record = node.state_file.with_name("state.feeder")
    record.write_text("feeder=a\nevent=b\nsince=1\npid=-1\nstarted=\n")
    assert "a, gone, spoke" in node.ctl("status").stdout
    record.unlink()
    os.mkfifo(record)
    assert "none has reported yet" in node.ctl("status", timeout=10).stdout
    assert node.ctl("set", "passive", timeout=10).returncode == 0


def test_a_name_that_the_terminal_has_no_letters_for_is_shown_in_escapes(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.conf.write_text(
        f"cluster_name = \u0440\u0435\u0437\u0435\u0440\u0432\nstate_file = {node.state_file}\n", encoding="utf-8"
    )
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1", write_through=True))
    assert ctl.main(["--conf", str(node.conf), "status"]) == 0
    assert rb"cluster:        \u0440\u0435\u0437\u0435\u0440\u0432" in shown.getvalue()
