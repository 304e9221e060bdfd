# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make man`: turns each man page's source, man/NAME.SECTION.rst, into the roff beside it, man/NAME.SECTION."""

import pathlib

from docutils.core import publish_string

from rcron import __version__

FOLDER = pathlib.Path(__file__).resolve().parent


def sources() -> "list[pathlib.Path]":
    """The sources of all man pages."""
    return sorted(FOLDER.glob("*.rst"))


def text(source: pathlib.Path) -> str:
    """A source's text, with rcron's version in the place of @VERSION@."""
    return source.read_text(encoding="utf-8").replace("@VERSION@", __version__)


def roff(source: pathlib.Path) -> str:
    """A man page as man(1) reads it. source: its reStructuredText. Raises docutils' SystemMessage for a faulty one."""
    settings = {"halt_level": 1, "report_level": 1, "output_encoding": "unicode"}
    page = publish_string(text(source), str(source), writer="manpage", settings_overrides=settings)
    # docutils writes this one heading itself, and not as man-pages(7) has it.
    return str(page).replace(".SH Name\n", ".SH NAME\n")


if __name__ == "__main__":
    for path in sources():
        path.with_suffix("").write_text(roff(path), encoding="utf-8")
