# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a timeline consists of. All times are seconds since the epoch."""

from __future__ import annotations

from typing import NamedTuple


class Band(NamedTuple):
    """A node's state for a while.

    Attributes:
        node: The node's name.
        begin: When the state began.
        end: When it ended.
        state: `active`, `passive`, `down` or `unknown`.
    """

    node: str
    begin: float
    end: float
    state: str


class Run(NamedTuple):
    """A run of a job, or one that should have been.

    Attributes:
        node: The node that ran it; empty if no node did.
        job: The job's command.
        begin: When it began.
        end: When it ended; None if that is not known.
        outcome: `ok`, `failed`, `demoted` (ended because its node turned passive), `ignored`, `doubled` (another node
            ran it too), `lost` (no node ran it) or `running`.
    """

    node: str
    job: str
    begin: float
    end: float | None
    outcome: str


class Fault(NamedTuple):
    """An event that befell a node or the whole cluster.

    Attributes:
        node: The node's name; empty for the whole cluster.
        begin: When it happened or began.
        end: When it ended; None if it has no length.
        text: A few words.
    """

    node: str
    begin: float
    end: float | None
    text: str


class Timeline(NamedTuple):
    """What is drawn.

    Attributes:
        title: The picture's title.
        begin: Where the picture begins; whatever ended before is left out.
        end: Where the picture ends; whatever began after is left out.
        nodes: The nodes' names, in the order of their lanes.
        bands: The nodes' states.
        runs: The jobs' runs.
        faults: The events.
    """

    title: str
    begin: float
    end: float
    nodes: list[str]
    bands: list[Band]
    runs: list[Run]
    faults: list[Fault]
