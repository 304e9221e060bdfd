# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the soak does with the programs that it starts on a node."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
import soak

TRIES = 12


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a namespace")
def test_a_program_that_was_stopped_waits_for_its_child_again() -> None:
    run = soak.Soak(1.0, 1, claims=False)
    node = run.nodes[0]
    for _try in range(TRIES):
        command = ["nsenter", "--pid=/proc/self/ns/pid", "--", "sleep", "60"]
        run.programs[node].append(subprocess.Popen(command, start_new_session=True))
    try:
        time.sleep(0.3)  # until they wait
        run.signal(node, signal.SIGSTOP)
        time.sleep(0.1)
        run.resume(node)
        assert [soak.state_of(program.pid) for program in run.programs[node]] == ["S"] * TRIES
    finally:
        run.unwatch(node)
