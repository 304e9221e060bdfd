# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Tell rcron the states that a running keepalived is in, through the FIFO that it has just opened.

Run on the node by the role's handlers, with -I, after keepalived was reloaded or started. Arguments: the FIFO's path,
the systemd unit, and a command that makes the node passive (one argument, for sh).

A reload starts the FIFO's reader, but keepalived tells it nothing: `fifo_write_vrrp_states_on_reload` leaves out an
instance that is master (read in 2.2.7 and 2.4.3, vrrp_init_state in vrrp_scheduler.c; seen on 2.2.7). So keepalived is
asked for its data (signal `--signum=DATA`, file keepalived.data in its own /tmp), and what they say is written to the
FIFO as keepalived would write it. Where keepalived does not run, the node is made passive.
"""

import glob
import os
import re
import signal
import stat
import subprocess
import sys
import time

fifo, unit, set_passive = sys.argv[1:]

#: Seconds that keepalived gets for its reload, its dump and the start of the FIFO's reader.
PATIENCE = 15.0

STATE = re.compile(r"^ VRRP Instance = (.+)\n(?:   .*\n)*?   State = (MASTER|BACKUP|FAULT)\b", re.MULTILINE)
GROUP = re.compile(r"^ VRRP Sync Group = (.+), (MASTER|BACKUP|FAULT)$", re.MULTILINE)

deadline = time.monotonic() + PATIENCE


def out_of_time() -> bool:
    return time.monotonic() > deadline


def main_process() -> int:
    shown = subprocess.run(
        ["systemctl", "show", "--property=MainPID", "--value", unit], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(shown.stdout or 0)


def dump(pid: int) -> str:
    """keepalived's own account of itself, as it writes it to a file. pid: its main process. Returns the file's text."""
    # Through /proc: the unit may have a /tmp of its own (PrivateTmp=).
    folder = f"/proc/{pid}/root/tmp/"
    path = folder + "keepalived.data"
    there = set(os.listdir(folder))
    before = identity(path)
    number = subprocess.run(["keepalived", "--signum=DATA"], check=False, stdout=subprocess.PIPE, text=True).stdout
    os.kill(pid, int(number or signal.SIGUSR1))
    seen = before
    while not out_of_time():
        time.sleep(0.1)
        # Whole when it has stopped growing.
        seen, last = identity(path), seen
        if seen in (None, before) or seen != last:
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        for name in set(os.listdir(folder)) - there:
            if re.fullmatch(r"keepalived(_[a-z]+)?\.data", name):
                os.unlink(folder + name)
        return text
    sys.exit(f"keepalived does not tell its state: it did not write {path} within {PATIENCE:.0f} s")


def identity(path: str) -> "tuple[int, int, int] | None":
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_uid != 0:
        sys.exit(f"{path} is not a file of root's, so it is not read")
    return status.st_ino, status.st_mtime_ns, status.st_size


def has_reader() -> bool:
    """Whether a process other than keepalived's own, which hold both ends, has the FIFO open."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) == fifo:
                with open("/proc/" + link.split("/")[2] + "/comm", encoding="ascii", errors="replace") as comm:
                    if not comm.read().startswith("keepalived"):
                        return True
        except OSError:
            continue  # ended in the meantime
    return False


def open_fifo() -> int:
    """The FIFO, opened for writing, as soon as it has a reader."""
    while not has_reader():
        if out_of_time():
            sys.exit(
                f"nobody reads {fifo}: keepalived does not run its vrrp_notify_fifo_script;"
                f" journalctl -u {unit} tells why"
            )
        time.sleep(0.1)
    return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def events(text: str) -> str:
    lines = [f'INSTANCE "{name}" {state} 0\n' for name, state in STATE.findall(text)]
    return "".join(lines + [f'GROUP "{name}" {state} 0\n' for name, state in GROUP.findall(text)])


pid = main_process()
if not pid:
    sys.exit(subprocess.run(set_passive, shell=True, check=False).returncode)  # noqa: S602 - the role's own words

# Once more until nothing has changed in between: a state may change, and a reload replaces the FIFO a moment after it.
told = None
while not out_of_time():
    fd = open_fifo()
    said = events(dump(pid)), os.fstat(fd).st_ino
    if said == told:
        break
    os.write(fd, said[0].encode())
    os.close(fd)
    told = said
    time.sleep(0.5)
print(said[0], end="")
