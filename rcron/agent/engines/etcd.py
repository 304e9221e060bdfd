# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""etcd, by its JSON gateway (etcd 3.4 and newer; tried with 3.4.23): the standard library is enough for it.

A claim is a key PREFIX/claims/CLUSTER/USER/JOB/FIRE. It is made by the transaction "if nobody has made it, put it, else
read it", which can be repeated after a lost answer: whose token is there has it.

A cluster's lease is a key PREFIX/leases/CLUSTER that is bound to a lease of etcd's. Each renewal binds it to a new one.
etcd's own renewal (`/v3/lease/keepalive`) is not used, because it is not a write that a majority agrees to: a leader
that hung in fdatasync answered it after it had been replaced, and revoked what its successor had renewed
(etcd-io/etcd#15247 and #12528). The key's `create_revision` is the term. A node that wants the lease of another one
makes a key PREFIX/wanted/CLUSTER/PLACE.

The members answer for each other, except for one that is cut off from the others; so each attempt takes the next one.
"""

import base64
import codecs
import collections
import functools
import http.client
import io
import json
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Any

from rcron.agent import http as own_http
from rcron.agent.conf import AgentConf
from rcron.agent.engines import (
    ATTEMPT,
    KEEP,
    KEEP_EACH,
    LEASE_ATTEMPT,
    Claim,
    Engine,
    EngineError,
    Holder,
    Lease,
    Run,
    batches,
    lease_of,
    number_of,
    run_of,
    text_of,
)

# Host names need it, later, when this process may not be allowed to read its module any more.
codecs.lookup("idna")

#: The longest answer, in bytes: its head; a body; and one with a page of the ledger or of keys.
MAX_HEAD, MAX_BYTES, MAX_PAGE = 1 << 16, 1 << 18, 1 << 23

#: How many objects, arrays, values and escapes an answer may have, which need up to 30 times the memory of their text.
#: A page of the ledger, the longest honest answer, has 6 of them in each of its 500 runs.
MOST_MARKS = 20_000

#: How much of an error of etcd's is repeated in the log, in characters.
SHOWN = 500

#: How many of a member's alarms are repeated.
ALARMS = 5

#: How many keys are listed at a time when old claims are looked for.
PAGE = 500

#: How many operations one transaction may have: etcd's own --max-txn-ops is 128.
OPERATIONS = 100

#: How many claims are remembered with what the ledger holds of them, so that their ends need not be looked up.
REMEMBERED = 2048

#: etcd's default for the most bytes that its database may have, and which part of that is too much.
QUOTA = 2 << 30
FULL = 0.8

#: From how many revisions on it can be seen whether etcd is ever compacted.
MANY = 20000

#: etcd's codes (gRPC's): the token is not valid any more; the revision is compacted.
_UNAUTHENTICATED = 16
_OUT_OF_RANGE = 11

#: What an administrator can do about an error of etcd's (api/v3rpc/rpctypes/error.go), by what its text holds.
REMEDIES = {
    "invalid user ID or password": "correct user and the password's file in agent.conf, and restart the service",
    "permission denied": "grant the user's role readwrite with --prefix=true on the prefix",
    "database space exceeded": "compact and defragment etcd, then `etcdctl alarm disarm`",
}

#: The same about a certificate, by OpenSSL's verdict on it: x509_vfy.h.
_SELF_SIGNED, _NO_ISSUER = (18, 19), (2, 20, 21)
_CERTIFICATES = {
    9: "correct the clock of this node, or of the one that made the certificate",
    10: "renew the certificate",
    62: "use a name that the certificate has, or add this one to it",
    64: "use an address that the certificate has, or add this one to it",
    **dict.fromkeys((*_SELF_SIGNED, *_NO_ISSUER), "have ca_file name the authority that signed the certificate"),
}


class _AnswerError(EngineError):
    """An answer of etcd's that is an error. code: gRPC's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _InTime(io.RawIOBase):
    """What comes from a socket until a deadline: a socket's own timeout begins anew with each byte.

    Args:
        raw: The socket's own stream.
        connection: The socket.
        deadline: By `time.monotonic`.

    Attributes:
        left: How many more bytes may come.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline
        self.left = MAX_HEAD

    def readable(self) -> bool:
        """See io.IOBase."""
        return True

    def readinto(self, buffer: Any) -> "int | None":
        """See io.RawIOBase. Raises TimeoutError after the deadline, and if too much has come."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(110, "no answer in time")
        if self.left <= 0:
            raise TimeoutError(110, "the answer is too long")
        self._connection.settimeout(left)
        count = self._raw.readinto(buffer)
        self.left -= count or 0
        return count

    def close(self) -> None:
        """See io.IOBase."""
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that has to be there at a deadline, its headers included, and that is not too long."""

    def __init__(self, connection: socket.socket, *words: Any, deadline: float, most: int, **more: Any) -> None:
        super().__init__(connection, *words, **more)
        self._limited = _InTime(self.fp.detach(), connection, deadline)
        self._most = most
        self.fp = io.BufferedReader(self._limited)

    def begin(self) -> None:
        """See http.client: read the head."""
        super().begin()
        self._limited.left += self._most


class _Member:
    """A connection to one endpoint, kept open. One thread's own."""

    def __init__(self, url: str, context: "ssl.SSLContext | None") -> None:
        self.url = url
        is_https, host, port, path = own_http.parts(url)
        self._path = path
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=ATTEMPT, context=context)
            if is_https
            else http.client.HTTPConnection(host, port, timeout=ATTEMPT)
        )

    def post(
        self, path: str, document: "dict[str, Any]", token: str, seconds: float, most: int = MAX_BYTES
    ) -> "dict[str, Any]":
        """Send a request. Raises EngineError, and the next request makes a new connection then."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = token
        is_kept = self._connection.sock is not None
        self._connection.timeout = seconds
        if is_kept:
            self._connection.sock.settimeout(seconds)
        try:
            self._connection.request("POST", self._path + path, json.dumps(document), headers)
            in_time = functools.partial(_Response, deadline=time.monotonic() + seconds, most=most)
            self._connection.response_class = in_time  # type: ignore[assignment]
            response = self._connection.getresponse()
            # In pieces: a length that is said to be gigabytes would be asked for at once.
            body = b"".join(iter(functools.partial(response.read, 65536), b""))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise EngineError(f"{self.url}: {_why(error)}") from None
        except BaseException:
            self._connection.close()
            raise
        return self._answer(response.status, body)

    def _answer(self, status: int, body: bytes) -> "dict[str, Any]":
        try:
            found = json.loads(_plain(body))
        except (ValueError, RecursionError):
            self._connection.close()
            raise EngineError(f"{self.url}: HTTP status {status}, and not JSON: is that etcd 3.4 or newer?") from None
        if not isinstance(found, dict):
            raise EngineError(f"{self.url}: HTTP status {status}, and not a JSON object")
        if status != 200 or "error" in found:
            text = text_of(found.get("message")) or text_of(found.get("error")) or f"HTTP status {status}"
            remedies = [f": {remedy}" for part, remedy in REMEDIES.items() if part in text]
            raise _AnswerError(number_of(found.get("code")), "".join([f"{self.url}: {text[:SHOWN]}", *remedies]))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _why(error: Exception) -> str:
    """Return why a request failed, and what can be done about it if that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _CERTIFICATES.get(error.verify_code)
        return f"its certificate: {error.verify_message.rstrip('.')}{f': {remedy}' if remedy else ''}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Etcd(Engine):
    """A cluster of etcd.

    Args:
        conf: Endpoints, credentials and prefix.

    Raises:
        OSError: A certificate's file cannot be used.
        ValueError: An endpoint is not a URL.
    """

    keeps_leases = True

    def __init__(self, conf: AgentConf) -> None:
        self._conf = conf
        self._urls = [each.strip().rstrip("/") for each in conf.endpoints.split(",") if each.strip()]
        for url in self._urls:
            own_http.parts(url)
        if not self._urls:
            raise ValueError("no endpoint")
        self._context = self._make_context() if any(url.startswith("https:") for url in self._urls) else None
        self._local = threading.local()
        self._token = ""
        self._token_lock = threading.Lock()
        #: Which endpoint answered last.
        self._preferred = 0
        self._remembered: "collections.OrderedDict[str, tuple[dict[str, Any], str]]" = collections.OrderedDict()

    def _make_context(self) -> "ssl.SSLContext":
        conf = self._conf
        made = [] if conf.ca_file else [ssl.create_default_context()]
        if conf.ca_file:
            own_http.with_files(lambda path: made.append(ssl.create_default_context(cafile=path)), conf.ca_file)
        (context,) = made
        if conf.cert_file:
            # Nobody is there to be asked for a key's password.
            own_http.with_files(
                lambda cert, key: context.load_cert_chain(cert, key, password=""),
                conf.cert_file,
                conf.key_file or conf.cert_file,
            )
        return context

    def _member(self, index: int) -> _Member:
        members: "dict[int, _Member]" = self._local.__dict__.setdefault("members", {})
        if index not in members:
            members[index] = _Member(self._urls[index], self._context)
        return members[index]

    def _call(
        self, path: str, document: "dict[str, Any]", seconds: float = ATTEMPT, most: int = MAX_BYTES
    ) -> "dict[str, Any]":
        """Send a request to the member that answered last. Its failing has the next request sent to the next one."""
        index = self._preferred
        member = self._member(index)
        try:
            return self._authorized(member, path, document, seconds, most)
        except EngineError:
            if self._preferred == index:
                self._preferred = (index + 1) % len(self._urls)
            raise

    def _authorized(
        self, member: _Member, path: str, document: "dict[str, Any]", seconds: float, most: int = MAX_BYTES
    ) -> "dict[str, Any]":
        token = self._token
        if self._conf.user and not token:
            token = self._authenticate(member, "")
        try:
            return member.post(path, document, token, seconds, most)
        except _AnswerError as error:
            if not self._conf.user or error.code != _UNAUTHENTICATED:
                raise
        return member.post(path, document, self._authenticate(member, token), seconds, most)

    def _authenticate(self, member: _Member, refused: str) -> str:
        """Return a token other than the one that was refused. To make one takes etcd 70 ms, so it is kept."""
        with self._token_lock:
            if not self._token or self._token == refused:
                document = {"name": self._conf.user, "password": self._conf.password}
                self._token = text_of(member.post("/v3/auth/authenticate", document, "", ATTEMPT).get("token"))
            return self._token

    def _key(self, *parts: str) -> str:
        """Return the key of these parts, in base64."""
        return _encoded("/".join((self._conf.prefix, *(urllib.parse.quote(part, "") for part in parts))))

    def _claim_key(self, claim: Claim) -> str:
        return self._key("claims", claim.cluster, claim.user, claim.job, claim.fire)

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        value: "dict[str, Any]" = {"token": claim.token, "node": claim.node, "at": claim.at}
        if claim.command:
            value["cmd"] = claim.command
        key = self._claim_key(claim)
        encoded = _encoded(_json(value))
        guard, lease = key, ""
        puts: "list[dict[str, Any]]" = [{"request_put": {"key": key, "value": encoded}}]
        if claim.window:
            lease = str(self._call("/v3/lease/grant", {"TTL": claim.window}).get("ID", ""))
            guard = self._key("windows", claim.cluster, claim.user, claim.job)
            puts.insert(0, {"request_put": {"key": guard, "value": encoded, "lease": lease}})
        found = self._call(
            "/v3/kv/txn",
            {
                "compare": [{"key": guard, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
                "success": puts,
                "failure": [{"request_range": {"key": guard}}],
            },
        )
        if found.get("succeeded") is True:
            self._remember(key, value, _revision(found))
            return Holder(claim.token, claim.node, claim.at)
        if lease:
            try:
                self._call("/v3/lease/revoke", {"ID": lease})
            except EngineError:
                pass  # it ends by itself
        try:
            holder = found["responses"][0]["response_range"]["kvs"][0]
        except (KeyError, IndexError, TypeError):
            raise EngineError("etcd: an answer that says neither whose the claim is nor that it is free") from None
        there = _value(holder)
        if text_of(there.get("token")) == claim.token and guard == key:
            self._remember(key, there, text_of(holder.get("mod_revision")))
        return Holder(text_of(there.get("token")), text_of(there.get("node")), number_of(there.get("at")))

    def _remember(self, key: str, value: "dict[str, Any]", revision: str) -> None:
        self._remembered[key] = (value, revision)
        while len(self._remembered) > REMEMBERED:
            try:
                self._remembered.popitem(last=False)
            except KeyError:
                break

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """See Engine.ended."""
        key = self._claim_key(claim)
        known = self._remembered.pop(key, None)
        for _turn in range(4):
            if known is None or known[0].get("token") != claim.token:
                known = self._look_up(key)
            if known is None or known[0].get("token") != claim.token:
                return False
            if exit_status is None and "end" in known[0]:
                return True
            value = {**known[0], "end": {"exit": exit_status, "dur": round(duration, 3)}}
            found = self._call(
                "/v3/kv/txn",
                {
                    "compare": [{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": known[1]}],
                    "success": [{"request_put": {"key": key, "value": _encoded(_json(value))}}],
                },
            )
            if found.get("succeeded") is True:
                return True
            known = None
        raise EngineError("etcd: the claim changes faster than its end can be recorded")

    def _look_up(self, key: str) -> "tuple[dict[str, Any], str] | None":
        found = self._pairs(self._call("/v3/kv/range", {"key": key}))
        return (_value(found[0]), text_of(found[0].get("mod_revision"))) if found else None

    @staticmethod
    def _pairs(found: "dict[str, Any]") -> "list[dict[str, Any]]":
        pairs = found.get("kvs", [])
        return [pair for pair in pairs if isinstance(pair, dict)] if isinstance(pairs, list) else []

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """See Engine.history."""
        parts = ["claims", cluster, *([user, job] if user and job else [user] if user else [])]
        request = {
            **self._below(*parts),
            "limit": str(limit),
            "sort_order": "DESCEND",
            "sort_target": "CREATE",
        }
        if before.isdecimal() and len(before) < 20 and int(before) > 0:
            request["max_create_revision"] = str(int(before) - 1)
        runs = []
        for pair in self._pairs(self._call("/v3/kv/range", request, 3 * ATTEMPT, MAX_PAGE)):
            key = self._parts(pair)
            if key is not None:
                runs.append(run_of(key, _value(pair))._replace(cursor=text_of(pair.get("create_revision"))))
        return runs

    def _below(self, *parts: str) -> "dict[str, str]":
        """Return the range of all keys below some parts."""
        key = "/".join((self._conf.prefix, *(urllib.parse.quote(part, "") for part in parts)))
        return {"key": _encoded(key + "/"), "range_end": _encoded(key + "0")}

    def _parts(self, pair: "dict[str, Any]") -> "tuple[str, str, str, str] | None":
        """Return cluster, user, job and fire of a key."""
        path = _decoded(pair.get("key")).removeprefix(self._conf.prefix + "/claims/")
        parts = [urllib.parse.unquote(part) for part in path.split("/")]
        return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else None

    def check(self) -> str:
        """See Engine.check. Asks every member."""
        alive, problems = 0, []
        for index in range(len(self._urls)):
            try:
                found = self._authorized(self._member(index), "/v3/maintenance/status", {}, ATTEMPT / 2)
            except EngineError as error:
                problems.append(str(error))
                continue
            alive += 1
            errors = found.get("errors")
            if isinstance(errors, list):  # such as an alarm that the database is full
                problems += [
                    f"{self._urls[index]}: {text[:SHOWN]}" for text in errors[:ALARMS] if isinstance(text, str)
                ]
        words = f"{alive} of {len(self._urls)} members"
        try:
            self._call("/v3/kv/range", {"key": self._key("check"), "keys_only": True})
        except EngineError as error:
            raise EngineError(f"{words}: {error}") from None
        return "; ".join([words, *problems])

    def remarks(self) -> "list[str]":
        """See Engine.remarks."""
        found = self._call("/v3/maintenance/status", {})
        remarks = []
        size = text_of(found.get("dbSize"))
        if size.isdecimal() and int(size[:20]) > FULL * QUOTA:
            remarks.append(
                f"its database has {int(size[:20]) >> 20} MiB, and it takes no more claims at {QUOTA >> 20} MiB unless "
                "--quota-backend-bytes says otherwise: compact and defragment it"
            )
        header = found.get("header")
        revision = text_of(header.get("revision")) if isinstance(header, dict) else ""
        if revision.isdecimal() and int(revision[:20]) > MANY:
            try:
                self._call("/v3/kv/range", {"key": self._key("check"), "revision": "1"})
            except _AnswerError as error:
                if error.code != _OUT_OF_RANGE:  # that it is compacted
                    raise
            else:
                remarks.append("it was never compacted, so it grows for ever: set --auto-compaction-retention=1h")
        if len(self._urls) == 1:
            remarks.append("one endpoint: if it is lost, nobody can claim; name all members in endpoints")
        return remarks

    def forget(self, cluster: str) -> None:
        """See Engine.forget."""
        for kind in ("windows", "claims"):
            request = {"request_delete_range": self._below(kind, cluster)}
            self._call("/v3/kv/txn", {"success": [request]}, 3 * ATTEMPT)

    def clean(self, cluster: str, node: str) -> int:
        """See Engine.clean.

        Which node does it is claimed, too. Those claims' revisions also say what is how old, without anybody's clock.
        """
        now = int(time.time())
        hour = now // 3600 * 3600
        mine = Claim(cluster, "~", "~clean", str(hour), f"{node}-{hour}", node, now)
        if self.claim(mine).token != mine.token:
            return 0
        before = self._revision_of_the_day_before(cluster, hour)
        if not before:
            return 0
        old = self._too_old(cluster, before)
        for batch in batches(old, OPERATIONS):
            self._call("/v3/kv/txn", {"success": [{"request_delete_range": {"key": key}} for key in batch]})
        return len(old)

    def lease(self, cluster: str) -> "Lease | None":
        """See Engine.lease. Asks a majority of the members, as every read that is not `serializable`."""
        return self._lease_of(self._call("/v3/kv/range", {"key": self._key("leases", cluster)}, LEASE_ATTEMPT))

    def _lease_of(self, found: Any) -> "Lease | None":
        pairs = self._pairs(found) if isinstance(found, dict) else []
        if not pairs:
            return None
        value = _value(pairs[0])
        renewed = _number(text_of(pairs[0].get("mod_revision")))
        return lease_of(value.get("token"), value.get("node"), _created(pairs[0]), value.get("place"), renewed)

    def hold(self, cluster: str, mine: Lease, ttl: int) -> "Lease | None":
        """See Engine.hold."""
        key = self._key("leases", cluster)
        granted = self._grant(ttl)
        value = _encoded(_json({"token": mine.token, "node": mine.node, "place": mine.place}))
        found = self._call(
            "/v3/kv/txn",
            {
                "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": str(mine.term)}],
                "success": [{"request_put": {"key": key, "value": value, "lease": granted}}],
                "failure": [{"request_range": {"key": key}}],
            },
            LEASE_ATTEMPT,
        )
        if found.get("succeeded") is True:
            revision = _number(_revision(found))
            if not revision:
                raise EngineError("etcd: an answer without a revision")
            return mine._replace(term=mine.term or revision, renewed=revision)
        try:
            holder = self._lease_of(found["responses"][0]["response_range"])
        except (KeyError, IndexError, TypeError):
            raise EngineError("etcd: an answer that says neither whose the lease is nor that it is free") from None
        if holder is not None and holder.token == mine.token:
            # By an earlier request, whose answer was lost: this one has not renewed it.
            raise EngineError("etcd: the lease is ours by an earlier request")
        return holder

    def _grant(self, seconds: int) -> str:
        """Return a lease of etcd's that ends after some seconds."""
        granted = text_of(self._call("/v3/lease/grant", {"TTL": seconds}, LEASE_ATTEMPT).get("ID"))
        if not granted:
            raise EngineError("etcd: an answer that does not name the lease that it grants")
        return granted

    def ask_for(self, cluster: str, place: int, seconds: int) -> None:
        """See Engine.ask_for."""
        put = {"key": self._key("wanted", cluster, f"{place:04d}"), "value": "", "lease": self._grant(seconds)}
        self._call("/v3/kv/txn", {"success": [{"request_put": put}]}, LEASE_ATTEMPT)

    def wanted(self, cluster: str) -> "int | None":
        """See Engine.wanted."""
        request = {**self._below("wanted", cluster), "keys_only": True, "limit": "1"}
        for pair in self._pairs(self._call("/v3/kv/range", request, LEASE_ATTEMPT)):
            place = _decoded(pair.get("key")).rpartition("/")[2]
            if place.isdecimal() and len(place) == 4:
                return int(place)
        return None

    def release(self, cluster: str, mine: Lease) -> None:
        """See Engine.release."""
        key = self._key("leases", cluster)
        self._call(
            "/v3/kv/txn",
            {
                "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": str(mine.term)}],
                "success": [{"request_delete_range": {"key": key}}],
            },
            LEASE_ATTEMPT,
        )

    def _revision_of_the_day_before(self, cluster: str, hour: int) -> int:
        """Return the revision of the youngest cleaning that was KEEP seconds ago or earlier; 0 if there is none."""
        request = self._below("claims", cluster, "~", "~clean")
        found = 0
        for pair in self._pairs(self._call("/v3/kv/range", {**request, "keys_only": True})):
            parts = self._parts(pair)
            if parts is not None and parts[3].isdecimal() and int(parts[3]) <= hour - KEEP:
                found = max(found, _created(pair))
        return found

    def _too_old(self, cluster: str, before: int) -> "list[str]":
        """Return the keys of the claims from before a revision, except for each job's last KEEP_EACH."""
        old: "list[str]" = []
        job: "tuple[str, ...]" = ()
        keys: "list[tuple[int, str]]" = []

        def settle() -> None:
            keys.sort(reverse=True)
            old.extend(key for revision, key in keys[KEEP_EACH:] if revision < before)
            keys.clear()

        request = self._below("claims", cluster)
        while True:
            asked = {**request, "keys_only": True, "limit": str(PAGE)}
            found = self._call("/v3/kv/range", asked, 3 * ATTEMPT, MAX_PAGE)
            pairs = self._pairs(found)
            for pair in pairs:
                parts = self._parts(pair)
                if parts is None:
                    continue
                if parts[:3] != job:
                    settle()
                    job = parts[:3]
                keys.append((_created(pair), text_of(pair.get("key"))))
            if not pairs or found.get("more") is not True:
                settle()
                return old
            following = _decoded(pairs[-1].get("key")) + "\0"
            if following <= _decoded(request["key"]):
                raise EngineError("etcd: an answer whose keys are in no order")
            request["key"] = _encoded(following)


def engine(conf: AgentConf) -> Engine:
    """Return the engine. Raises OSError and ValueError for what conf names and cannot be used."""
    return Etcd(conf)


def _plain(body: bytes) -> str:
    """Return an answer's text. Raises ValueError for what etcd does not answer and would need far more memory."""
    marks = sum(map(body.count, (b"[", b"{", b",", b"\\")))
    if marks > MOST_MARKS or (len(body) > MAX_BYTES and b"\\" in body):
        raise ValueError("an answer of too many parts")
    return body.decode("ascii")


def _json(value: "dict[str, Any]") -> str:
    return json.dumps(value, separators=(",", ":"))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(text_of(value)).decode("utf-8", "replace")
    except ValueError:
        return ""


def _value(pair: Any) -> "dict[str, Any]":
    """Return what a pair of etcd's holds; an empty dict if that is not ours."""
    if not isinstance(pair, dict):
        return {}
    try:
        found = json.loads(_decoded(pair.get("value")))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _created(pair: "dict[str, Any]") -> int:
    """Return the revision in which a key was made; 0 if the answer does not say."""
    return _number(text_of(pair.get("create_revision")))


def _number(revision: str) -> int:
    """Return a revision, which etcd writes as a text; 0 if it is none."""
    return int(revision) if revision.isdecimal() and len(revision) < 20 else 0


def _revision(found: "dict[str, Any]") -> str:
    header = found.get("header")
    return text_of(header.get("revision")) if isinstance(header, dict) else ""
