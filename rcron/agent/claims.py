# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Claims on their way to the engine: threads that repeat a write until somebody has answered, or nobody waits any more.

A user's claims wait for each other, never for another user's: each thread takes the next user's next claim, and one
thread more than one user may occupy is there. A directory that does not say what a user's name is occupies few of them.
Ends and questions for the ledger have a thread of their own each, so that no long answer delays a claim or an end.
"""

import collections
import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable

from rcron import log
from rcron.agent.engines import Claim, Engine, EngineError, Holder
from rcron.agent.users import Users

#: How many claims are under way at once: in all, of one user, and of users whose names have to be looked up.
THREADS = 5
MOST_OF_ONE = 4
MOST_NAMELESS = 2

#: The pause after an engine has not answered, in seconds.
PAUSE = 0.1

#: How often it is logged that the engine does not answer, in seconds.
COMPLAIN = 60.0

#: For how long the agent tries to record an end, in seconds, and how many of them may wait for that: of all users, and
#: of one, other than root's.
PERSEVERE = 600.0
MOST_ENDS = 10000
MOST_ENDS_OF_ONE = 2500

#: The same of all users together whose names have to be looked up: among them is whoever may be many (subuid(5)).
MOST_ENDS_OF_NAMELESS = 100

#: How long a claim that nobody waits for may still arrive at the engine, in seconds: when to look for it.
SETTLE = (0.5, 5.0, 30.0)

#: How often a cluster's old claims are cleaned away, in seconds, of how many clusters is known when that was, and how
#: many may wait for it: a user may name a new one with each claim, and the engine may not answer.
CLEAN = 3600.0
MOST_CLUSTERS = 1000
MOST_CLEANINGS = 10000


class Task:
    """One claim that somebody waits for.

    Attributes:
        claim: What is to be claimed; its user is filled in by the thread that does it.
        uid: Whose job it is.
        deadline: Until when somebody waits, by `time.monotonic`.
        done: Called by a thread with the holder.
        reason: Why nobody can tell: what the engine's last failure was; an empty string if there was none in this time.
        is_tried: Whether the engine may have got it.
        is_given_up: Whether nobody waits for it any more.
        is_settled: Whether it is looked for in the engine, since nobody runs it.
    """

    __slots__ = ("claim", "deadline", "done", "is_given_up", "is_settled", "is_tried", "reason", "uid")

    def __init__(self, claim: Claim, uid: int, deadline: float, done: "Callable[[Task, Holder], None]") -> None:
        self.claim = claim
        self.uid = uid
        self.deadline = deadline
        self.done = done
        self.reason = ""
        self.is_tried = False
        self.is_given_up = False
        self.is_settled = False


class Chores:
    """A thread that does one thing after the other, each at its time.

    Args:
        name: The thread's.
    """

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._due: "list[tuple[float, int, Callable[[], None]]]" = []
        self._numbers = itertools.count()
        self._added = threading.Condition()

    def __len__(self) -> int:
        return len(self._due)

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        self._thread.start()

    def add(self, what: "Callable[[], None]", seconds: float = 0.0) -> None:
        """Have something done.

        Args:
            what: What; it raises nothing.
            seconds: When, counted from now.
        """
        with self._added:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), what))
            self._added.notify()

    def _run(self) -> None:
        while True:
            with self._added:
                now = time.monotonic()
                due = self._due[0][0] if self._due else now + 60
                if due > now:
                    self._added.wait(due - now)
                    continue
                what = heapq.heappop(self._due)[2]
            do(what)


def do(what: "Callable[[], None]") -> None:
    """Do something. Whatever comes of it, what comes after it still has to be done."""
    try:
        what()
    except Exception as error:
        log.warning(None, f"claims: {type(error).__name__}: {error}")


class Claims:
    """Makes claims, and records ends.

    Args:
        engine: Where.
        node: This node's name.
    """

    def __init__(self, engine: Engine, node: str) -> None:
        self.engine = engine
        self.node = node
        self._condition = threading.Condition()
        self._queues: "collections.OrderedDict[int, collections.deque[Task]]" = collections.OrderedDict()
        self._chores = Chores("chores")
        #: Apart from these, because a user may claim for thousands of clusters of other names.
        self._cleanings = Chores("cleanings")
        #: Likewise: thousands of ends may wait for an engine that does not answer, which root wants to know.
        self._statuses = Chores("status")
        self._users = Users()
        #: How many threads are at work for which user.
        self._working: "collections.Counter[int]" = collections.Counter()
        #: How many ends of which user wait.
        self._ends: "collections.Counter[int]" = collections.Counter()
        self._ends_lock = threading.Lock()
        #: How many claims of which user are looked for, since nobody runs them.
        self._settling: "collections.Counter[int]" = collections.Counter()
        self._cleaned: "collections.OrderedDict[str, float]" = collections.OrderedDict()
        self._questions: "queue.SimpleQueue[Callable[[], None]]" = queue.SimpleQueue()
        #: When it was last logged that the engine does not answer, and that a user has no name.
        self._complained: "float | None" = None
        self._complained_of_name: "float | None" = None

    def start(self) -> None:
        """Start the threads, which end with the process."""
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"claims {number}", daemon=True).start()
        self._chores.start()
        self._cleanings.start()
        self._statuses.start()
        threading.Thread(target=self._answer_questions, name="questions", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Record the ends that wait for that, as far as it can be done in a time.

        Args:
            seconds: The longest time.
        """
        deadline = time.monotonic() + seconds
        while self._ends and time.monotonic() < deadline:
            time.sleep(0.02)

    def put(self, task: Task) -> None:
        """Have a claim made. Its `done` will be called, unless its deadline passes first."""
        with self._condition:
            if task.is_given_up:
                return
            self._queues.setdefault(task.uid, collections.deque()).append(task)
            self._condition.notify()

    def give_up(self, task: Task) -> None:
        """Learn that nobody waits for a claim any more. If the engine may have got it, it is marked there.

        Args:
            task: The claim's.
        """
        with self._condition:
            task.is_given_up = True
            # What nobody waits for must not fill the memory until a thread comes to it.
            waiting = self._queues.get(task.uid)
            if waiting is not None and task in waiting:
                waiting.remove(task)
                if not waiting:
                    del self._queues[task.uid]
        if task.is_tried:
            self.abandoned(task)

    def abandoned(self, task: Task) -> None:
        """Learn that nobody runs what a claim may have won: mark it as such in the engine if it is there.

        Args:
            task: The claim's.
        """
        with self._condition:
            count = self._settling[task.uid]
            if task.is_settled or (
                task.uid and (count >= MOST_ENDS_OF_ONE or sum(self._settling.values()) >= MOST_ENDS)
            ):
                return
            task.is_settled = True
            self._settling[task.uid] += 1
        self._settle(task, 0, time.monotonic() + PERSEVERE)

    def _settle(self, task: Task, turn: int, until: float) -> None:
        def look() -> None:
            following = self._look_for(task, turn, until)
            if following is not None:
                self._settle(task, following, until)
                return
            with self._condition:
                self._settling[task.uid] -= 1
                if not self._settling[task.uid]:
                    del self._settling[task.uid]

        self.chore(look, SETTLE[turn])

    def _look_for(self, task: Task, turn: int, until: float) -> "int | None":
        """Look for a claim that nobody runs. Returns the turn in which to look again; None for never."""
        claim = task.claim
        try:
            if self._record(claim, task.uid, None, 0.0):
                log.warning(None, f"claims: {claim.job} {claim.fire}: claimed after rcron had given up: not run")
                return None
        except EngineError:
            return turn if time.monotonic() < until else None
        return turn + 1 if turn + 1 < len(SETTLE) else None

    def ended(self, claim: Claim, uid: int, exit_status: int, duration: float) -> bool:
        """Have the end of a run recorded.

        Args:
            claim: The claim.
            uid: Whose job it is.
            exit_status: The job's.
            duration: How many seconds it took.

        Returns:
            Whether there is room for it.
        """
        with self._ends_lock:
            if uid and not self._has_room(uid):
                return False
            self._ends[uid] += 1
        until = time.monotonic() + PERSEVERE

        def record() -> None:
            try:
                self._record(claim, uid, exit_status, duration)
            except EngineError as error:
                if time.monotonic() < until:
                    self.chore(record, 1.0)
                    return
                log.warning(None, f"claims: {claim.job} {claim.fire}: its end is not recorded: {error}")
            with self._ends_lock:
                self._ends[uid] -= 1
                if not self._ends[uid]:
                    del self._ends[uid]

        def look_up() -> None:
            try:
                self.user(uid)
            except EngineError:
                if time.monotonic() < until:
                    self.chore(lambda: self.question(look_up), 1.0)
                    return
            self.chore(record)

        # The chores must not wait for a directory.
        if self.is_known(uid):
            self.chore(record)
        else:
            self.question(look_up)
        return True

    def _record(self, claim: Claim, uid: int, exit_status: "int | None", duration: float) -> bool:
        """Have the engine record an end, as its `ended` does. Whatever it answers, EngineError is all that is raised.

        Who waits here is counted, and has to be counted out again.
        """
        try:
            return self.engine.ended(claim._replace(user=self.user(uid)), exit_status, duration)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"{type(error).__name__}: {error}") from error

    def _has_room(self, uid: int) -> bool:
        """Return whether one more end of a user other than root may wait. The caller has the lock."""
        if sum(self._ends.values()) >= MOST_ENDS or self._ends[uid] >= MOST_ENDS_OF_ONE:
            return False
        known = self._users.known()
        nameless = sum(count for each, count in self._ends.items() if each not in known)
        return uid in known or nameless < MOST_ENDS_OF_NAMELESS

    def chore(self, what: "Callable[[], None]", seconds: float = 0.0) -> None:
        """Have something done beside the claims.

        Args:
            what: What; it raises nothing.
            seconds: When, counted from now.
        """
        self._chores.add(what, seconds)

    def status(self, what: "Callable[[], None]") -> None:
        """Have the engine asked how it is, before all that waits for it.

        Args:
            what: What does it; it raises nothing.
        """
        self._statuses.add(what)

    def clean(self, cluster: str) -> None:
        """Have old claims of a cluster cleaned away if that was not done in the last hour.

        Called at each of its claims. A user may claim for clusters of any name, so not all of them can be remembered:
        then one is cleaned too often.
        """
        now = time.monotonic()
        if now - self._cleaned.get(cluster, -CLEAN) < CLEAN or len(self._cleanings) >= MOST_CLEANINGS:
            return
        self._cleaned[cluster] = now
        self._cleaned.move_to_end(cluster)
        while len(self._cleaned) > MOST_CLUSTERS:
            self._cleaned.popitem(last=False)

        def work() -> None:
            try:
                self.engine.clean(cluster, self.node)
            except EngineError as error:
                self._complain(f"old ones of {cluster} are not deleted: {error}")

        # Not on all nodes at once.
        self._cleanings.add(work, 10.0)

    def question(self, what: "Callable[[], None]") -> None:
        """Have a question for the ledger answered, after those that were put before.

        Args:
            what: What does it.
        """
        self._questions.put(what)

    def _answer_questions(self) -> None:
        while True:
            do(self._questions.get())

    def is_known(self, uid: int) -> bool:
        """Return whether a user's name is known without asking anybody.

        Args:
            uid: The user's number.
        """
        return uid in self._users.known()

    def user(self, uid: int) -> str:
        """Return a user's name. This may ask a directory, and wait for it: it is for threads only.

        Args:
            uid: The user's number.

        Raises:
            EngineError: There is none. A number in its place would be another user than the name on other nodes.
        """
        try:
            return self._users.name(uid)
        except (KeyError, OverflowError):
            raise EngineError(f"user {uid} has no name on this node: see `getent passwd {uid}`") from None

    def _next(self) -> Task:
        with self._condition:
            while True:
                uid = self._first()
                if uid is not None:
                    break
                self._condition.wait()
            queue = self._queues.pop(uid)
            task = queue.popleft()
            if queue:
                # This user's next claim comes after one of each other user's.
                self._queues[uid] = queue
            self._working[uid] += 1
            return task

    def _first(self) -> "int | None":
        """Return the first user whose next claim may begin. There may be thousands who have no name (subuid(5))."""
        known = self._users.known()
        nameless = self._working.keys() - known.keys()
        has_room = len(nameless) < MOST_NAMELESS
        for uid in self._queues:
            if self._working[uid] < MOST_OF_ONE if uid in known else has_room and uid not in nameless:
                return uid
        return None

    def _leave(self, uid: int) -> None:
        with self._condition:
            self._working[uid] -= 1
            if not self._working[uid]:
                del self._working[uid]
            if self._queues:
                self._condition.notify()  # this user's name may be known now

    def _work(self) -> None:
        while True:
            task = self._next()
            try:
                if not task.is_given_up and time.monotonic() < task.deadline:
                    self._make(task)
            finally:
                self._leave(task.uid)

    def _make(self, task: Task) -> None:
        is_new = not self.is_known(task.uid)
        try:
            claim = task.claim._replace(user=self.user(task.uid))
        except EngineError as error:
            self._failed(task, str(error), of_name=True)
            return
        try:
            if is_new:
                with self._condition:
                    self._condition.notify_all()  # more of this user's claims may begin
            task.is_tried = True
            holder = self.engine.claim(claim)
        except EngineError as error:
            self._failed(task, str(error))
        except Exception as error:
            self._failed(task, f"{type(error).__name__}: {error}")
        else:
            self._complained = None
            task.done(task, holder)

    def _failed(self, task: Task, reason: str, of_name: bool = False) -> None:
        task.reason = reason
        if of_name:
            self._complained_of_name = self._complain_after(self._complained_of_name, reason)
        else:
            self._complain(reason)
        if task.is_given_up:
            self.abandoned(task)
            return
        time.sleep(PAUSE)
        self.put(task)

    def _complain(self, reason: str) -> None:
        """Log a failure of the engine's, unless that was done a moment ago."""
        self._complained = self._complain_after(self._complained, reason)

    @staticmethod
    def _complain_after(before: "float | None", reason: str) -> float:
        """Log a failure, unless one was logged a moment ago. Returns when one was logged last.

        Whoever may be many users without a name must not keep an engine's failure out of the log.
        """
        now = time.monotonic()
        if before is not None and now - before < COMPLAIN:
            return before
        log.warning(None, f"claims: {reason}")
        return now
