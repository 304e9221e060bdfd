# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Wait for signals and for a change of this node's state at once, at almost no cost.

The kernel announces a change in a folder by SIGIO (dnotify: fcntl(2), F_NOTIFY), the only such notice that is available
to Python without extensions. Whoever changes something there has to send all these signals, and 32,000 requests made
the writing of a state a thousand times slower. So ordinary users may not read the folders (files.FOLDER_MODE): only
the jobs of root and of the feeder's user are notified, if the file system and the kernel can announce changes.

All others look at the state once a second. If changes are announced, an occasional look covers the changes that are
not, such as a mount: a look each second by thousands of waiting jobs took a sixth of a processor.
"""

import _signal
import fcntl
import posix
import time

from rcron import pin
from rcron.child import next_signal
from rcron.files import folder_of
from rcron.settings import ACTIVE, Config
from rcron.state import FILE, Verdict

#: Loaded now, because state.current needs it once a node is pinned, and rcron may have been removed by then.
NEEDED_LATER = (pin,)

#: How often a waiting process looks at the state if changes are not announced, in seconds.
INTERVAL = 1.0

#: How often it does so if they are announced.
SELDOM = 10.0


_CREATED = fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
_CHANGED = _CREATED | fcntl.DN_DELETE | fcntl.DN_MODIFY


def is_removal(config: Config) -> bool:
    """Return whether a state is gone because rcron itself is being removed, the configuration first: no demotion.

    Args:
        config: the cluster's.
    """
    try:
        posix.stat(config.path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


class Watch:
    """Waits for a change of one cluster's state. SIGIO is blocked from then on.

    Attributes:
        mask (set[int]): the signal mask before that.
    """

    __slots__ = ("_absent", "_folders", "_is_announced", "_max_age", "mask")

    def __init__(self, config: Config) -> None:
        self.mask: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGIO,))
        self._folders: list[int] = []
        self._max_age: int = config.state_max_age
        self._absent: list[str] = []
        states, pins = folder_of(config.state_file), folder_of(config.pin_file)
        # The target of a link is in another folder.
        self._is_announced = self._request_signals(states, _CHANGED) and not _is_link(config.state_file)
        if pins != states and not self._request_signals(pins, _CHANGED):
            # rcronctl creates it with the first pin.
            self._absent.append(pins)
            self._is_announced = self._request_signals(folder_of(pins[:-1]), _CREATED) and self._is_announced
        vetoes = folder_of(config.agent_file("passive"))
        if not _exists(vetoes):
            # A node without rcron-agent.
            self._absent.append(vetoes)
        elif not self._request_signals(vetoes, _CREATED):
            self._is_announced = False

    def _request_signals(self, path: str, events: int) -> bool:
        """Request SIGIO for what happens in a folder. Returns whether it will come."""
        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        except OSError:
            return False
        self._folders.append(fd)
        try:
            fcntl.fcntl(fd, fcntl.F_NOTIFY, events)
        except OSError:
            return False
        return True

    def wait_for_change(
        self, signals: "tuple[int, ...]", seconds: float, verdict: Verdict
    ) -> "_signal.struct_siginfo | None":
        """Wait for a change of the state, for one of the signals, or for a time.

        Args:
            signals: signals to wait for, which the caller has blocked.
            seconds: the longest wait.
            verdict: the state as it is.

        Returns:
            siginfo of one of the signals, or None for anything else: then look at the state.
        """
        longest = max(0.0, min(seconds, self._interval(verdict)))
        info = next_signal((*signals, _signal.SIGIO), longest)
        return None if info is None or info.si_signo == _signal.SIGIO else info

    def _interval(self, verdict: Verdict) -> float:
        """Return how long a change of the state may go unseen, in seconds."""
        # The end of a pin, the refresh of a stale state and a chmod are not announced.
        if not self._is_announced or verdict.source != FILE or verdict.written is None:
            return INTERVAL
        # A new folder, perhaps in the place of one that was removed: what happens in it is not announced.
        if not all(posix.fstat(fd).st_nlink for fd in self._folders) or any(map(_exists, self._absent)):
            return INTERVAL
        if verdict.state == ACTIVE and self._max_age:
            # It may have been refreshed by then. If not, it is stale.
            return max(0.05, min(SELDOM, verdict.written + self._max_age - time.time() + 0.05))
        return SELDOM

    def close(self) -> None:
        """Close the folders."""
        for fd in self._folders:
            posix.close(fd)
        self._folders = []


def _is_link(path: str) -> bool:
    try:
        posix.readlink(path)
    except OSError:
        return False
    return True


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
