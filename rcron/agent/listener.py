# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Who listens on a TCP port of this machine: the kernel is asked for that one socket (sock_diag(7)).

Any user can listen on a port above 1023 while the daemon that it belongs to does not run. And any user can have so many
sockets that it takes seconds to read all of them: 76,000 that listen took 1.8 s. So proc_pid_net(5), "tcp", is only for
kernels that cannot be asked.
"""

import _socket
import struct

#: The files, and the length of their addresses in bytes.
FILES = (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16))

#: What IPv4's addresses are to a socket of IPv6's.
MAPPED = bytes(10) + b"\xff\xff"

_LISTEN = b"0A"

#: <linux/sock_diag.h>, <linux/inet_diag.h>, <linux/netlink.h>: a request for one socket instead of all of them. The
#: kernel looks it up as it does for a connection from an address that nobody has.
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_REQUEST = struct.Struct("=IHHII BBBBI")
_SOCKET = struct.Struct("!HH16s16s III")
_ANY_COOKIE = 0xFFFFFFFF
_TCP, _TCP_LISTEN = 6, 10

#: The answer: its length and type, the socket's state, and whose it is.
_ANSWER = struct.Struct("=IH 10x xBxx 48x 12x I")


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
    found = _asked(address, port)
    return _read(address, port) if found is None else {found}


def _asked(address: str, port: int) -> "int | None":
    """Ask the kernel who listens. Returns None if it finds nobody, or cannot be asked."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    wanted = _socket.inet_pton(family, address.partition("%")[0])
    if wanted[:12] == MAPPED:
        family, wanted = _socket.AF_INET, wanted[12:]
    length = _REQUEST.size + _SOCKET.size
    request = _REQUEST.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0, family, _TCP, 0, 0, _ANY_COOKIE)
    request += _SOCKET.pack(port, 0, wanted, b"", 0, _ANY_COOKIE, _ANY_COOKIE)
    try:
        kernel = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        try:
            kernel.settimeout(1.0)
            kernel.sendto(request, (0, 0))
            answer, sender = kernel.recvfrom(8192)
        finally:
            kernel.close()
    except OSError:
        return None
    if sender[0] != 0 or len(answer) < _ANSWER.size:
        return None
    _length, kind, state, user = _ANSWER.unpack_from(answer)
    return int(user) if kind == _SOCK_DIAG_BY_FAMILY and state == _TCP_LISTEN else None


def _read(address: str, port: int) -> "set[int]":
    """Return the same as `users_at`, by reading what sockets there are."""
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
    """Return address, port and user of each socket that listens. They come first (networking/proc_net_tcp.rst)."""
    found = []
    try:
        with open(path, "rb", buffering=65536) as file:
            file.readline()  # names the columns
            for line in file:
                fields = line.split()
                if len(fields) > 7 and fields[3] != _LISTEN:
                    break
                if len(fields) > 7:
                    address, _colon, port = fields[1].partition(b":")
                    # Words of four bytes, each in the machine's own order.
                    words = (int(address[at : at + 8], 16) for at in range(0, 2 * length, 8))
                    found.append((struct.pack(f"={length // 4}I", *words), int(port, 16), int(fields[7])))
    except FileNotFoundError:
        pass  # a machine without IPv6
    return found
