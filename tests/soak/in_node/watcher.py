# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Looks at a node's state as any user's job would, and writes down each change. Runs as an ordinary user.

Arguments: the state file, the pin, and rcron-agent's two files: the one that says that the agent keeps the state, and
the one by which it forbids an `active` that it cannot overwrite. Standard output gets a line for each change: `state
TIME MTIME WORD`, where MTIME is when the file was last written or refreshed, `absent`, `folder` and `unreadable` stand
for what is none, and `torn:…` for any content that is not a state; `pin TIME WORD`; `kept TIME there` and `forbidden
TIME there`, or `none`. Times are CLOCK_MONOTONIC's, in seconds.
"""

import os
import stat
import sys
import time

STATE, PIN = sys.argv[1:3]
AGENT = dict(zip(("kept", "forbidden"), sys.argv[3:5]))
INTERVAL = 0.005  # seconds

WORDS = {b"active\n": "active", b"passive\n": "passive", b"": "empty"}


def look(path: str) -> "tuple[str, float]":
    """The word that a state file holds now, and its time of change, or what stands there instead."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return "absent", 0.0
    except OSError as error:
        return f"unreadable:{error.errno}", 0.0
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            return "folder", 0.0
        if not status.st_mode & 0o004:
            return f"unreadable:{status.st_mode:o}", 0.0
        data = os.read(fd, 4096)
    finally:
        os.close(fd)
    return WORDS.get(data, "torn:" + data.hex()), status.st_mtime


def say(line: str) -> None:
    """Write one line, whole."""
    os.write(1, (line + "\n").encode())


# From the wall clock, which files go by, to the monotonic one.
offset = time.time() - time.monotonic()
seen: "tuple[str, float] | None" = None
pin: "str | None" = None
files: "dict[str, str]" = {}
while True:
    now = look(STATE)
    if now != seen:
        say(f"state {time.monotonic():.4f} {now[1] - offset if now[1] else 0:.4f} {now[0]}")
        seen = now
    try:
        with open(PIN) as file:
            word = (file.read().split() or ["empty"])[0]
    except OSError:
        word = "none"
    if word != pin:
        say(f"pin {time.monotonic():.4f} {word}")
        pin = word
    for name, path in AGENT.items():
        word = "there" if os.path.exists(path) else "none"
        if files.get(name) != word:
            say(f"{name} {time.monotonic():.4f} {word}")
            files[name] = word
    time.sleep(INTERVAL)
