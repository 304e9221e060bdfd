# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat 3 in haresources mode (`crm no`): its resource script.

The contract (the package's /usr/share/heartbeat/ResourceManager and req_resource; tried on 3.0.6 as Debian 12 and 13
have it):

- With `node1 rcron` in haresources, Heartbeat calls `/etc/ha.d/resource.d/rcron start|stop|status`. Words that follow
  `::` come before that word: `rcron::/etc/rcron/billing.conf`. It runs as root, in Heartbeat's own environment.
- `status`: its output counts, and its exit status does not. Output that contains `running` or `OK` means that the node
  has the resource, and then `start` is not called.
- `start` may be called twice at the same time (req_resource and ip-request-resp). If it fails, Heartbeat gives up the
  whole line of haresources, and half a minute later it asks its peer to take the line.
- `stop` is also called if the resource does not run. If it fails ten times and `status` says `running`, Heartbeat
  **reboots the machine**.
- No script is called at a reload (`heartbeat -r`), nor if Heartbeat is killed.
- After a partition has healed, both nodes call `stop` and start Heartbeat anew, and one of them calls `start` some 15 s
  later.

A Heartbeat that was killed and is started again soon finds the first resource of its line running, and starts no other
one. So what counts is what rcron-agent is told when it asks (rcron/agent/feeders/heartbeat.py).
"""

import argparse
from collections.abc import Callable

from rcron import ask, hook, settings, state
from rcron.hook import EX_CANTCREAT, EventError
from rcron.settings import ACTIVE, PASSIVE

HELP = "be Heartbeat's resource script"

#: How long after its start a call may make the node active, in seconds: less than any deadtime.
IN_TIME = 1.5

#: LSB's exit status for a program that is not running.
EX_NOT_RUNNING = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed heartbeat`.
    """
    parser.usage = "%(prog)s [CONF] start|stop|status"
    parser.description = "For /etc/ha.d/resource.d/rcron."
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Be `rcronctl feed heartbeat`.

    Args:
        options: the parsed command line.
        report: takes a line about a failure.

    Returns:
        The exit status.

    Raises:
        EventError: Heartbeat does not use these words.
        ConfigError: the configuration cannot be used.
        OSError: the node cannot be made active.
    """
    *arguments, event = options.words or [""]
    if event not in ("start", "stop", "status") or len(arguments) > 1:
        raise EventError(f"not [CONF] and start, stop or status: {' '.join(options.words)}")
    path = arguments[0] if arguments else options.conf
    if event == "stop":
        return _stop(path, event, report)
    if event == "status":
        return _status(path)
    hook.apply(settings.load(path), ACTIVE, "heartbeat", event, within=IN_TIME)
    return 0


def _stop(path: str, event: str, report: "Callable[[str], None]") -> int:
    """Make the node passive. Returns the exit status, which is not 0 only if jobs would still run: see above."""
    try:
        config = settings.load(path)
    except settings.ConfigError as error:
        report(f"heartbeat: not made passive: {error}")
        return 0  # with this configuration no job runs
    try:
        hook.apply(config, PASSIVE, "heartbeat", event)
    except OSError as error:
        report(f"heartbeat: not made passive: {error}")
        # A stale state is not refreshed as long as it cannot be written, but it may be writable in a moment.
        found = state.from_file(config)
        return 0 if found.state == PASSIVE and found.source != state.STALE else EX_CANTCREAT
    return 0


def _status(path: str) -> int:
    """Print what Heartbeat looks for: `running` if the node is active, and stays so. Else Heartbeat calls `start`."""
    try:
        config = settings.load(path)
    except settings.ConfigError:
        print("stopped: no valid configuration")
        return EX_NOT_RUNNING
    found = state.from_file(config)
    runs = found.source == state.FILE and found.state == ACTIVE and ask.is_served(config)
    print("running" if runs else "stopped")
    return 0 if runs else EX_NOT_RUNNING
