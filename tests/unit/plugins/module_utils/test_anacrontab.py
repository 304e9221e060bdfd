# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An anacrontab: which lines anacron runs, and which of them can be prefixed so that anacron reads the prefix."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    CrontabError,
    Selector,
    parse,
    rewrite,
    unprefix,
    unselected,
)

#: Debian's, and jobs of an administrator's.
TEXT = b"""\
# /etc/anacrontab: configuration file for anacron
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin
HOME=/root
START_HOURS_RANGE=3-22

1\t5\tcron.daily\trun-parts --report /etc/cron.daily
@monthly\t15\tcron.monthly\tnice run-parts --report /etc/cron.monthly
1 10 backup /usr/local/bin/backup --all
 7  0  report  cd /srv && ./report "$USER" > out
@weekly 20 mail/x /usr/local/bin/no-job
@hourly 20 hourly /usr/local/bin/no-job
x 20 words /usr/local/bin/no-job
1 20 empty
"""


def present(*selectors: Selector, text: bytes = TEXT) -> bytes:
    return rewrite(text, selectors, system=True, anacron=True, state="present").text


def test_entries_are_those_that_anacron_runs() -> None:
    found = [(entry.line, entry.name, entry.user, entry.command) for entry in parse(TEXT, system=True, anacron=True)]
    assert found == [
        (7, b"cron.daily", b"root", b"run-parts --report /etc/cron.daily"),
        (8, b"cron.monthly", b"root", b"nice run-parts --report /etc/cron.monthly"),
        (9, b"backup", b"root", b"/usr/local/bin/backup --all"),
        (10, b"report", b"root", b'cd /srv && ./report "$USER" > out'),
    ]


def test_job_is_selected_by_its_identifier_and_set_free_again() -> None:
    prefixed = present(Selector("name", b"backup"), Selector("regexp", b"report .*out"))
    assert prefixed == TEXT.replace(b"/usr/local/bin/backup", b"/usr/bin/rcron /usr/local/bin/backup").replace(
        b'cd /srv && ./report "$USER" > out', b"/usr/bin/rcron -c 'cd /srv && ./report \"$USER\" > out'"
    )
    selectors = [Selector("name", b"backup"), Selector("name", b"report")]
    assert rewrite(prefixed, selectors, system=True, anacron=True, state="absent").text == TEXT
    assert [entry.name for entry in unselected(prefixed, selectors[:1], system=True, anacron=True)] == [b"report"]
    assert present(*selectors, text=prefixed) == prefixed


@pytest.mark.parametrize(
    "command",
    [b"run-parts /etc/cron.daily", b"cd / && run-parts --report /etc/cron.daily", b"nice /bin/run-parts /x"],
)
def test_all_scripts_of_a_folder_are_refused(command: bytes) -> None:
    with pytest.raises(CrontabError, match=r"line 1: the job 'all' runs all scripts of a folder \(run-parts\)"):
        present(Selector("name", b"all"), text=b"1 5 all " + command)


@pytest.mark.parametrize("command", [rb"echo a\ b", b"date +%F", b"echo 'a' > b", rb"echo 'a\b'"])
def test_what_anacron_would_read_otherwise_is_refused(command: bytes) -> None:
    with pytest.raises(CrontabError, match=r"line 1: the job 'x' has a backslash, a `%` or a quote"):
        present(Selector("name", b"x"), text=b"1 5 x " + command)


def test_what_is_refused_may_still_be_set_free() -> None:
    text = rb"1 5 x /usr/bin/rcron echo a\ b"
    assert (
        rewrite(text, [Selector("name", b"x")], system=True, anacron=True, state="absent").text == rb"1 5 x echo a\ b"
    )


@pytest.mark.parametrize("command", [b"/bin/job 'a b' c", b"a && b", b'echo "x y" | cat', b"a=1 b"])
def test_prefix_holds_nothing_that_anacron_changes(command: bytes) -> None:
    """anacron (2.3, and cronie's) takes every backslash away, and hands the rest to /bin/sh."""
    prefixed = present(Selector("name", b"x"), text=b"1 5 x " + command)[len(b"1 5 x ") :]
    assert b"\\" not in prefixed
    assert unprefix(prefixed)[0] == command
    words = shlex.split(prefixed.decode())
    assert words[0] == "/usr/bin/rcron"
    assert words[1:] == (["-c", command.decode()] if words[1] == "-c" else shlex.split(command.decode()))
