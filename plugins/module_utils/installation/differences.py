# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which step, if any, makes a library, folder, file or link what it should be. Nothing is written here."""

from __future__ import annotations

import os
import stat

from .errors import InstallError
from .package import Package, compiled_mark
from .places import Places
from .steps import CompileLibrary, MakeFolder, MakeLibrary, MakeLink, Step, WriteFile, WriteUnit, owner_of_all


def library_step(package: Package, path: str, on_host: str, cache_tag: str) -> Step | None:
    """Return the step that a version's folder needs. An existing one is complete, because it came by rename.

    Args:
        package: What the folder should hold.
        path: The folder.
        on_host: What the host itself calls it.
        cache_tag: The interpreter's tag in the names of bytecode files.
    """
    if not os.path.isdir(path):
        return MakeLibrary(path, "", f"{path}/\n", package, on_host)
    mark = compiled_mark(path, cache_tag)
    return None if os.path.exists(mark) else CompileLibrary(mark, "", f"{mark}\n", package, path, on_host)


def folder_step(path: str, mode: int | None = None, owner: tuple[int, int] | None = None) -> Step | None:
    """Return the step that a folder needs.

    Args:
        path: The folder.
        mode: Its permissions. None: everybody may read it, and an existing folder keeps its other permissions.
        owner: Its user and group IDs. None: an existing folder keeps its own.

    Raises:
        InstallError: Something else is there.
    """
    try:
        is_now = os.stat(path)
    except FileNotFoundError:
        mode = mode or 0o755
        return MakeFolder(path, "", _folder_line(path, mode, owner or owner_of_all()), mode, owner)
    if not stat.S_ISDIR(is_now.st_mode):
        raise InstallError(f"{path} is not a folder: remove it, or name another place")
    now_mode = stat.S_IMODE(is_now.st_mode)
    now_owner = (is_now.st_uid, is_now.st_gid)
    mode = now_mode | 0o555 if mode is None else mode
    if now_mode == mode and owner in (None, now_owner):
        return None
    before = _folder_line(path, now_mode, now_owner)
    return MakeFolder(path, before, _folder_line(path, mode, owner or now_owner), mode, owner)


def _folder_line(path: str, mode: int, owner: tuple[int, int]) -> str:
    return f"{path}/ {mode:04o} {owner[0]}:{owner[1]}\n"


def file_step(path: str, text: str) -> Step | None:
    """Return the step that a file needs to hold a text, belong to root and be readable for everybody.

    Raises:
        InstallError: Something else is there.
    """
    if not os.path.exists(path):
        return WriteFile(path, "", text, text)
    is_now = os.stat(path)
    if not stat.S_ISREG(is_now.st_mode):
        raise InstallError(f"{path} is not a file: remove it, or name another place")
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        before = file.read()
    if before == text and stat.S_IMODE(is_now.st_mode) == 0o644 and (is_now.st_uid, is_now.st_gid) == owner_of_all():
        return None
    return WriteFile(path, before, text, text)


def unit_step(places: Places, text: str) -> Step | None:
    """Return the step that the unit of rcron-agent needs to hold a text.

    Raises:
        InstallError: Something else is there.
    """
    step = file_step(places.agent_unit, text)
    return step and WriteUnit(step.path, step.before, step.after, text, not places.destdir)


def link_step(path: str, target: str) -> Step | None:
    """Return the step that a link needs to lead to a target."""
    before = link_line(path) if os.path.islink(path) else ""
    after = f"{path} -> {target}\n"
    return None if before == after else MakeLink(path, before, after, target)


def link_line(path: str) -> str:
    """Return what a diff shows of a link."""
    return f"{path} -> {os.readlink(path)}\n"
