# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which state is this node in, and why; and how a state is written.

The state file holds exactly `active\\n` or `passive\\n`. `current` is the one function that answers for `rcron` and for
`rcronctl` alike, so that what the administrator is told is what the jobs do.
"""

import errno
import posix

from rcron.config import ACTIVE, PASSIVE, Config

#: What a state file may hold at most, in bytes, white space included.
MAX_BYTES = 4096


class Verdict:
    """The state that this node is in, and why.

    state: `active` or `passive`. reason: words for a person. warning: None, or what is wrong with the state file, for
    syslog. changed: when the state file was last written, in seconds since the epoch, or None where it was not used.
    """

    __slots__ = ("changed", "reason", "state", "warning")

    def __init__(self, state: str, reason: str, warning: "str | None", changed: "float | None") -> None:
        self.state = state
        self.reason = reason
        self.warning = warning
        self.changed = changed


def current(config: Config) -> Verdict:
    """Tell which state this node is in, and why.

    config: the node's configuration. Returns the Verdict. Raises nothing: a state file that cannot be read or holds
    anything but a state's name gives `default_state`, with a warning that says what is wrong with it.
    """
    path = config.state_file
    try:
        # O_NONBLOCK: opening a FIFO of that name must not wait for a writer.
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return _default(config, f"{path}: there is no such file")
        return _default(config, f"{path}: cannot be opened: {error.strerror}")
    try:
        status = posix.fstat(fd)
        if status.st_mode & 0o170000 != 0o100000:
            return _default(config, f"{path}: not a regular file")
        if status.st_mode & 0o002:
            return _default(config, f"{path}: everyone may write it, so it cannot be trusted")
        data = posix.read(fd, MAX_BYTES + 1)
    except OSError as error:
        return _default(config, f"{path}: cannot be read: {error.strerror}")
    finally:
        posix.close(fd)
    word = data.strip().lower()
    if len(data) <= MAX_BYTES:
        if word == b"active":
            return Verdict(ACTIVE, f"{path} says so", None, status.st_mtime)
        if word == b"passive":
            return Verdict(PASSIVE, f"{path} says so", None, status.st_mtime)
    return _default(config, f"{path}: holds neither active nor passive")


def _default(config: Config, problem: str) -> Verdict:
    reason = f"default_state, because of {problem}"
    return Verdict(config.default_state, reason, f"{problem}: taken for {config.default_state} (default_state)", None)


def write(path: str, state: str) -> None:
    """Replace a state file, so that a reader sees the old state or the new one and nothing between.

    path: the state file. state: `active` or `passive`. The file's mode is 0644 whatever the umask (keepalived's is
    0177, and every user's jobs must be able to read the state). Raises OSError where it cannot be written; the file is
    then as it was.
    """
    temporary = f"{path}.{posix.getpid()}.{posix.urandom(4).hex()}"
    fd = posix.open(
        temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600
    )
    try:
        try:
            posix.fchmod(fd, 0o644)
            posix.write(fd, state.encode() + b"\n")
            # A state file on a disk must not come back empty after a power cut.
            posix.fsync(fd)
        finally:
            posix.close(fd)
        posix.rename(temporary, path)
    except OSError:
        posix.unlink(temporary)
        raise
