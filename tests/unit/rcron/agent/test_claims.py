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


@pytest.mark.parametrize("is_protected", [True, False])
def test_thousands_of_users_without_a_name_cost_the_others_little(
    made: Made, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """As with subuid(5): whoever has such numbers may claim with each of them."""
    assert made.claims.user(0) == "root"
    if not is_protected:
        monkeypatch.setattr(Claims, "_first", first_by_asking_for_each)
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
        assert (stats == 1) == is_protected
        made.claims._queues.clear()


def first_by_asking_for_each(claims: Claims) -> "int | None":
    """As `_first` was once: it looked for the node's users anew for each queue."""
    nameless = [uid for uid in claims._working if not claims.is_known(uid)]
    for uid in claims._queues:
        if claims.is_known(uid) or (len(nameless) < product.MOST_NAMELESS and uid not in nameless):
            return uid
    return None


def unmade(uid: int) -> Task:
    """A claim that is given up."""
    task = Task(Claim("c1", "", "job", "1", "t", "node1", 5), uid, 0.0, lambda _task, _holder: None)
    task.is_given_up = True
    return task


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_user_s_ends_take_the_room_of_the_others(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    monkeypatch.setattr(product, "MOST_ENDS_OF_ONE", 3 if is_protected else 9)
    monkeypatch.setattr(product, "MOST_ENDS", 9)
    claims = Claims(Engine(), "node1")  # whose threads are not started
    for uid in directory.names:
        claims.user(uid)
    assert [taken(claims, uid) for uid in (ALICE, BOB, CAROL, DAVE)] == ([3, 3, 3, 0] if is_protected else [9, 0, 0, 0])
    assert taken(claims, 0) == 10, "root's do not count"


def taken(claims: Claims, uid: int) -> int:
    """Report ten ends. Returns how many had room."""
    return sum(claims.ended(Claim("c1", "", "job", "1", "t", "node1", 5), uid, 0, 1.0) for _turn in range(10))


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_ends_of_users_without_a_name_take_the_room_of_the_others(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """As with subuid(5)."""
    monkeypatch.setattr(product, "MOST_ENDS", 30)
    monkeypatch.setattr(product, "MOST_ENDS_OF_NAMELESS", 7 if is_protected else 1000)
    claims = Claims(Engine(), "node1")
    claims.user(ALICE)
    assert sum(taken(claims, uid) for uid in range(200000, 200010)) == (7 if is_protected else 30)
    assert taken(claims, ALICE) == (10 if is_protected else 0)


@pytest.mark.parametrize("is_protected", [True, False])
def test_an_end_of_a_user_whose_name_a_slow_directory_has_delays_nobody_else_s(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    recorded: "queue.Queue[str]" = queue.Queue()

    class Recording(Engine):
        def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
            recorded.put(claim.user)
            return True

    if not is_protected:
        monkeypatch.setattr(Claims, "is_known", lambda _self, _uid: True)
    directory.slow = {ALICE}
    claims = Claims(Recording(), "node1")
    claims.user(BOB)
    claims.start()
    end = Claim("c1", "", "job", "1", "t", "node1", 5)
    assert claims.ended(end, ALICE, 0, 1.0)
    wait_until(lambda: ALICE in directory.asked)
    assert claims.ended(end, BOB, 0, 1.0)
    try:
        assert recorded.get(timeout=20 if is_protected else 0.5) == "bob"
        assert is_protected
    except queue.Empty:
        assert not is_protected
    directory.released.set()
    assert "alice" in [recorded.get(timeout=20) for _turn in range(1 if is_protected else 2)]


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_thousand_clusters_names_delay_nobody_s_end(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """Each is cleaned of old claims some seconds after its first one, which takes the engine some milliseconds."""
    released = threading.Event()
    recorded: "queue.Queue[str]" = queue.Queue()

    class Cleaning(Engine):
        def clean(self, cluster: str, node: str) -> int:
            released.wait(60)
            return 0

        def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
            recorded.put(claim.user)
            return True

    claims = Claims(Cleaning(), "node1")
    claims.user(BOB)
    claims.start()
    add = (claims._cleanings if is_protected else claims._chores).add
    monkeypatch.setattr(claims._cleanings, "add", lambda what, _seconds: add(what))
    for number in range(1000):
        claims.clean(f"his {number}")
    assert claims.ended(Claim("c1", "", "job", "1", "t", "node1", 5), BOB, 0, 1.0)
    try:
        assert recorded.get(timeout=20 if is_protected else 0.5) == "bob"
        assert is_protected
    except queue.Empty:
        assert not is_protected
    released.set()


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_user_s_clusters_keep_a_cluster_s_old_claims(monkeypatch: pytest.MonkeyPatch, is_protected: bool) -> None:
    if not is_protected:
        monkeypatch.setattr(product, "MOST_CLUSTERS", 10_000)
    times = [0.0]
    monkeypatch.setattr(product, "time", types.SimpleNamespace(monotonic=lambda: times[-1], sleep=time.sleep))
    claims = Claims(Engine(), "node1")
    cleaned: "list[float]" = []
    monkeypatch.setattr(claims._cleanings, "add", lambda _what, seconds: cleaned.append(seconds))
    for number in range(5000):
        claims.clean(f"his {number}")
    cleaned.clear()
    for now in (0.0, 3599.0, 3600.0):
        times.append(now)
        claims.clean("c1")
    assert len(cleaned) == 2
    assert (len(claims._cleaned) <= 1000) == is_protected, "he decides how much is remembered"


@pytest.mark.parametrize("is_protected", [True, False])
def test_what_waits_for_an_engine_that_does_not_answer_does_not_fill_the_memory(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """The agent's unit has a limit, beyond which it is ended for everybody."""
    if not is_protected:
        for name in ("MOST_CLEANINGS", "MOST_ENDS", "MOST_ENDS_OF_ONE"):
            monkeypatch.setattr(product, name, 1_000_000)
    claims = Claims(Engine(), "node1")  # whose threads are not started
    for number in range(11_000):
        claims.clean(f"his {number}")
        task = Task(Claim("c1", "", "job", "1", "t", "node1", 5), ALICE, 0.0, lambda _task, _holder: None)
        claims.abandoned(task)
    assert (len(claims._cleanings), len(claims._chores)) == ((10_000, 2500) if is_protected else (11_000, 11_000))
    assert not is_protected or "last" not in claims._cleaned
    claims.clean("last")
    assert ("last" in claims._cleaned) == (not is_protected), "it is tried again with its next claim"


def test_a_claim_that_nobody_runs_is_looked_for_until_it_is_found_or_cannot_come_any_more(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [EngineError("no answer"), False, False, True]

    class Late(Engine):
        def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
            assert (claim.user, exit_status) == ("alice", None)
            answer = answers.pop(0)
            if isinstance(answer, EngineError):
                raise answer
            return answer

    monkeypatch.setattr(product, "SETTLE", (0.0, 0.0, 0.0))
    claims = Claims(Late(), "node1")
    task = Task(Claim("c1", "", "job", "1", "t", "node1", 5), ALICE, 0.0, lambda _task, _holder: None)
    claims.start()
    claims.abandoned(task)
    claims.abandoned(task)
    wait_until(lambda: not answers and not claims._settling)
    assert (answers, list(claims._settling)) == ([], [])
