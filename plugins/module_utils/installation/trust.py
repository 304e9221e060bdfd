# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who, besides root, could replace what root's jobs run or read."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from .places import Places


def exposures(places: Places) -> dict[str, str]:
    """Find the places where another user could replace what root's jobs run or read.

    Returns:
        For each option concerned, who could replace what, and how to prevent it.
    """
    library_files = [
        os.path.join(folder, name)
        for library in places.libraries()
        for folder, _folders, names in os.walk(library)
        for name in ["", *names]
    ]
    examined = {
        "lib_dir": [places.lib_dir, *library_files],
        "bin_dir": [places.bin_dir],
        "man_dir": [places.man_dir],
        "conf": [os.path.dirname(places.conf)],
        "tmpfiles_dir": [places.tmpfiles_dir],
        # The folder itself may belong to state_user; the folders above it may not.
        "state_file": [os.path.dirname(os.path.dirname(places.state_path))],
    }
    found = {option: next(filter(None, map(exposure, paths)), None) for option, paths in examined.items()}
    return {option: why for option, why in found.items() if why}


def exposure(path: str) -> str | None:
    """Find out who could replace the file or folder at a path, apart from root and the user who runs this.

    If links are part of the path, both their folders and those that they lead to count. Folders that do not exist yet
    are not examined, because the installation creates them.

    Returns:
        Who could do it and how to prevent it, or None.
    """
    for start in (path, os.path.realpath(path)):
        for place in _with_parents(start):
            try:
                status = os.stat(place)
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
                continue  # reported elsewhere, as something in the way
            if status.st_uid not in (0, os.geteuid()):
                return (
                    f"{place} belongs to {_user(status.st_uid)}, who could replace what root runs: "
                    f"chown root {place}, or name another place"
                )
            # In a sticky folder (/tmp) nobody can replace another user's file.
            loose = status.st_mode & 0o022 if not status.st_mode & stat.S_ISVTX else 0
            if loose & 0o020 and _is_trusted(status.st_gid):
                loose &= ~0o020
            if loose:
                who = "everyone" if loose & 0o002 else f"the group {_group(status.st_gid)}"
                fix = "chmod o-w" if loose & 0o002 else "chmod g-w"
                return f"{who} may write {place}, and so replace what root runs: {fix} {place}, or name another place"
    return None


def _with_parents(path: str) -> list[str]:
    """Return a path and every folder above it, the nearest first."""
    places = [path]
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        places.append(path)
    return places


def _is_trusted(gid: int) -> bool:
    """Return whether a group may write root's programs: root's, our own, or staff, Debian's for /usr/local."""
    return gid in (0, os.getegid()) or _group(gid) == "staff"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
