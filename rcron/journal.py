# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What rcron has logged since somebody last looked: from the journal, or from syslog's files if there is none.

The journal says which user's process has logged a line, so that nobody can forge another's. A file does not.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from rcron import files

#: The files that syslog writes cron's messages to: Debian's, Red Hat's and SUSE's.
SYSLOG_FILES = ("/var/log/cron.log", "/var/log/cron", "/var/log/syslog", "/var/log/messages")

#: The longest line of a file that is read, in bytes. rcron's have about 2,100.
_LONGEST = 8192

#: The same for an entry of the journal as journalctl prints it: a number for each byte if it is not UTF-8.
_LONGEST_ENTRY = 1 << 16

#: A line of a file: rsyslog's own time format (RFC 3339), or the older one, which has no year (RFC 3164).
_SYSLOG = re.compile(
    r"(?:(?P<full>\d{4}-\d\d-\d\dT\S+)|(?P<old>[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d)) "
    r"(?P<host>\S+) rcron\[\d{1,10}\]: ?(?P<text>.*)"
)


class Line(NamedTuple):
    """A line that rcron has logged.

    Attributes:
        when (float): its time, in seconds since the epoch.
        uid (int | None): the user whose process logged it; None if the log does not say.
        text (str): the line itself.
    """

    when: float
    uid: "int | None"
    text: str


class Reader:
    """Reads on from where it stopped the last time.

    Args:
        position: the attribute `position` of the last reader, or an empty dict.
        files: syslog's files; the first one that exists is read.

    Attributes:
        position (dict[str, Any]): where the next reader begins, once `lines` has come to its end.
    """

    def __init__(self, position: "dict[str, Any]", files: "Iterable[str]" = SYSLOG_FILES) -> None:
        self.position = position
        self._files = files

    def lines(self) -> "Iterator[Line]":
        """Yield the lines since then, the oldest first: all that there are for the first time."""
        if not self._has_journal():
            yield from self._from_files()
            return
        cursor = self.position.get("cursor")
        last = self.position.get("when", 0.0)
        options = ["--after-cursor", cursor] if isinstance(cursor, str) else []
        journal = _Journal(*options)
        yield from self._follow(journal)
        if journal.has_failed and options:
            # The journal is another one since. A second may be counted twice.
            yield from self._follow(_Journal(f"--since=@{int(last)}"))

    def _has_journal(self) -> bool:
        if "cursor" in self.position:
            return True
        return any(True for _line in _Journal("--lines=1", identifier="").printed())

    def _follow(self, journal: "_Journal") -> "Iterator[Line]":
        for text in journal.printed():
            line, cursor = _parse(text)
            if cursor:
                self.position = {"cursor": cursor, "when": self.position.get("when", 0.0)}
            if line is not None:
                self.position["when"] = line.when
                yield line

    def _from_files(self) -> "Iterator[Line]":
        path = next((path for path in self._files if os.path.isfile(path)), None)
        if path is None:
            return
        inode, offset = self.position.get("inode"), self.position.get("offset")
        with open(files.open_regular(path), "rb") as stream:
            found = os.fstat(stream.fileno())
            if inode == found.st_ino and isinstance(offset, int) and offset <= found.st_size:
                stream.seek(offset)
            elif isinstance(offset, int):
                yield from self._rest_of_rotated(path, inode, offset)
                offset = 0
            for raw in _bounded(stream, _LONGEST):
                if raw[-1:] != b"\n":
                    break  # it is being written
                offset = stream.tell()
                self.position = {"inode": found.st_ino, "offset": offset}
                line = _from_file(raw)
                if line is not None:
                    yield line
            self.position = {"inode": found.st_ino, "offset": offset or 0}

    def _rest_of_rotated(self, path: str, inode: object, offset: int) -> "Iterator[Line]":
        """Yield what came into the file after we had read it, and before it was renamed."""
        for name in (f"{path}.1", *_dated(path)):
            try:
                with open(files.open_regular(name), "rb") as stream:
                    if os.fstat(stream.fileno()).st_ino != inode:
                        continue
                    stream.seek(offset)
                    for raw in _bounded(stream, _LONGEST):
                        self.position = {"inode": inode, "offset": stream.tell()}
                        line = _from_file(raw)
                        if line is not None:
                            yield line
            except OSError:
                continue  # compressed or removed meanwhile: those lines are lost
            return


class _Journal:
    """One journalctl.

    Attributes:
        has_failed (bool): whether it has ended with an error.
    """

    def __init__(self, *options: str, identifier: str = "--identifier=rcron") -> None:
        fields = "--output-fields=MESSAGE,_UID"
        # Without --all, a MESSAGE of more than 4,096 bytes is null: anybody may log hundreds of megabytes.
        given = ["journalctl", "--quiet", "--no-pager", "--output=json", fields, identifier, *options]
        self._command = [word for word in given if word]
        self.has_failed = False

    def printed(self) -> "Iterator[bytes]":
        """Yield its lines, and none if there is no systemd."""
        try:
            with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                yield from _bounded(process.stdout, _LONGEST_ENTRY) if process.stdout else ()
        except OSError:
            return
        self.has_failed = process.returncode != 0


def _bounded(stream: "IO[bytes]", longest: int) -> "Iterator[bytes]":
    """Yield the lines of a stream, and skip those that are too long: whoever wrote them does not decide about memory.

    Args:
        stream: the stream.
        longest: the length of the longest line that is yielded, in bytes.
    """
    line = stream.readline(longest + 1)
    while line:
        if len(line) <= longest:
            yield line
        else:
            while line and line[-1:] != b"\n":
                line = stream.readline(longest + 1)
        line = stream.readline(longest + 1)


def _parse(printed: bytes) -> "tuple[Line | None, str]":
    """Read an entry of the journal. Returns the line, and the entry's cursor."""
    try:
        found = json.loads(printed)
        text = found["MESSAGE"]
        if isinstance(text, list):  # bytes that are not UTF-8
            text = bytes(text).decode("utf-8", "backslashreplace")
        # journald itself notes the user of the process that wrote to it.
        line = Line(int(found["__REALTIME_TIMESTAMP"]) / 1e6, int(found["_UID"]), str(text))
        return line, str(found["__CURSOR"])
    except (KeyError, TypeError, ValueError):
        return None, ""


def _from_file(raw: bytes) -> "Line | None":
    if b" rcron[" not in raw or len(raw) > _LONGEST:
        return None
    match = _SYSLOG.fullmatch(raw.decode("utf-8", "backslashreplace").rstrip("\n"))
    if match is None or match["host"].partition(".")[0] != os.uname().nodename.partition(".")[0]:
        return None  # a host may collect the lines of others
    when = _moment(match["full"], match["old"])
    return None if when is None else Line(when, None, match["text"])


def _moment(full: "str | None", old: "str | None") -> "float | None":
    import datetime

    try:
        if full:
            return datetime.datetime.fromisoformat(full[:-1] + "+00:00" if full.endswith("Z") else full).timestamp()
        now = datetime.datetime.now()
        for year in (now.year, now.year - 1):
            found = datetime.datetime.strptime(f"{year} {old}", "%Y %b %d %H:%M:%S")
            if found <= now + datetime.timedelta(days=1):
                return found.timestamp()
    except (ValueError, OverflowError):
        pass
    return None


def _dated(path: str) -> "list[str]":
    """Return the names that logrotate's dateext gives, the newest first."""
    folder, name = os.path.split(path)
    try:
        found = [each for each in os.listdir(folder) if re.fullmatch(re.escape(name) + r"-\d{8,10}", each)]
    except OSError:
        return []
    return [os.path.join(folder, each) for each in sorted(found, reverse=True)]
