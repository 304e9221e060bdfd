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
    return {
        "perl": has_posix(options["perl"]),
        "foreign": [] if is_empty(module) else files.foreign([module], options["mark"]),
        "lacks": lacking(text_of(options["conf"]), options["directives"]),
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
        directives: What it is to hold; wackamole takes them in either case, with any white space, quoted or not.

    Returns:
        Those of them that it lacks.
    """
    bare = re.sub("[\"']", " ", re.sub("#.*", "", text))
    words = " ".join(bare.lower().split())
    return [directive for directive in directives if directive.lower() not in words]
