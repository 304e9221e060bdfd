# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Tell systemd that the agent is ready, and that it goes on: sd_notify(3). Under no systemd this does nothing."""

import _socket
import os


class Notifier:
    """Speaks to the service manager that $NOTIFY_SOCKET names."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog = os.environ.pop("WATCHDOG_USEC", "")
        self._interval = int(watchdog) / 3e6 if watchdog.isdecimal() else float("inf")
        self._told: "float | None" = None
        self._socket = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        )

    def alive(self, now: float) -> None:
        """Say that the loop goes round; the first time, that the agent is ready. now: in seconds of boottime."""
        if self._told is None:
            self._tell(b"READY=1\nWATCHDOG=1")
        elif now - self._told >= self._interval:
            self._tell(b"WATCHDOG=1")
        else:
            return
        self._told = now

    def stopping(self) -> None:
        """Say that the agent ends because somebody asked for that."""
        self._tell(b"STOPPING=1")

    def _tell(self, text: bytes) -> None:
        if not self._address:
            return
        try:
            self._socket.sendto(text, self._address)
        except OSError:
            pass
