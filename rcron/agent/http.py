# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One GET request, with a limit for its time and for its answer's length: http.client takes 3 MiB and knows neither.

And as much of JSON as it takes to read an answer's own values, for the same reason.
"""

import _socket
import os
import time
from typing import TYPE_CHECKING

from rcron import files
from rcron.agent import listener

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: How long certificates' files are not read again, in seconds.
RENEWAL = 60.0

#: The longest answer, headers included, in bytes.
MAX_BYTES = 1 << 18

#: How many certificates of a folder are read.
MOST_CERTIFICATES = 1000


class Tls:
    """How an https URL is asked.

    Args:
        ca_file: The certificates that the server's must be signed by, a file or a folder; empty: any certificate is
            taken. It may be for another name than the one in the URL, because the server is this machine.
        cert_file: The certificate to show to the server; empty for none.
        key_file: Its key; empty if that is in cert_file.
    """

    def __init__(self, ca_file: str = "", cert_file: str = "", key_file: str = "") -> None:
        self.ca_file = ca_file
        self.cert_file = cert_file
        self.key_file = key_file
        self._context: "ssl.SSLContext | None" = None
        self._made = 0.0

    def context(self) -> "ssl.SSLContext":
        """Return what the files give. They are read again after a while, because certificates are renewed.

        Raises:
            OSError: One of them cannot be used.
        """
        if self._context is None or time.monotonic() - self._made >= RENEWAL:
            self._context = self._load()
            self._made = time.monotonic()
        return self._context

    def _load(self) -> "ssl.SSLContext":
        import ssl  # only here: it takes 4 MiB

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
            if os.path.isdir(self.ca_file):
                for path in _certificates(self.ca_file):
                    try:
                        with_files(context.load_verify_locations, path)
                    except OSError:
                        pass  # as OpenSSL does: a link to nowhere, or something else
            else:
                with_files(context.load_verify_locations, self.ca_file)
        if self.cert_file:
            # Nobody is there to be asked for a key's password.
            with_files(
                lambda cert, key: context.load_cert_chain(cert, key, password=""),
                self.cert_file,
                self.key_file or self.cert_file,
            )
        return context

    def forget(self) -> None:
        """Have the files read again before the next question."""
        self._context = None


def _certificates(folder: str) -> "list[str]":
    """Return the files in a folder that OpenSSL would look for: openssl-rehash(1)."""
    names = [name for name in sorted(os.listdir(folder)) if name[8:9] == "." and name[9:].isdigit()]
    return [f"{folder}/{name}" for name in names if set(name[:8]) <= set("0123456789abcdef")][:MOST_CERTIFICATES]


def with_files(what: "Callable[..., object]", *paths: str) -> None:
    """Have OpenSSL read files, and open nothing but regular ones: they may lie in the folder of a daemon's user.

    Args:
        what: Reads them; its arguments are their paths.
        paths: The files.

    Raises:
        OSError: One of them cannot be used.
    """
    opened: "list[int]" = []
    try:
        for path in paths:
            opened.append(files.open_regular(path))
        what(*[f"/proc/self/fd/{fd}" for fd in opened])
    finally:
        for fd in opened:
            os.close(fd)


def parts(url: str) -> "tuple[bool, str, int, str]":
    """Take a URL apart.

    Args:
        url: `http://HOST[:PORT][/PATH]`, or with https; an IPv6 address in brackets.

    Returns:
        Whether it is https, the host, the port and the path, which is empty if there is none.

    Raises:
        ValueError: It is not such a URL.
    """
    scheme, _separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    if (authority.startswith("[") and authority.endswith("]")) or not colon:
        host, port = authority, "443" if scheme == "https" else "80"
    if host.startswith("["):
        host = host[1:].removesuffix("]")
    elif ":" in host:
        raise ValueError(f'"{url}": write an IPv6 address in brackets')
    if scheme not in ("http", "https") or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'"{url}" is not http://HOST:PORT or https://HOST:PORT')
    if not url.isascii() or any(character <= " " for character in url):
        raise ValueError(f'"{url}" holds a blank or a character that a URL cannot hold')
    return scheme == "https", host, int(port), (slash + path).rstrip("/")


def get(url: str, seconds: float, tls: "Tls | None" = None, users: "set[int] | None" = None) -> "tuple[int, bytes]":
    """Ask a server for one document, and close the connection. No redirection is followed.

    Args:
        url: Its URL, as `parts` takes it.
        seconds: How long all of it may take, except for looking up a host name.
        tls: How to do it with https.
        users: Whose the server must be, which is on this machine then; None for anybody's.

    Returns:
        The status and the answer's body.

    Raises:
        StrangerError: The server is somebody else's, or another machine's.
        OSError: There is no connection, no trust, or no answer in time.
        ValueError: The URL or the answer cannot be used.
    """
    is_https, host, port, path = parts(url)
    deadline = time.monotonic() + seconds
    connection = _connect(host, port, deadline)
    try:
        if users is not None:
            _refuse_strangers(connection, users)
        if is_https:
            connection = _encrypt(connection, tls or Tls(), deadline)
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        request = f"GET {path or '/'} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        connection.settimeout(_left(deadline))
        connection.sendall(request.encode("ascii"))
        return _answer(_read(connection, deadline))
    finally:
        connection.close()


class StrangerError(ConnectionError):
    """Somebody answers who must not be believed."""


def _refuse_strangers(connection: "_socket.socket", users: "set[int]") -> None:
    address, port = connection.getpeername()[:2]
    found = listener.users_at(address, port)
    if not found or not found <= users:
        who = ", ".join(map(str, sorted(found - users)))
        raise StrangerError(f"{address}:{port} is " + (f"the user {who}'s" if who else "nobody's on this machine"))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(110, "no answer in time")
    return left


def _connect(host: str, port: int, deadline: float) -> "_socket.socket":
    failure: OSError = ConnectionError(f"{host}: no address")
    for family, kind, protocol, _name, address in _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
        connection = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _encrypt(connection: "_socket.socket", tls: Tls, deadline: float) -> "_socket.socket":
    import socket  # only here, as ssl

    plain = socket.socket(fileno=connection.detach())
    try:
        context = tls.context()
        plain.settimeout(_left(deadline))
        return context.wrap_socket(plain)
    except BaseException:
        tls.forget()
        plain.close()
        raise


def _read(connection: "_socket.socket", deadline: float) -> bytes:
    """Read to the end of the connection, or of the body where its length is given."""
    data = b""
    wanted = MAX_BYTES
    while len(data) < wanted:
        connection.settimeout(_left(deadline))
        chunk = connection.recv(16384)
        if not chunk:
            return data
        data += chunk
        head, separator, _body = data.partition(b"\r\n\r\n")
        length = _header(head, b"content-length") if separator else b""
        if length.isdigit():
            wanted = min(MAX_BYTES, len(head) + 4 + int(length[:9]))
    if len(data) >= MAX_BYTES:
        raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")
    return data


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        found, _separator, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""


def _answer(data: bytes) -> "tuple[int, bytes]":
    head, separator, body = data.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if not separator or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError("that is not an answer of HTTP/1.0 or 1.1")
    if _header(head, b"transfer-encoding"):
        raise ValueError("the answer comes in chunks, which HTTP/1.0 does not have")
    length = _header(head, b"content-length")
    if length.isdigit():
        if len(body) < int(length[:9]):
            raise ValueError("the answer ends too early")
        body = body[: int(length[:9])]
    return int(words[1]), body


def values(body: bytes) -> "dict[str, str]":
    """Read the values of a JSON object that are not objects or arrays themselves.

    Args:
        body: The object's text.

    Returns:
        Each name and its value: a string without its quotes (and with its escapes, if any), else as it stands.

    Raises:
        ValueError: That is not an object, or it is cut off.
    """
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith("{") or not text.endswith("}"):
        raise ValueError("that is not a JSON object")
    found: "dict[str, str]" = {}
    depth = 0
    start = at = 1
    name = ""
    end = len(text) - 1
    while at <= end:
        character = text[at]
        if character == '"':
            at = _end_of_string(text, at)
        elif character in "{[":
            depth += 1
        elif depth and character in "}]":
            depth -= 1
        elif not depth and character == ":":
            name = text[start:at].strip().strip('"')
            start = at + 1
        elif not depth and character in ",}":
            value = text[start:at].strip()
            if name and not value.startswith(("{", "[")):
                found[name] = value[1:-1] if value.startswith('"') else value
            name = ""
            start = at + 1
        at += 1
    if depth or start <= end:
        raise ValueError("that JSON object is cut off")
    return found


def _end_of_string(text: str, at: int) -> int:
    """Return where the string that begins at a quote ends."""
    end = text.find('"', at + 1)
    while end > 0:
        slashes = 0
        while text[end - 1 - slashes] == "\\":
            slashes += 1
        if slashes % 2 == 0:
            return end
        end = text.find('"', end + 1)
    raise ValueError("that JSON object is cut off")
