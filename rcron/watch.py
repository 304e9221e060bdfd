# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Wait for signals and for a change of this node's state at once, at next to no cost.

The kernel tells of a change in a folder by SIGIO (dnotify: fcntl(2), F_NOTIFY), the only such notice that a Python
without extensions can ask for. Where it is not to be had (another file system, another kernel), looking once a second
is what remains. Where it is, a look now and then does for what it may not tell of, such as a mount: of thousands of
jobs that wait at once, looking each second took a sixth of a processor.
"""

import _signal
import fcntl
import posix
import time

from rcron import pin
from rcron.files import folder_of
from rcron.settings import ACTIVE, Config
from rcron.state import FILE, Verdict

#: What state.current will need once a node is pinned, when rcron may have been removed.
NEEDED_LATER = (pin,)

#: How often a waiting process looks at the state where nobody will tell it of a change, in seconds.
INTERVAL = 1.0

#: How often it does so where it is told of changes.
SELDOM = 10.0


_CREATED = fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
_CHANGED = _CREATED | fcntl.DN_DELETE | fcntl.DN_MODIFY


class Watch:
    """config: the cluster whose state is waited for. `mask`: the signal mask of before, since SIGIO is blocked now."""

    __slots__ = ("_absent", "_folders", "_max_age", "_told", "mask")

    def __init__(self, config: Config) -> None:
        self.mask: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGIO,))
        self._folders: list[int] = []
        self._max_age: int = config.state_max_age
        self._absent = ""
        states, pins = folder_of(config.state_file), folder_of(config.pin_file)
        self._told = self._tell(states, _CHANGED) and not _is_link(config.state_file)  # what that leads to is elsewhere
        if pins != states and not self._tell(pins, _CHANGED):
            # rcronctl makes it with the first pin.
            self._absent = pins
            self._told = self._tell(folder_of(pins[:-1]), _CREATED) and self._told

    def _tell(self, path: str, events: int) -> bool:
        """Have SIGIO tell of what happens in a folder. Returns whether it will."""
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

    def wait(self, signals: "tuple[int, ...]", seconds: float, verdict: Verdict) -> "_signal.struct_siginfo | None":
        """Wait for a change of the state, for one of the signals (which the caller has blocked), or for a time.

        seconds: the longest wait. verdict: the state that is to change. Returns siginfo for a signal, None for anything
        else: look at the state then.
        """
        longest = max(0.0, min(seconds, self._interval(verdict)))
        info = _signal.sigtimedwait((*signals, _signal.SIGIO), longest)
        return None if info is None or info.si_signo == _signal.SIGIO else info

    def _interval(self, verdict: Verdict) -> float:
        """How long a state may go unseen, in seconds."""
        # No notice tells of the end of a pin, of a stale state's refresh, of the mend of one that everyone may write.
        if not self._told or verdict.source != FILE or verdict.written is None:
            return INTERVAL
        # A folder that is new, or takes the place of one that was removed: nobody will tell what happens in there.
        if not all(posix.fstat(fd).st_nlink for fd in self._folders) or (self._absent and _exists(self._absent)):
            return INTERVAL
        if verdict.state == ACTIVE and self._max_age:
            # It may have been refreshed by then. If not, it is stale.
            return max(0.05, min(SELDOM, verdict.written + self._max_age - time.time() + 0.05))
        return SELDOM

    def close(self) -> None:
        """Give the folders back."""
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
