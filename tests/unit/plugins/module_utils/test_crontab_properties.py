# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What holds for every command and every crontab, tried on generated ones."""

from __future__ import annotations

import re

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    Guard,
    Selector,
    parse,
    prefix,
    rewrite,
    unprefix,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import test_crontab_law

ALL = [Selector("regexp", b"")]

# The parts of a shell's language, and of a prefix, in any order.
WORDS = b"a b x1 job cd echo true if then fi for in do done while { } ! [ ] [[ ]] time A=1 \xe9 \xff \xc2\xa0".split(
    b" "
)
PREFIXES = b"rcron /usr/bin/rcron -c --conf -- --conf=/c /c".split()
OPERATORS = b"&& || | ; & > >> < 2>&1 ( ) ' \" \\ ` $ $( ${ $(( )) ~ * ? # % \\% \\\\ =".split()
PARTS = st.sampled_from(
    [
        *WORDS,
        *PREFIXES,
        *OPERATORS,
        *[b"$X", b"${X}", b"${X:=y}", b"'a b'", b'"a b"', b"'\\''", b" ", b"  ", b"\t", b"\r"],
    ]
)
SHELLISH = st.lists(PARTS, max_size=12).map(b"".join) | st.lists(PARTS, max_size=12).map(b" ".join)
ANY_BYTES = st.binary(max_size=60).map(lambda text: re.sub(rb"[\0\n]", b"", text))
COMMANDS = SHELLISH | ANY_BYTES
PATHS = st.sampled_from([b"/usr/bin/rcron", b"/opt/x/bin/rcron"])
CONFS = st.sampled_from([None, b"/etc/rcron/b.conf"])


@given(COMMANDS, PATHS, CONFS)
@settings(max_examples=400)
def test_taking_the_prefix_away_gives_back_the_command(command, path, conf):
    inner, guard = unprefix(command)
    if guard is None:
        assert unprefix(prefix(command, path, conf)) == (command, Guard(path, conf))
    else:
        assert unprefix(prefix(command, path, conf)) == (inner, Guard(path, conf))


@given(COMMANDS, PATHS, CONFS)
@settings(max_examples=400)
def test_a_second_prefix_changes_nothing(command, path, conf):
    once = prefix(command, path, conf)
    assert prefix(once, path, conf) == once


@given(COMMANDS, PATHS, CONFS, PATHS, CONFS)
@settings(max_examples=200)
def test_a_moved_prefix_leaves_no_trace_of_the_first(command, path, conf, path2, conf2):
    if unprefix(command)[1] is None:
        assert prefix(prefix(command, path, conf), path2, conf2) == prefix(command, path2, conf2)


SCHEDULES = st.sampled_from(
    [b"* * * * * ", b"0 5 * * *\t", b"\t */5 0-7 1,15 jan-mar Mon-Fri  ", b"@daily ", b"@reboot\t\t", b"-0~10 * * * * "]
)
ENTRY_COMMANDS = COMMANDS.map(lambda command: command.lstrip(b" \t-*=") or b"job")
OTHER_LINES = (
    ANY_BYTES.map(lambda text: b"#" + text)
    | ANY_BYTES.map(lambda text: b"#Ansible: " + text)
    | ENTRY_COMMANDS.map(lambda command: b"#0 5 * * * " + command)
    | ANY_BYTES.map(lambda text: b"NAME = x" + text)
    | st.sampled_from(
        [b"", b" ", b"\t", b"\r", b"PATH=/bin:/usr/bin", b'X="a = # b"', b"MAILTO=''", b"SHELL=/bin/bash"]
    )
    | ANY_BYTES
)


@st.composite
def crontabs(draw, system):
    """Draw a crontab; return it, and the lines that were meant to be entries."""
    user = b"root " if system else b""
    entries = st.builds(lambda schedule, command: schedule + user + command, SCHEDULES, ENTRY_COMMANDS)
    lines = draw(st.lists(st.tuples(st.booleans(), entries) | st.tuples(st.just(False), OTHER_LINES), max_size=8))
    ending = draw(st.sampled_from([b"\n", b"\r\n"]))
    return ending.join(line for _meant, line in lines) + draw(st.sampled_from([b"", ending]))


@pytest.mark.parametrize("system", [False, True])
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_a_crontab_comes_back_byte_for_byte(system, data):
    # No entry of these may be prefixed by chance: its prefix would be moved.
    text = data.draw(crontabs(system)).replace(b"rcron", b"cron")
    conf = data.draw(CONFS)
    after = rewrite(text, ALL, system=system, state="present", conf=conf)
    again = rewrite(after.text, ALL, system=system, state="present", conf=conf)
    assert again.text == after.text
    assert all(change.before == change.after for change in again.entries)
    assert rewrite(after.text, ALL, system=system, state="absent", conf=conf).text == text


@pytest.mark.parametrize("system", [False, True])
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_no_byte_changes_but_in_the_selected_commands(system, data):
    text = data.draw(crontabs(system))
    expression = data.draw(st.sampled_from([b"", b"a", b"job", b"^nothing$"]))
    entries = parse(text, system=system)
    result = rewrite(text, [Selector("regexp", expression)], system=system, state="present")
    selected = [entry for entry in entries if re.search(expression, entry.command)]
    assert [(change.line, change.before) for change in result.entries] == [
        (entry.line, text[entry.start : entry.end]) for entry in selected
    ]
    expected, copied = b"", 0
    for entry, change in zip(selected, result.entries):
        expected += text[copied : entry.start] + change.after
        copied = entry.end
    assert result.text == expected + text[copied:]
    assert len(parse(result.text, system=system)) == len(entries)


@given(st.lists(st.tuples(SCHEDULES, ENTRY_COMMANDS), max_size=5))
def test_every_entry_is_seen(lines):
    # What begins like a variable's value is one: `@daily = x`.
    text = b"".join(schedule + command + b"\n" for schedule, command in lines)
    assert len(parse(text, system=False)) == len(lines)


# Words, operators and input that do no harm wherever they end up, and whose messages come in the same order each time
# (those of `a & b` and `a | b` do not; the corpus has them).
SAFE = (
    b'job cat true false echo pwd : a b $X "$X" \'it is\' "a b" a\\ b ${UNSET:-c} $(job) `job` \\% \\\\ in.txt dir '
    b"* # ! A=1 cd if then fi while do done { } ( ) && || ; >out 2>&1 <in.txt >>out 2>err %"
)
SAFE_WORDS = st.sampled_from(SAFE.split())


@given(command=st.lists(SAFE_WORDS, min_size=1, max_size=7).map(b" ".join))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_law_holds_for_generated_commands(nodes, command):
    for shell, cron in zip(test_crontab_law.SHELLS, ("debian", "cronie")):
        assert nodes.breaches(command, shell, cron) == []


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    return test_crontab_law.Nodes(tmp_path_factory.mktemp("nodes"))
