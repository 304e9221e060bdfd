# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A program of the administrator's that answers whether this node is the active one.

The contract: it is run again and again, as root, without arguments, and its exit status is the answer: 0 active, 1
passive, and anything else says that it cannot tell. It has `limit` seconds. What it prints (one line) is shown by
`rcronctl status`. `notice` is how long whatever it asks needs to learn that another node has taken over, after this
machine stood still.
"""

from collections.abc import Callable
from typing import Any

from rcron.agent.answer import Answer, boottime
from rcron.agent.command import Program
from rcron.agent.truth import Truth
from rcron.settings import ACTIVE, PASSIVE, Config

#: What each exit status means.
STATES = {0: ACTIVE, 1: PASSIVE}


def seconds(value: str) -> float:
    """Read a number of seconds from 0.1 to a day. Raises ValueError."""
    if not (0.1 <= float(value) <= 86400):
        raise ValueError(f'"{value}" is not a number of seconds from 0.1 to 86400')
    return float(value)


def program(value: str) -> "list[str]":
    """Read a command: words separated by blanks, the first an absolute path. Raises ValueError."""
    words = value.split()
    if not words or not words[0].startswith("/"):
        raise ValueError(f'"{value}" is not a command with an absolute path')
    return words


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "command": (program, None),
    "every": (seconds, 1.0),
    "limit": (seconds, 2.0),
    "notice": (seconds, 10.0),
}


def truth(_config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return CommandTruth(options)


class CommandTruth(Truth):
    """Runs the program. options: as OPTIONS names them."""

    def __init__(self, options: "dict[str, Any]") -> None:
        self._command: list[str] = options["command"]
        self.every = options["every"]
        self.limit = options["limit"]
        self.notice = options["notice"]
        self._program = Program()

    def ask(self) -> Answer:
        """Run it once. Raises OSError if it cannot be started, or takes too long."""
        moment = boottime()
        status, output = self._program.run(self._command, self.limit)
        said = output.partition("\n")[0].strip()
        return Answer(STATES.get(status), moment, f"{self._command[0]}: exit {status}" + (f", {said}" if said else ""))
