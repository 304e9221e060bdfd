# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A guarded service is stopped when its node turns passive: `on_demotion = terminate`.

Nothing of rcron's runs beside a service, so `guard` has systemd start one more, transient unit, which waits for the
demotion and then stops the service as systemd stops it: with its own ExecStop=, KillMode= and TimeoutStopSec=. The unit
ends with the service.
"""

import subprocess
import time

from rcron import log, state
from rcron.settings import PASSIVE, Config
from rcron.watch import Watch, is_removal

#: Where systemd's programs are. `guard` runs as root with the environment of the service, whose PATH may begin with a
#: folder of the service's user.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

#: How often the waiting process looks whether the service is still there, in seconds.
_SELDOM = 30.0

#: How long systemd has for an answer, in seconds.
_TIME_LIMIT = 20.0


def _name(unit: str) -> str:
    """Return the name of the unit that watches a service. A unit's name is a valid part of another's."""
    return f"rcron-stopper-{unit.replace('@', ':')}"


def start(rcronctl: str, conf: str, unit: str, user: bool) -> None:
    """Have systemd start the process that waits for the demotion.

    Args:
        rcronctl: the program's path.
        conf: the configuration's path.
        unit: the service.
        user: whether it is a user's own.

    Raises:
        OSError: systemd does not start it.
    """
    name = _name(unit)
    # One that a service has left behind which was killed together with its ExecStopPost=.
    _systemd("systemctl", user, "stop", "--", name)
    words = [rcronctl, "--conf", conf, "guard", "--watch", *_scope(user), unit]
    made = _systemd("systemd-run", user, "--quiet", "--collect", f"--unit={name}", "--", *words)
    if made.returncode:
        raise OSError(made.stdout.decode("utf-8", "replace").strip() or f"systemd-run ended with {made.returncode}")


def end(unit: str, user: bool) -> None:
    """End that process, because the service has ended.

    Args:
        unit: the service.
        user: whether it is a user's own.
    """
    try:
        _systemd("systemctl", user, "stop", "--no-block", "--", _name(unit))
    except OSError:
        pass  # it sees by itself that the service has ended


def watch(config: Config, unit: str, user: bool, fields: str) -> int:
    """Wait until this node turns passive, and stop the service then.

    Args:
        config: the cluster's.
        unit: the service.
        user: whether it is a user's own.
        fields: what the log line says of it.

    Returns:
        The exit status: 0, or 1 if the service could not be stopped.
    """
    began = time.monotonic()
    watch = Watch(config)
    while True:
        verdict = state.current(config)
        if verdict.state == PASSIVE:
            if is_removal(config):
                return 0
            break
        if time.monotonic() - began > _SELDOM and _property(unit, user, "ActiveState") in ("inactive", "failed"):
            return 0
        watch.wait_for_change((), _SELDOM, verdict)
    reason = " reason=stale" if verdict.source == state.STALE else ""
    passed = int(time.monotonic() - began)
    log.event(config, f"state=passive{verdict.field} status=demoted dur={passed}{reason}{fields}", log.command([unit]))
    # Without waiting: ExecStopPost= of that service ends this process.
    stopped = _systemd("systemctl", user, "stop", "--no-block", "--", unit)
    if stopped.returncode:
        said = stopped.stdout.decode("utf-8", "replace").strip()
        log.warning(config, f"{unit} could not be stopped and goes on on a passive node: {said}")
    return int(bool(stopped.returncode))


def duration(unit: str, user: bool) -> int:
    """Return for how many seconds a service's own process has run, or had.

    Args:
        unit: the service.
        user: whether it is a user's own.
    """
    # In microseconds of CLOCK_MONOTONIC, which is what time.monotonic() reads.
    began = _property(unit, user, "ExecMainStartTimestampMonotonic")
    if not began.isdecimal() or not int(began):
        return 0
    return max(0, int(time.monotonic() - int(began) / 1e6))


def _property(unit: str, user: bool, name: str) -> str:
    try:
        answer = _systemd("systemctl", user, "show", f"--property={name}", "--value", "--", unit)
    except OSError:
        return ""
    return answer.stdout.decode("utf-8", "replace").strip()


def _scope(user: bool) -> "list[str]":
    return ["--user"] if user else []


def _systemd(program: str, user: bool, *words: str) -> "subprocess.CompletedProcess[bytes]":
    """Run one of systemd's programs.

    Raises:
        OSError: it cannot be run, or does not answer in time.
    """
    try:
        return subprocess.run(
            [program, *_scope(user), *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIME_LIMIT,
            env=None if user else {"PATH": PATH, "LC_ALL": "C"},  # a user's manager is found by his environment
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{program} did not answer within {_TIME_LIMIT:g} s") from None
