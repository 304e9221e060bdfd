# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Run by test_libraries.py with the distribution's Python: `hostile_servers.py ENGINE ATTACK PROTECTED ENDPOINT [CA]`.

A server that attacks whoever asks it, and the engine that asks. Prints by how many MiB this process has grown, and what
became of one claim.
"""

import contextlib
import itertools
import os
import pathlib
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[5]))

from rcron.agent import http
from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, Engine, EngineError, limit, postgresql, redis

#: After how many seconds the engine waits for ever: its limit is half a second here.
PATIENCE = 3.5

#: How much more memory is too much, in MiB, and for how many seconds an answer without a limit may take to need it.
FILLED, FILLING = 300, 45

#: How much address space this process may have, in bytes: what is not limited else must not take the machine's.
MOST = 1 << 30

CLAIM = Claim("c1", "root", "report", "1764320400", "t1", "node1", 1764320401)


def message(kind: bytes, body: bytes) -> bytes:
    """A message of PostgreSQL's protocol."""
    return kind + struct.pack("!I", len(body) + 4) + body


def greet(connection: socket.socket) -> None:
    """Do as PostgreSQL does until it says whether a password is wanted."""
    while True:
        length, code = struct.unpack("!II", connection.recv(8, socket.MSG_WAITALL))
        if code == 3 << 16:
            break
        connection.sendall(b"N")  # neither TLS nor GSS
    connection.recv(length - 8, socket.MSG_WAITALL)


def welcome(connection: socket.socket, style: bytes = b"ISO, MDY") -> None:
    """Do as PostgreSQL does until it waits for a statement."""
    greet(connection)
    said = {b"DateStyle": style, b"client_encoding": b"UTF8", b"in_hot_standby": b"off", b"server_version": b"15.1"}
    said[b"default_transaction_read_only"] = b"off"
    connection.sendall(message(b"R", bytes(4)) if style != b"gss" else message(b"R", struct.pack("!I", 7)))
    for name, value in said.items():
        connection.sendall(message(b"S", name + b"\0" + value + b"\0"))
    connection.sendall(message(b"K", bytes(8)) + message(b"Z", b"I"))


def setup_hangs(connection: socket.socket) -> None:
    """Have psycopg2 set something at once, and answer nothing."""
    welcome(connection, b"SQL, MDY")
    time.sleep(60)


def statement_hangs(connection: socket.socket) -> None:
    """Answer no statement."""
    welcome(connection)
    time.sleep(60)


def asks_for_kerberos(connection: socket.socket) -> None:
    """Want a ticket instead of a password."""
    welcome(connection, b"gss")
    time.sleep(60)


def settings_without_end(connection: socket.socket) -> None:
    """Name one setting after the other, and never say that a statement may come."""
    greet(connection)
    connection.sendall(message(b"R", bytes(4)))
    for number in itertools.count():
        connection.sendall(message(b"S", b"s%d\0" % number + b"x" * 29_000 + b"\0"))


def one_setting_for_ever(connection: socket.socket) -> None:
    """Name one setting again and again: there is always something to read, and nothing to keep."""
    greet(connection)
    connection.sendall(message(b"R", bytes(4)))
    words = message(b"S", b"s\0x\0") * 1000
    while True:
        connection.sendall(words)


def notices(connection: socket.socket) -> None:
    """Say something before a statement may come."""
    greet(connection)
    connection.sendall(message(b"R", bytes(4)) + message(b"N", b"SNOTICE\0C00000\0M\033]0;seen\a\0\0"))
    time.sleep(60)


def rows_without_end(connection: socket.socket) -> None:
    """Answer a statement with rows, and never stop."""
    welcome(connection)
    connection.recv(65536)
    connection.sendall(message(b"T", struct.pack("!H", 1) + b"a\0" + struct.pack("!IHIhIh", 0, 0, 25, -1, 0, 0)))
    row = message(b"D", struct.pack("!HI", 1, 100_000) + b"x" * 100_000)
    while True:
        connection.sendall(row)


def drips(connection: socket.socket) -> None:
    """Answer Redis' library a byte at a time."""
    connection.recv(65536)
    connection.sendall(b"$999999\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def string_without_end(connection: socket.socket) -> None:
    """Answer with a long string."""
    connection.recv(65536)
    connection.sendall(b"$500000000\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def nonsense(connection: socket.socket) -> None:
    """Answer what Redis' library does not expect."""
    while connection.recv(65536):
        connection.sendall(b"*1\r\n:5\r\n")


def served(attack: "Callable[[socket.socket], None]") -> int:
    """Serve an attack. Returns the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            attack(connection)

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(server.getsockname()[1])


def leave_no_room() -> None:
    """Have no thread of the limits' started any more: users have as many processes as there can be."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "limit":
            raise RuntimeError("can't start new thread")
        begin(thread)

    threading.Thread.start = start  # type: ignore[method-assign]


@contextlib.contextmanager
def unlimited(*_: object) -> "Iterator[None]":
    """No limit, as there was none once."""
    yield


def engine_of(kind: str, port: int, more: str, ca_file: str) -> Engine:
    """The engine that asks."""
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.ca_file = ca_file
    # libpq's own limit holds if nothing comes for a moment, as it may be on a busy machine.
    more += " connect_timeout=60" if kind == "postgresql" else ""
    if kind == "redis":
        conf.endpoints = f"127.0.0.1:{port}"
        return redis.Redis(conf)
    conf.endpoints = f"host=127.0.0.1 port={port} user=rcron dbname=rcron {more}"
    return postgresql.PostgreSQL(conf)


def most_memory() -> int:
    """Return how much memory this process has had at the most, in KiB. getrusage(2) counts its parent's before exec."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main(kind: str, attack: str, protected: str, more: str = "", ca_file: str = "") -> None:
    """Attack, and say what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    if protected == "no":
        for module in (postgresql, redis):
            module.limited = unlimited
        postgresql._unheard = contextlib.nullcontext()
        http.with_files = lambda what, *paths: what(*paths)
    postgresql.CUT = redis.CUT = 0.5
    engine = engine_of(kind, served(globals()[attack]), more, ca_file)
    leave_no_room()
    if protected == "late":
        limit._threads.clear()
    said: "list[str]" = []

    def claim() -> None:
        try:
            engine.claim(CLAIM)
        except EngineError as error:
            said.append(f"cannot tell: {error}")

    before = most_memory()

    def grown() -> int:
        return (most_memory() - before) // 1024

    thread = threading.Thread(target=claim, daemon=True)
    thread.start()
    # What fills the memory may do it slowly on a busy machine.
    until = time.monotonic() + (FILLING if protected == "no" and attack.endswith("without_end") else PATIENCE)
    while thread.is_alive() and time.monotonic() < until and grown() <= FILLED:
        thread.join(0.05)
    print(f"{grown()} MiB", *(said or ["waits"]), flush=True)
    os._exit(0)  # the library may not let the thread end


if __name__ == "__main__":
    main(*sys.argv[1:])
