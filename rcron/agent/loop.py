# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The agent's loop: it waits, hears what hooks and daemons say, has questions asked, and hands the answers on.

Nothing may block it. A question runs in its cluster's own thread, one at a time; whoever hangs there harms no other
cluster, and its own turns stale.
"""

import _socket
import collections
import os
import select
import signal
import threading
import time
from typing import NamedTuple

from rcron import ask, feed, files, log, settings
from rcron.agent import clusters
from rcron.agent.answer import Answer, boottime
from rcron.agent.clusters import Cluster, SecondFeederError
from rcron.agent.keeper import Keeper
from rcron.agent.notify import Notifier
from rcron.agent.store import Store
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import PASSIVE, Config, ConfigError

#: How long the loop sleeps at most, in seconds: a gap in its schedule is noticed this exactly.
TICK = 0.25

#: How often the clusters' files are looked at, in seconds.
LOOK = 2.0

#: How long the agent waits at its end until everything is given back, in seconds.
PARTING = 3.0

#: How much of an answer's words is kept, in bytes: the record holds them twice, and nothing reads a longer one.
MAX_WORDS = 1500

#: How many datagrams of one cluster's hooks are read at a time.
MOST = 16


class Asker(threading.Thread):
    """A thread that asks one daemon, a question at a time.

    Args:
        name: The cluster's.
        truth: What asks.
        answers: Where each answer goes.
        wake: The pipe that has the loop look there.
    """

    def __init__(self, name: str, truth: Truth, answers: "collections.deque[tuple[Asker, Answer]]", wake: int) -> None:
        super().__init__(name=name, daemon=True)
        self._truth = truth
        self._answers = answers
        self._wake = wake
        self._wanted = threading.Semaphore(0)
        self._is_over = False
        self._is_to_leave = False

    def put(self) -> None:
        """Have the next question asked. Returns at once."""
        self._wanted.release()

    def end(self) -> None:
        """End the thread, after the question that it may be asking."""
        self._is_over = True
        self._wanted.release()

    def leave(self) -> None:
        """End the thread likewise, and have given back what makes the node active."""
        self._is_to_leave = True
        self.end()

    def run(self) -> None:
        """Ask whenever `put` is called."""
        while True:
            self._wanted.acquire()
            if self._is_over:
                if self._is_to_leave:
                    self._leave()
                self._truth.close()
                return
            moment = boottime()
            try:
                answer = self._truth.ask()
            except OSError as error:
                answer = cannot_tell(f"cannot be asked: {error.strerror or error}", moment)
            except Exception as error:
                # Whatever it is, the other clusters still need their agent, and this one's state turns stale.
                answer = cannot_tell(f"cannot be asked: {type(error).__name__}: {error}", moment)
            # What an engine or another host has said must keep neither the loop busy nor the record from being read.
            self._answers.append((self, answer._replace(words=_shortened(answer.words))))
            try:
                os.write(self._wake, b".")
            except OSError:
                pass  # the pipe is full of such bytes, or the agent is ending

    def _leave(self) -> None:
        try:
            self._truth.leave()
        except Exception as error:
            log.warning(None, f"agent: {self.name}: not given back, and ends by itself: {error}")


class Served(NamedTuple):
    """What belongs to one cluster. mtimes: those of the files that it was read from."""

    cluster: Cluster
    keeper: Keeper
    asker: Asker
    socket: "_socket.socket"
    versions: "tuple[tuple[int, int, int], ...]"


class Loop:
    """Serves all clusters of a folder until TERM.

    Args:
        folder: Where the clusters' files are.
    """

    def __init__(self, folder: str = clusters.FOLDER) -> None:
        self._folder = folder
        self._served: "dict[str, Served]" = {}
        self._refused: "dict[str, str]" = {}
        self._second: "dict[str, Config]" = {}
        self._answers: "collections.deque[tuple[Asker, Answer]]" = collections.deque()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._descriptors: "dict[int, list[Served]]" = {self._wake: []}
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._is_over = False
        self._is_to_read = True
        self._notifier = Notifier()

    def run(self) -> None:
        """Serve until TERM or INT; HUP has the clusters' files read anew."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, self._reread)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        os.makedirs(settings.RUNTIME, exist_ok=True)
        os.chmod(settings.RUNTIME, files.FOLDER_MODE)
        seen = boottime()
        looked = seen - LOOK
        clock = time.time() - seen
        while not self._is_over:
            now = boottime()
            if self._is_to_read or now - looked >= LOOK:
                self._read_files(now)
                looked = now
            self._follow_descriptors()
            self._notifier.alive(now)
            ready = self._poll.poll(self._pause(now) * 1000)
            now = boottime()
            # What came before anything else is what may no longer be true.
            gap = now - seen - TICK
            seen = now
            offset = time.time() - now
            for served in list(self._served.values()):
                served.keeper.gap(gap, now)
            for fd, _events in ready:
                self._hear(fd, now)
            self._take_answers()
            for served in list(self._served.values()):
                self._serve(served, boottime())
                if abs(offset - clock) > 0.5:
                    served.keeper.clock_was_set(boottime())
            clock = offset
        self._notifier.stopping()
        # All are passive before the first has to wait for the network.
        parting = [self._part(name).asker for name in list(self._served)]
        deadline = boottime() + PARTING
        for asker in parting:
            asker.join(max(0.0, deadline - boottime()))

    def _reread(self, *_: object) -> None:
        self._is_to_read = True

    def _end(self, *_: object) -> None:
        self._is_over = True

    def _pause(self, now: float) -> float:
        dues = [served.keeper.awaited for served in self._served.values()]
        return max(0.0, min([TICK, *(due - now for due in dues)]))

    def _serve(self, served: Served, now: float) -> None:
        served.keeper.tick(now)
        if served.keeper.due <= now:
            served.keeper.asked(now)
            served.asker.put()

    def _hear(self, fd: int, now: float) -> None:
        if fd == self._wake:
            os.read(self._wake, 4096)
        for served in self._descriptors.get(fd, []):
            if fd == served.socket.fileno():
                for answer in _datagrams(served.socket, now):
                    served.keeper.event(answer, now)
                continue
            try:
                answers = served.keeper.truth.hear()
            except (OSError, ValueError) as error:
                answers = [cannot_tell(f"cannot be heard: {error}", now)]
            for answer in answers:
                if answer.state is None:
                    served.keeper.ask_soon(now)
                else:
                    served.keeper.take(answer, now)

    def _take_answers(self) -> None:
        while self._answers:
            asker, answer = self._answers.popleft()
            served = self._served.get(asker.name)
            if served is not None and served.asker is asker:
                served.keeper.answered(answer, boottime())

    def _follow_descriptors(self) -> None:
        """Poll what is open now: a daemon that is started anew makes its FIFO anew."""
        wanted: "dict[int, list[Served]]" = {self._wake: []}
        for served in self._served.values():
            for fd in (served.socket.fileno(), served.keeper.truth.descriptor()):
                if fd >= 0:
                    # Clusters that follow the same daemon may share what they hear it by.
                    wanted.setdefault(fd, []).append(served)
        for fd in self._descriptors.keys() - wanted.keys():
            self._poll.unregister(fd)
        for fd in wanted.keys() - self._descriptors.keys():
            self._poll.register(fd, select.POLLIN)
        self._descriptors = wanted

    def _read_files(self, now: float) -> None:
        """Begin to serve clusters whose files are new or have changed; cease to serve those whose files are gone."""
        self._is_to_read = False
        files = clusters.found_in(self._folder)
        for name in self._served.keys() - files.keys():
            _forget(self._part(name).cluster.config)
        for name in self._refused.keys() - files.keys():
            self._accept(name)
        for name, path in files.items():
            served = self._served.get(name)
            if served is None or served.versions != _versions(
                path, served.cluster.config.path, *served.keeper.truth.files
            ):
                self._begin(name, path, now)

    def _begin(self, name: str, path: str, now: float) -> None:
        try:
            conf = clusters.load(name, path).config.path
            # Read once more after this: what is written later will be seen by the next look.
            versions = _versions(path, conf)
            cluster = clusters.load(name, path)
            state_file = cluster.config.state_file
            for other in self._served.values():
                if other.cluster.name != name and other.cluster.config.state_file == state_file:
                    raise ConfigError(f"{path}: state_file {state_file} is {other.cluster.name}'s too; choose another")
            truth = clusters.truth_of(cluster)
        except SecondFeederError as error:
            self._refuse_feeder(name, error)
            return
        except (ConfigError, OSError) as error:
            self._refuse(name, str(error))
            return
        versions += _versions(*truth.files)
        asker = Asker(name, truth, self._answers, self._woken)
        try:
            asker.start()
        except RuntimeError as error:
            # A user may have started as many processes as there can be: it is tried again at the next look.
            truth.close()
            self._refuse(name, f"{path}: {error}")
            return
        store = Store(cluster.config, cluster.feeder)
        try:
            socket = _listen(cluster.config.agent_file("ask"), store.owner)
        except OSError as error:
            # Such as no room, which a feeder's user may have filled: the other clusters need their agent.
            asker.end()
            self._refuse(name, f"{cluster.config.agent_file('ask')}: cannot be made: {error.strerror}")
            return
        self._accept(name)
        if name in self._served:
            old = self._drop(name).cluster.config
            if old.state_file != state_file:
                _forget(old)
        keeper = Keeper(cluster.config, cluster.feeder, truth, store, now)
        self._served[name] = Served(cluster, keeper, asker, socket, versions)

    def _refuse(self, name: str, why: str) -> None:
        """Do not serve a cluster. If it was served, it goes on as it was: an editor may have half written the file."""
        if self._refused.get(name) != why:
            self._refused[name] = why
            log.warning(None, f"agent: {why}; {'goes on as before' if name in self._served else 'not served'}")

    def _refuse_feeder(self, name: str, error: SecondFeederError) -> None:
        """Do not ask a feeder that is not the cluster's, nor go on with it; note it for `rcronctl status`."""
        if name in self._served:
            _forget(self._part(name).cluster.config)
        self._refuse(name, str(error))
        self._second[name] = error.config
        if feed.read_refusal(error.config) is None:
            try:
                feed.note_refusal(error.config, error.feeder, f"rcron-agent: {name}{clusters.SUFFIX}")
            except OSError:
                pass  # tried again at the next look; the log has it

    def _accept(self, name: str) -> None:
        """Forget why a cluster was not served."""
        self._refused.pop(name, None)
        config = self._second.pop(name, None)
        if config is not None:
            try:
                os.unlink(config.refusal_file)
            except OSError:
                pass  # it is not there any more, or the next feeder_name ends it

    def _part(self, name: str) -> Served:
        """Cease to serve a cluster, and give back what can be given back, as far as the node is passive then."""
        served = self._served[name]
        if served.keeper.truth.leaves and served.keeper.leave(boottime()):
            served.asker.leave()
        return self._drop(name)

    def _drop(self, name: str) -> Served:
        """Cease to serve a cluster. Its state stays as it is, and an `active` turns stale."""
        served = self._served.pop(name)
        served.asker.end()
        served.socket.close()
        return served


def _shortened(words: str) -> str:
    return log.one_line(words[:MAX_WORDS]).encode()[:MAX_WORDS].decode("utf-8", "ignore")


def _forget(config: Config) -> None:
    """Leave nothing of a cluster that no daemon feeds any more in the agent's folder."""
    for kind in ("ask", "passive", "token", "term"):
        try:
            os.unlink(config.agent_file(kind))
        except OSError:
            pass


def _versions(*paths: str) -> "tuple[tuple[int, int, int], ...]":
    """What tells a file from the one that was there before."""
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _listen(path: str, owner: "tuple[int, int]") -> "_socket.socket":
    """Make the socket that a cluster's hooks write to, which is the feeder's user's alone."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    new = f"{path}.new"
    try:
        os.unlink(new)
    except FileNotFoundError:
        pass
    socket.bind(new)
    os.chmod(new, 0o600)
    if os.geteuid() == 0:
        os.chown(new, *owner)
    os.rename(new, path)
    return socket


def _datagrams(socket: "_socket.socket", now: float) -> "list[Answer]":
    """Read what hooks have written. Returns an Answer for each; the state of one that only says "ask" is None."""
    found = []
    for _turn in range(MOST):
        try:
            data = socket.recv(ask.MAX_DATAGRAM)
        except OSError:
            break
        word, moment, words = [*data.decode("utf-8", "replace").split(" ", 2), "", ""][:3]
        try:
            then = float(moment)
        except ValueError:
            then = now
        if not 0 <= then <= now:
            # The feeder's user may write anything there, and infinity would end the agent, which others need, too.
            then = now
        found.append(Answer(PASSIVE if word == ask.PASSIVE else None, then, words))
    return found
