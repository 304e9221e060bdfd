# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What keeps a guard from working, and what an operator must know of a timer that is guarded on all nodes.

Each was tried with systemd 247, 252 and 257: docs/timers.md.
"""

from __future__ import annotations

import grp
import pwd

from ..installation.trust import exposure
from .units import Service, Timer

#: The first systemd that knows ExecCondition=.
OLDEST = 243

#: The last systemd on which Restart=always has been seen to repeat a skip for ever, and the first on which it has not.
RESTARTS_UNTIL, RESTARTS_NOT = 247, 252

#: The folders without which the guard finds neither itself nor the state.
NEEDED = frozenset(
    """/ /bin /etc /etc/rcron /lib /run /run/rcron /usr /usr/bin /usr/lib /usr/lib/rcron /var /var/lib /var/lib/rcron
    /var/run""".split()  # noqa: SIM905 - reads best word by word
)

#: Seconds within which a timer elapses unless AccuracySec= says otherwise.
USUAL_ACCURACY = 60.0


def refusals(service: Service, started_by_others: bool, takeover_wait: int | None) -> list[str]:
    """Say why a service cannot be guarded.

    Args:
        service: The service.
        started_by_others: Whether the task says that what else starts it is to be skipped, too.
        takeover_wait: Seconds that a passive node waits; None if the task does not say.

    Returns:
        A sentence for each reason, with the fix.
    """
    found = []
    if service.root:
        found.append(
            f"{service.name} has its root in {service.root}, which holds no rcronctl: set "
            "RootDirectoryStartOnly=yes in it (not with RootImage=), or write "
            "ExecStart=/usr/bin/rcron COMMAND in a service without it"
        )
    hidden = [folder for folder in service.mounts if (folder.rstrip("/") or "/") in NEEDED]
    if hidden:
        found.append(
            f"{service.name} finds other files in {', '.join(hidden)} than the host has (TemporaryFileSystem=, "
            "BindPaths=), and so would rcronctl: bind or hide less than that, or write "
            "ExecStart=/usr/bin/rcron COMMAND without it"
        )
    for kind, name, is_known in (("User", service.user, _is_user), ("Group", service.group, _is_group)):
        if name and not is_known(name):
            found.append(
                f"{service.name}: {kind}={name} does not exist, which systemd takes for a skip, on the active node, "
                "too: create it first"
            )
    for path, setting in service.loaded.items():
        why = exposure(path, "what root runs")
        if why:
            found.append(
                f"{service.name}: {setting} also holds for rcronctl, which systemd runs as root before and after the "
                f"service, and {why}; or set it in ExecStart= alone, with env(1)"
            )
    if service.starters and not started_by_others:
        found.append(
            f"{service.name} is also started by {', '.join(service.starters)}, which would be skipped on passive "
            "nodes, too: set started_by_others if that is meant, or give the job a service that only its timer starts"
        )
    if takeover_wait and takeover_wait >= service.start_limit:
        found.append(
            f"{service.name} would fail while it waits: takeover_wait is {takeover_wait} s, and its TimeoutStartSec= "
            f"{service.start_limit:g} s; set that to more than {takeover_wait}"
        )
    return found


def _is_user(name: str) -> bool:
    try:
        pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        return name.isdecimal()  # a number needs no name
    return True


def _is_group(name: str) -> bool:
    try:
        grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)
    except KeyError:
        return name.isdecimal()
    return True


def warnings(
    service: Service, timer: Timer | None, takeover_wait: int | None, systemd: int, claim_window: float = 0
) -> list[str]:
    """Say what an operator must know.

    Args:
        service: The service.
        timer: The timer that was named; None if a service was.
        takeover_wait: Seconds that a passive node waits; None if the task does not say.
        systemd: The version of the host's systemd.
        claim_window: For how many seconds a start is claimed; 0 if only a run is.

    Returns:
        A sentence for each thing, with what to do.
    """
    found = []
    if service.on_success:
        found.append(
            f"{service.name}: OnSuccess={' '.join(service.on_success)} is started on passive nodes, too, since a skip "
            "is a success to systemd; start it from ExecStartPost= instead, which a skip leaves out"
        )
    if service.restart == "always" and systemd < RESTARTS_NOT:
        found.append(
            f"{service.name}: with systemd {systemd}, Restart=always may start a skipped service again and again "
            f"(it does with {RESTARTS_UNTIL}); use Restart=on-failure"
        )
    if service.followers:
        found.append(
            f"{service.name} is required by {', '.join(service.followers)}, which start after a skip with systemd 252 "
            "and newer, and fail with 247; guard them as well, or write Wants= instead"
        )
    if timer is None:
        return found
    spread = max(timer.random_delay, timer.accuracy)
    if (timer.random_delay or timer.accuracy > USUAL_ACCURACY) and spread > claim_window:
        found.append(
            f"{timer.name} elapses at another moment on each node, within {spread:g} s (RandomizedDelaySec=, "
            "AccuracySec=): a failover in between runs the job twice or not at all; set RandomizedDelaySec=0 "
            f"and AccuracySec=1s in it, or have it claimed (claim) with a claim_window of more than {spread:g}"
        )
    if timer.once and not takeover_wait:
        found.append(
            f"{timer.name} elapses once after a boot, when no node may be active yet: the job may run nowhere; set "
            "takeover_wait to longer than the feeder's first decision takes"
        )
    if timer.is_persistent:
        found.append(
            f"{timer.name}: Persistent= catches nothing up that was skipped, since a skip counts as a run; a job that "
            "was due while no node was active waits for its next time, unless takeover_wait covers that"
        )
    return found
