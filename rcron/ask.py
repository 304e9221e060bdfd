# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Where a cluster's agent is to be found, and how a hook tells it that something has happened.

The agent of a node keeps two things for each cluster in RUNTIME, which is root's:

- KEY.ask, a datagram socket that only the cluster's feeder may write to. That it exists says that a daemon has spoken
  for this cluster since the machine was booted: a state file that is gone then is no reason for `default_state`.
- KEY.passive, while the state cannot be written into the state file: the node is passive whatever that file says.
"""

import _socket
import time

from rcron.settings import Config

#: The agent's folder: its unit's RuntimeDirectory.
RUNTIME = "/run/rcron-agent"

#: What a datagram begins with.
ASK = "ask"
PASSIVE = "passive"

#: The longest name that a state file's path gives, in bytes.
MAX_KEY = 64

#: The longest datagram, in bytes.
MAX_DATAGRAM = 512


def place(config: Config, kind: str) -> str:
    """Return the path of a cluster's file in the agent's folder.

    Args:
        config: The cluster's.
        kind: `ask` or `passive`.

    Returns:
        The path. Two clusters that keep different state files never share one.
    """
    path = config.state_file
    if path.startswith("/var/run/"):
        path = path[4:]
    key = path[1:].replace("-", "--").replace("/", "-")
    if len(key.encode()) > MAX_KEY:
        # A socket's name has 107 bytes at most. What is left out counts all the same (FNV-1a).
        code = 0xCBF29CE484222325
        for byte in path.encode():
            code = (code ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        key = f"{code:016x}"
    return f"{RUNTIME}/{key}.{kind}"


def now(config: Config, words: str, passive: bool = False) -> bool:
    """Tell the agent that something has happened. Never blocks, and does nothing if there is no agent.

    Args:
        config: The cluster's.
        words: What has happened, for the log.
        passive: Whether the node is to be passive at once. Otherwise the agent only asks the daemon now.

    Returns:
        Whether the agent's socket took it.
    """
    moment = time.clock_gettime(time.CLOCK_BOOTTIME)
    text = f"{PASSIVE if passive else ASK} {moment:.3f} {words}"
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        socket.sendto(text.encode("utf-8", "surrogateescape")[:MAX_DATAGRAM], place(config, "ask"))
    except OSError:
        return False
    finally:
        socket.close()
    return True
