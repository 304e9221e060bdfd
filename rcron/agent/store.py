# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The files of one cluster as the agent writes them.

They are the state, the record beside it, and the substitute for a state that cannot be written.
Everything here is done by name, without following links: the state's folder may be another user's.
"""

import errno
import fcntl
import os
import stat
import time

from rcron import feed, files, pin, state
from rcron.agent.answer import UNKNOWN, Answer, boottime
from rcron.settings import ACTIVE, PASSIVE, Config

#: What a state file may hold beside `active` and `passive`: an `active` that is too old, and nothing of use.
STALE = "stale"
BROKEN = "broken"

#: How long the record of an answer gives way to who holds the lock, in seconds. Hooks hold it for some milliseconds.
PATIENCE = 1.0


class Store:
    """Reads and writes the state of one cluster.

    Args:
        config: The cluster's settings.
        feeder: The feeder's name, for the record.
        owner: User and group of the state's folder, for the day when it has to be made anew. What the folder itself
            says, while it is there, counts more.
    """

    def __init__(self, config: Config, feeder: str, owner: "tuple[int, int]" = (0, 0)) -> None:
        self._config = config
        self._feeder = feeder
        self._folder = os.path.dirname(config.state_file)
        self._owner = owner
        self._mode = files.FOLDER_MODE
        self._written: "tuple[str | None, str] | None" = None
        #: The state that an answer has made, and that could not be noted.
        self._untold: "str | None" = None
        #: Since when the record waits for the lock; 0 if it does not.
        self._waits_since = 0.0
        self.look_at_folder()

    @property
    def owner(self) -> "tuple[int, int]":
        """User and group of the state's folder."""
        return self._owner

    def look_at_folder(self) -> None:
        """Remember whose the state's folder is."""
        try:
            found = os.stat(self._folder)
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode):
            self._owner = (found.st_uid, found.st_gid)
            self._mode = stat.S_IMODE(found.st_mode)

    def word(self) -> str:
        """Return what the file holds: `active`, `passive`, STALE, or BROKEN for what no job would go by."""
        found = state.from_file(self._config)
        if found.source == state.STALE:
            return STALE
        return found.state if found.source == state.FILE else BROKEN

    def watched(self) -> "float | None":
        """Return when the `active` that the file holds was last confirmed, in seconds of `boottime`.

        Returns:
            That moment, or None if the file holds no `active`, or a stale one. Of a `passive` it is not known whether
            the daemon said so, or the agent after a gap.
        """
        found = state.from_file(self._config)
        if found.source != state.FILE or found.state != ACTIVE or found.written is None:
            return None
        return boottime() - (time.time() - found.written)

    def record(self) -> "feed.Record | None":
        """Return the record of this boot, whoever wrote it; None if there is none."""
        found = feed.read_record(self._config)
        if found is None or found.boot != pin.boot_id() or found.moment > feed.Moment.now():
            return None
        return found

    def write_passive(self) -> None:
        """Make the node passive in the state file, in its place if it cannot be replaced, and make a lost folder anew.

        Waits for nobody.

        Raises:
            OSError: The state file cannot be written. `veto` can do then, until it can.
        """
        if self.word() == PASSIVE:
            return
        try:
            feed.write_state(self._config, PASSIVE)
        except FileNotFoundError:
            self._make_folder()
            feed.write_state(self._config, PASSIVE)

    def write_active(self, answer: Answer, patient: bool = True) -> bool:
        """Make the node active in the state file, unless a hook has spoken since the answer's question was put.

        Args:
            answer: The daemon's.
            patient: Whether to give way to whoever holds the lock.

        Returns:
            Whether the node is active now. If not, ask again.

        Raises:
            BlockingIOError: Somebody else holds the lock.
            OSError: The state file cannot be written.
        """
        try:
            fd = self._lock(patient)
        except FileNotFoundError:
            self._make_folder()
            fd = self._lock(patient)
        try:
            if self.is_overtaken(answer):
                return False
            feed.write_state(self._config, ACTIVE)
            self._set_time(self._config.state_file, answer.moment)
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def renew(self, answer: Answer) -> None:
        """Say that the daemon has confirmed the `active` that the file holds.

        Args:
            answer: The daemon's, whose moment becomes the file's time.

        Raises:
            OSError: The file's time cannot be set.
        """
        self._set_time(self._config.state_file, answer.moment)

    def is_overtaken(self, answer: Answer) -> bool:
        """Return whether a hook has spoken since a question was put.

        Args:
            answer: The one to that question.

        Returns:
            Whether the hook counts and the answer does not.
        """
        record = self.record()
        if record is None or record.pid == os.getpid():
            return False
        return self._moment(answer.moment).ticks <= record.moment.ticks

    def note(self, answer: Answer, became: "str | None") -> None:
        """Write the record of an answer. Failing is no harm to the state: it is tried again with the next answer.

        Args:
            answer: The daemon's.
            became: The state, if the answer changed it.

        Raises:
            OSError: The record cannot be written.
        """
        path = self._config.record_file
        if became is None and answer.state == self._untold:
            became = self._untold
        if became is None and self._written == (answer.state, answer.words):
            old = self.record()
            if old is not None and old.pid == os.getpid():
                self._set_time(path, answer.moment)
                return
        fd = self._lock_for_record()
        if fd is None:
            # What a hook writes at this moment must not be lost. The next answer is noted.
            self._untold, self._written = became, None
            return
        try:
            old = self.record()
            changed = became is not None or old is None
            event = answer.words if changed or old is None else old.event
            since = time.time() if changed or old is None else old.since
            moment = self._moment(answer.moment)
            if old is not None and old.moment > moment:
                moment = old.moment
            record = feed.Record(self._feeder, event, since, moment)
            record.boot = pin.boot_id()
            record.set_feeding_process(os.getpid())
            record.answer = answer.state or UNKNOWN
            record.words = answer.words
            files.replace(path, feed.record_text(record))
        finally:
            if fd >= 0:
                os.close(fd)
        self._untold = None
        self._written = (answer.state, answer.words)
        self._set_time(path, answer.moment)

    def _lock_for_record(self) -> "int | None":
        """Hold off the hooks. Returns the lock's descriptor, None while another has it; -1 if that is for too long."""
        now = boottime()
        try:
            fd = self._lock(patient=True)
        except BlockingIOError:
            self._waits_since = self._waits_since or now
            return None if now - self._waits_since < PATIENCE else -1
        except OSError:
            fd = -1  # what is wrong there is for those to say who need the lock
        self._waits_since = 0.0
        return fd

    def veto(self) -> None:
        """Make the node passive beside a state file that cannot be written. Raises OSError."""
        path = self._config.agent_file("passive")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))

    def lift_veto(self) -> None:
        """Let the state file count again. Raises OSError."""
        try:
            os.unlink(self._config.agent_file("passive"))
        except FileNotFoundError:
            pass

    def has_veto(self) -> bool:
        """Return whether the node is passive whatever the state file says."""
        return os.path.lexists(self._config.agent_file("passive"))

    @staticmethod
    def _moment(seconds: float) -> "feed.Moment":
        return feed.Moment(int(seconds * os.sysconf("SC_CLK_TCK")), os.getpid())

    @staticmethod
    def _set_time(path: str, moment: float) -> None:
        """Set a file's time to a moment of `boottime`."""
        then = time.time() - (boottime() - moment)
        os.utime(path, (then, then), follow_symlinks=False)

    def _make_folder(self) -> None:
        os.makedirs(os.path.dirname(self._folder), mode=0o755, exist_ok=True)
        try:
            os.mkdir(self._folder, 0o700)
        except FileExistsError:
            return
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(fd, self._mode)
            if os.geteuid() == 0:
                os.fchown(fd, *self._owner)
        finally:
            os.close(fd)

    def _lock(self, patient: bool) -> int:
        """Hold off whoever else would make the node active. Returns the lock's descriptor, -1 if there is no room."""
        path = self._config.state_file + ".lock"
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_CREAT
        try:
            fd = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return -1
            raise
        try:
            feed.give_lock(fd, self._owner)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patient:
                os.close(fd)
                raise
        except BaseException:
            os.close(fd)
            raise
        return fd
