# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a fixed width: labels that do not overlap by these measures do not overlap in any viewer."""

from __future__ import annotations

import unicodedata

#: A character's width, as a part of its height: monospaced fonts have 0.55 to 0.602.
CELL = 0.605
MONOSPACE = "DejaVu Sans Mono, Liberation Mono, Menlo, Consolas, monospace"

#: Heights of a character.
SMALL, NORMAL, LARGE = 9, 10.5, 15

#: The most characters of a job, a fault or a name.
LONGEST = 300


def shown(text: str) -> str:
    """Return text of unknown origin with an escape for each character that XML forbids or that is not visible."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def columns(text: str) -> int:
    """Return how many columns a text takes: wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def width(text: str, size: float) -> float:
    """Return the width of a text whose characters have a height."""
    return columns(text) * size * CELL


def cut(text: str, most: int) -> str:
    """Shorten a text to a number of columns; the middle goes first, because ends tell names apart."""
    if columns(text) <= most:
        return text
    head, tail = text, ""
    while columns(head) > most - most // 3 - 1:
        head = head[:-1]
    for char in reversed(text):
        if columns(char + tail) > most // 3:
            break
        tail = char + tail
    return f"{head}…{tail}"


def wrapped(text: str, most: int, indent: str = "") -> list[str]:
    """Break a text into lines, at blanks if there are any.

    Args:
        text: The text.
        most: How many columns a line may take.
        indent: What every line but the first begins with.
    """
    lines = [""]
    for word in text.split(" "):
        left = word
        if lines[-1] and columns(f"{lines[-1]} {word}") > most:
            lines.append(indent)
            joint = ""
        else:
            joint = " " if lines[-1].strip() or not word else ""
        while columns(lines[-1] + joint + left) > most:
            room = max(most - columns(lines[-1] + joint), 1)
            part = left[:room]
            while columns(part) > room and len(part) > 1:
                part = part[:-1]
            lines[-1] += joint + part
            left = left[len(part) :]
            lines.append(indent)
            joint = ""
        lines[-1] += joint + left
    return [line for line in lines if line.strip()] or [""]
