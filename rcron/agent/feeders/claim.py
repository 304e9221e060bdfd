# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""No feeder: every node is active, and a run is of the node that claims it first.

It needs `claim = required` in the cluster's rcron.conf: without claims, every node would run every job.
"""

from typing import Any

from rcron.agent.answer import Answer, boottime
from rcron.agent.truth import Truth
from rcron.settings import ACTIVE, REQUIRED, Config, ConfigError

OPTIONS: "dict[str, Any]" = {}


def truth(config: Config, _options: "dict[str, Any]") -> Truth:
    """Return what says so. Raises ConfigError if claims are not compulsory."""
    if config.claim != REQUIRED:
        raise ConfigError(
            f"{config.path}: claim is {config.claim}, and without a feeder every node would run every job; write "
            f"claim = {REQUIRED}"
        )
    return ClaimTruth()


class ClaimTruth(Truth):
    """Says that this node is active."""

    notice = 0.0

    def ask(self) -> Answer:
        """Say so."""
        return Answer(ACTIVE, boottime(), "every node is active, and claims decide")
