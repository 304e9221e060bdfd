# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The socket that jobs claim their runs at: claim.sock beside the state file, which every user may connect to.

The protocol is rcron/claim.py's. The kernel says who asks (SO_PEERCRED), and a claim is always one of that user's. No
client is waited for: who says nothing, reads nothing or says too much is cut off, the longest idle ones first.
"""

import collections
import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

from rcron import claim, log
from rcron.agent.claims import Claims, Task
from rcron.agent.engines import Claim, EngineError, Holder, Run
from rcron.agent.notify import Notifier
from rcron.claim import MAX_LINE, MINE, OTHER, UNKNOWN, WRONG
from rcron.settings import MAX_SECONDS

#: How many clients there may be at once, and how many of one user other than root.
MOST = 4096
MOST_OF_ONE = 1024

#: How many clients of one user may be connected without having said what they want.
MOST_SILENT = 64

#: How long a client may take to say what it wants, and to read the answer, in seconds.
PATIENCE = 5.0

#: The longest of a claim's texts, in characters.
MAX_TEXT = 256

#: The most runs that one question for the ledger is answered with: rcronctl history asks for so many.
MOST_RUNS = 500

#: How many such questions of one user, and of all users other than root, are answered at once: the answers, of 1.7 MB
#: each if the jobs have the longest names, may all wait to be read, and the unit's MemoryMax= is 64M.
MOST_QUESTIONS = 2
MOST_QUESTIONS_OF_ALL = 8

#: How many claims and ends one user other than root may report at once, and how many more each second. Whoever could
#: fill the engine would keep everybody's jobs from running.
MOST_AT_ONCE = 4000
MORE_PER_SECOND = 20.0

#: Of how many users that is remembered. Beyond, those without a name are forgotten, who can claim nothing.
MOST_USERS = 10000

#: How many claims that were won are remembered by their tokens alone.
REMEMBERED = 4096

#: Of how many clusters claims are counted.
MOST_COUNTED = 64

#: How long a status is not asked for again, in seconds.
STATUS_AGE = 1.0

#: How often it is looked whether the socket is still in its place, in seconds.
LOOK = 1.0

#: What a status and the ledger may take, in seconds.
QUESTION = 30.0

_CREDENTIALS = struct.Struct("iII")  # struct ucred: unix(7). A user's number may be above 2^31.


class Client:
    """One connection.

    Attributes:
        began: When it was accepted, by `time.monotonic`.
        connection: It.
        uid: Whose it is.
        deadline: When it is cut off, or its claim answered with "cannot tell"; by `time.monotonic`.
        data: What it has said so far.
        reply: What is still to be sent to it.
        task: Its claim, while nobody has answered, and afterwards if it was won: the answer may not have been read.
        is_answered: Whether there is an answer, or somebody looks for one.
        is_question: Whether it is a question for the ledger, whose answer may be long.
        is_asked: Whether the ledger is being asked, also if the client has gone meanwhile.
        is_sent: Whether all of the answer has been sent.
    """

    __slots__ = (
        "began",
        "connection",
        "data",
        "deadline",
        "is_answered",
        "is_asked",
        "is_question",
        "is_sent",
        "reply",
        "task",
        "uid",
    )

    def __init__(self, connection: socket.socket, uid: int, deadline: float) -> None:
        self.began = time.monotonic()
        self.connection = connection
        self.uid = uid
        self.deadline = deadline
        self.data = b""
        self.reply = b""
        self.task: "Task | None" = None
        self.is_answered = False
        self.is_question = False
        self.is_asked = False
        self.is_sent = False

    @property
    def is_idle(self) -> bool:
        """Whether it waits neither for a claim nor for a question: it has said nothing, or has its answer."""
        return self.is_sent or (self.task is None and not self.is_question)


class Counts:
    """How claims were answered, for each cluster since root has first asked.

    Any user may claim for clusters of any name: only those that root knows are counted.
    """

    def __init__(self) -> None:
        self._answers: "dict[str, collections.Counter[str]]" = {}
        self._seconds: "dict[str, float]" = {}

    def add(self, client: Client, cluster: str, answer: str) -> None:
        """Count an answer.

        Args:
            client: Who gets it.
            cluster: The claim's.
            answer: MINE, OTHER or UNKNOWN.
        """
        if cluster in self._answers:
            self._answers[cluster][answer] += 1
            self._seconds[cluster] += time.monotonic() - client.began

    def of(self, cluster: str, uid: int) -> "list[str] | None":
        """Return what `counts` is answered with; None if the cluster's claims are not counted.

        Args:
            cluster: The cluster's name.
            uid: Who asks.
        """
        if cluster not in self._answers:
            if uid or len(self._answers) >= MOST_COUNTED:
                return None
            self._answers[cluster], self._seconds[cluster] = collections.Counter(), 0.0
        found = self._answers[cluster]
        return [*(f"{name}={found[name]}" for name in (MINE, OTHER, UNKNOWN)), f"seconds={self._seconds[cluster]:.6f}"]


class Server:
    """Serves the socket until TERM.

    Args:
        listener: The listening socket, as `listen` makes it.
        claims: What makes the claims.
        engine_name: The engine's name, for the status.
        place: Where the socket is, and which file that is; None if it is not to be looked for.
    """

    def __init__(self, listener: socket.socket, claims: Claims, engine_name: str, place: "Place | None" = None) -> None:
        self._listener = listener
        self._claims = claims
        self._engine_name = engine_name
        self._clients: "dict[int, Client]" = {}
        self._of_user: "dict[int, dict[int, Client]]" = {}
        self._waiting: "dict[Task, Client]" = {}
        #: To a claim, to a question for the ledger, or (None) what the status is.
        self._answers: "collections.deque[tuple[Task | Client | None, Holder | bytes]]" = collections.deque()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(listener, select.POLLIN)
        self._is_over = False
        self._place = place
        self._looked = 0.0
        self._notifier = Notifier()
        self._status: "tuple[float, bytes]" = (0.0, b"")
        self._status_askers: "dict[Client, None]" = {}
        self._is_status_asked = False
        #: Whose questions are being answered, or whose answers are being read: each may hold megabytes.
        self._questions: "set[Client]" = set()
        self._counts = Counts()
        #: How many claims and ends each user had left, and when.
        self._left: "dict[int, tuple[float, float]]" = {}
        self._won: "collections.OrderedDict[tuple[int, str, str, str], Claim]" = collections.OrderedDict()

    def run(self) -> None:
        """Serve until TERM or INT, or until nobody can find the socket any more."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self._claims.start()
        while not self._is_over:
            now = time.monotonic()
            self._notifier.alive(now)
            for fd, _events in self._poll.poll(self._pause(now) * 1000):
                if fd == self._wake:
                    os.read(self._wake, 65536)
                elif fd == self._listener.fileno():
                    self._accept()
                elif fd in self._clients:
                    self._serve(self._clients[fd])
            self._take_answers()
            self._cut_off(time.monotonic())
            self._look_for_the_socket(time.monotonic())
        self._notifier.stopping()
        self._claims.stop(3.0)

    def _look_for_the_socket(self, now: float) -> None:
        """End if the socket is not in its place any more: only root may put one there, and starts this anew."""
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self._place is not None and not self._place.is_there():
            log.warning(None, f"claims: {self._place.path} is gone: rcron-agent ends, and is to be started anew")
            self._is_over = True

    def _end(self, *_: object) -> None:
        self._is_over = True

    def _pause(self, now: float) -> float:
        first = min((client.deadline for client in self._clients.values()), default=now + 1.0)
        return max(0.0, min(1.0, first - now))

    def _accept(self) -> None:
        for _turn in range(64):
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            uid = _CREDENTIALS.unpack(credentials)[1]
            theirs = self._of_user.get(uid, {})
            if (uid and len(theirs) >= MOST_OF_ONE) or (len(self._clients) >= MOST and not self._make_room()):
                connection.close()  # it asks again
                continue
            silent = [client for client in theirs.values() if not client.is_answered and client.task is None]
            if len(silent) >= MOST_SILENT:
                self._drop(silent[0])
            client = Client(connection, uid, time.monotonic() + PATIENCE)
            self._clients[connection.fileno()] = client
            self._of_user.setdefault(uid, {})[connection.fileno()] = client
            self._poll.register(connection, select.POLLIN)
            # Most have said what they want by now.
            self._serve(client)

    def _make_room(self) -> bool:
        """Cut off the one that has been idle the longest, or else one whose user has no name and so can claim nothing.

        Whoever may be many users (subuid(5)) could keep everybody from the socket otherwise.

        Returns:
            Whether there was one.
        """
        for is_dispensable in (lambda one: one.is_idle, lambda one: one.uid and not self._claims.is_known(one.uid)):
            found = next(filter(is_dispensable, self._clients.values()), None)
            if found is not None:
                self._drop(found)
                return True
        return False

    def _drop(self, client: Client) -> None:
        fd = client.connection.fileno()
        if self._clients.pop(fd, None) is None:
            return
        theirs = self._of_user.get(client.uid, {})
        theirs.pop(fd, None)
        if not theirs:
            self._of_user.pop(client.uid, None)
        self._poll.unregister(fd)
        client.connection.close()
        self._status_askers.pop(client, None)
        if not client.is_asked:
            self._questions.discard(client)
        if client.task is not None:
            self._waiting.pop(client.task, None)
            if not client.is_answered:
                self._claims.give_up(client.task)

    def _serve(self, client: Client) -> None:
        """Read from a client, or write to it: whichever is possible."""
        try:
            if client.reply:
                self._write(client)
                return
            data = client.connection.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            # It has gone without reading the answer (ECONNRESET), and nobody runs what it has won.
            if client.is_answered and client.task is not None:
                self._claims.abandoned(client.task)
            self._drop(client)
            return
        if not data or client.is_answered or client.task is not None:
            # It has gone, or says more than it may.
            self._drop(client)
            return
        client.data += data
        line, newline, rest = client.data.partition(b"\n")
        if rest or len(line) >= MAX_LINE:
            self._reply(client, WRONG, "more than one line, or a line that is too long")
        elif newline:
            client.data = b""
            self._handle(client, line.decode("utf-8", "replace").split("\0"))

    def _reply(self, client: Client, *parts: str) -> None:
        self._send(client, _line(parts))

    def _send(self, client: Client, reply: bytes) -> None:
        if client.connection.fileno() not in self._clients:
            return
        client.is_answered = True
        client.reply = reply
        client.deadline = time.monotonic() + (QUESTION if client.is_question else PATIENCE)
        try:
            self._write(client)
        except BlockingIOError:
            self._poll.modify(client.connection, select.POLLOUT)
        except OSError:
            if client.task is not None:
                self._claims.abandoned(client.task)
            self._drop(client)

    def _write(self, client: Client) -> None:
        """Write what has room. The client closes the connection when it has read everything."""
        sent = client.connection.send(client.reply)
        client.reply = client.reply[sent:]
        if client.reply:
            self._poll.modify(client.connection, select.POLLOUT)
        else:
            client.is_sent = True
            self._poll.modify(client.connection, select.POLLIN)

    def _handle(self, client: Client, parts: "list[str]") -> None:
        fields = dict(part.partition("=")[::2] for part in parts[1:])
        handlers = {
            "claim": self._claim,
            "counts": self._tell_counts,
            "ended": self._ended,
            "history": self._history,
            "status": self._ask_status,
        }
        handler = handlers.get(parts[0])
        try:
            if handler is None:
                raise ValueError(f'unknown request "{parts[0][:20]}"')
            handler(client, fields)
        except ValueError as error:
            self._reply(client, WRONG, f"not understood: {error}")

    def _claim_of(self, fields: "dict[str, str]") -> Claim:
        names = {name: fields.get(name, "") for name in ("cluster", "job", "fire", "token")}
        for name, value in names.items():
            if not 0 < len(value) <= MAX_TEXT or not value.isprintable():
                raise ValueError(f"{name} is not 1 to {MAX_TEXT} printable characters")
        window = _number(fields.get("window", "0"), 0, MAX_SECONDS)
        command = log.one_line(fields.get("command", "")[:MAX_TEXT]) if names["job"].startswith("~") else ""
        return Claim(**names, user="", node=self._claims.node, at=int(time.time()), window=int(window), command=command)

    def _claim(self, client: Client, fields: "dict[str, str]") -> None:
        wanted = self._claim_of(fields)
        wait = _number(fields.get("wait", ""), 0, MAX_SECONDS)
        if not self._may_go_on(client):
            self._counts.add(client, wanted.cluster, UNKNOWN)
            self._reply(client, UNKNOWN, f"too many claims of this user: {MORE_PER_SECOND:g} a second are taken")
            return
        # The answer has to come before the client has ceased to wait for it.
        client.deadline = time.monotonic() + max(0.0, wait - max(0.05, min(1.0, wait / 20)))
        client.task = Task(wanted, client.uid, client.deadline, self._done)
        self._waiting[client.task] = client
        self._claims.put(client.task)
        self._claims.clean(wanted.cluster)

    def _may_go_on(self, client: Client) -> bool:
        """Return whether a user has not claimed and reported too much lately, and count one more."""
        if client.uid == 0:
            return True
        now = time.monotonic()
        left, then = self._left.get(client.uid, (MOST_AT_ONCE, now))
        left = min(MOST_AT_ONCE, left + (now - then) * MORE_PER_SECOND)
        self._left[client.uid] = (max(0.0, left - 1), now) if left >= 1 else (left, now)
        if len(self._left) > MOST_USERS:
            self._left = {uid: each for uid, each in self._left.items() if self._claims.is_known(uid)}
        return left >= 1

    def _done(self, task: Task, holder: Holder) -> None:
        """Take the engine's answer. Called by the thread that has it."""
        self._answers.append((task, holder))
        self._wake_up()

    def _wake_up(self) -> None:
        try:
            os.write(self._woken, b".")
        except OSError:
            pass  # it is full of such bytes

    def _take_answers(self) -> None:
        while self._answers:
            whose, answer = self._answers.popleft()
            if whose is None:
                self._tell_status(answer if isinstance(answer, bytes) else b"\n")
                continue
            if isinstance(whose, Client):
                whose.is_asked = False
                if whose.connection.fileno() < 0:
                    self._questions.discard(whose)
                self._send(whose, answer if isinstance(answer, bytes) else b"\n")
                continue
            client = self._waiting.pop(whose, None)
            if not isinstance(answer, Holder):
                continue
            if client is None:
                # It has ceased to wait between the thread's last look and now.
                if answer.token == whose.claim.token:
                    self._claims.abandoned(whose)
                continue
            if answer.token == whose.claim.token:
                self._remember(whose)
                self._counts.add(client, whose.claim.cluster, MINE)
                self._reply(client, MINE)
            else:
                self._counts.add(client, whose.claim.cluster, OTHER)
                client.task = None
                self._reply(client, OTHER, answer.node, str(answer.since))

    def _remember(self, task: Task) -> None:
        won = task.claim
        self._won[task.uid, won.cluster, won.job, won.token] = won
        while len(self._won) > REMEMBERED:
            self._won.popitem(last=False)

    def _ended(self, client: Client, fields: "dict[str, str]") -> None:
        wanted = self._claim_of(fields)
        if wanted.fire == claim.ANY_FIRE:
            # A service's end is reported by another process than its start.
            wanted = self._won.pop((client.uid, wanted.cluster, wanted.job, wanted.token), wanted)
        status = int(_number(fields.get("exit", ""), 0, 255))
        duration = _number(fields.get("duration", ""), 0, 1e9)
        if not self._may_go_on(client):
            self._reply(client, UNKNOWN, f"too many ends of this user: {MORE_PER_SECOND:g} a second are taken")
        elif self._claims.ended(wanted, client.uid, status, duration):
            self._reply(client, MINE)
        else:
            self._reply(client, UNKNOWN, "too many ends wait for the engine")

    def _tell_counts(self, client: Client, fields: "dict[str, str]") -> None:
        cluster = fields.get("cluster", "")
        if not cluster:
            raise ValueError("no cluster")
        found = self._counts.of(cluster[:MAX_TEXT], client.uid)
        if found is None:
            self._reply(client, UNKNOWN, "this cluster's claims are not counted")
        else:
            self._reply(client, "ok", *found)

    def _ask_status(self, client: Client, _fields: "dict[str, str]") -> None:
        then, status = self._status
        if time.monotonic() - then < STATUS_AGE:
            self._send(client, status)
            return
        client.deadline = time.monotonic() + QUESTION
        client.is_answered = True
        self._status_askers[client] = None
        if self._is_status_asked:
            return  # somebody asks already
        self._is_status_asked = True

        def ask() -> None:
            began = time.monotonic()
            try:
                words = self._claims.engine.check()
                took = f"{1000 * (time.monotonic() - began):.0f} ms"
                parts = ["ok", f"{self._engine_name}, {words}, {took}"]
            except EngineError as error:
                parts = ["failed", f"{self._engine_name}: {error}"]
            except Exception as error:  # of whatever the engine has answered: those who ask must be told
                parts = ["failed", f"{self._engine_name}: {type(error).__name__}: {error}"]
            self._answers.append((None, _line(parts)))
            self._wake_up()

        self._claims.status(ask)

    def _tell_status(self, line: bytes) -> None:
        self._status = (time.monotonic(), line)
        self._is_status_asked = False
        askers, self._status_askers = self._status_askers, {}
        for asker in askers:
            self._send(asker, line)

    def _history(self, client: Client, fields: "dict[str, str]") -> None:
        limit = int(_number(fields.get("limit", "100"), 1, MOST_RUNS))
        cluster, job, before = (fields.get(name, "") for name in ("cluster", "job", "before"))
        if not cluster:
            raise ValueError("no cluster")
        if not f"{cluster}{job}{before}".isprintable():
            raise ValueError("cluster, job or before is not printable")  # as in a claim: an engine may be a program
        asked = [each.uid for each in self._questions]
        if asked.count(client.uid) >= MOST_QUESTIONS:
            self._reply(client, UNKNOWN, f"{MOST_QUESTIONS} questions of this user are being answered; ask again")
            return
        if client.uid and len(asked) - asked.count(0) >= MOST_QUESTIONS_OF_ALL:
            self._reply(client, UNKNOWN, f"{MOST_QUESTIONS_OF_ALL} questions are being answered; ask again")
            return
        client.deadline = time.monotonic() + QUESTION
        client.is_answered = client.is_question = client.is_asked = True
        self._questions.add(client)

        def ask() -> None:
            try:
                if client.connection.fileno() < 0:
                    raise EngineError("nobody waits for it any more")
                user = "" if client.uid == 0 else self._claims.user(client.uid)
                runs = self._claims.engine.history(cluster, user, job, limit, before)
                rows = [_row(run) for run in runs if _is_shown(run, user, job)]
                # The last cursor is that of a run which may not be shown.
                head = {"rows": len(rows), "more": runs[-1].cursor if len(runs) >= limit else ""}
                # As it stands, a letter takes 4 bytes at most; as an escape up to 12, and a page has room for so many.
                reply = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [head, *rows])
            except EngineError as error:
                reply = json.dumps({"error": str(error)}) + "\n"
            except Exception as error:  # of whatever the engine has answered: whoever asks must be told
                reply = json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n"
            self._answers.append((client, reply.encode("utf-8", "backslashreplace")))
            self._wake_up()

        self._claims.question(ask)

    def _cut_off(self, now: float) -> None:
        for client in [client for client in self._clients.values() if client.deadline <= now]:
            if client.task is not None and not client.is_answered:
                task, client.task = client.task, None
                self._waiting.pop(task, None)
                self._claims.give_up(task)
                self._counts.add(client, task.claim.cluster, UNKNOWN)
                self._reply(client, UNKNOWN, task.reason)
            else:
                self._drop(client)


def _line(parts: "Iterable[str]") -> bytes:
    """Return the parts of an answer as the one line that a client takes."""
    line = "\0".join(log.one_line(part) for part in parts)
    return line.encode("utf-8", "backslashreplace")[: MAX_LINE - 1] + b"\n"


def _row(run: Run) -> "dict[str, object]":
    """Return what is shown of a run: no more of each text than an agent takes, whoever has written it."""
    return {name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in run._asdict().items()}


def _is_shown(run: Run, user: str, job: str) -> bool:
    return run.user != "~" and (not user or run.user == user) and (not job or run.job == job)


def _number(text: str, low: float, high: float) -> float:
    plain = text.replace(".", "", 1)
    if not (plain.isascii() and plain.isdecimal() and len(text) <= 16) or not low <= float(text) <= high:
        raise ValueError(f'"{text[:20]}" is not a number from {low:g} to {high:g}')
    return float(text)


class Place(NamedTuple):
    """Where the socket is: its path, and which file that is."""

    path: str
    device: int
    inode: int

    def is_there(self) -> bool:
        """Return whether it is still there, or this process may not know."""
        try:
            found = os.lstat(self.path)  # the folder's owner may put a link there, to a server that does not answer
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return (found.st_dev, found.st_ino) == (self.device, self.inode)


def listen(folder: str) -> "tuple[socket.socket, Place]":
    """Make the socket that every user may connect to.

    Args:
        folder: The state file's, with a slash at its end.

    Returns:
        The listening socket, and its place.

    Raises:
        FileExistsError: Another agent answers there.
        OSError: It cannot be made.
    """
    path = folder + claim.SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE)  # a socket of the folder's owner's, on which nobody accepts, is nobody's answer
        try:
            claim.reach(probe, path)
        except OSError:
            pass
        else:
            raise FileExistsError(17, "another rcron-agent answers there", path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    new = f"{path}.new"
    try:
        os.unlink(new)
    except FileNotFoundError:
        pass
    # Every user may ask, from the start: a chmod would follow what the folder's owner, who may be a feeder's user, has
    # put in the socket's place.
    before = os.umask(0o111)
    try:
        listener.bind(new)
    finally:
        os.umask(before)
    listener.listen(MOST)
    found = os.lstat(new)
    os.rename(new, path)
    return listener, Place(path, found.st_dev, found.st_ino)
