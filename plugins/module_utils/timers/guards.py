# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Guarding services: what is asked for, what must be done for it, and doing that."""

from __future__ import annotations

import glob
import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Any

from ..node import programs
from . import drop_in, hazards
from .units import Manager, MissingUnitError, Timer, UnitError, Units, UserUnits, asked_for, blocks

#: The longest wait, in seconds: as in rcron.conf.
LONGEST_WAIT = 86400

#: What systemd takes for the name of a timer or a service (systemd.unit(5)).
UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?\.(timer|service)")

#: A running service manager of a user.
USER_SOCKETS = "/run/user/[0-9]*/systemd/private"

#: Seconds that such a manager has to read its units again. It is the user's, and need not answer at all.
USER_TIME_LIMIT = 5.0


@dataclass(frozen=True)
class Request:
    """One item of the task.

    Attributes:
        unit: A timer or a service.
        scope: `system` or `user`.
        takeover_wait: Seconds; None for what the configuration says.
        started_by_others: Whether starts by other units than timers may be skipped, too.
        on_missing: `fail`, `warn` or `ignore`.
        claim: `off`, `required` or `preferred`; None for what the configuration says.
        claim_window: For how many seconds the service is claimed; None: only a run is.
    """

    unit: str
    scope: str = "system"
    takeover_wait: int | None = None
    started_by_others: bool = False
    on_missing: str = "fail"
    claim: str | None = None
    claim_window: int | None = None

    @property
    def options(self) -> tuple[int | None, str | None, int | None]:
        """What the drop-in says of it."""
        return self.takeover_wait, self.claim, self.claim_window


@dataclass
class Guard:
    """A service's drop-in.

    Attributes:
        unit: The unit that the task names.
        service: The service.
        scope: `system` or `user`.
        before: The drop-in's text as it is; None if there is none.
        after: The text that it should have; None if there should be none.
    """

    unit: str
    service: str
    scope: str
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        """Where the drop-in is."""
        return drop_in.path(self.scope, self.service)

    @property
    def changed(self) -> bool:
        """Whether something must be done."""
        return self.before != self.after

    def shown(self) -> dict[str, Any]:
        """Return what the module returns of it."""
        return {
            "unit": self.unit,
            "service": self.service,
            "scope": self.scope,
            "path": self.path,
            "changed": self.changed,
        }


@dataclass
class Plan:
    """What must be done.

    Attributes:
        guards: The drop-ins, also those that are as they should be.
        hazards: What the operator must know.
        refusals: Why nothing can be done.
    """

    guards: list[Guard] = field(default_factory=list)
    hazards: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def apply(self) -> list[str]:
        """Write and remove the drop-ins, and have the service managers read them.

        Returns:
            A sentence for each user whose service manager has not read them: they hold from its next start on.

        Raises:
            OSError: A drop-in cannot be written or removed.
            ProgramError: systemd cannot read them, or does not obey them.
        """
        changed = [guard for guard in self.guards if guard.changed]
        for guard in changed:
            if guard.after is None:
                os.unlink(guard.path)
                try:
                    os.rmdir(os.path.dirname(guard.path))
                except OSError:
                    pass  # it holds somebody's own
            else:
                _write(guard.path, guard.after)
        if any(guard.scope == "system" for guard in changed):
            programs.output("systemctl", "daemon-reload")
        problems = _reload_users() if any(guard.scope == "user" for guard in changed) else []
        for guard in self.guards:
            if guard.after is not None and guard.scope == "system":
                _check_effective(guard)
        return problems


def plan_present(
    requests: list[Request],
    rcronctl: str,
    conf: str,
    managers: dict[str, Units] | None = None,
    term_file: str = "",
) -> Plan:
    """Find out what must be done so that units are guarded.

    Args:
        requests: The units.
        rcronctl: The path of rcronctl.
        conf: The path of rcron.conf.
        managers: The units of each scope; None for this host's.
        term_file: The file that holds the lease's term; "" if there is none.

    Raises:
        ProgramError: systemd does not answer.
    """
    plan = Plan()
    for name, path in (("rcronctl_path", rcronctl), ("conf", conf), ("term_file", term_file.replace("%", ""))):
        if (path or name != "term_file") and not drop_in.PLAIN.fullmatch(path):
            plan.refusals.append(
                f"{name} is {path}: use an absolute path without blanks, quotes, $ and %, which systemd would change"
            )
    managers = managers or {"system": Manager(), "user": UserUnits()}
    version = systemd_version()
    if version < hazards.OLDEST:
        plan.refusals.append(
            f"systemd {version} does not know ExecCondition=, which came with {hazards.OLDEST}: write "
            "ExecStart=/usr/bin/rcron COMMAND in the service instead"
        )
        return plan
    seen: dict[str, Request] = {}
    for request in requests:
        try:
            service, timer = _find(request, managers[request.scope])
        except MissingUnitError as error:
            if request.on_missing == "fail":
                plan.refusals.append(f"{error}: correct the name, create the unit, or set on_missing to warn or ignore")
            elif request.on_missing == "warn":
                plan.hazards.append(f"{error}, so nothing guards it")
            continue
        except UnitError as error:
            plan.refusals.append(str(error))
            continue
        place = drop_in.path(request.scope, service.name)
        earlier = seen.setdefault(place, request)
        if earlier is not request:
            if earlier.options != request.options:
                plan.refusals.append(
                    f"{earlier.unit} and {request.unit} start the same {service.name}: give both the same "
                    "takeover_wait, claim and claim_window"
                )
            continue
        plan.refusals += hazards.refusals(service, request.started_by_others, request.takeover_wait)
        plan.hazards += hazards.warnings(service, timer, request.takeover_wait, version, request.claim_window or 0)
        text = drop_in.text(request.scope, rcronctl, conf, *request.options, term_file)
        try:
            before = drop_in.read(place)
        except OSError as error:
            plan.refusals.append(f"{place} cannot be read: {error.strerror}; remove it")
            continue
        guarded_for = None if before is None else drop_in.conf_of(before)
        if before is not None and guarded_for != conf:
            whose = f"guards it for {guarded_for}" if guarded_for else "was not written by this module"
            plan.refusals.append(f"{place} {whose}: remove that first")
            continue
        plan.guards.append(Guard(request.unit, service.name, request.scope, before, text))
    return plan


def plan_absent(requests: list[Request], conf: str) -> Plan:
    """Find out what must be done so that units are not guarded.

    Only drop-ins of this cluster are removed, whether or not their units are still there.

    Args:
        requests: The units; none for all of the cluster's.
        conf: The path of rcron.conf.

    Raises:
        ProgramError: systemd does not answer.
    """
    plan = Plan()
    there = drop_in.existing(conf)
    wanted = {}
    managers: dict[str, Units] = {"system": Manager(), "user": UserUnits()}
    for request in requests:
        name = request.unit
        if not _is_named(request, plan):
            continue
        service = re.sub(r"\.timer\Z", ".service", name)
        if drop_in.path(request.scope, service) not in there and name.endswith(".timer"):
            try:
                service = managers[request.scope].timer(name).service
            except UnitError:
                continue  # a unit that is gone is not guarded
        wanted[drop_in.path(request.scope, service)] = name
    for place, (scope, service) in there.items():
        if not requests or place in wanted:
            plan.guards.append(Guard(wanted.get(place, service), service, scope, drop_in.read(place), None))
    return plan


def systemd_version() -> int:
    """Return the version of the host's systemd.

    Raises:
        ProgramError: There is none.
    """
    said = programs.output("systemctl", "--version")
    match = re.match(r"systemd (\d+)", said)
    if match is None:
        raise programs.ProgramError(f"systemctl --version says {said.splitlines()[:1]}: this is not systemd")
    return int(match[1])


def _is_named(request: Request, plan: Plan) -> bool:
    if UNIT_NAME.fullmatch(request.unit):
        return True
    plan.refusals.append(f"{request.unit!r} is not the name of a timer or a service: end it with .timer or .service")
    return False


def _find(request: Request, units: Units) -> tuple[Any, Timer | None]:
    """Find the service of a request, and the timer if it names one."""
    if not UNIT_NAME.fullmatch(request.unit):
        raise UnitError(f"{request.unit!r} is not the name of a timer or a service: end it with .timer or .service")
    if request.takeover_wait is not None and not 0 <= request.takeover_wait <= LONGEST_WAIT:
        raise UnitError(f"{request.unit}: takeover_wait is {request.takeover_wait}: set 0 to {LONGEST_WAIT} seconds")
    if request.claim_window is not None and not 1 <= request.claim_window <= LONGEST_WAIT:
        raise UnitError(f"{request.unit}: claim_window is {request.claim_window}: set 1 to {LONGEST_WAIT} seconds")
    if request.unit.endswith(".service"):
        return units.service(request.unit), None
    timer = units.timer(request.unit)
    if not timer.service.endswith(".service"):
        raise UnitError(f"{timer.name} starts {timer.service}: only a service has ExecCondition=")
    return units.service(timer.service), timer


def _write(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    # systemd reads *.conf only.
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".rcron.", suffix=".new")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _reload_users() -> list[str]:
    """Have each user's running service manager read its units again. The others do so when they are started.

    `systemctl --machine=USER@` came after systemd 247.

    Returns:
        A sentence for each that has not.
    """
    problems = []
    for socket in sorted(glob.glob(USER_SOCKETS)):
        runtime = os.path.dirname(os.path.dirname(socket))
        uid = os.path.basename(runtime)
        try:
            is_theirs = stat.S_ISSOCK(os.lstat(socket).st_mode) and os.lstat(runtime).st_uid == int(uid)
        except OSError:
            continue  # it has just ended
        if not is_theirs:
            continue
        # As that user, who may have put anything into that folder, and may look into the process: so what it says is
        # cut off, and is shown to the administrator without what a terminal would obey.
        try:
            done = programs.run(
                "env", f"XDG_RUNTIME_DIR={runtime}", "systemctl", "--user", "daemon-reload",
                time_limit=USER_TIME_LIMIT, user=pwd.getpwuid(int(uid)).pw_name,
            )  # fmt: skip
            if done.returncode == 0:
                continue
            said = done.stderr or done.stdout or f"exit status {done.returncode}"
        except (KeyError, programs.ProgramError) as error:
            said = str(error).partition("daemon-reload")[2]
        said = "".join(filter(str.isprintable, said))[:200].strip(": ")
        problems.append(
            f"the service manager of the user {uid} has not read its units again ({said}): what is guarded there "
            f"holds from its next start on, or after systemctl --user daemon-reload as that user"
        )
    return problems


def _check_effective(guard: Guard) -> None:
    """Check that systemd obeys a drop-in. A later one may have taken the condition back.

    Raises:
        ProgramError: It does not.
    """
    name = asked_for(guard.service)
    shown = blocks(programs.output("systemctl", "show", "--property=Id,ExecCondition", "--", name))
    condition = shown[0].get("ExecCondition", "") if shown else ""
    if " guard " not in condition:
        raise programs.ProgramError(
            f"{guard.path} is there, but {guard.service} has no such ExecCondition=: look with systemctl cat for a "
            "drop-in that sorts after it and empties ExecCondition="
        )
