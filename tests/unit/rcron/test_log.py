# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One event, one line, whatever a job's words hold."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcron import log, settings


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a", "b  c"], "a b  c"),
        (["a\nb"], r"a\nb"),
        (["\x1b[31m"], r"\x1b[31m"),
        (["\udcff\udc80"], r"\xff\x80"),
        (["zürich", "日本"], "zürich 日本"),
        (["\u202e"], r"\u202e"),
        (["\u2028"], r"\u2028"),
        ([""], ""),
        ([r"grep a\.b"], r"grep a\.b"),
    ],
)
def test_a_command_is_logged_in_one_line(words: "list[str]", line: str) -> None:
    assert log.command(words) == line


@pytest.mark.parametrize(
    "words", [["x" * 2049], ["x"] * 1025, ["ü" * 1025], ["\n" * 1025], ["x" * 3_000_000], ["a"] * 10**6]
)
def test_a_long_command_is_cut_at_2_kib(words: "list[str]") -> None:
    line = log.command(words)
    assert line.endswith("...")
    assert 2040 <= len(line.encode()) <= 2048


@pytest.mark.parametrize("words", [["x" * 2048], ["x"] * 1024, ["ü" * 1024]])
def test_a_command_of_2_kib_is_logged_whole(words: "list[str]") -> None:
    assert log.command(words) == " ".join(words)


@given(st.lists(st.text(st.characters(), max_size=50), max_size=20))
def test_any_command_gives_one_printable_line(words: "list[str]") -> None:
    line = log.command(words)
    assert line.isprintable()
    assert len(line.encode()) <= 2048


def test_the_lines_carry_cluster_facility_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: "list[tuple[int, int, str]]" = []
    monkeypatch.setattr(log, "_send", lambda *line: sent.append(line))
    conf = settings.parse("cluster_name = c1\nsyslog_facility = LOG_AUTHPRIV\nsyslog_level = LOG_DEBUG", "f")
    log.event(conf, "state=passive status=ignore", log.command(["a", "b"]))
    log.warning(conf, "odd\nthing")
    log.warning(None, "no configuration")
    assert sent == [
        (10 << 3, 7, "cluster=c1 state=passive status=ignore cmd=a b"),
        (10 << 3, 4, r"cluster=c1 warning: odd\nthing"),
        (9 << 3, 4, "warning: no configuration"),
    ]


class Daemon:
    """A log daemon that reads on demand. Its socket has room for some lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._there: "socket.socket | None" = None
        monkeypatch.setattr(log, "_connect", self._connect)
        monkeypatch.setattr(log, "_fd", -1)
        monkeypatch.setattr(log, "_dropped", 0)
        monkeypatch.setattr(time, "strftime", lambda _form: "Nov 28 00:01:02")

    def _connect(self) -> int:
        here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        here.setblocking(False)
        return here.detach()

    def end(self) -> None:
        """End, and leave nothing to write to."""
        assert self._there is not None
        self._there.close()

    def read(self) -> "list[str]":
        """All that was written since."""
        found = []
        assert self._there is not None
        self._there.setblocking(False)
        while True:
            try:
                found.append(self._there.recv(65536).decode())
            except BlockingIOError:
                return found


def test_a_line_is_what_syslog_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(monkeypatch)
    log._send(9 << 3, 6, "zürich \udcff")
    log._send(0, 4, "for the kernel's facility, as syslog(3)")
    me = os.getpid()
    assert daemon.read() == [
        f"<78>Nov 28 00:01:02 rcron[{me}]: zürich \\udcff\n",
        f"<12>Nov 28 00:01:02 rcron[{me}]: for the kernel's facility, as syslog(3)\n",
    ]


def test_lines_that_a_hanging_log_daemon_has_no_room_for_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon(monkeypatch)
    began = time.monotonic()
    for number in range(5000):
        log._send(9 << 3, 6, f"line {number}")
    assert time.monotonic() - began < 5
    before = len(daemon.read())
    assert 0 < before < 5000
    log._send(9 << 3, 6, "the next")
    log._send(9 << 3, 6, "and one more")
    found = [line.partition(": ")[2] for line in daemon.read()]
    assert found == [
        f"warning: {5000 - before} lines before this one were dropped: the log daemon did not take them\n",
        "the next\n",
        "and one more\n",
    ]


def test_a_log_daemon_that_was_restarted_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(monkeypatch)
    log._send(9 << 3, 6, "one")
    daemon.end()
    log._send(9 << 3, 6, "two")
    assert [line[-4:] for line in daemon.read()] == ["two\n"]


#: Sees to a /dev/log that nobody else has, in a mount namespace of its own.
IN_OWN_DEV = """\
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)
sys.path.insert(0, {checkout!r})
kind, preload = {kind!r}, {preload!r}
if kind:
    daemon = socket.socket(socket.AF_UNIX, getattr(socket, kind))
    daemon.bind("/dev/log")
    if kind == "SOCK_STREAM":
        daemon.listen()
code = "import sys; sys.path.insert(0, {checkout!r})\\n" + preload + '''
from rcron import log
for number in range(2000):
    log._send(9 << 3, 6, "line %d" % number)
print(log._fd, log._dropped)
'''
print(subprocess.run([sys.executable, "-IS", "-c", code], timeout=20, stdout=subprocess.PIPE, text=True).stdout, end="")
if kind == "SOCK_STREAM":
    daemon = daemon.accept()[0]
if kind:
    print(daemon.recv(1 << 20).decode().splitlines()[0].partition("]: ")[2])
"""


@pytest.mark.parametrize(
    ("kind", "preload"),
    [("SOCK_DGRAM", ""), ("SOCK_DGRAM", "import _socket"), ("SOCK_STREAM", ""), ("", ""), ("", "import _socket")],
)
def test_no_kind_of_log_socket_is_waited_for(kind: str, preload: str) -> None:
    checkout = str(pathlib.Path(__file__).resolve().parents[3])
    code = IN_OWN_DEV.format(checkout=checkout, kind=kind, preload=preload)
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a mount namespace cannot be made here")
    done = subprocess.run(
        [*unshare, sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )
    first, *rest = done.stdout.splitlines()
    fd, dropped = map(int, first.split())
    if kind:
        assert fd >= 0
        assert 0 < dropped < 2000
        assert rest == ["line 0"]
    else:
        assert (fd, dropped, rest) == (-1, 0, [])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("report", "report"),
        ("nightly report", '"nightly report"'),
        ("", '""'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("x status=ok cmd=true", '"x status\\x3dok cmd\\x3dtrue"'),
        ("a\nb", '"a\\\\nb"'),
    ],
)
def test_a_name_is_one_field_of_a_line(text: str, word: str) -> None:
    assert log.word(text) == word
