# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Reading files that decide which node runs a job, and replacing them.

Every `rcron` reads such files, so nothing is imported here that the interpreter has not loaded at its start.
"""

import posix

#: The mode of a folder for states, pins or the agent's files: every user may open what is in it by its name. Whoever
#: may read a folder may have the kernel announce its changes to him (rcron/watch.py), and each such request delays
#: whoever changes something there.
FOLDER_MODE = 0o711

#: How a file is opened for reading. O_NONBLOCK: opening a FIFO of that name must not wait for a writer.
_READ = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY


class UntrustedError(Exception):
    """A file that must not be used, although it can be read. The text says why, without the file's name.

    Attributes:
        fix (str): a shell command that makes the file usable, or an empty string if no command does.
    """

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


def read_trusted(path: str, limit: int, owners: "tuple[int, ...] | None" = None) -> "tuple[bytes, float]":
    """Read a small regular file that only its owner and its group can have written. Never waits.

    Nothing else than a regular file is opened: to open a device may arm it, and to open a FIFO may cost its owner what
    is written into it. In another user's folder no link is followed at all: it might lead to a file system that does
    not answer, and whoever looks for a name there waits for it.

    Args:
        path: the file's name.
        limit: how many bytes the file may hold.
        owners: the user IDs that the file may belong to; any unless given.

    Returns:
        What the file holds, and its time of modification in seconds since the epoch.

    Raises:
        OSError: the file cannot be opened or read.
        ValueError: the name holds a NUL byte.
        UntrustedError: it is not a regular file, everyone may write it, everyone could have put it into its folder, it
            belongs to somebody else, or it is larger than the limit.
    """
    folder = folder_of(path)
    above = posix.stat(folder)
    fd = -1
    look = posix.O_PATH | posix.O_CLOEXEC | posix.O_NOFOLLOW
    # In a folder of root's or of our own, only a link can lead to what others have made.
    if above.st_uid in (0, posix.geteuid()) and not above.st_mode & 0o002:
        look &= ~posix.O_NOFOLLOW
        try:
            fd = posix.open(path, _READ | posix.O_NOFOLLOW)
        except OSError:
            pass  # a link; any other error comes again
    # O_PATH opens nothing: what is there does not notice that it is looked at (open(2)).
    place = fd if fd >= 0 else posix.open(path, look)
    try:
        found = posix.fstat(place)
        if found.st_mode & 0o170000 != 0o100000:
            raise UntrustedError("not a regular file")
        if found.st_mode & 0o002:
            raise UntrustedError("everyone may write it, so it cannot be trusted", f"chmod o-w {path}")
        # In a sticky folder (/tmp) nobody can replace another's file, but a stranger may have put his own there.
        if above.st_mode & 0o002 and not (above.st_mode & 0o1000 and found.st_uid in (0, posix.geteuid())):
            raise UntrustedError("everyone may write its folder, so it cannot be trusted", f"chmod o-w {folder}")
        if owners is not None and found.st_uid not in owners:
            raise UntrustedError(f"belongs to the user with UID {found.st_uid}, so it cannot be trusted")
        data = posix.read(fd, limit + 1) if fd >= 0 else _read_at(place, path, limit + 1)
    finally:
        posix.close(place)
    if len(data) > limit:
        raise UntrustedError(f"larger than {limit} bytes")
    return data, found.st_mtime


def open_regular(path: str, follow: bool = True) -> int:
    """Open a regular file for reading, and nothing else. Never waits.

    For files that decide nothing, such as crontabs and logs, where a link may lead into a folder of another user's.

    Args:
        path: the file's name.
        follow: whether it may be a link.

    Returns:
        The descriptor.

    Raises:
        OSError: the file cannot be opened; EINVAL if it is not a regular one.
    """
    place = posix.open(path, posix.O_PATH | posix.O_CLOEXEC | (0 if follow else posix.O_NOFOLLOW))
    try:
        if posix.fstat(place).st_mode & 0o170000 != 0o100000:
            raise OSError(22, "Not a regular file", path)  # EINVAL
        return _open_at(place, path)
    finally:
        posix.close(place)


def _open_at(place: int, path: str) -> int:
    """Open the regular file that a descriptor stands for, which was opened with O_PATH."""
    try:
        return posix.open(f"/proc/self/fd/{place}", _READ)
    except FileNotFoundError:
        return posix.open(path, _READ)  # /proc is not mounted: then it is what has the name now


def _read_at(place: int, path: str, length: int) -> bytes:
    """Read the beginning of the regular file that a descriptor stands for, which was opened with O_PATH."""
    fd = _open_at(place, path)
    try:
        return posix.read(fd, length)
    finally:
        posix.close(fd)


def folder_of(path: str) -> str:
    """Return the folder that holds a file, with a slash at its end.

    Args:
        path: the file's name.
    """
    return path[: path.rfind("/") + 1] or "./"


def replace(path: str, text: str) -> None:
    """Replace a file by rename, so that a reader sees the old content or the new one and nothing between.

    The file's mode is 0644 whatever the umask: keepalived's is 0177, and every user's jobs must be able to read it.
    A file that root writes into another user's folder is given to that user, whose feeder has to refresh it. An empty
    folder in the file's place is replaced.

    Args:
        path: the file's name.
        text: its new content.

    Raises:
        OSError: the file cannot be written. It is then as it was, and nothing is left beside it.
    """
    temporary = f"{path}.{posix.getpid()}.{posix.urandom(4).hex()}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        fd = posix.open(temporary, flags, 0o600)
    except OSError as error:
        # "No space left on device" also means that no inode is left: that a temporary file had none helps nobody.
        error.filename = path
        raise
    try:
        try:
            posix.fchmod(fd, 0o644)
            if posix.geteuid() == 0:
                folder = posix.stat(folder_of(path))
                posix.fchown(fd, folder.st_uid, folder.st_gid)
            data = memoryview(text.encode())
            while data:
                # The file system may be full after a part of it, which is an error only the next time.
                data = data[posix.write(fd, data) :]
            # A file on a disk must not come back empty after a power cut.
            posix.fsync(fd)
        finally:
            posix.close(fd)
        try:
            posix.rename(temporary, path)
        except IsADirectoryError:
            # Somebody made a folder of that name. An empty one holds nothing to lose; another one needs a person.
            posix.rmdir(path)
            posix.rename(temporary, path)
    except OSError as error:
        posix.unlink(temporary)
        # write(2) knows no name, and the temporary file's name would not help anyone.
        error.filename = path
        raise
