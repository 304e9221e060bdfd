# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs that a node is asked with. None of them may run for longer than its time limit."""

from __future__ import annotations

import os
import pwd
import selectors
import shutil
import subprocess
import tempfile
import time
from typing import Any

#: Seconds that one program has for its answer.
TIME_LIMIT = 20.0

#: Bytes that a user's program may write, to each of its outputs.
MOST_BYTES = 1 << 20

#: The same of root's own: what such a program prints may be a user's, or another host's.
MOST_OF_ROOT = 1 << 25

#: Where daemons are, which is not all in every user's PATH.
DAEMON_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"


class ProgramError(Exception):
    """A program that could not be started, failed, or did not end in time; the message is for a person."""


class NotStartedError(ProgramError):
    """A program that could not be started."""


class FailedError(ProgramError):
    """A program that ended with another exit status than 0."""


def run(*words: str, time_limit: float = TIME_LIMIT, user: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without standard input.

    Args:
        words: The program and its arguments.
        time_limit: Seconds after which the program is killed.
        user: The user whose program it is, and as whom root runs it; "" for the user who runs this.

    Returns:
        How it ended, and what it wrote.

    Raises:
        NotStartedError: It could not be started.
        ProgramError: It did not end in time, or wrote too much.
    """
    try:
        if user and os.geteuid() == 0:
            return _run_as(user, words, time_limit)
        return _run_bounded(words, time_limit)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{' '.join(words)} did not end within {time_limit:g} s") from None
    except KeyError:
        raise NotStartedError(f"{words[0]} cannot be run as {user}: there is no such user") from None
    except OSError as error:
        raise NotStartedError(f"{words[0]} cannot be run: {error.strerror}") from None
    except ValueError as error:  # a NUL in an argument
        raise NotStartedError(f"{words[0]!r} cannot be run: {error}") from None


def _run_bounded(words: tuple[str, ...], time_limit: float) -> subprocess.CompletedProcess[str]:
    """Run a program, and kill it if it writes too much. AnsibleModule.run_command knows neither limit.

    Raises:
        ProgramError: It wrote too much.
    """
    with subprocess.Popen(  # pylint: disable=unknown-option-value,ansible-bad-function
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Without root's terminal: who may look into a process of his own could type there (TIOCSTI).
        start_new_session=True,
    ) as process:
        try:
            texts = _written(process, time_limit)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, *texts)


def _written(process: subprocess.Popen[bytes], time_limit: float) -> list[str]:
    """Return what a process writes until it ends, to either output."""
    deadline = time.monotonic() + time_limit
    written = {stream: bytearray() for stream in (process.stdout, process.stderr) if stream}
    with selectors.DefaultSelector() as selector:
        for stream, data in written.items():
            selector.register(stream, selectors.EVENT_READ, data)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(process.args, time_limit)
            for key, _events in ready:
                piece = os.read(key.fd, 65536)
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
                elif len(key.data) > MOST_OF_ROOT:
                    raise ProgramError(f"{process.args[0]} printed more than {MOST_OF_ROOT >> 20} MiB")
    process.wait(max(0.0, deadline - time.monotonic()))
    # As Python reads a text file.
    return [data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n") for data in written.values()]


def _run_as(user: str, words: tuple[str, ...], time_limit: float) -> subprocess.CompletedProcess[str]:
    """Run a program as its user. What it writes goes into files, since he would decide how much memory root needs."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        done = subprocess.run(  # pylint: disable=unknown-option-value,ansible-bad-function
            # In units of 512 bytes. The limit is the kernel's, and holds for what he starts, too.
            ["/bin/sh", "-c", f'ulimit -f {MOST_BYTES // 512} && exec "$@"', "sh", *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
            timeout=time_limit,
            start_new_session=True,
            **_identity(user),
        )
        texts = []
        for file in (said, complained):
            file.seek(0)
            texts.append(file.read(MOST_BYTES).decode("utf-8", "replace"))
    return subprocess.CompletedProcess(words, done.returncode, *texts)


def _identity(user: str) -> dict[str, Any]:
    """Return what subprocess.run needs to run a program as a user, with nothing of root's but the descriptors it gives.

    Raises:
        KeyError: There is no such user.
    """
    found = pwd.getpwnam(user)
    return {
        "user": found.pw_uid,
        "group": found.pw_gid,
        "extra_groups": os.getgrouplist(user, found.pw_gid),
        "cwd": "/",
        "env": {"PATH": DAEMON_PATH, "HOME": found.pw_dir},
    }


def output(*words: str, time_limit: float = TIME_LIMIT) -> str:
    """Return what a program prints.

    Args:
        words: The program and its arguments.
        time_limit: Seconds after which the program is killed.

    Raises:
        NotStartedError: It could not be started.
        FailedError: Its exit status is not 0.
        ProgramError: It did not end in time.
    """
    done = run(*words, time_limit=time_limit)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise FailedError(f"{' '.join(words)}: {said}")
    return done.stdout


def find(name: str) -> str:
    """Return the path of a daemon or of an administrator's program, or "" if it is not installed."""
    return shutil.which(name, path=DAEMON_PATH) or ""
