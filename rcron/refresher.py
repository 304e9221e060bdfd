# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The process that a hook leaves behind on an active node, for a feeder that has no process of its own there.

A hook ends once it has written its state, and nothing would notice the death of the daemon that called it: `active`
would stay for ever. So this process refreshes the state for as long as the daemon lives, and writes `passive` when it
ends, however it ends. There is one for each cluster. It sleeps until the daemon's end (pidfd_open(2)), and ends when
another event has come.

TERM does not end it: a service manager sends that to all of a service's processes at once, the daemon has yet to end,
and then somebody must be there to notice.
"""

import os
import select
import signal
import time

from rcron import feed, log, process
from rcron.settings import ACTIVE, PASSIVE, Config

#: How often the state is refreshed at least, in seconds.
TICK = 5.0

#: How long after a stopped daemon goes on its state is refreshed, in seconds. It has adverts to read, and perhaps
#: gives up its role to another host; but if it keeps the role, no host is active until its state is fresh again.
SETTLED = 0.25


class Schedule:
    """When states are refreshed.

    Three times in the shortest state_max_age; at once after the clock was set, which makes a fresh state look stale or
    a stale one fresh; not while the daemon is stopped, when it does not speak to its peers and one of them is about to
    take over; and soon after it goes on.

    Args:
        daemon: the process that the states depend on.
        limits: the state_max_age of each cluster, in seconds; 0 if it has none.
    """

    def __init__(self, daemon: int, limits: "list[int]") -> None:
        aged = [limit / 3 for limit in limits if limit]
        self._daemon = daemon
        self._interval = min([*aged, TICK])
        self._tick = min(1.0, self._interval) if aged else TICK
        self._settled: "float | None" = None
        self._start()

    def _start(self) -> None:
        self._due = time.monotonic() + self._interval
        self._clock = time.time() - time.monotonic()

    @property
    def tick(self) -> float:
        """How long to sleep at most until the next call of restart_if_due, in seconds; always above 0."""
        if self._settled is not None:
            return SETTLED
        # Not beyond the time that it is due: with ticks of a second, three times in 4 s would be every 2 s.
        return max(0.001, min(self._tick, self._due - time.monotonic()))

    def restart_if_due(self) -> bool:
        """Return whether a refresh is due. If it is, the interval to the next one begins now."""
        now = time.monotonic()
        if process.is_stopped(self._daemon):
            self._settled = now + SETTLED
            return False
        if self._settled is not None:
            if now < self._settled:
                return False
            self._settled = None
        elif now < self._due and abs(time.time() - now - self._clock) <= 0.5:
            return False
        self._start()
        return True


def spawn(config: Config, feeder: str, moment: "feed.Moment", daemon: int, started: str) -> None:
    """Leave the process behind, unless there is one for this daemon already. Returns at once.

    Args:
        config: the cluster's, whose state is active.
        feeder: the feeder's name.
        moment: the event's.
        daemon: the process on whose life `active` depends.
        started: its start as process.started_at returns it; empty if it has ended already.

    Raises:
        OSError: no process can be created.
    """
    record = feed.read_record(config)
    if record is not None and record.alive and record.daemon == f"{daemon} {started}":
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # Twice, and in a session of its own: nobody's child, and out of reach of what its caller ends together with itself.
    exit_status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            _detach()
            _stay(config, feeder, moment, daemon, started)
        exit_status = 0
    finally:
        os._exit(exit_status)


def _detach() -> None:
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    # A pipe that stays open here would make its reader wait: some feeders and Ansible read what their hooks print.
    # Only the descriptors that exist, not all possible ones: a service may be allowed a thousand million.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that read the listing
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _stay(config: Config, feeder: str, moment: "feed.Moment", daemon: int, started: str) -> None:
    if not feed.hand_on(config, moment, os.getpid(), f"{daemon} {started}"):
        return
    end = _ProcessEnd(daemon)
    schedule = Schedule(daemon, [config.state_max_age])
    written = True
    while started and process.started_at(daemon) == started:
        end.wait_for(schedule.tick)
        if not _is_mine(config):
            return
        if schedule.restart_if_due():
            written = _try(config, written, ACTIVE)
    # The daemon has ended. If the state cannot be written, all that is left is to try again.
    written = True
    while _is_mine(config):
        written = _try(config, written, PASSIVE, feeder)
        if written:
            return
        time.sleep(1)


def _is_mine(config: Config) -> bool:
    record = feed.read_record(config)
    return record is not None and record.pid == os.getpid()


def _try(config: Config, written: bool, state: str, feeder: str = "") -> bool:
    """Refresh, or write the state; log the first failure. Returns whether it succeeded."""
    try:
        if state == ACTIVE:
            if feed.refresh(config, ACTIVE, follows=os.getpid()):
                log.warning(config, f"{config.state_file}: was gone or broken; restored: active")
        else:
            feed.accept_event(config, state, feeder, "ended", follows=os.getpid())
    except OSError as error:
        if written:
            log.warning(config, f"{config.state_file}: not written, should be {state}: {error.strerror}")
        return False
    return True


class _ProcessEnd:
    """Waits for the end of a process, by its number."""

    def __init__(self, pid: int) -> None:
        self._poll = select.poll()
        try:
            self._poll.register(os.pidfd_open(pid), select.POLLIN)
            self._longest = TICK
        except (AttributeError, OSError, OverflowError):
            # Before Linux 5.3 there is no such call; or the process has ended, or no process can have the number.
            self._longest = 0.5

    def wait_for(self, seconds: float) -> None:
        """Wait until the process ends, for a time in seconds at most."""
        self._poll.poll(min(seconds, self._longest) * 1000)
