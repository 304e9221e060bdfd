# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Tell rcron the states that a running keepalived is in.

Run on the node by the role's handlers, with -I, after keepalived was reloaded or started. Arguments: the FIFO's path,
or nothing where keepalived calls rcron itself (`notify`), the systemd unit, rcronctl's path, and what each cluster
follows (a JSON list of objects with kind, `instance` or `group`, name and conf).

A reload starts the FIFO's reader, but keepalived tells it nothing: `fifo_write_vrrp_states_on_reload` leaves out an
instance that is master (read in 2.2.7 and 2.4.3, vrrp_init_state in vrrp_scheduler.c; seen on 2.2.7). Nor does a reload
start a `notify` command that was not there before. So keepalived is asked for its data (signal `--signum=DATA`, file
keepalived.data in its own /tmp), and what they say is written to the FIFO as keepalived would write it, or set with
rcronctl. Where keepalived does not run, the node is made passive.
"""

import glob
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

fifo, unit, rcronctl = sys.argv[1:4]
follow = json.loads(sys.argv[4])

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
    move_aside(path)
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
    foreign = "" if identity(path) or not os.path.lexists(path) else "; what is there is another user's: remove it"
    sys.exit(f"keepalived does not tell its state: it did not write {path} within {PATIENCE:.0f} s{foreign}")


def move_aside(path: str) -> None:
    """Make room where another user has put something, which anybody may do in /tmp: keepalived could not replace a
    folder, and what it did not write is not to be read."""
    if identity(path) is None and os.path.lexists(path):
        os.rename(path, f"{path}.{os.urandom(8).hex()}")


def identity(path: str) -> "tuple[int, int, int] | None":
    """What tells a file of root's from the one before; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_uid != 0:
        return None
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


def states(text: str) -> "list[tuple[str, str, str]]":
    """Kind, name and state of every instance and group. text: what dump returned."""
    return [(kind, *found) for kind, word in (("instance", STATE), ("group", GROUP)) for found in word.findall(text)]


def set_states(found: "list[tuple[str, str, str]]") -> None:
    """Set each cluster's state, an `active` for as long as keepalived lives."""
    masters = {(kind, name) for kind, name, state in found if state == "MASTER"}
    for cluster in follow:
        active = (cluster["kind"], cluster["name"]) in masters
        words = ["active", "--while", str(pid)] if active else ["passive"]
        # The process that rcronctl leaves on an active node is not to end with Ansible's login (KillUserProcesses=).
        scope = ["systemd-run", "--scope", "--quiet", "--slice=system.slice"] if active else []
        command = [*scope, rcronctl, "--conf", cluster["conf"], "set", *words, "--feeder", "keepalived"]
        subprocess.run(command, check=True)


pid = main_process()
if not pid:
    set_states([])
    sys.exit()

# Once more until nothing has changed in between: a state may change, and a reload replaces the FIFO a moment after it.
told = None
while not out_of_time():
    fd = open_fifo() if fifo else -1
    found = states(dump(pid))
    said = found, os.fstat(fd).st_ino if fifo else 0
    if said == told:
        break
    if fifo:
        os.write(fd, "".join(f'{kind.upper()} "{name}" {state} 0\n' for kind, name, state in found).encode())
        os.close(fd)
    else:
        set_states(found)
    told = said
    time.sleep(0.5)
print("".join(f"{kind} {name} {state}\n" for kind, name, state in found), end="")
