# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The engine Redis: which servers it refuses, and what it makes of their answers."""

from typing import Any

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, Holder, Run, redis

CLAIM = Claim("c1", "root", "a/b", "1764320400", "t1", "node1", 1764320401, command="c")

#: What a server says that is fit for claims.
FIT = {
    "role": "master",
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "connected_slaves": 0,
}


class Library:
    """python3-redis' place: servers that answer as they are told, and what they were told.

    answers: what each server answers to a command that begins with a word.
    """

    class RedisError(Exception):
        """The library's."""

    def __init__(self) -> None:
        self.facts: "dict[int, dict[str, Any]]" = {}
        self.answers: "dict[tuple[int, str], Any]" = {}
        self.said: "list[tuple[int, tuple[Any, ...]]]" = []
        self.connection_class: type = object
        self.options: "dict[str, Any]" = {}

    def Redis(self, host: str, port: int, **options: Any) -> "Server":  # noqa: N802 - as the library calls it
        """A server."""
        self.options = {"host": host, **options}
        return Server(self, port)


class Server:
    """One server, and a pipeline to it."""

    def __init__(self, library: Library, port: int) -> None:
        self._library = library
        self._port = port
        self.connection_pool = library
        self._answers: "list[Any]" = []

    def info(self) -> "dict[str, Any]":
        """What it is."""
        found = self._library.facts.get(self._port, FIT)
        if "gone" in found:
            raise Library.RedisError("Connection refused.")
        return found

    def execute_command(self, *words: Any) -> Any:
        """Do what it says."""
        self._library.said.append((self._port, words))
        answer = self._library.answers.get((self._port, words[0]))
        self._answers.append(answer)
        return answer

    def pipeline(self, transaction: bool) -> "Server":
        """A pipeline."""
        assert not transaction
        return Server(self._library, self._port)

    def execute(self) -> "list[Any]":
        """The answers."""
        return self._answers

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    found.answers[1, "EVAL"] = [b"t1", b"node1", b"1764320401"]
    monkeypatch.setattr(redis, "module", lambda _name, _package: found)
    return found


def engine_of(endpoints: str = "localhost:1", **settings: str) -> redis.Redis:
    """The engine of these settings."""
    conf = AgentConf("/etc/rcron/agent.conf")
    conf.endpoints = endpoints
    for name, value in settings.items():
        setattr(conf, name, value)
    return redis.Redis(conf)


def test_the_scripts_answer_says_whose_the_claim_is(library: Library) -> None:
    assert engine_of().claim(CLAIM) == Holder("t1", "node1", 1764320401)
    ((port, words),) = library.said
    assert (port, words[0], words[2]) == (1, "EVAL", 5)
    assert words[3] == "/rcron/claims/c1/root/a%2Fb/1764320400"
    assert words[8:] == ("t1", "node1", 1764320401, "c", 0)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"maxmemory": 1000, "maxmemory_policy": "allkeys-lru"}, "localhost:1: it evicts keys .*; set noeviction"),
        ({"aof_last_write_status": "err"}, "its append-only file cannot be written"),
        ({"aof_enabled": 0}, "a restart loses keys .*; set appendonly yes"),
        ({"role": "slave"}, "a replica, not the master"),
        ({"gone": True}, "Connection refused"),
    ],
)
def test_a_server_that_forgets_claims_is_refused(library: Library, facts: "dict[str, Any]", message: str) -> None:
    library.facts[1] = {**FIT, **facts}
    with pytest.raises(EngineError, match=message):
        engine_of().claim(CLAIM)
    assert library.said == [], "nothing is written there"


def test_a_limit_of_memory_without_eviction_is_fine(library: Library) -> None:
    library.facts[1] = {**FIT, "maxmemory": 1000}
    assert engine_of().claim(CLAIM).token == "t1"


def test_the_next_server_is_asked_if_one_is_not_the_master(library: Library) -> None:
    library.facts[2] = {**FIT, "role": "slave"}
    engine = engine_of("localhost:2,localhost:1")
    with pytest.raises(EngineError):
        engine.claim(CLAIM)
    assert engine.claim(CLAIM).token == "t1"


def test_a_claim_that_no_replica_has_taken_is_cannot_tell(library: Library) -> None:
    library.facts[1] = {**FIT, "connected_slaves": 2}
    library.answers[1, "WAIT"] = 0
    engine = engine_of()
    with pytest.raises(EngineError, match="no replica has taken it"):
        engine.claim(CLAIM)
    library.answers[1, "WAIT"] = 1
    assert engine.claim(CLAIM).token == "t1"
    assert [words[0] for _port, words in library.said] == ["EVAL", "SET", "WAIT"] * 2


def test_history_is_made_of_the_claims_fields(library: Library) -> None:
    key = b"/rcron/claims/c1/root/a%2Fb/%3Dx"
    library.answers[1, "EVAL"] = [
        [key, b"17", b"node1", b"5", b"c", b"3", b"1.5"],
        [key, b"16", b"node1", b"5", b"c", None, None],
        [key, b"15", b"node1", b"5", b"c", b"", b"0.000"],
    ]
    runs = engine_of().history("c1", "", "", 3, "18")
    assert library.said[0][1][3:] == ("/rcron/all/c1", "(18", 3)
    assert runs[0] == Run("c1", "root", "a/b", "=x", "node1", 5, "c", 3, 1.5, False, "17")
    assert [(run.exit, run.gave_up) for run in runs] == [(3, False), (None, False), (None, True)]


def test_a_clusters_claims_can_be_deleted(library: Library) -> None:
    engine = engine_of()
    pages = iter([[b"/rcron/claims/c1/root/a/1"], []])
    monkey = engine._clients[0].execute_command
    engine._clients[0].execute_command = lambda *words: (
        next(pages) if words[0] == "ZRANGE" and not monkey(*words) else monkey(*words)
    )
    library.answers[1, "SMEMBERS"] = {b"/rcron/jobs/c1/root/a"}
    engine.forget("c1")
    assert [words for _port, words in library.said if words[0] in ("DEL", "ZREM")] == [
        ("DEL", b"/rcron/claims/c1/root/a/1"),
        ("ZREM", "/rcron/all/c1", b"/rcron/claims/c1/root/a/1"),
        ("DEL", "/rcron/jobs/c1/root/a", "/rcron/windows/c1/root/a"),
        ("DEL", "/rcron/all/c1", "/rcron/indexes/c1", "/rcron/clean/c1"),
    ]


def test_what_should_be_changed_at_redis_is_said(library: Library) -> None:
    engine = engine_of()
    assert [remark.partition(":")[0] for remark in engine.remarks()] == ["Redis is best effort", "no replica"]
    library.facts[1] = {**FIT, "connected_slaves": 1, "maxmemory": 100 << 20, "used_memory": 90 << 20}
    assert engine.remarks()[1:] == ["90 of 100 MiB of memory are used: raise maxmemory, or claims will fail"]
    library.facts[1] = {"gone": True}
    with pytest.raises(EngineError, match="Connection refused"):
        engine.remarks()


def test_one_node_cleans_in_an_hour(library: Library) -> None:
    engine = engine_of()
    library.answers[1, "SET"] = None
    assert engine.clean("c1", "node1") == 0
    library.answers[1, "SET"] = True
    library.answers[1, "SMEMBERS"] = {b"/rcron/jobs/c1/root/a"}
    library.answers[1, "EVAL"] = 0
    assert engine.clean("c1", "node1") == 0
    assert library.said[-1][1][3:] == ("/rcron/jobs/c1/root/a", "/rcron/all/c1", 100, 86400, 1000)


def test_a_ca_has_the_connection_encrypted(library: Library) -> None:
    engine_of(ca_file="/ca.pem", user="rcron")
    assert (library.options["ssl"], library.options["ssl_ca_certs"]) == (True, "/ca.pem")
    assert library.options["username"] == "rcron"


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("endpoints", ["redis", "redis:0", "redis:port", ":6379", "redis:6379,"])
def test_a_wrong_endpoint_is_an_error(endpoints: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        engine_of(endpoints)


def test_no_value_in_the_ledger_hides_the_others(library: Library) -> None:
    """As whoever may write there has made it."""
    key = b"/rcron/claims/c1/root/a/1"
    library.answers[1, "EVAL"] = [
        [key, b"17", b"node1", b"9" * 5000, b"c", b"9" * 5000, b"much"],
        [b"what", b"16", b"node1", b"5", b"c", b"0", b"1"],
        [key, b"15", b"node1", b"5", b"c", b"0", b"inf"],
        [key, b"14", b"node1", b"5", b"c", b"0", b"nan"],
    ]
    runs = engine_of().history("c1", "", "", 4)
    assert [(run.at, run.exit, run.duration) for run in runs] == [(0, 0, None), (5, 0, None), (5, 0, None)]
    library.answers[1, "EVAL"] = [b"t1", b"node1", b"9" * 5000]
    assert engine_of().claim(CLAIM) == Holder("t1", "node1", 0)
