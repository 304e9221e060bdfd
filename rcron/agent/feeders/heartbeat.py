# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat 3 in haresources mode: `cl_status rscstatus` is asked which resources this node has.

The contract (heartbeat/cl_status.c, lib/hb_rsc.c and hb_resource.c of 3.0.6):

- `cl_status rscstatus` prints `all`, `none`, `local` (the lines of haresources that begin with this node's name),
  `foreign` (the others), or `transition` while Heartbeat gives or takes resources. At its start it prints nothing.
- While Heartbeat takes resources it calls their scripts, one after the other, and that may last. So does giving them.
- It asks the master control process and waits for the answer without a limit.
- The peer takes over `deadtime` after the last packet of this node, and packets are sent by the master control process.
  A process that stood still has learned of that `deadtime` after it goes on.
- Of two nodes that do not hear each other, both have all resources: nobody can be asked who is right.
"""

import os
from collections.abc import Callable
from typing import Any

from rcron import state
from rcron.agent.answer import Answer, boottime
from rcron.agent.command import Program
from rcron.agent.probation import Probation
from rcron.agent.truth import Truth, cannot_tell
from rcron.haresources import haresources
from rcron.settings import ACTIVE, DEFAULT_PATH, PASSIVE, Config

FOLDER = "/etc/ha.d"
PID_FILE = "/run/heartbeat.pid"
PROC = "/proc"

#: The most that is read of one of Heartbeat's files, in bytes.
MAX_BYTES = 1 << 20

#: Heartbeat's own, in seconds, if ha.cf does not give them.
DEADTIME = 30.0
KEEPALIVE = 2.0

#: Seconds that the agent may need to write a state.
MARGIN = 0.75

UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "usec": 1e-6, "m": 60.0, "min": 60.0}


def folder(value: str) -> str:
    """Read an absolute path. Raises ValueError."""
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path')
    return value.rstrip("/")


#: Where Heartbeat's configuration and its pid file are.
OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "folder": (folder, FOLDER),
    "pid_file": (folder, PID_FILE),
}


def truth(config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return HeartbeatTruth(config, options)


class HeartbeatTruth(Truth):
    """Asks Heartbeat. options: as OPTIONS names them."""

    def __init__(self, config: Config, options: "dict[str, Any]") -> None:
        self._folder: str = options["folder"]
        self._pid_file: str = options["pid_file"]
        # The default configuration need not be named in haresources.
        self._resources = {f"rcron::{config.path}"} | ({"rcron"} if config.path == DEFAULT_PATH else set())
        self._node = os.uname().nodename.lower()
        self._config = config
        #: Whether this node had the resource before the transition that may be going on; None if that is not known.
        self._had: "bool | None" = None
        self._program = Program()
        self._probation = Probation(0, 0)
        self._owner = ""
        self._version: "tuple[int, ...]" = ()
        self._read_files()

    def gap(self, seconds: float) -> None:
        """Forget what the node had before."""
        self._had = None

    def ask(self) -> Answer:
        """Ask once. Raises OSError if Heartbeat's files cannot be read, or it does not answer in time."""
        moment = boottime()
        self._read_files()
        status, output = self._program.run(["cl_status", "rscstatus"], self.limit)
        word = output.strip()
        if not self._is_running():
            self._had = None
            return Answer(PASSIVE, moment, "Heartbeat is not running")
        words = f"cl_status rscstatus: {word or 'nothing'}"
        if not word:
            return cannot_tell(f"{words}, exit {status}", moment)
        self._probation.prove(moment, boottime())
        if not self._owner:
            return Answer(PASSIVE, moment, f"{self._folder}/haresources does not name {max(self._resources)}")
        is_mine = self._owner == self._node
        held = {"all": True, "none": False, "local": is_mine, "foreign": not is_mine}.get(word)
        if held is None and not (word == "transition" and self._had is False and self._is_active()):
            return cannot_tell(words, moment)
        if held is None:
            # The script has been called, and Heartbeat goes on taking what else it takes.
            held, words = True, f"{words}, and started"
        else:
            self._had = held
        left = self._probation.left(moment)
        if held and left:
            return cannot_tell(f"{words}, but it stood still, and is believed again in {left:.0f} s", moment)
        return Answer(ACTIVE if held else PASSIVE, moment, words)

    def _is_active(self) -> bool:
        """Whether the state file says active, which the script has written if the node had no resources before."""
        found = state.from_file(self._config)
        return found.source == state.FILE and found.state == ACTIVE

    def _is_running(self) -> bool:
        """Whether the process of the pid file is Heartbeat's: root's, and called so."""
        # Not by /proc/PID/exe: a service that has fewer capabilities than Heartbeat may not read it.
        try:
            with open(self._pid_file, encoding="ascii") as stream:
                pid = int(stream.read(32))
            with open(f"{PROC}/{pid}/status", encoding="ascii", errors="replace") as stream:
                fields = dict(line.rstrip("\n").partition(":\t")[::2] for line in stream)
            return (
                fields["Name"] == "heartbeat" and fields["Uid"].split() == ["0"] * 4 and fields["State"][0] not in "ZX"
            )
        except (OSError, ValueError, KeyError):
            return False

    def _read_files(self) -> None:
        """Read ha.cf and haresources, if they are others than last time."""
        paths = [f"{self._folder}/{name}" for name in ("ha.cf", "haresources")]
        found = [os.stat(path) for path in paths]
        version = tuple(number for status in found for number in (status.st_ino, status.st_mtime_ns, status.st_size))
        if version == self._version:
            return
        deadtime, keepalive = times(_read(paths[0]))
        owners = [words[0].lower() for words in haresources(_read(paths[1])) if self._resources & set(words[1:])]
        self._owner = owners[0] if owners else ""
        self.notice = deadtime + MARGIN
        # The last answer may have come when the last packet had been sent already.
        self.silence = max(deadtime - keepalive - MARGIN, deadtime / 2)
        self.every = min(1.0, self.silence / 3)
        self.limit = min(2.0, self.silence / 2)
        self._probation.notice = self.notice
        self._probation.patience = self.silence
        self._version = version


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read(MAX_BYTES)


def times(text: str) -> "tuple[float, float]":
    """Return deadtime and keepalive out of the text of ha.cf, in seconds."""
    found = {"deadtime": DEADTIME, "keepalive": KEEPALIVE}
    for line in text.split("\n"):
        words = line.partition("#")[0].replace("=", " ").split()
        if len(words) >= 2 and words[0] in found:
            digits = words[1].rstrip("abcdefghijklmnopqrstuvwxyz")
            try:
                found[words[0]] = float(digits) * UNITS[words[1][len(digits) :]]
            except (KeyError, ValueError):
                pass  # Heartbeat does not start with it
    return found["deadtime"], found["keepalive"]
