# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A node's interfaces, their addresses and its default route, without gathered facts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import struct
from typing import Any

from . import files, programs

SIOCGIFADDR = 0x8915  # netdevice(7)


def interfaces() -> list[str]:
    """Return the names of the node's network interfaces, sorted."""
    return sorted(os.listdir("/sys/class/net"))


def address(interface: str) -> str:
    """Return the first IPv4 address of an interface, or "" if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def own_addresses(proc: str = "/proc/net") -> list[str]:
    """Return all addresses of the node, but for those of the loopback interface, sorted.

    Args:
        proc: The folder of the kernel's `fib_trie` and `if_inet6`.
    """
    found = set()
    with contextlib.suppress(OSError):
        trie = files.read_text(f"{proc}/fib_trie")
        found = set(re.findall(r"^ +\|-- ([0-9.]+)\n +/32 host LOCAL$", trie, re.MULTILINE))
    with contextlib.suppress(OSError, ValueError):
        lines = files.read_text(f"{proc}/if_inet6").splitlines()
        found |= {socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in lines if line}
    return sorted(one for one in found if not one.startswith("127.") and one != "::1")


def overview() -> dict[str, Any]:
    """Return `interfaces`, each with its first IPv4 address or "", and `default_interface`."""
    return {
        "interfaces": {name: address(name) for name in interfaces()},
        "default_interface": default_interface(),
    }


def default_interface() -> str:
    """Return the interface of the default route, or "" if there is no such route."""
    routes = [line.split() for line in files.read_text("/proc/net/route").splitlines()[1:]]
    return next((route[0] for route in routes if route[1] == route[7] == "00000000"), "")


def default_address() -> str:
    """Return the node's address: the one that its default route starts from, or the only one that it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            pass
    try:
        shown = programs.output("ip", "-4", "-oneline", "address", "show", "scope", "global")
    except programs.ProgramError:
        return ""
    found = re.findall(r" inet ([0-9.]+)/", shown)
    return found[0] if len(found) == 1 else ""
