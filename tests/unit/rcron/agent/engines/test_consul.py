# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""docs/examples/consul.py, against a server that answers as Consul's documentation says."""

import base64
import http.server
import json
import pathlib
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, command

EXAMPLE = pathlib.Path(__file__).resolve().parents[5] / "docs" / "examples" / "consul.py"

CLAIM = Claim("c1", "root", "a/b", "=x y", "t1", "node1", 1764320401, command="true")


class Consul(http.server.ThreadingHTTPServer):
    """As much of Consul as the example uses. pairs: what each key holds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pairs: "dict[str, dict[str, Any]]" = {}
        self.index = 10


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Consul

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, found: Any) -> None:
        """Answer with a JSON document."""
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def key(self) -> "tuple[str, dict[str, list[str]]]":
        """The key that is asked for, and the query."""
        parts = urllib.parse.urlsplit(self.path)
        return urllib.parse.unquote(parts.path).removeprefix("/v1/kv/"), urllib.parse.parse_qs(parts.query)

    def do_GET(self) -> None:
        """Read."""
        key, query = self.key()
        if key == "/v1/status/leader":
            self.answer(200, "192.0.2.1:8300")
            return
        found = [pair for name, pair in self.server.pairs.items() if name == key or (query and name.startswith(key))]
        self.answer(200 if found else 404, found)

    def do_DELETE(self) -> None:
        """Delete all below a key."""
        key, query = self.key()
        assert query == {"recurse": ["true"]}
        for name in [name for name in self.server.pairs if name.startswith(key)]:
            del self.server.pairs[name]
        self.answer(200, True)

    def do_PUT(self) -> None:
        """Write, if the key was last changed at that index."""
        key, query = self.key()
        value = self.rfile.read(int(self.headers["Content-Length"]))
        there = self.server.pairs.get(key)
        if int(query["cas"][0]) != (there["ModifyIndex"] if there else 0):
            self.answer(200, False)
            return
        self.server.index += 1
        created = there["CreateIndex"] if there else self.server.index
        encoded = base64.b64encode(value).decode()
        self.server.pairs[key] = {
            "Key": key,
            "Value": encoded,
            "CreateIndex": created,
            "ModifyIndex": self.server.index,
        }
        self.answer(200, True)


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> "Iterator[command.Command]":
    server = Consul()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    program = tmp_path / "rcron-consul"
    text = EXAMPLE.read_text(encoding="utf-8").replace("8500", str(server.server_address[1]))
    program.write_text(f"#!{sys.executable} -IS\n{text}")
    program.chmod(0o755)
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = str(program)
    yield command.Command(conf)
    server.shutdown()
    server.server_close()


def test_the_first_to_claim_has_it(engine: command.Command) -> None:
    assert engine.claim(CLAIM).token == "t1"
    assert engine.claim(CLAIM).token == "t1"
    assert engine.claim(CLAIM._replace(token="t2", node="node2")) == ("", "node1", 1764320401)
    assert engine.claim(CLAIM._replace(token="t2", fire="=x")).token == "t2"
    assert engine.check() == "Consul's leader is 192.0.2.1:8300"


def test_ends_and_history(engine: command.Command) -> None:
    engine.claim(CLAIM)
    engine.claim(CLAIM._replace(fire="2"))
    assert engine.ended(CLAIM, 3, 1.5)
    assert not engine.ended(CLAIM._replace(token="t2"), 0, 1.0)
    newest, first = engine.history("c1", "root", "", 10)
    assert (newest.fire, first.fire, first.exit, first.duration, first.command) == ("2", "=x y", 3, 1.5, "true")
    assert engine.history("c1", "", "", 10, newest.cursor) == [first]
    assert engine.clean("c1", "node1") == 0


def test_a_clusters_claims_can_be_deleted(engine: command.Command) -> None:
    for cluster in ("c1", "c10"):
        engine.claim(CLAIM._replace(cluster=cluster))
    assert [run.cluster for run in engine.history("c1", "", "", 10)] == ["c1"]
    engine.forget("c1")
    assert engine.history("c1", "", "", 10) == []
    assert [run.cluster for run in engine.history("c10", "", "", 10)] == ["c10"]


def test_what_it_cannot_do_it_says(engine: command.Command) -> None:
    with pytest.raises(EngineError, match="this engine has no windows"):
        engine.claim(CLAIM._replace(window=60))
