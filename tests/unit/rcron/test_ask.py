# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What hooks send to the agent: it never blocks, whoever does not read it."""

import os
import pathlib
import socket
import stat
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rcron import ask, settings


@pytest.fixture
def config(node: Any) -> settings.Config:
    return settings.load(str(node.conf))


@pytest.fixture
def agent(config: settings.Config) -> "Iterator[socket.socket]":
    """The agent's socket, which nobody reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as found:
        found.bind(config.agent_file("ask"))
        yield found


def test_a_cluster_that_no_agent_serves_is_not_asked(config: settings.Config) -> None:
    assert not ask.is_served(config)
    assert not ask.now(config, "up")


def test_an_event_reaches_the_agent_with_its_moment(config: settings.Config, agent: socket.socket) -> None:
    assert ask.is_served(config)
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert ask.now(config, "mine:up")
    assert ask.now(config, "mine:d\udcfcwn", passive=True)
    for expected in (b"ask mine:up", b"passive mine:d\xfcwn"):
        word, moment, words = agent.recv(1000).split(b" ", 2)
        assert word + b" " + words == expected
        assert before - 0.001 <= float(moment) <= time.clock_gettime(time.CLOCK_BOOTTIME) + 0.001


def test_long_words_are_cut(config: settings.Config, agent: socket.socket) -> None:
    assert ask.now(config, "x" * 5000)
    assert len(agent.recv(10000)) == ask.MAX_DATAGRAM


def test_an_agent_that_reads_nothing_blocks_nobody(config: settings.Config, agent: socket.socket, node: Any) -> None:
    for _turn in range(5000):
        if not ask.now(config, "up"):
            break
    else:
        pytest.fail("the socket is never full")
    node.become("active")
    assert node.ctl("set", "passive", "--feeder", "mine", timeout=20).returncode == 0
    assert node.state_file.read_text() == "passive\n"


def test_an_agent_that_has_ended_blocks_nobody(config: settings.Config, agent: socket.socket, node: Any) -> None:
    agent.close()
    assert stat.S_ISSOCK(os.stat(config.agent_file("ask")).st_mode)
    node.become("active")
    assert node.ctl("set", "passive", "--feeder", "mine", timeout=20).returncode == 0
    assert node.state_file.read_text() == "passive\n"


def test_something_else_in_the_sockets_place_blocks_nobody(config: settings.Config, node: Any) -> None:
    os.mkfifo(config.agent_file("ask"))
    assert not ask.now(config, "up")
    assert node.ctl("set", "passive", timeout=20).returncode == 0
    assert pathlib.Path(config.agent_file("ask")).is_fifo()
