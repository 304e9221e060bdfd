# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Whose claim comes next: nobody's slow engine or slow directory keeps another user's claims from it."""

import collections
import os
import pwd
import queue
import threading
import time
import types
from collections.abc import Callable, Iterator

import pytest

from rcron.agent import claims as product
from rcron.agent import users
from rcron.agent.claims import Claims, Task
from rcron.agent.engines import Claim, Engine, EngineError, Holder

ALICE, BOB, CAROL, DAVE = 7001, 7002, 7003, 7004


class Slow(Engine):
    """An engine that answers claims of the job `slow` only once it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.begun: "queue.Queue[Claim]" = queue.Queue()
        self.lock = threading.Lock()
        self.at_once = 0
        self.most_at_once = 0

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.put(claim)
        if claim.job == "slow":
            self.released.wait(60)
        with self.lock:
            self.at_once -= 1
        return Holder(claim.token, claim.node, claim.at)


class Directory:
    """Knows every user at once, but those of `slow` only once it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.names = {ALICE: "alice", BOB: "bob", CAROL: "carol", DAVE: "dave"}
        self.slow: "set[int]" = set()
        self.asked: "list[int]" = []

    def look_up(self, uid: int) -> pwd.struct_passwd:
        """See pwd.getpwuid."""
        self.asked.append(uid)
        if uid in self.slow:
            self.released.wait(60)
        return pwd.struct_passwd((self.names[uid], "x", uid, uid, "", "/", ""))


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Directory]":
    """The users' directory."""
    found = Directory()
    monkeypatch.setattr(pwd, "getpwuid", found.look_up)
    yield found
    found.released.set()


class Made:
    """Claims that are made in an engine. done: the holders' tokens, in the order of the answers."""

    def __init__(self, engine: Slow) -> None:
        self.engine = engine
        self.claims = Claims(engine, "node1")
        self.done: "queue.Queue[str]" = queue.Queue()
        self.claims.start()

    def put(self, uid: int, job: str, whose: str = "somebody's", seconds: float = 60.0) -> Task:
        """Have a claim made. whose: its token."""
        claim = Claim("c1", "", job, "1", whose, "node1", 5)
        task = Task(claim, uid, time.monotonic() + seconds, lambda _task, holder: self.done.put(holder.token))
        self.claims.put(task)
        return task


@pytest.fixture
def made(directory: Directory) -> "Iterator[Made]":
    """Claims, whose threads have nothing left to wait for at the end."""
    engine = Slow()
    yield Made(engine)
    engine.released.set()


def wait_until(holds: "Callable[[], bool]") -> None:
    """Wait until something holds, 20 seconds at most."""
    until = time.monotonic() + 20
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)


def test_a_slow_engine_for_one_users_claims_leaves_a_thread_for_others(made: Made) -> None:
    for number in range(50):
        made.put(ALICE, "slow", f"slow {number}")
    for _thread in range(product.MOST_OF_ONE):
        made.engine.begun.get(timeout=20)
    made.put(BOB, "quick", "bob's")
    assert made.done.get(timeout=20) == "bob's"
    assert made.engine.most_at_once == product.THREADS
    made.engine.released.set()
    answers = {made.done.get(timeout=20) for _number in range(50)}
    assert answers == {f"slow {number}" for number in range(50)}


def test_a_name_that_comes_late_lets_the_user_s_other_claims_begin(made: Made, directory: Directory) -> None:
    directory.slow = {ALICE}
    for number in range(product.MOST_OF_ONE):
        made.put(ALICE, "slow", f"slow {number}")
    wait_until(lambda: bool(directory.asked))
    time.sleep(0.3)  # the other threads have found nothing that may begin
    directory.released.set()
    for _thread in range(product.MOST_OF_ONE):
        made.engine.begun.get(timeout=20)


def test_a_directory_that_does_not_answer_holds_up_only_those_whom_it_is_asked_for(
    made: Made, directory: Directory
) -> None:
    assert made.claims.user(0) == "root"
    directory.slow = {ALICE, BOB, CAROL, DAVE}
    for uid in sorted(directory.slow):
        for _number in range(5):
            made.put(uid, "job", "of the directory's")
    for number in range(20):
        made.put(0, "job", f"root's {number}")
    answers = {made.done.get(timeout=20) for _number in range(20)}
    assert answers == {f"root's {number}" for number in range(20)}
    wait_until(lambda: len(directory.asked) >= product.MOST_NAMELESS)
    assert len(directory.asked) == len(set(directory.asked)) == product.MOST_NAMELESS
    directory.released.set()
    assert [made.done.get(timeout=20) for _number in range(20)] == ["of the directory's"] * 20
    assert sorted(directory.asked) == sorted(directory.slow), "each name is asked for once"


def test_each_users_next_claim_comes_after_one_of_each_other_users(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "THREADS", 1)
    made = Made(Slow())
    made.put(CAROL, "slow", "first")
    made.engine.begun.get(timeout=20)
    for number in range(3):
        made.put(ALICE, "job", f"alice {number}")
    made.put(BOB, "job", "bob")
    made.engine.released.set()
    assert [made.done.get(timeout=20) for _number in range(5)] == ["first", "alice 0", "bob", "alice 1", "alice 2"]


def test_a_user_without_a_name_claims_nothing(made: Made) -> None:
    # Another node may know the name, and a number would be another user there.
    task = made.put(4999, "job", seconds=1.0)
    wait_until(lambda: bool(task.reason))
    assert task.reason == "user 4999 has no name on this node: see `getent passwd 4999`"
    assert made.engine.begun.empty()
    with pytest.raises(EngineError):
        made.claims.user(4999)


def test_a_claim_that_nobody_waits_for_is_not_made(made: Made) -> None:
    made.put(ALICE, "job", "late", seconds=-1.0)
    made.put(ALICE, "job", "in time")
    assert made.done.get(timeout=20) == "in time"
    assert made.engine.begun.qsize() == 1


def test_thousands_of_users_without_a_name_cost_the_others_little(made: Made) -> None:
    """As with subuid(5): whoever has such numbers may claim with each of them."""
    assert made.claims.user(0) == "root"
    stats = 0

    def stat(path: str) -> os.stat_result:
        nonlocal stats
        stats += 1
        return os.stat(path)

    with made.claims._condition:
        made.claims._queues.update({uid: collections.deque([unmade(uid)]) for uid in range(200000, 203000)})
        made.claims._queues[0] = collections.deque([unmade(0)])
        made.claims._working.update(dict.fromkeys(range(300000, 300000 + product.MOST_NAMELESS), 1))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(users, "os", types.SimpleNamespace(stat=stat))
            assert made.claims._first() == 0
        assert stats == 1
        made.claims._queues.clear()


def unmade(uid: int) -> Task:
    """A claim that is given up."""
    task = Task(Claim("c1", "", "job", "1", "t", "node1", 5), uid, 0.0, lambda _task, _holder: None)
    task.is_given_up = True
    return task


def test_no_user_s_ends_take_the_room_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "MOST_ENDS_OF_ONE", 3)
    monkeypatch.setattr(product, "MOST_ENDS", 9)
    claims = Claims(Engine(), "node1")  # whose threads are not started

    def taken(uid: int) -> int:
        return sum(claims.ended(Claim("c1", "", "job", "1", "t", "node1", 5), uid, 0, 1.0) for _turn in range(10))

    assert [taken(uid) for uid in (ALICE, BOB, 0, CAROL)] == [3, 3, 3, 0]


def test_no_user_s_clusters_keep_a_cluster_s_old_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0.0]
    monkeypatch.setattr(product, "time", types.SimpleNamespace(monotonic=lambda: times[-1], sleep=time.sleep))
    claims = Claims(Engine(), "node1")
    cleaned: "list[float]" = []
    monkeypatch.setattr(claims, "chore", lambda _what, seconds: cleaned.append(seconds))
    for number in range(5000):
        claims.clean(f"his {number}")
    cleaned.clear()
    for now in (0.0, 3599.0, 3600.0):
        times.append(now)
        claims.clean("c1")
    assert len(cleaned) == 2
    assert len(claims._cleaned) <= product.MOST_CLUSTERS
