# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A Patroni is made to call rcron.

Its REST API is this test's, and systemctl and rcronctl write down how they are called.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import threading
import types
from collections.abc import Iterator

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import patroni_callbacks
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.patroni_callbacks import AdoptionError, Patroni

PASSIVE = "rcronctl --conf /etc/rcron/b.conf set passive --feeder patroni"
ACTIVE = (
    "systemd-run --scope --quiet --slice=system.slice --uid=postgres -- RCRONCTL --conf /etc/rcron/b.conf set active"
    " --while 42 --feeder patroni"
)


class Node:
    """A node with Patroni.

    Attributes:
        primary: What it answers when it is asked whether it is the primary; the last one from then on.
        config: The status and text that it answers when it is asked for its configuration.
        asked: What it was asked.
    """

    def __init__(self, folder: pathlib.Path, program) -> None:
        self.primary = [True]
        self.config = (200, '{"loop_wait": 0}')
        self.asked: list[str] = []
        self.url = "http://127.0.0.1:1"
        self._folder = folder
        self._program = program
        self.rcronctl = self.tool("rcronctl")
        self.tool("systemd-run")
        self.runs_as(42)

    def tool(self, name: str, then: str = "") -> str:
        """Put a program there that writes down how it is called."""
        return self._program(name, f'echo {name} "$@" >>{self._folder}/calls\n{then}')

    def runs_as(self, pid: int, reload: str = "exit 0") -> None:
        """Have systemctl give Patroni's main process."""
        self.tool("systemctl", f'[ "$1" = show ] && echo MainPID={pid} && exit\n{reload}')

    def calls(self) -> list[str]:
        """Return what the programs were told, but for questions."""
        lines = (self._folder / "calls").read_text().replace(self.rcronctl, "RCRONCTL").splitlines()
        return [line for line in lines if " show " not in line]

    def adopt(self) -> str:
        return Patroni("patroni", "postgres", self.url, self.rcronctl, "/etc/rcron/b.conf").adopt()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Have its REST API answer."""
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.asked.append(self.path)
                if self.path == "/primary":
                    is_primary = node.primary.pop(0) if len(node.primary) > 1 else node.primary[0]
                    status, text = (200 if is_primary else 503), "{}"
                else:
                    status, text = node.config
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def node(tmp_path, program):
    return Node(tmp_path, program)


def test_a_patroni_that_does_not_run_makes_the_node_passive(node):
    node.runs_as(0)
    assert node.adopt() == "passive"
    assert node.calls() == [PASSIVE]


def test_a_primary_makes_it_active_for_as_long_as_patroni_lives(node):
    with node.answering():
        assert node.adopt() == "active"
    assert node.calls() == ["systemctl reload patroni", ACTIVE]
    assert node.asked == ["/config", "/primary", "/primary"]


def test_a_replica_makes_it_passive(node):
    node.primary = [False]
    with node.answering():
        assert node.adopt() == "passive"
    assert node.calls() == ["systemctl reload patroni", PASSIVE]


def test_a_role_that_changes_meanwhile_is_set_once_more(node):
    node.primary = [True, False, False]
    with node.answering():
        assert node.adopt() == "passive"
    assert node.calls()[1:] == [ACTIVE, PASSIVE]


def test_a_role_that_never_lasts_is_an_error(node):
    node.primary = [True, False] * patroni_callbacks.TRIES + [True]
    with node.answering(), pytest.raises(AdoptionError, match="its role changes all the time; see patronictl list"):
        node.adopt()


@pytest.mark.parametrize(
    ("config", "seconds"),
    [((200, '{"loop_wait": 3}'), 6), ((200, "{}"), 20), ((503, "no leader"), 20)],
)
def test_two_of_its_cycles_are_waited_for(node, monkeypatch, config, seconds):
    waited = []
    monkeypatch.setattr(patroni_callbacks, "time", types.SimpleNamespace(sleep=waited.append))
    node.config = config
    with node.answering():
        node.adopt()
    assert waited == [seconds]


def test_a_patroni_that_does_not_answer_leaves_the_node_passive(node):
    with pytest.raises(AdoptionError, match=r"127.0.0.1:1: .*refused.*passive until Patroni calls back"):
        node.adopt()
    assert node.calls() == ["systemctl reload patroni", PASSIVE]


@pytest.mark.parametrize("config", [(200, "no JSON"), (200, json.dumps({"loop_wait": "long"})), (200, "[1]")])
def test_an_answer_that_makes_no_sense_leaves_the_node_passive(node, config):
    node.config = config
    with node.answering(), pytest.raises(AdoptionError):
        node.adopt()
    assert node.calls()[-1] == PASSIVE


def test_a_reload_that_fails_leaves_the_node_passive(node):
    node.runs_as(42, "echo no reload >&2; exit 1")
    with pytest.raises(AdoptionError, match="systemctl reload patroni: no reload"):
        node.adopt()
    assert node.calls()[-1] == PASSIVE


def test_a_state_that_cannot_be_set_is_an_error(node):
    node.runs_as(0)
    node.tool("rcronctl", "echo no space >&2; exit 1")
    with pytest.raises(ProgramError, match="no space"):
        node.adopt()
