# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Give rcron the states that a running keepalived is in already.

A reload starts the FIFO's reader, but keepalived tells it nothing: `fifo_write_vrrp_states_on_reload` leaves out an
instance that is master (read in 2.2.7 and 2.4.3, vrrp_init_state in vrrp_scheduler.c; seen on 2.2.7). Nor does a reload
start a `notify` command that was not there before. So keepalived is asked for its data (signal `--signum=DATA`, file
keepalived.data in its own /tmp), and what they say is written to the FIFO as keepalived would write it, or set with
rcronctl.
"""

from __future__ import annotations

import glob
import os
import re
import signal
import stat
import time
from typing import NamedTuple

from . import rcronctl
from .node import files, programs, systemd

#: Seconds that keepalived gets for its reload, its dump and the start of the FIFO's reader.
PATIENCE = 15.0

#: Bytes. keepalived tells of each virtual server too.
LARGEST_DUMP = 256 * 1024 * 1024

#: Where keepalived, a process of OWNER's, writes its data. The unit may have a /tmp of its own (PrivateTmp=).
FOLDER = "/proc/{pid}/root/tmp/"
OWNER = 0

STATE = re.compile(r"^ VRRP Instance = (.+)\n(?:   .*\n)*?   State = (MASTER|BACKUP|FAULT)\b", re.MULTILINE)
GROUP = re.compile(r"^ VRRP Sync Group = (.+), (MASTER|BACKUP|FAULT)$", re.MULTILINE)


class StatesError(Exception):
    """Why rcron could not be given keepalived's states; the message is for a person."""


class Found(NamedTuple):
    """What keepalived says of one of its blocks.

    Attributes:
        kind: `instance` or `group`.
        name: The block's name.
        state: `MASTER`, `BACKUP` or `FAULT`.
    """

    kind: str
    name: str
    state: str


class Keepalived:
    """keepalived on this node, and what rcron follows of it."""

    def __init__(self, service: str, fifo: str, program: str, follow: list[dict[str, str]]) -> None:
        """Ask nothing yet. PATIENCE counts from here.

        Args:
            service: keepalived's unit.
            fifo: The path of the FIFO that keepalived writes its states to, "" if it calls rcron itself (`notify`).
            program: The path of rcronctl.
            follow: What each cluster follows: `kind` (`instance` or `group`), `name`, and `conf`, the path of its
                rcron.conf.
        """
        self._service = service
        self._fifo = fifo
        self._rcronctl = program
        self._follow = follow
        self._deadline = time.monotonic() + PATIENCE

    def hand_over(self) -> list[Found]:
        """Give rcron the states. A keepalived that does not run means passive.

        Returns:
            What keepalived says of all its instances and groups.

        Raises:
            StatesError: It does not say so, or nobody reads the FIFO.
            ProgramError: systemd or rcronctl fail.
            OSError: The FIFO cannot be written to.
        """
        pid = systemd.main_process(self._service)
        if not pid:
            self._set_states([], pid)
            return []
        # Again until nothing has changed in between: a state may change, and a reload replaces the FIFO a moment after.
        found: list[Found] = []
        before = None
        while not self._is_out_of_time():
            fifo = self._open_fifo() if self._fifo else -1
            try:
                found = states(self._dump(pid))
                now = found, os.fstat(fifo).st_ino if self._fifo else 0
                if now == before:
                    break
                if self._fifo:
                    os.write(
                        fifo, "".join(f'{kind.upper()} "{name}" {state} 0\n' for kind, name, state in found).encode()
                    )
                else:
                    self._set_states(found, pid)
            finally:
                if self._fifo:
                    os.close(fifo)
            before = now
            time.sleep(0.5)
        return found

    def _is_out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def _dump(self, pid: int) -> str:
        """Have keepalived write its data to a file, and return the file's text.

        Args:
            pid: Its main process.

        Raises:
            StatesError: It does not write the file in time.
        """
        folder = FOLDER.format(pid=pid)
        path = folder + "keepalived.data"
        move_aside(path)
        there = set(os.listdir(folder))
        before = identity(path)
        number = programs.run("keepalived", "--signum=DATA").stdout.strip()
        os.kill(pid, int(number) if number.isdecimal() else signal.SIGUSR1)
        seen = before
        while not self._is_out_of_time():
            time.sleep(0.1)
            # Whole when it has stopped growing.
            seen, last = identity(path), seen
            if seen in (None, before) or seen != last:
                continue
            text = files.read_text(path, LARGEST_DUMP)
            for name in set(os.listdir(folder)) - there:
                if re.fullmatch(r"keepalived(_[a-z]+)?\.data", name):
                    os.unlink(folder + name)
            return text
        foreign = "" if identity(path) or not os.path.lexists(path) else "; what is there is another user's: remove it"
        raise StatesError(
            f"keepalived does not tell its state: it did not write {path} within {PATIENCE:.0f} s{foreign}"
        )

    def _open_fifo(self) -> int:
        """Open the FIFO for writing as soon as it has a reader, and return its file descriptor.

        Raises:
            StatesError: Nobody reads it.
        """
        while not has_reader(self._fifo):
            if self._is_out_of_time():
                raise StatesError(
                    f"nobody reads {self._fifo}: keepalived does not run its vrrp_notify_fifo_script; journalctl -u"
                    f" {self._service} tells why"
                )
            time.sleep(0.1)
        return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)

    def _set_states(self, found: list[Found], pid: int) -> None:
        """Set each cluster's state, an `active` for as long as keepalived lives."""
        masters = {(kind, name) for kind, name, state in found if state == "MASTER"}
        for cluster in self._follow:
            if (cluster["kind"], cluster["name"]) in masters:
                rcronctl.set_active(self._rcronctl, cluster["conf"], "keepalived", pid)
            else:
                rcronctl.set_passive(self._rcronctl, cluster["conf"], "keepalived")


def states(dump: str) -> list[Found]:
    """Find every instance and group in keepalived's data, and the state of each."""
    return [
        Found(kind, *found) for kind, word in (("instance", STATE), ("group", GROUP)) for found in word.findall(dump)
    ]


def move_aside(path: str) -> None:
    """Make room if another user has put something at a path, which anybody may do in /tmp.

    keepalived could not replace a folder, and what it did not write must not be read.
    """
    if identity(path) is None and os.path.lexists(path):
        os.rename(path, f"{path}.{os.urandom(8).hex()}")


def identity(path: str) -> tuple[int, int, int] | None:
    """Return what distinguishes a file of root's from the one before; None if there is no such file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_uid != OWNER:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def has_reader(fifo: str) -> bool:
    """Tell whether a process other than keepalived's own, which hold both ends, has a FIFO open."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) == fifo:
                process = files.read_head("/proc/" + link.split("/")[2] + "/comm")
                if not process.startswith(b"keepalived"):
                    return True
        except OSError:
            continue  # ended in the meantime
    return False
