# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Prefixing the entries of a crontab, and the inverse: nothing but the selected commands changes, and all comes back.

That the prefixed command does the same is tried by running it (tests/unit/plugins/module_utils/test_crontab_law.py),
which bytes of nobody's choice may not be. Here the words that the shell would see are compared, with cron's own rules
and shlex in place of the product's regular expressions.
"""

from __future__ import annotations

import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from plugins.module_utils import crontab as product
from plugins.module_utils.crontab import CrontabError, Entry, Guard, Selector
from tests.fuzz.subject import Subject
from tests.unit.plugins.module_utils import cron_run

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PATHS = (b"/usr/bin/rcron", b"/opt/x/bin/rcron")
CONFS = (None, b"/etc/rcron/b.conf")
WAITS = (None, 0, 30)
SELECTORS = (
    ("regexp", b""),
    ("regexp", b"job"),
    ("regexp", b"^a|\\d$"),
    ("regexp", b"^nothing$"),
    ("first", b"job"),
    ("first", b"name"),
)

#: dash and bash do these themselves, whatever program has the name: `help` there lists them (bash: compgen -bk).
BUILTINS = frozenset(
    b"""
    ! . : [ [[ ]] { } alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc
    declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts
    hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return
    select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until
    wait while""".split()
)


#: Shells that quote as POSIX has it.
POSIX = frozenset(b"sh dash ash bash ksh ksh93 mksh lksh oksh yash zsh".split())

#: An entry as every cron knows it: five asterisks or numbers that are good in any field, the user in a system crontab,
#: and a program's name. And `@NUMBER`, which systemd-cron knows.
CLEAR = {
    system: re.compile(
        rb"(?:(?:(?:\*|[1-7])[ \t]+){5}|@(?:reboot|daily|[0-9]+)[ \t]+)%s[A-Za-z/].*"
        % (rb"[a-z]+[ \t]+" if system else b""),
        re.DOTALL,
    )
    for system in (False, True)
}


#: The options that a prefix keeps, and that this subject does not give.
OF_CLAIMS = ("job", "claim", "fire", "claim_window")


def holds(
    text: bytes, system: bool, selector: tuple[str, bytes], path: bytes, conf: bytes | None, wait: int | None
) -> None:
    if b"\0" in text:
        _refused(text, system)
        return
    entries = product.parse(text, system=system)
    _positions(text, system, entries)
    chosen = _selector(selector, entries)
    shells = _shells(text)
    options: dict[str, Any] = {"system": system, "rcron_path": path, "conf": conf, "takeover_wait": wait}
    try:
        after = product.rewrite(text, [chosen], state="present", **options)
    except CrontabError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        shown = re.fullmatch(r"line (\d+): SHELL is .*", refusal)
        assert shown, f"is refused on one line for its shell, and for nothing else: {refusal}"
        line = int(shown[1])
        assert line in [entry.line for entry in entries if _selects(chosen, entry)], "the line is that of an entry"
        assert shells[line] is None or shells[line] not in POSIX, f"under {shells[line]!r} a prefix can be quoted"
        return
    selected = [entry for entry in entries if _selects(chosen, entry)]
    assert [change.line for change in after.entries] == [entry.line for entry in selected], (
        "the selected entries are changed"
    )
    assert bool(after.unmatched) == (not selected), "a selector that picks nothing is reported"
    replaced = {entry.line: change.after for entry, change in zip(selected, after.entries)}
    assert after.text == _spliced(text, entries, replaced), "no byte outside of the selected commands changes"
    assert after.text.count(b"\n") == text.count(b"\n"), "no line is added or removed"
    for entry, change in zip(selected, after.entries):
        assert change.before == text[entry.start : entry.end], "the old entry is reported"
        guard = Guard(path, conf, None if wait is None else str(wait).encode())
        _prefixed(entry, change, guard, shells[entry.line])

    again = product.rewrite(after.text, [chosen], state="present", **options)
    assert again.text == after.text, "prefixing twice is prefixing once"
    parsed = product.parse(after.text, system=system)
    assert [_alike(entry) for entry in parsed] == [_alike(entry) for entry in entries], "entries stay the same ones"
    # An entry that was prefixed before loses that prefix as well: it has been moved.
    bare = {entry.line: entry.command for entry in selected}
    absent = product.rewrite(after.text, [chosen], state="absent", system=system, conf=conf)
    assert absent.text == _spliced(text, entries, bare), "the inverse gives back the original bytes"
    for other in set(CONFS) - {conf}:
        absent = product.rewrite(after.text, [chosen], state="absent", system=system, conf=other)
        assert absent.text == after.text, "another cluster's prefixes stay"


def _refused(text: bytes, system: bool) -> None:
    line = text.count(b"\n", 0, text.index(b"\0")) + 1
    try:
        product.parse(text, system=system)
        refusal = ""
    except CrontabError as error:
        refusal = str(error)
    assert refusal.startswith(f"line {line}: NUL byte"), f"a NUL byte is refused with its line: {refusal}"


def _positions(text: bytes, system: bool, entries: list[Entry]) -> None:
    lines = text.split(b"\n")
    clear = {number for number, line in enumerate(lines, start=1) if CLEAR[system].fullmatch(line)}
    assert clear <= {entry.line for entry in entries}, "an entry as every cron knows it is seen"
    last = 0
    for entry in entries:
        assert entry.line > last, "entries come in the crontab's order, one a line"
        last = entry.line
        line = lines[entry.line - 1]
        start = sum(len(above) + 1 for above in lines[: entry.line - 1])
        assert start < entry.start < entry.end == start + len(line), "a command is the rest of its line"
        assert not line.lstrip(b" \t").startswith(b"#"), "a comment is not an entry"
        name = re.fullmatch(rb"#Ansible: (.*?)\r*", lines[entry.line - 2], re.DOTALL) if entry.line > 1 else None
        assert entry.name == (name and name[1]), f"the comment above an entry is its name: {entry.name!r}"
        command, guard = product.unprefix(text[entry.start : entry.end])
        assert (command, guard) == (entry.command, entry.guard), "an entry's command is its line's"
        if guard is not None:
            _unprefixed(text[entry.start : entry.end], command)
        assert (entry.user is None) == (not system), "a user field is a system crontab's"
        if entry.guard is None:
            assert entry.command == text[entry.start : entry.end], "an entry without prefix is as it stands"


def _unprefixed(before: bytes, command: bytes) -> None:
    for cron in cron_run.CRONS:
        line, stdin = cron_run.shell_input(before, cron)
        bare, bare_stdin = cron_run.shell_input(command, cron)
        assert bare_stdin == stdin, (
            f"{cron} gives an unprefixed job the same standard input: {bare_stdin!r}, not {stdin!r}"
        )
        if bare.startswith(b"$SHELL -c "):
            continue
        try:
            rest = _behind_options(_words(line))
        except AssertionError:
            continue  # nothing that a shell would run
        if rest[:1] == [b"-c"]:
            assert rest[1:] == [bare], f"{cron} runs what -c ran: {bare!r}, not {rest[1:]}"
        else:
            assert line.endswith(bare) or rest == [bare], f"{cron} runs what rcron ran: {bare!r}, not {line!r}"


def _behind_options(words: list[bytes]) -> list[bytes]:
    """Return what follows the options of a prefix, -c included."""
    at = 1
    while words[at].startswith((b"--conf", b"--takeover-wait", b"--job", b"--claim", b"--fire")):
        at += 1 if b"=" in words[at] else 2
    return words[at + 1 :] if words[at] == b"--" else words[at:]


def _selector(selector: tuple[str, bytes], entries: list[Entry]) -> Selector:
    kind, value = selector
    if kind != "first":
        return Selector(kind, value)
    named = [entry for entry in entries if entry.name is not None]
    if value == b"name" and named:
        return Selector("name", named[0].name or b"")
    return Selector("job", entries[0].command.rstrip(b"\r") if entries else b"job")


def _selects(selector: Selector, entry: Entry) -> bool:
    command = entry.command.rstrip(b"\r")
    if selector.kind == "regexp":
        return re.search(selector.value, command) is not None
    return selector.value == (entry.name if selector.kind == "name" else command)


def _spliced(text: bytes, entries: list[Entry], replaced: dict[int, bytes]) -> bytes:
    lines = text.split(b"\n")
    for entry in entries:
        if entry.line in replaced:
            length = entry.end - entry.start
            lines[entry.line - 1] = lines[entry.line - 1][:-length] + replaced[entry.line]
    return b"\n".join(lines)


def _alike(entry: Entry) -> tuple[Any, ...]:
    return entry.line, entry.name, entry.user, entry.command


def _shells(text: bytes) -> list[bytes | None]:
    """Return the name of the shell that reads the command in each line, counted from 1: `?` where a file that bash
    reads first can change any word's meaning; None where that depends on how a variable's line is read."""
    found: list[bytes | None] = [b"sh"]
    for line in text.split(b"\n"):
        found.append(found[-1])
        plain = re.fullmatch(rb"(SHELL|BASH_ENV)=/(?:[a-z]+/)*([a-z0-9]+)", line)
        if b"?" not in found and (plain or re.match(rb"[ \t]*['\"]?(?:SHELL|BASH_ENV)", line)):
            found[-1] = None if plain is None else plain[2] if plain[1] == b"SHELL" else b"?"
    return found


def _prefixed(entry: Entry, change: product.Change, guard: Guard, shell: bytes | None) -> None:
    command, found = product.unprefix(change.after)
    if entry.guard is not None:
        guard = guard._replace(
            takeover_wait=entry.guard.takeover_wait if guard.takeover_wait is None else guard.takeover_wait,
            **{name: getattr(entry.guard, name) for name in OF_CLAIMS},
        )
    assert (command, found) == (entry.command, guard), (
        f"the prefix comes off again: {change.after!r} is {command!r}, {found}"
    )
    if entry.guard is None and product.unprefix(command)[1] is None:
        moved = product.prefix(product.prefix(command, PATHS[1], CONFS[1]), *_arguments(guard))
        assert moved == product.prefix(command, *_arguments(guard)), (
            f"a moved prefix leaves a trace of the first: {moved!r}"
        )
    if change.after == change.before:
        for cron in cron_run.CRONS:
            rest = _behind_options(_words(cron_run.shell_input(change.after, cron)[0]))
            whole = len(rest) == 2 if rest[0] == b"-c" else len(rest) == 1 and len(rest[0].split()) > 1
            line = cron_run.shell_input(command, cron)[0]
            assert whole or _leaves_no_trace(line), f"{cron}: a prefix that guards only a part stays: {change.after!r}"
        return
    assert shell is None or shell in POSIX or shell == b"?", f"{shell!r} may quote otherwise"
    head = [guard.rcron_path]
    head += [b"--conf", guard.conf] if guard.conf is not None else []
    head += [b"--takeover-wait", guard.takeover_wait] if guard.takeover_wait is not None else []
    for name in OF_CLAIMS:
        value = getattr(guard, name)
        head += [b"--" + name.replace("_", "-").encode(), value] if value is not None else []
    for cron in cron_run.CRONS:
        line, stdin = cron_run.shell_input(entry.command, cron)
        after, after_stdin = cron_run.shell_input(change.after, cron)
        assert after_stdin == stdin, f"{cron} gives the job the same standard input: {after_stdin!r}, not {stdin!r}"
        words = _words(after)
        count = len(head)
        assert words[:count] == head, f"{cron}: the prefix is these words: {words[:count]}, not {head}"
        if words[count : count + 1] == [b"-c"]:
            assert words[count + 1 :] == [line], (
                f"{cron} has -c run what the shell ran: {words[count + 1 :]}, not {line!r}"
            )
        else:
            assert after.endswith(b" " + line), f"{cron} has rcron run what the shell ran: {after!r}, not {line!r}"
            assert _leaves_no_trace(line), f"{cron}: the shell itself does something at {line!r}"
            assert shell in (b"sh", b"dash", b"bash", None), f"{shell!r} may have a builtin of any name"


def _arguments(guard: Guard) -> tuple[bytes, bytes | None, int | None]:
    return guard.rcron_path, guard.conf, None if guard.takeover_wait is None else int(guard.takeover_wait)


def _words(line: bytes) -> list[bytes]:
    """Split a line into the words that a shell makes of it, as far as quotes go (XCU 2.2)."""
    lexer = shlex.shlex(line.decode("latin-1"), posix=True)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words = []
    try:
        words += [word.encode("latin-1") for word in lexer]
    except ValueError:
        raise AssertionError(f"the prefixed command is not a shell line any more: {line!r}") from None
    return words


def _leaves_no_trace(line: bytes) -> bool:
    """Whether a shell does nothing at a line but start the program that it names."""
    unquoted = bytearray()
    quote = 0
    at = 0
    while at < len(line):
        byte = line[at]
        if quote == b"'"[0]:
            quote = 0 if byte == quote else quote
        elif byte == b"\\"[0]:
            unquoted += b"," * (not quote)
            at += 1
            if at == len(line):
                return False
        elif quote:
            quote = 0 if byte == quote else quote
            if byte == b"`"[0] or re.match(rb"\$[(\[]|\$\{(?!\w+\})", line[at:]):
                return False
        elif byte in b"'\"":
            unquoted += b","
            quote = byte
        else:
            unquoted.append(byte)
        at += 1
    if quote or re.search(
        rb"[;&|<>()`*?\[\]~{}!\r]|[\x80-\xff]|(?:^|[ \t])#|\$[^A-Za-z_]", re.sub(rb"\$\{\w+\}", b",", unquoted)
    ):
        return False
    first = _words(line)[0] if line.strip(b" \t") else b""
    return bool(first) and first not in BUILTINS and not re.match(rb"-|\w+\+?=", first)


# The parts of a shell's language, and of a prefix, in any order.
_WORDS = b"a b x1 job cd echo true if then fi for in do done while { } ! [ ] [[ ]] time A=1 \xe9 \xff \xc2\xa0".split(
    b" "
)
_PREFIXES = b"rcron /usr/bin/rcron -c --conf -- --conf=/c /c --takeover-wait 30 $SHELL --job --claim=off --fire".split()
_OPERATORS = b"&& || | ; & > >> < 2>&1 ( ) ' \" \\ ` $ $( ${ $(( )) ~ * ? # % \\% \\\\ =".split()
_PARTS = st.sampled_from(
    [
        *_WORDS,
        *_PREFIXES,
        *_OPERATORS,
        *[b"$X", b"${X}", b"${X:=y}", b"'a b'", b'"a b"', b"'\\''", b" ", b"  ", b"\t", b"\r"],
    ]
)
_SHELLISH = st.lists(_PARTS, max_size=12).map(b"".join) | st.lists(_PARTS, max_size=12).map(b" ".join)
_ANY_BYTES = st.binary(max_size=60).map(lambda text: re.sub(rb"[\0\n]", b"", text))
_PREFIXED = st.tuples(
    st.sampled_from([b"rcron", b"/usr/bin/rcron", b"'/usr/bin/rcron'"]),
    st.sampled_from([b"", b"--conf=/c", b"--conf /etc/rcron/b.conf", b"--takeover-wait 5", b"--takeover-wait '3 0'"]),
    st.sampled_from([b"", b"", b"--job a", b"--job='a b' --claim required", b"--claim-window 5", b'--fire "x\'y"']),
    st.sampled_from([b"", b"-c", b"--"]),
    _SHELLISH,
).map(b" ".join)
_GUARDED = st.tuples(
    st.sampled_from([b"rcron", b"/usr/bin/rcron --conf /etc/rcron/b.conf"]),
    st.sampled_from([b" -c ", b" "]),
    st.lists(_PARTS, max_size=6).map(lambda parts: b"'" + b" ".join(parts).replace(b"'", b"")),
    st.sampled_from([b"'", b"'", b"\\'"]),
    st.sampled_from([b"", b"", b"%in", b" % in", b" > out", b"\r", b" \\"]),
).map(b"".join)
_BUILTIN = st.tuples(
    st.sampled_from([*sorted(BUILTINS), *[b"-x", b"'-x'", b"job", b"/opt/app/run"] * 10]),
    st.sampled_from([b"", b" a", b" -x 'y z' $X"]),
).map(b"".join)
_COMMANDS = _SHELLISH | _ANY_BYTES | _PREFIXED | _GUARDED | _BUILTIN
_SCHEDULES = st.sampled_from(
    [
        b"* * * * * ",
        b"0 5 * * *\t",
        b"\t */5 0-7 1,15 jan-mar Mon-Fri  ",
        b"@daily ",
        b"@reboot\t\t",
        b"@10 ",
        b"-0~10 * * * * ",
    ]
)
# What begins like a variable's value is one: `@daily = x`.
_ENTRY_COMMANDS = _COMMANDS.map(lambda command: command.lstrip(b" \t*=") or b"job")
_OTHER_LINES = (
    _ANY_BYTES.map(lambda text: b"#" + text)
    | _ANY_BYTES.map(lambda text: b"#Ansible: " + text)
    | _ENTRY_COMMANDS.map(lambda command: b"#0 5 * * * " + command)
    | _ANY_BYTES.map(lambda text: b"NAME = x" + text)
    | st.sampled_from(
        [
            b"",
            b" ",
            b"\t",
            b"\r",
            b"PATH=/bin:/usr/bin",
            b'X="a = # b"',
            b"MAILTO=''",
            b"#Ansible: nightly",
        ]
    )
    | _ANY_BYTES
)


_SHELL_LINES = st.sampled_from(
    [
        b"SHELL=/bin/bash",
        b"SHELL=/bin/ksh",
        b"SHELL=/usr/bin/fish",
        b"SHELL='/bin/ksh'",
        b"BASH_ENV=/x",
        b"BASH_ENV = y",
    ]
)


@st.composite
def _crontabs(draw: st.DrawFn) -> tuple[bytes, bool]:
    system = draw(st.booleans())
    user = draw(st.sampled_from([b"root ", b"root\t ", b"www-data "])) if system else b""
    entries = st.builds(lambda schedule, command: schedule + user + command, _SCHEDULES, _ENTRY_COMMANDS)
    lines = draw(st.lists(entries | _OTHER_LINES | _SHELL_LINES, max_size=6))
    if draw(st.booleans()):
        lines = [draw(_SHELL_LINES), *lines, b"0 1 2 3 4 " + user + b"job a"]
    ending = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    return ending.join(lines) + draw(st.sampled_from([b"", ending])), system


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, ...]:
    text, system = draw(_crontabs())
    return (text, system, *(draw(st.sampled_from(values)) for values in (SELECTORS, PATHS, CONFS, WAITS)))


def _from_bytes(data: bytes) -> tuple[Any, ...]:
    # The first byte chooses the options.
    choice = data[0] if data else 0
    found: list[Any] = [data[1:]]
    for values in ((False, True), SELECTORS, PATHS, CONFS, WAITS):
        choice, rest = divmod(choice, len(values))
        found.append(values[rest])
    return tuple(found)


def _seeds() -> Iterator[bytes]:
    # Without the quote, the backslash would escape the %.
    yield b"\0* * * * * rcron -c 'x\\'%in\n"
    for path in sorted((CHECKOUT / "molecule").glob("*/**/*.cron*")):
        if path.is_file():
            for first in (b"\0", b"\1") if "system" in path.name or path.suffix == ".cron" else (b"\0",):
                yield first + path.read_bytes()
    for path in sorted((CHECKOUT / "tests/unit/plugins/module_utils/corpus").glob("*.txt")):
        commands = [line for line in path.read_bytes().split(b"\n") if line and not line.startswith(b"// ")]
        for number, command in enumerate(commands[::7]):
            yield bytes([number % 2]) + b"* * * * * " + b"root " * (number % 2) + command + b"\n"


SUBJECT = Subject(
    holds=holds,
    cases=_cases(),
    from_bytes=_from_bytes,
    seeds=_seeds,
    words=(
        *(word for word in (*_WORDS, *_PREFIXES, *_OPERATORS) if word),
        *(
            b"\n* * * * * ",
            b"\n@daily ",
            b"\n*/5 1-5 1,15 jan mon root ",
            b"\n#Ansible: ",
            b"\nSHELL=/bin/",
            b"BASH_ENV=x\n",
            b"'\\''",
        ),
        *(b"\r\n", b"/usr/bin/rcron -c '", b"%"),
    ),
    examples=800,
    runs=6000,
)
