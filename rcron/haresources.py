# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Heartbeat's file haresources: which node has which resources when both nodes are up."""

from collections.abc import Iterator


def haresources(text: str) -> "Iterator[list[str]]":
    """Yield the lines of a haresources file as Heartbeat reads them.

    A line that ends with a backslash continues in the next one, where Heartbeat does not recognize a comment.

    Args:
        text: the file's content.

    Yields:
        The node's name and its resources.
    """
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        joined = line.partition("#")[0]
        while joined.endswith("\\"):
            following = next(lines, None)
            if following is None:
                break
            joined = joined[:-1] + following
        words = [word for word in joined.replace("\t", " ").split(" ") if word]
        if words:
            yield words
