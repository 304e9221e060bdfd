# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""When an entry was last due, and is due next, by rules on which Debian's cron 3.0pl1 and cronie 1.5 agree.

- Day of month and day of week: both must fit if one of the fields begins with `*`; otherwise one is enough.
- When clocks go forward, an entry whose minute and hour do not begin with `*` and whose time is left out is run right
  after the change. When they go back, it is run the first time only. All other entries go by the clock on the wall.

What only one of the crons knows, or what is random (cronie's `~`), is not guessed: such an entry is never due here.
"""

import datetime
import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

#: For each field: its lowest and highest number, and names for the numbers from the lowest on.
_FIELDS: "tuple[tuple[int, int, tuple[str, ...]], ...]" = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

#: A number or a name, a range of them with or without a step, or a star with or without one.
_RANGE = re.compile(
    r"(?:\*|(?P<first>[0-9]{1,2}|[a-z]{3})(?:-(?P<last>[0-9]{1,2}|[a-z]{3}))?)(?:/(?P<step>[0-9]{1,2}))?"
)

#: How far a fitting day is looked for, in years: 29 February comes after eight years at most, on a given weekday
#: in 40.
_FARTHEST = 41

#: How many days each month may have.
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Schedule(NamedTuple):
    """The times of an entry.

    Attributes:
        minutes (frozenset[int]): the minutes that fit.
        hours (frozenset[int]): likewise.
        days (frozenset[int]): likewise, of the month.
        months (frozenset[int]): likewise.
        weekdays (frozenset[int]): likewise, from 0 for Sunday to 6.
        both_days (bool): whether the day of the month and that of the week must both fit.
        is_wild (bool): whether the minute or the hour begins with a star.
    """

    minutes: "frozenset[int]"
    hours: "frozenset[int]"
    days: "frozenset[int]"
    months: "frozenset[int]"
    weekdays: "frozenset[int]"
    both_days: bool
    is_wild: bool

    def is_day(self, day: datetime.date) -> bool:
        """Return whether the entry is due on a day.

        Args:
            day: the day.
        """
        if day.month not in self.months:
            return False
        fits = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return all(fits) if self.both_days else any(fits)


def parse(text: str) -> "Schedule | None":
    """Read the fields of an entry.

    Args:
        text: five fields, or a word that begins with `@`.

    Returns:
        The schedule; None if it has no times (`@reboot`), or if the crons do not agree on it.
    """
    fields = _NICKNAMES.get(text.lower(), text).split()
    if len(fields) != len(_FIELDS):
        return None
    sets = [_numbers(field, *about) for field, about in zip(fields, _FIELDS)]
    minutes, hours, days, months, weekdays = sets
    if minutes is None or hours is None or days is None or months is None or weekdays is None:
        return None
    starred = [field[0] == "*" for field in fields]
    sundays = frozenset(day % 7 for day in weekdays)
    return Schedule(minutes, hours, days, months, sundays, starred[2] or starred[4], starred[0] or starred[1])


def _numbers(field: str, low: int, high: int, names: "tuple[str, ...]") -> "frozenset[int] | None":
    found: "set[int]" = set()
    for part in field.lower().split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            return None
        first, last = (_number(match[name], low, names) for name in ("first", "last"))
        step = int(match["step"] or 1)
        if match["first"] is None:
            first, last = low, high
        elif match["last"] is None:
            last = first
            if match["step"]:
                return None  # `5/10`: 5 alone for one cron, and from 5 on for another
        if first is None or last is None or not low <= first <= last <= high or not step:
            return None
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(word: "str | None", low: int, names: "tuple[str, ...]") -> "int | None":
    if word is None:
        return None
    if word.isdecimal():
        return int(word)
    return names.index(word) + low if word in names else None


def last_due(schedule: Schedule, now: float, zone: "Optional[datetime.tzinfo]" = None) -> "float | None":
    """Return when an entry was last due.

    Args:
        schedule: its times.
        now: until when, in seconds since the epoch.
        zone: the time zone; None for this machine's.

    Returns:
        Seconds since the epoch; None if it never is (30 February).
    """
    here = datetime.datetime.fromtimestamp(now, zone)
    for day in _days(schedule, here.date(), -1):
        hours = sorted(schedule.hours, reverse=True)
        if _clocks_stay(day, zone):
            hours = [hour for hour in hours if day < here.date() or hour <= here.hour]
            past = next((moment for moment in _moments(schedule, day, hours, zone) if moment <= now), None)
        else:
            # The order of the hours is not that of time.
            past = max((each for each in _moments(schedule, day, hours, zone) if each <= now), default=None)
        if past is not None:
            return past
    return None


def next_due(schedule: Schedule, now: float, zone: "Optional[datetime.tzinfo]" = None) -> "float | None":
    """Return when an entry is due next.

    Args:
        schedule: its times.
        now: after when, in seconds since the epoch.
        zone: the time zone; None for this machine's.

    Returns:
        Seconds since the epoch; None if it never is (30 February).
    """
    here = datetime.datetime.fromtimestamp(now, zone)
    for day in _days(schedule, here.date(), 1):
        hours = sorted(schedule.hours, reverse=True)
        if day == here.date() and _clocks_stay(day, zone):
            hours = [hour for hour in hours if hour >= here.hour]
        coming = min((each for each in _moments(schedule, day, hours, zone) if each > now), default=None)
        if coming is not None:
            return coming
    return None


def _days(schedule: Schedule, first: datetime.date, step: int) -> "Iterator[datetime.date]":
    """Yield the days that fit, one after the other.

    Looks at as few others as it can: any user's crontab may have ten thousand entries for 30 February.

    Args:
        schedule: the entry's times.
        first: the day to begin with.
        step: 1 to go forward, -1 to go back.
    """
    numbers = sorted(schedule.days) if schedule.both_days else range(1, 32)
    for year in range(first.year, first.year + step * _FARTHEST, step):
        for month in sorted(schedule.months)[::step]:
            for number in numbers[::step]:
                if number > _LENGTHS[month - 1]:
                    continue
                try:
                    day = datetime.date(year, month, number)
                except ValueError:
                    continue  # 29 February
                if (day - first).days * step >= 0 and schedule.is_day(day):
                    yield day


def _moments(
    schedule: Schedule, day: datetime.date, hours: "list[int]", zone: "Optional[datetime.tzinfo]"
) -> "Iterator[float]":
    """Yield when an entry is due in some hours of a day, the latest first by the clock on the wall."""
    for hour in hours:
        for minute in sorted(schedule.minutes, reverse=True):
            wall = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            yield from _at(wall, schedule.is_wild, zone)


def _clocks_stay(day: datetime.date, zone: "Optional[datetime.tzinfo]") -> bool:
    midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=zone)
    return _offset(midnight.timestamp(), zone) == _offset((midnight + datetime.timedelta(days=1)).timestamp(), zone)


def _at(wall: datetime.datetime, is_wild: bool, zone: "Optional[datetime.tzinfo]") -> "list[float]":
    """Return the moments at which cron takes a time on the wall for reached."""
    first, second = (wall.replace(fold=fold).timestamp() for fold in (0, 1))
    if first == second:
        return [first]
    if datetime.datetime.fromtimestamp(first, zone).replace(fold=0) == wall.replace(fold=0):
        return [first, second] if is_wild else [first]
    # There is no such time: the clock goes forward over it. PEP 495: `first` is after the change, `second` before.
    return [] if is_wild else [_change(second, first, zone)]


def _change(before: float, after: float, zone: "Optional[datetime.tzinfo]") -> float:
    """Return the first full minute after a change of the clocks between two moments."""
    offset = _offset(before, zone)
    low, high = int(before) // 60, int(after) // 60
    while low + 1 < high:
        middle = (low + high) // 2
        if _offset(middle * 60.0, zone) == offset:
            low = middle
        else:
            high = middle
    return high * 60.0


def _offset(moment: float, zone: "Optional[datetime.tzinfo]") -> "Optional[datetime.timedelta]":
    return datetime.datetime.fromtimestamp(moment, zone or datetime.timezone.utc).astimezone(zone).utcoffset()
