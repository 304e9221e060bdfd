# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl health: exit statuses, performance data, and what is healthy."""

import ctypes
import os
import pathlib
import re
import time
from typing import Any

import pytest

from rcron import feed, health, pin, settings
from rcron.health import CRITICAL, OK, WARNING, Limits

#: Nobody keeps the clock of a machine that runs these tests.
NO_CLOCK = Limits(clock=False)


@pytest.fixture
def config(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> settings.Config:
    monkeypatch.setattr(settings, "RUNTIME", str(tmp_path))
    return settings.parse(
        f"state_file = {tmp_path}/state\nstate_max_age = 40\ndefault_state = passive\n", f"{tmp_path}/rcron.conf"
    )


def give(config: settings.Config, state: str, age: float = 0.0, **values: Any) -> None:
    """Let a feeder give a state, some seconds ago. values: attributes of its record."""
    feed.accept_event(config, state, "keepalived", "MASTER")
    record = feed.read_record(config)
    assert record is not None
    for name, value in values.items():
        setattr(record, name, value)
    pathlib.Path(config.record_file).write_text(feed.record_text(record))
    then = time.time() - age
    for path in (config.state_file, config.record_file):
        os.utime(path, (then, then))


def wrong(found: health.Health) -> list[tuple[int, str]]:
    return [(each.level, each.text) for each in found.findings if each.level != OK]


@pytest.mark.parametrize("state", ["active", "passive"])
def test_a_node_that_its_feeder_feeds_is_well_in_either_state(config: settings.Config, state: str) -> None:
    give(config, state)
    found = health.examine(config, NO_CLOCK)
    assert wrong(found) == []
    assert (found.level, found.headline().partition(" for ")[0]) == (OK, state)


def test_a_feeder_that_has_not_spoken_is_a_warning_unless_none_is_expected(config: settings.Config) -> None:
    pathlib.Path(config.state_file).write_text("passive\n")
    assert wrong(health.examine(config, NO_CLOCK)) == [(WARNING, "no feeder has reported yet")]
    assert wrong(health.examine(config, Limits(clock=False, feeder=False))) == []


def test_default_state_is_a_warning_and_says_why(config: settings.Config) -> None:
    found = health.examine(config, Limits(clock=False, feeder=False))
    ((level, text),) = wrong(found)
    assert level == WARNING
    assert text == f"passive: default_state, because of {config.state_file}: there is no such file"


@pytest.mark.parametrize(("age", "level"), [(29, OK), (31, WARNING), (39, WARNING), (42, CRITICAL)])
def test_an_active_that_is_refreshed_late_warns_before_it_is_stale(
    config: settings.Config, age: float, level: int
) -> None:
    give(config, "active", age)
    found = health.examine(config, NO_CLOCK)
    assert found.level == level
    (refreshed,) = [each for each in found.measures if each.name == "refreshed"]
    assert (round(refreshed.value), refreshed.warning, refreshed.critical) == (age, 30, 40)


def test_nobody_needs_to_refresh_a_passive_state(config: settings.Config) -> None:
    give(config, "passive", 3600)
    assert wrong(health.examine(config, NO_CLOCK)) == []


def test_a_feeding_process_that_is_gone_is_critical(config: settings.Config) -> None:
    give(config, "active", pid=os.getpid(), started="1")
    assert wrong(health.examine(config, NO_CLOCK)) == [
        (CRITICAL, "feeder keepalived: its process is gone, event MASTER")
    ]


def test_a_feeder_that_does_not_answer_the_agent_is_a_warning(config: settings.Config) -> None:
    give(config, "passive", answer="unknown", words="timed out")
    assert wrong(health.examine(config, NO_CLOCK)) == [
        (WARNING, "feeder keepalived does not say what this node is: timed out")
    ]


@pytest.mark.parametrize(("age", "level"), [(50, OK), (70, WARNING), (130, CRITICAL)])
def test_thresholds_count_from_when_the_feeder_last_spoke(config: settings.Config, age: float, level: int) -> None:
    give(config, "passive", age)
    assert health.examine(config, Limits(60, 120, clock=False)).level == level


def test_a_feeder_that_spoke_in_the_future_shows_a_clock_that_was_set_back(config: settings.Config) -> None:
    give(config, "passive", -3598)
    ((level, text),) = wrong(health.examine(config, NO_CLOCK))
    assert level == WARNING
    assert re.fullmatch(r"feeder keepalived spoke 59 min \d+ s in the future: the clock was set back", text)


def test_an_old_pin_is_a_warning_and_a_young_one_is_not(config: settings.Config) -> None:
    give(config, "passive")
    pin.write(config, "passive", 7200)
    found = health.examine(config, NO_CLOCK)
    assert wrong(found) == []
    assert any(re.match(r"pinned passive for 0 s, until \d{4}-", each.text) for each in found.findings)
    os.utime(config.pin_file, (0, time.time() - 90000))
    ((level, text),) = wrong(health.examine(config, NO_CLOCK))
    assert level == WARNING
    assert text.startswith("pinned passive for 1 d 1 h, until ")


def test_a_pin_that_cannot_be_used_is_a_warning(config: settings.Config) -> None:
    give(config, "passive")
    pathlib.Path(config.pin_file).write_text("garbage\n")
    ((level, text),) = wrong(health.examine(config, NO_CLOCK))
    assert level == WARNING
    assert "invalid pin file, ignored" in text


@pytest.mark.parametrize(("answer", "expected"), [(0, []), (5, [(WARNING, "the clock is not synchronized")]), (-1, [])])
def test_the_kernel_says_whether_the_clock_is_synchronized(
    config: settings.Config, monkeypatch: pytest.MonkeyPatch, answer: int, expected: list[tuple[int, str]]
) -> None:
    class Library:
        def __init__(self, _name: None) -> None:
            pass

        def adjtimex(self, buffer: Any) -> int:
            buffer[3] = 1500
            return answer

    monkeypatch.setattr(ctypes, "CDLL", Library)
    give(config, "passive")
    found = health.examine(config, Limits())
    assert wrong(found) == expected
    assert [each.value for each in found.measures if each.name == "clock_error"] == ([0.0015] if answer == 0 else [])


def test_the_kernel_is_asked_as_it_wants_to_be(config: settings.Config) -> None:
    give(config, "passive")
    assert [each.text for each in health.examine(config, Limits()).findings if "clock" in each.text]


#: The performance data of the guidelines: 'label'=value[UOM];warn;crit;min;max
PERFDATA = re.compile(r"'[a-z_]+'=-?[0-9.]+s?(;[0-9.]*){4}")


def test_a_plugins_answer_has_one_line_with_performance_data_and_a_line_for_each_finding(node: Any) -> None:
    node.configure("state_max_age = 40")
    node.ctl("set", "active")
    out = node.ctl("health", "--no-clock")
    first, *others = out.stdout.splitlines()
    text, _bar, measured = first.partition(" | ")
    assert (out.returncode, out.stderr) == (0, "")
    assert re.fullmatch(r"RCRON OK - c1: active for \d+ s", text)
    assert all(PERFDATA.fullmatch(word) for word in measured.split()), measured
    assert {word.partition("=")[0] for word in measured.split()} == {
        "'active'",
        "'state_age'",
        "'refreshed'",
        "'spoke'",
    }
    assert [line.split()[0] for line in others] == ["[OK]"] * 3


def test_the_worst_comes_first(node: Any) -> None:
    node.configure("state_max_age = 40")
    node.become("active")
    os.utime(node.state_file, (0, 86400))
    out = node.ctl("health", "--no-clock")
    assert out.returncode == CRITICAL
    assert re.match(r"RCRON CRITICAL - c1: passive: \S+ says active, .*; no feeder has reported yet \|", out.stdout)


def test_a_bar_or_a_line_end_in_a_text_is_no_performance_data(node: Any) -> None:
    node.conf.write_text(f'state_file = {node.state_file}\ncluster_name = "a|b"\n')
    node.ctl("set", "passive", "--feeder", "x|y\n[OK]")
    out = node.ctl("health", "--no-clock").stdout
    assert out.count("|") == 1
    assert out.startswith("RCRON OK - a/b: passive")
    assert "feeder x/y\\n[OK] spoke" in out


def test_an_invalid_configuration_is_critical_since_no_job_runs(node: Any) -> None:
    node.configure("nice = 1")
    out = node.ctl("health")
    assert (out.returncode, out.stderr) == (CRITICAL, "")
    assert out.stdout.startswith(f"RCRON CRITICAL - rcron.conf: {node.conf}:3: unknown name")


@pytest.mark.parametrize("words", [["--warning", "5"], ["--warning", "2h", "--critical", "1h"], ["--pin-age", "0s"]])
def test_wrong_usage_is_unknown(node: Any, words: list[str]) -> None:
    out = node.ctl("health", *words)
    assert (out.returncode, out.stdout) == (3, "")
    assert out.stderr.splitlines()[-1].startswith("rcronctl health: ")


def test_options_reach_the_limits(node: Any) -> None:
    node.ctl("set", "passive")
    record = pathlib.Path(f"{node.state_file}.feeder")
    os.utime(record, (0, time.time() - 600))
    assert node.ctl("health", "--no-clock", "-w", "20m", "-c", "1h").returncode == OK
    assert node.ctl("health", "--no-clock", "-w", "5m").returncode == WARNING
    assert node.ctl("health", "--no-clock", "--warning", "1m", "--critical", "5m").returncode == CRITICAL
    node.ctl("pin", "passive")
    os.utime(f"{node.state_file}.pin", (0, time.time() - 600))
    assert node.ctl("health", "--no-clock", "--pin-age", "5m").returncode == WARNING
    os.unlink(record)
    assert node.ctl("health", "--no-clock", "--no-feeder").returncode == OK


def test_checkmk_gets_a_line_and_the_exit_status_0(node: Any) -> None:
    node.become("passive")
    out = node.ctl("health", "--checkmk", "--no-clock", "--no-feeder")
    assert out.returncode == 0
    assert re.fullmatch(r'0 "rcron c1" active=0;;\|state_age=[0-9.]+;; passive for .*\n', out.stdout)
    node.configure("nice = 1")
    out = node.ctl("health", "--checkmk")
    assert out.returncode == 0
    assert out.stdout.startswith('2 "rcron rcron.conf" - ')
