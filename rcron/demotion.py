# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A job is ended when its node turns passive: `on_demotion = terminate`.

The job has a process group of its own, so that all of it can be reached. A process that left the group, as timeout(1)
and setsid(1) do, is found through its parents for as long as they live. A process that was made a daemon on purpose,
with no parent left, is not part of the job any more.
"""

import _signal
import posix
import time

from rcron import child, log, state
from rcron.settings import PASSIVE, Config
from rcron.watch import Watch, is_removal

#: How often a terminated group is checked for its end, in seconds.
_POLL = 0.05
_SELDOM = 1.0


def supervise(config: Config, pid: int, own_group: bool, command: str) -> int:
    """Wait for the job as child.wait_for_end does, and end it if this node turns passive.

    Args:
        config: the cluster's.
        pid: the job's process.
        own_group: whether it leads a process group of its own. With a terminal it does not, and then only the job's
            own process and its descendants are signalled.
        command: the job, for the log.

    Returns:
        The job's exit status as a shell reports it.
    """
    began = time.monotonic()
    watch = Watch(config)
    exit_status = None
    while exit_status is None:
        verdict = state.current(config)
        if verdict.state == PASSIVE:
            if is_removal(config):
                return child.wait_for_end(config, pid)
            reason = " reason=stale" if verdict.source == state.STALE else ""
            fields = f"state=passive{verdict.field} status=demoted dur={int(time.monotonic() - began)}{reason}"
            log.event(config, fields, command)
            return _terminate(config, pid, own_group)
        info = watch.wait_for_change(child.WAITED_FOR, 3600.0, verdict)
        if info is not None:
            exit_status = child.handle_signal(config, info, pid)
    return exit_status


def _terminate(config: Config, pid: int, own_group: bool) -> int:
    """Send TERM to the job and its descendants, and KILL to what is left later. Returns the job's exit status.

    A process of another user (a setuid program's, sudo's) cannot be ended unless rcron runs as root. That is reported,
    and rcron goes on waiting for the job.
    """
    members = _Members(pid, own_group)
    # A stopped process acts on TERM only when it is continued.
    members.signal(_signal.SIGTERM)
    members.signal(_signal.SIGCONT)
    _report_refused(config, members, "TERM")
    deadline = time.monotonic() + config.kill_after
    killed = False
    exit_status = None
    while exit_status is None or members.left():
        if not killed and time.monotonic() >= deadline:
            members.signal(_signal.SIGKILL)
            _report_refused(config, members, "KILL")
            killed = True
        # What lives a second after KILL is another user's, or the kernel holds it: that can take hours.
        seconds = _POLL if time.monotonic() < deadline + 1 else _SELDOM
        info = child.next_signal(child.WAITED_FOR, seconds)
        if info is not None and exit_status is None:
            exit_status = child.handle_signal(config, info, pid)
        elif info is not None and info.si_signo == _signal.SIGCHLD:
            child.reap(pid)
    return exit_status


def _report_refused(config: Config, members: "_Members", name: str) -> None:
    if members.refused:
        numbers = ", ".join(map(str, sorted(members.refused)))
        child.report(
            config,
            f"{name} may not be sent to another user's process {numbers} of this job, which goes on on a passive node",
        )


class _Members:
    """The processes of a job: its group, and the descendants that left the group.

    A descendant is identified by its number and its start time, so that another process with its number is not mistaken
    for it.

    Attributes:
        refused (set[int]): those that may not be signalled.
    """

    def __init__(self, pid: int, own_group: bool) -> None:
        self._group = pid if own_group else 0
        self._leader = pid
        self._strays: "set[tuple[int, bytes]]" = set()
        #: A process that was found in the group, apart from its leader.
        self._member = 0
        self._seen_living = False
        self.refused: "set[int]" = set()
        self._find()

    def _find(self) -> None:
        table = None if _has_children_files() else _all_children()
        self.refused = {self._leader} if _is_refused(self._leader) else set()
        line = [self._leader, *(stray[0] for stray in self._strays)]
        while line:
            parent = line.pop()
            for pid in _children(parent) if table is None else table.get(parent, ()):
                line.append(pid)
                if _is_refused(pid):
                    self.refused.add(pid)
                found = _stat(pid)
                if found is not None and (not self._group or found[1] != self._group):
                    self._strays.add((pid, found[2]))

    def _living(self) -> "list[int]":
        return [pid for pid, started in self._strays if (_stat(pid) or (0, 0, b""))[2] == started]

    def signal(self, number: int) -> None:
        """Send a signal to all that are left."""
        self._find()
        for pid in self._living():
            _kill(pid, number)
        # A negative number is a process group's: kill(2).
        _kill(-self._group or self._leader, number)

    def left(self) -> bool:
        """Return whether any of them still lives, apart from the job's own process."""
        return bool(self._living()) or bool(self._group and self._group_lives())

    def _group_lives(self) -> bool:
        """Return whether a process of the group lives.

        All of /proc is searched if one of them has outlived the job, and again when the one that was found has ended.
        """
        if (_stat(self._member) or (0, 0, b""))[1] == self._group:
            return True
        try:
            posix.kill(-self._group, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # there is one, which belongs to another user by now
        if not self._seen_living:
            # Most processes end with their leader, and will have done so at the next question.
            self._seen_living = True
            return True
        # kill(2) counts zombies, which nothing can end: they are left to their parents.
        for pid in _numbers("/proc"):
            if (_stat(pid) or (0, 0, b""))[1] == self._group:
                self._member = pid
                return True
        return False


def _numbers(folder: str) -> "list[int]":
    """Return the processes or threads that a folder of /proc lists."""
    try:
        return [int(name) for name in posix.listdir(folder) if name.isdecimal()]
    except OSError:
        return []


def _has_children_files() -> bool:
    """Return whether there is /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN; Debian and Red Hat have it)."""
    try:
        posix.stat("/proc/thread-self/children")
    except OSError:
        return False
    return True


def _children(pid: int) -> "set[int]":
    """Return a process's children.

    The cost does not depend on how many other processes there are: many jobs may be demoted at once.
    """
    found: set[int] = set()
    # One that ends while such a file is read may hide another (proc_tid_children(5)): they are read twice.
    for thread in 2 * _numbers(f"/proc/{pid}/task"):
        try:
            fd = posix.open(f"/proc/{pid}/task/{thread}/children", posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            continue  # it has ended
        try:
            while data := posix.read(fd, 1 << 16):
                found.update(map(int, data.split()))
        except OSError:
            pass
        finally:
            posix.close(fd)
    return found


def _all_children() -> "dict[int, set[int]]":
    """Return the children of every process, by its number, for a kernel that does not list those of one."""
    table: "dict[int, set[int]]" = {}
    for pid in _numbers("/proc"):
        found = _stat(pid)
        if found is not None:
            table.setdefault(found[0], set()).add(pid)
    return table


def _kill(pid: int, number: int) -> None:
    try:
        posix.kill(pid, number)
    except OSError:
        pass  # it has ended, or (without root's rights) belongs to another user by now


def _is_refused(pid: int) -> bool:
    """Return whether a process may not be signalled. One signal to a group tells nothing of each of its processes."""
    try:
        posix.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _stat(pid: int) -> "tuple[int, int, bytes] | None":
    """Return a living process's parent, group and start time (proc_pid_stat(5)), or None."""
    try:
        fd = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = posix.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        posix.close(fd)
    # What is mounted in /proc's place may show anything.
    if len(fields) < 20 or fields[0] in (b"Z", b"X") or not (fields[1] + fields[2]).isdigit():
        return None
    return int(fields[1]), int(fields[2]), fields[19]
