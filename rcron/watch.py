# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Wait for signals and for a change of this node's state at once, at next to no cost.

The kernel tells of a change in a folder by SIGIO (dnotify: fcntl(2), F_NOTIFY), the only such notice that a Python
without extensions can ask for. It is a hint to look, no more: where it is not to be had (another file system, another
kernel), looking once a second is what remains, and what staleness and the end of a pin need anyway.
"""

import _signal
import fcntl
import posix

from rcron import pin
from rcron.config import Config
from rcron.state import pin_path

#: What state.current will need once a node is pinned, when rcron may have been removed.
NEEDED_LATER = (pin,)

#: How often a waiting process looks at the state without being told of a change, in seconds.
INTERVAL = 1.0


class Watch:
    """config: the cluster whose state is waited for. `mask`: the signal mask of before, since SIGIO is blocked now."""

    __slots__ = ("_folders", "mask")

    def __init__(self, config: Config) -> None:
        self.mask: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGIO,))
        self._folders: list[int] = []
        for path in sorted({_folder(config.state_file), _folder(pin_path(config))}):
            try:
                fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
            except OSError:
                continue
            self._folders.append(fd)
            try:
                events = fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_MODIFY | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
                fcntl.fcntl(fd, fcntl.F_NOTIFY, events)
            except OSError:
                pass

    def wait(self, signals: "tuple[int, ...]", seconds: float) -> "_signal.struct_siginfo | None":
        """Wait for a change of the state, for one of the signals (which the caller has blocked), or for a time.

        seconds: the longest wait. Returns siginfo for a signal, None for anything else: look at the state then.
        """
        info = _signal.sigtimedwait((*signals, _signal.SIGIO), max(0.0, min(seconds, INTERVAL)))
        return None if info is None or info.si_signo == _signal.SIGIO else info

    def close(self) -> None:
        """Give the folders back."""
        for fd in self._folders:
            posix.close(fd)
        self._folders = []


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"
