# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Stands in for cron on one node: starts the prefixed jobs of each tick, on all nodes at the same instant.

Arguments: the moment of tick 0 and the interval, in seconds of CLOCK_MONOTONIC, which the nodes share; then, for each
kind of job, KIND=EVERY+OFFSET:OPTIONS, the ticks at which it is started and rcron's own options, in which `{kind}` and
`{tick}` stand for these. Standard output, a file that only grows, gets a line for each job that is begun and for each
that has left, with its exit status.
"""

import os
import sys
import time

#: Holds by how many seconds this node's clock is off, in libfaketime's form; "+0" if it is right.
CLOCK = "/etc/soak-clock"

#: The variables that make a process see the clock of CLOCK, one a line; keepalived's unit has them too (prepare.yml).
FAKED = "/etc/soak-clock.environment"
#: As cron gives it: crontab(5).
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LOGNAME": "root", "SHELL": "/bin/sh"}

start, interval = float(sys.argv[1]), float(sys.argv[2])
entries = []
for argument in sys.argv[3:]:
    name, _equals, rest = argument.partition("=")
    when, _colon, options = rest.partition(":")
    every, _plus, offset = when.partition("+")
    entries.append((name, int(every), int(offset), options.split()))

running: "dict[int, tuple[str, int]]" = {}
with open(FAKED) as lines:
    faked = dict(line.rstrip("\n").split("=", 1) for line in lines)


def say(line: str) -> None:
    """Write one line, whole: many processes share the file."""
    os.write(1, (line + "\n").encode())


def clock_is_off() -> bool:
    """Whether this node's clock is to be seen as set."""
    try:
        with open(CLOCK) as file:
            return file.read().strip() not in ("", "+0")
    except OSError:
        return False


def reap() -> None:
    """Write down which jobs have left."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        kind, tick = running.pop(pid)
        say(f"left {kind} {tick} {time.monotonic():.4f} {os.waitstatus_to_exitcode(status)}")


#: A tick that is later than this is left out, in seconds: the node was paused, and cron leaves out such minutes too.
LATEST = 1.0

tick = int((time.monotonic() - start) / interval) + 1
while True:
    due = start + tick * interval
    while (left := due - time.monotonic()) > 0:
        time.sleep(min(left, 0.02))
        reap()
    if time.monotonic() - due > LATEST:
        tick += 1
        continue
    environment = {**ENVIRONMENT, **faked} if clock_is_off() else ENVIRONMENT
    for kind, every, offset, options in entries:
        if tick % every == offset:
            words = [
                "/usr/bin/rcron",
                *(option.format(kind=kind, tick=tick) for option in options),
                "/usr/bin/python3",
                "-IS",
                "/usr/local/lib/soak/tick.py",
                kind,
                str(tick),
            ]
            begun = time.monotonic()
            try:
                pid = os.posix_spawn(words[0], words, environment)
            except PermissionError:  # rcron's Python is away
                continue
            running[pid] = (kind, tick)
            say(f"begun {kind} {tick} {begun:.4f} {pid}")
    tick += 1
