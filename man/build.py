# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make man`: turns the source of each man page, man/NAME.SECTION.rst, into the roff beside it, man/NAME.SECTION."""

import importlib
import pathlib
import re

from docutils.core import publish_string

from rcron import __version__, feeders

FOLDER = pathlib.Path(__file__).resolve().parent


def sources() -> "list[pathlib.Path]":
    """Return the files that hold the man pages' sources."""
    return sorted(FOLDER.glob("*.rst"))


def text(source: pathlib.Path) -> str:
    """Return the source of one page, with rcron's version for @VERSION@ and what the feeders have for @FEEDERS: ...@.

    Args:
        source: the page's file.
    """
    page = source.read_text(encoding="utf-8").replace("@VERSION@", __version__)
    pages = [Feeder(name) for name in feeders.NAMES] if "@FEEDERS: " in page else []
    for part, separator in (("synopsis", "\n"), ("commands", "\n\n"), ("sections", "\n\n")):
        page = page.replace(f"@FEEDERS: {part.upper()}@", separator.join(getattr(feeder, part) for feeder in pages))
    return page


class Feeder:
    """What a feeder adds to rcronctl(8), from man/feeders/NAME.rst and the HELP of its module.

    The file holds the words after `rcronctl feed` as a first paragraph, then a section FEEDING FROM NAME,
    and ASKING NAME with the feeder's names in a file of rcron-agent(8).

    Attributes:
        synopsis (str): its line of the synopsis.
        commands (str): its entry among the commands.
        sections (str): its sections.
    """

    def __init__(self, name: str) -> None:
        source = (FOLDER / "feeders" / f"{name}.rst").read_text(encoding="utf-8")
        usage, _blank, section = re.sub(r"\A(\.\. .*\n)+\n", "", source).partition("\n\n")
        about = importlib.import_module(f"rcron.feeders.{name}").HELP
        self.synopsis = f"| **rcronctl** [**--conf** *FILE*] **feed** {usage}"
        self.commands = f"**feed** **{name}**\n    {about[0].upper()}{about[1:]}: see FEEDING FROM {name.upper()}."
        self.sections = section.strip()


def roff(source: pathlib.Path) -> str:
    """Return a man page as man(1) reads it.

    Args:
        source: the page's file of reStructuredText.

    Raises:
        docutils.utils.SystemMessage: the source is faulty.
    """
    settings = {"halt_level": 1, "report_level": 1, "output_encoding": "unicode"}
    page = publish_string(text(source), str(source), writer="manpage", settings_overrides=settings)
    # docutils writes this one heading itself, and not as man-pages(7) has it.
    return str(page).replace(".SH Name\n", ".SH NAME\n")


if __name__ == "__main__":
    for path in sources():
        path.with_suffix("").write_text(roff(path), encoding="utf-8")
