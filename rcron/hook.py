# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all feeders' hooks share: they take one event, write the state that it means, and end.

A feeder's own module in rcron/feeders/ knows its daemon's words and what each of them means; it calls `apply`.
"""

import os

from rcron import feed, log, process, refresher
from rcron.settings import ACTIVE, Config

EX_USAGE = 64  # sysexits(3): wrong command line, or an event that is not the feeder's
EX_CANTCREAT = 73  # sysexits(3): the state cannot be written
EX_CONFIG = 78  # sysexits(3): unusable configuration


class EventError(ValueError):
    """An event that is not one of the feeder's. The text is for a person, and nothing has been changed."""


def apply(config: Config, new: str, feeder: str, event: str, daemon: int = 0) -> None:
    """Make a cluster's state on this node what a hook's event means.

    Hooks run beside each other, and may end in another order than they were started. An event of a hook that was
    started before the one that last gave a state is logged, and changes nothing.

    Args:
        config: the cluster's.
        new: `active` or `passive`.
        feeder: the feeder's name, for the log and for `rcronctl status`.
        event: the event in the feeder's own words, likewise.
        daemon: the process on whose life `active` depends, or 0 if there is none. A process is left behind that
            refreshes the state while the daemon lives, and writes `passive` when it ends.

    Raises:
        OSError: the state cannot be written.
    """
    # Before the state is written, so that the end of a daemon that dies meanwhile is noticed.
    started = process.started_at(daemon) if daemon else ""
    moment = feed.Moment(int(process.started_at(os.getpid()) or 0), os.getpid())
    if not feed.accept_event(config, new, feeder, event, moment=moment) or new != ACTIVE or not daemon:
        return
    try:
        refresher.spawn(config, feeder, moment, daemon, started)
    except OSError as error:
        log.warning(config, f"nothing refreshes the state: no process can be started: {error.strerror}")
