# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat 3 in haresources mode (`crm no`): its resource script.

The contract (the package's /usr/share/heartbeat/ResourceManager and req_resource; tried on 3.0.6 as Debian 12 and 13
have it):

- `node1 rcron` in haresources has Heartbeat call `/etc/ha.d/resource.d/rcron start|stop|status`; what follows `::`
  comes before that word: `rcron::/etc/rcron/billing.conf`. As root, in Heartbeat's own environment.
- `status`: what it prints counts, and its exit status does not: anything that holds `running` or `OK` means that the
  node has the resource, and then `start` is not called.
- `start` may be called twice at the same time (req_resource and ip-request-resp). Where it fails, Heartbeat gives up
  the whole line of haresources, and half a minute later its peer is asked to take it.
- `stop` is called where the resource does not run, too. Where it fails ten times and `status` says `running`, Heartbeat
  **reboots the machine**.
- The process that calls may be a child of Heartbeat's that ends a moment later; the uppermost one is the master control
  process. It stays the same at a reload (`heartbeat -r`), and no script is called then. Of a Heartbeat that was killed
  nobody hears.
- After a partition has healed, both nodes call `stop` and start Heartbeat anew, and one of them calls `start` some 15 s
  later.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Iterator

from rcron import feed, hook, log, process, settings, state
from rcron.hook import EventError
from rcron.settings import ACTIVE, PASSIVE, Config

HELP = "be Heartbeat's resource script"

FOLDER = "/etc/ha.d"
PID_FILE = "/run/heartbeat.pid"

#: Seconds that `resync` gives Heartbeat to end what it calls a transition: its initdead (30 or more), and its own 10 s.
PATIENCE = 90.0

#: LSB's exit status for a program that does not run.
EX_NOT_RUNNING = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `rcronctl feed heartbeat` its arguments."""
    parser.usage = "%(prog)s [CONF] start|stop|status|resync"
    parser.description = (
        "What /etc/ha.d/resource.d/rcron calls. resync asks Heartbeat whether this node has the resource, and writes "
        "that."
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Be `rcronctl feed heartbeat`. options: the command line. report: called with a line about what went wrong.

    Returns the exit status. Raises EventError for what Heartbeat does not say, ConfigError and OSError where the node
    cannot be made active.
    """
    *arguments, event = options.words or [""]
    if event not in ("start", "stop", "status", "resync") or len(arguments) > 1:
        raise EventError(f"[CONF] and start, stop, status or resync are expected, not: {' '.join(options.words)}")
    path = arguments[0] if arguments else options.conf
    if event == "start":
        _start(settings.load(path), event, report)
    elif event == "stop":
        # It may not fail, see above. What cannot be written cannot be refreshed either, and turns stale; and where the
        # configuration is broken, no job runs.
        try:
            hook.apply(settings.load(path), PASSIVE, "heartbeat", event)
        except (settings.ConfigError, OSError) as error:
            report(f"heartbeat: not made passive: {error}")
    elif event == "status":
        return _status(path)
    else:
        # The script's own configuration need not be named.
        _resync(settings.load(path), [f"rcron::{path}"] + ["rcron"] * (path == options.conf), report)
    return 0


def _start(config: Config, event: str, report: "Callable[[str], None]") -> None:
    daemon = _daemon()
    if not daemon:
        report(f"heartbeat: {event}: no Heartbeat runs here; nothing will refresh the state")
    hook.apply(config, ACTIVE, "heartbeat", event, daemon=daemon)


def _daemon() -> int:
    """Heartbeat's master control process, 0 where there is none."""
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
    """Print what Heartbeat looks for. Only what it can rely on is `running`: for anything less it calls `start`."""
    try:
        config = settings.load(path)
    except settings.ConfigError:
        print("stopped: no valid configuration")
        return EX_NOT_RUNNING
    word = _state(config)
    print("running" if word == ACTIVE else "stopped")
    return 0 if word == ACTIVE else EX_NOT_RUNNING


def _state(config: Config) -> "str | None":
    """The state as far as Heartbeat gave it, and somebody sees to it; None where anything else is the case."""
    verdict = state.from_file(config)
    record = feed.read_record(config)
    if verdict.source != state.FILE or record is None or record.feeder != "heartbeat":
        return None
    return verdict.state if verdict.state == PASSIVE or record.alive else None


def _resync(config: Config, resources: "list[str]", report: "Callable[[str], None]") -> None:
    deadline = time.monotonic() + PATIENCE
    told: "bool | None" = None
    while True:
        held = _holds(resources)
        if held is None:
            if time.monotonic() > deadline:
                report("heartbeat: still in a transition; it will call the resource script itself")
                return
            time.sleep(0.5)
        elif held == told:
            return
        else:
            if _state(config) != (ACTIVE if held else PASSIVE):
                if held:
                    _start(config, "resync", report)
                else:
                    hook.apply(config, PASSIVE, "heartbeat", "resync")
                print(f"{log.one_line(config.path)}: now {ACTIVE if held else PASSIVE}")
            # Once more, since Heartbeat may have changed its mind meanwhile.
            told = held


def _holds(resources: "list[str]") -> "bool | None":
    """Whether Heartbeat has given a resource to this node; None while it has not decided.

    resources: the names that haresources may have for it. Raises EventError where it has none of them.
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
    # Its own lines are `local`, the others' `foreign`. It says nothing at its start, and `transition` a while.
    return {"all": True, "none": False, "local": owners[0] == node, "foreign": owners[0] != node}.get(answer)


def haresources(text: str) -> "Iterator[list[str]]":
    """The lines of a haresources file as Heartbeat reads them: the node's name, and its resources.

    A line that ends with a backslash goes on in the next one, where it knows no comment.
    """
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        joined = line.partition("#")[0]
        while joined.endswith("\\"):
            following = next(lines, None)
            if following is None:
                break
            joined = joined[:-1] + following
        words = [word for word in joined.replace("\t", " ").split(" ") if word]
        if words:
            yield words
