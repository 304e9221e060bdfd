# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Engines: where claims are kept. One module for each, whose function `engine(conf)` returns an Engine."""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Every engine's name, which is that of its module.
NAMES = ("etcd", "postgresql", "redis", "command")

#: Seconds that one attempt may take, over one endpoint. A leader that is killed or stopped is replaced in 2 to 4 s, and
#: the write is repeated until somebody has answered.
ATTEMPT = 2.0

#: Seconds that one request about a lease may take: several have to fit into the time for which it is held.
LEASE_ATTEMPT = 1.0

#: For how long a claim is kept at least, in seconds, and how many of each job are kept in any case.
KEEP = 86400
KEEP_EACH = 100

#: How long old claims are deleted at a time, in seconds.
LONGEST = 3600.0

#: The longest node's name that is shown, in characters: agent.conf takes no longer one.
MAX_NODE = 64

#: The last second of the year 9999 since the epoch: what is beyond is no moment, and no job takes longer.
FARTHEST = 253402300799


class Claim(NamedTuple):
    """What is to be claimed.

    Attributes:
        cluster: The cluster's name.
        user: The user whose job it is.
        job: The job's name, or `~` and a digest.
        fire: Which run: see rcron.claim.Fire.
        token: Whose the claim is to be.
        node: The node's name.
        at: When it was asked for, in seconds since the epoch by this node's clock.
        window: For how many seconds the job is claimed; 0: only this run is.
        command: The job's command, cut.
    """

    cluster: str
    user: str
    job: str
    fire: str
    token: str
    node: str
    at: int
    window: int = 0
    command: str = ""


class Holder(NamedTuple):
    """Whose a claim is: the token, the node, and since when, in seconds since the epoch by that node's clock."""

    token: str
    node: str
    since: int


class Run(NamedTuple):
    """One line of the ledger.

    Attributes:
        cluster: The cluster's name.
        user: Whose job it is.
        job: The job's name.
        fire: Which run.
        node: Where it was claimed.
        at: When, in seconds since the epoch by that node's clock.
        command: The job's command, cut; an empty string if it is not known.
        exit: The exit status; None if no end is known.
        duration: How many seconds the job took; None likewise.
        gave_up: Whether the claim was found only after rcron had given up: nobody ran this.
        cursor: What `before` has to be for the runs before this one.
    """

    cluster: str
    user: str
    job: str
    fire: str
    node: str
    at: int
    command: str = ""
    exit: "int | None" = None
    duration: "float | None" = None
    gave_up: bool = False
    cursor: str = ""


class Lease(NamedTuple):
    """Who has a cluster's lease.

    Attributes:
        token: The holder's.
        node: The holder's name.
        term: A number that is larger for each holder.
        place: The holder's place in the order of preference, from 0.
        renewed: Another value after each renewal.
    """

    token: str
    node: str
    term: int
    place: int = 0
    renewed: Any = None


class EngineError(Exception):
    """The engine cannot tell. The text says why, for a person."""


class Engine:
    """An engine. Every method may be called by several threads at once, and blocks for a few seconds at most.

    All raise EngineError if the engine cannot tell or does not take it.

    Attributes:
        keeps_leases: Whether it has `lease` and the methods after it: whether it forgets no lease before its end.
    """

    keeps_leases = False

    def claim(self, claim: Claim) -> Holder:
        """Claim a run unless it is claimed already. This write can be repeated: the holder's token decides.

        Args:
            claim: What is to be claimed.

        Returns:
            Whose it is now.
        """
        raise NotImplementedError

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """Record the end of a run, if the claim is of this token.

        Args:
            claim: Only its cluster, user, job, fire and token count.
            exit_status: The job's; None: rcron had given up before the claim was known to be its own.
            duration: How many seconds it took.

        Returns:
            Whether there is such a claim.
        """
        raise NotImplementedError

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """Return the last runs, the newest first.

        Args:
            cluster: The cluster's name.
            user: Whose jobs; an empty string for everybody's.
            job: The job's name; an empty string for all jobs.
            limit: How many runs at most.
            before: The cursor of a run, for those before it; an empty string for the newest ones.
        """
        raise NotImplementedError

    def check(self) -> str:
        """Return how the engine is, for a person: `3 of 3 members`."""
        raise NotImplementedError

    def remarks(self) -> "list[str]":
        """Return what an administrator should change before claims are relied on, beside what `check` says."""
        raise NotImplementedError

    def forget(self, cluster: str) -> None:
        """Delete all of a cluster's claims.

        Args:
            cluster: The cluster's name.
        """
        raise NotImplementedError

    def clean(self, cluster: str, node: str) -> int:
        """Delete what is too old. One node does it each hour.

        Args:
            cluster: The cluster's name.
            node: This node's name.

        Returns:
            How many claims were deleted.
        """
        raise NotImplementedError

    def lease(self, cluster: str) -> "Lease | None":
        """Return who has a cluster's lease; None if nobody has it.

        Args:
            cluster: The cluster's name.
        """
        raise NotImplementedError

    def hold(self, cluster: str, mine: Lease, ttl: int) -> "Lease | None":
        """Take a cluster's lease if nobody has it, or renew it if it is ours. This write can be repeated.

        Args:
            cluster: The cluster's name.
            mine: What the lease is to be. Its term: 0 to take it; the term that it has to renew it.
            ttl: For how many seconds it is ours from the moment at which the engine has done this.

        Returns:
            Whose it is now; None if nobody has it, because ours has ended. If it is ours, this very call has taken or
            renewed it.
        """
        raise NotImplementedError

    def release(self, cluster: str, mine: Lease) -> None:
        """Give a cluster's lease back. Nothing happens if it is not ours any more.

        Args:
            cluster: The cluster's name.
            mine: What the lease was: its token and its term.
        """
        raise NotImplementedError

    def ask_for(self, cluster: str, place: int, seconds: int) -> None:
        """Ask the holder of a cluster's lease to give it up.

        Args:
            cluster: The cluster's name.
            place: The place in the order of preference of the node that wants it.
            seconds: For how long that is to be known.
        """
        raise NotImplementedError

    def wanted(self, cluster: str) -> "int | None":
        """Return the place of the most preferred node that asks for a cluster's lease; None if nobody does.

        Args:
            cluster: The cluster's name.
        """
        raise NotImplementedError


def text_of(value: Any, default: str = "") -> str:
    """Return a value from the ledger if it is a text; what is there may be anybody's."""
    return value if isinstance(value, str) else default


def number_of(value: Any) -> int:
    """Return a value from the ledger if it is a whole number, and not one that no moment has; else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= FARTHEST else 0


def exit_of(value: Any) -> "int | None":
    """Return a value from the ledger if it is an exit status, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255 else None


def duration_of(value: Any) -> "float | None":
    """Return a value from the ledger if it is a length of time in seconds, else None; nan and infinity are none."""
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= FARTHEST else None


def lease_of(token: Any, node: Any, term: Any, place: Any, renewed: Any) -> Lease:
    """Make a Lease of what an engine answers, which may be anybody's.

    Args:
        token: The holder's.
        node: The holder's name.
        term: A number that is larger for each holder.
        place: The holder's place in the order of preference.
        renewed: Another value after each renewal.

    Raises:
        EngineError: The term is not such a number: it gets into the environment of root's services and jobs.
    """
    if not isinstance(term, int) or isinstance(term, bool) or not 0 < term < 1 << 63:
        raise EngineError("an answer with a lease whose term is not a number from 1 on")
    return Lease(text_of(token), text_of(node)[:MAX_NODE], term, max(0, number_of(place)), renewed)


def run_of(key: "tuple[str, str, str, str]", value: Any) -> Run:
    """Make a Run of what is in the ledger.

    Args:
        key: Cluster, user, job and fire.
        value: The decoded JSON document.
    """
    value = value if isinstance(value, dict) else {}
    end = value.get("end")
    end = end if isinstance(end, dict) else {}
    return Run(
        *key,
        node=text_of(value.get("node")),
        at=number_of(value.get("at")),
        command=text_of(value.get("cmd")),
        exit=exit_of(end.get("exit")),
        duration=duration_of(end.get("dur")),
        gave_up="exit" in end and end["exit"] is None,
    )


def emptied(delete: "Callable[[], int]") -> int:
    """Delete batch after batch until nothing is left, or for LONGEST seconds: a hostile server never says so.

    Args:
        delete: Deletes a batch, and returns how much that was.

    Returns:
        How much was deleted.
    """
    until = time.monotonic() + LONGEST
    deleted = 0
    while time.monotonic() < until and (count := delete()):
        deleted += count
    return deleted


def batches(items: "list[Any]", size: int) -> "Iterator[list[Any]]":
    """Cut a list into pieces of a size."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
