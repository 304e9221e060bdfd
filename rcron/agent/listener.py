# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who listens on a TCP port of this machine (proc_pid_net(5), "tcp").

Any user can listen on a port above 1023 while the daemon that it belongs to does not run.
"""

import _socket
import struct

#: The files, and the length of their addresses in bytes.
FILES = (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16))

#: What IPv4's addresses are to a socket of IPv6's.
MAPPED = bytes(10) + b"\xff\xff"

_LISTEN = b"0A"


def users_at(address: str, port: int) -> "set[int]":
    """Return whose sockets take connections to an address.

    Args:
        address: The address, as `getpeername` returns it.
        port: The port.

    Returns:
        The users' numbers: of those who listen at this very address, or if there are none, at all addresses. Empty if
        nobody on this machine does.

    Raises:
        OSError: Nobody may know.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    wanted = _socket.inet_pton(family, address.partition("%")[0])
    theirs = (
        {wanted, MAPPED + wanted} if len(wanted) == 4 else {wanted, wanted[12:] if wanted[:12] == MAPPED else wanted}
    )
    exact: "set[int]" = set()
    everywhere: "set[int]" = set()
    for path, length in FILES:
        for listens_at, number, user in _listeners(path, length):
            if number == port:
                if listens_at in theirs:
                    exact.add(user)
                elif not any(listens_at):
                    everywhere.add(user)
    return exact or everywhere


def _listeners(path: str, length: int) -> "list[tuple[bytes, int, int]]":
    """Return address, port and user of each socket that listens."""
    found = []
    try:
        with open(path, "rb", buffering=65536) as file:
            for line in file:
                fields = line.split()
                if len(fields) > 7 and fields[3] == _LISTEN:
                    address, _colon, port = fields[1].partition(b":")
                    # Words of four bytes, each in the machine's own order.
                    words = (int(address[at : at + 8], 16) for at in range(0, 2 * length, 8))
                    found.append((struct.pack(f"={length // 4}I", *words), int(port, 16), int(fields[7])))
    except FileNotFoundError:
        pass  # a machine without IPv6
    return found
