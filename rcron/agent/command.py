# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Run a program that answers a question, with a limit: daemons hang, and what asks them hangs with them."""

import os
import select
import signal
import time

#: The environment of every such program.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

#: The most that is read of an answer, in bytes.
MAX_OUTPUT = 1 << 16


class Program:
    """A program that is run again and again, and never twice at a time.

    Nobody waits for a process that does not end although it was killed (state D): `run` fails until it has ended.
    """

    def __init__(self) -> None:
        self._left = 0

    def run(self, argv: "list[str]", seconds: float, environment: "dict[str, str] | None" = None) -> "tuple[int, str]":
        """Run the program, without standard input and with its standard error thrown away.

        Args:
            argv: The command. A name without a slash is looked for in ENVIRONMENT's PATH.
            seconds: How long it may take before it is killed.
            environment: What to add to ENVIRONMENT.

        Returns:
            Its exit status as a shell tells it, and its standard output, undecodable bytes replaced.

        Raises:
            TimeoutError: It took longer, or the one before has not ended yet.
            OSError: It cannot be started.
        """
        if self._left and not self._has_ended(self._left):
            raise TimeoutError(f"{argv[0]}: the one before has not ended yet")
        self._left = 0
        deadline = time.monotonic() + seconds
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            pid = self._spawn(argv, writer, {**ENVIRONMENT, **(environment or {})})
            os.close(writer)
            writer = -1
            try:
                output = _read(reader, deadline)
            finally:
                # Its output has ended, so it is about to end itself; or its time is up.
                self._left = pid
                status = self._wait(pid, deadline)
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)
        if status is None:
            raise TimeoutError(f"{argv[0]}: no answer in {seconds:g} s")
        self._left = 0
        return status, output.decode("utf-8", "replace")

    @staticmethod
    def _spawn(argv: "list[str]", writer: int, environment: "dict[str, str]") -> int:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        # A group of its own, so that what it starts is killed with it; and the signals that the agent has set aside.
        settings = {"setpgroup": 0, "setsigmask": (), "setsigdef": (signal.SIGPIPE, signal.SIGXFSZ)}
        if "/" in argv[0]:
            return os.posix_spawn(argv[0], argv, environment, file_actions=actions, **settings)  # type: ignore[arg-type]
        # posix_spawnp looks through the PATH of this process, which need not have one.
        for folder in environment["PATH"].split(":"):
            path = f"{folder}/{argv[0]}"
            if os.access(path, os.X_OK):
                return os.posix_spawn(path, argv, environment, file_actions=actions, **settings)  # type: ignore[arg-type]
        raise FileNotFoundError(2, os.strerror(2), argv[0])

    def _wait(self, pid: int, deadline: float) -> "int | None":
        """Wait for the process, kill it at the deadline, and return its exit status; None if it had to be killed."""
        pause = 0.001
        while time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
        # A killed process ends in an instant, unless the kernel keeps it.
        for _turn in range(20):
            if self._has_ended(pid):
                self._left = 0
                break
            time.sleep(0.005)
        return None

    @staticmethod
    def _has_ended(pid: int) -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


def _read(fd: int, deadline: float) -> bytes:
    """Read to the end of a pipe, or as far as it goes until the deadline."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    chunks: "list[bytes]" = []
    length = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(chunks)
        chunk = os.read(fd, 4096)
        if not chunk:
            return b"".join(chunks)
        if length < MAX_OUTPUT:
            chunks.append(chunk)
            length += len(chunk)
