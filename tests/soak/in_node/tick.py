# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The job that the ticker's entries start: `tick KIND TICK`. Prints when it starts and ends.

All times here are CLOCK_MONOTONIC's, in seconds: the nodes are containers of one machine and share that clock, and
nobody can set it.
"""

import select
import signal
import sys
import time

#: How long a job of each kind takes, in seconds.
SECONDS = {"plain": 0.15, "wait": 0.15, "long": 6.0, "stubborn": 6.0}

kind, tick = sys.argv[1:3]
if kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(line: str) -> None:
    """Write one line, whole: many processes share the file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


say(f"started {kind} {tick} {time.monotonic():.4f}")
# Not time.sleep: libfaketime, which the ticker loads while the clock is off, refuses its clock_nanosleep(2).
select.poll().poll(SECONDS[kind] * 1000)
say(f"ended {kind} {tick} {time.monotonic():.4f}")
sys.exit(3 if int(tick) % 5 == 0 else 0)
