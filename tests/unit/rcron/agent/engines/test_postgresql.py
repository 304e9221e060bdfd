# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The engine PostgreSQL: its statements, run by SQLite, which takes the same `INSERT … ON CONFLICT … RETURNING`."""

import os
import pathlib
import socket
import sqlite3
import sys
import time
from typing import Any

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, Holder, Lease, distribution, postgresql

CLAIM = Claim("c1", "root", "report", "1764320400", "t1", "node1", 1764320401)

DOCS = pathlib.Path(__file__).resolve().parents[5] / "docs" / "ledger.md"

TABLE = """\
CREATE TABLE rcron.claims (cluster, owner, job, fire, token, node, at, command, id INTEGER PRIMARY KEY, exit, duration,
gave_up DEFAULT 0, UNIQUE (cluster, owner, job, fire))"""
WINDOWS = "CREATE TABLE rcron.windows (cluster, owner, job, token, node, at, until)"


LEASES = "CREATE TABLE rcron.leases (cluster PRIMARY KEY, token, node, term, place, until)"
WANTED = "CREATE TABLE rcron.wanted (cluster, place, until, PRIMARY KEY (cluster, place))"


class Database:
    """psycopg2's place.

    hangs: whether a commit waits for a standby that is away, for ever.
    lost: how many of the next answers get lost after what they answer has been done. options: what was connected with.
    ca: what was in the file of the authority.
    now: the server's time, in seconds.
    """

    class Error(Exception):
        """psycopg2's."""

    def __init__(self) -> None:
        self.tables = sqlite3.connect(":memory:", isolation_level=None)
        self.tables.execute("ATTACH ':memory:' AS rcron")
        self.tables.execute(TABLE)
        self.tables.execute(WINDOWS)
        self.tables.execute(LEASES)
        self.tables.execute(WANTED)
        self.now = 1000.0
        self.tables.create_function("clock_timestamp", 0, lambda: self.now)
        self.lost = 0
        self.hangs = False
        self.connections = 0
        self.options: "dict[str, Any]" = {}
        self.ca = ""
        self.connection = object

    def connect(self, **options: Any) -> "Connection":
        """Connect."""
        self.options = options
        if "sslrootcert" in options:
            self.ca = pathlib.Path(options["sslrootcert"]).read_text(encoding="utf-8")
        self.connections += 1
        return Connection(self)

    @staticmethod
    def parse_dsn(text: str) -> "dict[str, str]":
        """What libpq makes of a connection string."""
        if "=" not in text:
            raise Database.Error('missing\n "="')
        return dict(word.split("=") for word in text.split())


class Connection:
    """A connection, which is its own cursor."""

    closed = False
    description: Any = None
    rowcount = 0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._socket, self._server = socket.socketpair()
        self._rows: "list[Any]" = []

    def fileno(self) -> int:
        """Its file descriptor."""
        return self._socket.fileno()

    def cursor(self) -> "Connection":
        """A cursor."""
        return self

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: str, values: "tuple[Any, ...]") -> None:
        """Run a statement."""
        cursor = self._database.tables.execute(
            statement.replace("%s", "?").replace(" * interval '1 second'", ""), values
        )
        self._rows = cursor.fetchall()
        self.description, self.rowcount = cursor.description, cursor.rowcount
        if self._database.hangs:
            assert self._socket.recv(1) == b"", "the connection is cut"
            raise Database.Error("server closed the connection unexpectedly")
        if self._database.lost:
            self._database.lost -= 1
            raise Database.Error("server closed the connection unexpectedly\n\tThis probably means …")

    def fetchall(self) -> "list[Any]":
        """The rows."""
        return self._rows

    def close(self) -> None:
        """Close."""
        self.closed = True


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()
    monkeypatch.setattr(postgresql, "module", lambda _name, _package: found)
    return found


def test_a_commit_that_waits_for_a_standby_is_given_up_and_can_be_repeated(
    database: Database, engine: postgresql.PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CUT", 0.1)
    database.hangs = True
    with pytest.raises(EngineError, match="closed the connection"):
        engine.claim(CLAIM)
    database.hangs = False
    assert engine.claim(CLAIM).token == "t1"
    assert database.connections == 2
    time.sleep(0.2)
    assert engine.claim(CLAIM).token == "t1"
    assert database.connections == 2, "a connection whose statement has ended is kept"


@pytest.fixture
def engine(database: Database) -> postgresql.PostgreSQL:
    return engine_of("host=db1,db2 dbname=rcron")


def engine_of(endpoints: str, **settings: str) -> postgresql.PostgreSQL:
    """The engine of these settings."""
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = endpoints
    for name, value in settings.items():
        setattr(conf, name, value)
    return postgresql.PostgreSQL(conf)


def test_the_first_to_claim_has_it(engine: postgresql.PostgreSQL) -> None:
    assert engine.claim(CLAIM) == Holder("t1", "node1", 1764320401)
    assert engine.claim(CLAIM._replace(token="t2", node="node2")) == Holder("t1", "node1", 1764320401)
    assert engine.claim(CLAIM._replace(at=1764320409)) == Holder("t1", "node1", 1764320401)


def test_a_claim_whose_answer_was_lost_is_found_by_its_token(engine: postgresql.PostgreSQL, database: Database) -> None:
    database.lost = 1
    with pytest.raises(EngineError, match="closed the connection unexpectedly This probably"):
        engine.claim(CLAIM)
    assert engine.claim(CLAIM).token == "t1"
    assert database.connections == 2, "on a new connection"


def test_a_connection_is_kept(engine: postgresql.PostgreSQL, database: Database) -> None:
    for fire in range(5):
        engine.claim(CLAIM._replace(fire=str(fire)))
    assert database.connections == 1


def test_an_end_is_recorded_for_its_token_only(engine: postgresql.PostgreSQL) -> None:
    engine.claim(CLAIM)
    assert not engine.ended(CLAIM._replace(token="t2"), 0, 1.0)
    assert engine.ended(CLAIM, None, 0.0)
    assert engine.history("c1", "", "", 10)[0].gave_up
    assert engine.ended(CLAIM, 3, 1.5)
    (run,) = engine.history("c1", "", "", 10)
    assert (run.exit, run.duration, bool(run.gave_up), run.cursor) == (3, 1.5, False, "1")


def test_a_clusters_claims_can_be_deleted(
    engine: postgresql.PostgreSQL, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "BATCH", 2)
    for cluster in ("c1", "c2"):
        for fire in range(5):
            engine.claim(CLAIM._replace(cluster=cluster, fire=str(fire)))
        database.tables.execute("INSERT INTO rcron.windows (cluster, job) VALUES (?, 'a')", (cluster,))
    engine.forget("c1")
    assert engine.history("c1", "", "", 9) == []
    assert len(engine.history("c2", "", "", 9)) == 5
    assert database.tables.execute("SELECT cluster FROM rcron.windows").fetchall() == [("c2",)]
    assert engine.remarks() == []


def test_history_comes_in_pages_newest_first(engine: postgresql.PostgreSQL) -> None:
    for fire in range(5):
        engine.claim(CLAIM._replace(fire=str(fire)))
    engine.claim(CLAIM._replace(user="app"))
    first = engine.history("c1", "root", "report", 3)
    assert [run.fire for run in first] == ["4", "3", "2"]
    assert [run.fire for run in engine.history("c1", "root", "", 3, first[-1].cursor)] == ["1", "0"]


def test_it_connects_to_a_server_that_takes_writes_and_gives_up_in_time(
    engine: postgresql.PostgreSQL, database: Database
) -> None:
    engine.claim(CLAIM)
    assert database.options["target_session_attrs"] == "read-write"
    assert database.options["connect_timeout"] == "2"
    assert database.options["options"] == "-c statement_timeout=2000"
    assert database.options["host"] == "db1,db2"


def test_the_connection_string_has_the_last_word(database: Database, ca_file: str) -> None:
    engine_of("host=db1 sslmode=require connect_timeout=9 gssencmode=prefer", ca_file=ca_file, user="rcron").claim(
        CLAIM
    )
    assert (database.options["sslmode"], database.options["connect_timeout"]) == ("require", "9")
    assert (database.options["user"], database.options["gssencmode"]) == ("rcron", "prefer")


def test_a_ca_has_the_servers_name_checked(database: Database, ca_file: str) -> None:
    engine_of("host=db1", ca_file=ca_file).claim(CLAIM)
    assert database.options["sslmode"] == "verify-full"
    assert database.ca == "a certificate"


@pytest.fixture
def ca_file(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_text("a certificate", encoding="utf-8")
    return str(path)


@pytest.mark.usefixtures("database")
def test_a_wrong_connection_string_is_an_error() -> None:
    with pytest.raises(ValueError, match='endpoints: missing "="'):
        engine_of("db1")


def test_asynchronous_replication_is_reported(engine: postgresql.PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ("15.20 (Debian 15.20-0+deb12u1)", "", 1, 0)
    monkeypatch.setattr(engine, "_run", lambda _statement: (1, [answer]))
    assert engine.check().startswith("PostgreSQL 15.20 answers; its replication is asynchronous")
    answer = ("15.20", "ANY 1 (*)", 1, 0)
    assert engine.check() == "PostgreSQL 15.20 answers"


def test_the_page_has_the_tables_and_rights() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert postgresql.SCHEMA + postgresql.GRANTS.format(role="rcron") in text


def test_a_library_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="install the package python3-nothing"):
        distribution.module("no_such_module", "python3-nothing")


ONE, OTHER = Lease("t1", "node1", 0), Lease("t2", "node2", 0)


def test_a_lease_has_one_holder_until_it_ends_by_the_servers_clock(
    engine: postgresql.PostgreSQL, database: Database
) -> None:
    assert engine.lease("c1") is None
    mine = engine.hold("c1", ONE, 10)
    assert mine is not None
    assert mine[:3] == ("t1", "node1", 1)
    database.now += 9
    assert engine.hold("c1", OTHER, 10) == mine
    renewed = engine.hold("c1", mine, 10)
    assert renewed is not None
    assert renewed[:4] == mine[:4]
    assert renewed.renewed != mine.renewed
    database.now += 9
    assert engine.hold("c1", OTHER, 10) == renewed
    database.now += 1
    assert engine.lease("c1") is None
    new = engine.hold("c1", OTHER, 10)
    assert new is not None
    assert new[:3] == ("t2", "node2", 2)
    assert engine.hold("c1", mine, 10) == new


def test_a_lease_that_is_released_is_free_and_its_term_is_past(engine: postgresql.PostgreSQL) -> None:
    mine = engine.hold("c1", ONE, 10)
    assert mine is not None
    engine.release("c1", mine._replace(token="t2"))
    assert engine.lease("c1") == mine
    engine.release("c1", mine)
    assert engine.lease("c1") is None
    again = engine.hold("c1", ONE, 10)
    assert again is not None
    assert again.term == 2
    engine.release("c1", mine)
    assert engine.lease("c1") is not None, "that was the term before"


def test_the_holders_place_is_known_and_who_asks_for_the_lease(
    engine: postgresql.PostgreSQL, database: Database
) -> None:
    engine.hold("c1", ONE._replace(place=3), 10)
    found = engine.lease("c1")
    assert found is not None
    assert found[:4] == ("t1", "node1", 1, 3)
    assert engine.wanted("c1") is None
    engine.ask_for("c1", 2, 10)
    engine.ask_for("c1", 1, 5)
    assert engine.wanted("c1") == 1
    assert engine.wanted("c2") is None
    database.now += 5
    assert engine.wanted("c1") == 2
    engine.ask_for("c1", 2, 10)
    database.now += 9
    assert engine.wanted("c1") == 2, "it asks again"
    database.now += 1
    assert engine.wanted("c1") is None


def test_a_lease_that_only_an_earlier_request_has_taken_is_not_said_to_be_renewed(
    engine: postgresql.PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.hold("c1", OTHER, 10)
    monkeypatch.setattr(engine, "lease", lambda _cluster: Lease("t1", "node1", 2))
    with pytest.raises(EngineError, match="ours by an earlier request"):
        engine.hold("c1", ONE, 10)


@pytest.mark.parametrize("has_stderr", [True, False])
def test_an_agent_without_standard_error_loses_no_other_file(monkeypatch: pytest.MonkeyPatch, has_stderr: bool) -> None:
    """The descriptor 2 may be a socket's then, and is not silenced while libpq connects."""
    replaced = []
    monkeypatch.setattr(os, "dup2", lambda *numbers: replaced.append(numbers[1]))
    if not has_stderr:
        monkeypatch.setattr(sys, "stderr", None)
    with postgresql._unheard:
        pass
    assert replaced == [2, 2] * has_stderr
