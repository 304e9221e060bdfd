# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Crontab text: which of its lines are entries, and an entry's command with and without the rcron prefix.

Bytes in, bytes out: no I/O, no Ansible, no locale. The crontab format is that of crontab(5) in Debian's cron, cronie
and systemd-cron; if they differ, a line counts as an entry if one of them runs it. The shell grammar is that of
POSIX.1-2017, XCU chapter 2, and of bash if the two differ.

An anacrontab (anacrontab(5)) is read as anacron does: fields of its own, a `%` that means nothing, and every backslash
lost. Its entries are root's, and a job's identifier is its name.

The law that `prefix` keeps: on an active node the prefixed command does what the command did, on a passive node it does
nothing. Three things lie outside what rewriting one command can reach:

- A guard further inside (`nice rcron job`, `cd /app && rcron job`) is part of the command and not a prefix: `prefix`
  puts a second guard in front, which asks the same question once more and is taken away again by `unprefix`.
- systemd-cron takes every `\\%` for an escaped `%`; in `\\\\%`, cron and cronie see an escaped backslash, and then the
  start of the standard input. This module reads it as they do.
- What a shell reads at its start (bash the file that `BASH_ENV` in the crontab names, zsh `~/.zshenv`) is read by the
  shell that cron starts, so on passive nodes too, and on active ones once more by the shell that rcron starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

DEFAULT_RCRON_PATH = b"/usr/bin/rcron"
DEFAULT_CONF = b"/etc/rcron/rcron.conf"  # what a prefix without --conf means
MOST_BYTES = 131071  # what Linux gives a program in one argument, as cron does with a command (MAX_ARG_STRLEN)
MOST_SECONDS = 86400  # the longest --takeover-wait that rcron accepts
MOST_OF_A_NAME = 100  # the longest --job that rcron accepts, in characters
CLAIMS = ("off", "required", "preferred")  # what --claim may be
CLAIMING = ("required", "preferred")
KEPT = ("takeover_wait", "job", "claim", "fire", "claim_window")  # a prefix's options that another prefix keeps
JOB_NAME = (
    f"give it a job_name of 1 to {MOST_OF_A_NAME} printable characters without % and \\, with no ~ in front and no "
    "blanks at its ends"
)


class CrontabError(ValueError):
    """A crontab or command that cannot be rewritten. The message names the line, if there is one, and the fix."""


class Guard(NamedTuple):
    """The prefix of a command."""

    rcron_path: bytes  # as it is written: `/usr/bin/rcron`, or `rcron`, which cron finds by PATH
    conf: bytes | None  # the argument of --conf; None: the default configuration
    takeover_wait: bytes | None = None  # the argument of --takeover-wait, in seconds; None: the configuration's
    job: bytes | None = None  # the argument of --job, the job's name; None: it has none
    claim: bytes | None = None  # the argument of --claim; None: the configuration's
    fire: bytes | None = None  # the argument of --fire; None: rcron finds out which run it is
    claim_window: bytes | None = None  # the argument of --claim-window, in seconds; None: only a run is claimed


class Entry(NamedTuple):
    """A line of a crontab that cron runs a command for."""

    line: int  # counted from 1
    name: bytes | None  # NAME, if the line above is ansible.builtin.cron's `#Ansible: NAME`; in an anacrontab the job's
    user: bytes | None  # the user field; None in a user crontab
    command: bytes  # without prefix; all after the schedule or user field, the part after `%` included
    guard: Guard | None  # None: not prefixed
    start: int  # crontab[start:end] is the command as it stands, prefix included
    end: int
    zone: bytes = b""  # what CRON_TZ is above it, which cronie obeys


class Selector(NamedTuple):
    """What picks entries: all whose name is `value`, or whose unprefixed command is or matches it."""

    kind: str  # "name", "job" (the whole command), or "regexp" (Python's, looked for anywhere in the command)
    value: bytes


class Change(NamedTuple):
    """A selected entry; nothing was to be changed in it if `before` equals `after`."""

    line: int
    user: bytes | None
    before: bytes  # the command as it stood
    after: bytes
    selected_by: list[Selector]
    at_boot: bool = False  # the entry runs when cron is started, and at no other time
    name: bytes | None = None  # the entry's
    times: bytes = b""  # when it runs: the five fields, or a word such as @daily; empty in an anacrontab


class Rewritten(NamedTuple):
    """What `rewrite` returns."""

    text: bytes  # the new crontab
    entries: list[Change]  # one for each selected entry, changed or not, in the crontab's order
    unmatched: list[Selector]  # the selectors that picked no entry


# --- crontab(5) -------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A time field: the numbers that it may hold, and names for them."""

    low: int
    high: int
    names: tuple[bytes, ...] = ()  # of the numbers from `low` on


_FIELDS = (
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31),
    _Field(1, 12, tuple(b"jan feb mar apr may jun jul aug sep oct nov dec".split())),
    _Field(0, 7, tuple(b"sun mon tue wed thu fri sat".split())),
)

# No expression below goes over the same bytes twice: crontab(1) takes a million of them from anybody.
_BLANKS = re.compile(rb"[ \t]*")
_UP_TO_BLANK = re.compile(rb"[^ \t]*")
_UP_TO_EQUALS = re.compile(rb"[^\s=]*")
_WHITE_SPACE = b" \t\n\v\f\r"  # isspace(3) in the C locale
_NICKNAMES = re.compile(
    rb"@(?:reboot|hourly|daily|midnight|weekly|monthly|yearly|annually"
    # systemd-cron's own
    rb"|boot|minutely|quarterly|semi-?annually|bi-?annually|anually|[0-9]+)",
    re.IGNORECASE,
)
_ALNUM = rb"[0-9A-Za-z]+"
_DEBIAN_RANGE = re.compile(rb"(?:\*|(?P<first>%(n)s)(?:-(?P<last>%(n)s))?)(?:/(?P<step>%(n)s))?" % {b"n": _ALNUM})
_CRONIE_RANDOM = re.compile(rb"(?P<first>%(n)s)?~(?P<last>%(n)s)?" % {b"n": _ALNUM})
_SYSTEMD_RANGE = re.compile(rb"(?:\*|(?P<first>%(n)s)(?:-(?P<last>%(n)s))?)(?:/0*[1-9][0-9]*)?" % {b"n": _ALNUM})
_NOT_PLAIN = re.compile(r"[^ -~]")
_ANSIBLE_NAME = b"#Ansible: "
# parse_tab_line() in anacron's readtab.c; the second kind of period is compared by what it begins with.
_ANACRON = re.compile(
    rb"[ \t]*(?:[0-9]+|@(?:daily|weekly|monthly|yearly|annualy)[^ \t]*)[ \t]+[0-9]+[ \t]+"
    rb"(?P<job>[^ \t/]+)[ \t]+(?=[^ \t])"
)
_RUN_PARTS = re.compile(rb"(?:^|[\s;&|(/])run-parts(?:\s|$)")

# Shells that read `'…'` and `-c` as POSIX says, by the last part of their path. (rbash runs nothing with a `/` in it.)
_POSIX_SHELLS = frozenset(b"sh dash ash bash ksh ksh93 mksh lksh oksh yash zsh".split())
# Variables by which bash reads functions and options at its start. An option may make an unset variable an error, for
# instance. And bash looks for `~/bin/job` if an element of PATH is `~/bin`.
_HIDING = frozenset([b"BASH_ENV", b"SHELLOPTS", b"BASHOPTS"])
# Their options by which it prints what it runs, or starts a debugger that is not there.
_PRINTING = {b"SHELLOPTS": frozenset([b"xtrace", b"verbose"]), b"BASHOPTS": frozenset([b"extdebug"])}
_MAY_BE_BASH = frozenset([b"sh", b"bash"])
# Those whose builtins `_BUILTINS` lists.
_KNOWN_SHELLS = frozenset(b"sh dash bash".split())


class _Line(NamedTuple):
    """An entry, and what `rewrite` has to know besides."""

    entry: Entry
    padding: int  # bytes in front of the command that count for its length limit
    shell: bytes  # what SHELL is set to above the entry
    shell_line: int
    hides: bool  # what bash reads at its start may have another meaning for a command's name, or for a variable
    prints: tuple[bytes, int] | None  # the variable that makes bash print what it runs, and its line


class _Place(NamedTuple):
    """Where a line has an entry's user and command."""

    user: bytes | None  # in an anacrontab, the field of the job's identifier
    padding: int  # Debian's cron counts blanks after the first one behind the user as the command's
    command: int  # offset in the line


def parse(crontab: bytes, *, system: bool, anacron: bool = False) -> list[Entry]:
    """Find the entries of a crontab. Comments, variables and invalid lines are passed over.

    Args:
        crontab: The crontab's text.
        system: Whether the lines have a user field (/etc/crontab, /etc/cron.d/*).
        anacron: Whether it is an anacrontab.

    Returns:
        The entries in the order of the crontab.

    Raises:
        CrontabError: The crontab contains a NUL byte.
    """
    return [line.entry for line in _lines(crontab, system, anacron)]


def _lines(crontab: bytes, system: bool, anacron: bool) -> Iterator[_Line]:
    nul = crontab.find(b"\0")
    if nul >= 0:
        line, column = crontab.count(b"\n", 0, nul) + 1, nul - crontab.rfind(b"\n", 0, nul)
        raise CrontabError(
            f"line {line}: NUL byte in column {column}; cron reads no further there, and this may be no crontab: "
            "take the byte out first"
        )
    name, shell, shell_line = None, b"/bin/sh", 0
    zone = b""
    hiding: set[bytes] = set()
    printing: dict[bytes, int] = {}
    offset = 0
    for number, text in enumerate(crontab.split(b"\n"), start=1):
        name_above, name = name, None
        start, offset = offset, offset + len(text) + 1
        if b" " not in text and b"\t" not in text and b"=" not in text:
            continue
        if text.lstrip(b" \t").startswith(b"#"):
            name = text[len(_ANSIBLE_NAME) :].rstrip(b"\r") if text.startswith(_ANSIBLE_NAME) else None
            continue
        variable = _variable(text) if b"=" in text else None
        if variable:
            what, value = variable
            if what == b"SHELL":
                shell, shell_line = value.strip(), number
            if what == b"CRON_TZ":
                zone = value.strip()
            if (value and (what in _HIDING or what.startswith(b"BASH_FUNC_"))) or (what == b"PATH" and b"~" in value):
                hiding.add(what)
            else:
                hiding.discard(what)
            if _PRINTING.get(what, frozenset()) & set(value.split(b":")):
                printing[what] = number
            else:
                printing.pop(what, None)
            continue
        place = _place_in_anacrontab(text) if anacron else _place(text, system)
        if place is None:
            continue
        command, guard = unprefix(text[place.command :])
        above, user = (place.user, b"root") if anacron else (name_above, place.user)
        entry = Entry(number, above, user, command, guard, start + place.command, start + len(text), zone)
        prints = next(iter(printing.items()), None)
        yield _Line(entry, place.padding, shell, shell_line, bool(hiding), prints)


def _variable(line: bytes) -> tuple[bytes, bytes] | None:
    """Return the name and value that a line sets in the jobs' environment; None if it is not such a line.

    This is load_env() of cron's env.c, which is tried before anything else: `@daily = x` is a variable.
    """
    text = line.lstrip(b" \t")
    if text[:1] in (b"'", b'"'):
        end = text.find(text[:1], 1)
        name, rest = text[1:end], text[end + 1 :]
        if end < 0 or b"=" in name:
            return None
    else:
        name = _UP_TO_EQUALS.match(text)[0]  # type: ignore[index] # it matches the empty string too
        rest = text[len(name) :]
    rest = rest.lstrip(_WHITE_SPACE)
    if not rest.startswith(b"="):
        return None
    value = rest[1:].strip(_WHITE_SPACE)
    if value[:1] not in (b"'", b'"'):
        return name, value
    # Anything behind the closing quote makes it something else than a variable.
    return (name, value[1:-1]) if value.find(value[:1], 1) == len(value) - 1 > 0 else None


def _place(line: bytes, system: bool) -> _Place | None:
    """Return where a line's command is; None if no cron runs it (load_entry() in cron's entry.c)."""
    at = _skip(_BLANKS, line, 0)
    if line[at : at + 1] == b"-":  # cronie: do not log
        at += 1
    for field in _FIELDS if line[at : at + 1] != b"@" else (None,):
        end = _skip(_UP_TO_BLANK, line, at)
        word = line[at:end]
        if not (_is_time(word, field) if field else _NICKNAMES.fullmatch(word)):
            return None
        at = _skip(_BLANKS, line, end)
    # A sixth time field is a slip that cron refuses.
    if line[at : at + 1] == b"*":
        return None
    user, padding = None, 0
    if system:
        end = _skip(_UP_TO_BLANK, line, at)
        user = line[at:end]
        at = _skip(_BLANKS, line, end)
        padding = at - end - 1
    if line.startswith((b"-n ", b"-n\t"), at):  # cronie: mail only if the command fails
        at = _skip(_BLANKS, line, at + 2)
    # Any other option is one that cronie refuses, and the shell under Debian's cron (`sh -c '-x job'`).
    if at == len(line) or line[at : at + 1] == b"-":
        return None
    return _Place(user, padding, at)


def _place_in_anacrontab(line: bytes) -> _Place | None:
    """Return where a line's command is; None if anacron does not run it (parse_tab_line() in anacron's readtab.c)."""
    match = _ANACRON.match(line)
    return match and _Place(match["job"], 0, match.end())


def _checked_for_anacron(entry: Entry) -> None:
    """Raise CrontabError if an entry of an anacrontab cannot be prefixed."""
    what = f"line {entry.line}: the job {_shown(entry.name or b'')}"
    if _RUN_PARTS.search(entry.command):
        raise CrontabError(
            f"{what} runs all scripts of a folder (run-parts), among them those that each host needs for itself, such "
            "as logrotate's; take this entry off the list, and put rcron in front of what a single script runs"
        )
    simple = is_simple(split_percent(entry.command)[0])
    if b"\\" in entry.command or b"%" in entry.command or (b"'" in entry.command and not simple):
        raise CrontabError(
            f"{what} has a backslash, a `%` or a quote in its command, and anacron, which drops all backslashes, would "
            "not read the prefixed command as it is meant; put the command into a script, and run that"
        )


def _skip(expression: re.Pattern[bytes], text: bytes, at: int) -> int:
    """Return the offset behind what an expression that always matches matches at an offset."""
    return expression.match(text, at).end()  # type: ignore[union-attr]


def _is_time(text: bytes, field: _Field) -> bool:
    """Say whether Debian's cron, cronie or systemd-cron reads a word as a time."""
    if text == b"*" or (len(text) <= 2 and text.isdigit() and field.low <= int(text) <= field.high):
        return True
    ranges = list(dict.fromkeys(text.split(b",")))
    return _is_debians(ranges, field) or _is_cronies(ranges, field) or _is_systemds(ranges, field)


def _is_debians(ranges: list[bytes], field: _Field) -> bool:
    """Read a list of ranges as get_list() in Debian's entry.c does.

    It passes over whatever follows a complete range up to the next blank (`*.`, `5;`, `1-3-5`, `*/5/10`).
    """
    for part in ranges:
        match = _DEBIAN_RANGE.match(part)
        if match is None:
            return False
        follower = part[match.end() : match.end() + 1]
        first, last, step = match.groups()
        if first is not None:
            if last is None and (step is not None or follower in (b"-", b"/")):
                return False
            if not all(_is_within(word, field) for word in (first, last) if word is not None):
                return False
        if (step is None and follower == b"/") or (step is not None and (_number(step) or 0) <= 0):
            return False
        if follower:
            return True
    return True


def _is_cronies(ranges: list[bytes], field: _Field) -> bool:
    """Read a list of ranges that has random times in it, which only cronie knows: `~`, `5~`, `~30`, `5~30`."""
    for part in ranges:
        match = _CRONIE_RANDOM.fullmatch(part)
        if match is None:
            if not _DEBIAN_RANGE.fullmatch(part) or not _is_debians([part], field):
                return False
            continue
        low = field.low if match["first"] is None else _number(match["first"], field)
        high = field.high if match["last"] is None else _number(match["last"], field)
        # The number in between is drawn before it is checked: `50~99` is an entry now and then.
        if low is None or high is None or low > high or low > field.high or high < field.low:
            return False
    return True


def _is_systemds(ranges: list[bytes], field: _Field) -> bool:
    """Read a list of ranges as systemd-cron does.

    It takes names in full, `L` (a month's last day, its last Friday), steps behind a number, and cuts ranges to what
    there is; a list is good if any of it is left.
    """
    if field.high == 31 and ranges in ([b"L"], [b"l"]):
        return True
    left = False
    for part in ranges:
        match = _SYSTEMD_RANGE.fullmatch(part)
        if match is None:
            return False
        if match["first"] is None:
            left = True
            continue
        ends = [word for word in match.groups() if word is not None]
        if field.high == 7:
            ends = [word[:-1] if word[-1:] in b"lL" and word[:-1].isdigit() else word for word in ends]
        numbers = [_number(word[:3] if word.isalpha() else word, field) for word in ends]
        low, high = numbers[0], numbers[-1]
        if low is None or high is None:
            return False
        left = left or (low <= high and low <= field.high and high >= field.low)
    return left


def _is_within(word: bytes, field: _Field) -> bool:
    number = _number(word, field)
    return number is not None and field.low <= number <= field.high


def _number(word: bytes, field: _Field | None = None) -> int | None:
    """Read a number, or a field's name for one, as get_number() in cron's entry.c does."""
    if field is not None and word.lower() in field.names:
        return field.low + field.names.index(word.lower())
    # Its buffer has 1,000 bytes. atoi(3) keeps the lowest 32 bits of the number.
    if not word.isdigit() or len(word) >= 1000:
        return None
    return (min(int(word), 2**63 - 1) + 2**31) % 2**32 - 2**31


def rewrite(
    crontab: bytes,
    selectors: Iterable[Selector],
    *,
    system: bool,
    state: str,
    anacron: bool = False,
    rcron_path: bytes = DEFAULT_RCRON_PATH,
    conf: bytes | None = None,
    takeover_wait: int | None = None,
    max_command: int | None = None,
    claim: str | None = None,
    named: bool = False,
    job_names: Mapping[Selector, bytes] | None = None,
) -> Rewritten:
    """Prefix the selected entries, or take their prefix away; every other byte stays as it is.

    Time grows with the length of the crontab, and with the product of commands and regular expressions.

    Args:
        crontab: The crontab's text.
        selectors: An entry that any of them picks is selected.
        system: Whether the lines have a user field.
        state: "present" prefixes with `rcron_path` and `conf`, and replaces another prefix. "absent" removes the
            prefixes whose configuration is `conf`; an entry of another cluster stays as it is.
        anacron: Whether it is an anacrontab.
        rcron_path: Path of rcron on the host.
        conf: The argument of the prefix's --conf; None for the default configuration.
        takeover_wait: Seconds for the prefix's --takeover-wait. None adds none, but keeps one that an entry has.
        max_command: How many bytes of command cron accepts (Debian's cron: 998), counted as written, with the part
            after `%` and, in a system crontab, further blanks behind the user. None: `MOST_BYTES`.
        claim: The prefix's --claim, one of `CLAIMS`. None adds none, but keeps one that an entry has.
        named: Whether the prefix's --job is to be the entry's name, if it has one. A claim wants that, too.
        job_names: The prefix's --job for what a selector picks, instead of the entry's name.

    Returns:
        The new crontab, the selected entries, and the selectors that picked none.

    Raises:
        CrontabError: The crontab contains a NUL byte, a regular expression is not valid, `rcron_path`, `conf` or a
            job's name cannot be written in a crontab, a command would get too long, or its SHELL is not a POSIX shell
            or would print on passive nodes.
    """
    if state not in ("present", "absent"):
        raise CrontabError(f"state is {state!r}; it can be present or absent")
    guard = _checked_guard(rcron_path, conf, takeover_wait, claim=claim)
    named = named or claim in CLAIMING
    selectors = list(dict.fromkeys(selectors))
    selecting = _selecting(selectors)

    entries = []
    matched = set()
    pieces = []
    copied = 0
    for line in _lines(crontab, system, anacron):
        entry = line.entry
        selected_by = selecting(entry)
        if not selected_by:
            continue
        matched.update(selected_by)
        before = crontab[entry.start : entry.end]
        after = before
        if state == "present":
            if anacron:
                _checked_for_anacron(entry)
            job = _job_name(entry, selected_by, named, job_names or {})
            after = _present(line, before, guard._replace(job=job), max_command)
        elif entry.guard is not None and configuration(entry.guard.conf) == configuration(conf):
            after = entry.command
        times = b"" if anacron else times_of(crontab, entry)
        at_boot = times.lower() in (b"@reboot", b"@boot")
        entries.append(Change(entry.line, entry.user, before, after, selected_by, at_boot, entry.name, times))
        if after != before:
            pieces += [crontab[copied : entry.start], after]
            copied = entry.end
    pieces.append(crontab[copied:])
    return Rewritten(b"".join(pieces), entries, [selector for selector in selectors if selector not in matched])


def times_of(crontab: bytes, entry: Entry) -> bytes:
    """Return when an entry runs: its five fields with one blank in between, or its word.

    Args:
        crontab: The crontab's text, which is not an anacrontab.
        entry: One of its entries.
    """
    line = crontab[crontab.rfind(b"\n", 0, entry.start) + 1 : entry.start]
    words = line.lstrip(_WHITE_SPACE + b"-").split()
    return b" ".join(words[:1] if words[0].startswith(b"@") else words[:5])


def _job_name(
    entry: Entry, selected_by: list[Selector], named: bool, job_names: Mapping[Selector, bytes]
) -> bytes | None:
    """Return the name that an entry's job is to have; None to leave it as it is."""
    given = list(dict.fromkeys(job_names[selector] for selector in selected_by if selector in job_names))
    if len(given) > 1:
        raise CrontabError(
            f"line {entry.line}: two items select it, with the job_name {' and '.join(map(_shown, given))}; give it one"
        )
    name = given[0] if given else entry.name if named else None
    if not name and not given:
        return None
    if name is None or not is_job_name(name):
        raise CrontabError(f"line {entry.line}: {_shown(name or b'')} cannot be a job's name; {JOB_NAME}")
    return name


class Claimed(NamedTuple):
    """An entry whose runs are claimed."""

    where: str  # the crontab's name
    user: str  # whom it runs as
    change: Change


def claimed_twice(entries: Iterable[Claimed]) -> tuple[Claimed, Claimed] | None:
    """Find two entries of which only one would ever run: they claim the same job, and may run in the same minute.

    Args:
        entries: Those of one host.

    Returns:
        The first two; None if there are none.
    """
    jobs: dict[tuple[str, bytes, bytes, bytes], list[tuple[Claimed, list[int]]]] = {}
    for entry in entries:
        command, guard = unprefix(entry.change.after)
        # A window is the job's, at whatever time it is claimed.
        times = [-1] * 3 if guard and guard.claim_window else _when(entry.change.times)
        if guard is None or guard.fire is not None or not all(times):
            continue
        name = (b"", command.rstrip(_WHITE_SPACE)) if guard.job is None else (guard.job, b"")
        others = jobs.setdefault((entry.user, configuration(guard.conf), *name), [])
        for other, others_times in others:
            if all(mine & theirs for mine, theirs in zip(times, others_times)):
                return other, entry
        others.append((entry, times))
    return None


#: What some words stand for. Any other but @reboot may be any time.
_WORDS = {
    b"@hourly": b"0 * * * *",
    b"@daily": b"0 0 * * *",
    b"@midnight": b"0 0 * * *",
    b"@weekly": b"0 0 * * 0",
    b"@monthly": b"0 0 1 * *",
    b"@yearly": b"0 0 1 1 *",
    b"@annually": b"0 0 1 1 *",
}


def _when(times: bytes) -> list[int]:
    """Return the minutes, hours and months in which an entry may run, each as bits; all are 0 for @reboot.

    The days are left out: cron takes those of the month and of the week together in ways of its own.
    """
    fields = _WORDS.get(times.lower(), times).split()
    if len(fields) != len(_FIELDS):
        return [0 if times.lower() in (b"@reboot", b"@boot") else -1] * 3
    return [_bits(fields[at], _FIELDS[at]) for at in (0, 1, 3)]


def _bits(text: bytes, field: _Field) -> int:
    """Return the numbers that a time field names, as bits; -1, which is all of them, if it is not a plain one."""
    found = 0
    for part in text.split(b","):
        match = _DEBIAN_RANGE.fullmatch(part)
        if match is None:
            return -1
        step = 1 if match["step"] is None else _number(match["step"]) or 0
        first = last = _number(match["first"], field) if match["first"] else field.low
        if match["last"] or not match["first"]:
            last = _number(match["last"], field) if match["last"] else field.high
        elif match["step"]:
            return -1
        if first is None or last is None or not field.low <= first <= last <= field.high or step < 1:
            return -1
        for number in range(first, last + 1, step):
            found |= 1 << number
    return found


def unselected(crontab: bytes, selectors: Iterable[Selector], *, system: bool, anacron: bool = False) -> list[Entry]:
    """Find the entries that have a prefix, and that no selector picks.

    Args:
        crontab: The crontab's text.
        selectors: The selectors.
        system: Whether the lines have a user field.
        anacron: Whether it is an anacrontab.

    Raises:
        CrontabError: The crontab contains a NUL byte, or a regular expression is not valid.
    """
    selecting = _selecting(list(selectors))
    entries = parse(crontab, system=system, anacron=anacron)
    return [entry for entry in entries if entry.guard is not None and not selecting(entry)]


def release(crontab: bytes, entries: Iterable[Entry]) -> Rewritten:
    """Take the prefix off entries; every other byte stays as it is.

    Args:
        crontab: The crontab's text.
        entries: Entries of this very text, in its order.
    """
    pieces = []
    copied = 0
    changes = []
    for entry in entries:
        changes.append(Change(entry.line, entry.user, crontab[entry.start : entry.end], entry.command, []))
        pieces += [crontab[copied : entry.start], entry.command]
        copied = entry.end
    return Rewritten(b"".join([*pieces, crontab[copied:]]), changes, [])


def _selecting(selectors: list[Selector]) -> Callable[[Entry], list[Selector]]:
    """Return a function that finds those selectors that pick an entry, in their order."""
    rank = {selector: number for number, selector in enumerate(selectors)}
    expressions = [(selector, _compiled(selector.value)) for selector in selectors if selector.kind == "regexp"]

    def selecting(entry: Entry) -> list[Selector]:
        # In a crontab with CRLF, the CR is the command's last byte; nobody would write it in a selector.
        command = entry.command.rstrip(b"\r")
        exact = [Selector("job", command)]
        if entry.name is not None:
            exact.append(Selector("name", entry.name))
        found = [selector for selector in exact if selector in rank]
        found += [selector for selector, expression in expressions if expression.search(command)]
        return sorted(found, key=rank.__getitem__)

    return selecting


def _compiled(expression: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise CrontabError(
            f"regexp {_shown(expression)} is not a Python regular expression: {error}; a character that is to be taken "
            "literally needs a backslash in front"
        ) from error


def _present(line: _Line, before: bytes, guard: Guard, max_command: int | None) -> bytes:
    """Return the command with its prefix; raise CrontabError if cron could not run that."""
    most = MOST_BYTES if max_command is None else max_command
    if len(before) > MOST_BYTES:
        raise _too_long(line, len(before), most)
    shell = line.shell.rpartition(b"/")[2]
    # A function of BASH_ENV or BASH_FUNC_*, or a builtin that is not known here, can hide behind any command's name.
    after = _prefixed(before, guard, bare=shell in _KNOWN_SHELLS and not line.hides)
    if after == before:
        return before
    if shell not in _POSIX_SHELLS:
        known = ", ".join(sorted(name.decode() for name in _POSIX_SHELLS))
        raise CrontabError(
            f"line {line.entry.line}: SHELL is {_shown(line.shell)} (line {line.shell_line}), and a prefix can only be "
            f"quoted for {known}; set SHELL=/bin/sh above this entry, and name the interpreter in its command"
        )
    if line.prints and shell in _MAY_BE_BASH:
        name, number = line.prints
        raise CrontabError(
            f"line {line.entry.line}: {name.decode()} (line {number}) makes bash print what it runs, on passive nodes "
            "too; remove that variable from the crontab, and put `set -x` or `set -v` into the command instead"
        )
    length = line.padding + len(after)
    if length > most:
        raise _too_long(line, length, most)
    return after


def _too_long(line: _Line, length: int, most: int) -> CrontabError:
    return CrontabError(
        f"line {line.entry.line}: with the prefix the command would have {length} bytes, and this cron takes "
        f"{most} at most; put the command into a script, and run that"
    )


def printable(raw: bytes, keep: str = "") -> str:
    """Make bytes of a crontab safe to be read on a terminal, which would obey its control characters.

    Args:
        raw: What anybody may have written.
        keep: Control characters that stay as they are.

    Returns:
        The text. Bytes that are not UTF-8 and characters that cannot be printed become escapes such as
        `\\xNN` and `\\u202e`.
    """
    text = raw.decode("utf-8", "backslashreplace")
    return _NOT_PLAIN.sub(
        lambda match: match[0] if match[0].isprintable() or match[0] in keep else ascii(match[0])[1:-1], text
    )


def _shown(value: bytes) -> str:
    """Return bytes as a message shows them: on one line, in quotes."""
    return f"'{printable(value)}'"


# --- The prefix -------------------------------------------------------------------------------------------------------

# POSIX XCU 2.2.2 and 2.2.3: quoting whose content stands for itself.
_SINGLE_QUOTED = rb"'[^']*'"
_DOUBLE_QUOTED_LITERAL = rb'"[^"\\$`]*"'
_PLAIN = rb"[A-Za-z0-9_./:,@+-]"
_STATIC_WORD = rb"(?:%s|%s|%s)+" % (_PLAIN, _SINGLE_QUOTED, _DOUBLE_QUOTED_LITERAL)
_STATIC = re.compile(_STATIC_WORD)
_OPERATORS = (b";", b"&", b"|", b"<", b">", b"(", b")")
_QUOTED_OR_NOT = re.compile(rb"'([^']*)'|\"([^\"]*)\"|([^'\"]+)")

# `rcron [OPTION…] [--] COMMAND…` and `rcron [OPTION…] -c STRING`. What follows must be able to begin a command, and an
# option in quotes is one to rcron.
_PREFIXED = re.compile(
    rb"(?P<path>%(w)s)[ \t]+"
    rb"(?:--(?:conf(?:=|[ \t]+)(?P<conf>%(w)s)|takeover-wait(?:=|[ \t]+)(?P<takeover_wait>%(w)s)"
    rb"|job(?:=|[ \t]+)(?P<job>%(w)s)|claim(?:=|[ \t]+)(?P<claim>%(w)s)|fire(?:=|[ \t]+)(?P<fire>%(w)s)"
    rb"|claim-window(?:=|[ \t]+)(?P<claim_window>%(w)s))[ \t]+)*"
    rb"(?:(?P<shell>-c[ \t]+)|--[ \t]+|(?!['\"\\]*-))(?P<rest>[^ \t;&|<>()#].*)" % {b"w": _STATIC_WORD},
    re.DOTALL,
)
# The strings after -c that can be read without a shell: our own, and one pair of double quotes.
_SHELL_STRING = re.compile(
    rb"""(?:'(?P<single>(?:[^']|'\\'')*)'|"(?P<double>(?:[^"\\$`]|\\[%"])*)")[ \t]*(?P<cr>\r*)""", re.DOTALL
)
# XCU 2.3 token recognition, a piece at a time: what stands for itself; what begins or ends a quoting or an expansion.
_PLAIN_PIECE = re.compile(rb"[^\s'\"\\;&|<>()$`]+")
_UP_TO_PERCENT = re.compile(rb"[^\\%]*(?:\\.?[^\\%]*)*", re.DOTALL)
_QUOTED_PIECE = {
    b'"': re.compile(rb'[^"\\$`]+'),
    b"{": re.compile(rb"[^}'\"\\$`]+"),
    b"(": re.compile(rb"[^()'\"\\$`]+"),
    b"`": re.compile(rb"[^'\"\\$`]+"),
}
_CLOSES = {b'"': b'"', b"{": b"}", b"(": b")", b"`": b"`"}
# XCU 2.7: what begins a redirection, up to its word. (bash's `&>` is two operators to dash.)
_REDIRECTION = re.compile(rb"(?:[0-9]*(?:<<<|<>|>>|>\||[<>]&?)|&>>?)[ \t]*")


class _Unprefixed(NamedTuple):
    command: bytes
    guard: Guard | None
    shell: bool  # the prefix hands the whole command to a shell


def prefix(
    command: bytes,
    rcron_path: bytes = DEFAULT_RCRON_PATH,
    conf: bytes | None = None,
    takeover_wait: int | None = None,
    job: bytes | None = None,
    claim: str | None = None,
) -> bytes:
    """Return the command of a crontab entry with the prefix `rcron_path [--conf CONF] [OPTION…]`.

    A simple command (`is_simple`) gets it in front; any other is quoted for `rcron -c`, except for the part after the
    first unescaped `%`, which is the standard input that cron gives it. A command that has another prefix gets this one
    instead, and keeps its options other than --conf unless they are given here; one that has this prefix already, and
    is guarded as a whole by it, stays as it is, byte for byte.

    Args:
        command: The command as it stands in the crontab.
        rcron_path: Path of rcron on the host.
        conf: The argument of --conf; None for the default configuration.
        takeover_wait: The argument of --takeover-wait, in seconds; None for none.
        job: The argument of --job; None for none.
        claim: The argument of --claim, one of `CLAIMS`; None for none.

    Returns:
        The command with its prefix.

    Raises:
        CrontabError: The command contains a NUL byte or newline or would get too long, or a path or the job's name
            cannot be written in a crontab.
    """
    for byte, what in ((b"\0", "NUL byte"), (b"\n", "newline")):
        if byte in command:
            raise CrontabError(
                f"the command {_shown(command)} holds a {what}; a crontab entry is one line of text: take it out"
            )
    guard = _checked_guard(rcron_path, conf, takeover_wait, job, claim)
    # A longer one is not even looked at.
    prefixed = _prefixed(command, guard, bare=True) if len(command) <= MOST_BYTES else command
    if len(prefixed) > MOST_BYTES:
        raise CrontabError(
            f"with the prefix the command would have more than {MOST_BYTES} bytes, and no cron can run that; put it "
            "into a script, and run that"
        )
    return prefixed


def _prefixed(command: bytes, guard: Guard, *, bare: bool) -> bytes:
    """Do what `prefix` does. bare: a simple command needs no shell."""
    inner = _unprefixed(command)
    text, stdin = split_percent(inner.command)
    bare = bare and is_simple(text)
    if inner.guard is not None:
        kept = {name: getattr(inner.guard, name) for name in KEPT if getattr(guard, name) is None}
        guard = guard._replace(**kept)
    if inner.guard == guard and (inner.shell or bare):
        return command
    head = guard.rcron_path
    if guard.conf is not None:
        head += b" --conf " + guard.conf
    for name in KEPT:
        value = getattr(guard, name)
        if value is not None:
            head += b" --" + name.replace("_", "-").encode("ascii") + b" " + _quoted(value)
    if bare:
        return head + b" " + inner.command
    # systemd-cron takes white space off a line's end, cron does not: outside the quotes a CR means the same to each.
    line = text.rstrip(b"\r")
    return head + b" -c " + _quoted(line, always=True) + text[len(line) :] + stdin


def _quoted(word: bytes, *, always: bool = False) -> bytes:
    """Return bytes as one word of a shell (XCU 2.2.2), with quotes only if they are needed, or always."""
    if not always and _PLAIN_WORD.fullmatch(word):
        return word
    return b"'" + word.replace(b"'", b"'\\''") + b"'"


def unprefix(command: bytes) -> tuple[bytes, Guard | None]:
    """Return the command without its prefix, and the prefix, or None if there is none.

    A prefix is recognized however it is written: `rcron job`, `/usr/bin/rcron --conf FILE job`, `--conf=FILE`,
    `--takeover-wait 30` and the other options, `-c '…'`, `-c "…"`, and `rcron 'job | mail root'`, one word with white
    space in it, which rcron hands to a shell too. What `prefix` made comes back byte for byte. If only a shell could
    say what that string is, or something follows it (`rcron -c "$JOB"`, `rcron 'a | b' > file`), it is handed to
    `$SHELL -c` instead.
    """
    inner = _unprefixed(command)
    return inner.command, inner.guard


def _unprefixed(command: bytes) -> _Unprefixed:
    if b"rcron" not in command or len(command) > MOST_BYTES:
        return _Unprefixed(command, None, False)
    text, stdin = split_percent(command)
    match = _PREFIXED.fullmatch(text)
    if not match or _value(match["path"]).rpartition(b"/")[2] != b"rcron":
        return _Unprefixed(command, None, False)
    options = {name: None if match[name] is None else _value(match[name]) for name in ("conf", *KEPT)}
    guard = Guard(rcron_path=_value(match["path"]), **options)
    rest = match["rest"]
    if not match["shell"] and not _is_shell_string(rest):
        return _Unprefixed(rest + stdin, guard, False)
    string = _SHELL_STRING.fullmatch(rest)
    if string:
        single, double = string["single"], string["double"]
        line = (double.replace(b'\\"', b'"') if single is None else single.replace(b"'\\''", b"'")) + string["cr"]
        # A backslash at the string's end would escape the % once the quote between them is gone.
        if split_percent(line + stdin) == (line, stdin):
            return _Unprefixed(line + stdin, guard, True)
    return _Unprefixed(b"$SHELL -c " + rest + stdin, guard, False)


def _is_shell_string(text: bytes) -> bool:
    """Say whether rcron, given a simple command and perhaps more behind it, hands its first word to a shell.

    It does so with a word that has white space in it, if it is the only one: `'a | b' > log`, `"$JOB" && c`.
    """
    end = _word_end(text, 0)
    if end is None:
        return False
    at = end
    while True:
        at = _skip(_BLANKS, text, at)
        redirection = _REDIRECTION.match(text, at)
        if not redirection:
            break
        target = _word_end(text, redirection.end())
        if target is None or target == redirection.end():
            break
        at = target
    # Digits in front of a redirection are no word.
    if text[at : at + 1] not in (b"", b"\r", b"#", *_OPERATORS):
        return False
    word = text[:end]
    if _STATIC.fullmatch(word):
        return len(_fields(_value(word))) > 1
    # What an expansion in quotes holds, only a shell can say. Without quotes it is split, and each field is a word.
    return any(quote in word for quote in (b"'", b'"', b"\\"))


def _fields(word: bytes) -> list[str]:
    """Split a word as rcron does to see whether it was written for a shell."""
    return word.decode("utf-8", "surrogateescape").split()


def _word_end(text: bytes, at: int) -> int | None:
    """Return the offset behind the word of a shell that begins at an offset; None if it is not complete."""
    open_ = []  # the quotings and expansions around the offset
    while at < len(text):
        inside = open_[-1] if open_ else b""
        piece = (_QUOTED_PIECE[inside] if inside else _PLAIN_PIECE).match(text, at)
        if piece:
            at = piece.end()
            continue
        char = text[at : at + 1]
        if char == b"\\":
            at += 2
        elif inside and char == _CLOSES[inside]:
            open_.pop()
            at += 1
        elif char == b"'" and inside != b'"':
            at = text.find(b"'", at + 1) + 1
            if at == 0:
                return None
        elif char in (b'"', b"`") or (char == b"(" and inside):
            open_.append(char)
            at += 1
        elif char == b"$" and text[at + 1 : at + 2] in (b"(", b"{"):
            open_.append(text[at + 1 : at + 2])
            at += 2
        elif char == b"$" or inside:
            at += 1
        else:
            return at
    return len(text) if at == len(text) and not open_ else None


def _value(word: bytes) -> bytes:
    """Return what a shell makes of a word that matches `_STATIC_WORD` (XCU 2.6.7, quote removal)."""
    return b"".join(b"".join(parts) for parts in _QUOTED_OR_NOT.findall(word))


def configuration(conf: bytes | None) -> bytes:
    """Return the path of the configuration that a prefix names.

    Args:
        conf: The argument of --conf; None if there is none.

    Returns:
        The path without the parts that mean nothing, so that paths of the same configuration are equal.
    """
    path = DEFAULT_CONF if conf is None else conf
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    return (b"/" if path.startswith(b"/") else b"") + b"/".join(parts)


def seconds(takeover_wait: bytes) -> int | None:
    """Read the argument of --takeover-wait as rcron does.

    Args:
        takeover_wait: The argument, as anybody may have written it.

    Returns:
        The number of seconds; None if rcron refuses the argument.
    """
    if not re.fullmatch(rb"[+-]?[0-9]{1,10}", takeover_wait):
        return None
    number = int(takeover_wait)
    return number if 0 <= number <= MOST_SECONDS else None


def _checked_guard(
    rcron_path: bytes,
    conf: bytes | None,
    takeover_wait: int | None,
    job: bytes | None = None,
    claim: str | None = None,
) -> Guard:
    if claim not in (None, *CLAIMS):
        raise CrontabError(f"claim is {claim!r}; it can be {', '.join(CLAIMS)}")
    if job is not None and not is_job_name(job):
        raise CrontabError(f"{_shown(job)} cannot be a job's name; {JOB_NAME}")
    if takeover_wait is not None and not 0 <= takeover_wait <= MOST_SECONDS:
        raise CrontabError(
            f"takeover_wait is {takeover_wait}; it must be a whole number of seconds, from 0 to {MOST_SECONDS}"
        )
    for what, path in (("rcron_path", rcron_path), ("conf", conf)):
        if path is not None and not re.fullmatch(rb"/[A-Za-z0-9_./:,@+-]+", path):
            raise CrontabError(
                f"{what} is {_shown(path)}; it must be an absolute path of letters, digits and _./:,@+- only, "
                "so that it means the same to every cron and shell"
            )
    if not rcron_path.endswith(b"/rcron"):
        raise CrontabError(
            f"rcron_path is {_shown(rcron_path)}; the file must be called rcron, or the prefix could not be recognized "
            "again"
        )
    wait = None if takeover_wait is None else b"%d" % takeover_wait
    return Guard(rcron_path, conf, wait, job, None if claim is None else claim.encode("ascii"))


def is_job_name(name: bytes) -> bool:
    """Say whether rcron takes a job's name, and cron reads it as it is written."""
    text = name.decode("utf-8", "replace")
    return (
        text.isprintable()
        and 0 < len(text) <= MOST_OF_A_NAME
        and text == text.strip()
        and not any(character in text for character in "%\\\ufffd")
        and not text.startswith("~")
    )


def split_percent(command: bytes) -> tuple[bytes, bytes]:
    """Return what cron gives the shell, and the rest from the first unescaped `%` on (crontab(5)).

    Args:
        command: An entry's command.
    """
    end = _skip(_UP_TO_PERCENT, command, 0)
    return command[:end], command[end:]


# --- Which commands need no shell -------------------------------------------------------------------------------------

# XCU 2.4 reserved words, with bash's.
_RESERVED_WORDS = b"! { } case do done elif else esac fi for if in then until while [[ ]] coproc function select time"
# XCU 2.14 special built-in utilities, and all builtins of dash and bash: if a file of that name exists as well, it
# may behave differently (`echo -n`, `kill`, `printf`, `pwd`, `test`).
_BUILTINS = (
    b". : [ alias bg bind break builtin caller cd chdir command compgen complete compopt continue declare dirs disown "
    b"echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd "
    b"printf pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type typeset "
    b"ulimit umask unalias unset wait"
)
_NOT_A_PROGRAM = frozenset([b"", *_RESERVED_WORDS.split(), *_BUILTINS.split()])

# XCU 2.3 token recognition, as far as a word can go without anything that a passive node would notice. Everything else
# needs a shell: operators (2.10), `$(…)`, backticks and all but the plain parameter expansion (2.6), patterns (2.13),
# tildes, braces, a `#` that begins a word; bytes above 0x7f, which are blanks in some locales; an escaped backslash,
# since Debian's cron gives the shell one backslash for two and cronie both, so that what follows is quoted or not.
_PARAMETER = rb"\$(?:[A-Za-z_][A-Za-z0-9_]*(?![A-Za-z0-9_])|\{[A-Za-z_][A-Za-z0-9_]*\})"
_DOUBLE_QUOTED = rb'"(?:[^"\\$`]|\\[^\\]|%s)*"' % _PARAMETER
_WORD_PART = rb"(?:%s|=|\\[ -\[\]-~]|%s|%s|%s)" % (_PLAIN, _SINGLE_QUOTED, _DOUBLE_QUOTED, _PARAMETER)
_WORD = rb"%(part)s(?:%(part)s|#)*" % {b"part": _WORD_PART}
# XCU 2.9.1 simple command, without assignments and redirections, and without expansions in the command name.
_SIMPLE_COMMAND = re.compile(
    rb"(?P<name>%s)(?P<arguments>(?:[ \t]+%s)*)[ \t]*" % (_STATIC_WORD, _WORD),
    re.DOTALL,
)
_PARAMETERS = re.compile(_PARAMETER)
_PLAIN_WORD = re.compile(_PLAIN + rb"+")


def is_simple(command: bytes) -> bool:
    """Say whether `rcron COMMAND` runs what `COMMAND` runs, and the shell itself leaves no trace of it anywhere.

    Args:
        command: What cron gives the shell, without the part after `%`.
    """
    match = _SIMPLE_COMMAND.fullmatch(command)
    if not match or b"\r" in command:
        return False
    name = _value(match["name"])
    # rcron reads a word that begins with `-` as its option, and one word with white space in it as a shell command. An
    # argument that consists of variables only is none if they are empty.
    return (
        name not in _NOT_A_PROGRAM
        and not name.startswith(b"-")
        and (len(_fields(name)) == 1 or _PARAMETERS.sub(b"", match["arguments"]).strip() != b"")
        and (bool(match["arguments"]) or _PLAIN_WORD.fullmatch(match["name"]) is not None)
    )
