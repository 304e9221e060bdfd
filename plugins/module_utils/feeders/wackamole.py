# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_wackamole asks a node before it changes anything there."""

from __future__ import annotations

import os
import re

from ..node import files, programs

OPTIONS = {
    "perl": {"type": "str", "required": True},
    "module": {"type": "path", "required": True},
    "conf": {"type": "path", "required": True},
    "mark": {"type": "str", "required": True},
    "directives": {"type": "list", "elements": "str", "required": True},
}

#: The rules of wackamole's lexer that matter here, in its order; and the keywords of rcron's directives.
BLANK = re.compile(r"#.*|[ \t\r\n]+")
EVENT = re.compile(r"(?:on|post) (?:up|down)", re.IGNORECASE)
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
VALUE = re.compile(r"[^ \t\r\n#{}]+")
RULES = (BLANK, EVENT, QUOTED, VALUE)
KEYWORDS = ("perluselib", "perluse", "rundynamic", "control")


def inspect(options: dict) -> dict:
    """Look at wackamole and its Perl on this node.

    Args:
        options: What OPTIONS describes. `perl` is the interpreter, `module` the path of rcron's Perl module, `conf`
            that of wackamole.conf, `mark` the first line of the role's own files, `directives` what wackamole.conf is
            to hold.

    Returns:
        The keys that rcron_feeder_info documents for wackamole.

    Raises:
        ProgramError: Perl does not end.
    """
    module = options["module"]
    text = text_of(options["conf"])
    return {
        "perl": has_posix(options["perl"]),
        "foreign": [] if is_empty(module) else files.foreign([module], options["mark"]),
        "lacks": lacking(text, options["directives"]),
        "control": control_of(text),
    }


def has_posix(perl: str) -> bool:
    """Tell whether a Perl can be run and has its module POSIX.

    Raises:
        ProgramError: It does not end.
    """
    try:
        return programs.run(perl, "-e", "use POSIX").returncode == 0
    except programs.NotStartedError:
        return False


def is_empty(path: str) -> bool:
    """Tell whether there is a regular file without a byte."""
    return os.path.isfile(path) and os.path.getsize(path) == 0


def text_of(conf: str) -> str:
    """Return the text of wackamole.conf, "" if it cannot be read."""
    try:
        return files.read_text(conf)
    except OSError:
        return ""


def lacking(text: str, directives: list[str]) -> list[str]:
    """Find the directives that a wackamole.conf does not hold.

    Args:
        text: The file's text.
        directives: What it is to hold.

    Returns:
        Those of them that it lacks, as wackamole itself would read it.
    """
    found = tokens(text)

    def holds(wanted: list[str]) -> bool:
        return any(found[at : at + len(wanted)] == wanted for at in range(len(found)))

    return [directive for directive in directives if not holds(tokens(directive))]


def control_of(text: str) -> str:
    """Return the path of the control socket that a wackamole.conf names, "" if it names none.

    Args:
        text: The file's text.
    """
    found = tokens(text)
    # Of two, the later one counts.
    named = [found[at + 2] for at in range(len(found) - 2) if found[at] == "control" and found[at + 1] == "="]
    return named[-1] if named else ""


def tokens(text: str) -> list[str]:
    """Cut a wackamole.conf into its tokens, as config_gram.l of 2.1.4 does.

    Its keywords may be in either case, and an event ("on up") is one token with one blank in it. Names in Perl are
    values, whose case counts.

    Args:
        text: The file's text.

    Returns:
        The tokens: keywords and events in lower case, values without quotes.
    """
    found = []
    at = 0
    while at < len(text):
        # flex takes the rule that matches most, and the first of two that match as much.
        matches = [(rule, match) for rule in RULES for match in [rule.match(text, at)] if match]
        rule, match = max(matches, key=lambda one: one[1].end(), default=(None, None))
        if match is None:
            found.append(text[at])
            at += 1
            continue
        at = match.end()
        word = match.group()
        if rule is EVENT or (rule is VALUE and word.lower() in KEYWORDS):
            found.append(word.lower())
        elif rule is not BLANK:
            found.append(word[1:-1] if rule is QUOTED else word)
    return found
