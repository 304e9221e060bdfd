# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What on this node works with the C rcron and not, or otherwise, with this one: for `rcronctl migrate-check`.

The C rcron is Benjamin Pineau's (github.com/bpineau/rcron, 0.4 of 2009). What is said here of it comes from running it:
tests/unit/rcron/c_rcron.json holds what it did, and test_migrate.py compares. Three things differ:

- its configuration's grammar (src/rcron_conf-lexer.l there): see settings.py;
- its state file: it looks for the letters `active`, then `passive`, in the first nine bytes of the first line;
- its jobs: it joins the words with blanks and gives them to system(3), so that a shell reads them a second time; and it
  ends with the low byte of what system(3) returns, which is 0 unless a signal ended the job.
"""

import itertools
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rcron import entries, files, settings, state

#: The C rcron runs jobs with it, and this one does not, or runs something else.
FIX = "fix"
#: It may make a difference, which only a person can tell.
LOOK = "look"

#: The most mistakes of one configuration, or of one entry, that are shown: beyond, they are one, in the wrong file.
MOST = 50

#: How much of a finding is shown, in characters: a line may hold ten thousand calls, each of which quotes the rest.
MAX_TEXT = 2000

#: What the C rcron makes of a state file: fgets(3) with room for 9 bytes.
_C_BYTES = 9

#: What the error of a form says that the C rcron accepts, and what that did with it.
_ACCEPTED = (
    ("is set a second time", "The C rcron uses the last one"),
    ("an empty value", "The C rcron takes every byte as it is"),
    ("is not closed", "The C rcron reads on in the next line, or drops a quote that is never closed"),
    (r'nice_level: "[-0-9]+" is not a whole number', "The C rcron takes the number that the value begins with"),
    ("is not an absolute path", "The C rcron looks in each job's working directory, which is its user's home"),
)

#: Words with which a shell does something by itself, and which are not programs, or not with that effect.
_BUILTINS = frozenset(
    """. : alias bg break case cd command continue do done elif else esac eval exec exit export fc fg fi for function
    getopts hash if in jobs local read readonly return select set shift source then times trap type ulimit umask unalias
    unset until wait while ! { } [[""".split()  # noqa: SIM905 - reads best word by word
)

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")

#: What a shell does not take as it stands in a word, at its beginning or anywhere.
_READ_AGAIN = re.compile(r"""\A\Z|\A[#~]|[\s|&;<>()`"'\\*?]|\$[A-Za-z0-9_@*#?!$({-]|\[.*\]""", re.DOTALL)

#: Words before a call that use its exit status.
_ASKING = frozenset(("if", "elif", "while", "until", "!"))


class Finding(NamedTuple):
    """One thing that differs.

    Attributes:
        level (str): FIX or LOOK.
        where (str): the file, and the line if there is one.
        text (str): what differs, and how to fix it.
    """

    level: str
    where: str
    text: str


def findings(
    conf: str, spools: "Iterable[str]" = entries.SPOOLS, etc: str = "/etc"
) -> "tuple[list[Finding], list[str]]":
    """Examine a node. Nothing is changed.

    Args:
        conf: the path of its rcron.conf.
        spools: the folders of the users' crontabs.
        etc: the folder of `crontab` and `cron.d`.

    Returns:
        What differs, and what was examined, each with the number of its parts.

    Raises:
        OSError: a crontab cannot be read.
    """
    found, config = in_conf(conf)
    examined = [conf]
    if config is not None:
        found += in_state(config)
        examined.append(config.state_file)
    calls = 0
    for path, user in entries.crontabs(spools, etc):
        for line in entries.lines(entries.read(path), user):
            calls += 1
            found += [
                Finding(level, f"{path}:{line.number}", text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…")
                for level, text in itertools.islice(in_command(line.command), MOST)
            ]
    return found, [*examined, f"{calls} crontab {'entry' if calls == 1 else 'entries'}"]


def in_conf(path: str) -> "tuple[list[Finding], settings.Config | None]":
    """Examine a configuration. All mistakes are found at once.

    Args:
        path: the file.

    Returns:
        What this rcron refuses, and what the configuration says once that is left out; None if it cannot be read.
    """
    try:
        data, _modified = files.read_trusted(path, settings.MAX_BYTES)
    except (OSError, ValueError, files.UntrustedError):
        try:
            return [], settings.load(path)  # written in this moment
        except settings.ConfigError as error:
            return [Finding(FIX, path, f"{_without(str(error), path)}. The C rcron runs jobs all the same")], None
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    found: "list[Finding]" = []
    while True:
        try:
            return found, settings.parse("\n".join(lines), path)
        except settings.ConfigError as error:
            number, text = _numbered(str(error), path)
        accepted = next((f". {said}" for words, said in _ACCEPTED if re.search(words, text)), "")
        found.append(Finding(FIX, f"{path}:{number}", text + accepted))
        if len(found) == MOST:
            return [*found, Finding(FIX, path, "there are more mistakes; fix these first, and check again")], None
        first = re.search(r"is set a second time \(first on line (\d+)\)", text)
        at = (int(first[1]) if first else number) - 1
        for spoiled in _until_closed(lines, at) if "is not closed" in text else [at]:
            lines[spoiled] = ""


def _until_closed(lines: "list[str]", at: int) -> "range":
    """Return the lines of a quoted value: to the one with the closing quote, if there is any."""
    begun = re.search("[\"']", lines[at])
    quote = begun[0] if begun else '"'
    last = next((number for number in range(at + 1, len(lines)) if quote in lines[number]), at)
    return range(at, last + 1)


def _numbered(error: str, path: str) -> "tuple[int, str]":
    """Take a ConfigError of `parse` apart: the line's number, and what is wrong there."""
    number, _colon, text = error[len(path) + 1 :].partition(": ")
    return int(number), text


def _without(error: str, path: str) -> str:
    return error[len(path) + 2 :] if error.startswith(f"{path}: ") else error


def in_state(config: settings.Config) -> "list[Finding]":
    """Examine the state file as it is now.

    Args:
        config: the cluster's.

    Returns:
        One finding, or none if both programs get the same from it, or it is not there.
    """
    path = config.state_file
    theirs = c_state(path)
    if theirs is None:
        return []
    verdict = state.from_file(config)
    ours = "" if verdict.source == state.DEFAULT else verdict.state
    if ours == theirs or verdict.source not in (state.FILE, state.DEFAULT):
        return []
    here = ours or f"default_state, {config.default_state}"
    why = f" ({_without(verdict.warning, path)})" if verdict.warning else ""
    text = (
        f"the C rcron takes it for {theirs or 'unreadable, and default_state counts'}, and this one for {here}{why}. "
        f"Have the feeder write the one word active or passive"
    )
    return [Finding(FIX, path, text)]


def c_state(path: str) -> "str | None":
    """Return what the C rcron makes of a state file.

    Args:
        path: the file.

    Returns:
        `active` or `passive`; an empty string if default_state counts; None if it is not a file that can be read.
    """
    try:
        # Its folder may be a feeder's user's, who has put a link to a device there, to another process's FIFO, or to a
        # server that does not answer.
        handle = files.open_regular(path, os.stat(files.folder_of(path)).st_uid in (0, os.geteuid()))
    except OSError:
        return None
    try:
        line = os.read(handle, _C_BYTES).partition(b"\n")[0].partition(b"\0")[0]
    finally:
        os.close(handle)
    return next((word for word in (settings.ACTIVE, settings.PASSIVE) if word.encode() in line), "")


def in_command(command: str) -> "Iterator[tuple[str, str]]":
    """Examine what cron gives to the shell for one entry.

    Args:
        command: an entry's command, up to its first `%`.

    Yields:
        The level, and what differs, for every call of rcron in it.
    """
    rest = command
    while rest and not rest.startswith("#"):
        words, rest = entries.split(rest)
        operator = (re.match(r"[\s;&|()<>]*", rest) or [""])[0].strip()
        at = next((n for n, word in enumerate(words) if os.path.basename(word) == "rcron"), None)
        if at is not None:
            given = words[at + 1 :]
            if len(given) > 1 and given[0] == "--conf":
                given = given[2:]
            # An option of this rcron: the line is not the C rcron's.
            if given and not given[0].startswith("-"):
                yield from _in_call(given, rest)
                if operator.startswith(("&&", "||")) or not _ASKING.isdisjoint(words[:at]):
                    yield LOOK, _EXIT_STATUS
        rest = rest.lstrip(" \t;&|()<>")


_EXIT_STATUS = (
    "the C rcron ends with 0 unless a signal ended the job, and this one with the job's own exit status, which decides "
    "what runs next; on a passive node both end with 0, and what follows && runs there"
)


def _in_call(given: "list[str]", rest: str) -> "Iterator[tuple[str, str]]":
    first = given[0]
    if len(given) == 1 and len(first.split()) > 1:
        return  # both hand it to a shell
    if any("\0" in word for word in given):
        text = "if a variable or pattern gives characters that a shell reads, the C rcron's shell reads them once more"
        yield LOOK, text
    joined = " ".join(given).replace("\0", "…")
    if first in _BUILTINS:
        whole = f"{joined} {rest.strip()}".strip()
        text = f"{first} is something that a shell does, not a program, and exits with 127 here. {_c_form(whole)}"
        yield FIX, text
    elif _ASSIGNMENT.match(first):
        text = (
            f"{first} is a variable to the C rcron's shell, and a program here, which is not found. {_c_form(joined)}"
        )
        yield FIX, text
    else:
        again = [word for word in given if _READ_AGAIN.search(word.replace("\0", "x"))]
        if again:
            shown = ", ".join(shlex.quote(word.replace("\0", "…")) for word in again)
            text = (
                f"the C rcron's shell reads {shown} once more, and here the job gets it as it stands. If the job wants "
                f"that, leave the line; otherwise: {_c_form(joined)}"
            )
            yield FIX, text


def _c_form(command: str) -> str:
    quoted = shlex.quote(command).replace("%", "\\%")
    return f"Write: rcron -c {quoted}"
