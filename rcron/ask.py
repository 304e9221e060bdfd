# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Where a cluster's agent is to be found, and how a hook tells it that something has happened.

The agent of a node keeps two things for each cluster in settings.RUNTIME, which is root's:

- KEY.ask, a datagram socket that only the cluster's feeder may write to. That it exists says that a daemon has spoken
  for this cluster since the machine was booted: a state file that is gone then is no reason for `default_state`.
- KEY.passive, while the state cannot be written into the state file: the node is passive whatever that file says.
"""

import _socket
import posix
import time

from rcron.settings import Config

#: What a datagram begins with.
ASK = "ask"
PASSIVE = "passive"

#: The longest datagram, in bytes.
MAX_DATAGRAM = 512


def is_served(config: Config) -> bool:
    """Return whether an agent keeps this cluster's state, even if it is being started anew at this moment.

    Args:
        config: The cluster's.
    """
    try:
        posix.stat(config.agent_file("ask"))
    except OSError:
        return False
    return True


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
        socket.sendto(text.encode("utf-8", "surrogateescape")[:MAX_DATAGRAM], config.agent_file("ask"))
    except OSError:
        return False
    finally:
        socket.close()
    return True
