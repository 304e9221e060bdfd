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
- The calling process may be a child of Heartbeat's that ends a moment later; the uppermost one is the master control
  process. It stays the same at a reload (`heartbeat -r`), and no script is called then. If Heartbeat is killed, no
  script is called.
- After a partition has healed, both nodes call `stop` and start Heartbeat anew, and one of them calls `start` some 15 s
  later.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Callable

from rcron import ask, feed, hook, log, process, settings, state
from rcron.haresources import haresources
from rcron.hook import EX_CANTCREAT, EventError
from rcron.settings import ACTIVE, PASSIVE, Config

HELP = "be Heartbeat's resource script"

FOLDER = "/etc/ha.d"
PID_FILE = "/run/heartbeat.pid"

#: How long `resync` waits for the end of what Heartbeat calls a transition, in seconds: initdead (30 or more) and 10 s.
PATIENCE = 90.0

#: LSB's exit status for a program that is not running.
EX_NOT_RUNNING = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed heartbeat`.
    """
    parser.usage = "%(prog)s [CONF] start|stop|status|resync"
    parser.description = (
        "For /etc/ha.d/resource.d/rcron. resync asks Heartbeat whether this node has the resource, and writes the "
        "answer."
    )
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
    if event not in ("start", "stop", "status", "resync") or len(arguments) > 1:
        raise EventError(f"not [CONF] and start, stop, status or resync: {' '.join(options.words)}")
    path = arguments[0] if arguments else options.conf
    if event == "start":
        _start(settings.load(path), event, report)
    elif event == "stop":
        return _stop(path, event, report)
    elif event == "status":
        return _status(path)
    else:
        # The default configuration need not be named in haresources.
        _resync(settings.load(path), [f"rcron::{path}"] + ["rcron"] * (path == options.conf), report)
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


def _start(config: Config, event: str, report: "Callable[[str], None]") -> None:
    daemon = _daemon()
    if not daemon and not ask.is_served(config):
        report(f"heartbeat: {event}: Heartbeat is not running here; nothing will refresh the state")
    hook.apply(config, ACTIVE, "heartbeat", event, daemon=daemon)


def _daemon() -> int:
    """Return Heartbeat's master control process, or 0 if there is none."""
    above = [pid for pid, name in process.ancestors() if name == "heartbeat"]
    if above:
        return above[-1]
    # An administrator's shell, or Ansible.
    try:
        with open(PID_FILE, encoding="ascii") as stream:
            pid = int(stream.read())
    except (OSError, ValueError):
        return 0
    return pid if process.name(pid) == "heartbeat" else 0


def _status(path: str) -> int:
    """Print what Heartbeat looks for: `running` only if it can rely on it. For anything else it calls `start`."""
    try:
        config = settings.load(path)
    except settings.ConfigError:
        print("stopped: no valid configuration")
        return EX_NOT_RUNNING
    word = _state(config)
    print("running" if word == ACTIVE else "stopped")
    return 0 if word == ACTIVE else EX_NOT_RUNNING


def _state(config: Config) -> "str | None":
    """Return the state if Heartbeat gave it and the agent or a process keeps it true, or else None."""
    verdict = state.from_file(config)
    record = feed.read_record(config)
    if verdict.source != state.FILE or record is None or record.feeder != "heartbeat":
        return None
    return verdict.state if verdict.state == PASSIVE or record.alive or ask.is_served(config) else None


def _resync(config: Config, resources: "list[str]", report: "Callable[[str], None]") -> None:
    deadline = time.monotonic() + PATIENCE
    written: "bool | None" = None
    while True:
        held = _holds(resources)
        if held is None:
            if time.monotonic() > deadline:
                report("heartbeat: still in a transition; it will call the resource script itself")
                return
            time.sleep(0.5)
        elif held == written:
            return
        else:
            if _state(config) != (ACTIVE if held else PASSIVE):
                if held:
                    _start(config, "resync", report)
                else:
                    hook.apply(config, PASSIVE, "heartbeat", "resync")
                print(f"{log.one_line(config.path)}: now {ACTIVE if held else PASSIVE}")
            # Again, because Heartbeat may have decided otherwise meanwhile.
            written = held


def _holds(resources: "list[str]") -> "bool | None":
    """Ask whether Heartbeat has given a resource to this node.

    Args:
        resources: the names that haresources may have for it.

    Returns:
        The answer, or None while Heartbeat has not decided.

    Raises:
        EventError: haresources has none of the names.
    """
    node = os.uname().nodename.lower()
    path = f"{FOLDER}/haresources"
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        owners = [words[0].lower() for words in haresources(stream.read()) if set(resources) & set(words[1:])]
    if not owners:
        raise EventError(f"{path} does not name {resources[-1]}")
    asked = subprocess.run(
        ["cl_status", "rscstatus"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PATH": "/usr/bin:/usr/sbin:/bin:/sbin"},
    )
    answer = asked.stdout.strip()
    if not answer and not _daemon():
        return False
    # Its own lines are `local`, the others' `foreign`. At its start it says nothing, and then `transition` for a while.
    return {"all": True, "none": False, "local": owners[0] == node, "foreign": owners[0] != node}.get(answer)
