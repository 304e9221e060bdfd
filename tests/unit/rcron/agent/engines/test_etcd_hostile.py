# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What an etcd that is somebody else's, or somebody on the way to it, cannot do to the agent."""

import base64
import http.client
import itertools
import json
import os
import pathlib
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, etcd

CLAIM = Claim("c1", "root", "report", "1764320400", "t1", "node1", 1764320401)


def hear(connection: socket.socket) -> None:
    """Read a whole request: what is left of it would have the kernel take the answer back at the end (RST)."""
    heard = b""
    while piece := connection.recv(65536):
        heard += piece
        found = re.search(rb"(?is)\r\ncontent-length: *(\d+).*?\r\n\r\n(.*)", heard)
        if found is not None and len(found[2]) >= int(found[1]):
            return


class Hostile:
    """A server that sends what it is told to, whatever it is asked, and forever if that has no end."""

    def __init__(self, pieces: "Iterable[bytes]", pause: float = 0.0) -> None:
        self._pieces = pieces
        self._pause = pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.is_over = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
                with connection:
                    hear(connection)
                    for piece in self._pieces:
                        connection.sendall(piece)
                        time.sleep(self._pause)
                        if self.is_over:
                            return
            except OSError:
                if self.is_over:
                    return

    @property
    def engine(self) -> etcd.Etcd:
        """An engine that asks it."""
        conf = AgentConf("/etc/rcron/agent.conf")
        conf.endpoints = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        return etcd.Etcd(conf)

    def close(self) -> None:
        """Send no more."""
        self.is_over = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def answer(document: "dict[str, Any]", status: int = 200) -> bytes:
    """An answer of etcd's."""
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def drip(begin: bytes) -> "Iterator[bytes]":
    """Something, and then a byte again and again."""
    return itertools.chain([begin], itertools.repeat(b"x"))


def untimed(*words: Any, deadline: float, most: int, **more: Any) -> http.client.HTTPResponse:
    """As answers were read once."""
    del deadline, most
    return http.client.HTTPResponse(*words, **more)


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, begin: bytes, is_protected: bool
) -> None:
    """There are as many threads for claims as it takes to hang all of them."""
    monkeypatch.setattr(etcd, "ATTEMPT", 0.5)
    if not is_protected:
        monkeypatch.setattr(etcd, "_Response", untimed)
    server = Hostile(drip(begin), 0.05)
    failed: "list[str]" = []

    def claim() -> None:
        try:
            server.engine._call("/v3/kv/txn", {}, 0.5)
        except EngineError as error:
            failed.append(str(error))

    thread = threading.Thread(target=claim, daemon=True)
    thread.start()
    thread.join(20 if is_protected else 2)
    server.close()
    assert thread.is_alive() != is_protected
    assert not is_protected or any(words in failed[0] for words in ("no answer in time", "timed out"))
    thread.join(20)


def test_an_answer_without_an_end_is_cut_off() -> None:
    server = Hostile(itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b"x" * 65536)))
    try:
        with pytest.raises(EngineError, match=r"too long|in time"):
            server.engine.claim(CLAIM)
    finally:
        server.close()


def needed(engine: etcd.Etcd) -> "tuple[int, str]":
    """How many bytes of memory it takes to be answered with a page, and why it is not one; empty if it is."""
    tracemalloc.start()
    try:
        engine.history("c1", "", "", 1000)
        why = ""
    except EngineError as error:
        why = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, why


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize(
    "body",
    [b'{"kvs":[' + b"[]," * 300_000 + b"0]}", b'{"kvs":["' + b"x" * 900_000 + b'\\ud840\\udc00"]}'],
    ids=["lists", "wide"],
)
def test_no_answer_needs_far_more_memory_than_it_has_bytes(
    monkeypatch: pytest.MonkeyPatch, body: bytes, is_protected: bool
) -> None:
    """8 MiB of lists needed 227 MiB, and the units end an agent that takes too much: for all clusters of the node."""
    monkeypatch.setattr(etcd, "ATTEMPT", 20.0)
    if not is_protected:
        monkeypatch.setattr(etcd, "_plain", bytes.decode)
    server = Hostile([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)])
    peak, why = needed(server.engine)
    server.close()
    assert ("not JSON" in why) == is_protected
    assert (peak < 4 * len(body)) == is_protected, peak


def test_only_a_page_may_be_long() -> None:
    """Several clusters' leases may be asked for at once."""
    text = answer({"kvs": [{"key": "", "value": "x" * 2 * etcd.MAX_BYTES}]})
    server = Hostile([text])
    assert needed(server.engine)[1] == ""
    with pytest.raises(EngineError, match="too long"):
        server.engine.lease("c1")
    server.close()


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_head_of_an_answer_is_long(monkeypatch: pytest.MonkeyPatch, is_protected: bool) -> None:
    """Python takes 100 lines of 64 KiB, and copies them several times."""
    if not is_protected:
        monkeypatch.setattr(etcd, "MAX_HEAD", 1 << 30)
    server = Hostile([b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 65_000 + b"\r\n"] * 90, b"\r\n"])
    assert ("too long" in needed(server.engine)[1]) == is_protected
    server.close()


def test_a_long_error_is_not_repeated_whole() -> None:
    server = Hostile([answer({"error": "x" * 1_000_000, "code": 2}, 500)])
    try:
        with pytest.raises(EngineError) as failure:
            server.engine.claim(CLAIM)
        assert len(str(failure.value)) < 1000
    finally:
        server.close()


def test_alarms_without_end_are_not_repeated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a line of `status`, and of the terminal of whoever tries the engine out."""
    server = Hostile([])
    engine = server.engine
    monkeypatch.setattr(engine, "_authorized", lambda *_words: {"errors": ["x" * 100_000] * 50})
    assert 500 < len(engine.check()) < 5000
    server.close()


def test_the_same_page_again_and_again_ends_the_cleaning() -> None:
    pair = {"key": base64.b64encode(b"/rcron/claims/c1/root/a/1").decode(), "create_revision": "1"}
    server = Hostile([answer({"kvs": [pair], "more": True})])
    found: "list[object]" = []

    def clean() -> None:
        try:
            found.append(server.engine._too_old("c1", 5))
        except EngineError as error:
            found.append(str(error))

    thread = threading.Thread(target=clean, daemon=True)
    thread.start()
    thread.join(20)
    server.close()
    assert found == ["etcd: an answer whose keys are in no order"]


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
def test_no_daemon_s_user_has_root_wait_for_a_certificate(tmp_path: pathlib.Path, name: str) -> None:
    """They may be in etcd's folder, and a lease's engine is made in the loop that all clusters need."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = "https://127.0.0.1:1"
    if name == "key_file":
        conf.cert_file = "/dev/null"
    setattr(conf, name, str(fifo))
    failed: "list[BaseException]" = []

    def make() -> None:
        try:
            etcd.Etcd(conf)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(20)
    if thread.is_alive():
        os.close(os.open(fifo, os.O_WRONLY))
    assert failed
    assert isinstance(failed[0], OSError)
    assert "Not a regular file" in str(failed[0])
