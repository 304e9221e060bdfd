# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Nothing that looks at a node waits for ever, whatever a file or a program there does."""

from __future__ import annotations

import os
import signal
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import crontab_store
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import patroni
from ansible_collections.rcron.cluster.plugins.module_utils.installation import processes
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that nobody writes to."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_a_look_at_a_fifo_is_given_up(fifo):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeLimitError, match=r"^looking at x took more than 1 s$"), within("looking at x", 1):
        fifo.read_text()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.alarm(0) == 0


def test_a_look_that_ends_leaves_no_alarm_behind():
    with within("looking at x", 1):
        pass
    time.sleep(1.2)


def test_a_record_that_is_a_fifo_is_not_waited_for(fifo):
    with within("looking at the record", 5):
        assert not patroni.has_spoken(str(fifo))


@pytest.fixture
def endless(tmp_path, monkeypatch):
    """A program that does not end."""
    path = tmp_path / "endless"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    for module, name in ((crontab_store, "COMMAND_TIME"), (processes, "TIME_LIMIT")):
        monkeypatch.setattr(module, name, 0.3)
    return str(path)


def test_a_program_that_does_not_end_is_ended(endless):
    with within("looking at programs", 30):
        with pytest.raises(crontab_store.StoreError, match=r"endless did not end within 0.3 s"):
            crontab_store.CrontabCommand(endless)
        with pytest.raises(TimeoutError, match=r"it did not end within 0.3 s"):
            processes.run([endless])
        with pytest.raises(programs.ProgramError, match=r"endless did not end within 0.3 s"):
            programs.run(endless, time_limit=0.3)
