# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Behaves as keepalived does for rcron-agent: a main process, and a VRRP process that sends adverts. A program.

Arguments: a folder, and the seconds from one advert to the next. In the folder are or will be

- pid, child: the numbers of the two processes;
- fifo: the FIFO, which the VRRP process keeps open if it is there;
- says: what the VRRP process writes into `data` at USR1; each time adds a line to `log`;
- hang: while it is there, the VRRP process hangs;
- reader: while it is there, a child of the VRRP process has the FIFO open.
"""

import os
import select
import signal
import sys

folder, interval = sys.argv[1], float(sys.argv[2])


def path(name: str) -> str:
    """Return the path of a file in the folder."""
    return f"{folder}/{name}"


def write(name: str, text: str, mode: str = "w") -> None:
    """Write a file."""
    with open(name, mode, encoding="utf-8") as stream:
        stream.write(text)


def sleep() -> None:
    """Do nothing until a signal ends the process."""
    while True:
        signal.pause()


signal.signal(signal.SIGUSR1, lambda *_: None)
write("/proc/self/comm", "keepalived")
write(path("pid"), str(os.getpid()))
if os.fork():
    sleep()
awake, wake = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(wake)
fifo = os.open(path("fifo"), os.O_RDWR | os.O_NONBLOCK) if os.path.exists(path("fifo")) else -1
write(path("child"), str(os.getpid()))
blocked = os.pipe()[0]
reader = 0
while True:
    if os.path.exists(path("reader")) != bool(reader):
        if reader:
            os.kill(reader, signal.SIGKILL)
            os.waitpid(reader, 0)
            reader = 0
        else:
            reader = os.fork()
            if not reader:
                sleep()
    if os.path.exists(path("hang")):
        os.read(blocked, 1)
    if select.select([awake], [], [], interval)[0]:
        os.read(awake, 99)
        write(path("log"), "Printing VRRP data\n", "a")
        with open(path("says"), encoding="utf-8") as said:
            write(path("new"), said.read())
        os.rename(path("new"), path("data"))
