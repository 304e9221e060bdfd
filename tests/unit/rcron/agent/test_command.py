# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs that answer a question, and hang."""

import os
import pathlib
import signal
import time

import pytest

from rcron.agent.command import Program


def test_it_tells_the_exit_status_and_what_was_printed() -> None:
    assert Program().run(["sh", "-c", "echo one; echo two >&2; exit 3"], 5) == (3, "one\n")


def test_a_signal_is_reported_as_a_shell_does() -> None:
    assert Program().run(["sh", "-c", "kill -9 $$"], 5)[0] == 137


def test_it_has_no_standard_input_and_a_known_environment() -> None:
    status, output = Program().run(["sh", "-c", 'cat; echo "$LC_ALL $HOME $MORE"'], 5, {"MORE": "x"})
    assert (status, output) == (0, "C  x\n")


def test_an_answer_without_end_is_cut(tmp_path: pathlib.Path) -> None:
    _status, output = Program().run(["sh", "-c", "head -c 10000000 /dev/zero"], 10)
    assert 65536 <= len(output) < 100000


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program"])
def test_one_that_is_not_there_cannot_be_started(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        Program().run([name], 1)


@pytest.mark.parametrize(
    "script", ["sleep 60", "exec >&-; sleep 60", "sleep 60 & wait", "trap '' TERM; sleep 60; sleep 60"]
)
def test_one_that_hangs_is_killed_with_what_it_started(script: str) -> None:
    program = Program()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.3 s"):
        program.run(["sh", "-c", f": MARK-{os.getpid()}; {script}"], 0.3)
    assert time.monotonic() - began < 2
    left = [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if _holds(path, f"MARK-{os.getpid()}")]
    assert left == []
    assert program.run(["true"], 5) == (0, "")


def _holds(path: pathlib.Path, mark: str) -> bool:
    try:
        return mark.encode() in path.read_bytes()
    except OSError:
        return False


def test_there_is_never_a_second_one_beside_one_that_cannot_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: "list[int]" = []
    monkeypatch.setattr(os, "killpg", lambda pid, _number: killed.append(pid))  # as if the kernel kept it
    program = Program()
    with pytest.raises(TimeoutError):
        program.run(["sleep", "60"], 0.2)
    with pytest.raises(TimeoutError, match="the one before has not ended yet"):
        program.run(["true"], 5)
    os.kill(killed[0], signal.SIGKILL)
    time.sleep(0.2)
    assert program.run(["true"], 5) == (0, "")
