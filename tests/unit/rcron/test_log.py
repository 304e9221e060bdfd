# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One event, one line, whatever a job's words hold."""

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
def test_a_command_is_told_in_one_line(words: "list[str]", line: str) -> None:
    assert log.command(words) == line


@pytest.mark.parametrize(
    "words", [["x" * 2049], ["x"] * 1025, ["ü" * 1025], ["\n" * 1025], ["x" * 3_000_000], ["a"] * 10**6]
)
def test_a_long_command_is_cut_at_2_kib(words: "list[str]") -> None:
    line = log.command(words)
    assert line.endswith("...")
    assert 2040 <= len(line.encode()) <= 2048


@pytest.mark.parametrize("words", [["x" * 2048], ["x"] * 1024, ["ü" * 1024]])
def test_a_command_of_2_kib_is_told_whole(words: "list[str]") -> None:
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
