# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcronctl history` says what is wrong, whoever answers it and whatever users' crontabs hold."""

import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rcron import entries, history, services, settings

RUN = {
    "user": "root",
    "job": "a",
    "fire": "60",
    "node": "node1",
    "command": "",
    "at": 60,
    "exit": 0,
    "duration": 1.5,
    "gave_up": False,
}


def page(*rows: object, more: str = "") -> bytes:
    """What an agent answers."""
    return "".join(json.dumps(row) + "\n" for row in [{"rows": len(rows), "more": more}, *rows]).encode()


class Answerer:
    """Somebody who answers at the socket, as whoever owns the state's folder may."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.answer = b""
        self.asked = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "claim.sock"))
        self._socket.listen(16)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                self.asked += 1
                try:
                    connection.sendall(self.answer)
                except OSError:
                    continue

    def close(self) -> None:
        """Answer no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def config(tmp_path: pathlib.Path) -> settings.Config:
    """A cluster's."""
    tmp_path.chmod(0o755)
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\nclaim = required\n")
    return settings.load(str(conf))


@pytest.fixture
def answerer(tmp_path: pathlib.Path, config: settings.Config) -> "Iterator[Answerer]":
    """At the cluster's socket."""
    found = Answerer(tmp_path)
    yield found
    found.close()


def shown(config: settings.Config, **options: Any) -> "list[str]":
    """What `rcronctl history` prints."""
    given = {"job": "", "seconds": None, "wanted": "", "as_json": False, **options}
    return list(history.lines(config, *given.values()))


def test_what_an_agent_answers_is_shown(config: settings.Config, answerer: Answerer) -> None:
    answerer.answer = page(RUN, {**RUN, "exit": None, "duration": None})
    assert [line.split("root")[1].split() for line in shown(config)[1:]] == [
        ["ok", "after", "1", "s", "a"],
        ["no", "end", "known", "a"],
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"[" * 100_000 + b"\n",
        b'{"rows": ' + b"[" * 100_000 + b"\n",
        b'{"rows": null}\n' * 2,
        b'{"rows": 1}\n{}\n',
        b"x" * 100_000 + b"\n",
        json.dumps({"error": "x" * 100_000}).encode() + b"\n",
        *(page({**RUN, name: value}) for name in RUN for value in ([], {}, 10**400, "\x1b" if name == "at" else [7])),
        *(page({**RUN, name: float(value)}) for name in ("at", "duration") for value in ("nan", "inf")),
    ],
)
def test_whoever_answers_nonsense_is_reported_in_a_line(
    config: settings.Config, answerer: Answerer, answer: bytes
) -> None:
    answerer.answer = answer
    with pytest.raises(history.NoAnswerError) as failure:
        shown(config)
    assert len(str(failure.value)) < 300


def test_whoever_announces_endless_lines_is_not_waited_for(config: settings.Config, answerer: Answerer) -> None:
    answerer.answer = b'{"rows": Infinity}\n'
    assert len(shown(config)) == 1


def test_pages_without_an_end_have_one(
    config: settings.Config, answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_ALL", 10_000)
    answerer.answer = page(more="again")
    with pytest.raises(history.NoAnswerError, match="does not end"):
        shown(config)
    assert answerer.asked < 200


@pytest.fixture
def crontab(config: settings.Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "list[entries.Entry]":
    """Entries that are due each minute and have been for a day: first a user's, then root's."""
    path = tmp_path / "jobs"
    path.touch()
    for changed in (path, tmp_path / "rcron.conf"):
        os.utime(changed, (time.time() - 2 * 86400,) * 2)
    one = entries.Entry("his", config.path, "alice", 1000, "true", "* * * * *", "", None, str(path), 1, None, "a")
    found = [one, one, one._replace(name="roots", user="root", uid=0)]
    monkeypatch.setattr(entries, "find", lambda: found)
    return found


def missed(config: settings.Config) -> "dict[str, int]":
    """How often each entry was missed."""
    found: "dict[str, int]" = {}
    for line in history.missed(config, "", None, True):
        name = json.loads(line)["entry"]
        found[name] = found.get(name, 0) + 1
    return found


def test_a_user_s_thousands_of_missed_runs_hide_none_of_root_s(
    config: settings.Config, answerer: Answerer, crontab: "list[entries.Entry]", monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer.answer = page()
    monkeypatch.setattr(history, "MOST_DUE", 1500)
    found = missed(config)
    assert found["his"] == 1500
    assert found["roots"] > 1400


def test_a_crontab_that_is_removed_meanwhile_hides_no_other(
    config: settings.Config, answerer: Answerer, crontab: "list[entries.Entry]"
) -> None:
    answerer.answer = page()
    crontab[:2] = [crontab[0]._replace(crontab="/nonexistent")]
    assert list(missed(config)) == ["roots"]


#: Half a minute past 10:00 UTC on 1 June 2027.
NOW = 1811844030

SYSTEMCTL = """\
Unit=backup.service
TimersCalendar={ OnCalendar=*-*-* *:00:00 ; next_elapse=Tue 2027-06-01 11:00:00 UTC }
TimersCalendar={ OnCalendar=*-*-* *:30:00 ; next_elapse=Tue 2027-06-01 10:30:00 UTC }
AccuracyUSec=1min
RandomizedDelayUSec=4min
Id=backup.timer
FragmentPath=/nonexistent/backup.timer

Unit=stranger.service
TimersCalendar={ OnCalendar=*-*-* *:15:00 ; next_elapse=Tue 2027-06-01 10:15:00 UTC }
AccuracyUSec=1us
RandomizedDelayUSec=0
Id=stranger.timer
"""

#: What systemd-analyze 252 prints where local time is not UTC.
ANALYZE = """\
Normalized form: {calendar}
    Next elapse: Tue 2027-06-01 {local}:00 CEST
       (in UTC): Tue 2027-06-01 {utc}:00 UTC
       From now: 4 days ago
       Iter. #2: Tue 2027-06-01 12:{minute}:00 CEST
       (in UTC): Tue 2027-06-01 10:{minute}:00 UTC
       From now: 2h left
"""


@pytest.fixture
def units(tmp_path: pathlib.Path, config: settings.Config, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A node whose only job is backup.service, due at 9:00 and 9:30; nothing has changed for a day."""
    unit = tmp_path / "units" / "backup.service.d" / "50-rcron.conf"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nExecCondition=/usr/bin/rcronctl --conf {config.path} guard %n\n")
    for path in (unit, pathlib.Path(config.path)):
        os.utime(path, (NOW - 86400,) * 2)
    answers = {"systemctl": SYSTEMCTL}
    for calendar, minute in (("*-*-* *:00:00", "00"), ("*-*-* *:30:00", "30")):
        about = {"calendar": calendar, "minute": minute, "local": f"11:{minute}", "utc": f"09:{minute}"}
        answers[f"systemd-analyze {calendar}"] = ANALYZE.format(**about)
    for name, text in answers.items():
        (tmp_path / name.replace("/", "")).write_text(text)
    for program in ("systemctl", "systemd-analyze"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        last = "" if program == "systemctl" else " ${5}"
        path.write_text(f'#!/bin/sh\nexec cat "{tmp_path}/{program}{last}"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    monkeypatch.setattr(entries, "find", list)
    monkeypatch.setattr(history.services, "find", lambda: real_find(str(tmp_path / "units")))
    return unit


real_find = services.find


def services_missed(config: settings.Config) -> "list[str]":
    rows = map(json.loads, history.missed(config, "", None, True))
    return [f"{row['job']} {time.strftime('%H:%M', time.gmtime(row['due']))}" for row in rows]


def of_backup(clock: str, gave_up: bool = False) -> "dict[str, Any]":
    """A run of the day that was claimed at a time."""
    hours, minutes = map(int, clock.split(":"))
    at = NOW - 30 - 10 * 3600 + hours * 3600 + minutes * 60
    return {**RUN, "job": "backup.service", "fire": str(at), "at": at + 3, "gave_up": gave_up}


def test_a_timer_that_was_due_and_whose_service_no_node_has_run_is_missed(
    config: settings.Config, answerer: Answerer, units: pathlib.Path
) -> None:
    def missed(*runs: "dict[str, Any]") -> "list[str]":
        answerer.answer = page(*runs)
        return services_missed(config)

    assert missed() == ["backup.service 09:30", "backup.service 09:00"]
    assert missed(of_backup("09:00")) == ["backup.service 09:30"]
    # Another node's timer may have been later, by RandomizedDelaySec= and AccuracySec=, but not by more.
    assert missed(of_backup("09:00"), of_backup("09:35")) == []
    assert missed(of_backup("09:00"), of_backup("09:37")) == ["backup.service 09:30"]
    assert missed(of_backup("09:00"), of_backup("09:29")) == ["backup.service 09:30"]
    assert missed(of_backup("09:00"), of_backup("09:30", gave_up=True)) == ["backup.service 09:30"]
    assert missed(of_backup("09:00"), of_backup("09:30", gave_up=True), of_backup("09:31")) == []


@pytest.mark.parametrize("options", ["--claim off", "--claim-window 60", "--claim=off"])
def test_a_service_that_is_not_claimed_by_the_minute_is_not_looked_at(
    config: settings.Config, answerer: Answerer, units: pathlib.Path, options: str
) -> None:
    answerer.answer = page()
    units.write_text(units.read_text().replace(" guard ", f" guard {options} "))
    os.utime(units, (NOW - 86400,) * 2)
    assert services_missed(config) == []


def test_a_service_was_not_due_before_its_units_were_as_they_are(
    config: settings.Config, answerer: Answerer, units: pathlib.Path
) -> None:
    answerer.answer = page()
    os.utime(units, (NOW - 2000,) * 2)
    assert services_missed(config) == ["backup.service 09:30"]
    os.utime(units, (NOW - 86400,) * 2)
    found = (units.parents[2] / "systemctl").read_text()
    (units.parents[2] / "systemctl").write_text(
        found.replace("/nonexistent/backup.timer", str(units.parents[2] / "a.timer"))
    )
    (units.parents[2] / "a.timer").touch()
    os.utime(units.parents[2] / "a.timer", (NOW - 2000,) * 2)
    assert services_missed(config) == ["backup.service 09:30"]


@pytest.mark.needs("systemd-analyze", "systemd")
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_systemd_says_when_a_timer_elapsed(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    midnight = 1811808000  # 1 June 2027, UTC
    timer = services.Timer(["*-*-* 03:00:00 UTC", "*-*-* *:00/20:00"], 0.0, 0.0)
    expected = [midnight + 60 * minutes for minutes in (200, 180, 160)]
    assert services.times(timer, midnight + 9600, midnight + 12000) == expected
    assert services.times(timer._replace(calendars=["nonsense"]), midnight, midnight + 9) == []
