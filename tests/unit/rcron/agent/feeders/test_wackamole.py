# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What wackamole's table of addresses means, asked of a socket that answers as control.c of 2.1.4 does."""

import os
import pathlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rcron.agent import clusters
from rcron.agent.answer import boottime
from rcron.agent.feeders import wackamole
from rcron.settings import ACTIVE, PASSIVE

HERE, PEER = "10.0.0.2", "10.0.0.3"
NOBODY = socket.inet_ntoa(bytes(4))


def interface(name: str, address: str) -> bytes:
    """Return an interface as control.c's sprintif writes it."""
    return struct.pack("16s4s4s4s", name.encode(), socket.inet_aton(address), b"\xff" * 4, b"\xff" * 4)


def entry(owner: str, *addresses: str) -> bytes:
    """Return a virtual interface with these addresses: its owner, the first and 30 further places."""
    places = [interface("eth0", owner), *(interface("eth0", one) for one in addresses)]
    places += [interface("", NOBODY)] * (32 - len(places))
    return struct.pack("!i", 1) + b"".join(places)


class Daemon:
    """Listens on the control socket, and answers with `table`, or as `handle` does."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.table = b""
        self.handle: "Callable[[socket.socket], None]" = self.answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(5)
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        assert connection.recv(1) == b"\0"
        connection.sendall(struct.pack("!i", len(self.table)))
        connection.sendall(self.table)

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self.handle(connection)
                except OSError:
                    pass

    def kill(self) -> None:
        """End as by SIGKILL: the socket's file stays."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def daemon(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Daemon]":
    monkeypatch.setattr(wackamole, "own_addresses", lambda: {socket.inet_aton(HERE), socket.inet_aton("127.0.0.1")})
    found = Daemon(tmp_path / "wack.it")
    yield found
    try:
        found.kill()
    except OSError:
        pass


@pytest.fixture
def truth(daemon: Daemon) -> wackamole.WackamoleTruth:
    options = {name: default for name, (_parser, default) in wackamole.OPTIONS.items()}
    address = socket.inet_aton("192.0.2.10")
    return wackamole.WackamoleTruth({**options, "control": str(daemon.path), "address": address, "limit": 0.5})


@pytest.mark.parametrize(
    ("owner", "state", "words"),
    [
        (HERE, ACTIVE, "192.0.2.10: owner 10.0.0.2"),
        (PEER, PASSIVE, "192.0.2.10: owner 10.0.0.3"),
        (NOBODY, PASSIVE, "192.0.2.10: not acquired"),
    ],
)
def test_the_owner_of_the_address_is_active(
    daemon: Daemon, truth: wackamole.WackamoleTruth, owner: str, state: str, words: str
) -> None:
    daemon.table = entry(PEER, "192.0.2.9") + entry(owner, "192.0.2.10") + entry(HERE, "192.0.2.11")
    answer = truth.ask()
    assert (answer.state, answer.words) == (state, words)


def test_a_further_address_of_a_virtual_interface_counts_as_its_first(
    daemon: Daemon, truth: wackamole.WackamoleTruth
) -> None:
    daemon.table = entry(PEER, "192.0.2.9") + entry(HERE, "192.0.2.11", "192.0.2.12", "192.0.2.10")
    assert truth.ask().state == ACTIVE


def test_an_address_that_wackamole_does_not_have_says_nothing(daemon: Daemon, truth: wackamole.WackamoleTruth) -> None:
    # That an owner has it as its own is no virtual interface.
    daemon.table = entry("192.0.2.10", "192.0.2.9")
    answer = truth.ask()
    assert (answer.state, answer.words) == (None, "192.0.2.10 is none of wackamole's addresses")


def test_a_wackamole_that_was_killed_is_passive(daemon: Daemon, truth: wackamole.WackamoleTruth) -> None:
    daemon.kill()
    assert daemon.path.exists()
    assert truth.ask().state == PASSIVE
    daemon.path.unlink()
    answer = truth.ask()
    assert (answer.state, "does not run" in answer.words) == (PASSIVE, True)


def test_a_wackamole_that_hangs_cannot_be_asked(daemon: Daemon, truth: wackamole.WackamoleTruth) -> None:
    daemon.handle = lambda _connection: time.sleep(1)
    began = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        truth.ask()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "ends too early"),
        (struct.pack("!i", 900) + bytes(899), "ends too early"),
        (struct.pack("!i", 10) + bytes(10), "none of wackamole"),
        (struct.pack("!i", 255 * 900), "none of wackamole"),
        (b"HTTP", "none of wackamole"),
    ],
)
def test_a_garbled_answer_says_nothing(
    daemon: Daemon, truth: wackamole.WackamoleTruth, answer: bytes, complaint: str
) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(answer)

    daemon.handle = handle
    with pytest.raises(ValueError, match=complaint):
        truth.ask()


def test_the_machines_own_addresses_are_found() -> None:
    found = wackamole.own_addresses()
    assert socket.inet_aton("127.0.0.1") in found
    assert all(len(address) == 4 and any(address) for address in found)


def test_a_clusters_file_names_socket_and_address(tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\n")
    path = tmp_path / "billing.conf"
    path.write_text(f"conf = {conf}\nfeeder = wackamole\ncontrol = /var/run/wack.it\naddress = 192.0.2.10\n")
    assert isinstance(clusters.truth_of(clusters.load("billing", str(path))), wackamole.WackamoleTruth)
    path.write_text(f"conf = {conf}\nfeeder = wackamole\ncontrol = /var/run/wack.it\naddress = 192.0.2\n")
    with pytest.raises(clusters.ConfigError, match="not an IPv4 address"):
        clusters.load("billing", str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user for a moment")
def test_a_socket_of_another_user_is_not_believed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "wack.it"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    os.seteuid(65534)
    try:
        listening.listen(5)
    finally:
        os.seteuid(0)
    truth = wackamole.WackamoleTruth(
        {"control": str(path), "address": socket.inet_aton(HERE), "every": 0.5, "limit": 2.0, "notice": 10.0}
    )
    with listening, pytest.raises(ValueError, match="is not wackamole's, but the user 65534's"):
        truth.ask()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's folder")
@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_no_link_leads_root_to_another_socket(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_protected: bool
) -> None:
    """Whoever may write into the socket's folder would have root speak to any daemon of the node."""
    if not is_protected:
        monkeypatch.setattr(wackamole, "reach", lambda one, path: one.connect(path))
    folder = tmp_path / "folder"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as roots:
        roots.bind(str(tmp_path / "roots"))
        roots.listen()
        (folder / "wack.it").symlink_to(tmp_path / "roots")
        folder.chmod(mode)
        if mode == 0o755:
            os.chown(folder, 12345, 12345)
        with pytest.raises(OSError, match="is not a socket" if is_protected else "."):
            wackamole._table(str(folder / "wack.it"), boottime() + 0.3)
        roots.setblocking(False)
        if is_protected:
            with pytest.raises(BlockingIOError):
                roots.accept()
        else:
            assert roots.accept()[0].recv(1) == b"\0"
