# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A passive node waits for its promotion, so that the successor runs a job that falls into a failover."""

import time

from rcron import demotion, job, state
from rcron.settings import PASSIVE, Config
from rcron.watch import Watch

#: Loaded now, because rcron may have been removed by the time that the job needs them.
NEEDED_LATER = (demotion, job)


def wait_for_promotion(config: Config, seconds: int) -> "tuple[state.Verdict, set[int]]":
    """Wait until this node is active, up to a time.

    A signal that ends a process ends this one, since nothing has begun yet.

    Args:
        config: the cluster's.
        seconds: the longest wait.

    Returns:
        The verdict at the end, and the signal mask that the job must have: the one before the wait.
    """
    end = time.monotonic() + seconds
    watch = Watch(config)
    while True:
        verdict = state.current(config)
        left = end - time.monotonic()
        if verdict.state != PASSIVE or verdict.source == state.PIN or left <= 0:
            watch.close()
            return verdict, watch.mask
        watch.wait_for_change((), left, verdict)
