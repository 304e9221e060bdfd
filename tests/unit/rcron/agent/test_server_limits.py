# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a user cannot do to others by the socket at which runs are claimed, and what he can do without that."""

import os
import pathlib
import socket
import stat
import threading
import time
import types

import pytest

from rcron import claim, settings
from rcron.agent import server
from rcron.agent.claims import Claims
from rcron.agent.engines import Engine


def listen_by_name(folder: str) -> socket.socket:
    """As `listen` was once."""
    listener = server.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{folder}claim.sock.new")
    os.chmod(f"{folder}claim.sock.new", 0o666)
    return listener


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_feeder_s_user_has_root_open_another_file_for_everyone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """The socket's folder is the state's, which may be his, and he puts a link in the new socket's place."""
    shadow = tmp_path / "shadow"
    shadow.touch(0o600)

    class Quick(socket.socket):
        def bind(self, address: str) -> None:
            super().bind(address)
            os.unlink(address)
            os.symlink(shadow, address)

    monkeypatch.setattr(server.socket, "socket", Quick)
    (server.listen(f"{tmp_path}/")[0] if is_protected else listen_by_name(f"{tmp_path}/")).close()
    assert stat.S_IMODE(shadow.stat().st_mode) == (0o600 if is_protected else 0o666)


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_every_user_may_ask_whatever_the_umask(tmp_path: pathlib.Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        server.listen(f"{tmp_path}/")[0].close()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "claim.sock").stat().st_mode) == 0o666


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_user_fills_the_engine_and_stops_everybody_s_jobs(
    monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    asked = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(server, "time", types.SimpleNamespace(monotonic=lambda: asked.now))
    if not is_protected:
        monkeypatch.setattr(server, "MOST_AT_ONCE", float("inf"))
    one = server.Server.__new__(server.Server)
    one._left = {}
    his, roots, others = (types.SimpleNamespace(uid=uid) for uid in (1000, 0, 1001))
    taken = sum(one._may_go_on(his) for _turn in range(10_000))
    assert taken == (4000 if is_protected else 10_000)
    assert all(one._may_go_on(roots) for _turn in range(10_000))
    assert one._may_go_on(others)
    asked.now = 60.0
    assert sum(one._may_go_on(his) for _turn in range(10_000)) == (1200 if is_protected else 10_000)


def test_a_user_who_has_claimed_too_much_is_told_that_and_the_engine_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "time", types.SimpleNamespace(monotonic=lambda: 0.0, time=lambda: 1.0))
    said: "list[tuple[str, ...]]" = []
    one = server.Server.__new__(server.Server)
    one._left = {1000: (0.0, 0.0)}
    one._claims = types.SimpleNamespace(node="node1")  # type: ignore[assignment]
    one._counts = types.SimpleNamespace(add=lambda *_words: None)  # type: ignore[assignment]
    monkeypatch.setattr(one, "_reply", lambda _client, *parts: said.append(parts), raising=False)
    his = types.SimpleNamespace(uid=1000, deadline=0.0, task=None)
    fields = {"cluster": "c1", "job": "a", "fire": "60", "token": "t"}
    one._claim(his, {**fields, "wait": "5"})  # type: ignore[arg-type]
    one._ended(his, {**fields, "exit": "0", "duration": "1"})  # type: ignore[arg-type]
    assert said == [
        ("unknown", "too many claims of this user: 20 a second are taken"),
        ("unknown", "too many ends of this user: 20 a second are taken"),
    ]


@pytest.mark.parametrize("is_protected", [True, False])
def test_nobody_who_may_be_many_users_fills_the_agent_s_memory(
    monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """As with subuid(5): 65,536 of them would take a quarter of what the agent's unit may have."""
    if not is_protected:
        monkeypatch.setattr(server, "MOST_USERS", 1_000_000)
    one = server.Server.__new__(server.Server)
    one._left = {}
    one._claims = types.SimpleNamespace(is_known=lambda uid: uid == 1000)  # type: ignore[assignment]
    for uid in (1000, *range(200000, 265536)):
        assert one._may_go_on(types.SimpleNamespace(uid=uid))  # type: ignore[arg-type]
    assert (len(one._left) <= 10_001) == is_protected
    assert one._left[1000][0] < 4000, "whoever has a name is not forgotten"


class Table:
    """A server's clients, without connections. known: the users who have a name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, known: "set[int]") -> None:
        self.dropped: "list[server.Client]" = []
        self.server = server.Server.__new__(server.Server)
        self.server._clients = {}
        self.server._claims = types.SimpleNamespace(is_known=lambda uid: uid in known)  # type: ignore[assignment]
        monkeypatch.setattr(self.server, "_drop", self.dropped.append, raising=False)

    def add(self, uid: int, **state: object) -> server.Client:
        """Add a client in a state."""
        client = server.Client(types.SimpleNamespace(), uid, 0.0)  # type: ignore[arg-type]
        for name, value in state.items():
            setattr(client, name, value)
        self.server._clients[len(self.server._clients)] = client
        return client


def test_if_there_is_no_room_whoever_waits_for_nothing_is_cut_off_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(monkeypatch, {1000})
    pending = {"task": object()}
    question = {"is_question": True, "is_answered": True}
    for uid in (0, 1000):
        table.add(uid, **pending)
        table.add(uid, **question)
    assert not table.server._make_room()
    nameless = table.add(200000, **pending)
    assert table.server._make_room()
    has_answer = table.add(1000, **pending, is_answered=True, is_sent=True)
    assert table.server._make_room()
    assert table.dropped == [nameless, has_answer]
    silent = table.add(1000)
    table.server._clients = {-1: silent, **table.server._clients}
    assert table.server._make_room()
    assert table.dropped[-1] is silent


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
@pytest.mark.parametrize("is_protected", [True, False])
def test_nobody_who_may_be_many_users_keeps_others_from_the_socket(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """As with subuid(5). Here the table has 64 places, and each of his users takes 16."""
    if not is_protected:
        monkeypatch.setattr(server.Server, "_make_room", lambda _self: False)
    monkeypatch.setattr(server, "MOST", 64)
    listener, _place = server.listen(f"{tmp_path}/")
    one = server.Server(listener, Claims(Engine(), "node1"), "none")
    connected = []

    def connect(uid: int) -> socket.socket:
        os.seteuid(uid)
        try:
            connection = socket.socket(socket.AF_UNIX)
            connected.append(connection)
            connection.connect("claim.sock")
        finally:
            os.seteuid(0)
        one._accept()
        return connection

    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    try:
        for number in range(64):
            connect(200000 + number // 16)
        connection = connect(1000)
        connection.settimeout(10)
        try:
            connection.sendall(b"what\n")
            for client in list(one._clients.values()):
                one._serve(client)
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
        assert answer.startswith(b"wrong") == is_protected
    finally:
        for each in [*connected, listener]:
            each.close()


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_socket_on_which_nobody_accepts_does_not_keep_the_agent_from_its_place(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """The folder's owner may have put it there, and connect(2) waits for room in its queue."""
    monkeypatch.setattr(server, "PATIENCE", 0.1 if is_protected else None)
    full = socket.socket(socket.AF_UNIX)
    waiting = [socket.socket(socket.AF_UNIX) for _turn in range(3)]
    try:
        full.bind(f"{tmp_path}/claim.sock")
        full.listen(0)
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(f"{tmp_path}/claim.sock")
        made: "list[socket.socket]" = []
        thread = threading.Thread(target=lambda: made.append(server.listen(f"{tmp_path}/")[0]))
        thread.start()
        thread.join(20 if is_protected else 0.5)
        assert bool(made) == is_protected
    finally:
        for one in (full, *waiting):
            one.close()
        thread.join(20)
        for one in made:
            one.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="has another user's folder")
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_link_of_a_feeder_s_user_leads_root_to_another_socket(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """To one that only root may connect to, which would read what root's jobs are."""
    folder = tmp_path / "his"
    folder.mkdir()
    config = settings.Config("rcron.conf")
    config.state_file = f"{folder}/state"
    if not is_protected:
        monkeypatch.setattr(claim, "reach", lambda one, path: one.connect(path))
    with socket.socket(socket.AF_UNIX) as roots:
        roots.bind(str(tmp_path / "roots"))
        roots.listen()
        (folder / "claim.sock").symlink_to(tmp_path / "roots")
        os.chown(folder, 12345, 12345)
        if is_protected:
            with pytest.raises(OSError, match="is not a socket"):
                claim.exchange(config, b"status\n", time.monotonic() + 0.5)
            with server.listen(f"{folder}/")[0]:
                claim.connect(config, time.monotonic() + 5).close()
            roots.setblocking(False)
            with pytest.raises(BlockingIOError):
                roots.accept()
        else:
            with pytest.raises(TimeoutError):
                claim.exchange(config, b"status\n", time.monotonic() + 0.5)
            assert roots.accept()[0].recv(100) == b"status\n"
