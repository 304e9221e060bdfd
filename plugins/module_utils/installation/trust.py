# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who, besides root, could replace what root's jobs run or read."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator

from .places import Places

#: The tags of an ACL's entries: a named user, the file's group, a named group, and the mask.
_ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP, _ACL_MASK = 0x02, 0x04, 0x08, 0x10

#: As many links as the kernel follows in one path.
MOST_LINKS = 40


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


def exposure(path: str, aim: str = "what root runs", itself: bool = True) -> str | None:
    """Find out who could replace the file or folder at a path, apart from root and the user who runs this.

    If links are part of the path, the folders of all of them count, and those that the last one leads to. Folders that
    do not exist yet are not examined, because the installation creates them.

    Args:
        path: The path of a file or folder, which need not exist.
        aim: What could be replaced there, for the answer.
        itself: Whether it matters, too, who may write the file itself.

    Returns:
        Who could do it and how to prevent it, or None.
    """
    for way in _ways(path):
        below = ""
        for place in _with_parents(way if itself else os.path.dirname(way)):
            above, below = below, place
            try:
                status = os.stat(place)
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
                continue  # reported elsewhere, as something in the way
            if status.st_uid not in (0, os.geteuid()):
                return (
                    f"{place} belongs to {_user(status.st_uid)}, who could replace {aim}: "
                    f"chown root {place}, or name another place"
                )
            # In a sticky folder (/tmp) nobody can replace what is root's, but anybody can be there first.
            is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
            if is_sticky and above and _is_roots(above):
                continue
            for who, fix in _writers(place, status):
                what = "put something there before root does" if is_sticky else f"replace {aim}"
                fix = "" if is_sticky else f"{fix} {place}, or "
                return f"{who} may write {place}, and so {what}: {fix}name another place"
    return None


def _is_roots(path: str) -> bool:
    """Return whether something at a path, perhaps a link, belongs to root or to the user who runs this."""
    try:
        return os.lstat(path).st_uid in (0, os.geteuid())
    except OSError:
        return False


def _writers(path: str, status: os.stat_result) -> Iterator[tuple[str, str]]:
    """Yield who else may write a file or folder, by its mode or by an ACL, and the command that prevents it."""
    if status.st_mode & stat.S_IWOTH:
        yield "everyone", "chmod o-w"
    access = _acl(path, "access")
    # With an ACL, the mode's bits for the group are the mask: the most that any named user or group gets.
    if not access and status.st_mode & stat.S_IWGRP and not _is_trusted(status.st_gid):
        yield f"the group {_group(status.st_gid)}", "chmod g-w"
    # What is created in a folder gets that folder's default ACL.
    for tag, number in access + _acl(path, "default"):
        if tag == _ACL_USER and number not in (0, os.geteuid()):
            yield f"by an ACL, {_user(number)}", "setfacl -b"
        elif tag in (_ACL_GROUP_OBJ, _ACL_GROUP):
            gid = number if tag == _ACL_GROUP else status.st_gid
            if not _is_trusted(gid):
                yield f"by an ACL, the group {_group(gid)}", "setfacl -b"


def _acl(path: str, kind: str) -> list[tuple[int, int]]:
    """Return the entries of a POSIX ACL that grant writing, with the ACL's mask, except the owner's and everyone's.

    The format is <linux/posix_acl_xattr.h>'s: a version, then a tag, permissions and a number for each entry.

    Args:
        path: The file or folder.
        kind: `access` or `default`.

    Returns:
        The tag and the user or group ID of each; empty if there is no such ACL.
    """
    try:
        data = os.getxattr(path, f"system.posix_acl_{kind}")
    except OSError:
        return []  # none, or a file system without them
    entries = list(struct.iter_unpack("<HHI", data[4 : len(data) - (len(data) - 4) % 8]))
    mask = next((permissions for tag, permissions, _number in entries if tag == _ACL_MASK), 7)
    named = (_ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP)
    return [(tag, number) for tag, permissions, number in entries if tag in named and permissions & mask & 2]


def _ways(path: str) -> Iterator[str]:
    """Yield a path, and what it becomes as the links in it are followed, one after the other."""
    way = os.path.abspath(path)
    for _link in range(MOST_LINKS):
        yield way
        place, rest = "/", way.split("/")
        while rest:
            # No link is left in it, so `..` is the folder above.
            place = os.path.normpath(os.path.join(place, rest.pop(0)))
            try:
                target = os.readlink(place)
            except OSError:
                continue
            way = os.path.join(os.path.dirname(place), target, *rest)
            break
        else:
            return


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
