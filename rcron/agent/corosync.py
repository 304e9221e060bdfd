# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Corosync's quorum, from its own client library (quorum(3), votequorum(5)): no program is started for it.

The calls block without a limit while Corosync is stopped. Only `Quorum.hear`, which is for the agent's loop, does not.
"""

import ctypes
from collections.abc import Callable

#: The library of Corosync 2 and 3.
LIBRARY = "libquorum.so.5"

CS_OK = 1
CS_TRACK_CHANGES = 2
CS_DISPATCH_ALL = 2

_Notify = ctypes.CFUNCTYPE(
    None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)
)


class _Callbacks(ctypes.Structure):
    _fields_ = [("notify", _Notify)]


class Quorum:
    """A connection to Corosync on this machine.

    Args:
        library: Its client library, as `load` returns it.

    Attributes:
        descriptor: What becomes readable when the quorum changes, or Corosync ends.

    Raises:
        OSError: Corosync does not run.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._heard: "list[bool]" = []
        # The library calls it as long as there is the connection.
        self._callbacks = _Callbacks(_Notify(self._notified))
        # Two handles: one for whoever asks, who may be kept waiting, and one for whoever hears.
        self._asking = self._connect(None)
        try:
            self._hearing = self._connect(ctypes.byref(self._callbacks))
        except OSError:
            self._library.quorum_finalize(self._asking)
            raise
        try:
            self._check("trackstart", self._library.quorum_trackstart(self._hearing, CS_TRACK_CHANGES))
            found = ctypes.c_int(-1)
            self._check("fd_get", self._library.quorum_fd_get(self._hearing, ctypes.byref(found)))
        except OSError:
            self.close()
            raise
        self.descriptor: int = found.value

    def _connect(self, callbacks: "object") -> ctypes.c_uint64:
        handle, kind = ctypes.c_uint64(), ctypes.c_uint32()
        self._check("initialize", self._library.quorum_initialize(ctypes.byref(handle), callbacks, ctypes.byref(kind)))
        return handle

    @staticmethod
    def _check(call: str, status: int) -> None:
        if status != CS_OK:
            raise OSError(f"Corosync: quorum_{call}: error {status}")

    def _notified(self, _handle: int, quorate: int, _sequence: int, _number: int, _nodes: object) -> None:
        self._heard.append(bool(quorate))

    def ask(self) -> bool:
        """Return whether this node is in a partition that has a quorum. Raises OSError if Corosync has ended."""
        quorate = ctypes.c_int(0)
        self._check("getquorate", self._library.quorum_getquorate(self._asking, ctypes.byref(quorate)))
        return bool(quorate.value)

    def hear(self) -> "list[bool]":
        """Return each quorum that there has been since the last call. Never blocks. Raises OSError likewise."""
        self._heard.clear()
        self._check("dispatch", self._library.quorum_dispatch(self._hearing, CS_DISPATCH_ALL))
        return list(self._heard)

    def close(self) -> None:
        """End the connection."""
        for handle in (self._asking, self._hearing):
            self._library.quorum_finalize(handle)


#: Connects to Corosync.
Connect = Callable[[], Quorum]


def load() -> "Connect | None":
    """Return what connects to Corosync, or None if its client library is not installed."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    for name, arguments in {
        "initialize": [ctypes.POINTER(ctypes.c_uint64), ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)],
        "trackstart": [ctypes.c_uint64, ctypes.c_uint],
        "fd_get": [ctypes.c_uint64, ctypes.POINTER(ctypes.c_int)],
        "getquorate": [ctypes.c_uint64, ctypes.POINTER(ctypes.c_int)],
        "dispatch": [ctypes.c_uint64, ctypes.c_int],
        "finalize": [ctypes.c_uint64],
    }.items():
        getattr(library, f"quorum_{name}").argtypes = arguments
    return lambda: Quorum(library)
