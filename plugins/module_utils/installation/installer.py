# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who has installed the wrapper on a host: the first line of the file for systemd-tmpfiles says so.

Two installers of one wrapper would undo each other's work: the role overwrites an rcron.conf that was written by hand,
and a script removes what the next run of the playbook installs again.
"""

from __future__ import annotations

import os
import re

from .errors import Refusal
from .places import Places, entries

#: The two installers.
ROLE = "Ansible, role rcron.cluster.rcron"
SCRIPT = "packaging/install.py"

#: The first line of the script's file for systemd, by which the script and the roles know it.
UNIT_MARK = f"# Written by {SCRIPT}: changes made here are lost at its next run."

_LINE = re.compile(r"# Written by (?P<installer>[^\n]+), for (?P<conf>/[^\n]*)\.\n")


def line(installer: str, places: Places) -> str:
    """Return the line that names the installer.

    Args:
        installer: ROLE, or SCRIPT with the options that it was given.
        places: The cluster's.
    """
    return f"# Written by {installer}, for {places.on_host(places.conf)}."


def recorded(places: Places) -> dict[str, str]:
    """Find out who has installed the wrapper for each cluster of a host.

    Returns:
        The installer, as it was given to `line`, by the path of the cluster's configuration.
    """
    found = {}
    for path in entries(places.tmpfiles_dir):
        if re.fullmatch(r"rcron(-[^/]*)?\.conf", os.path.basename(path)):
            try:
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    match = _LINE.match(file.readline(4096))
            except OSError:
                continue  # a folder, or a link to nowhere: reported elsewhere, as something in the way
            if match:
                found[match["conf"]] = match["installer"]
    return found


def has_unit(places: Places) -> bool:
    """Return whether the unit of rcron-agent is the script's. Ansible's roles write one of their own."""
    try:
        with open(places.agent_unit, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline(4096).rstrip("\n") == UNIT_MARK
    except OSError:
        return False


def refusals(places: Places, installer: str) -> list[Refusal]:
    """Refuse to let the script change what Ansible's role keeps as it is. The role may take over from the script."""
    if installer == ROLE or ROLE not in recorded(places).values():
        return []
    message = (
        "the role rcron.cluster.rcron has installed rcron on this host, and its next run would undo this one: use the "
        "playbooks rcron.cluster.site and rcron.cluster.remove; or, if Ansible is not to look after this host any "
        "more, give --take-over"
    )
    return [Refusal("", message)]
