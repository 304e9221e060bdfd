# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a user cannot do to others by the socket at which runs are claimed, and what he can do without that."""

import os
import pathlib
import socket
import stat
import types

import pytest

from rcron.agent import server


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
    (server.listen if is_protected else listen_by_name)(f"{tmp_path}/").close()
    assert stat.S_IMODE(shadow.stat().st_mode) == (0o600 if is_protected else 0o666)


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_every_user_may_ask_whatever_the_umask(tmp_path: pathlib.Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        server.listen(f"{tmp_path}/").close()
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
    monkeypatch.setattr(one, "_reply", lambda _client, *parts: said.append(parts), raising=False)
    his = types.SimpleNamespace(uid=1000, deadline=0.0, task=None)
    fields = {"cluster": "c1", "job": "a", "fire": "60", "token": "t"}
    one._claim(his, {**fields, "wait": "5"})  # type: ignore[arg-type]
    one._ended(his, {**fields, "exit": "0", "duration": "1"})  # type: ignore[arg-type]
    assert said == [
        ("unknown", "too many claims of this user: 20 a second are taken"),
        ("unknown", "too many ends of this user: 20 a second are taken"),
    ]
