# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_places: numbers that rank a cluster's hosts, and that stay when hosts come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ansible.errors import AnsibleFilterError


class Range(NamedTuple):
    """Which numbers there are.

    Attributes:
        first: The number of the group's first host.
        last: The number that no host goes beyond.
        step: By how much two neighbours differ if there is room.
        least: By how much a new host must differ from its neighbours if they keep theirs.
    """

    first: int
    last: int
    step: int
    least: int

    @property
    def sign(self) -> int:
        """1 if the numbers rise from host to host, -1 if they fall."""
        return 1 if self.last >= self.first else -1


def places(hosts: Sequence[str], recorded: Mapping[str, int], numbers: Range) -> dict[str, int]:
    """Give each host its number.

    Args:
        hosts: The hosts in the order of the group.
        recorded: The numbers that hosts have.
        numbers: Which numbers there are.

    Returns:
        The number of each host. A host keeps the one that it has if these are in the group's order and there is room
        for the new hosts between them; otherwise all get new ones.
    """
    known = [(place, recorded[host]) for place, host in enumerate(hosts) if host in recorded]
    rising = all(numbers.sign * (after - before) > 0 for (_p, before), (_q, after) in zip(known, known[1:]))
    kept = _fill(len(hosts), known, numbers) if known and rising else None
    return dict(zip(hosts, kept or _fresh(len(hosts), numbers)))


def _fresh(count: int, numbers: Range) -> list[int]:
    room = abs(numbers.last - numbers.first)
    step = max(1, min(numbers.step, room // max(count - 1, 1)))
    return [numbers.first + numbers.sign * min(place * step, room) for place in range(count)]


def _fill(count: int, known: list[tuple[int, int]], numbers: Range) -> list[int] | None:
    """Return the known numbers with others between, before and after them, None if there is no room."""
    (first_place, first), (last_place, last) = known[0], known[-1]
    # As if there were hosts beyond both ends, at which the numbers end.
    before = first - numbers.sign * numbers.step * first_place
    if numbers.sign * (before - numbers.first) < 0:
        before = numbers.first
    after = last + numbers.sign * numbers.step * (count - 1 - last_place)
    if numbers.sign * (after - numbers.last) > 0:
        after = numbers.last
    found = dict(known)
    found.setdefault(0, before)
    found.setdefault(count - 1, after)
    ends = sorted(found.items())
    for (place, number), (next_place, next_number) in zip(ends, ends[1:]):
        width = next_place - place
        apart = numbers.sign * (next_number - number)
        is_new = width > 1 or not {place, next_place} <= {at for at, _number in known}
        if is_new and apart < numbers.least * width:
            return None
        for step in range(1, width):
            found[place + step] = number + numbers.sign * (apart * step // width)
    return [found[place] for place in range(count)]


def rcron_places(
    hosts: Sequence[str], recorded: Mapping[str, object], first: int, last: int, step: int = 20, least: int = 5
) -> dict[str, int]:
    """Give each host of a group the number that ranks it.

    Args:
        hosts: The hosts in the order of the group.
        recorded: The numbers that hosts have, of which those that cannot be right are ignored.
        first: The number of the group's first host.
        last: The number that no host goes beyond, larger or smaller than `first`.
        step: By how much two neighbours differ if there is room.
        least: By how much a new host must differ from its neighbours if they keep theirs.

    Returns:
        The number of each host.

    Raises:
        AnsibleFilterError: `hosts` is not a list, or `recorded` is not a dict.
    """
    if isinstance(hosts, str) or not isinstance(hosts, Sequence) or not isinstance(recorded, Mapping):
        raise AnsibleFilterError(
            f"rcron_places: {hosts!r} and {recorded!r}: pass a list of hosts and a dict of numbers"
        )
    low, high = sorted((first, last))
    valid = {
        host: number
        for host, number in recorded.items()
        if isinstance(number, int) and not isinstance(number, bool) and low <= number <= high
    }
    return places(hosts, valid, Range(first, last, step, least))


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_places": rcron_places}
