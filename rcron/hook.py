# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a feeder's hook shares with all others: an event in, the state written, and the hook ends.

A feeder's own module in rcron/feeders/ knows its daemon's words and what each of them means; it calls `apply`.
"""

import os

from rcron import feed, log, process, refresher
from rcron.settings import ACTIVE, Config

EX_USAGE = 64  # sysexits(3): wrong command line, or no event of the feeder's
EX_CANTCREAT = 73  # sysexits(3): the state cannot be written
EX_CONFIG = 78  # sysexits(3): unusable configuration


class EventError(ValueError):
    """What a feeder said is no event of its own. Its text is for a person, and nothing has been changed."""


def apply(config: Config, new: str, feeder: str, event: str, daemon: int = 0) -> None:
    """Make a cluster's state on this node what a hook was told.

    config: the cluster's configuration. new: `active` or `passive`. feeder, event: who says so and why, for the log and
    for `rcronctl status`. daemon: the process whose life `active` hangs on, or 0 where there is none: a process is left
    behind that refreshes the state while it lives, and writes `passive` at its end.

    Hooks run beside each other, and may end in another order than they were started: what a hook says that was started
    before the one that spoke last is logged and changes nothing. Raises OSError where the state cannot be written.
    """
    # Before the state: a daemon that dies meanwhile is to be missed.
    started = process.start(daemon) if daemon else ""
    moment = feed.Moment(int(process.start(os.getpid()) or 0), os.getpid())
    if not feed.apply(config, new, feeder, event, moment=moment) or new != ACTIVE or not daemon:
        return
    try:
        refresher.leave(config, feeder, moment, daemon, started)
    except OSError as error:
        log.warning(config, f"nothing refreshes the state: no process can be started: {error.strerror}")
