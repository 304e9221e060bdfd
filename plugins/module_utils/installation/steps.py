# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The single changes that an installation or a removal consists of."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass

from . import processes
from .package import Package

#: How many seconds after its start a process has surely read everything that it needs of a version's folder.
LOADED = 5.0

#: The largest state file and the largest record, in bytes (rcron/state.py, rcron/feed.py).
MOST = 4096


@dataclass
class Step:
    """One change, and its lines in a diff.

    Attributes:
        path: The file, folder or link that changes.
        before: What a diff shows of it before the change.
        after: What a diff shows of it after the change.
    """

    path: str
    before: str
    after: str

    def do(self) -> bool:
        """Make the change.

        Returns:
            Whether anything was changed.

        Raises:
            OSError: The change is not possible.
        """
        raise NotImplementedError


@dataclass
class MakeLibrary(Step):
    """Create a version's folder, which nobody ever sees incomplete.

    Attributes:
        package: What is in it.
        library: The path that it has on the host: self.path, unless that is below a package's or an image's folder.
    """

    package: Package
    library: str

    def do(self) -> bool:
        """Fill and compile a folder under another name, then rename it."""
        files = {path: (text, 0o644) for path, text in self.package.files.items()}
        files.update({path: (text, 0o755) for path, text in self.package.launchers(self.library).items()})
        parent = os.path.dirname(self.path)
        os.makedirs(parent, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=".staging-", dir=parent)
        try:
            for path, (text, mode) in files.items():
                full = os.path.join(staging, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
                    os.fchmod(file.fileno(), mode)
                    file.flush()
                    os.fsync(file.fileno())
            self.package.compile(staging, self.library)
            os.chmod(staging, 0o755)  # noqa: S103 - every user's jobs read it
            os.rename(staging, self.path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return True


@dataclass
class CompileLibrary(Step):
    """Compile an existing version's folder for another Python.

    Attributes:
        package: What is in it.
        folder: The folder's path.
        library: The path that it has on the host, as in MakeLibrary.
    """

    package: Package
    folder: str
    library: str

    def do(self) -> bool:
        """Write the bytecode."""
        self.package.compile(self.folder, self.library)
        return True


@dataclass
class MakeFolder(Step):
    """Create a folder, or set its mode and owner.

    Attributes:
        mode: The permissions.
        owner: The user and group IDs; None keeps those that it has.
    """

    mode: int
    owner: tuple[int, int] | None

    def do(self) -> bool:
        """Create the folder with all that are missing above it."""
        os.makedirs(self.path, exist_ok=True)
        os.chmod(self.path, self.mode)
        if self.owner is not None:
            os.chown(self.path, *self.owner)
        return True


@dataclass
class WriteFile(Step):
    """Replace a file by rename, with mode 0644; of a link, the file that it leads to."""

    text: str

    def do(self) -> bool:
        """Write the text to a temporary file and rename it."""
        target = os.path.realpath(self.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".rcron-", dir=os.path.dirname(target))
        try:
            with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(self.text)
                os.fchmod(handle, 0o644)
                os.fchown(handle, *owner_of_all())
                file.flush()
                os.fsync(handle)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        return True


@dataclass
class WriteUnit(WriteFile):
    """Replace a service's unit, and have a service that runs start again with it.

    Attributes:
        manager: Whether this machine's systemd is to know: not if the unit is a package's or an image's.
    """

    manager: bool

    def do(self) -> bool:
        """Write the file, then tell systemd."""
        super().do()
        if self.manager:
            processes.systemctl("daemon-reload")
            processes.systemctl("try-restart", os.path.basename(self.path))
        return True


@dataclass
class MakeLink(Step):
    """Create or switch a link, which is never missing meanwhile."""

    target: str

    def do(self) -> bool:
        """Create the link under another name and rename it."""
        folder, name = os.path.split(self.path)
        draft = os.path.join(folder, f".{name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        os.symlink(self.target, draft)
        try:
            os.replace(draft, self.path)
        except BaseException:
            os.unlink(draft)
            raise
        return True


@dataclass
class Remove(Step):
    """Remove a file, a link, or a version's folder."""

    def do(self) -> bool:
        """Remove it; a folder disappears at once, not file by file.

        The folder above may be another user's (state_user's), who may swap what is in it at any moment. So everything
        happens within that very folder, by its descriptor, and no link is followed.
        """
        above, name = os.path.split(self.path)
        try:
            folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    trash = f".staging-{os.urandom(8).hex()}"
                    os.rename(name, trash, src_dir_fd=folder, dst_dir_fd=folder)
                    shutil.rmtree(f"/proc/self/fd/{folder}/{trash}")
                else:
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        return True


@dataclass
class GiveAway(Step):
    """Replace a small file of the state's folder by a copy that is another user's: whoever had it may have it open.

    Attributes:
        owner: The user and group IDs.
    """

    owner: tuple[int, int]

    def do(self) -> bool:
        """Copy it under another name, and rename that, within that very folder, as Remove does. Else remove it."""
        above, name = os.path.split(self.path)
        folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        draft = f".rcron-{os.urandom(8).hex()}"
        try:
            data, times = _content(name, folder)
            if data is None:
                os.unlink(name, dir_fd=folder)
                return True
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fchown(file.fileno(), *self.owner)
                os.utime(file.fileno(), ns=times)
                os.fsync(file.fileno())
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return True  # a feeder has replaced it, or somebody removed it, meanwhile
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        finally:
            os.close(folder)
        return True


def _content(name: str, folder: int) -> tuple[bytes | None, tuple[int, int]]:
    """Return what a small file in a folder holds, and its times; None for anything else, which is not opened.

    It must be one that everyone may read: it may be the second name of a file that only root may.

    Raises:
        OSError: It is not there.
    """
    nothing = None, (0, 0)
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(place)
        if not stat.S_ISREG(found.st_mode) or not found.st_mode & stat.S_IROTH or found.st_size > MOST:
            return nothing
        with open(f"/proc/self/fd/{place}", "rb") as file:
            return file.read(MOST), (found.st_atime_ns, found.st_mtime_ns)
    finally:
        os.close(place)


@dataclass
class RemoveUnit(Remove):
    """Stop a service, and remove its unit.

    Attributes:
        manager: As in WriteUnit.
    """

    manager: bool

    def do(self) -> bool:
        """Stop it now and at boot, remove the file, then tell systemd."""
        if self.manager:
            processes.systemctl("disable", "--quiet", "--now", os.path.basename(self.path))
        super().do()
        if self.manager:
            processes.systemctl("daemon-reload")
        return True


@dataclass
class RemoveUnused(Remove):
    """Remove a version's folder unless a process still runs from it."""

    def do(self) -> bool:
        """Remove the folder; no process can start from it any more, because the links lead elsewhere."""
        return not processes.users_of(self.path) and super().do()


@dataclass
class RemoveLauncher(Remove):
    """Remove a launcher, and let whatever it has just started read what it needs.

    Attributes:
        libraries: The versions' folders that processes may run from.
    """

    libraries: list[str]

    def do(self) -> bool:
        """Remove the link, then wait up to LOADED seconds for young processes."""
        super().do()
        deadline = time.monotonic() + LOADED
        while time.monotonic() < deadline and any(
            processes.age_of(pid) < LOADED for library in self.libraries for pid in processes.users_of(library)
        ):
            time.sleep(0.1)
        return True


@dataclass
class RemoveFolder(Step):
    """Remove a folder that is empty by then."""

    def do(self) -> bool:
        """Remove the folder unless somebody has put a file there meanwhile."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        return True


def owner_of_all() -> tuple[int, int]:
    """Return the owner of all files, as user and group IDs: root, who runs this."""
    return os.geteuid(), os.getegid()
