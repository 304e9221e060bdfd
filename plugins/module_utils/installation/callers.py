# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which crontab entries would fail, or never run again, without what a removal takes away."""

from __future__ import annotations

import os
import re

from ..crontab import CrontabError, Entry, configuration, parse, printable
from ..crontab_store import CrontabCommand, StoreError, all_crontabs
from .places import Places
from .steps import Step

#: The most entries that a message names.
MOST = 20


def callers(places: Places, steps: list[Step], released: bool) -> list[str]:
    """Find the entries of all crontabs of this host that call what is to be removed. Nothing is changed.

    Args:
        places: The cluster's.
        steps: Those of the removal.
        released: Leave out the entries whose prefix names the cluster's configuration: they are to lose it first.

    Returns:
        For each entry its crontab, its line, and its command.
    """
    gone = {step.path for step in steps}
    launcher = os.path.join(places.bin_dir, "rcron")
    conf = configuration(os.fsencode(places.conf))
    loses = [conf] if places.conf in gone else []
    calls = _call_of(launcher) if launcher in gone else None
    if not loses and calls is None:
        return []
    try:
        command = CrontabCommand()
    except StoreError:
        command = None  # there may be system crontabs all the same
    found = []
    for store in all_crontabs(command):
        try:
            entries = parse(store.read() or b"", system=store.system, anacron=store.anacron)
        except (StoreError, CrontabError):
            continue  # nor does the removal of the prefixes, which has said so
        for entry in entries:
            ours = entry.guard is not None and configuration(entry.guard.conf) == conf
            if (ours and loses and not released) or (calls and calls.search(_outside(entry, ours and released))):
                found.append(f"{store.name}, line {entry.line}: {printable(_whole(entry))[:200]}")
    return found


def _call_of(launcher: str) -> re.Pattern[bytes]:
    """Return what finds a call in a command: the program's path as a word, or its bare name with a word behind it."""
    begin = rb"(?:^|[\s;&|()`'\"=])"
    return re.compile(begin + rb"(?:%s(?![\w./-])|rcron\s+[\w./'\"$-])" % re.escape(os.fsencode(launcher)))


def _outside(entry: Entry, released: bool) -> bytes:
    """Return the part of an entry's command that a removal of its prefix leaves, if that is to come."""
    return entry.command if released else _whole(entry)


def _whole(entry: Entry) -> bytes:
    return entry.command if entry.guard is None else entry.guard.rcron_path + b" " + entry.command


def sentence(found: list[str]) -> str:
    """Return the message that names the entries."""
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return (
        f"{len(found)} crontab {'entry calls' if len(found) == 1 else 'entries call'} what is to be removed, and would "
        f"never run again: {'; '.join(found[:MOST])}{more}. Nothing was removed. Take the prefix off first (the "
        f"playbook remove does, or the role rcron_crontab with rcron_crontab_state: absent), or edit these entries."
    )
