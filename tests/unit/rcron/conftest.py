# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A node in a folder: a configuration, a state file, and rcron started as the role's launcher starts it."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
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


# A claim is a file whose first line is its token and its node. `slow` in its folder has it wait after it has written,
# `down` has it fail.
ENGINE = """\
#!/bin/sh
cd {folder} || exit 75
test ! -e down || {{ echo the engine is down; exit 75; }}
name=$(printf %s "$RCRON_CLUSTER/$RCRON_USER/$RCRON_JOB/$RCRON_FIRE" | tr / _)
case $1 in
claim)
    (set -C; echo "$RCRON_TOKEN $RCRON_NODE" >"$name") 2>/dev/null
    test ! -e slow || sleep "$(cat slow)"
    read token node <"$name"
    test "$token" = "$RCRON_TOKEN" && exit 0
    echo "$node 1764320400"
    exit 1 ;;
ended)
    read token node <"$name" || exit 1
    test "$token" = "$RCRON_TOKEN" || exit 1
    echo "end <$RCRON_EXIT>" >>"$name" ;;
history)
    for file in *_*_*_*; do
        test -e "$file" || continue
        read token node <"$file"
        user=${{RCRON_USER:-root}}
        key='"cluster":"c1","user":"'$user'","job":"'$file'","fire":"1"'
        echo "{{$key,"'"node":"'$node'","at":5,"cursor":"1"}}'
    done ;;
check) echo in a folder ;;
clean) echo 0 ;;
forget) rm -f "$RCRON_CLUSTER"_* ;;
esac
"""


class Agent:
    """rcron-agent for a node of conftest's.

    ledger: the folder of its engine. path: the socket.
    """

    def __init__(self, node: Any) -> None:
        self.node = node
        # Not in pytest's folder, which other users cannot reach.
        folder = pathlib.Path(node.runtime)
        folder.chmod(0o755)
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        program = folder / "engine"
        program.write_text(ENGINE.format(folder=self.ledger))
        program.chmod(0o755)
        self.conf = folder / "agent.conf"
        self.conf.touch(0o600)
        self.conf.write_text(f"engine = command\nendpoints = {program}\nnode = node1\n")
        self.path = node.state_file.parent / "claim.sock"
        self.program = node._launcher("rcron-agent", "agent.__main__", "main", "sys.exit(main())")
        self.process: "subprocess.Popen[str] | None" = None

    def start(self, *words: str) -> None:
        """Start it, and wait for its socket."""
        command = [self.program, "--conf", self.node.conf, "--agent-conf", self.conf, "--user", "root", *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                self.connect().close()
            except OSError:
                assert self.process.poll() is None, self.process.communicate()[1]
                time.sleep(0.02)
            else:
                return
        raise AssertionError("no socket")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            os.kill(self.process.pid, number)
            self.process.communicate(timeout=20)
            self.process = None

    def connect(self) -> socket.socket:
        """A connection to it."""
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(20)
        try:
            found.connect(str(self.path))
        except BaseException:
            found.close()
            raise
        return found

    def ask(self, *parts: str) -> "list[str]":
        """Send it one line, and return the answer's parts."""
        with self.connect() as connection:
            connection.sendall("\0".join(parts).encode() + b"\n")
            return connection.makefile("rb").readline().decode().rstrip("\n").split("\0")

    def claims(self) -> "dict[str, list[str]]":
        """What the engine holds: for each claim the lines of its file."""
        return {file.name: file.read_text().splitlines() for file in self.ledger.glob("*_*_*_*")}

    def ended(self, count: int = 1) -> "list[list[str]]":
        """Wait until so many runs have an end, and return all."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = list(self.claims().values())
            if sum(any(line.startswith("end ") for line in lines) for lines in found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(self.claims())

    @staticmethod
    def claim(token: str, **fields: str) -> "list[str]":
        """The parts of a claim's line."""
        found = {"cluster": "c1", "job": "report", "fire": "1764320400", "token": token, "wait": "10", **fields}
        return ["claim", *(f"{name}={value}" for name, value in found.items())]


@pytest.fixture
def agent(node: Node) -> "Iterator[Agent]":
    """An agent for the node, which is not started yet."""
    agent = Agent(node)
    yield agent
    agent.stop(signal.SIGKILL)
