# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which state is this node in, and why; and how a state is written.

The state file holds exactly `active\\n` or `passive\\n`. `current` is the one function that answers for `rcron` and for
`rcronctl` alike, so that what the administrator is told is what the jobs do.
"""

import posix
import time

from rcron.config import ACTIVE, PASSIVE, Config, folder_of, is_exposed

#: What a state file may hold at most, in bytes, white space included.
MAX_BYTES = 4096

#: Where a Verdict comes from.
PIN = "pin"
FILE = "file"
STALE = "stale"
DEFAULT = "default"


class Verdict:
    """The state that this node is in, and why.

    state: `active` or `passive`. source: PIN, FILE, STALE (an `active` that nobody refreshed for state_max_age) or
    DEFAULT. reason: words for a person. field: what a log line tells of it beyond the state, ` pin=…` or nothing.
    warning: None, or what is wrong with the state file, for syslog. written: when the state file was last written or
    refreshed, in seconds since the epoch, or None where it was not used.
    """

    __slots__ = ("field", "reason", "source", "state", "warning", "written")

    def __init__(
        self, state: str, source: str, reason: str, warning: "str | None" = None, written: "float | None" = None
    ) -> None:
        self.state = state
        self.source = source
        self.reason = reason
        self.field = ""
        self.warning = warning
        self.written = written


def current(config: Config) -> Verdict:
    """Tell which state this node is in, and why: a pin first, then a fresh state file, then default_state.

    config: the node's configuration. Returns the Verdict. Raises nothing: a state file that cannot be read or holds
    anything but a state's name gives `default_state`, with a warning that says what is wrong with it.
    """
    try:
        posix.stat(pin_path(config))
    except (FileNotFoundError, NotADirectoryError):
        return from_file(config)
    except OSError:
        pass  # in a folder that this user may not search, perhaps: reading it tells, and that is logged
    from rcron import pin

    return pin.verdict(config) or from_file(config)


def pin_path(config: Config) -> str:
    """Where a pin of this cluster is kept: beside the state file, but under /var/lib where that is in /run, which a
    reboot empties."""
    path = config.state_file
    if path.startswith("/run/"):
        return f"/var/lib{path[4:]}.pin"
    if path.startswith("/var/run/"):
        return f"/var/lib{path[8:]}.pin"
    return path + ".pin"


def from_file(config: Config) -> Verdict:
    """What the feeder says, pinned or not. config: the node's configuration. Returns the Verdict."""
    path = config.state_file
    try:
        # O_NONBLOCK: opening a FIFO of that name must not wait for a writer.
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
    except FileNotFoundError:
        return _default(config, f"{path}: there is no such file")
    except OSError as error:
        return _default(config, f"{path}: cannot be opened: {error.strerror}")
    try:
        status = posix.fstat(fd)
        if status.st_mode & 0o170000 != 0o100000:
            return _default(config, f"{path}: not a regular file")
        if status.st_mode & 0o002:
            return _default(config, f"{path}: everyone may write it, so it cannot be trusted")
        if is_exposed(path, status.st_uid):
            return _default(config, f"{path}: everyone may write its folder, so it cannot be trusted")
        data = posix.read(fd, MAX_BYTES + 1)
    except OSError as error:
        return _default(config, f"{path}: cannot be read: {error.strerror}")
    finally:
        posix.close(fd)
    word = data.strip().lower()
    written = status.st_mtime
    if word == b"passive" and len(data) <= MAX_BYTES:
        return Verdict(PASSIVE, FILE, f"{path} says so", None, written)
    if word == b"active" and len(data) <= MAX_BYTES:
        limit = config.state_max_age
        # A time in the future is no proof of freshness: the clock was set back.
        if limit and abs(time.time() - written) > limit:
            age = int(time.time() - written)
            when = f"{age} s ago" if age >= 0 else f"{-age} s in the future"
            reason = f"{path} says active, but was last refreshed {when} (state_max_age {limit})"
            return Verdict(PASSIVE, STALE, reason, None, written)
        return Verdict(ACTIVE, FILE, f"{path} says so", None, written)
    return _default(config, f"{path}: holds neither active nor passive")


def _default(config: Config, problem: str) -> Verdict:
    reason = f"default_state, because of {problem}"
    warning = f"{problem}: taken for {config.default_state} (default_state)"
    return Verdict(config.default_state, DEFAULT, reason, warning)


def write(path: str, state: str) -> None:
    """Replace a state file, so that a reader sees the old state or the new one and nothing between.

    path: the state file. state: `active` or `passive`. Raises OSError where it cannot be written; the file is then as
    it was.
    """
    replace(path, state + "\n")


def replace(path: str, text: str) -> None:
    """Replace a file by rename. path: the file. text: its new content.

    The file's mode is 0644 whatever the umask: keepalived's is 0177, and every user's jobs must be able to read it.
    What root writes into another user's folder is that user's: his feeder has to refresh it. An empty folder in the
    file's place is replaced. Raises OSError where it cannot be written; the file is then as it was, and nothing is left
    beside it.
    """
    temporary = f"{path}.{posix.getpid()}.{posix.urandom(4).hex()}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    fd = posix.open(temporary, flags, 0o600)
    try:
        try:
            posix.fchmod(fd, 0o644)
            if posix.geteuid() == 0:
                folder = posix.stat(folder_of(path))
                posix.fchown(fd, folder.st_uid, folder.st_gid)
            posix.write(fd, text.encode())
            # A file on a disk must not come back empty after a power cut.
            posix.fsync(fd)
        finally:
            posix.close(fd)
        try:
            posix.rename(temporary, path)
        except IsADirectoryError:
            # Somebody made a folder of that name. An empty one is nobody's loss; another is for a person to look at.
            posix.rmdir(path)
            posix.rename(temporary, path)
    except OSError as error:
        posix.unlink(temporary)
        # write(2) knows no name, and the temporary file's would tell nobody anything.
        error.filename = path
        raise
