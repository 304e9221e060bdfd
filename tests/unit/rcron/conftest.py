# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A node in a folder: a configuration, a state file, and rcron started as the role's launcher starts it."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from rcron import settings

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

# What roles/rcron installs as /usr/bin/rcron, with syslog's place taken by a file.
LAUNCHER = """\
#!{python} -IS
import sys
sys.path.insert(0, {checkout!r})
{measure}
from rcron import log, settings
settings.RUNTIME = {runtime!r}
def send(facility, level, line):
    with open({log!r}, "a", encoding="utf-8") as stream:
        stream.write(f"{{facility >> 3}}.{{level}} {{line}}\\n")
log._send = send
from rcron.{module} import {start}
{call}
"""

# The same, measured (make coverage). What it imports is not the wrapper's: see the mark `unmeasured` in pyproject.toml.
MEASURE = """\
sys.path[1:1] = [{folder!r}, *{path!r}]
import measured
measured.begin({settings!r})
del sys.path[1]
"""


def _measure() -> str:
    settings = os.environ.get("RCRON_COVERAGE")
    if not settings:
        return ""
    folder = os.path.dirname(__file__)
    path = [entry for entry in sys.path if entry.endswith("-packages")]
    return MEASURE.format(folder=folder, path=path, settings=settings)


class Node:
    """folder: where everything is. conf, state_file: paths. rcron, rcronctl: the commands' paths.

    runtime: rcron-agent's folder, short because a socket's name has 107 bytes at most.
    """

    def __init__(self, folder: pathlib.Path, runtime: str) -> None:
        self.folder = folder
        self.runtime = runtime
        self._started: list[subprocess.Popen[str]] = []
        self.conf = folder / "rcron.conf"
        self.state_file = folder / "run" / "state"
        self.state_file.parent.mkdir()
        self.log_file = folder / "syslog"
        self.rcron = self._launcher("rcron", "__main__", "launch", "launch()")
        self.rcronctl = self._launcher("rcronctl", "ctl", "main", "sys.exit(main())")
        self.configure()

    def _launcher(self, name: str, module: str, start: str, call: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(
            LAUNCHER.format(
                python=sys.executable,
                checkout=str(CHECKOUT),
                measure=_measure(),
                log=str(self.log_file),
                runtime=self.runtime,
                module=module,
                start=start,
                call=call,
            )
        )
        path.chmod(0o755)
        return path

    def configure(self, *lines: str) -> None:
        """Write rcron.conf: the state file's name and these lines."""
        self.conf.write_text("\n".join([f"state_file = {self.state_file}", "cluster_name = c1", *lines, ""]))

    def become(self, state: str) -> None:
        """Write the state file."""
        self.state_file.write_text(state + "\n")

    def command(self, *words: str) -> list[str]:
        """rcron's command line with this node's configuration."""
        return [str(self.rcron), "--conf", str(self.conf), *words]

    def run(self, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run `rcron --conf … WORDS`."""
        return _run(self.command(*words), **options)

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        """Start `rcron --conf … WORDS`, its standard output a pipe."""
        process = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, text=True, **options)
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test that failed has left running: each rcron and its job."""
        for process in self._started:
            if process.poll() is None:
                children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                for pid in (*children, process.pid):
                    os.kill(int(pid), signal.SIGKILL)
                process.communicate()

    def ctl(self, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run `rcronctl --conf … WORDS`."""
        return _run([str(self.rcronctl), "--conf", str(self.conf), *words], **options)

    def log(self) -> list[str]:
        """What went to syslog: a line `FACILITY.LEVEL text` each, facility and level as syslog(3) numbers them."""
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []

    def log_without_times(self) -> list[str]:
        """The same with `dur=N` for each duration, since on a busy machine any of them may be a second longer."""
        return [re.sub(r"dur=\d+", "dur=N", line) for line in self.log()]


def _run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    options = {"capture_output": True, "text": True, "timeout": 30, **options}
    if "stdout" in options or "stderr" in options:
        options.pop("capture_output")
    return subprocess.run(command, check=False, **options)


@pytest.fixture
def node(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Node]":
    """A node whose state file does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="rcron") as runtime:
        monkeypatch.setattr(settings, "RUNTIME", runtime)
        node = Node(tmp_path, runtime)
        yield node
        node.end()
