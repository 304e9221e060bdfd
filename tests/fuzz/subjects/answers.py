# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""etcd's answers: whatever JSON comes, what is ours is so only if it says so, and nothing but EngineError is raised."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, EngineError, Holder, Lease, etcd
from tests.fuzz.subject import Subject

CLAIM = Claim("c1", "root", "job", "1", "t1", "node1", 5)


class Member:
    """A member that answers what it is told, with the HTTP status 200."""

    def __init__(self, body: bytes) -> None:
        self._member = etcd._Member("http://localhost:1", None)
        self._body = body

    def post(self, *_words: Any) -> dict[str, Any]:
        return self._member._answer(200, self._body)


def engine_of(body: bytes) -> etcd.Etcd:
    conf = AgentConf("agent.conf")
    conf.endpoints = "http://localhost:1"
    engine = etcd.Etcd(conf)
    engine._local.members = {0: Member(body)}
    return engine


def token_in(body: bytes) -> str | None:
    """Return the token that an answer shows; None if it shows none."""
    try:
        found = json.loads(body)
        if "error" in found:
            return None
        if found.get("succeeded") is True:
            return CLAIM.token
        value = found["responses"][0]["response_range"]["kvs"][0]["value"]
        token = json.loads(base64.b64decode(value).decode("utf-8", "replace"))["token"]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    return token if isinstance(token, str) else None


def holds(body: bytes) -> None:
    engine = engine_of(body)
    try:
        holder: Holder | None = engine.claim(CLAIM)
    except EngineError as error:
        holder = None
        reason = str(error)
    else:
        reason = "none is needed"
    assert reason, "a reason is given"
    if holder is not None:
        ours = holder.token == CLAIM.token
        assert ours == (token_in(body) == CLAIM.token), f"says that the claim is of {token_in(body)!r}: {holder}"
        assert isinstance(holder.node, str), f"is not a holder: {holder}"
        assert isinstance(holder.since, int), f"is not a holder: {holder}"
    try:
        lease = engine.hold("c1", Lease(CLAIM.token, CLAIM.node, 0), 10)
    except EngineError:
        lease = None
    if lease is not None:
        ours = lease.token == CLAIM.token
        assert not ours or json.loads(body).get("succeeded") is True, f"says that the lease is ours: {lease}"
        assert isinstance(lease.node, str), f"is not a lease: {lease}"
        assert isinstance(lease.term, int), f"is not a lease: {lease}"
        assert lease.term > 0 or not ours, f"is a lease without a term: {lease}"
    for ask in (
        lambda: engine.lease("c1"),
        lambda: engine.release("c1", Lease(CLAIM.token, CLAIM.node, 3)),
        lambda: engine.ask_for("c1", 1, 10),
        lambda: engine.wanted("c1"),
        lambda: engine.ended(CLAIM, 0, 1.0),
        lambda: engine.history("c1", "", "", 10),
        engine.check,
        lambda: engine._too_old("c1", 5) if b'"more"' not in body else None,
    ):
        try:
            ask()
        except EngineError:
            pass


def _pair(value: str) -> dict[str, str]:
    key = base64.b64encode(b"/rcron/claims/c1/root/job/1").decode()
    return {"key": key, "create_revision": "3", "mod_revision": "4", "value": base64.b64encode(value.encode()).decode()}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("t1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "succeeded",
                    "ID",
                    "responses",
                    "response_range",
                    "kvs",
                    "key",
                    "value",
                    "header",
                    "revision",
                    "error",
                    "code",
                    "message",
                    "create_revision",
                    "mod_revision",
                    "more",
                    "errors",
                    "token",
                    "node",
                    "at",
                    "end",
                    "exit",
                    "dur",
                    "cmd",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_VALUES = st.sampled_from(
    ['{"token":"t1","node":"n","at":5}', '{"token":"t2"}', "", "[]", "{", '{"token":7,"at":true}']
)
_HELD = _VALUES.map(lambda value: {"responses": [{"response_range": {"kvs": [_pair(value)]}}], "kvs": [_pair(value)]})
_BODIES = (_JSON | _HELD).map(lambda found: json.dumps(found).encode())

SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_BODIES | st.binary(max_size=40)),
    from_bytes=lambda data: (data,),
    seeds=lambda: (
        b'{"header":{"revision":"5"},"succeeded":true,"responses":[]}',
        b'{"ID":"7","header":{"revision":"5"},"succeeded":true,"responses":[]}',
        json.dumps({"ID": "7", "responses": [{"response_range": {"kvs": [_pair('{"token":"t1"}')]}}]}).encode(),
        json.dumps({"responses": [{"response_range": {"kvs": [_pair('{"token":"t2"}')]}}]}).encode(),
        json.dumps({"kvs": [_pair('{"token":"t1","end":{"exit":0,"dur":1}}')], "count": "1"}).encode(),
        b'{"error":"etcdserver: no leader","code":14}',
    ),
    words=(b'"succeeded"', b'"kvs"', b'"responses"', b"true", b'"error"', b'"create_revision"'),
    examples=600,
    runs=6000,
)
