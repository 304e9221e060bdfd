# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""When an entry was last due, and is due next: held against a cron that goes through all minutes, as the daemons do."""

import datetime
import random
import time
import zoneinfo
from collections.abc import Iterator

import pytest

from rcron import schedule

UTC = datetime.timezone.utc


def at(text: str, zone: "datetime.tzinfo | None" = UTC) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def last(fields: str, now: str, zone: datetime.tzinfo = UTC) -> "str | None":
    """When an entry was last due, as UTC."""
    times = schedule.parse(fields)
    assert times is not None, fields
    found = schedule.last_due(times, at(now, zone), zone)
    return None if found is None else datetime.datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ("* * * * *", "2026-11-28 10:15:59", "2026-11-28 10:15"),
        ("*/20 * * * *", "2026-11-28 10:15", "2026-11-28 10:00"),
        ("7-59/20 3,5 * * *", "2026-11-28 10:15", "2026-11-28 05:47"),
        ("30 10 * * *", "2026-11-28 10:15", "2026-11-27 10:30"),
        ("15 10 * * *", "2026-11-28 10:15", "2026-11-28 10:15"),
        ("0 0 1 * *", "2026-11-28 10:15", "2026-11-01 00:00"),
        ("0 0 * * Mon", "2026-11-28 10:15", "2026-11-23 00:00"),  # 28 November 2026 is a Saturday
        ("0 0 * * 7", "2026-11-28 10:15", "2026-11-22 00:00"),
        ("0 0 * * 0", "2026-11-28 10:15", "2026-11-22 00:00"),
        ("0 0 * * 5-7", "2026-11-23 10:15", "2026-11-22 00:00"),
        ("0 0 * jan-MAR *", "2026-11-28 10:15", "2026-03-31 00:00"),
        ("0 0 13 * fri", "2026-11-28 10:15", "2026-11-27 00:00"),  # the 13th, or a Friday
        ("0 0 */2 * fri", "2026-11-28 10:15", "2026-11-27 00:00"),  # an odd day, and a Friday
        ("0 0 */2 * sat", "2026-11-28 10:15", "2026-11-21 00:00"),
        ("0 0 29 2 *", "2026-11-28 10:15", "2024-02-29 00:00"),
        ("0 0 29 2 *", "1903-11-28 10:15", "1896-02-29 00:00"),
        ("@hourly", "2026-11-28 10:15", "2026-11-28 10:00"),
        ("@weekly", "2026-11-28 10:15", "2026-11-22 00:00"),
        ("@Annually", "2026-11-28 10:15", "2026-01-01 00:00"),
    ],
)
def test_last_due(fields: str, now: str, expected: str) -> None:
    assert last(fields, now) == expected


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ("* * * * *", "2026-11-28 10:15", "2026-11-28 10:16"),
        ("*/20 * * * *", "2026-11-28 10:45", "2026-11-28 11:00"),
        ("15 10 * * *", "2026-11-28 10:14:59", "2026-11-28 10:15"),
        ("15 10 * * *", "2026-11-28 10:15", "2026-11-29 10:15"),
        ("0 0 1 * *", "2026-12-28 10:15", "2027-01-01 00:00"),
        ("0 0 13 * fri", "2026-11-28 10:15", "2026-12-04 00:00"),  # the 13th, or a Friday
        ("0 0 */2 * fri", "2026-11-28 10:15", "2026-12-11 00:00"),  # an odd day, and a Friday
        ("0 0 29 2 *", "2026-11-28 10:15", "2028-02-29 00:00"),
        ("@yearly", "2026-11-28 10:15", "2027-01-01 00:00"),
    ],
)
def test_next_due(fields: str, now: str, expected: str) -> None:
    times = schedule.parse(fields)
    assert times is not None
    found = schedule.next_due(times, at(now), UTC)
    assert found == at(expected)


def test_a_day_that_never_comes() -> None:
    assert last("0 0 30 2 *", "2026-11-28 10:15") is None
    times = schedule.parse("0 0 30 2 *")
    assert times is not None
    assert schedule.next_due(times, at("2026-11-28 10:15"), UTC) is None


@pytest.mark.parametrize(
    "fields",
    [
        "@reboot", "@every 5m", "@minutely", "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
        "* * * 13 *", "* * * * 8", "5-3 * * * *", "*/0 * * * *", "5/10 * * * *", "0~59 * * * *", "x * * * *",
        "* * * mon *", "1,,2 * * * *", "-1 * * * *", "1-2-3 * * * *", "* * L * *",
    ],
)  # fmt: skip
def test_what_is_not_guessed(fields: str) -> None:
    assert schedule.parse(fields) is None


def minutes_of_cron(fields: str, begin: float, end: float, zone: datetime.tzinfo) -> "Iterator[float]":
    """Yield the minutes at which Debian's cron starts an entry: the loop of its main(), in the words of cron.c.

    Its clock is the wall's. `virtual` is the minute that it has come to, `running` the one on the wall.
    """
    minute, hour, dom, month, dow = (set(each) for each in sets_of(fields))
    words = fields.split()
    wild = words[0][0] == "*" or words[1][0] == "*"
    star = words[2][0] == "*" or words[4][0] == "*"

    def is_job(wall: int, do_wild: bool, do_non_wild: bool) -> bool:
        time_of = datetime.datetime.fromtimestamp(wall * 60, UTC)
        day = time_of.day in dom
        weekday = time_of.isoweekday() % 7 in dow
        fits = time_of.minute in minute and time_of.hour in hour and time_of.month in month
        return fits and ((day and weekday) if star else (day or weekday)) and (do_wild if wild else do_non_wild)

    def wall_at(moment: float) -> int:
        offset = datetime.datetime.fromtimestamp(moment, zone).utcoffset()
        assert offset is not None
        return int(moment + offset.total_seconds()) // 60

    virtual = wall_at(begin) - 1
    moment = begin
    while moment <= end:
        running = wall_at(moment)
        gap = running - virtual
        if gap == 1:
            virtual = running
            if is_job(virtual, True, True):
                yield moment
        elif 1 < gap < 180:  # clocks went forward: wildcards for now, and the others for all that was left out
            found = is_job(running, True, False)
            while virtual < running:
                virtual += 1
                found = is_job(virtual, False, True) or found
            if found:
                yield moment
        elif is_job(running, True, False):  # clocks went back: wildcards only, until the time is reached again
            yield moment
        moment += 60


def sets_of(fields: str) -> "list[list[int]]":
    """A second reader of fields, for `*`, `*/N`, numbers and ranges."""
    found = []
    for field, (low, high) in zip(fields.split(), ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))):
        numbers: list[int] = []
        for part in field.split(","):
            span, _slash, step = part.partition("/")
            first, _dash, final = span.partition("-")
            begin, end = (low, high) if span == "*" else (int(first), int(final or first))
            numbers += range(begin, end + 1, int(step or 1))
        found.append(numbers)
    return found


def random_fields(chance: random.Random) -> str:
    minute = chance.choice(["*", "*/7", "0", "30", "15-45/10", "5,35", "59"])
    hour = chance.choice(["*", "*/2", "2", "1", "3", "1-4", "0,2", "23"])
    dom = chance.choice(["*", "*", "*/2", "29", "25-31", "1"])
    dow = chance.choice(["*", "*", "0", "1-5", "*/2"])
    return f"{minute} {hour} {dom} * {dow}"


#: Clocks that change by an hour and by half an hour, to both sides, at 1, 2 and 0 o'clock.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-09-06"),
    ("UTC", "2026-06-01"),
]


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_it_is_what_a_cron_does_minute_by_minute(name: str, day: str) -> None:
    zone = zoneinfo.ZoneInfo(name)
    chance = random.Random(day + name)  # noqa: S311 - no secret
    change = at(day, UTC)
    begin, end = change - 40 * 3600, change + 30 * 3600
    for _turn in range(25):
        fields = random_fields(chance)
        times = schedule.parse(fields)
        assert times is not None
        due = list(minutes_of_cron(fields, begin, end, zone))
        for _moment in range(40):
            now = chance.uniform(change - 20 * 3600, end)
            expected = max((moment for moment in due if moment <= now), default=None)
            if expected is not None:
                assert schedule.last_due(times, now, zone) == expected, f"{fields} at {now}"
            coming = min((moment for moment in due if moment > now), default=None)
            if coming is not None:
                assert schedule.next_due(times, now, zone) == coming, f"{fields} after {now}"


def test_without_a_zone_it_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    times = schedule.parse("30 2 * * *")
    assert times is not None
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
        for day in ("2026-03-29 12:00", "2026-10-25 12:00", "2026-06-01 12:00"):
            assert schedule.last_due(times, at(day)) == schedule.last_due(times, at(day), zone)
        assert schedule.last_due(times, at("2026-03-29 12:00")) == at("2026-03-29 01:00"), "right after the change"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("fields", ["{} {} 30 2 *", "{} {} 29 2 */7", "{} {} 31 4 *"])
def test_thousands_of_entries_that_are_hardly_ever_due_cost_little(
    fields: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user may have ten thousand of them. Looking at each day of 41 years took root's metrics minutes."""
    looked = []
    real = schedule.Schedule.is_day
    monkeypatch.setattr(schedule.Schedule, "is_day", lambda *given: looked.append(1) or real(*given))
    times = schedule.parse(fields.format(0, 0))
    assert times is not None
    schedule.last_due(times, at("2026-11-28 10:15"), UTC)
    assert len(looked) <= 41
    schedule.next_due(times, at("2026-11-28 10:15"), UTC)
    assert len(looked) <= 82
    # Without the protection, day by day.
    day = datetime.date(2026, 11, 28)
    for _turn in range(41 * 366):
        if times.is_day(day):
            break
        day -= datetime.timedelta(days=1)
    assert len(looked) > 2_000
