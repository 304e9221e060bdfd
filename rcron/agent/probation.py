# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""When a daemon that did not answer for a while is believed again.

The agent notices when it stood still itself. If only the daemon stood still, and is let go on, its first answers may be
what it knew before: it needs the time of `Truth.notice` to learn that another node has taken over.
"""


class Probation:
    """Remembers when a daemon last proved that it works. All times are seconds of `boottime`.

    Attributes:
        notice: Seconds for which a daemon that stood still is not believed.
        patience: Seconds without a proof that do not count as standing still.
    """

    def __init__(self, notice: float, patience: float) -> None:
        self.notice = notice
        self.patience = patience
        self._proved: "float | None" = None
        self._until = 0.0

    def prove(self, asked: float, answered: float) -> None:
        """Note that the daemon has answered.

        Args:
            asked: When the question was put.
            answered: When the answer came.
        """
        last = asked if self._proved is None else self._proved
        if answered - asked > self.patience or asked - last > self.patience:
            self.begin(answered)
        self._proved = answered

    def begin(self, now: float) -> None:
        """Believe the daemon only after its time of `notice`, because it was started anew, or stood still."""
        self._until = now + self.notice

    def left(self, asked: float) -> float:
        """Return for how many seconds more no answer counts; 0 if it does.

        Args:
            asked: When the question was put.
        """
        return max(0.0, self._until - asked)
