# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The prefixed entries of a node's crontabs, and which log lines are theirs: for `rcronctl metrics`.

The collection's own reader of crontabs rewrites them and is exact. This one only recognizes what rcron logs: it reads
an entry's words as a shell would, with a gap for what only a shell knows.
"""

import errno
import hashlib
import itertools
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rcron import __main__ as command_line
from rcron import claim, files, log

#: Where cron keeps the users' crontabs: Debian's, Red Hat's, SUSE's.
SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs")

#: The largest crontab, in bytes.
MAX_BYTES = 1 << 20

#: A name in /etc/cron.d that editors and packages leave, which no cron reads.
_LEFT = re.compile(r"\..*|.*(~|\.(dpkg-[a-z]+|rpm(save|new|orig)|swp|cfsaved)|,v)", re.DOTALL)

_SETTING = re.compile(r"""[ \t]*("[^"]*"|'[^']*'|[^\s="']+)[ \t]*=[ \t]*(.*)""")
_SCHEDULE = re.compile(r"[ \t]*-?(@[A-Za-z0-9-]+|[^ \t#@-][^ \t]*(?:[ \t]+[^ \t]+){4})[ \t]+")
_USER = re.compile(r"([^ \t]+)[ \t]+")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-]|\{[A-Za-z_][A-Za-z0-9_]*\})")
_NAME = "#Ansible: "

#: How many entries with gaps one user's log lines are compared with, all in all. Whoever has thousands of both, such as
#: ten thousand of each, which would take minutes, is not counted any more, and nobody else.
MOST_COMPARED = 1_000_000

#: What a line costs beside its comparisons: it is kept.
_COST = 100

#: How many entries of a user's own crontab count, root's excepted, and how much of a name, in characters: what is known
#: of all entries has to fit into one file of counters.
MOST_OF_ONE = 2000
_LONGEST_NAME = 200

#: Stands for what only a shell knows. A crontab cannot hold it.
GAP = "\0"


class Entry(NamedTuple):
    """A prefixed entry.

    Attributes:
        name (str): what ansible.builtin.cron wrote above it, with the user behind it if the crontab is a user's other
            than root; else its user and a digest of its command: arguments may be secret.
        conf (str): the configuration that it names.
        user (str): who runs it.
        uid (int): the same as a number.
        command (str): what rcron logs for it, with GAP for what only a shell knows.
        schedule (str): its fields, or a word that begins with `@`.
        zone (str): the time zone that its crontab sets with CRON_TZ, or an empty string.
        takeover_wait (int | None): seconds, or None for the configuration's value.
        crontab (str): the file.
        line (int): the line in it, counted from 1.
        claim (str | None): `off`, `required` or `preferred`, or None for the configuration's value.
        job (str): the name under which its runs are claimed by their minutes; an empty string if they are claimed
            otherwise, or if only a shell knows it.
    """

    name: str
    conf: str
    user: str
    uid: int
    command: str
    schedule: str
    zone: str
    takeover_wait: "int | None"
    crontab: str
    line: int
    claim: "str | None" = None
    job: str = ""


def find(spools: "Iterable[str]" = SPOOLS, etc: str = "/etc") -> "list[Entry]":
    """Read every crontab of this node.

    Args:
        spools: the folders of the users' crontabs.
        etc: the folder of `crontab` and `cron.d`.

    Returns:
        The prefixed entries. Of two that root has given the same name, but different users, each is called
        `NAME (USER)`, as those in the users' own crontabs are.

    Raises:
        OSError: a crontab cannot be read.
    """
    found: "list[Entry]" = []
    for path, user in crontabs(spools, etc):
        own = entries(read(path), path, user)
        found += own if user in (None, "root") else itertools.islice(own, MOST_OF_ONE)
    users: "dict[tuple[str, str], set[str]]" = {}
    for entry in found:
        if not entry.name.endswith(f" ({entry.user})"):
            users.setdefault((entry.conf, entry.name), set()).add(entry.user)
    return [
        entry._replace(name=f"{entry.name} ({entry.user})")
        if len(users.get((entry.conf, entry.name), ())) > 1 and not entry.name.endswith(f" ({entry.user})")
        else entry
        for entry in found
    ]


def crontabs(spools: "Iterable[str]", etc: str) -> "Iterator[tuple[str, str | None]]":
    """Find the crontabs of this node.

    Args:
        spools: the folders of the users' crontabs.
        etc: the folder of `crontab` and `cron.d`.

    Yields:
        Each one's path, and its user if it is a user's.
    """
    for spool in spools:
        for name in _names(spool):
            try:
                pwd.getpwnam(name)
            except (KeyError, ValueError):
                continue  # cron does not run it, either
            yield os.path.join(spool, name), name
    for path in (os.path.join(etc, "crontab"), *(os.path.join(etc, "cron.d", n) for n in _names(f"{etc}/cron.d"))):
        if os.path.isfile(path) and not _LEFT.fullmatch(os.path.basename(path)):
            yield path, None


def _names(folder: str) -> "list[str]":
    try:
        with os.scandir(folder) as found:
            return sorted(each.name for each in found if _is_file(each))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link into another user's folder, who has it lead in a circle, or to a file system of his own


def read(path: str) -> str:
    """Read a crontab.

    Args:
        path: the file.

    Returns:
        Its text, up to MAX_BYTES; nothing if it is gone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open(files.open_regular(path), "rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", "surrogateescape")
    except OSError as error:
        # Removed since, or replaced by something else: a link may lead into another user's folder, and whatever he puts
        # there must not keep the administrator from all other crontabs.
        if error.errno in (errno.ENOENT, errno.EINVAL) or os.path.islink(path):
            return ""
        raise


class Line(NamedTuple):
    """An entry that mentions rcron.

    Attributes:
        number (int): its line in the crontab, counted from 1.
        name (str): what ansible.builtin.cron wrote above it.
        zone (str): the time zone that the crontab sets with CRON_TZ, or an empty string.
        schedule (str): its fields, or a word that begins with `@`.
        user (str): who runs it.
        command (str): what cron gives to the shell.
    """

    number: int
    name: str
    zone: str
    schedule: str
    user: str
    command: str


def lines(text: str, user: "str | None") -> "Iterator[Line]":
    """Read one crontab.

    Args:
        text: what it holds.
        user: whose it is; None if each line names its user.

    Yields:
        The entries that mention rcron. A line that cron would not run is not one.
    """
    above = zone = ""
    for number, line in enumerate(text.split("\n"), 1):
        name, above = (above[len(_NAME) :].strip() if above.startswith(_NAME) else ""), line
        setting = _SETTING.match(line)
        if setting and setting[1].strip("\"'") == "CRON_TZ":
            zone = setting[2].strip().strip("\"'")
        if "rcron" not in line or GAP in line or setting:
            continue
        match = _SCHEDULE.match(line)
        if match is None:
            continue
        rest = line[match.end() :]
        owner = user
        if owner is None:
            field = _USER.match(rest)
            if field is None:
                continue
            owner, rest = field[1], rest[field.end() :]
        yield Line(number, name, zone, " ".join(match[1].split()), owner, _command(rest))


def entries(text: str, path: str, user: "str | None") -> "Iterator[Entry]":
    """Read the prefixed entries of one crontab.

    Args:
        text: what it holds.
        path: its name.
        user: whose it is; None if each line names its user.

    Yields:
        The prefixed entries of users that exist.
    """
    for line in lines(text, user):
        request = _request(line.command)
        if request is None:
            continue
        try:
            uid = pwd.getpwnam(line.user).pw_uid
        except (KeyError, ValueError):
            continue
        logged = _logged(request.words)
        digest = hashlib.sha256(logged.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        label = log.one_line(line.name[:_LONGEST_NAME])
        if label and user is not None and uid != 0:
            label += f" ({line.user})"  # what a user writes is not to be taken for another's entry
        label = label or f"{line.user}-{digest}"
        yield Entry(
            label,
            request.conf,
            line.user,
            uid,
            logged,
            line.schedule,
            line.zone,
            request.takeover_wait,
            path,
            line.number,
            request.claim,
            _claimed_as(request),
        )


def _command(text: str) -> str:
    """Return the part of an entry that cron gives to the shell: up to the first `%` without a backslash before it."""
    found = re.match(r"(?:[^%\\]|\\.|\\\Z)*", text)
    return (found[0] if found else "").replace("\\%", "%")


def _request(text: str) -> "command_line.Request | None":
    """Return what rcron is asked for if a command begins with it."""
    given = words(text)
    if not given or os.path.basename(given[0]) != "rcron":
        return None
    try:
        request = command_line.parse(given[1:])
    except command_line.UsageError:
        return None  # rcron refuses it, and runs nothing
    return None if GAP in request.conf else request


def _claimed_as(request: command_line.Request) -> str:
    """Return the name under which a job's runs are claimed by their minutes; an empty string if there is none."""
    if request.fire or request.claim_window or any(GAP in word for word in request.words):
        return ""
    return claim.job_name(request.job, request.words, request.shell)


def words(text: str) -> "list[str]":
    """Split a command as a shell does, up to its first operator or comment.

    Args:
        text: the command.

    Returns:
        The words without quotes, with GAP in place of what only a shell knows: variables, patterns, and everything
        from a command substitution on.
    """
    return split(text)[0]


def split(text: str) -> "tuple[list[str], str]":
    """Split a command as `words` does.

    Args:
        text: the command.

    Returns:
        The words, and the rest of the command, which begins with an operator or a comment.
    """
    found: "list[str]" = []
    pieces: "list[str]" = []  # of the word that has begun
    at = 0
    while at < len(text):
        char, begin = text[at], at
        piece, at = _piece(text, at)
        if piece is not None:
            pieces.append(piece)
        elif char == "#" and pieces:
            pieces.append(char)
        elif char in " \t":
            if pieces:
                found.append("".join(pieces))
            pieces = []
        else:
            at = begin
            break
    return ([*found, "".join(pieces)] if pieces else found), text[at:]


def _piece(text: str, at: int) -> "tuple[str | None, int]":
    """Read a part of a word. Returns it, None if here is none, and where the rest begins."""
    char = text[at]
    if char in " \t#;&|<>()":
        return None, at + 1
    if char == "\\":
        return text[at + 1 : at + 2], at + 2
    if char == "'":
        end = text.find("'", at + 1)
        end = len(text) if end < 0 else end
        return text[at + 1 : end], end + 1
    if char == '"':
        return _quoted(text, at + 1)
    if char in "$`":
        return _expansion(text, at)
    return (GAP if char in "*?[~" else char), at + 1


def _quoted(text: str, at: int) -> "tuple[str, int]":
    """Read on after a double quote, up to the next one."""
    found = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and text[at + 1 : at + 2] in ("$", "`", '"', "\\"):
            piece, at = text[at + 1], at + 2
        elif text[at] in "$`":
            piece, at = _expansion(text, at)
        else:
            piece, at = text[at], at + 1
        found.append(piece)
    return "".join(found), at + 1


def _expansion(text: str, at: int) -> "tuple[str, int]":
    match = _VARIABLE.match(text, at)
    if match:
        return GAP, match.end()
    if text[at] == "$" and text[at + 1 : at + 2] not in ("(", "{", "'", '"'):
        return "$", at + 1
    return GAP, len(text)


def _logged(given: "list[str]") -> str:
    if any(GAP in word for word in given):
        return GAP.join(log.one_line(part) for part in " ".join(given).split(GAP))
    return log.command(given)


class Index:
    """Finds the entry that a log line is about.

    Args:
        found: all entries.
        clusters: the cluster's name for each configuration.
    """

    def __init__(self, found: "Iterable[Entry]", clusters: "dict[str, str]") -> None:
        self._exact: "dict[tuple[str, str], list[Entry]]" = {}
        # By user; under None, everybody's.
        self._gapped: "dict[tuple[str, int | None], list[Entry]]" = {}
        self._known: "dict[tuple[str, str, int | None], Entry | None]" = {}
        self._left: "dict[int | None, int]" = {}
        for entry in found:
            cluster = clusters.get(entry.conf)
            if cluster is None:
                continue
            if GAP in entry.command:
                for uid in (entry.uid, None):
                    self._gapped.setdefault((cluster, uid), []).append(entry)
            else:
                self._exact.setdefault((cluster, entry.command), []).append(entry)

    def entry(self, cluster: str, command: str, uid: "int | None") -> "Entry | None":
        """Return the entry whose run a line tells of, or None.

        Args:
            cluster: the cluster's name.
            command: the job's command, as it is logged.
            uid: the user whose process logged it; None if that is not known.
        """
        for entry in self._exact.get((cluster, command), ()):
            if uid in (None, entry.uid):
                return entry
        gapped = self._gapped.get((cluster, uid), ())
        if not gapped or len(command) > log.MAX_COMMAND:
            return None  # nothing to compare with, or nothing that rcron has logged: it is not kept, whoever wrote it
        asked = (cluster, command, uid)
        if asked not in self._known:
            left = self._left.get(uid, MOST_COMPARED) - len(gapped) - _COST
            if left < 0:
                return None
            self._left[uid] = left
            self._known[asked] = next((entry for entry in gapped if _fits(entry.command, command)), None)
        return self._known[asked]


def _fits(pattern: str, text: str) -> bool:
    """Return whether a text has a pattern's parts in their order. Linear: a user writes both."""
    first, *between, last = pattern.split(GAP)
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
