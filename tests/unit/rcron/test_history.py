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

from rcron import entries, history, settings

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
