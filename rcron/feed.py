# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What every feeder shares: an event's state goes into the state files that it belongs to, one event at a time.

A feeder's own module in rcron/feeders/ only knows its daemon's events and which state each of them means.
"""

import fcntl
import os
import posix

from rcron import config as configuration
from rcron import log, state


def apply(config: configuration.Config, new: str, event: str) -> None:
    """Make a cluster's state on this node what an event means.

    config: the cluster's configuration. new: `active` or `passive`. event: the feeder and its event, for the log.
    Writes the state file unless it holds that state already, and logs both. Raises OSError where it cannot be written.
    """
    with Lock(config.state_file):
        verdict = state.current(config)
        unchanged = verdict.changed is not None and verdict.state == new
        if not unchanged:
            state.write(config.state_file, new)
    log.notice(config, f"state={new} status={'confirmed' if unchanged else 'changed'} event={event}")


class Lock:
    """Holds other writers of a state file off: the look at the old state and the write of the new one are one step.

    The lock is on the state file's folder, since the file itself is replaced. Raises OSError where the folder is
    missing or not to be opened.
    """

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = posix.open(self._folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)
