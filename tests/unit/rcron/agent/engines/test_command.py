# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The engine behind a program."""

import os
import pathlib
import time

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, Holder, command

CLAIM = Claim("c1", "root", "report", "1764320400", "t1", "node1", 1764320401)


def engine_of(folder: pathlib.Path, *lines: str) -> command.Command:
    """An engine whose program is a shell script of these lines."""
    path = folder / "engine"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = str(path)
    conf.password = "secret"
    return command.Command(conf)


def test_status_0_says_that_the_claim_is_ours(tmp_path: pathlib.Path) -> None:
    assert engine_of(tmp_path, "exit 0").claim(CLAIM) == Holder("t1", "node1", 1764320401)


def test_status_1_says_whose_it_is(tmp_path: pathlib.Path) -> None:
    assert engine_of(tmp_path, "echo node2 1764320400; exit 1").claim(CLAIM) == Holder("", "node2", 1764320400)
    assert engine_of(tmp_path, "echo my node; exit 1").claim(CLAIM) == Holder("", "my node", 0)
    assert engine_of(tmp_path, "exit 1").claim(CLAIM) == Holder("", "unknown", 0)


@pytest.mark.parametrize(("script", "message"), [("echo no leader; exit 75", "no leader"), ("exit 2", "exit status 2")])
def test_any_other_status_says_that_it_cannot_tell(tmp_path: pathlib.Path, script: str, message: str) -> None:
    engine = engine_of(tmp_path, script)
    with pytest.raises(EngineError, match=message):
        engine.claim(CLAIM)
    with pytest.raises(EngineError, match=message):
        engine.ended(CLAIM, 0, 1.0)
    with pytest.raises(EngineError, match=message):
        engine.check()
    with pytest.raises(EngineError, match=message):
        engine.history("c1", "", "", 10)
    with pytest.raises(EngineError, match=message):
        engine.clean("c1", "node1")
    with pytest.raises(EngineError, match=message):
        engine.forget("c1")


def test_a_clusters_claims_can_be_deleted(tmp_path: pathlib.Path) -> None:
    engine = engine_of(tmp_path, f'echo "$1 $RCRON_CLUSTER" >{tmp_path}/said')
    engine.forget("c1")
    assert (tmp_path / "said").read_text() == "forget c1\n"
    assert engine.remarks() == []


def test_the_environment_says_what_is_claimed(tmp_path: pathlib.Path) -> None:
    engine = engine_of(tmp_path, f"echo $1 >{tmp_path}/said; env >>{tmp_path}/said")
    engine.claim(CLAIM._replace(window=30, command="a  b"))
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == "claim"
    assert {
        "RCRON_CLUSTER=c1",
        "RCRON_USER=root",
        "RCRON_JOB=report",
        "RCRON_FIRE=1764320400",
        "RCRON_TOKEN=t1",
        "RCRON_NODE=node1",
        "RCRON_AT=1764320401",
        "RCRON_WINDOW=30",
        "RCRON_COMMAND=a  b",
        "RCRON_ENGINE_PASSWORD=secret",
        "RCRON_PREFIX=/rcron",
    } <= set(said)


def test_an_end_says_how_the_job_ended(tmp_path: pathlib.Path) -> None:
    engine = engine_of(tmp_path, f'echo "$1 $RCRON_TOKEN <$RCRON_EXIT> $RCRON_DURATION" >>{tmp_path}/said')
    assert engine.ended(CLAIM, 3, 1.5)
    assert engine.ended(CLAIM, None, 0.0)
    assert (tmp_path / "said").read_text().splitlines() == ["ended t1 <3> 1.500", "ended t1 <> 0.000"]
    assert not engine_of(tmp_path, "exit 1").ended(CLAIM, 3, 1.5)


def test_history_is_a_json_object_a_line(tmp_path: pathlib.Path) -> None:
    key = '"cluster":"c1","user":"root","job":"report","fire":"1"'
    line = f'{{{key},"node":"node1","at":5,"end":{{"exit":0,"dur":2}},"cursor":"9"}}'
    (run,) = engine_of(tmp_path, f"echo '{line}'").history("c1", "", "", 10)
    assert (run.job, run.node, run.at, run.exit, run.duration, run.cursor) == ("report", "node1", 5, 0, 2.0, "9")


@pytest.mark.parametrize("line", ["what", "[]", "{}", '{"cluster":1,"user":"","job":"","fire":""}', "[" * 5000])
def test_a_line_that_is_not_a_run_is_reported(tmp_path: pathlib.Path, line: str) -> None:
    with pytest.raises(EngineError, match="not a run's"):
        engine_of(tmp_path, f"echo '{line}'").history("c1", "", "", 10)


def test_a_program_that_hangs_is_killed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LIMIT", 0.3)
    engine = engine_of(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 100")
    began = time.monotonic()
    with pytest.raises(EngineError, match="no answer in"):
        engine.claim(CLAIM)
    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("program", ["engine", "/nonexistent/engine", "/usr/bin"])
def test_a_program_that_is_not_there_is_an_error(program: str) -> None:
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = program
    with pytest.raises(ValueError, match="is not a program"):
        command.Command(conf)
