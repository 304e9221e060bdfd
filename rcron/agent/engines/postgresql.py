# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""PostgreSQL, by python3-psycopg2 (tried with PostgreSQL 15 and psycopg2 2.9.5).

`endpoints` is a libpq connection string, with several hosts if there are several servers; `target_session_attrs` is
`read-write` unless it says otherwise. The tables of SCHEMA have to be there. A failover to a standby that replicates
asynchronously loses acknowledged claims: `check` says so.

A cluster's lease is a row, and ends by the database's clock. The row stays, for the term.
"""

import functools
import os
import sys
import threading
from typing import Any

from rcron.agent import http
from rcron.agent.conf import AgentConf
from rcron.agent.engines import (
    ATTEMPT,
    Claim,
    Engine,
    EngineError,
    Holder,
    Lease,
    Run,
    duration_of,
    emptied,
    exit_of,
    lease_of,
    number_of,
    text_of,
)
from rcron.agent.engines.distribution import module
from rcron.agent.engines.limit import limited, start

#: What an administrator runs once. The agent's role needs USAGE on the schema and the rights that GRANTS names.
SCHEMA = """\
CREATE SCHEMA rcron;
CREATE TABLE rcron.claims (
  cluster text NOT NULL, owner text NOT NULL, job text NOT NULL, fire text NOT NULL,
  token text NOT NULL, node text NOT NULL, at bigint NOT NULL, command text NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  made timestamptz NOT NULL DEFAULT clock_timestamp(),
  exit integer, duration double precision, gave_up boolean NOT NULL DEFAULT false,
  PRIMARY KEY (cluster, owner, job, fire)
);
CREATE INDEX ON rcron.claims (cluster, id);
CREATE TABLE rcron.windows (
  cluster text NOT NULL, owner text NOT NULL, job text NOT NULL,
  token text NOT NULL, node text NOT NULL, at bigint NOT NULL, until timestamptz NOT NULL,
  PRIMARY KEY (cluster, owner, job)
);
CREATE TABLE rcron.leases (
  cluster text PRIMARY KEY, token text NOT NULL, node text NOT NULL, term bigint NOT NULL, place integer NOT NULL,
  until timestamptz NOT NULL
);
CREATE TABLE rcron.wanted (
  cluster text NOT NULL, place integer NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (cluster, place)
);
"""
GRANTS = """\
GRANT USAGE ON SCHEMA rcron TO "{role}";
GRANT SELECT, INSERT, UPDATE, DELETE ON rcron.claims, rcron.windows, rcron.leases, rcron.wanted TO "{role}";
"""

#: After how many seconds a statement's connection is cut. The server ends a statement after ATTEMPT, but not the wait
#: for a synchronous standby that follows its commit, and if that is cancelled, it answers that all is well. Nor does a
#: hostile one end anything.
CUT = 2 * ATTEMPT

#: How much of an error of the server's is repeated, in characters.
SHOWN = 500

#: What libpq reads from files that may lie in the folder of a daemon's user.
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")

#: For how many days a claim is kept, and how many are deleted at a time.
KEEP_DAYS = 90
BATCH = 5000

# An insert that finds another's row changes nothing in it and returns it, so it can be repeated.
_CLAIM = """\
INSERT INTO rcron.claims AS c (cluster, owner, job, fire, token, node, at, command)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (cluster, owner, job, fire) DO UPDATE SET token = c.token
RETURNING token, node, at"""

_WINDOW = """\
INSERT INTO rcron.windows AS w (cluster, owner, job, token, node, at, until)
VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (cluster, owner, job) DO UPDATE SET
  token = CASE WHEN w.until <= clock_timestamp() THEN EXCLUDED.token ELSE w.token END,
  node = CASE WHEN w.until <= clock_timestamp() THEN EXCLUDED.node ELSE w.node END,
  at = CASE WHEN w.until <= clock_timestamp() THEN EXCLUDED.at ELSE w.at END,
  until = CASE WHEN w.until <= clock_timestamp() THEN EXCLUDED.until ELSE w.until END
RETURNING token, node, at"""

_ENDED = """\
UPDATE rcron.claims SET exit = %s, duration = %s, gave_up = false
WHERE cluster = %s AND owner = %s AND job = %s AND fire = %s AND token = %s"""

_GAVE_UP = """\
UPDATE rcron.claims SET gave_up = exit IS NULL
WHERE cluster = %s AND owner = %s AND job = %s AND fire = %s AND token = %s"""

_HISTORY = """\
SELECT cluster, owner, job, fire, node, at, command, exit, duration, gave_up, id FROM rcron.claims
WHERE cluster = %s AND (%s = '' OR owner = %s) AND (%s = '' OR job = %s) AND (%s = 0 OR id < %s)
ORDER BY id DESC LIMIT %s"""

_CLEAN = """\
DELETE FROM rcron.claims WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM rcron.claims WHERE cluster = %s AND made < clock_timestamp() - %s * interval '1 day' LIMIT %s
))"""

_FORGET = """\
DELETE FROM rcron.claims WHERE cluster = %s AND id IN (SELECT id FROM rcron.claims WHERE cluster = %s LIMIT %s)"""

_FORGET_WINDOWS = "DELETE FROM rcron.windows WHERE cluster = %s"

_LEASE = "SELECT token, node, term, place, until FROM rcron.leases WHERE cluster = %s AND until > clock_timestamp()"

# Another's lease that has not ended is left alone, and no row is returned. The row is locked before the condition.
_HOLD = """\
INSERT INTO rcron.leases AS l (cluster, token, node, term, place, until)
VALUES (%s, %s, %s, 1, %s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (cluster) DO UPDATE SET
  token = EXCLUDED.token, node = EXCLUDED.node, place = EXCLUDED.place, until = EXCLUDED.until,
  term = CASE WHEN l.token = EXCLUDED.token THEN l.term ELSE l.term + 1 END
WHERE l.token = EXCLUDED.token OR l.until <= clock_timestamp()
RETURNING token, node, term, place, until"""

_RELEASE = """\
UPDATE rcron.leases SET token = '', until = clock_timestamp() WHERE cluster = %s AND token = %s AND term = %s"""

_ASK_FOR = """\
INSERT INTO rcron.wanted (cluster, place, until) VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (cluster, place) DO UPDATE SET until = EXCLUDED.until"""

_WANTED = "SELECT min(place) FROM rcron.wanted WHERE cluster = %s AND until > clock_timestamp()"

_CHECK = """\
SELECT current_setting('server_version'), current_setting('synchronous_standby_names'),
  (SELECT count(*) FROM pg_stat_replication), (SELECT count(*) FROM rcron.windows WHERE false),
  (SELECT count(*) FROM rcron.leases WHERE false), (SELECT count(*) FROM rcron.wanted WHERE false)"""


class _Unheard:
    """Has libpq's words go nowhere: until it has connected, it prints what a server says on standard error as it is.

    A terminal would obey that, and the journal has no room for it beside what the agent itself says.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._kept = -1

    def __enter__(self) -> None:
        with self._lock:
            if not self._count and sys.stderr is not None:  # else that number is another file's
                self._kept = os.dup(2)
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), 2)
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and self._kept >= 0:
                os.dup2(self._kept, 2)
                os.close(self._kept)
                self._kept = -1


_unheard = _Unheard()


class PostgreSQL(Engine):
    """A database.

    Args:
        conf: The connection string and credentials.

    Raises:
        ValueError: The library is not installed, or the connection string is not one.
        OSError: There is no room for a thread.
    """

    keeps_leases = True

    def __init__(self, conf: AgentConf) -> None:
        self._psycopg2 = module("psycopg2", "python3-psycopg2")
        self._extensions = module("psycopg2.extensions", "python3-psycopg2")
        try:
            given = self._extensions.parse_dsn(conf.endpoints)
        except self._psycopg2.Error as error:
            raise ValueError(f"endpoints: {_line(error)}") from None
        more = {
            "user": conf.user,
            "password": conf.password,
            "sslrootcert": conf.ca_file,
            "sslmode": "verify-full" if conf.ca_file else "",
            "sslcert": conf.cert_file,
            "sslkey": conf.key_file,
            "connect_timeout": str(int(ATTEMPT)),
            "tcp_user_timeout": str(int(2000 * ATTEMPT)),
            "options": f"-c statement_timeout={int(1000 * ATTEMPT)}",
            "target_session_attrs": "read-write",
            "application_name": "rcron-agent",
            # Kerberos' tickets are at a name in /tmp that any user can take, with a FIFO that root would wait for.
            "gssencmode": "disable",
        }
        if not any(name.startswith(("gss", "krb")) for name in given):
            os.environ.setdefault("KRB5CCNAME", "MEMORY:")  # for a server that asks for it
        self._options = {**{name: value for name, value in more.items() if value}, **given}
        self._local = threading.local()
        start()

    def _run(self, statement: str, values: "tuple[Any, ...]" = ()) -> "tuple[int, list[tuple[Any, ...]]]":
        """Run a statement in a transaction of its own. Returns how many rows it concerns, and those that it returns."""
        connection = self._local.__dict__.pop("connection", None)
        try:
            if connection is None or connection.closed:
                connection = self._connect()
                connection.autocommit = True
            with limited(functools.partial(_descriptor, connection), CUT), connection.cursor() as cursor:
                cursor.execute(statement, values)
                rows = cursor.fetchall() if cursor.description else []
                count = int(cursor.rowcount)
        except Exception as error:
            # Not only the library's own: a value may be none of its type. The next statement gets a new connection: the
            # server may be another one by then.
            if connection is not None:
                connection.close()
            raise EngineError(_line(error)) from None
        self._local.connection = connection
        return count, rows

    def _connect(self) -> Any:
        """Connect. Nobody knows libpq's socket before that, nor while psycopg2 has more to say."""
        made: "list[Any]" = []

        def connect(*paths: str) -> None:
            files = dict(zip(names, paths))
            made.append(self._psycopg2.connect(**{**self._options, **files}))

        names = [name for name in FILES if self._options.get(name, "").startswith("/")]
        with limited(None, CUT), _unheard:
            http.with_files(connect, *[self._options[name] for name in names])
        return made[-1]

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        job = (claim.cluster, claim.user, claim.job)
        whose = (claim.token, claim.node, claim.at)
        if claim.window:
            held = _holder(self._run(_WINDOW, (*job, *whose, claim.window))[1])
            if held.token != claim.token:
                return held
        return _holder(self._run(_CLAIM, (*job, claim.fire, *whose, claim.command))[1])

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """See Engine.ended."""
        key = (claim.cluster, claim.user, claim.job, claim.fire, claim.token)
        if exit_status is None:
            return self._run(_GAVE_UP, key)[0] > 0
        return self._run(_ENDED, (exit_status, duration, *key))[0] > 0

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """See Engine.history."""
        first = int(before) if before.isdecimal() and len(before) < 19 else 0
        rows = self._run(_HISTORY, (cluster, user, user, job, job, first, first, limit))[1]
        return [
            Run(
                text_of(row[0]),
                text_of(row[1]),
                text_of(row[2]),
                text_of(row[3]),
                node=text_of(row[4]),
                at=number_of(row[5]),
                command=text_of(row[6]),
                exit=exit_of(row[7]),
                duration=duration_of(row[8]),
                gave_up=row[9] is True or row[9] == 1,
                cursor=str(row[10]),
            )
            for row in rows
        ]

    def check(self) -> str:
        """See Engine.check."""
        version, synchronous, standbys = _first(self._run(_CHECK)[1], 3)
        words = f"PostgreSQL {text_of(version).partition(' ')[0]} answers"
        if standbys and not synchronous:
            words += "; its replication is asynchronous, so a failover can lose claims: set synchronous_standby_names"
        return words

    def remarks(self) -> "list[str]":
        """See Engine.remarks. `check` says all of it."""
        return []

    def forget(self, cluster: str) -> None:
        """See Engine.forget."""
        self._run(_FORGET_WINDOWS, (cluster,))
        emptied(lambda: self._run(_FORGET, (cluster, cluster, BATCH))[0])

    def clean(self, cluster: str, node: str) -> int:
        """See Engine.clean. Every node does it: what one has deleted, the others do not find."""
        return emptied(lambda: self._run(_CLEAN, (cluster, KEEP_DAYS, BATCH))[0])

    def lease(self, cluster: str) -> "Lease | None":
        """See Engine.lease."""
        rows = self._run(_LEASE, (cluster,))[1]
        return lease_of(*_first(rows, 5)) if rows else None

    def hold(self, cluster: str, mine: Lease, ttl: int) -> "Lease | None":
        """See Engine.hold. The token alone decides whose it is."""
        rows = self._run(_HOLD, (cluster, mine.token, mine.node, mine.place, ttl))[1]
        if rows:
            return lease_of(*_first(rows, 5))
        holder = self.lease(cluster)
        if holder is not None and holder.token == mine.token:
            raise EngineError("the lease is ours by an earlier request")  # which has come only now
        return holder

    def release(self, cluster: str, mine: Lease) -> None:
        """See Engine.release."""
        self._run(_RELEASE, (cluster, mine.token, mine.term))

    def ask_for(self, cluster: str, place: int, seconds: int) -> None:
        """See Engine.ask_for."""
        self._run(_ASK_FOR, (cluster, place, seconds))

    def wanted(self, cluster: str) -> "int | None":
        """See Engine.wanted."""
        rows = self._run(_WANTED, (cluster,))[1]
        found = rows[0][0] if rows and rows[0] else None
        return found if isinstance(found, int) else None


def engine(conf: AgentConf) -> Engine:
    """Return the engine. Raises ValueError if it cannot be used."""
    return PostgreSQL(conf)


def _descriptor(connection: Any) -> int:
    """Return a connection's file descriptor, for another thread than its own; -1 if it has none."""
    try:
        return int(connection.fileno())
    except Exception:  # it is closed: psycopg2 has an error of its own for that
        return -1


def _first(rows: "list[tuple[Any, ...]]", length: int) -> "tuple[Any, ...]":
    """Return the beginning of the first row. Raises EngineError if that is shorter: anybody may answer."""
    if not rows or len(rows[0]) < length:
        raise EngineError("an answer that the statement does not have")
    return rows[0][:length]


def _holder(rows: "list[tuple[Any, ...]]") -> Holder:
    token, node, since = _first(rows, 3)
    return Holder(text_of(token), text_of(node), number_of(since))


def _line(error: Exception) -> str:
    """Return an error of libpq's as one line."""
    return " ".join(str(error)[: 4 * SHOWN].split())[:SHOWN] or type(error).__name__
