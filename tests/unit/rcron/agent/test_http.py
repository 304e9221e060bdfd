# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One GET request, against servers that answer as they like."""

import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rcron.agent import http

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}"


class Server:
    """Listens on a port of this machine, and has each connection handled by a function, one after the other."""

    def __init__(self, handle: "Callable[[socket.socket], None]", family: int = socket.AF_INET) -> None:
        self.asked = b""
        self._handle = handle
        self._socket = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._handle(connection)
                except OSError:
                    pass

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def serve() -> "Iterator[Callable[..., Server]]":
    """A function that starts a server: its answer in bytes, or what handles a connection."""
    servers: "list[Server]" = []

    def start(answer: "bytes | Callable[[socket.socket], None]", family: int = socket.AF_INET) -> Server:
        def reply(connection: socket.socket) -> None:
            server.asked = connection.recv(4096)
            connection.sendall(answer)  # type: ignore[arg-type]

        server = Server(reply if isinstance(answer, bytes) else answer, family)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def test_it_asks_for_the_path_and_returns_status_and_body(serve: "Callable[..., Server]") -> None:
    server = serve(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nnone and more")
    assert http.get(f"http://127.0.0.1:{server.port}/primary", 5) == (503, b"none")
    assert server.asked.startswith(b"GET /primary HTTP/1.0\r\n")
    assert b"\r\nConnection: close\r\n" in server.asked


def test_a_body_without_a_length_ends_with_the_connection(serve: "Callable[..., Server]") -> None:
    assert http.get(f"http://127.0.0.1:{serve(ANSWER).port}", 5) == (200, b"{}")


def test_an_answer_with_a_length_need_not_end_with_the_connection(serve: "Callable[..., Server]") -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.recv(4096)
        connection.recv(4096)  # until the other side has gone

    assert http.get(f"http://127.0.0.1:{serve(handle).port}", 5) == (200, b"{}")


def test_an_ipv6_address_is_written_in_brackets(serve: "Callable[..., Server]") -> None:
    try:
        server = serve(ANSWER, socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert http.get(f"http://[::1]:{server.port}/", 5)[0] == 200
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.asked


def test_nobody_there_is_a_refused_connection(serve: "Callable[..., Server]") -> None:
    server = serve(ANSWER)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        http.get(f"http://127.0.0.1:{server.port}", 5)
    server._socket = socket.create_server(("127.0.0.1", 0))  # for the fixture's end


def _never(connection: socket.socket) -> None:
    time.sleep(1)
    connection.recv(4096)


def _drop_by_drop(connection: socket.socket) -> None:
    for _turn in range(40):
        connection.sendall(b"H")
        time.sleep(0.05)


@pytest.mark.parametrize("handle", [_never, _drop_by_drop])
def test_the_time_is_for_all_of_it(serve: "Callable[..., Server]", handle: "Callable[[socket.socket], None]") -> None:
    server = serve(handle)
    began = time.monotonic()
    with pytest.raises(OSError, match=r"timed out|no answer in time"):
        http.get(f"http://127.0.0.1:{server.port}", 0.3)
    assert time.monotonic() - began < 1


def test_a_connection_that_nobody_accepts_takes_no_longer_either() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _turn in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        began = time.monotonic()
        with pytest.raises(OSError, match=r"timed out|no answer in time"):
            http.get(f"http://127.0.0.1:{full.getsockname()[1]}", 0.3)
        assert time.monotonic() - began < 1
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "not an answer of HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not an answer of HTTP"),
        (b"HTTP/1.0 200 OK\r\nContent-", "not an answer of HTTP"),
        (b"HTTP/1.0 yes OK\r\n\r\n", "not an answer of HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "ends too early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "in chunks"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + bytes(http.MAX_BYTES), "longer than"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(http.MAX_BYTES), "longer than"),
    ],
)
def test_what_is_no_answer_is_refused(serve: "Callable[..., Server]", answer: bytes, complaint: str) -> None:
    server = serve(answer)
    with pytest.raises(ValueError, match=complaint):
        http.get(f"http://127.0.0.1:{server.port}", 5)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://db1:8008", (False, "db1", 8008, "")),
        ("https://192.0.2.1:8008/", (True, "192.0.2.1", 8008, "")),
        ("http://db1/a/b", (False, "db1", 80, "/a/b")),
        ("https://[2001:db8::1]", (True, "2001:db8::1", 443, "")),
        ("http://[2001:db8::1]:8008/x", (False, "2001:db8::1", 8008, "/x")),
    ],
)
def test_parts_of_a_url(url: str, found: "tuple[bool, str, int, str]") -> None:
    assert http.parts(url) == found


@pytest.mark.parametrize(
    "url",
    ["", "db1:8008", "ftp://db1:21", "http://:80", "http://db1:", "http://db1:0", "http://db1:65536", "http://2001:db8::1",
     "http://db1:8008/a b", "http://db1:8008/\r\nX: y", "http://d\u00fcb:80"],
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://|IPv6|blank"):
        http.parts(url)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> "tuple[pathlib.Path, pathlib.Path]":
    """A certificate for another name than this machine's, signed by itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=elsewhere.example"
    subprocess.run(["openssl", *words.split(), "-out", made, "-keyout", key], check=True, capture_output=True)
    return made, key


def _over_tls(
    certificate: "tuple[pathlib.Path, pathlib.Path]", *, client_too: bool = False
) -> "Callable[[socket.socket], None]":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if client_too:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(4096)
            encrypted.sendall(ANSWER)
            encrypted.unwrap()

    return handle


def test_https_takes_any_certificate_unless_one_is_named(
    serve: "Callable[..., Server]", certificate: "tuple[pathlib.Path, pathlib.Path]", tmp_path: pathlib.Path
) -> None:
    url = f"https://127.0.0.1:{serve(_over_tls(certificate)).port}/primary"
    assert http.get(url, 5) == (200, b"{}")
    assert http.get(url, 5, http.Tls(ca_file=str(certificate[0]))) == (200, b"{}")
    other = tmp_path / "other.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=elsewhere.example -keyout"
    subprocess.run(["openssl", *words.split(), "/dev/null", "-out", other], check=True, capture_output=True)
    with pytest.raises(ssl.SSLError):
        http.get(url, 5, http.Tls(ca_file=str(other)))


def test_https_shows_a_certificate_to_a_server_that_wants_one(
    serve: "Callable[..., Server]", certificate: "tuple[pathlib.Path, pathlib.Path]"
) -> None:
    url = f"https://127.0.0.1:{serve(_over_tls(certificate, client_too=True)).port}/primary"
    with pytest.raises(OSError, match=r"(?i)alert|certificate|reset|EOF"):
        http.get(url, 5)
    assert http.get(url, 5, http.Tls("", str(certificate[0]), str(certificate[1]))) == (200, b"{}")


@pytest.mark.parametrize("option", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_name_of_a_certificate_has_root_open_anything_else(
    certificate: "tuple[pathlib.Path, pathlib.Path]",
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    is_protected: bool,
) -> None:
    """Patroni's user writes the configuration that names it, and a watchdog is armed by being opened."""
    if not is_protected:
        monkeypatch.setattr(http, "with_files", lambda what, *paths: what(*paths))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "link").symlink_to(fifo)
    names = {"cert_file": str(certificate[0]), "key_file": str(certificate[1])} if option != "ca_file" else {}
    tls = http.Tls(**{**names, option: str(tmp_path / "link")})

    def ask() -> None:
        with pytest.raises(OSError, match=r"."):
            tls.context()

    asked = threading.Thread(target=ask)
    asked.start()
    is_opened = False
    for _turn in range(100):
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody has opened the other end
            asked.join(0.02)
            if not asked.is_alive():
                break
        else:
            is_opened = True
            break
    asked.join(10)
    assert is_opened == (not is_protected)


def test_certificates_may_lie_in_a_folder(
    serve: "Callable[..., Server]", certificate: "tuple[pathlib.Path, pathlib.Path]", tmp_path: pathlib.Path
) -> None:
    url = f"https://127.0.0.1:{serve(_over_tls(certificate)).port}/primary"
    for name in ("0123abcd.0", "README", "0123abcd.r0", "x0123abc.0"):
        (tmp_path / name).write_text("no certificate")
    (tmp_path / "01234567.0").symlink_to("nowhere")
    with pytest.raises(ssl.SSLError):
        http.get(url, 5, http.Tls(ca_file=str(tmp_path)))
    command = ["openssl", "x509", "-noout", "-hash", "-in", certificate[0]]
    hashed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{hashed}.0").symlink_to(certificate[0])
    assert http.get(url, 5, http.Tls(ca_file=str(tmp_path))) == (200, b"{}")


def test_https_against_a_server_that_hangs(serve: "Callable[..., Server]") -> None:
    began = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        http.get(f"https://127.0.0.1:{serve(_never).port}", 0.3)
    assert time.monotonic() - began < 2  # ssl has been loaded in that time


def test_an_objects_own_values_are_read_and_no_others() -> None:
    body = b"""{"state": "running", "role": "master", "xlog": {"location": 1, "state": "x"}, "timeline": 2,
        "replication": [{"state": "streaming", "role": "}"}], "dcs_last_seen": 1760000000, "on": true, "empty": {},
        "note": "a \\"quoted\\": {word}, \\\\", "last": null}"""
    assert http.values(body) == {
        "state": "running",
        "role": "master",
        "timeline": "2",
        "dcs_last_seen": "1760000000",
        "on": "true",
        "note": 'a \\"quoted\\": {word}, \\\\',
        "last": "null",
    }


def test_an_empty_object_has_no_values() -> None:
    assert http.values(b" {} \n") == {}


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b'{"a": 1', b'{"a": {"b": 1}', b'{"a": "}', b"<html></html>"])
def test_what_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="JSON object"):
        http.values(body)


def test_a_server_must_be_one_of_these_users(serve: "Callable[..., Server]") -> None:
    server = serve(ANSWER)
    url = f"http://127.0.0.1:{server.port}/"
    assert http.get(url, 2, users={os.geteuid()}) == (200, b"{}")
    server.asked = b""
    with pytest.raises(http.StrangerError, match=f"127.0.0.1:{server.port} is the user {os.geteuid()}'s"):
        http.get(url, 2, users={os.geteuid() + 1})
    assert server.asked == b""


def test_a_server_that_no_longer_listens_is_not_believed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connection = socket.create_connection(("127.0.0.1", port))
        accepted, _address = server.accept()
        with connection, accepted:
            server.close()
            with pytest.raises(http.StrangerError, match="is nobody's on this machine"):
                http._refuse_strangers(connection, {os.geteuid()})


def end_of_string_once(text: str, at: int) -> int:
    """As `_end_of_string` was once: for each quote it copied all that is before it."""
    end = text.find('"', at + 1)
    while (end - len(text[:end].rstrip("\\"))) % 2:
        end = text.find('"', end + 1)
    return end


def test_no_answer_of_a_feeder_s_user_keeps_the_agent_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"a":"' + b'\\"' * 100_000 + b'"}'

    def cost() -> float:
        began = time.thread_time()
        assert list(http.values(body)) == ["a"]
        return time.thread_time() - began

    protected = cost()
    monkeypatch.setattr(http, "_end_of_string", end_of_string_once)
    assert cost() > 4 * protected
