# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who has installed the wrapper on a host: the first line of the file for systemd-tmpfiles says so.

Two installers of one wrapper would undo each other's work: the role overwrites an rcron.conf that was written by hand,
a script removes what the next run of the playbook installs again, and a package's removal takes away the programs only.
"""

from __future__ import annotations

import os
import re
import shlex

from .errors import Refusal
from .places import Places, entries

#: The installers: the role, the script, and the script as the maintainer scripts of a package run it.
ROLE = "Ansible, role rcron.cluster.rcron"
SCRIPT = "packaging/install.py"
PACKAGE = "the package rcron"

#: The first line of the script's file for systemd, by which the script and the roles know it.
UNIT_MARK = f"# Written by {SCRIPT}: changes made here are lost at its next run."

#: The options that an installation without the role keeps from run to run, and their defaults.
KEPT = {"prefix": "/usr", "python": "/usr/bin/python3", "state_user": "root"}

_LINE = re.compile(r"# Written by (?P<installer>[^\n]+), for (?P<conf>/[^\n]*)\.\n")


def line(installer: str, places: Places) -> str:
    """Return the line that names the installer.

    Args:
        installer: ROLE, or SCRIPT or PACKAGE with the options that were given.
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


def as_words(kept: dict[str, str]) -> str:
    """Return those of the kept options that are not the defaults, as they follow the installer's name in its line."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in kept.items() if value != KEPT[name]]
    return "".join(f" {shlex.quote(word)}" for word in words)


def has_unit(places: Places) -> bool:
    """Return whether the unit of rcron-agent is the script's. Ansible's roles write one of their own."""
    try:
        with open(places.agent_unit, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline(4096).rstrip("\n") == UNIT_MARK
    except OSError:
        return False


def given(said: str) -> str | None:
    """Return the options in an installer's line; None if it is the role's, which has none."""
    return next((said[len(name) :] for name in (SCRIPT, PACKAGE) if f"{said} ".startswith(f"{name} ")), None)


#: Whose work an installer leaves alone, why, and how to go on. The role may take over from the script.
_REFUSED = {
    (SCRIPT, ROLE): (
        "the role rcron.cluster.rcron has installed rcron on this host, and its next run would undo this one: use the "
        "playbooks rcron.cluster.site and rcron.cluster.remove; or, if Ansible is not to look after this host any "
        "more, give --take-over"
    ),
    (PACKAGE, ROLE): (
        "the role rcron.cluster.rcron has installed rcron on this host, and its next run would undo this one: go on "
        "with rcron_install_method: files, or run the playbook rcron.cluster.remove with it before you "
        "install the package"
    ),
    (PACKAGE, SCRIPT): (
        "packaging/install.py of an archive has installed rcron on this host: upgrade it in the same way, or run "
        "install.py absent before you install the package"
    ),
    (ROLE, PACKAGE): (
        "the package rcron has installed rcron on this host, and its next upgrade would undo this: set "
        "rcron_install_method: package, or purge the package first (apt-get purge rcron)"
    ),
    (SCRIPT, PACKAGE): (
        "the package rcron has installed rcron on this host, and its next upgrade would undo this: upgrade or purge "
        "the package (apt-get purge rcron)"
    ),
}


def refusals(places: Places, installer: str, takes_over: bool = False) -> list[Refusal]:
    """Refuse to change what another installer keeps as it is.

    Args:
        places: The cluster's.
        installer: Who wants to change it, as it is given to `line`.
        takes_over: Whether to take over all the same. Nobody takes over from a package, which would still be installed.
    """
    there = recorded(places).values()
    return [
        Refusal("", message)
        for (me, other), message in _REFUSED.items()
        if installer.startswith(me)
        and any(said.startswith(other) for said in there)
        and not (takes_over and other != PACKAGE)
    ]
