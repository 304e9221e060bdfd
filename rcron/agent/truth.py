# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a feeder has to offer so that its daemon can be asked."""

from rcron.agent.answer import Answer, boottime


class Truth:
    """Asks one daemon about one cluster. An object lives as long as the agent serves the cluster.

    Attributes:
        every: Seconds from one question to the next. The agent asks at least three times in state_max_age.
        limit: Seconds that a question may take. The answer to one that takes longer is "cannot tell".
        notice: Seconds that the daemon needs to learn that another node took its role, after it or the machine stood
            still: Corosync's token, Heartbeat's deadtime, three adverts, a lock's ttl. For so long after a gap no
            `active` counts.
        silence: Seconds without an answer after which another node may be active, so that this one has to be passive;
            0 if state_max_age is short enough for that.
        look_every: Seconds from one look to the next, if the daemon can be looked at (`look`).
        deadline: The moment of `boottime` from which on this node must not be active, whatever is known else; infinite
            if nothing has to be given back. The agent's loop looks at it, also while a question hangs.
        leaves: Whether what makes this node active can be given back (`leave`).
        files: The paths of files beside the cluster's own that were read. If one changes, another object takes over.
    """

    every = 1.0
    limit = 2.0
    notice = 10.0
    silence = 0.0
    look_every = float("inf")
    deadline = float("inf")
    leaves = False
    files: "tuple[str, ...]" = ()

    def ask(self) -> Answer:
        """Ask the daemon. Runs in a thread of its own and may block, but not for longer than `limit`.

        Returns:
            The Answer, with the moment at which the question was put.

        Raises:
            OSError: The daemon cannot be asked; the agent takes that for "cannot tell".
            ValueError: The answer cannot be understood; likewise.
        """
        raise NotImplementedError

    def look(self) -> float:
        """Look whether the daemon still does what a node does that is active. Called in the agent's loop; never blocks.

        A question needs a second thread, which a busy machine lets wait; so this is done before silence counts.

        Returns:
            When the daemon is known to have done it last, a moment of `boottime`; 0 if that is not known.
        """
        return 0.0

    def gap(self, seconds: float) -> None:
        """Learn that nobody watched the daemon for a while: the machine slept, or the agent has just been started.

        A feeder that can prove that its daemon has heard of its peers since then sets `notice` to 0, and answers
        "cannot tell" until it has that proof. Called in the agent's loop, while `ask` may run.

        Args:
            seconds: For how long; infinite if that is not known.
        """

    def event(self) -> None:
        """Learn that a hook of this daemon was called. Called in the agent's loop, before the question that follows."""

    def descriptor(self) -> int:
        """Return a file descriptor that becomes readable when the daemon speaks by itself, or -1. It may change."""
        return -1

    def hear(self) -> "list[Answer]":
        """Read what the daemon said by itself, when `descriptor` is readable. Called in the agent's loop; never blocks.

        Returns:
            The answers in their order. One whose state is None says: ask now.
        """
        return []

    def leave(self) -> None:
        """Give back what makes this node active. Called in the place of the last `ask`, once the node is passive.

        Raises:
            OSError: It is not given back, and ends by itself.
        """

    def close(self) -> None:
        """Give back what the object holds: the cluster is no longer served."""


def cannot_tell(why: str, moment: "float | None" = None) -> Answer:
    """Make the Answer "cannot tell".

    Args:
        why: One line for a person.
        moment: When the question was put; this moment if None.

    Returns:
        The Answer.
    """
    return Answer(None, boottime() if moment is None else moment, why)
