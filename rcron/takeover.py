# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A passive node waits for its promotion, so that a run that falls into the failover gap is run by the successor."""

import time

from rcron import demotion, job, state
from rcron.settings import PASSIVE, Config
from rcron.watch import Watch

#: What the job will need after a wait during which rcron may have been removed.
NEEDED_LATER = (demotion, job)


def wait(config: Config, seconds: int) -> "tuple[state.Verdict, set[int]]":
    """Wait until this node is active, for a time.

    config: the cluster's. seconds: the longest wait. Returns the Verdict at the end, and the signal mask that the job
    is to have: the one of before. A signal that ends a process ends this one, as nothing has begun yet.
    """
    end = time.monotonic() + seconds
    watch = Watch(config)
    while True:
        verdict = state.current(config)
        left = end - time.monotonic()
        if verdict.state != PASSIVE or verdict.source == state.PIN or left <= 0:
            watch.close()
            return verdict, watch.mask
        watch.wait((), left, verdict)
