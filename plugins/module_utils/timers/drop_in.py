# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The drop-in that guards a service: its text, its place, and finding it again."""

from __future__ import annotations

import glob
import os
import re

from ..node import files

#: Where an administrator's units are; those of all users' service managers.
FOLDERS = {"system": "/etc/systemd/system", "user": "/etc/systemd/user"}

NAME = "50-rcron.conf"

#: The first line.
MARK = "# Written by Ansible, rcron.cluster.rcron_timers: changes made here are lost at its next run."

#: The configuration that rcronctl reads by itself.
DEFAULT_CONF = "/etc/rcron/rcron.conf"

#: What a shell and systemd leave as it is, apart from a blank.
PLAIN = re.compile(r"/[A-Za-z0-9_./+,@:-]*")

#: systemd skips a service for 1 to 254, which is also the status of a program that is missing (203) and of a Python
#: that is broken (1). So the shell knows a passive node by a status that nothing else ends with.
PASSIVE_STATUS = 75


def text(
    scope: str,
    rcronctl: str,
    conf: str,
    takeover_wait: int | None,
    claim: str | None = None,
    claim_window: int | None = None,
    term_file: str = "",
) -> str:
    """Return the drop-in's text.

    Args:
        scope: A key of FOLDERS.
        rcronctl: The path of rcronctl.
        conf: The path of rcron.conf.
        takeover_wait: Seconds that a passive node waits for its promotion; None for what `conf` says.
        claim: `off`, `required` or `preferred`; None for what `conf` says.
        claim_window: For how many seconds the service is claimed; None: only a run is.
        term_file: The file that holds the term of the lease by which the node is active; "" if it is active otherwise.
    """
    cluster = "" if conf == DEFAULT_CONF else f" --conf {conf}"
    user = " --user" if scope == "user" else ""
    wait = "" if takeover_wait is None else f" --takeover-wait {takeover_wait}"
    claims = "" if claim is None else f" --claim {claim}"
    window = "" if claim_window is None else f" --claim-window {claim_window}"
    # As root, and outside of the service's sandbox. A user's service manager has neither.
    full = "" if scope == "user" else "+"
    # Read after ExecCondition= has ended, so it is the term of this start.
    term = f"EnvironmentFile=-{term_file.replace('%', '%%')}\n" if term_file else ""
    return (
        f"{MARK}\n"
        "[Service]\n"
        f"ExecCondition={full}/bin/sh -c '{rcronctl}{cluster} guard{user}{wait}{claims}{window} "
        f"--passive-status {PASSIVE_STATUS} "
        f'"$$0"; case $$? in 0) ;; {PASSIVE_STATUS}) exit 1 ;; *) exit 255 ;; esac\' %n\n'
        f"ExecStopPost=-{full}{rcronctl}{cluster} guard{user}{claims} --ended %n\n"
        f"{term}"
    )


def path(scope: str, service: str) -> str:
    """Return where the drop-in of a service is.

    Args:
        scope: A key of FOLDERS.
        service: The service; of a template, the name without an instance.
    """
    return f"{FOLDERS[scope]}/{service}.d/{NAME}"


def read(place: str) -> str | None:
    """Read a drop-in.

    Args:
        place: Its path.

    Returns:
        Its text; None if there is none.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    try:
        return files.read_text(place)
    except FileNotFoundError:
        return None


def conf_of(written: str) -> str | None:
    """Return the configuration that a drop-in of ours names; None if it is not ours.

    Args:
        written: The drop-in's text.
    """
    if MARK not in written.splitlines()[: files.MARK_LINES]:
        return None
    match = re.search(r"^ExecCondition=.*? --conf (\S+) guard ", written, re.MULTILINE)
    return match[1] if match else DEFAULT_CONF


def all_of(scope: str) -> list[str]:
    """Return the paths of all drop-ins of that name, whoever wrote them.

    Args:
        scope: A key of FOLDERS.
    """
    return sorted(glob.glob(f"{glob.escape(FOLDERS[scope])}/*.service.d/{NAME}"))


def existing(conf: str) -> dict[str, tuple[str, str]]:
    """Find all drop-ins of one cluster.

    Args:
        conf: The path of the cluster's rcron.conf.

    Returns:
        Their paths, each with its scope and service.
    """
    found = {}
    for scope in FOLDERS:
        for place in all_of(scope):
            try:
                written = read(place)
            except OSError:
                continue  # not ours: ours are regular files
            if written is not None and conf_of(written) == conf:
                found[place] = (scope, os.path.basename(os.path.dirname(place))[: -len(".d")])
    return found
