# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A lease in the engine that agent.conf names: no daemon, no VRRP. The agent itself holds it.

The contract:

- The engine gives a cluster's lease to one node at a time, for TTL seconds from the moment at which it wrote that. A
  node takes or renews it by a write that a majority agrees to (etcd), or by the database's clock (PostgreSQL).
- The holder is active until TTL minus the margin after the moment *before* it sent the last request that succeeded, by
  its own clock, which also counts while the machine sleeps. So it is passive before the engine gives the lease to
  anybody else, whatever hangs, as long as no clock runs faster than another one by margin/TTL.
- The state file has that moment as its time, and state_max_age is at most TTL minus the margin: the wrapper itself ends
  the role of an agent that hangs.
- Who has the lease is known by a token, which an agent that is started anew finds again: it goes on with it.
- The lease is given back only once the node is passive: at the agent's end, when the cluster is no longer served,
  while the node is pinned passive, and when somebody has made it passive (`rcronctl feed lease leave`).
- A node that is preferred to the holder, and has been well for a while, may ask for the lease. The holder reads that
  before it renews, and gives the lease back as if it were pinned passive.
- The term is larger for each holder, and jobs get it as RCRON_TERM.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any

from rcron import files, pin, state
from rcron.agent import conf as agent_conf
from rcron.agent.answer import Answer, boottime
from rcron.agent.engines import Engine, EngineError, Lease
from rcron.agent.feeders.command import seconds
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import ACTIVE, PASSIVE, Config, ConfigError

#: Seconds from a question to the next: if the engine has not answered; if the node is to be passive first; and if the
#: lease is free, or was not renewed for OVERDUE of its length, so that it may be free at any moment. Only so many nodes
#: are in haste, by their places, as the engine will not notice.
RETRY, SOON, HASTE = 0.2, 0.05, 0.1
OVERDUE = 0.6
HASTY = 3

#: For how many seconds a node leaves a free lease to those before it: for each of them, if they look in haste, too, and
#: if they may not; and at most.
HASTY_PRECEDENCE, PRECEDENCE, MOST = 0.2, 0.4, 3.0

#: How many bytes of the token's file are read.
MAX_TOKEN = 64


def path(value: str) -> str:
    """Read an absolute path. Raises ValueError."""
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path')
    return value


def ttl(value: str) -> int:
    """Read a lease's length: whole seconds from 5 to an hour. Raises ValueError."""
    if not value.isdecimal() or not 5 <= int(value[:9]) <= 3600:
        raise ValueError(f'"{value}" is not a whole number of seconds from 5 to 3600')
    return int(value)


def place(value: str) -> int:
    """Read a node's place in the order of preference. Raises ValueError."""
    if not value.isdecimal() or len(value) > 4:
        raise ValueError(f'"{value}" is not a place: 0 for the preferred node, 1 for the next one, and so on')
    return int(value)


def patience(value: str) -> int:
    """Read for how long a node waits before it asks for the lease: whole seconds up to a day. Raises ValueError."""
    if not value.isdecimal() or int(value[:9]) > 86400:
        raise ValueError(f'"{value}" is not a whole number of seconds from 1 to 86400, nor 0 for never')
    return int(value)


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "agent_conf": (path, agent_conf.DEFAULT_PATH),
    "ttl": (ttl, 10),
    "place": (place, 0),
    "preempt": (patience, 0),
    "every": (seconds, 0.3),
}


def lifetime(length: int) -> float:
    """Return for how long a renewal counts, in seconds.

    Args:
        length: The lease's, in seconds.
    """
    return length - max(1.0, length / 10)


def truth(config: Config, options: "dict[str, Any]") -> Truth:
    """Return what holds the lease.

    Args:
        config: The cluster's.
        options: As OPTIONS names them.

    Raises:
        ConfigError: A lease cannot be held like that.
        OSError: The token cannot be written.
    """
    most = int(lifetime(options["ttl"]))
    if not 0 < config.state_max_age <= most:
        raise ConfigError(
            f"{config.path}: state_max_age is {config.state_max_age}, and a lease of {options['ttl']} s counts for "
            f"{most} s; write state_max_age = {most}"
        )
    conf = agent_conf.load(options["agent_conf"])
    engine = agent_conf.engine_of(conf)
    if not engine.keeps_leases:
        raise ConfigError(f"{conf.path}: the engine {conf.engine} cannot keep a lease; take etcd or postgresql")
    found = LeaseTruth(config, engine, conf.node, options)
    found.files = tuple(
        path for path in (conf.path, conf.password_file, conf.ca_file, conf.cert_file, conf.key_file) if path
    )
    return found


class LeaseTruth(Truth):
    """Takes and renews the lease.

    Args:
        config: The cluster's.
        engine: Where the lease is kept.
        node: This node's name.
        options: As OPTIONS names them.

    Raises:
        OSError: The token cannot be written.
    """

    leaves = True

    def __init__(self, config: Config, engine: Engine, node: str, options: "dict[str, Any]") -> None:
        self._config = config
        self._engine = engine
        self._ttl: int = options["ttl"]
        self._look_every: float = options["every"]
        self._preempt: int = options["preempt"]
        self.every = self._look_every
        self.limit = 3.0
        self.notice = 0.0
        self.deadline = self._deadline_of_before()
        self._free_since: "float | None" = None
        #: The holder's last renewal that was seen, when that was, and whether it is overdue.
        self._renewal: "tuple[Any, float]" = (None, float("-inf"))
        self._is_overdue = False
        #: Since when the engine has answered each question while another node had the lease.
        self._well_since: "float | None" = None
        self._asked_for = float("-inf")
        #: Whether the lease is to be given back to another node, and whether it was, and nobody has taken it yet.
        self._yields = False
        self._has_left = False
        #: What is ours; its term is 0 while the lease is not known to be.
        self._mine = Lease(self._token(), node, 0, options["place"])
        self._term_written = 0

    def _deadline_of_before(self) -> float:
        """Return the deadline of an `active` that an agent before this one has left, by the state file's time."""
        found = state.from_file(self._config)
        if found.source != state.FILE or found.state != ACTIVE or found.written is None:
            return float("-inf")
        return boottime() - max(0.0, time.time() - found.written) + lifetime(self._ttl)

    def _token(self) -> str:
        name = self._config.agent_file("token")
        try:
            with open(name, encoding="ascii") as file:
                found = file.read(MAX_TOKEN).strip()
            if found.isalnum():
                return found
        except (OSError, UnicodeDecodeError):
            pass  # the first agent since the machine was booted
        found = secrets.token_hex(8)
        files.replace(name, f"{found}\n")
        return found

    def ask(self) -> Answer:
        """Renew the lease, or take it if it is free. The answer is "cannot tell" if the engine has not answered."""
        moment = boottime()
        try:
            held = pin.read(self._config)
        except ValueError:
            held = None  # rcron itself ignores it, and says so
        try:
            if held is not None and held.state == PASSIVE:
                return self._stand_aside(moment, "pinned passive")
            # A node that is pinned active stays active, and must not have another one beside it.
            if self._yields or (self._mine.term and held is None and self._is_left_to_another()):
                self._yields = True
                return self._stand_aside(moment, "another node is to have the lease")
            return self._seek(moment)
        except EngineError as error:
            self._well_since = None
            self.every = RETRY
            return cannot_tell(str(error), moment)

    def _seek(self, moment: float) -> Answer:
        self.every = self._look_every
        if not self._mine.term:
            holder = self._look()
            if holder is None:
                self.every = min(self.every, HASTE) if self._mine.place < HASTY else self.every
                self._free_since = moment if self._free_since is None else self._free_since
                if moment - self._free_since < self._leave_alone():
                    return Answer(PASSIVE, moment, "the lease is free, and left to other nodes")
            elif not self._mine.term:
                self._ask_for_it(moment, holder)
                return self._passive(moment, holder)
        sent = boottime()
        holder = self._engine.hold(self._config.cluster_name, self._mine, self._ttl)
        if holder is None or holder.token != self._mine.token:
            return self._passive(moment, holder)
        self._write_term(holder.term)
        self._mine = self._mine._replace(term=holder.term)
        self._free_since = self._well_since = None
        self._has_left = False
        self.deadline = sent + lifetime(self._ttl)
        self.every = self._ttl / 3
        return Answer(ACTIVE, sent, f"has the lease, term {holder.term}")

    def _look(self) -> "Lease | None":
        """Look who has the lease, and recognize what an agent before this one, or a lost answer, has left."""
        holder = self._engine.lease(self._config.cluster_name)
        if holder is not None:
            self._free_since = None
            self._has_left = False
            if holder.token == self._mine.token:
                self._mine = self._mine._replace(term=holder.term)
        return holder

    def _ask_for_it(self, moment: float, holder: Lease) -> None:
        """Ask the holder for the lease, if this node is preferred to it and has been well for long enough."""
        if self._well_since is None:
            self._well_since = moment
        if not self._preempt or self._mine.place >= holder.place or moment - self._well_since < self._preempt:
            return
        if moment - self._asked_for >= self._ttl / 3:
            self._engine.ask_for(self._config.cluster_name, self._mine.place, self._ttl)
            self._asked_for = moment

    def _is_left_to_another(self) -> bool:
        """Return whether a node that is preferred to this one asks for the lease."""
        if not self._mine.place:
            return False
        try:
            wanted = self._engine.wanted(self._config.cluster_name)
        except EngineError:
            return False  # a reason neither to give the lease up, nor to leave it alone
        return wanted is not None and wanted < self._mine.place

    def _leave_alone(self) -> float:
        """Return for how many seconds a free lease is left to other nodes."""
        if self._has_left or self._is_left_to_another():
            return MOST
        is_hasty = self._is_overdue and self._mine.place < HASTY
        return min(MOST, self._mine.place * (HASTY_PRECEDENCE if is_hasty else PRECEDENCE))

    def event(self) -> None:
        """See Truth. Whoever has made the holder passive wants another node to be active."""
        found = state.from_file(self._config)
        if self._mine.term and found.source == state.FILE and found.state == PASSIVE:
            self._yields = True

    def gap(self, seconds: float) -> None:
        """See Truth. A node that stood still is not well."""
        self._well_since = None

    def _passive(self, moment: float, holder: "Lease | None") -> Answer:
        self._lose()
        if holder is None:
            self.every = SOON
            return Answer(PASSIVE, moment, "the lease has ended")
        if (holder.term, holder.renewed) != self._renewal[0]:
            self._renewal = (holder.term, holder.renewed), moment
        self._is_overdue = moment - self._renewal[1] > OVERDUE * self._ttl
        if self._is_overdue and self._mine.place < HASTY:
            self.every = min(self.every, HASTE)
        return Answer(PASSIVE, moment, f"{holder.node or 'another node'} has the lease, term {holder.term}")

    def _lose(self) -> None:
        self._yields = False
        self._mine = self._mine._replace(term=0)
        self.deadline = float("-inf")

    def _stand_aside(self, moment: float, why: str) -> Answer:
        """Give the lease back if it is ours, but not before the state file says `passive`."""
        self.every = self._look_every
        self._well_since = None
        holder = self._look() if not self._mine.term else self._mine
        if not self._mine.term:
            self._yields = False
            return Answer(PASSIVE, moment, why + (f"; {holder.node} has the lease" if holder else ""))
        if state.from_file(self._config).state == ACTIVE:
            self.every = SOON
        else:
            self._release()
        return Answer(PASSIVE, moment, f"{why}: gives the lease back")

    def _release(self) -> None:
        self._engine.release(self._config.cluster_name, self._mine)
        self._lose()
        self._has_left = True

    def _write_term(self, term: int) -> None:
        """Write the term where rcron and systemd (EnvironmentFile=) find it, before the state is `active`."""
        if term != self._term_written:
            files.replace(self._config.agent_file("term"), f"RCRON_TERM={term}\n")
            self._term_written = term

    def leave(self) -> None:
        """Give the lease back. The node is passive. Raises OSError if the engine does not take it."""
        try:
            if not self._mine.term:
                self._look()  # an answer may have been lost
            if self._mine.term:
                self._release()
        except EngineError as error:
            raise OSError(str(error)) from None
