# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Crontab text: entries, prefixes, selectors, and what is refused."""

from __future__ import annotations

import contextlib
import subprocess
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    Claimed,
    CrontabError,
    Guard,
    Selector,
    claimed_twice,
    is_simple,
    parse,
    prefix,
    rewrite,
    unprefix,
)

from . import hostile_lines

ALL = [Selector("regexp", b"")]


def commands(text: bytes, *, system: bool = False) -> list[bytes]:
    return [entry.command for entry in parse(text, system=system)]


def present(text: bytes, *selectors: Selector, system: bool = False, **options):
    return rewrite(text, selectors or ALL, system=system, state="present", **options)


def absent(text: bytes, *selectors: Selector, system: bool = False, **options):
    return rewrite(text, selectors or ALL, system=system, state="absent", **options)


# --- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        b"* * * * *",
        b"0 5 * * *",
        b"  0\t5 \t*  *\t*",
        b"*/5 0-7/2,9,22-23 1,15 1-12/3 0-7",
        b"0 0 1 jan *",
        b"0 0 1 jan-mar Mon-Fri",
        b"0 0 1 JAN,Dec sun,Wed,sat",
        b"0~10 * * * *",
        b"~ ~30 5~ * *",
        b"-0 5 * * *",
        b"*. 5; *-3 *foo 1-3!",
        b"0 22 L * *",
        b"0 22 * * 5L",
        b"0 22 * September Sunday",
        b"@reboot",
        b"@hourly",
        b"@daily",
        b"@midnight",
        b"@weekly",
        b"@monthly",
        b"@yearly",
        b"@annually",
        b"-@daily",
        b"@quarterly",
    ],
)
def test_every_schedule_of_crontab_5_begins_an_entry(schedule):
    (user,) = parse(schedule + b"  job a  b", system=False)
    assert (user.user, user.command) == (None, b"job a  b")
    (system,) = parse(schedule + b"\twww-data  job a  b", system=True)
    assert (system.user, system.command) == (b"www-data", b"job a  b")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"# 0 5 * * * job",
        b"#0 5 * * * job",
        b"  #0 5 * * * job",
        b"\t# @daily job",
        b"#Ansible: job",
        b"NAME=value",
        b"NAME = value # 0 5 * * * job",
        b"NAME =",
        b"=x",
        b'"A NAME" = "0 5 * * * job"',
        b"'0 5 * * * job' = x",
        b"  SPACED = ' value '  ",
        b"0 = 5 * * * job",
        b"@daily = job",
        b"@daily=job",
        b"0 5 * * *",
        b"0 5 * * * ",
        b"0 5 * * job",
        b"* * * * * * job",
        b"x 5 * * * job",
        b"0 5 * foo * job",
        b"0 5 * * foo job",
        b"5x 5 * * * job",
        b"*/x 5 * * * job",
        b"5- 5 * * * job",
        b"5, 5 * * * job",
        b"@every_minute job",
        b"@dailyjob",
        b"@ daily job",
        b"please run the job every day now",
        b"\r",
        b"\x0c0 5 * * * job",
    ],
)
def test_any_other_line_is_no_entry_and_is_left_alone(line):
    for system in (False, True):
        if not (system and line == b""):
            assert parse(line, system=system) == []
            assert present(line, system=system)[:2] == (line, [])


@pytest.mark.parametrize("line", [b"0 5 * * * root", b"0 5 * * * root ", b"@daily root", b"* * * * * * root job"])
def test_a_system_entry_without_a_command_is_no_entry(line):
    assert parse(line, system=True) == []


def test_a_quoted_value_with_more_behind_it_makes_no_variable():
    """As load_env() in cron's env.c sees it, this is the command `= "x" y`."""
    assert commands(b'@daily = "x" y') == [b'= "x" y']


def test_cronies_option_n_is_no_part_of_the_command():
    assert present(b"0 5 * * * -n job\n").text == b"0 5 * * * -n /usr/bin/rcron job\n"
    assert present(b"0 5 * * * root -n  job\n", system=True).text == b"0 5 * * * root -n  /usr/bin/rcron job\n"


def test_an_entry_knows_its_line_its_name_and_where_its_command_stands():
    text = (
        b"# x\n\n#Ansible: nightly backup\n0 5 * * *  rcron  --conf /etc/b.conf job %in\n#Ansible: other\n\n@daily job"
    )
    first, second = parse(text, system=False)
    assert first[:5] == (4, b"nightly backup", None, b"job %in", Guard(b"rcron", b"/etc/b.conf"))
    assert text[first.start : first.end] == b"rcron  --conf /etc/b.conf job %in"
    assert second[:5] == (7, None, None, b"job", None)


def test_a_disabled_entry_gives_its_name_to_no_other():
    assert [entry.name for entry in parse(b"#Ansible: a\n#0 5 * * * x\n0 5 * * * y\n", system=False)] == [None]


def test_a_name_is_read_in_a_crontab_with_crlf():
    (entry,) = parse(b"#Ansible: a name\r\n0 5 * * * job\r\n", system=False)
    assert (entry.name, entry.command) == (b"a name", b"job\r")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"\0", "line 1: NUL byte in column 1;"),
        (b"# a\n0 5 * * * jo\0b\n", "line 2: NUL byte in column 13;"),
        (b"0 5 * * * job\n# \0", "line 2: NUL byte in column 3;"),
    ],
)
def test_a_nul_byte_is_refused_with_its_place(text, place):
    with pytest.raises(CrontabError, match=place):
        parse(text, system=False)
    with pytest.raises(CrontabError, match=place + ".*take the byte out"):
        absent(text)


# --- the prefix -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        b"job",
        b"job a 'b c' \"d $E\" ${F}",
        b"/usr/local/bin/job --option=value",
        b"'/opt/my app/job' arg",
        b"'/opt/my app/job' $A ''",
        b"'/opt/my app/job' \"$A\"",
        b"mail -s report root%hello%world",
        b"date +\\%F",
    ],
)
def test_a_simple_command_gets_the_prefix_in_front(command):
    assert prefix(command) == b"/usr/bin/rcron " + command
    assert prefix(command, b"/opt/rcron", b"/etc/b.conf") == b"/opt/rcron --conf /etc/b.conf " + command


@pytest.mark.parametrize(
    "command",
    [
        *[b"a;b", b"a | b", b"a&", b"a && b", b"(a)", b"a > b", b"a 2>&1", b"a <b", b"a `b`", b"a $(b)", b'a "$(b)"'],
        *[b'a "`b`"', b"a ${X:=b}", b'a "${X:?b}"', b"a ${X", b"a $((1))", b"a $1", b"a $$", b"a $'b'", b"a $"],
        *[b"A=1", b"A=1 b", b"A+=1 b", b"a *", b"a ?", b"a [b]", b"*", b"a ~", b"a b=~/c", b"~/a", b"a {b,c}", b"a {}"],
        *[
            b"a #b",
            b"#a",
            b"a !b",
            b"! a",
            b"$A b",
            b'"$A" b',
            b"\\a b",
            b"a \\\\",
            b"a \\\\;b",
            b'a "\\\\"',
            b"a 'b",
            b'a "b',
        ],
        *[
            b"a \\",
            b"-a b",
            b"'-a' b",
            b"'' b",
            b"'a b'",
            b"'a b' $OPTS",
            b"'/opt/my app/job' $A ${B}$C ",
            b'"a"',
            b"'cd' b",
            b'c"d" b',
            b" a",
            b"a\r",
            b"a \xe9",
            b"%1",
            b"",
        ],
    ],
)
def test_what_is_not_provably_simple_needs_a_shell(command):
    assert not is_simple(command)


def test_every_builtin_and_reserved_word_needs_a_shell():
    """bash tells its own; dash's are among them, but for its other name of cd."""
    words = subprocess.run(["bash", "-c", "compgen -bk"], capture_output=True, check=True).stdout.split()
    assert len(words) > 60
    assert [word for word in [*words, b"chdir"] if is_simple(word) or is_simple(word + b" a")] == []


@pytest.mark.parametrize(
    ("command", "prefixed"),
    [
        (b"cd /app && ./run", b"-c 'cd /app && ./run'"),
        (b"job > out", b"-c 'job > out'"),
        (b"job 'it is' | cat", b"-c 'job '\\''it is'\\'' | cat'"),
        (b"cat | wc%a%b", b"-c 'cat | wc'%a%b"),
        (b"echo \\% | cat%a\\%b", b"-c 'echo \\% | cat'%a\\%b"),
        (b"a | b\r", b"-c 'a | b'\r"),
        (b"job\r", b"-c 'job'\r"),
        (b"%hello", b"-c ''%hello"),
        (b"", b"-c ''"),
        (b"# nothing", b"-c '# nothing'"),
        (b"-c x", b"-c '-c x'"),
        (b"'-x' y", b"-c ''\\''-x'\\'' y'"),
        (b"'one word'", b"-c ''\\''one word'\\'''"),
        (b"$JOB x", b"-c '$JOB x'"),
        (b" job", b"-c ' job'"),
    ],
)
def test_any_other_command_is_quoted_for_a_shell(command, prefixed):
    assert prefix(command) == b"/usr/bin/rcron " + prefixed
    assert unprefix(prefix(command)) == (command, Guard(b"/usr/bin/rcron", None))


@pytest.mark.parametrize(
    ("written", "command", "guard"),
    [
        (b"rcron job", b"job", Guard(b"rcron", None)),
        (b"rcron  job  a", b"job  a", Guard(b"rcron", None)),
        (b"/usr/bin/rcron --conf /etc/b.conf job", b"job", Guard(b"/usr/bin/rcron", b"/etc/b.conf")),
        (b"/usr/bin/rcron --conf=/etc/b.conf job", b"job", Guard(b"/usr/bin/rcron", b"/etc/b.conf")),
        (b"rcron --conf '/etc/b c.conf' job", b"job", Guard(b"rcron", b"/etc/b c.conf")),
        (b'"/usr/bin/rcron" job', b"job", Guard(b"/usr/bin/rcron", None)),
        (b"rcron -- job", b"job", Guard(b"rcron", None)),
        (b"rcron --takeover-wait 30 job", b"job", Guard(b"rcron", None, b"30")),
        (b"rcron --takeover-wait=30 --conf=/c -c 'a | b'", b"a | b", Guard(b"rcron", b"/c", b"30")),
        (b"rcron --job a --claim=required job", b"job", Guard(b"rcron", None, job=b"a", claim=b"required")),
        (b"rcron --fire '1 2' --claim-window 60 -c 'a'", b"a", Guard(b"rcron", None, fire=b"1 2", claim_window=b"60")),
        (b"rcron --conf /c --takeover-wait '30' -- job", b"job", Guard(b"rcron", b"/c", b"30")),
        (b"rcron -c 'a | b'", b"a | b", Guard(b"rcron", None)),
        (b'rcron -c "a | b"', b"a | b", Guard(b"rcron", None)),
        (b'rcron -c "a \\"b\\" \\%c"%in', b'a "b" \\%c%in', Guard(b"rcron", None)),
        (b"rcron 'a | b'", b"a | b", Guard(b"rcron", None)),
        (b"rcron --conf /c 'a | b' %in", b"a | b%in", Guard(b"rcron", b"/c")),
        (b"rcron job > out", b"job > out", Guard(b"rcron", None)),
        (b"rcron a; b", b"a; b", Guard(b"rcron", None)),
        (b"rcron rcron job", b"rcron job", Guard(b"rcron", None)),
        # Only a shell can say what is run here.
        (b'rcron -c "$JOB"', b'$SHELL -c "$JOB"', Guard(b"rcron", None)),
        (b"rcron -c 'a' > out", b"$SHELL -c 'a' > out", Guard(b"rcron", None)),
        (b"rcron -c a\\ b", b"$SHELL -c a\\ b", Guard(b"rcron", None)),
        (b"rcron -c 'a\\'%in", b"$SHELL -c 'a\\'%in", Guard(b"rcron", None)),
        (b"rcron a\\ b", b"$SHELL -c a\\ b", Guard(b"rcron", None)),
        (b"rcron 'a | b' > out", b"$SHELL -c 'a | b' > out", Guard(b"rcron", None)),
        (b"rcron 'a b' # nightly", b"$SHELL -c 'a b' # nightly", Guard(b"rcron", None)),
        (b'rcron "$JOB"', b'$SHELL -c "$JOB"', Guard(b"rcron", None)),
        (b"rcron 'a b' > out c", b"'a b' > out c", Guard(b"rcron", None)),
        (b"rcron $JOB > out", b"$JOB > out", Guard(b"rcron", None)),
    ],
)
def test_a_prefix_is_recognised_however_it_is_written(written, command, guard):
    assert unprefix(written) == (command, guard)
    assert unprefix(prefix(written)) == (command, guard._replace(rcron_path=b"/usr/bin/rcron", conf=None))


@pytest.mark.parametrize(
    "command",
    [
        b"nice rcron job",
        b"cd /app && rcron job",
        b"A=1 rcron job",
        b"rcron",
        b"rcron%in",
        b"rcron --conf /c",
        b"rcron --cnf /c job",
        b"rcron && job",
        b"rcron # job",
        b"rcronctl status",
        b"/usr/bin/rcron/job x",
        b"myrcron job",
        b"$BIN/rcron job",
        b"echo rcron job",
        # To rcron these are options.
        b"rcron '-c' 'a | b'",
        b"rcron --conf /c '--conf=/d' job",
        b'rcron "--" job',
        b"rcron \\-c a",
    ],
)
def test_anything_else_is_no_prefix(command):
    assert unprefix(command) == (command, None)
    assert unprefix(prefix(command))[0] == command


@pytest.mark.parametrize(
    "command",
    [
        b"/usr/bin/rcron job",
        b"/usr/bin/rcron  job",
        b"/usr/bin/rcron -c 'a | b'",
        b'/usr/bin/rcron -c "a | b"',
        b"/usr/bin/rcron 'a | b'",
        b"/usr/bin/rcron -- job",
        b"/usr/bin/rcron -c job",
    ],
)
def test_a_right_prefix_stays_byte_for_byte(command):
    wanted = command if command != b"/usr/bin/rcron -c job" else b"/usr/bin/rcron -c '$SHELL -c job'"
    assert prefix(command) == wanted


def test_a_prefix_that_guards_only_a_part_is_put_right():
    assert prefix(b"/usr/bin/rcron cd /app && ./run") == b"/usr/bin/rcron -c 'cd /app && ./run'"


def test_a_prefix_is_moved_and_never_doubled():
    first = prefix(b"a | b", b"/opt/rcron", b"/etc/a.conf")
    assert prefix(first, b"/usr/bin/rcron", b"/etc/b.conf") == b"/usr/bin/rcron --conf /etc/b.conf -c 'a | b'"


@pytest.mark.parametrize("command", [b"a\nb", b"a\0b"])
def test_a_command_that_is_not_one_line_is_refused(command):
    with pytest.raises(CrontabError, match="one line of text: take it out"):
        prefix(command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rcron_path": b"rcron"}, "rcron_path is 'rcron'; it must be an absolute path"),
        ({"rcron_path": b"/opt/my app/rcron"}, "it must be an absolute path of letters"),
        ({"rcron_path": b"/usr/bin/guard"}, "the file must be called rcron"),
        ({"conf": b"billing.conf"}, "conf is 'billing.conf'; it must be an absolute path"),
        ({"conf": b"/etc/100%.conf"}, "it must be an absolute path of letters"),
        ({"conf": b"/etc/a\nb.conf"}, r"conf is '/etc/a\\nb.conf'; it must"),
    ],
)
def test_a_path_that_cannot_stand_in_every_crontab_is_refused(options, message):
    with pytest.raises(CrontabError, match=message):
        prefix(b"job", **options)
    with pytest.raises(CrontabError, match=message):
        present(b"0 5 * * * job\n", **options)


def test_many_variables_take_no_longer_than_their_number():
    """No backtracking: with it, this would take for ever."""
    began = time.process_time()
    prefix(b'job "' + b"$VARIABLE " * 3000 + b'" ' + b"${X}$Y" * 3000 + b" |")
    assert time.process_time() - began < 2


# --- rewriting a crontab ----------------------------------------------------------------------------------------------

CRONTAB = (
    b"# caf\xe9 \xff\r\n"
    b"SHELL=/bin/bash\n"
    b'MAILTO = "a=b # c"\n'
    b"\n"
    b"#Ansible: backup\n"
    b"0 5 * * *\tbackup  --all\n"
    b"#Ansible: report\n"
    b"\t*/5 * * * *  cd /app && ./report%in\r\n"
    b"#Ansible: off\n"
    b"#0 5 * * * backup --all\n"
    b"@daily rcron --conf /etc/b.conf other"
)


def test_only_the_selected_commands_change():
    after = present(CRONTAB, Selector("name", b"backup"), Selector("regexp", b"^cd ")).text
    assert after == CRONTAB.replace(b"backup  --all", b"/usr/bin/rcron backup  --all").replace(
        b"cd /app && ./report%", b"/usr/bin/rcron -c 'cd /app && ./report'%"
    )
    assert present(after, Selector("name", b"backup"), Selector("regexp", b"^cd ")).text == after
    assert absent(after, Selector("name", b"backup"), Selector("regexp", b"^cd ")).text == CRONTAB


def test_every_selected_entry_is_reported_with_what_selected_it():
    by = [
        Selector("regexp", b"backup"),
        Selector("name", b"backup"),
        Selector("job", b"nothing"),
        Selector("job", b"other"),
        Selector("job", b"backup  --all"),
        Selector("name", b"off"),
    ]
    text, entries, unmatched = present(CRONTAB, *by, conf=b"/etc/b.conf", rcron_path=b"/opt/rcron")
    assert [(entry.line, entry.before, entry.after, entry.selected_by) for entry in entries] == [
        (6, b"backup  --all", b"/opt/rcron --conf /etc/b.conf backup  --all", [by[0], by[1], by[4]]),
        (11, b"rcron --conf /etc/b.conf other", b"/opt/rcron --conf /etc/b.conf other", [by[3]]),
    ]
    assert unmatched == [by[2], by[5]]
    again = present(text, *by, conf=b"/etc/b.conf", rcron_path=b"/opt/rcron")
    assert again.text == text
    assert [entry.before for entry in again.entries] == [entry.after for entry in again.entries]


def test_selectors_see_the_command_without_its_prefix():
    text = b"0 5 * * * rcron -c 'a | b'\n"
    assert present(text, Selector("job", b"a | b"), Selector("regexp", b"^a")).unmatched == []
    assert present(text, Selector("regexp", b"rcron")).unmatched == [Selector("regexp", b"rcron")]


@pytest.mark.parametrize("selector", [Selector("job", b"a | b"), Selector("regexp", b"b$")])
def test_a_selector_needs_no_cr_for_a_crontab_with_crlf(selector):
    assert present(b"0 5 * * * a | b\r\n", selector).text == b"0 5 * * * /usr/bin/rcron -c 'a | b'\r\n"


def test_absent_takes_away_the_prefix_of_its_own_cluster_only():
    text = b"@daily rcron a\n@daily rcron --conf /etc/b.conf b\n@daily /opt/rcron --conf=/etc/b.conf c\n@daily d\n"
    assert absent(text).text == text.replace(b"rcron a", b"a")
    result = absent(text, conf=b"/etc/b.conf")
    assert result.text == b"@daily rcron a\n@daily b\n@daily c\n@daily d\n"
    assert [entry.line for entry in result.entries] == [1, 2, 3, 4]


@pytest.mark.parametrize("written", [b"", b"--conf /etc/rcron/rcron.conf ", b"--conf=/etc//rcron/./rcron.conf "])
@pytest.mark.parametrize("conf", [None, b"/etc/rcron/rcron.conf"])
def test_absent_takes_the_default_configuration_away_however_it_is_written(written, conf):
    text = b"@daily rcron " + written + b"job\n"
    assert absent(text, conf=conf).text == b"@daily job\n"
    assert absent(text, conf=b"/etc/rcron/other.conf").text == text


def test_a_command_that_would_get_too_long_is_refused_by_line():
    text = b"# x\n0 5 * * * " + b"x" * 983 + b"\n"
    assert len(present(text, max_command=998).text) == len(text) + 15
    with pytest.raises(CrontabError, match=r"line 2: with the prefix .* would have 999 bytes, and .* 998 at most"):
        present(text.replace(b"x\n", b"xx\n"), max_command=998)
    assert present(text.replace(b"x\n", b"xx\n"), max_command=None).entries


def test_debians_limit_counts_the_standard_input_and_the_blanks_behind_a_user():
    with pytest.raises(CrontabError, match="would have 20 bytes"):
        present(b"0 5 * * * job%x\n", max_command=19)
    with pytest.raises(CrontabError, match="would have 20 bytes"):
        present(b"0 5 * * * root   job\n", system=True, max_command=19)
    assert present(b"0 5 * * *    job\n", max_command=18).entries


def test_a_command_that_is_too_long_already_can_stay_or_be_unprefixed():
    text = b"0 5 * * * /usr/bin/rcron " + b"x" * 990 + b"\n"
    assert present(text, max_command=998).text == text
    assert absent(text, max_command=998).text == b"0 5 * * * " + b"x" * 990 + b"\n"


@pytest.mark.parametrize("shell", [b"/usr/bin/fish", b'"/usr/bin/python3"', b"'/bin/tcsh'", b"/bin/rbash", b'""'])
def test_an_entry_under_another_shell_is_refused(shell):
    text = b"0 4 * * * a\n\nSHELL = " + shell + b"\r\n0 5 * * * b\nSHELL=/bin/sh\n0 6 * * * c\n"
    with pytest.raises(CrontabError, match=r"line 4: SHELL is '[^']*' \(line 3\)"):
        present(text)
    assert len(present(text, Selector("regexp", b"^[ac]")).entries) == 2
    assert absent(text).text == text


@pytest.mark.parametrize(
    "variable",
    [
        b"SHELL=/bin/zsh",
        b"SHELL=/usr/bin/ksh93",
        b"BASH_ENV=~/.bashrc",
        b"SHELLOPTS=nounset",
        b"BASHOPTS=expand_aliases",
        b"BASH_FUNC_job%%=() { echo function; }",
        b"PATH=~/bin:/usr/bin",
    ],
)
def test_where_a_name_can_hide_a_function_every_command_goes_through_the_shell(variable):
    text = variable + b"\n0 5 * * * job\n"
    assert present(text).text == variable + b"\n0 5 * * * /usr/bin/rcron -c 'job'\n"
    assert absent(present(text).text).text == text
    assert present(present(text).text).text == present(text).text


@pytest.mark.parametrize(
    "variable", [b"SHELLOPTS=xtrace", b"SHELLOPTS = 'errexit:verbose'", b"BASHOPTS=extdebug:sourcepath"]
)
@pytest.mark.parametrize("shell", [b"", b"SHELL=/bin/bash\n"])
def test_an_entry_is_refused_if_bash_prints_what_it_runs(variable, shell):
    text = shell + variable + b"\n0 5 * * * job\n"
    line = text.count(b"\n", 0, text.index(variable)) + 1
    with pytest.raises(CrontabError, match=rf"line {line + 1}: \w+OPTS \(line {line}\) makes bash print what it runs"):
        present(text)
    assert absent(text).text == text
    assert present(b"SHELL=/bin/dash\n" + variable + b"\n0 5 * * * job\n").entries
    emptied = variable.partition(b"=")[0] + b"=\n"
    assert present(text.replace(b"0 5", emptied + b"0 5")).text.endswith(b"/usr/bin/rcron job\n")


@pytest.mark.parametrize(
    ("name", "value", "silent"),
    [
        ("SHELLOPTS", "nounset", True),
        ("SHELLOPTS", "errexit:noglob:pipefail", True),
        ("BASH_FUNC_job%%", "() { echo function; }", True),
        ("SHELLOPTS", "xtrace", False),
        ("SHELLOPTS", "verbose", False),
    ],
)
def test_bash_prints_nothing_for_a_prefix_unless_the_product_refuses_it(tmp_path, name, value, silent):
    """A passive node is one whose rcron does nothing."""
    rcron = tmp_path / "rcron"
    rcron.write_text("#!/bin/dash\n")
    rcron.chmod(0o755)
    text = f"SHELL=/bin/bash\n{name}={value}\n* * * * * job $UNSET\n".encode()
    try:
        command = present(text, rcron_path=bytes(rcron)).entries[0].after
    except CrontabError:
        assert not silent
        command = bytes(rcron) + b" -c 'job'"
    ran = subprocess.run(["/bin/bash", "-c", command], env={name: value}, capture_output=True, check=False)
    assert ((ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")) == silent


@pytest.mark.parametrize("expression", [b"(", b"*", b"[a"])
def test_a_regular_expression_that_is_none_is_refused(expression):
    with pytest.raises(CrontabError, match=r"is not a Python regular expression: .*needs a backslash"):
        present(b"", Selector("regexp", expression))


def test_an_unknown_state_is_refused():
    with pytest.raises(CrontabError, match="state is 'gone'; it can be present or absent"):
        rewrite(b"", ALL, system=False, state="gone")


def test_a_thousand_entries_are_prefixed_in_one_go():
    """How long that takes, tests/bench/crontab.py measures."""
    text = b"".join(
        b"#Ansible: job %d\n0 5 * * * cd /app && ./job --id=%d >> log\n# x\n\n" % (i, i) for i in range(1000)
    )
    result = present(text, *(Selector("name", b"job %d" % i) for i in range(1000)), max_command=998)
    assert len(result.entries) == 1000


def processor_time(text: bytes, system: bool) -> float:
    """Return how many seconds of processor time reading and rewriting took, the least of three times."""
    seconds = []
    for _time in range(3):
        began = time.process_time()
        with contextlib.suppress(CrontabError):
            present(text, Selector("job", b"x"), Selector("regexp", b"."), system=system)
        seconds.append(time.process_time() - began)
    return min(seconds)


@pytest.mark.parametrize("name", hostile_lines.PARTS)
@pytest.mark.parametrize("system", [False, True], ids=["user", "system"])
def test_a_line_costs_no_more_than_its_length(name, system):
    """Four times the bytes, four times the time. A quadratic expression takes 16 times, and many seconds."""
    # Up to this length a command is looked at. Behind it, only the rest of the line is.
    large = hostile_lines.lines(120_000)[name]
    spent = processor_time(large, system)
    assert spent < 0.05 or spent < 10 * processor_time(hostile_lines.lines(30_000)[name], system)
    assert processor_time(hostile_lines.lines(480_000)[name], system) < 10 * max(spent, 0.05)


def test_a_command_that_no_cron_could_hand_to_a_shell_is_refused_by_line():
    """Linux gives a program no argument of more than 131,071 bytes."""
    text = b"# x\n* * * * * " + b"x" * 131_056 + b"\n"
    assert present(text).entries
    for longer in (b"x" * 131_057, b"x" * 131_072, b"/usr/bin/rcron " + b"x" * 131_072):
        with pytest.raises(CrontabError, match=r"line 2: with the prefix .* 131071 at most; put the command into"):
            present(b"# x\n* * * * * " + longer + b"\n")
    for command in (b"x" * 131_072, b"x" * 131_070):
        with pytest.raises(CrontabError, match="more than 131071 bytes"):
            prefix(command)


def test_a_takeover_wait_that_stands_there_stays() -> None:
    written = b"/usr/bin/rcron --takeover-wait 30 job"
    assert prefix(written) == written
    assert prefix(written, conf=b"/c") == b"/usr/bin/rcron --conf /c --takeover-wait 30 job"
    assert prefix(b"rcron --takeover-wait=30 -c 'a | b'") == b"/usr/bin/rcron --takeover-wait 30 -c 'a | b'"
    assert prefix(b"rcron --takeover-wait '3 0' job") == b"/usr/bin/rcron --takeover-wait '3 0' job"


CLAIMING = b"--job 'nightly backup' --claim required --fire x --claim-window 60"


@pytest.mark.parametrize("options", [CLAIMING, b"--claim=required", b"--conf /c --job=a"])
def test_an_entry_that_claims_gets_no_second_prefix(options: bytes) -> None:
    written = b"/usr/bin/rcron " + options + b" job"
    command, guard = unprefix(written)
    assert command == b"job"
    assert guard is not None
    assert (guard.job or guard.claim) is not None
    if b"--conf" not in options:
        assert prefix(written, conf=b"/c").count(b"rcron ") == 1
        assert unprefix(prefix(written, conf=b"/c"))[1] == guard._replace(conf=b"/c")
    assert prefix(b"rcron " + CLAIMING + b" -c 'a | b'") == b"/usr/bin/rcron " + CLAIMING + b" -c 'a | b'"


def test_a_takeover_wait_that_is_given_is_set() -> None:
    assert prefix(b"job", takeover_wait=5) == b"/usr/bin/rcron --takeover-wait 5 job"
    assert prefix(b"/usr/bin/rcron --takeover-wait 30 job", takeover_wait=0) == b"/usr/bin/rcron --takeover-wait 0 job"
    assert unprefix(prefix(b"a | b", takeover_wait=5)) == (b"a | b", Guard(b"/usr/bin/rcron", None, b"5"))
    for seconds in (-1, 86401):
        with pytest.raises(CrontabError, match=r"takeover_wait is .*from 0 to 86400"):
            prefix(b"job", takeover_wait=seconds)


def test_the_options_of_claims_that_stand_there_stay() -> None:
    written = b"/usr/bin/rcron --job 'a b' --claim preferred --fire x --claim-window 9 job"
    assert prefix(written) == written
    assert prefix(written, claim="off", job=b"c") == (
        b"/usr/bin/rcron --job c --claim off --fire x --claim-window 9 job"
    )
    assert unprefix(written)[0] == b"job"


@pytest.mark.parametrize("name", [b"", b" a", b"a ", b"~a", b"50%", b"a\\b", b"a\tb", b"\xff", b"a" * 101])
def test_a_name_that_cron_or_rcron_would_read_otherwise_is_refused(name: bytes) -> None:
    with pytest.raises(CrontabError, match="cannot be a job's name; give it a job_name"):
        prefix(b"job", job=name)


def test_a_claim_that_is_none_is_refused() -> None:
    with pytest.raises(CrontabError, match="claim is 'always'; it can be off, required, preferred"):
        prefix(b"job", claim="always")


NAMED = b"#Ansible: nightly backup\n5 1 * * * job\n#Ansible: 50%\n5 2 * * * other\n5 3 * * * third\n"


def rewritten(text: bytes, *selectors: Selector, **options) -> list[bytes]:
    return [entry.after for entry in present(text, *selectors, **options).entries]


@pytest.mark.parametrize("options", [{"named": True}, {"claim": "preferred"}])
def test_a_job_is_claimed_by_its_entrys_name(options: dict) -> None:
    claim = b" --claim preferred" if "claim" in options else b""
    text = NAMED.replace(b"50%", b"half")
    assert rewritten(text, **options) == [
        b"/usr/bin/rcron --job 'nightly backup'" + claim + b" job",
        b"/usr/bin/rcron --job half" + claim + b" other",
        b"/usr/bin/rcron" + claim + b" third",
    ]
    # Nothing is named if nothing is claimed.
    assert rewritten(text, claim="off")[0] == b"/usr/bin/rcron --claim off job"
    assert rewritten(text)[0] == b"/usr/bin/rcron job"


def test_a_name_can_be_given_instead_of_the_entrys() -> None:
    half = Selector("name", b"50%")
    with pytest.raises(CrontabError, match="line 4: '50%' cannot be a job's name"):
        rewritten(NAMED, half, named=True)
    assert rewritten(NAMED, half, job_names={half: b"half"}) == [b"/usr/bin/rcron --job half other"]
    with pytest.raises(CrontabError, match="line 4: two items select it, with the job_name 'half' and 'all'"):
        rewritten(NAMED, half, *ALL, job_names={half: b"half", ALL[0]: b"all"})


def doubles(*lines: str) -> bool:
    done = present("\n".join([*lines, ""]).encode(), claim="required")
    return claimed_twice(Claimed("root", "root", entry) for entry in done.entries) is not None


@pytest.mark.parametrize(
    ("times", "others", "may_meet"),
    [
        ("* * * * *", "* * * * *", True),
        ("0 1 * * *", "0 13 * * *", False),
        ("*/5 * * * *", "*/10 * * * *", True),
        ("1-59/2 * * * *", "*/2 * * * *", False),
        ("0 1 * * mon", "0 1 * * tue", True),
        ("0 1 1 jan *", "0 1 1 2-12 *", False),
        ("0 1 1 jan *", "0 1 1 jan,feb *", True),
        ("@daily", "0 0 * * *", True),
        ("@daily", "0 1 * * *", False),
        ("@monthly", "@hourly", True),
        ("~ 1 * * *", "5 1 * * *", True),
        ("@reboot", "@reboot", False),
        ("@minutely", "7 7 * * *", True),
    ],
)
def test_two_entries_with_one_command_are_one_job_if_they_may_run_in_one_minute(
    times: str, others: str, may_meet: bool
) -> None:
    assert doubles(f"{times} job", f"{others} job") == may_meet
    assert doubles(f"{others} job", f"{times} job") == may_meet
    assert not doubles(f"{times} job", f"{others} job more")


def test_what_tells_two_entries_apart() -> None:
    assert not doubles("#Ansible: a", "* * * * * job", "#Ansible: b", "* * * * * job")
    assert doubles("#Ansible: a", "* * * * * job", "#Ansible: a", "* * * * * other")
    assert doubles("* * * * * job", "* * * * * rcron -- job")
    assert not doubles("* * * * * rcron --fire 1 job", "* * * * * rcron --fire 2 job")
    # A window is claimed for the job, whenever that is.
    assert doubles("0 1 * * * rcron --claim-window 60 job", "0 2 * * * rcron --claim-window 60 job")
    (entry,) = present(b"* * * * * job\n", claim="required").entries
    assert claimed_twice([Claimed("a", "bob", entry), Claimed("b", "eve", entry)]) is None
    assert claimed_twice([Claimed("a", "bob", entry), Claimed("b", "bob", entry)]) is not None


def test_absent_takes_a_takeover_wait_away_with_the_prefix() -> None:
    text = b"* * * * * /usr/bin/rcron --takeover-wait 30 job\n"
    rewritten = rewrite(text, [Selector("job", b"job")], system=False, state="absent")
    assert rewritten.text == b"* * * * * job\n"
