# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs that an installation runs, and the processes that run the wrapper already."""

from __future__ import annotations

import errno
import os
import subprocess

#: Seconds that a program has: an interpreter that compiles the package on a slow host needs some.
TIME_LIMIT = 60.0

#: How much of a process's command line is read, in bytes. A process decides how long it seems (PR_SET_MM_MAP in
#: prctl(2)), up to terabytes, and the folder is named before the words of the job.
MOST_WORDS = 1 << 16


def run(argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Args:
        argv: The program's path and its arguments.
        text: The standard input; surrogates stand for bytes that are not UTF-8.

    Returns:
        The exit status, standard output and standard error.

    Raises:
        OSError: The program cannot be started, or did not end in time.
    """
    try:
        # Not the module's run_command: this package does not know Ansible.
        done = subprocess.run(  # pylint: disable=unknown-option-value,ansible-bad-function
            argv,
            check=False,
            capture_output=True,
            input=text.encode("utf-8", "surrogateescape"),
            timeout=TIME_LIMIT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"it did not end within {TIME_LIMIT:g} s", argv[0]) from None
    output, errors = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(argv, done.returncode, output, errors)


def systemctl(*words: str) -> None:
    """Run systemctl; do nothing on a machine whose init is not systemd, such as an image that is being built.

    Args:
        *words: Its arguments.

    Raises:
        OSError: It failed.
    """
    if not os.path.isdir("/run/systemd/system"):
        return
    done = run(["systemctl", *words])
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise OSError(errno.EIO, f"systemctl {' '.join(words)}: {said}", words[-1])


def users_of(library: str) -> list[int]:
    """Return the IDs of the processes that run from a version's folder.

    The command line of such a process names the folder before the words of the job (rcron/launcher.py).
    """
    folder = os.fsencode(library)
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as line:
                    words = line.read(MOST_WORDS).split(b"\0")
            except OSError:
                continue  # it has just ended
            if any(word.endswith(b"=" + folder) or word.startswith(folder + b"/") for word in words):
                pids.append(int(name))
    return pids


def age_of(pid: int) -> float:
    """Return for how many seconds a process has been running; infinity if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as line, open("/proc/uptime", "rb") as uptime:
            started = int(line.read().rpartition(b")")[2].split()[19])
            return float(uptime.read().split()[0]) - started / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("inf")
