# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An ordinary user of a node who means harm."""

import shlex
import subprocess
from typing import NamedTuple

from nodes import Node

#: The places that attempts aim at: saved before an attempt, and restored after it.
PLACES = (
    "/run/rcron /etc/rcron /etc/tmpfiles.d /etc/keepalived /etc/systemd/system/keepalived.service.d /usr/lib/rcron"
    " /var/lib/rcron /usr/bin/rcron /usr/bin/rcronctl"
)

#: The variables that the scripts of an attempt have: the version's folder, and keepalived's FIFO.
KNOWN = 'export LIB="$(readlink -f /usr/bin/rcron | xargs dirname | xargs dirname)" FIFO=/run/rcron-keepalived.fifo'


class Attempt(NamedTuple):
    """One attempt: what the user runs, what root runs to see whether it had its effect (exit status 0), and what root
    runs to take the protection away, so that it must have that effect."""

    attack: str
    done: str
    weaken: str


def as_user(node: Node, script: str, user: str = "alice") -> "subprocess.CompletedProcess[str]":
    """Run a script as a user, in their home, for ten seconds at most."""
    return node.try_run(f"{KNOWN}; {_as_user(script, user)}")


def _as_user(script: str, user: str) -> str:
    return f"(cd ~{user}; timeout 10 su -s /bin/sh {user} -c {shlex.quote(script)} </dev/null 2>&1)"


def outcome(node: Node, attempt: Attempt, user: str = "alice") -> "tuple[bool, str]":
    """Make an attempt on the node as it is. Returns whether it had its effect, and what the attempt printed."""
    said = node.run(f"{KNOWN}; {_attempt(attempt, user)}; rm -f ~{user}/mine")
    return said.endswith("DONE\n"), said


def outcome_without_protection(node: Node, attempt: Attempt) -> "tuple[bool, str]":
    """Make an attempt with the protection taken away; everything is restored afterwards.

    The agent is away meanwhile, unless the attempt needs it: it would undo the effect before anybody looked.
    """
    said = node.run(
        f"""
        {KNOWN}; cd /
        systemctl stop rcron-agent
        tar -cf /root/before.tar $(ls -d {PLACES} 2>/dev/null) 2>/dev/null
        {attempt.weaken}
        {_attempt(attempt, "alice")}
        chmod 755 /run /usr/bin /var/lib; chmod 600 $FIFO; rm -rf {PLACES} /run/rcron_crontab.lock ~alice/mine
        tar -C / -xpf /root/before.tar; rm /root/before.tar
        systemctl restart rcron-agent
        """
    )
    return said.endswith("DONE\n"), said


def _attempt(attempt: Attempt, user: str) -> str:
    return f"{_as_user(attempt.attack, user)}; if (HOME=$(echo ~{user}); {attempt.done}); then echo DONE; fi"
