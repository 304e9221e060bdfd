# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Redis or Valkey, by python3-redis (tried with Redis 7.0.15 and python3-redis 4.3.4). Best effort, and no more.

A failover can lose a claim that was acknowledged, and then two nodes have it. A server that evicts keys, or that loses
them when it is restarted, is therefore refused, and if the server has replicas, one of them must have taken the claim
(WAIT). None of this closes the gap: use etcd or PostgreSQL if a job must never run twice.

A claim is a hash PREFIX/claims/CLUSTER/USER/JOB/FIRE. Scripts change it and its two indexes at once; an index's scores
are the server's time in microseconds.
"""

import contextlib
import threading
import time
import urllib.parse
from typing import Any

from rcron.agent import http
from rcron.agent.conf import AgentConf
from rcron.agent.engines import (
    ATTEMPT,
    KEEP,
    KEEP_EACH,
    Claim,
    Engine,
    EngineError,
    Holder,
    Run,
    duration_of,
    emptied,
    exit_of,
    number_of,
)
from rcron.agent.engines.distribution import module
from rcron.agent.engines.limit import limited, start

#: After how many seconds a command's connection is cut: the library's own limit begins anew with each byte.
CUT = 2 * ATTEMPT

#: What the library calls the certificates' files, which may lie in the folder of a daemon's user.
FILES = ("ca_certs", "certfile", "keyfile")

#: How long the server's settings are not looked at again, in seconds.
LOOK = 60.0

#: Which part of the memory that it may use is too much.
FULL = 0.8

#: How much of an error of the server's is repeated, in characters.
SHOWN = 500

#: How many claims of one job one script deletes.
BATCH = 1000

# Keys: the claim, its job's index, the cluster's index, the set of indexes, the window.
# Arguments: token, node, at, command, window in seconds.
_CLAIM = """\
local guard = KEYS[1]
if tonumber(ARGV[5]) > 0 then guard = KEYS[5] end
local held = redis.call('HMGET', guard, 'token', 'node', 'at')
if held[1] then return held end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'node', ARGV[2], 'at', ARGV[3], 'cmd', ARGV[4])
if guard ~= KEYS[1] then
  redis.call('HSET', guard, 'token', ARGV[1], 'node', ARGV[2], 'at', ARGV[3])
  redis.call('EXPIRE', guard, ARGV[5])
end
local now = redis.call('TIME')
local score = now[1] .. string.format('%06d', now[2])
redis.call('ZADD', KEYS[2], score, KEYS[1])
redis.call('ZADD', KEYS[3], score, KEYS[1])
redis.call('SADD', KEYS[4], KEYS[2])
return {ARGV[1], ARGV[2], ARGV[3]}
"""

# Key: the claim. Arguments: token, exit status or an empty string, duration.
_ENDED = """\
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
if ARGV[2] == '' and redis.call('HEXISTS', KEYS[1], 'exit') == 1 then return 1 end
redis.call('HSET', KEYS[1], 'exit', ARGV[2], 'dur', ARGV[3])
return 1
"""

# Key: an index. Arguments: the greatest score, how many. Returns for each claim its key, its score and its fields.
_HISTORY = """\
local found = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local runs = {}
for i = 1, #found, 2 do
  local run = redis.call('HMGET', found[i], 'node', 'at', 'cmd', 'exit', 'dur')
  table.insert(run, 1, string.format('%.0f', found[i + 1]))
  table.insert(run, 1, found[i])
  table.insert(runs, run)
end
return runs
"""

# Keys: a job's index, the cluster's. Arguments: how many to keep, for how many seconds, how many to delete at most.
_CLEAN = """\
local spare = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if spare <= 0 then return 0 end
local before = (redis.call('TIME')[1] - ARGV[2]) * 1000000
local old = redis.call('ZRANGE', KEYS[1], 0, math.min(spare, tonumber(ARGV[3])) - 1, 'WITHSCORES')
local count = 0
for i = 1, #old, 2 do
  if tonumber(old[i + 1]) < before then
    redis.call('DEL', old[i])
    redis.call('ZREM', KEYS[1], old[i])
    redis.call('ZREM', KEYS[2], old[i])
    count = count + 1
  end
end
return count
"""


class Redis(Engine):
    """A Redis server, or the first of several that is the master.

    Args:
        conf: Endpoints, credentials and prefix.

    Raises:
        ValueError: The library is not installed, or an endpoint is not HOST:PORT.
        OSError: There is no room for a thread.
    """

    def __init__(self, conf: AgentConf) -> None:
        self._redis = module("redis", "python3-redis")
        start()
        self._prefix = conf.prefix
        secured = {
            "ssl": True,
            "ssl_ca_certs": conf.ca_file or None,
            "ssl_certfile": conf.cert_file or None,
            "ssl_keyfile": conf.key_file or None,
            "ssl_check_hostname": True,
        }
        self._clients = [
            self._redis.Redis(
                host=host,
                port=port,
                username=conf.user or None,
                password=conf.password or None,
                socket_timeout=ATTEMPT,
                socket_connect_timeout=ATTEMPT,
                **(secured if conf.ca_file or conf.cert_file else {}),
            )
            for host, port in map(_address, conf.endpoints.split(","))
        ]
        self._local = threading.local()
        for client in self._clients:
            client.connection_pool.connection_class = self._watched(client.connection_pool.connection_class)
        self._names = [each.strip() for each in conf.endpoints.split(",")]
        self._preferred = 0
        self._looked: "dict[int, float]" = {}
        self._replicas: "dict[int, int]" = {}

    def _watched(self, library_s: Any) -> Any:
        """Return a class of connections as the library's, of which the one that a thread uses is known."""
        local = self._local

        class Watched(library_s):  # type: ignore[misc]
            def _connect(self) -> Any:
                names = [name for name in FILES if getattr(self, name, None)]

                def connect(*paths: str) -> None:
                    given = {name: getattr(self, name) for name in names}
                    self.__dict__.update(zip(names, paths))
                    try:
                        local.socket = super(Watched, self)._connect()
                    finally:
                        self.__dict__.update(given)

                http.with_files(connect, *[getattr(self, name) for name in names])
                return local.socket

            def send_packed_command(self, *words: Any, **more: Any) -> Any:
                local.socket = self._sock
                return super().send_packed_command(*words, **more)

        return Watched

    def _call(self, *words: "str | int | float", is_write: bool = True) -> Any:
        """Send a command to the server that answered last. If that fails, the next command goes to the next server."""
        index = self._preferred
        client = self._clients[index]
        try:
            with self._limited():
                self._look(index)
                answer = client.execute_command(*words)
                if is_write and self._replicas[index]:
                    # On the same connection's data or not: WAIT counts what this server has written so far.
                    self._wait(client)
        except Exception as error:
            # Not only the library's own, which does not expect every nonsense that a server may answer.
            self._preferred = (index + 1) % len(self._clients)
            self._looked.pop(index, None)
            raise EngineError(f"{self._names[index]}: {_why(error)}") from None
        return answer

    def _limited(self) -> "contextlib.AbstractContextManager[None]":
        mine = self._local.__dict__
        mine.pop("socket", None)
        return limited(lambda: _descriptor(mine.get("socket")), CUT)

    def _wait(self, client: Any) -> None:
        with client.pipeline(transaction=False) as pipeline:
            # WAIT counts what its own connection has written, so that has to be something.
            pipeline.execute_command("SET", f"{self._prefix}/wait", "1", "EX", 60)
            pipeline.execute_command("WAIT", 1, int(ATTEMPT * 500))
            reached = pipeline.execute()[1]
        if not reached:
            raise EngineError("no replica has taken it")

    def _look(self, index: int) -> None:
        """Refuse a server that forgets claims."""
        if time.monotonic() - self._looked.get(index, -LOOK) < LOOK:
            return
        found = self._clients[index].info()
        if found.get("role") != "master":
            raise EngineError("a replica, not the master")
        if found.get("maxmemory") and found.get("maxmemory_policy") != "noeviction":
            raise EngineError(f"it evicts keys (maxmemory-policy {found.get('maxmemory_policy')}); set noeviction")
        if not found.get("aof_enabled"):
            raise EngineError("a restart loses keys (no append-only file); set appendonly yes")
        if found.get("aof_last_write_status", "ok") != "ok":
            raise EngineError("its append-only file cannot be written; make room on its disk")
        self._replicas[index] = int(found.get("connected_slaves") or 0)
        self._looked[index] = time.monotonic()

    def _key(self, *parts: str) -> str:
        return "/".join((self._prefix, *(urllib.parse.quote(part, "") for part in parts)))

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        names = (claim.cluster, claim.user, claim.job)
        answer = self._call(
            "EVAL",
            _CLAIM,
            5,
            self._key("claims", *names, claim.fire),
            self._key("jobs", *names),
            self._key("all", claim.cluster),
            self._key("indexes", claim.cluster),
            self._key("windows", *names),
            claim.token,
            claim.node,
            claim.at,
            claim.command,
            claim.window,
        )
        token, node, at = (_text(part) for part in answer)
        return Holder(token, node, _number(at))

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """See Engine.ended."""
        key = self._key("claims", claim.cluster, claim.user, claim.job, claim.fire)
        end = "" if exit_status is None else str(exit_status)
        return bool(self._call("EVAL", _ENDED, 1, key, claim.token, end, f"{duration:.3f}"))

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """See Engine.history."""
        index = self._key("jobs", cluster, user, job) if user and job else self._key("all", cluster)
        top = f"({before}" if before.isdecimal() else "+inf"
        runs = []
        for key, score, *values in self._call("EVAL", _HISTORY, 1, index, top, limit, is_write=False):
            parts = [urllib.parse.unquote(part) for part in _text(key).rsplit("/", 4)[1:]]
            if len(parts) != 4 or len(values) != 5:
                continue  # not ours
            node, at, command, end, duration = (_text(value) for value in values)
            runs.append(
                Run(
                    parts[0],
                    parts[1],
                    parts[2],
                    parts[3],
                    node=node,
                    at=_number(at),
                    command=command,
                    exit=exit_of(_number(end)) if end.isdecimal() else None,
                    duration=_duration(duration),
                    gave_up=end == "" and values[3] is not None,
                    cursor=_text(score),
                )
            )
        return runs

    def check(self) -> str:
        """See Engine.check."""
        self._call("PING", is_write=False)
        replicas = self._replicas[self._preferred]
        return f"{self._names[self._preferred]} answers, {replicas or 'no'} replica{'' if replicas == 1 else 's'}"

    def remarks(self) -> "list[str]":
        """See Engine.remarks."""
        index = self._preferred
        try:
            with self._limited():
                found = self._clients[index].info()
            most, used = int(found.get("maxmemory") or 0), int(found.get("used_memory") or 0)
        except Exception as error:
            raise EngineError(f"{self._names[index]}: {_why(error)}") from None
        remarks = ["Redis is best effort: a failover can lose claims, and a job then runs twice; etcd is safer"]
        if not found.get("connected_slaves"):
            remarks.append("no replica: if this server is lost, so are its claims")
        if most and used > FULL * most:
            remarks.append(f"{used >> 20} of {most >> 20} MiB of memory are used: raise maxmemory, or claims will fail")
        return remarks

    def forget(self, cluster: str) -> None:
        """See Engine.forget."""
        claims, indexes = self._key("all", cluster), self._key("indexes", cluster)

        def delete() -> int:
            keys = self._call("ZRANGE", claims, 0, BATCH - 1, is_write=False)
            if keys:
                self._call("DEL", *keys)
                self._call("ZREM", claims, *keys)
            return len(keys)

        emptied(delete)
        jobs = self._key("jobs", cluster)
        for index in map(_text, self._call("SMEMBERS", indexes, is_write=False) or ()):
            self._call("DEL", index, self._key("windows", cluster) + index[len(jobs) :])
        self._call("DEL", claims, indexes, self._key("clean", cluster))

    def clean(self, cluster: str, node: str) -> int:
        """See Engine.clean."""
        if not self._call("SET", self._key("clean", cluster), node, "NX", "EX", 3500):
            return 0
        indexes = [_text(index) for index in self._call("SMEMBERS", self._key("indexes", cluster), is_write=False)]

        def delete() -> int:
            """Delete a batch of the first index that has any."""
            while indexes:
                words = ("EVAL", _CLEAN, 2, indexes[0], self._key("all", cluster), KEEP_EACH, KEEP, BATCH)
                if count := int(self._call(*words)):
                    return count
                del indexes[0]
            return 0

        return emptied(delete)


def engine(conf: AgentConf) -> Engine:
    """Return the engine. Raises ValueError if it cannot be used."""
    return Redis(conf)


def _why(error: Exception) -> str:
    return str(error)[:SHOWN] or type(error).__name__


def _descriptor(connection: Any) -> int:
    """Return a socket's file descriptor, for another thread than its own; -1 if there is none, or if it is closed."""
    try:
        return -1 if connection is None else int(connection.fileno())
    except OSError:
        return -1


def _address(endpoint: str) -> "tuple[str, int]":
    host, colon, port = endpoint.strip().rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'"{endpoint.strip()}" is not HOST:PORT')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _number(text: str) -> int:
    return number_of(int(text)) if text.isdecimal() and len(text) <= 15 else 0


def _duration(text: str) -> "float | None":
    try:
        return duration_of(float(text))
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
