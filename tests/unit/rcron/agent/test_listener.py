# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whose sockets listen on a port of this machine."""

import os
import pathlib
import socket
import sys

import pytest

from rcron.agent import listener

EVERYWHERE = socket.inet_ntoa(bytes(4))


@pytest.mark.parametrize(
    ("listens_at", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (EVERYWHERE, "127.0.0.1"),
        ("::1", "::1"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
@pytest.mark.parametrize("can_be_asked", [True, False])
def test_a_socket_of_ones_own_is_found(
    monkeypatch: pytest.MonkeyPatch, listens_at: str, asked: str, can_be_asked: bool
) -> None:
    if not can_be_asked:
        monkeypatch.setattr(listener, "_asked", lambda _address, _port: None)
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    try:
        own = socket.socket(family)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        own.bind((listens_at, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with own:
        port = own.getsockname()[1]
        assert listener.users_at(asked, port) == set(), "it does not listen yet"
        own.listen()
        assert listener.users_at(asked, port) == {os.geteuid()}
        assert listener.users_at("127.0.0.2" if listens_at == "127.0.0.1" else "192.0.2.1", port) == (
            {os.geteuid()} if listens_at in (EVERYWHERE, "::") else set()
        )
    assert listener.users_at(asked, port) == set()


def test_the_very_address_comes_before_all_addresses(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(address: str, state: str, user: int) -> str:
        number = int.from_bytes(socket.inet_aton(address), sys.byteorder)
        return f"  0: {number:08X}:1F48 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {user} 0 1 1 0\n"

    (tmp_path / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        + line(EVERYWHERE, "0A", 1000)
        + line("10.0.0.1", "0A", 26)
        + line("10.0.0.2", "0A", 1001)
        + line("10.0.0.1", "01", 0)
    )
    monkeypatch.setattr(listener, "_asked", lambda _address, _port: None)
    monkeypatch.setattr(listener, "FILES", ((str(tmp_path / "tcp"), 4), (str(tmp_path / "tcp6"), 16)))
    assert listener.users_at("10.0.0.1", 8008) == {26}
    assert listener.users_at("10.0.0.2", 8008) == {1001}
    assert listener.users_at("10.0.0.3", 8008) == {1000}
    assert listener.users_at("10.0.0.1", 8009) == set()


@pytest.mark.parametrize("is_protected", [True, False])
def test_nobody_s_other_sockets_are_looked_at(monkeypatch: pytest.MonkeyPatch, is_protected: bool) -> None:
    """A user may have hundreds of thousands, and Patroni is to be asked twice a second."""
    if not is_protected:
        monkeypatch.setattr(listener, "_asked", lambda _address, _port: None)
    looked_at = []
    read = listener._listeners

    def noted(path: str, length: int) -> "list[tuple[bytes, int, int]]":
        looked_at.extend(read(path, length))
        return read(path, length)

    monkeypatch.setattr(listener, "_listeners", noted)
    own = [socket.create_server(("127.0.0.1", 0)) for _turn in range(200)]
    try:
        assert listener.users_at(*own[100].getsockname()) == {os.geteuid()}
    finally:
        for each in own:
            each.close()
    assert (looked_at == []) == is_protected
    assert is_protected or len(looked_at) >= 200


def test_connections_are_not_looked_at_either(tmp_path: pathlib.Path) -> None:
    """If the kernel cannot be asked. They come after the sockets that listen."""
    line = "  0: 0100007F:1F48 00000000:0000 {} 00000000:00000000 00:00000000 00000000 26 0 1 1 0\n"
    (tmp_path / "tcp").write_text("  sl  local_address\n" + "".join(map(line.format, ("0A", "01", "0A"))))
    assert len(listener._listeners(str(tmp_path / "tcp"), 4)) == 1


def test_a_user_s_socket_is_his() -> None:
    if os.geteuid():
        pytest.skip("only root becomes another user")
    told, tell = os.pipe()
    ended, end = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(65534)
        own = socket.create_server(("127.0.0.1", 0))
        os.write(tell, str(own.getsockname()[1]).encode())
        os.close(end)
        os.read(ended, 1)
        os._exit(0)
    try:
        assert listener.users_at("127.0.0.1", int(os.read(told, 16))) == {65534}
    finally:
        os.close(end)
        os.waitpid(child, 0)
        for each in (told, tell, ended):
            os.close(each)
