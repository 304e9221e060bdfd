# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Runs on each test node and logs each change of rcron's state file, with the time.

Arguments, for another cluster than the first: the state file, and the log.

A line of /var/log/state-watch is "SECONDS WORD": the time as time.time() gives it, which is the same clock in all
containers of a machine, and the file's content ("absent" if there is none). "boot" is written at each start.
"""

import sys
import time

STATE_FILE, LOG = sys.argv[1:] or ("/var/run/rcron/state", "/var/log/state-watch")
INTERVAL = 0.02  # seconds; how exactly a takeover can be timed


def content() -> str:
    """Return the state file's content."""
    try:
        with open(STATE_FILE) as file:
            return file.read().strip() or "empty"
    except OSError:
        return "absent"


with open(LOG, "a", buffering=1) as log:
    log.write(f"{time.time():.3f} boot\n")
    last = ""
    while True:
        now = content()
        if now != last:
            log.write(f"{time.time():.3f} {now}\n")
            last = now
        time.sleep(INTERVAL)
