# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcronctl health`: what one node knows of its own health, as Nagios, Icinga and Checkmk want to be answered.

The forms are those of the Monitoring Plugins' guidelines (https://www.monitoring-plugins.org/doc/guidelines.html): one
line with the performance data behind a `|`, more lines for people, and the exit status; and Checkmk's local check.
"""

import os
import time
from typing import NamedTuple

from rcron import log, pin, state, status
from rcron.settings import ACTIVE, Config, ConfigError, load

#: The exit statuses of a plugin, and the words for them.
OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

#: How old a pin may become before that is a warning, in seconds.
PIN_AGE = 86400

#: An `active` must be refreshed in half of state_max_age. This part of it has then been missed for certain.
_LATE = 0.75

#: A time that is this far in the future shows that the clock was set back, in seconds.
_AHEAD = 2.0

_TIME_ERROR = 5  # <sys/timex.h>: the clock is not synchronized


class Limits(NamedTuple):
    """What is still healthy.

    Attributes:
        warning (int | None): a feeder that has not spoken for so many seconds is a warning; None for never.
        critical (int | None): the same, critical.
        pin_age (int): a pin older than so many seconds is a warning.
        feeder (bool): whether a feeder must have spoken.
        clock (bool): whether the clock must be synchronized.
    """

    warning: "int | None" = None
    critical: "int | None" = None
    pin_age: int = PIN_AGE
    feeder: bool = True
    clock: bool = True


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level (int): OK, WARNING or CRITICAL.
        text (str): a sentence for a person, without a full stop.
    """

    level: int
    text: str


class Measure(NamedTuple):
    """One value for a graph.

    Attributes:
        name (str): its name.
        value (float): the value, in seconds unless it is a flag.
        warning (float | None): above it there is a warning.
        critical (float | None): above it, it is critical.
        is_flag (bool): whether it is 0 or 1.
    """

    name: str
    value: float
    warning: "float | None" = None
    critical: "float | None" = None
    is_flag: bool = False


class Health:
    """What was found of one cluster on this node.

    Attributes:
        name (str): the cluster's name.
        findings (list[Finding]): one for each thing that was looked at, in a fixed order.
        measures (list[Measure]): the values.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: "list[Finding]" = []
        self.measures: "list[Measure]" = []

    @property
    def level(self) -> int:
        """The worst of all findings."""
        return max(finding.level for finding in self.findings)

    def add(self, level: int, text: str, *measures: Measure) -> None:
        """Note a finding.

        Args:
            level: OK, WARNING or CRITICAL.
            text: the sentence.
            measures: its values.
        """
        self.findings.append(Finding(level, text))
        self.measures.extend(measures)

    def headline(self) -> str:
        """Return what is wrong in one line, or the state if nothing is."""
        wrong = sorted((each for each in self.findings if each.level), key=lambda each: -each.level)
        return "; ".join(each.text for each in wrong or self.findings[:1])


def examine(config: Config, limits: Limits) -> Health:
    """Look at this node's part in one cluster.

    Args:
        config: the cluster's.
        limits: what is still healthy.

    Returns:
        What was found.
    """
    found = Health(config.cluster_name)
    facts = status.facts(config)
    now = time.time()
    _examine_state(found, facts, now)
    _examine_age(found, config, now)
    _examine_feeder(found, facts, limits, now)
    _examine_pin(found, config, limits, now)
    if limits.clock:
        _examine_clock(found)
    return found


def _examine_state(found: Health, facts: "status.Facts", now: float) -> None:
    level = {state.STALE: CRITICAL, state.AGENT: CRITICAL, state.DEFAULT: WARNING}.get(facts["source"], OK)
    text = facts["state"] if level == OK else f"{facts['state']}: {facts['reason']}"
    found.add(level, text, Measure("active", facts["state"] == ACTIVE, is_flag=True))
    if facts["since"] is not None:
        if level == OK:
            found.findings[-1] = Finding(OK, f"{text} for {status.span(max(0.0, now - facts['since']))}")
        found.measures.append(Measure("state_age", max(0.0, now - facts["since"])))


def _examine_age(found: Health, config: Config, now: float) -> None:
    """Look how long ago the state was refreshed. That it is stale was found already."""
    verdict = state.from_file(config)
    if verdict.written is None or not config.state_max_age:
        return
    age = now - verdict.written
    limit = config.state_max_age
    if verdict.state != ACTIVE and verdict.source != state.STALE:
        return  # nobody needs to refresh a passive state
    late = limit * _LATE
    level = WARNING if late < age <= limit else OK
    text = f"refreshed {age:.0f} s ago (state_max_age {limit})"
    if verdict.source != state.STALE:
        found.add(level, text if level == OK else f"{text}: the feeder is late")
    found.measures.append(Measure("refreshed", age, late, limit))


def _examine_feeder(found: Health, facts: "status.Facts", limits: Limits, now: float) -> None:
    feeder = facts["feeder"]
    if feeder is None:
        if limits.feeder:
            found.add(WARNING, "no feeder has reported yet")
        return
    name = feeder["name"]
    age = now - feeder["spoke"]
    measure = Measure("spoke", age, limits.warning, limits.critical)
    said = f"feeder {name}"
    answer = feeder["answer"]
    if feeder["alive"] is False:
        level, text = CRITICAL, f"{said}: its process is gone, event {feeder['event']}"
    elif limits.critical is not None and age > limits.critical:
        level, text = CRITICAL, f"{said} has not spoken for {status.span(age)}"
    elif limits.warning is not None and age > limits.warning:
        level, text = WARNING, f"{said} has not spoken for {status.span(age)}"
    elif age < -_AHEAD:
        level, text = WARNING, f"{said} spoke {status.span(-age)} in the future: the clock was set back"
    elif answer is not None and answer["state"] == "unknown":
        level, text = WARNING, f"{said} does not say what this node is: {answer['words']}"
    else:
        level, text = OK, f"{said} spoke {status.span(max(0.0, age))} ago: {feeder['event']}"
    found.add(level, text, measure)


def _examine_pin(found: Health, config: Config, limits: Limits, now: float) -> None:
    try:
        held = pin.read(config)
    except ValueError as error:
        found.add(WARNING, str(error))
        return
    if held is None:
        return
    try:
        age = max(0.0, now - os.stat(config.pin_file).st_mtime)
    except OSError:
        return  # removed since
    text = f"pinned {held.state} for {status.span(age)}"
    if held.left is not None:
        text += f", until {status.moment(now + held.left)}"
    level = WARNING if age > limits.pin_age else OK
    found.add(level, text, Measure("pin_age", age, limits.pin_age))


def _examine_clock(found: Health) -> None:
    """Ask the kernel whether somebody keeps its clock: adjtimex(2). cron goes by it, on each node by its own."""
    try:
        import ctypes  # Debian's python3-minimal lacks it
    except ImportError:
        return
    buffer = (ctypes.c_long * 64)()  # struct timex and more; all zero asks, and changes nothing
    answer = ctypes.CDLL(None).adjtimex(buffer)
    if answer < 0:
        return
    if answer == _TIME_ERROR:
        found.add(WARNING, "the clock is not synchronized")
    else:
        # The third long after modes and offset, in microseconds: how far the clock may be off.
        found.add(OK, "the clock is synchronized", Measure("clock_error", buffer[3] / 1e6))


def failed(name: str, error: Exception) -> Health:
    """Return what to say if the configuration cannot be used: then no job runs.

    Args:
        name: what is known of the cluster.
        error: the reason.
    """
    found = Health(name)
    found.add(CRITICAL if isinstance(error, ConfigError) else UNKNOWN, str(error))
    return found


def as_plugin(found: Health) -> str:
    """Return the answer of a plugin.

    Args:
        found: what was found.
    """
    first = f"RCRON {WORDS[found.level]} - {found.name}: {found.headline()}"
    measured = " ".join(
        f"'{each.name}'={_number(each.value)}{'' if each.is_flag else 's'};{_limit(each.warning)};"
        f"{_limit(each.critical)};{'0;1' if each.is_flag else '0;' if each.value >= 0 else ';'}"
        for each in found.measures
    )
    lines = [f"{_text(first)} | {measured}" if measured else _text(first)]
    lines += [_text(f"[{WORDS[each.level]}] {each.text}") for each in found.findings]
    return "\n".join(lines)


def as_local_check(found: Health) -> str:
    """Return the line of a local check of Checkmk.

    Args:
        found: what was found.
    """
    measured = "|".join(
        f"{each.name}={_number(each.value)};{_limit(each.warning)};{_limit(each.critical)}" for each in found.measures
    )
    name = log.one_line(found.name).replace('"', "'").replace("\\", "/")
    return f'{found.level} "rcron {name}" {measured or "-"} {_text(found.headline())}'


def _text(text: str) -> str:
    """Return a text as one line in which no `|` begins performance data."""
    return log.one_line(text).replace("|", "/")


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _limit(value: "float | None") -> str:
    return "" if value is None else _number(value)


def run(path: str, limits: Limits, checkmk: bool) -> int:
    """Examine a cluster and print the answer.

    Args:
        path: the configuration.
        limits: what is still healthy.
        checkmk: whether to answer Checkmk.

    Returns:
        The exit status. Checkmk wants 0: the level is in the line.
    """
    try:
        found = examine(load(path), limits)
    except (ConfigError, OSError) as error:
        found = failed(os.path.basename(path), error)
    print(as_local_check(found) if checkmk else as_plugin(found))
    return OK if checkmk else found.level
