# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Patroni: is this node the primary, and is the leader's key still its own?

The contract (patroni/api.py and ha.py of 3.0.2 and 4.1.4; tried on 3.0.2):

- `GET /primary` is answered with 200 while the node holds the leader's key: from each renewal of the key for `ttl`
  seconds by its own clock. With 503 otherwise. The body is a JSON object with, among others, `state` (PostgreSQL's:
  `running`, `stopping`, `stopped`, ...), `role`, `dcs_last_seen` (when the cluster's store last answered, in whole
  seconds since the epoch), and `failsafe_mode_is_active`.
- The status stays 200 while PostgreSQL is being stopped, even after the store was lost, until it has stopped: with a
  replica that cannot be reached that can take longer than the key lives. `state` is `stopping` from the beginning.
- It stays 200, too, if PostgreSQL itself has died and Patroni is paused. `state` is not `running` then.
- The key lives on the store's side for `ttl` seconds from its last renewal, which comes after `dcs_last_seen` was set,
  in the same round, and nobody can be the primary before it has expired. So the node is passive MARGIN seconds before
  that, whatever Patroni says. In failsafe mode the key does not matter: the leader asks all members instead, and
  reports that it does.
- A leader that was stopped or starved for longer than its ttl, and continues, may write its name over its successor's
  (seen with 3.0.2 and etcd's API of version 3). The successor notices in its next round, after up to `loop_wait`.
- `GET /config` has `ttl` and `loop_wait`.
- A Patroni that is not there leaves its PostgreSQL running, and its key expires. Its port is anybody's then.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from rcron.agent import http
from rcron.agent.answer import Answer, boottime
from rcron.agent.feeders.command import seconds
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import ACTIVE, PASSIVE, Config

#: Seconds from one question to the next, over http, and over https, where each is a handshake for both sides.
EVERY, EVERY_TLS = 0.5, 1.0

#: How long before the leader's key expires the node is passive, in seconds: a question, and its answer.
MARGIN = 2.0

#: Patroni's own loop_wait, until it has reported another one, in seconds.
LOOP_WAIT = 10.0

#: How often Patroni is asked for its ttl, in seconds.
TTL_AGE = 30.0

#: PostgreSQL's states that say nothing: a restart while the key is held, and a query of Patroni's that failed.
BETWEEN = ("starting", "restarting", "unknown")

#: What Patroni calls a primary: up to 3, and from 4 on.
PRIMARY = ("master", "primary")

#: How much of a word of Patroni's is repeated in the log and in the record, in characters.
MAX_WORD = 40

#: The roles in which PostgreSQL is still being promoted, with the key held: a hook may have said so already.
PROMOTION = ("replica", "promoted")


def address(value: str) -> str:
    """Read the URL of Patroni's REST API, without a path. Raises ValueError."""
    if http.parts(value)[3]:
        raise ValueError(f'"{value}" has a path; write http://HOST:PORT')
    return value.rstrip("/")


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "url": (address, None),
    "ca_file": (str, ""),
    "cert_file": (str, ""),
    "key_file": (str, ""),
    "every": (seconds, 0.0),
    "limit": (seconds, 2.0),
    "ttl": (seconds, 30.0),
}


def truth(config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return PatroniTruth(options, os.path.dirname(config.state_file))


class PatroniTruth(Truth):
    """Asks Patroni's REST API.

    A gap in the agent's schedule needs no `notice`: both the answer and its age go by the time of day, as the key does.
    But a Patroni that may have stood still with the agent, or with the agent of before, is not believed at once.

    Args:
        options: As OPTIONS names them. `ttl` counts until Patroni has reported its own.
        folder: The state's, which is Patroni's user's. The REST API must be that user's, or root's.
    """

    def __init__(self, options: "dict[str, Any]", folder: str) -> None:
        self._folder = folder
        self._user = os.geteuid()
        self._url: str = options["url"]
        self._tls = http.Tls(options["ca_file"], options["cert_file"], options["key_file"])
        self.every = options["every"] or (EVERY_TLS if self._url.startswith("https:") else EVERY)
        self.limit = options["limit"]
        self.notice = 0.0
        self._ttl: float = options["ttl"]
        self._loop_wait = LOOP_WAIT
        self._ttl_asked = -TTL_AGE
        #: When Patroni last answered, and since when it may not be the only one that takes itself for the leader.
        self._heard: "float | None" = None
        self._doubted_since = -1e9
        #: For how long Patroni may have been silent before it answered this agent, in seconds.
        self._unwatched = 0.0
        self.silence = self._lifetime

    @property
    def _lifetime(self) -> float:
        """For how long the store need not have answered, in seconds."""
        return max(self._ttl - MARGIN, self._ttl / 2)

    @property
    def _users(self) -> "set[int]":
        """Whose the REST API may be."""
        try:
            self._user = os.stat(self._folder).st_uid
        except OSError:
            pass  # somebody has removed it; it was that user's
        return {0, os.geteuid(), self._user}

    def gap(self, seconds: float) -> None:
        """Doubt a Patroni of which it is not known whether it has been silent: see Truth."""
        self._unwatched = seconds

    def ask(self) -> Answer:
        """Ask whether this node is the primary. Raises OSError and ValueError if that cannot be asked."""
        moment = boottime()
        deadline = moment + self.limit * 0.9
        try:
            status, body = http.get(f"{self._url}/primary", deadline - moment, self._tls, self._users)
        except ConnectionRefusedError:
            self._heard = moment
            return Answer(PASSIVE, moment, f"{self._url}: nobody there: Patroni does not run")
        except http.StrangerError as error:
            return Answer(PASSIVE, moment, f"{error}: Patroni does not run there")
        if status == 200 and moment - self._ttl_asked >= TTL_AGE:
            self._ask_ttl(deadline)
        self._hear()
        if status == 503:
            return Answer(PASSIVE, moment, "GET /primary: 503")
        if status != 200:
            return cannot_tell(f"GET /primary: {status}", moment)
        return self._judge(http.values(body), moment)

    def _hear(self) -> None:
        """Note that Patroni has answered, and whether another one may have become the leader since it last did."""
        now = boottime()
        if (self._unwatched if self._heard is None else now - self._heard) > self._lifetime:
            self._doubted_since = now
        self._heard = now

    def _judge(self, answer: "dict[str, str]", moment: float) -> Answer:
        """Return what an answer with the status 200 means."""
        state, role = (answer.get(name, "")[:MAX_WORD] for name in ("state", "role"))
        words = f"GET /primary: 200, {role or 'no role'}, PostgreSQL {state or 'without a state'}"
        if state in BETWEEN or (state == "running" and role in PROMOTION):
            return cannot_tell(words, moment)
        if state != "running" or role not in PRIMARY:
            return Answer(PASSIVE, moment, words)
        if moment < self._doubted_since + self._loop_wait + MARGIN:
            return cannot_tell(f"{words}, but it has been silent, and its successor must notice that", moment)
        if answer.get("failsafe_mode_is_active") == "true":
            self.silence = self._lifetime
            return Answer(ACTIVE, moment, f"{words}, failsafe mode")
        try:
            seen = time.time() - float(answer["dcs_last_seen"])
        except (KeyError, ValueError):
            # Older than 2.1: there is only the status.
            self.silence = self.limit + self.every
            return Answer(ACTIVE, moment, words)
        left = self._lifetime - (seen + moment - boottime())
        if left <= 0:
            return Answer(PASSIVE, moment, f"{words}, but the store has not answered for {self._lifetime:g} s")
        self.silence = left
        return Answer(ACTIVE, moment, words)

    def _ask_ttl(self, deadline: float) -> None:
        """Learn Patroni's ttl and loop_wait. Failing leaves those that were known."""
        self._ttl_asked = boottime()
        try:
            status, body = http.get(f"{self._url}/config", max(0.05, deadline - boottime()), self._tls, self._users)
            if status == 200:
                found = http.values(body)
                self._ttl = seconds(found["ttl"])
                self._loop_wait = seconds(found["loop_wait"])
        except (OSError, ValueError, KeyError):
            pass
