# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""All reasons not to install the wrapper on a host, found before anything is changed there."""

from __future__ import annotations

import os
import pwd

from . import installer
from .errors import Refusal
from .package import Wanted
from .places import SHARED, Places
from .trust import exposures


def examine(places: Places, wanted: Wanted) -> tuple[str, list[Refusal]]:
    """Find all reasons not to install the wrapper as requested. Writes nothing outside a temporary folder.

    Returns:
        The interpreter's tag in the names of bytecode files, and the reasons.

    Raises:
        InstallError: The package is incomplete or broken.
    """
    cache_tag, refusals = wanted.package.try_out(wanted.conf_content, places.conf)
    paths = {option: places.on_host(path) for option, path in places.options().items()}
    relative = [
        Refusal(option, f"is {path}, which is not an absolute path: begin it with /")
        for option, path in paths.items()
        if not path.startswith("/")
    ]
    if relative:
        return cache_tag, refusals + relative  # where the others would be, nobody can say
    return cache_tag, [
        *refusals,
        *installer.refusals(places, wanted.installer, wanted.takes_over),
        *_state_refusals(places, wanted.state_user),
        *_foreign_files(places),
        *(_foreign_unit(places) if wanted.agent_unit and not wanted.takes_over else []),
        # Who may write a package's or an image's folder here says nothing about the host.
        *(_outside(places) if places.destdir else _exposed(places)),
    ]


def _state_refusals(places: Places, state_user: str) -> list[Refusal]:
    found = []
    state_file = places.on_host(places.state_file)
    if os.path.dirname(places.on_host(places.state_path)) in SHARED:
        message = (
            f"is {state_file}, in a folder that is not rcron's own: put it into a folder of its own, such as "
            f"/var/run/rcron/state"
        )
        found.append(Refusal("state_file", message))
    try:
        uid = pwd.getpwnam(state_user).pw_uid
        if uid not in (0, os.geteuid()) and os.path.dirname(places.pin_path) == os.path.dirname(places.state_path):
            message = (
                f"is {state_file}, in a folder that will belong to {state_user}, who could remove or replace "
                f"the pin there: put it below /run, such as /var/run/rcron/state, and the pin is kept in /var/lib"
            )
            found.append(Refusal("state_file", message))
    except KeyError:
        message = (
            f"is {state_user}, and there is no such user: create it first (perhaps its package is not installed yet), "
            f"or correct the name"
        )
        found.append(Refusal("state_user", message))
    return found


def _foreign_files(places: Places) -> list[Refusal]:
    found = []
    for option in ("bin_dir", "man_dir"):
        folder = getattr(places, option)
        paths = [path for path in places.foreign() if path.startswith(folder.rstrip("/") + "/")]
        if paths:
            message = (
                f"is {folder}, but {' and '.join(paths)} is there already, and not from this module (perhaps from the "
                f"C rcron): remove it (dpkg -S or rpm -qf names its package), or name another folder"
            )
            found.append(Refusal(option, message))
    return found


def _foreign_unit(places: Places) -> list[Refusal]:
    path = places.agent_unit
    if not os.path.lexists(path) or installer.has_unit(places):
        return []
    message = f"is {path}, which is there already, and not from this script: remove it, or give --take-over"
    return [Refusal("agent_unit", message)]


def _outside(places: Places) -> list[Refusal]:
    """Refuse a link, in a package's or an image's folder, that leads to this machine's own files."""
    top = os.path.realpath(places.destdir)
    found = []
    for option, path in [*places.options().items(), ("agent_unit", places.agent_unit)]:
        target = os.path.realpath(path)
        if option != "state_file" and not target.startswith(f"{top}/"):
            message = (
                f"is {path}, which a link turns into {target}, outside {places.destdir}: make the link a relative one"
            )
            found.append(Refusal(option, message))
    return found


def _exposed(places: Places) -> list[Refusal]:
    return [Refusal(option, f"is {getattr(places, option)}, but {why}") for option, why in exposures(places).items()]
