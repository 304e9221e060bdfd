# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Pacemaker: whether the resource is promoted (or started) here, in a partition that has a quorum.

The contract (tried on Pacemaker 2.1.5 with Corosync 3.1.7):

- Corosync knows the quorum, and says by itself when it changes. Without one no node is active, whatever the cluster's
  no-quorum-policy is: where that is `ignore` or `freeze`, Pacemaker itself would keep two nodes promoted.
- The cluster's status says for each node which operation of the resource was the last, and how it ended. While one is
  pending, its op-status is -1. A node that has left keeps its old entries.
- `crm_node --quorum` is answered by pacemaker-controld, `cibadmin --query --local` by pacemaker-based, both of this
  machine. Together they cost 20 to 40 ms of processor time, so they are not asked each second.
- pacemakerd looks at its daemons each second or so, and thereby wakes them: the voluntary_ctxt_switches of those that
  work move, and of those that are stopped or hang do not. Where that proof is missing, the programs are asked instead.
- After token and consensus without a packet of this node, the others form a cluster without it.
"""

import os
import pwd
import select
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from rcron.agent import daemon
from rcron.agent.answer import Answer, boottime
from rcron.agent.command import Program
from rcron.agent.probation import Probation
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import ACTIVE, DEFAULT_PATH, PASSIVE, Config

#: Seconds from one question to the programs to the next, if nothing has happened.
RARELY = 10.0

#: Seconds within which a daemon that works is woken, and those that pacemaker-execd may take: it runs the agents.
AWAKE = 2.5
EXECUTOR_AWAKE = 10.0

#: Seconds that Pacemaker needs beside token and consensus to demote one of two promoted instances that met again.
SETTLE = 2.0

#: Seconds that the agent may need to write a state.
MARGIN = 0.5

#: What speaks to the cluster on its nodes, and on those that it only manages.
CONTROLLERS = ("pacemaker-contr", "pacemaker-remot")

#: What runs the agents, which takes its time.
EXECUTOR = "pacemaker-execd"

#: Whose processes these are, by the names that `ps -o comm` shows.
UNITS = ("pacemaker.service", "pacemaker_remote.service")
DAEMONS = (*CONTROLLERS, "pacemaker-based", EXECUTOR)

#: What Pacemaker runs is in its units, too, and may have any name. Its daemons run as root, or as this user.
USER = "hacluster"

#: Where the agent's script touches rcron-RESOURCE.event before each action that changes something: it may be that it
#: cannot do more. Pacemaker's HA_RSCTMP.
EVENTS = "/run/resource-agents"

#: Seconds for which it is remembered which resource is the cluster's.
REMEMBERED = 60.0

#: Exit statuses of cibadmin for a query that finds nothing: since 2.0, and before.
NOTHING = (105, 6)

#: An operation's op-status (enum pcmk_exec_status) while it is pending, and if it has been carried out.
PENDING = "-1"
DONE = ("0", "1")


def resource(value: str) -> str:
    """Read a resource's name. Raises ValueError."""
    if not value or set(value) & set("'\"<>&/[]"):
        raise ValueError(f'"{value}" is not the name of a resource')
    return value


#: resource: the name of the ocf:rcron:rcron; empty, the one whose parameter `conf` is the cluster's rcron.conf.
OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {"resource": (resource, "")}


def truth(config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return PacemakerTruth(config, options["resource"])


class PacemakerTruth(Truth):
    """Asks Pacemaker and Corosync.

    Args:
        config: The cluster's settings.
        resource: The resource's name, or an empty string.
    """

    every = 1.0
    limit = 4.0
    notice = 10.0

    def __init__(self, config: Config, resource: str) -> None:
        self._config = config
        self._told = resource
        self._program = Program()
        self._probation = Probation(self.notice, AWAKE)
        self._epoll = select.epoll()
        self._connect: "Callable[[], Any] | None" = None
        self._can_connect = True
        self._quorum: Any = None
        self._has_ended = False
        self._daemons: "dict[str, Daemon]" = {}
        self._controller_fd = -1
        self._node = ""
        self._name = resource
        self._is_promotable = False
        self._known_until = 0.0
        #: The last answer of the programs, when they gave it, and what the state's files were like then.
        self._full: "Answer | None" = None
        self._files: "tuple[int, ...]" = ()
        self._is_to_ask_all = True
        #: Asking the programs, one after the other.
        self._steps: "Generator[None, None, Answer] | None" = None
        #: When the resource's last operation here ended, in seconds since the epoch.
        self._since = 0.0

    def gap(self, seconds: float) -> None:
        """Ask the programs next."""
        self._known_until = 0.0
        self._is_to_ask_all = True

    def descriptor(self) -> int:
        """Return what becomes readable when Corosync tells of a quorum, or the controller ends."""
        return self._epoll.fileno()

    def hear(self) -> "list[Answer]":
        """Return `passive` if the quorum is lost or a daemon has ended, and "ask now" for another change."""
        now = boottime()
        found = []
        for fd, _events in self._epoll.poll(0):
            if fd == self._controller_fd:
                self._unregister(fd)
                words = "Pacemaker's controller has ended"
            else:
                words = self._hear_quorum(fd)
            self._is_to_ask_all = True
            if words:
                self._probation.begin(now)
            found.append(Answer(PASSIVE if words else None, now, words))
        return found

    def _hear_quorum(self, fd: int) -> str:
        """Return why the node is passive, or an empty string."""
        try:
            return "" if all(self._quorum.hear()) else "Corosync: no quorum"
        except (AttributeError, OSError):
            self._has_ended = True
            self._unregister(fd)
            return "Corosync has ended"

    def _unregister(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            pass

    def close(self) -> None:
        """Give the connections back."""
        self._epoll.close()
        if self._controller_fd >= 0:
            os.close(self._controller_fd)
        if self._quorum is not None:
            self._quorum.close()

    def ask(self) -> Answer:
        """Ask once. Raises OSError if one of the programs cannot be started, or does not answer in time."""
        moment = boottime()
        no_quorum = self._quorum_lost()
        asked = boottime()
        if no_quorum:
            return self._passive(no_quorum, moment)
        if not self._find_daemons():
            return self._passive("Pacemaker is not running", moment)
        stopped = self._look_at_daemons(asked)
        if stopped:
            return cannot_tell(f"{stopped} is stopped", moment)
        lively = min(one.woken for name, one in self._daemons.items() if name != EXECUTOR)
        files = self._version_of_files()
        full = self._full
        if full is None or full.state is None or self._is_to_ask_all or files != self._files or asked - lively > AWAKE:
            self._is_to_ask_all = False
            self._full = self._steps = None
            full = self._ask_all(asked)
            self._files, self._full = files, full
            lively = asked
        elif asked - full.moment > RARELY:
            full = self._ask_a_part(asked, full)
        self._probation.prove(asked, asked)
        executor = self._daemons.get(EXECUTOR)
        if full.state == ACTIVE and executor and boottime() - executor.woken > EXECUTOR_AWAKE:
            return cannot_tell(f"{EXECUTOR} hangs", moment)
        left = self._probation.left(moment)
        if full.state == ACTIVE and left and not self._is_later(left):
            return cannot_tell(f"{full.words}, but it stood still, and is believed again in {left:.0f} s", moment)
        return Answer(full.state, min(moment, max(lively, full.moment)), full.words)

    def _passive(self, words: str, moment: float) -> Answer:
        self._probation.begin(boottime())
        self._is_to_ask_all = True
        return Answer(PASSIVE, moment, words)

    def _is_later(self, left: float) -> bool:
        """Whether Pacemaker promoted the resource after it stood still: then it knew what had happened meanwhile."""
        return self._since > time.time() - (self._probation.notice - left) + 1

    def _version_of_files(self) -> "tuple[int, ...]":
        """What changes when a hook has written."""
        found: "list[int]" = []
        for path in (self._config.state_file, f"{EVENTS}/rcron-{self._name}.event"):
            try:
                status = os.stat(path, follow_symlinks=False)
            except OSError:
                found.append(0)
            else:
                found += [status.st_ino, status.st_size]
                if path != self._config.state_file:  # whose time is set at each renewal
                    found.append(status.st_mtime_ns)
        return tuple(found)

    def _quorum_lost(self) -> str:
        """Ask Corosync, which may block. Returns why there is no quorum, or an empty string."""
        if self._can_connect and self._connect is None:
            try:
                from rcron.agent import corosync  # ctypes, which a smaller Python lacks
            except ImportError:
                self._can_connect = False
            else:
                self._connect = corosync.load()  # None until Corosync is installed
        if self._connect is None:
            return self._quorum_lost_by_program()
        if self._has_ended and self._quorum is not None:
            self._quorum.close()
            self._quorum = None
        try:
            if self._quorum is None:
                self._has_ended = False
                self._quorum = self._connect()
                self._epoll.register(self._quorum.descriptor, select.EPOLLIN)
                self._read_times()
            return "" if self._quorum.ask() else "Corosync: no quorum"
        except OSError:
            if self._is_remote():
                return ""
            self._has_ended = True
            return "Corosync is not running"

    def _quorum_lost_by_program(self) -> str:
        if not self._is_to_ask_all and self._full is not None and boottime() - self._full.moment < AWAKE:
            return ""
        try:
            status, output = self._program.run(["corosync-quorumtool", "-s"], self.limit / 2)
        except FileNotFoundError:
            return ""  # a remote node
        self._is_to_ask_all = True
        if any(line.split()[:1] == ["Quorate:"] for line in output.split("\n")):
            return "" if status == 0 else "Corosync: no quorum"
        return "" if self._is_remote() else "Corosync is not running"

    @staticmethod
    def _is_remote() -> bool:
        return CONTROLLERS[1] in daemon.processes(*UNITS, users=_users())

    def _read_times(self) -> None:
        """Reckon with the token and the consensus that Corosync has in use."""
        _status, output = self._program.run(["corosync-cmapctl", "runtime.config.totem."], 1.0)
        found = {}
        for line in output.split("\n"):
            key, _equals, value = line.partition(" = ")
            if value.isdecimal():
                found[key.split()[0].rpartition(".")[2]] = int(value) / 1000
        if not {"token", "consensus"} <= found.keys():
            return
        seconds = found["token"] + found["consensus"]
        self.notice = self._probation.notice = seconds + SETTLE
        self._probation.patience = seconds
        self.silence = max(seconds - MARGIN, 1.0)
        self.every = min(1.0, self.silence / 3)

    def _find_daemons(self) -> bool:
        """Learn which processes Pacemaker's daemons are. Returns whether the one that speaks to the cluster lives."""
        if self._daemons and all(one.lives() for one in self._daemons.values()):
            return True
        found = {name: pid for name, pid in daemon.processes(*UNITS, users=_users()).items() if name in DAEMONS}
        controller = next((name for name in CONTROLLERS if name in found), "")
        before = self._daemons
        self._daemons = {}
        if self._controller_fd >= 0:
            self._unregister(self._controller_fd)
            os.close(self._controller_fd)
            self._controller_fd = -1
        if not controller:
            return False
        try:
            self._controller_fd = os.pidfd_open(found[controller])
        except OSError:
            return False
        self._epoll.register(self._controller_fd, select.EPOLLIN)
        now = boottime()
        self._daemons = {name: Daemon(pid, now) for name, pid in found.items()}
        self._node = ""
        self._known_until = 0.0
        self._is_to_ask_all = True
        if before:
            self._probation.begin(now)
        return True

    def _look_at_daemons(self, now: float) -> str:
        """Look whether the daemons work. Returns one that a signal has stopped, or an empty string."""
        stopped = [name for name, one in self._daemons.items() if not one.look(now)]
        return stopped[0] if stopped else ""

    def _ask_all(self, moment: float) -> Answer:
        """Run all the programs. Returns what they say together."""
        steps = self._questions(moment)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _ask_a_part(self, moment: float, full: Answer) -> Answer:
        """Run one of the programs: on a busy machine all of them take longer than an answer may.

        Args:
            moment: This moment.
            full: What they said last.

        Returns:
            The same, or what they say now if this was the last of them.
        """
        self._steps = self._steps or self._questions(moment)
        try:
            next(self._steps)
        except StopIteration as end:
            self._steps = None
            self._full = full = end.value
        except BaseException:
            self._steps = self._full = None
            raise
        return full

    def _questions(self, moment: float) -> "Generator[None, None, Answer]":
        """Ask the controller whether there is a quorum, and the cluster's status what the resource is here.

        Yields:
            Nothing, before each program but the first.
        """
        status, output = self._program.run(["crm_node", "--quorum"], self.limit / 2)
        if output.strip() == "0":
            return Answer(PASSIVE, moment, "crm_node --quorum: 0")
        if output.strip() != "1":
            return cannot_tell(f"crm_node --quorum: exit {status}", moment)
        yield
        if not self._node:
            status, output = self._program.run(["crm_node", "--name"], self.limit / 2)
            if status != 0 or not output.strip():
                return cannot_tell(f"crm_node --name: exit {status}", moment)
            self._node = output.strip()
        if moment >= self._known_until:
            answer = self._find_resource(moment)
            if answer is not None:
                return answer
            self._known_until = moment + REMEMBERED
        yield
        name = self._name
        text = self._query(f"//lrm_resource[@id='{name}' or starts-with(@id,'{name}:')]")
        state, self._since, words = role(text, self._node, self._is_promotable)
        return Answer(state, moment, f"{name}: {words}")

    def _find_resource(self, moment: float) -> "Answer | None":
        """Learn which resource is the cluster's, and what it is. Returns the Answer if there is none to ask about."""
        wanted = f"@id='{self._told}'" if self._told else "@provider='rcron' and @type='rcron'"
        found = resources(self._query(f"//resources/*[descendant-or-self::primitive[{wanted}]]"))
        names = [
            name
            for name, (conf, _attributes) in found.items()
            if name == self._told or (not self._told and conf == self._config.path)
        ]
        if len(names) != 1:
            words = "several resources have" if names else "no resource has"
            return Answer(None if names else PASSIVE, moment, f"{words} conf={self._config.path}")
        self._name, self._is_promotable = names[0], found[names[0]][1]
        return None

    def _query(self, xpath: str) -> str:
        status, output = self._program.run(["cibadmin", "--query", "--local", "--xpath", xpath], self.limit / 2)
        if status in NOTHING:
            return ""
        if status != 0:
            raise OSError(f"cibadmin: exit {status}")
        return output


class Daemon:
    """One of Pacemaker's processes.

    Args:
        pid: The process.
        now: This moment.

    Attributes:
        woken: When it last was seen to work.
    """

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._switches = -1
        self.woken = now

    def lives(self) -> bool:
        """Whether the process is still there. That it is the same one, its controller's descriptor says."""
        return _status(self._pid)[0] not in ("", "Z", "X")

    def look(self, now: float) -> bool:
        """Look whether it has worked since the last time. Returns whether it can: no signal has stopped it."""
        state, switches = _status(self._pid)
        if switches != self._switches:
            self._switches = switches
            self.woken = now
        return state not in ("T", "t")


def _users() -> "set[int]":
    """Return whose Pacemaker's daemons are."""
    try:
        return {0, pwd.getpwnam(USER).pw_uid}
    except KeyError:
        return {0}


def _status(pid: int) -> "tuple[str, int]":
    """Return a process's state, empty if it is gone, and its voluntary context switches (proc_pid_status(5))."""
    state, switches = "", 0
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith("State:"):
                    state = line.split()[1]
                elif line.startswith("voluntary_ctxt_switches:"):
                    switches = int(line.split()[1])
    except OSError:
        return "", 0
    return state, switches


def elements(text: str) -> "Iterator[tuple[str, dict[str, str]]]":
    """Yield the elements of XML as Pacemaker writes it, in which no value holds a bare `<`, `>` or `"`.

    Yields:
        An element's name and its attributes; at its end, `/` and its name, unless it is empty.
    """
    for part in text.split("<")[1:]:
        name, _blank, rest = part.partition(">")[0].rstrip("/ \n").partition(" ")
        pieces = rest.split('"')
        yield name, {key.strip(" \n="): value for key, value in zip(pieces[::2], pieces[1::2])}


def resources(text: str) -> "dict[str, tuple[str, bool]]":
    """Read which of the cluster's resources are ours.

    Args:
        text: Elements of its configuration, in which what a clone is comes before its primitive.

    Returns:
        Each one's name, its rcron.conf, and whether it is promotable.
    """
    found: "dict[str, tuple[str, bool]]" = {}
    is_promotable = False
    name = section = ""
    for tag, attributes in elements(text):
        if tag in ("clone", "master", "/clone", "/master"):
            is_promotable = tag == "master"  # before Pacemaker 2
            section = ""
        elif tag == "primitive":
            name = attributes["id"] if attributes.get("provider") == attributes.get("type") == "rcron" else ""
            section = ""
            if name:
                found[name] = (DEFAULT_PATH, is_promotable)
        elif tag in ("meta_attributes", "instance_attributes"):
            section = tag
        elif tag == "/primitive":
            name = ""
        elif tag == "nvpair":
            key, value = (section, attributes.get("name")), attributes.get("value", "")
            if key == ("meta_attributes", "promotable") and not name:
                is_promotable = value.lower() in ("true", "on", "yes", "y", "1")
            elif key == ("instance_attributes", "conf") and name:
                found[name] = (value, is_promotable)
    return found


class Operation:
    """What a node's history says of its last operation: attributes as the cluster's status has them."""

    def __init__(self, attributes: "dict[str, str]") -> None:
        self.name = attributes.get("operation", "")
        self.code = attributes.get("rc-code", "")
        self.status = attributes.get("op-status", "0")
        self.call = int(attributes.get("call-id", "-1"))
        self.since = float(attributes.get("last-rc-change", "0"))

    @property
    def order(self) -> "tuple[bool, int]":
        """What sorts operations by their time: one that is pending has no number yet."""
        return self.status == PENDING, self.call

    def state(self, is_promotable: bool) -> "str | None":
        """Return what the node is after it."""
        if self.status == PENDING:
            # What demotes or stops has begun: there is nothing to wait for.
            return PASSIVE if self.name in ("demote", "stop") else None
        if self.status not in DONE:
            return PASSIVE
        wanted = (("promote", "0"), ("monitor", "8")) if is_promotable else (("start", "0"), ("monitor", "0"))
        return ACTIVE if (self.name, self.code) in wanted else PASSIVE


def role(text: str, node: str, is_promotable: bool) -> "tuple[str | None, float, str]":
    """Read what the resource is on a node.

    Args:
        text: The resource's elements lrm_resource, of all nodes.
        node: This node's name in the cluster.
        is_promotable: Whether it is active where it is promoted; otherwise where it is started.

    Returns:
        The state, since when (seconds since the epoch; 0 if it is not known), and both in words.

    Raises:
        ValueError: It is not such a text.
    """
    last: "dict[str, Operation]" = {}
    for tag, attributes in elements(text):
        # A recurring monitor confirms, or leads to an operation.
        if tag == "lrm_rsc_op" and attributes.get("interval", "0") == "0":
            operation = Operation(attributes)
            of = attributes.get("on_node", "")
            if of not in last or operation.order >= last[of].order:
                last[of] = operation
    here = last.pop(node, None)
    if here is None:
        return PASSIVE, 0.0, "never started here"
    words = f"{here.name} {'pending' if here.status == PENDING else f'exit {here.code}'}"
    state = here.state(is_promotable)
    later = [of for of, other in last.items() if other.state(is_promotable) == ACTIVE and other.since >= here.since]
    if state == ACTIVE and later:
        return None, here.since, f"{words}, and later on {min(later)} too"
    return state, here.since, words
