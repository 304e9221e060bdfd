# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""wackamole: which machine owns the address that the jobs go with?

The contract (control.c, wackatrl.c, apue.c and defines.h of 2.1.4, the last release):

- wackamole listens on the Unix socket that `Control` names in wackamole.conf. `wackatrl -l` writes one byte there, 0,
  and reads the length of the answer (4 bytes, in network order) and then, for each virtual interface, a priority (4
  bytes), the owner, the first address and up to 30 further ones: each with a name (16 bytes), the address, its
  broadcast address and its netmask (4 bytes each, in network order). The owner is the machine's own address; 0:
  nobody's.
- It is asked here as wackatrl asks it, and without wackatrl, which starts a Perl each time. Whoever listens on the
  socket must be root, as wackamole is: its folder may be one that others write to.
- The table is the one that all members have agreed on. A wackamole that loses Spread releases its addresses, and its
  own table says so. One that hangs does not answer, and keeps its addresses for as long as Spread takes it for alive.
- In a partition each side's table says that a machine of that side owns the address, until Spread has merged.
"""

import _socket
import array
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Any

from rcron.agent.answer import Answer, boottime
from rcron.agent.feeders.command import seconds
from rcron.agent.truth import Truth, cannot_tell
from rcron.claim import reach
from rcron.settings import ACTIVE, PASSIVE, Config

#: The byte that asks for the table, and how many interfaces an entry of it has: owner, first and further ones.
ASK = b"\0"
INTERFACES = 32

#: An interface: name, address, broadcast address, netmask. An entry has a priority before them.
INTERFACE = 28
ENTRY = 4 + INTERFACES * INTERFACE

#: The most virtual interfaces that wackamole takes.
MAX_ENTRIES = 254

_SIOCGIFCONF = 0x8912
_SO_PEERCRED = 17


def path(value: str) -> str:
    """Read the path of a socket. Raises ValueError."""
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path')
    return value


def address(value: str) -> bytes:
    """Read an IPv4 address. Raises ValueError."""
    try:
        return _socket.inet_pton(_socket.AF_INET, value)
    except OSError:
        raise ValueError(f'"{value}" is not an IPv4 address') from None


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "control": (path, None),
    "address": (address, None),
    "every": (seconds, 0.5),
    "limit": (seconds, 2.0),
    "notice": (seconds, 10.0),
}


def truth(_config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return WackamoleTruth(options)


class WackamoleTruth(Truth):
    """Asks wackamole's control socket. options: as OPTIONS names them."""

    def __init__(self, options: "dict[str, Any]") -> None:
        self._control: str = options["control"]
        self._address: bytes = options["address"]
        self.every = options["every"]
        self.limit = options["limit"]
        self.notice = options["notice"]

    def ask(self) -> Answer:
        """Ask who owns the address. Raises OSError and ValueError if that cannot be asked."""
        moment = boottime()
        name = _socket.inet_ntoa(self._address)
        try:
            table = _table(self._control, moment + self.limit * 0.9)
        except (ConnectionRefusedError, FileNotFoundError):
            return Answer(PASSIVE, moment, f"{self._control}: nobody there: wackamole does not run")
        owner = owner_of(table, self._address)
        if owner is None:
            return cannot_tell(f"{name} is none of wackamole's addresses", moment)
        if not any(owner):
            return Answer(PASSIVE, moment, f"{name}: not acquired")
        state = ACTIVE if owner in own_addresses() else PASSIVE
        return Answer(state, moment, f"{name}: owner {_socket.inet_ntoa(owner)}")


def owner_of(table: bytes, wanted: bytes) -> "bytes | None":
    """Return which machine owns an address.

    Args:
        table: wackamole's answer, without its length.
        wanted: The address.

    Returns:
        The machine's own address, four zeros if it is nobody's, or None if the address is in no virtual interface.

    Raises:
        ValueError: That is not such a table.
    """
    if len(table) % ENTRY:
        raise ValueError(f"a table of {len(table)} bytes is none of wackamole 2.1.4")
    for start in range(0, len(table), ENTRY):
        entry = table[start + 4 : start + ENTRY]
        addresses = [entry[at + 16 : at + 20] for at in range(0, ENTRY - 4, INTERFACE)]
        if wanted in addresses[1:]:
            return addresses[0]
    return None


def own_addresses() -> "set[bytes]":
    """Return the IPv4 addresses of this machine (netdevice(7)). Raises OSError."""
    size = 40 if struct.calcsize("P") == 8 else 32
    length = 64 * size
    with_names = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        while True:
            buffer = bytearray(length)
            found = _ifconf(with_names.fileno(), buffer)
            if found <= length - size:
                return {bytes(buffer[at + 20 : at + 24]) for at in range(0, found, size)}
            length *= 2
    finally:
        with_names.close()


def _ifconf(fd: int, buffer: bytearray) -> int:
    room = array.array("B", buffer)
    place, _items = room.buffer_info()
    answer = fcntl.ioctl(fd, _SIOCGIFCONF, struct.pack("iP", len(room), place))
    buffer[:] = room.tobytes()
    found: int = struct.unpack("iP", answer)[0]
    return found


def _table(control: str, deadline: float) -> bytes:
    """Ask for the table. Raises OSError, and ValueError for an answer that cannot be one."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        socket.settimeout(_left(deadline))
        reach(socket, control)
        _process, user, _group = struct.unpack("3i", socket.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12))
        if user not in (0, os.geteuid()):
            raise ValueError(f"{control} is not wackamole's, but the user {user}'s")
        socket.sendall(ASK)
        length = int.from_bytes(_read(socket, 4, deadline), "big")
        if length > MAX_ENTRIES * ENTRY:
            raise ValueError(f"a table of {length} bytes is none of wackamole's")
        return _read(socket, length, deadline)
    finally:
        socket.close()


def _read(socket: "_socket.socket", length: int, deadline: float) -> bytes:
    data = b""
    while len(data) < length:
        socket.settimeout(_left(deadline))
        chunk = socket.recv(length - len(data))
        if not chunk:
            raise ValueError("wackamole's answer ends too early")
        data += chunk
    return data


def _left(deadline: float) -> float:
    left = deadline - boottime()
    if left <= 0:
        raise TimeoutError(110, "no answer in time")
    return left
