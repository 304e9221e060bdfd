# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Run a command as cron runs it, in a home directory of its own, and tell all that it did."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import threading
from typing import NamedTuple

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]

# What roles/rcron installs as /usr/bin/rcron, without syslog.
LAUNCHER = """\
#!{python} -IS
import sys
sys.path.insert(0, {checkout!r})
from rcron import log
log._send = lambda facility, level, line: None
from rcron.__main__ import launch
launch()
"""

# The job that the commands run: tells its arguments and, if asked, its standard input.
JOB = """\
#!/bin/sh
for word; do printf '<%s>' "$word"; done
echo
[ "$1" != --stdin ] || cat
"""
FILES = {
    "in.txt": (0o644, "beta\nalpha\ngamma\n"),
    "settings": (0o644, "SETTING=set\n"),
    "dir/x.txt": (0o644, "x\n"),
    "bin/job": (0o755, JOB),
    "bin/my job": (0o755, JOB),
    "my job": (0o755, JOB),
    "script.sh": (0o755, '#!/bin/sh\necho "script $*" >&2\n[ "$1" != --exit=3 ] || exit 3\n'),
    "noshebang": (0o755, 'echo "no shebang $*"\n'),
}
# Entries of the crontab's environment.
VARIABLES = {"X": "one two", "EMPTY": "", "JOB": "job with words"}

# How two implementations treat backslashes in front of what they hand to the shell (do_command.c): both drop that of
# `\%`; Debian's cron makes one backslash of two as well.
CRONS = {"debian": re.compile(rb"\\([\\%])"), "cronie": re.compile(rb"\\(%)|(\\.)", re.DOTALL)}


# A program that another thread is about to write, in a process forked meanwhile, is "Text file busy" (execve(2)).
NOT_WHILE_FORKING = threading.Lock()


class Result(NamedTuple):
    """What a command did. The paths of the home directory are written `~` in its output."""

    status: int  # 128+N where signal N killed it
    stdout: bytes
    stderr: bytes
    files: dict[str, tuple[object, ...]]


def shell_input(command: bytes, cron: str) -> tuple[bytes, bytes]:
    """Return what cron hands to the shell as its command, and what it writes to the shell's standard input."""
    at = re.match(rb"(?:[^\\%]|\\.|\\\Z)*", command, re.DOTALL).end()  # type: ignore[union-attr]
    text = CRONS[cron].sub(lambda match: match[1] or match[2], command[:at])
    lines = command[at + 1 :]
    stdin = re.sub(rb"\\%|%", lambda match: b"%" if match[0] == rb"\%" else b"\n", lines)
    if stdin and not stdin.endswith(b"\n"):
        stdin += b"\n"
    return text, stdin


class Node:
    """A machine of the cluster: `rcron` and `conf` are the paths of its wrapper and configuration."""

    def __init__(self, folder: pathlib.Path, state: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.rcron = folder / "rcron"
        self.rcron.write_text(LAUNCHER.format(python=sys.executable, checkout=str(CHECKOUT)))
        self.rcron.chmod(0o755)
        self.conf = folder / "rcron.conf"
        self.conf.write_text(f"state_file = {folder}/state\nnice_level = 0\n")
        (folder / "state").write_text(state + "\n")

    def home(self, name: str) -> pathlib.Path:
        """Make a home directory with all the files that the commands work on."""
        home = self.folder / name
        with NOT_WHILE_FORKING:
            for path, (mode, text) in FILES.items():
                file = home / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
                file.chmod(mode)
        return home


def run(text: bytes, stdin: bytes, shell: str, home: pathlib.Path) -> Result:
    """Run `SHELL -c TEXT` with cron's environment and the home directory, and take note of the files it leaves there.

    As cron does, start the shell by its path, in a session of its own, with a pipe as its standard input.
    """
    with NOT_WHILE_FORKING:
        process = subprocess.Popen(
            [shell, "-c", text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env={
                "HOME": str(home),
                "LOGNAME": "root",
                "PATH": f"{home}/bin:/usr/bin:/bin",
                "SHELL": shell,
                **VARIABLES,
            },
            start_new_session=True,
        )
    stdout, stderr = process.communicate(stdin, timeout=60)
    path = os.fsencode(home)
    return Result(
        128 - process.returncode if process.returncode < 0 else process.returncode,
        stdout.replace(path, b"~"),
        stderr.replace(path, b"~"),
        files(home),
    )


def files(home: pathlib.Path, times: bool = False) -> dict[str, tuple[object, ...]]:
    """Return what is below a directory: kinds, modes and contents; with `times`, when anything was changed too."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(home):
        for name in [*folders, *names, "."]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = pathlib.Path(path).read_bytes().replace(os.fsencode(home), b"~")
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            changed = (status.st_mtime_ns, status.st_ctime_ns) if times else ()
            found[os.path.relpath(path, home)] = (status.st_mode, content, *changed)
    return found


def remove(home: pathlib.Path) -> None:
    shutil.rmtree(home)
