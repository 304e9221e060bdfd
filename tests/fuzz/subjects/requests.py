# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The socket of claims: of any bytes in any pieces, one whole line that is a request is done, and all else is refused.

Whatever comes, the client gets one line or is cut off, and the agent goes on.
"""

from __future__ import annotations

import socket
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron.agent import server as served
from rcron.agent.claims import Claims, Task
from rcron.agent.engines import Claim
from tests.fuzz.subject import Subject

LARGEST = 4096
DAY = 86400
NAMES = ("cluster", "job", "fire", "token")


class Recorder(Claims):
    """Makes no claims, but notes them."""

    def __init__(self) -> None:
        super().__init__(mock.MagicMock(), "node1")
        self.claimed: list[Claim] = []
        self.done: list[tuple[Claim, int, float]] = []
        self.asked = 0

    def put(self, task: Task) -> None:
        self.claimed.append(task.claim)

    def ended(self, claim: Claim, uid: int, exit_status: int, duration: float) -> bool:
        self.done.append((claim, exit_status, duration))
        return True

    def chore(self, what: Any, seconds: float = 0.0) -> None:
        self.asked += not seconds

    def question(self, what: Any) -> None:
        self.asked += 1

    def status(self, what: Any) -> None:
        self.asked += 1


def number(text: str, low: float, high: float, whole: bool = False) -> float | None:
    """Return what a number stands for; None if it is not one."""
    try:
        plain = len(text) <= 16 and text.isascii() and text.replace(".", "", 1).isdecimal()
        found = float(text) if plain else None
    except ValueError:
        return None
    if found is None or not low <= found <= high:
        return None
    return int(found) if whole else found


def meant(line: bytes) -> tuple[Any, ...] | None:
    """Return what a line asks for; None if it is not a request."""
    word, *parts = line.decode("utf-8", "replace").split("\0")
    fields = {part.partition("=")[0]: part.partition("=")[2] for part in parts}
    if word == "status":
        return ("asked",)
    if word == "counts":
        return ("counted",) if fields.get("cluster") else None
    if word == "history":
        limit = number(fields.get("limit", "100"), 1, 500)
        is_plain = "".join(fields.get(name, "") for name in ("cluster", "job", "before")).isprintable()
        return ("asked",) if fields.get("cluster") and limit is not None and is_plain else None
    if word not in ("claim", "ended"):
        return None
    names = tuple(fields.get(name, "") for name in NAMES)
    window = number(fields.get("window", "0"), 0, DAY, whole=True)
    if window is None or not all(0 < len(name) <= 256 and name.isprintable() for name in names):
        return None
    if word == "claim":
        wait = number(fields.get("wait", ""), 0, DAY)
        return None if wait is None else ("claim", names, window)
    status, duration = number(fields.get("exit", ""), 0, 255, whole=True), number(fields.get("duration", ""), 0, 1e9)
    return None if status is None or duration is None else ("ended", names, status, duration)


def holds(pieces: tuple[bytes, ...]) -> None:
    claims = Recorder()
    listener = mock.MagicMock(spec=socket.socket)
    listener.fileno.return_value = 0
    with mock.patch.object(served.select, "poll"):
        server = served.Server(listener, claims, "etcd")
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    client = served.Client(ours, 0, 0.0)
    server._clients[ours.fileno()] = client
    try:
        said = b""
        for piece in pieces:
            if ours.fileno() < 0 or client.is_answered or client.task is not None:
                break
            said += piece
            theirs.sendall(piece)
            for _turn in range(len(piece) // LARGEST + 1):
                if ours.fileno() >= 0 and not client.is_answered and client.task is None:
                    server._serve(client)
        try:
            answer = theirs.recv(1 << 16)
        except BlockingIOError:
            answer = None
    finally:
        for fd in (server._wake, server._woken):
            served.os.close(fd)
        ours.close()
        theirs.close()

    line, newline, rest = said.partition(b"\n")
    asked = meant(line) if newline and not rest and len(line) < LARGEST else None
    claimed = [("claim", tuple(getattr(each, name) for name in NAMES), each.window) for each in claims.claimed]
    ended = [("ended", tuple(getattr(each, name) for name in NAMES), *how) for each, *how in claims.done]
    did = [*claimed, *ended, *[("asked",)] * claims.asked]
    did += [("counted",)] if answer and answer.startswith(b"ok\0mine=") else []
    assert did == ([asked] if asked else []), f"asks for {asked}, and led to {did}"
    if answer is None:
        assert asked or (not newline and len(line) < LARGEST), "whoever asks for something wrong gets an answer"
        return
    assert answer.find(b"\n") == len(answer) - 1, f"an answer is one line, and not {answer!r}"
    right = (b"ok\0" if asked[0] == "counted" else b"mine") if asked else b"wrong\0"
    assert answer.startswith(right), f"the answer to {asked} is {answer!r}"


_VALUES = (
    st.sampled_from(["c1", "j", "", "x" * 256, "x" * 257, "a b", "a\tb", "é", "~1", "=", "1764320400"]) | st.text()
)
_NUMBERS = st.sampled_from(["0", "1", "1.5", "-1", "86400", "86401", "255", "256", ".", "1e3", "٣", "", "0" * 17])
_FIELDS = st.one_of(
    st.tuples(st.sampled_from([*NAMES, "command", "what"]), _VALUES),
    st.tuples(st.sampled_from(["window", "wait", "exit", "duration", "limit"]), _NUMBERS),
).map("=".join)
_FULL = st.tuples(
    st.sampled_from(["claim", "claim", "ended"]),
    st.just("cluster=c1\0job=j\0fire=1\0token=t\0wait=1\0exit=0\0duration=1"),
    st.lists(_FIELDS, max_size=2).map("\0".join),
).map("\0".join)
_OTHER = st.lists(
    st.sampled_from(["claim", "counts", "ended", "history", "status", "what", ""]) | _FIELDS, max_size=6
).map("\0".join)
_LINES = (_FULL | _OTHER).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def _pieces(draw: st.DrawFn) -> tuple[bytes, ...]:
    data = draw(_LINES) + draw(st.sampled_from([b"\n", b"\n", b"\n", b"", b"\n\n", b"\nclaim\n", b"x" * 5000 + b"\n"]))
    cut = draw(st.integers(0, len(data)))
    return tuple(piece for piece in (data[:cut], data[cut:]) if piece)


SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_pieces()),
    from_bytes=lambda data: ((data,) if data else (),),
    seeds=lambda: (
        b"claim\0cluster=c1\0job=j\0fire=1\0token=t\0wait=1\n",
        b"ended\0cluster=c1\0job=j\0fire=1\0token=t\0exit=0\0duration=1.5\n",
        b"history\0cluster=c1\0limit=10\n",
        b"counts\0cluster=c1\n",
        b"status\n",
    ),
    words=(b"cluster=", b"window=", b"wait=", b"\0", b"\n", b"86400", b"1e9"),
    examples=600,
    runs=6000,
)
