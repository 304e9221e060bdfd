# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The rules by which answers become a state. Nothing here waits, asks or polls: the loop does that.

- `passive` counts at once, and is tried until it is written. Meanwhile a veto stands in for it.
- `active` counts if the daemon can have noticed by then that it was replaced, if nobody has said `passive` since the
  question was put, and while the answer is younger than a third of state_max_age.
- "Cannot tell" renews nothing.
"""

import errno

from rcron import log
from rcron.agent.answer import Answer
from rcron.agent.store import STALE, Store
from rcron.agent.truth import Truth
from rcron.settings import ACTIVE, PASSIVE, Config

#: Seconds between the questions that follow an event: the daemon may not have finished what it reported.
AFTER_AN_EVENT = (0.1, 0.2, 0.4, 0.8, 1.6)

#: The least time from one question to the next, in seconds, whoever wants to know.
LEAST = 0.05

#: How long an `active` gives way to somebody who holds the lock, in seconds. They hold it for some milliseconds.
PATIENCE = 1.0

#: How late the agent may be, in seconds, before that counts as a gap.
LATE = 1.0


class Keeper:
    """Keeps one cluster's state at what its daemon says.

    Args:
        config: The cluster's settings.
        feeder: The feeder's name.
        truth: What asks its daemon.
        store: What reads and writes the state.
        now: This moment, in seconds of `boottime`, as in all methods.
    """

    def __init__(self, config: Config, feeder: str, truth: Truth, store: Store, now: float) -> None:
        self.config = config
        self.feeder = feeder
        self.truth = truth
        self._store = store
        self._due = now
        self._asked = 0.0
        self._follow_ups: "tuple[float, ...]" = ()
        self._is_asking = False
        self._is_late = False
        self._is_to_ask_again = False
        self._looked = now
        #: When the last gap ended. Of an `active` asked for within `notice` after it, the daemon may not know yet
        #: that it is over. `notice` may become known only after that.
        self._gap_ended = float("-inf")
        #: When the daemon last said `active`, whether that counted or not; until then, when we began to ask.
        self._confirmed = now
        #: The last answer that counted, if it was `active`.
        self._active: "Answer | None" = None
        #: What the last `passive` was, from the daemon or from us.
        self._passive = Answer(PASSIVE, 0.0, "")
        self._is_unwritten = False
        self._blocked_since: "float | None" = None
        self._complaints: "set[str]" = set()
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Take over from whoever kept the state before: the agent of before a restart, or a hook."""
        # Systemd's watchdog ends an agent that stood still with its node, and starts this one: it must know no less.
        watched = self._store.watched()
        unwatched = now - watched if watched is not None and watched <= now else float("inf")
        if unwatched > self._longest_silence:
            self._distrust(unwatched, now)
        if self._store.has_veto():
            self._passive = Answer(PASSIVE, now, "not written before the agent was started anew")
            self._is_unwritten = True
            self.tick(now)

    @property
    def _longest_silence(self) -> float:
        """Seconds for which nobody needs to have watched the daemon."""
        return max(LATE, self.truth.notice / 4)

    @property
    def _fresh_for(self) -> float:
        """Seconds after which an answer is too old to renew anything."""
        return self.config.state_max_age / 3 if self.config.state_max_age else float("inf")

    @property
    def _every(self) -> float:
        return min(self.truth.every, self._fresh_for)

    @property
    def due(self) -> float:
        """When the loop is to put the next question: a moment of `boottime`."""
        if self._is_unwritten or self._is_asking:
            return float("inf")
        return self._due

    @property
    def awaited(self) -> float:
        """When the loop is to call `tick` at the latest: a moment of `boottime`."""
        return min(self.due, self._looked + self.truth.look_every)

    def asked(self, now: float) -> None:
        """Note that a question has been put."""
        self._asked = now
        self._is_asking = True
        self._is_late = False

    def ask_soon(self, now: float) -> None:
        """Have the daemon asked as soon as may be, and some times more in the next seconds."""
        self._follow_ups = AFTER_AN_EVENT
        # The question that is being asked may have been put too early.
        self._is_to_ask_again = self._is_asking
        self._due = max(now, self._asked + LEAST)

    def answered(self, answer: Answer, now: float) -> None:
        """Take the answer to the question that was put.

        Args:
            answer: The daemon's.
            now: This moment.
        """
        self._is_asking = False
        pause = self._every
        if self._is_to_ask_again:
            self._is_to_ask_again = False
            pause = LEAST
        elif self._follow_ups:
            pause = min(pause, self._follow_ups[0])
            self._follow_ups = self._follow_ups[1:]
        self._due = max(now, self._asked + pause)
        self.take(answer, now)

    def take(self, answer: Answer, now: float) -> None:
        """Make an answer the node's state, as far as it counts. One that was not asked for is as good as another.

        Args:
            answer: The daemon's.
            now: This moment.
        """
        if answer.state is None:
            self._note(answer, None)
        elif self._is_outdated(answer) or self._store.is_overtaken(answer):
            # The daemon, or its hook, has spoken since the question was put.
            self.truth.event()
            self.ask_soon(now)
        elif answer.state == PASSIVE:
            self._take_passive(answer)
        else:
            self._take_active(answer, now)

    def event(self, answer: Answer, now: float) -> None:
        """Take what a hook tells: that the node is passive, or that it is time to ask.

        Args:
            answer: Its state is None if the agent is to ask.
            now: This moment.
        """
        self._confirmed = max(self._confirmed, answer.moment)
        self.truth.event()
        if answer.state == PASSIVE and not self._is_outdated(answer):
            self._take_passive(answer)
        self.ask_soon(now)

    def _is_outdated(self, answer: Answer) -> bool:
        return self._active is not None and answer.moment < self._active.moment

    def gap(self, seconds: float, now: float) -> None:
        """Learn that nobody watched: the machine slept, or the agent was starved.

        Args:
            seconds: For how long.
            now: This moment.
        """
        if seconds <= self._longest_silence:
            return
        self._distrust(seconds, now)
        limits = (self.truth.silence, self.truth.notice, float(self.config.state_max_age))
        holds_for = min([limit for limit in limits if limit], default=float("inf"))
        if seconds >= holds_for:
            # Another node may be active by now. This one is not until its daemon, which knows by then, says so.
            self._take_passive(Answer(PASSIVE, now, f"stood still for {seconds:.1f} s"))

    def _distrust(self, seconds: float, now: float) -> None:
        self._gap_ended = now
        self._active = None
        self._confirmed = now
        self.truth.gap(seconds)
        self._due = now

    def tick(self, now: float) -> None:
        """Do what no answer leads to: end an `active` that nobody confirms, and try again to write a `passive`."""
        self._looked = now
        if self._is_unwritten:
            self._write_passive()
        if self._is_asking and not self._is_late and now - self._asked > self.truth.limit:
            self._is_late = True
            self._note(Answer(None, self._asked, f"no answer in {self.truth.limit:g} s"), None)
        if now >= self.truth.deadline and self._store.word() == ACTIVE:
            self._take_passive(Answer(PASSIVE, now, "not renewed in time"))
        silence = self.truth.silence
        if not silence:
            return
        self._confirmed = max(self._confirmed, self.truth.look())
        if now - self._confirmed <= silence:
            return
        watched = self._store.watched()
        # A hook may make it active at any moment, and the daemon has from then on to confirm it.
        if watched is None:
            self._confirmed = now
        elif watched <= now:
            self._confirmed = max(self._confirmed, watched)
        if now - self._confirmed > silence:
            self._take_passive(Answer(PASSIVE, now, f"no answer for {silence:g} s"))

    def leave(self, now: float) -> bool:
        """Make the node passive, because it is to give back what makes it active.

        Args:
            now: This moment.

        Returns:
            Whether it is passive.
        """
        self._take_passive(Answer(PASSIVE, now, "gives it back"))
        return not self._is_unwritten

    def clock_was_set(self, now: float) -> None:
        """Make good what a new time of day did to the state file's."""
        if self._active is not None and now - self._active.moment < self._fresh_for and not self._is_unwritten:
            self._take_active(self._active, now)

    def _take_passive(self, answer: Answer) -> None:
        self._passive = answer
        self._active = None
        self._is_unwritten = True
        self._write_passive()

    def _write_passive(self) -> None:
        was = self._store.word()
        try:
            self._store.write_passive()
            self._store.lift_veto()
        except OSError as error:
            self._complain(f"{self.config.state_file}: not written, should be passive: {error.strerror}")
            try:
                self._store.veto()
            except OSError as also:
                self._complain(f"{also.filename}: not written either: {also.strerror}; the state turns stale")
            return
        self._is_unwritten = False
        self._complaints.clear()
        if was != PASSIVE:
            self._log(PASSIVE, self._passive)
        self._note(self._passive, None if was == PASSIVE else PASSIVE)

    def _take_active(self, answer: Answer, now: float) -> None:
        self._confirmed = max(self._confirmed, answer.moment)
        if (
            self._is_unwritten
            or answer.moment < self._gap_ended + self.truth.notice
            or answer.moment <= self._passive.moment
            or now - answer.moment >= self._fresh_for
        ):
            self._note(answer, None)
            return
        self._active = answer
        was = self._store.word()
        try:
            if was == ACTIVE:
                self._store.renew(answer)
            elif not self._become_active(answer, now):
                return
        except OSError as error:
            self._complain(f"{self.config.state_file}: not written, should be active: {error.strerror}")
            return
        self._complaints.clear()
        if was not in (ACTIVE, STALE):
            self._log(ACTIVE, answer)
        self._note(answer, None if was in (ACTIVE, STALE) else ACTIVE)

    def _become_active(self, answer: Answer, now: float) -> bool:
        blocked = self._blocked_since
        self._blocked_since = None
        try:
            if self._store.write_active(answer, patient=blocked is None or now - blocked < PATIENCE):
                return True
        except BlockingIOError:
            self._blocked_since = now if blocked is None else blocked
        self.ask_soon(now)
        return False

    def _note(self, answer: Answer, became: "str | None") -> None:
        try:
            self._store.look_at_folder()
            self._store.note(answer, became)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._complain(f"{self.config.state_file}.feeder: not written: {error.strerror}")

    def _log(self, state: str, answer: Answer) -> None:
        log.change(self.config, f"state={state} status=changed event={self.feeder}:{answer.words}")

    def _complain(self, text: str) -> None:
        """Log what is wrong, once until it is right again."""
        if text not in self._complaints:
            self._complaints.add(text)
            log.warning(self.config, text)
