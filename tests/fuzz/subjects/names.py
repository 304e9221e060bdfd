# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcron --job JOB --fire TEXT COMMAND`: what is not a name is refused, and all else is claimed as exactly that.

Whatever the job's words are, the agent gets one line that it takes, and no other run's name in the engine.
"""

from __future__ import annotations

import base64
import urllib.parse
from unittest import mock

from hypothesis import strategies as st

from rcron import __main__ as wrapper
from rcron import claim
from rcron.agent.conf import AgentConf
from rcron.agent.engines.etcd import Etcd
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject
from tests.fuzz.subjects import requests

#: rcron(8): the longest name, in characters.
LONGEST = 100

NODE = Node("claim_wait = 1\n")


def is_name(text: str) -> bool:
    """Whether rcron(8) calls a text a name of a job or of a run."""
    return 0 < len(text) <= LONGEST and text.isprintable() and text.strip() == text and not text.startswith("~")


def etcd() -> Etcd:
    """An engine, which asks nobody here."""
    conf = AgentConf("fuzz")
    conf.engine, conf.endpoints = "etcd", "http://127.0.0.1:2379"
    return Etcd(conf)


ENGINE = etcd()


def holds(job: str, fire: str, words: tuple[str, ...]) -> None:
    argv = ["--job", job, "--fire", fire, "--", *words]
    refusal = ""
    try:
        request = wrapper.parse(argv)
    except wrapper.UsageError as error:
        refusal = str(error)
    assert bool(refusal) != (is_name(job) and is_name(fire)), f"what is a name is taken, and nothing else: {refusal!r}"
    assert refusal.isprintable(), f"a refusal is one printable line, and not {refusal!r}"
    if refusal:
        return

    made = claim.Claim(NODE.config, request.job, request.words, request.shell, request.claim_window)
    found = claim.identify(request.fire, request.claim_window)
    assert found.is_refusable, "another node's claim stops it"
    with mock.patch.object(claim, "exchange", return_value=[claim.MINE]) as exchange:
        made._ask(found, claim.time.monotonic() + 1)
    ((_config, line, _deadline), _options) = exchange.call_args
    requests.holds((line,))
    asked = requests.meant(line[:-1])
    assert asked == ("claim", ("c1", job, f"={fire}", found.token), 0), f"it was claimed as {asked}"

    place = ["claims", "c1", "root", job, f"={fire}"]
    parts = base64.b64decode(ENGINE._key(*place)).decode().split("/")
    assert [urllib.parse.unquote(part) for part in parts[-5:]] == place, f"in etcd, it is {parts}"


_TEXTS = st.one_of(
    st.sampled_from(["a", "/", "..", "%2F", "=", "~", "~a", " a", "a ", "a\tb", "é", "\u2028", "x" * 100, "x" * 101]),
    st.text(min_size=1, max_size=LONGEST + 2),
    # Each takes four bytes, which is the longest line.
    st.integers(1, LONGEST + 1).map(lambda count: "\U0001f40c" * count),
)
_WORDS = st.lists(st.text() | st.just("x\n" * 300), min_size=1, max_size=4).map(tuple)


def _from_bytes(data: bytes) -> tuple[str, str, tuple[str, ...]]:
    # What no argument holds.
    job, _bar, rest = data.replace(b"\0", b"").decode("utf-8", "surrogateescape").partition("|")
    fire, _bar, words = rest.partition("|")
    return job, fire, (words,)


SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_TEXTS, _TEXTS, _WORDS),
    from_bytes=_from_bytes,
    seeds=lambda: (b"report|1764320400|/usr/local/bin/report", b"a b|=1|a | b", b"j|~1|true"),
    words=(b"|", b"=", b"~", b"/", b"%2F", b"\n", b"\xc3\xa9", b"\xff"),
    examples=400,
    runs=4000,
)
