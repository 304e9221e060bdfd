# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_keepalived asks a node before it changes anything there.

The grammar is that of keepalived.conf(5) and of read_line() in keepalived's lib/parser.c (2.1.5, 2.2.7, 2.3.3): a
line's first word is its keyword; # and ! begin a comment; `@ID` in front makes a line one of the host ID's, `@^ID` one
of all others'; `$NAME=VALUE` defines what `$NAME` and `${NAME}` stand for from there on, over several lines if they
end in a backslash; include (and its variants with another ending) takes a glob, relative to the folder of the file that
holds it.
"""

from __future__ import annotations

import collections
import errno
import fnmatch
import glob
import os
import re
import shlex

from ..node import files, network, programs, systemd

OPTIONS = {
    "conf": {"type": "path", "required": True},
    "hook": {"type": "path", "required": True},
    "backup": {"type": "path", "required": True},
    "mark": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "rcronctl": {"type": "path", "required": True},
    "follow": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "choices": ["instance", "group"], "required": True},
            "name": {"type": "str", "required": True},
            "conf": {"type": "path", "required": True},
            "line": {"type": "str", "required": True},
        },
    },
}

#: What comes before a comment. Quotes protect # and !, and so does a backslash.
CODE = re.compile(r'(?:[^"#!\\]|\\(?:.|$)|"(?:[^"\\]|\\.)*"?)*')
TOKEN = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\$\{\w+\}|[^\s{}"'])+|[{}]""")
CONDITION = re.compile(r"@(\^?)(\S+)\s+")
DEFINITION = re.compile(r"\$([A-Za-z_]\w*)=(.*)", re.DOTALL)
PARAMETER = re.compile(r"\$\{(\w+)\}|\$(\w+)(?=\s|$)")

#: What `notify` says alone, said by these one by one. A sync group stops with its instances.
SINGLE = {
    "instance": {"notify_master": "MASTER", "notify_backup": "BACKUP", "notify_fault": "FAULT", "notify_stop": "STOP"},
    "group": {"notify_master": "MASTER", "notify_backup": "BACKUP", "notify_fault": "FAULT"},
}

#: The keyword of a block, for the kind of what a cluster follows.
BLOCKS = {"instance": "vrrp_instance", "group": "vrrp_sync_group"}

#: Where distributions have keepalived's options.
DAEMON_OPTIONS = ("/etc/default/keepalived", "/etc/sysconfig/keepalived")

#: How deep a line may be made of parameters, which may be made of themselves.
MOST_REPLACEMENTS = 100

#: How many lines all files may have, each as often as it is included.
MOST_LINES = 1_000_000

#: How many lines parameters may make, which double with each step that refers to itself twice.
MOST_MADE = 50_000


def inspect(options: dict) -> dict:
    """Look at keepalived on this node.

    Args:
        options: What OPTIONS describes. `conf` is the path of keepalived.conf, `hook` that of the file that the role
            has it include, `backup` that of a keepalived.conf that the role replaced, `mark` the first line of the
            role's own files, `service` the unit, `rcronctl` its path, `follow` what each cluster follows, with the
            `notify` line that informs rcron.

    Returns:
        The keys that rcron_feeder_info documents for keepalived.

    Raises:
        ProgramError: systemd does not answer.
    """
    conf, hook, rcronctl = options["conf"], options["hook"], options["rcronctl"]
    configuration = Configuration(configuration_id(options["service"]), hook)
    exists = os.path.exists(conf)
    is_utf8, error = True, ""
    if exists:
        try:
            configuration.read(conf)
            # surrogateescape turns bytes that are not UTF-8 into characters that cannot be encoded again.
            is_utf8 = not re.search("[\ud800-\udfff]", files.read_text(conf))
        except OSError as unreadable:
            error = f"{unreadable.filename}: {unreadable.strerror}"
    managed = exists and not error and files.is_ours(conf, options["mark"])
    advice = (configuration.advice(follow, rcronctl) for follow in options["follow"])
    return {
        "exists": exists,
        "managed": managed,
        "peers": peers(files.read_text(conf)) if managed else {},
        "priorities": configuration.priorities if managed else {},
        "backup": os.path.exists(options["backup"]),
        "installed": bool(programs.find("keepalived")),
        "running": systemd.is_active(options["service"]),
        "instances": configuration.named("vrrp_instance"),
        "groups": configuration.named("vrrp_sync_group"),
        "fifo": configuration.fifo,
        "silent": [text for text in advice if text],
        "notifies": [notify.where for notify in configuration.notifies if rcronctl in notify.command],
        "included": configuration.included,
        "foreign": files.foreign([hook], options["mark"]),
        "utf8": is_utf8,
        "error": error,
        **network.overview(),
    }


def peers(text: str) -> dict[str, str]:
    """Return the addresses that a keepalived.conf of the role's gives its peers, by their names in the inventory.

    Args:
        text: The file's text.
    """
    return {name: address for address, name in re.findall(r"^ +([0-9A-Fa-f.:]+) # (\S+)$", text, re.MULTILINE)}


class Notify:
    """A notify line.

    Attributes:
        block: The keyword and name of its block.
        keyword: Its own keyword.
        command: The words that it runs.
        user: Whom it runs them as, "" if it does not say.
        where: FILE:LINE.
    """

    def __init__(self, block: tuple[str, str], words: list[str], where: str) -> None:
        self.block = block
        self.keyword = words[0]
        self.user = words[2] if len(words) > 2 else ""
        self.where = where
        try:
            self.command = shlex.split(words[1]) if len(words) > 1 else []
        except ValueError:
            self.command = words[1].split()

    def feeds(self, follow: dict[str, str], rcronctl: str) -> bool:
        """Tell whether the command informs rcron of what a cluster follows.

        Args:
            follow: One of the inspection's `follow`.
            rcronctl: The path of rcronctl.
        """
        if rcronctl not in self.command:
            return False
        words = iter(self.command[self.command.index(rcronctl) + 1 :])
        conf = "/etc/rcron/rcron.conf"
        named: dict[tuple[str, str], str] = {}
        rest = []
        for word in words:
            option, equals, value = word.partition("=")
            if option in ("--conf", "--instance", "--group"):
                value = value if equals else next(words, "")
                if option == "--conf":
                    conf = value
                else:
                    named[option[2:], value.partition("=")[0]] = value.partition("=")[2]
            else:
                rest.append(word)
        key = follow["kind"], follow["name"]
        event = [follow["kind"].upper(), follow["name"], SINGLE[follow["kind"]].get(self.keyword, "")]
        if key not in named or (named[key] or conf) != follow["conf"]:
            return False
        if self.keyword != "notify":
            return rest[:-1] == ["feed", "keepalived", *event]  # and a priority
        return rest == ["feed", "keepalived"]


class Configuration:
    """What a keepalived.conf and all that it includes say to one host.

    Attributes:
        blocks: The keyword and name of each block, with its FILE:LINE.
        notifies: Every notify line.
        fifo: Where a vrrp_notify_fifo stands, "" if there is none.
        script_user: Whom scripts run as.
        included: Whether a line other than the role's includes the role's file.
        priorities: The priority of each vrrp_instance that has one, if it is a number.
    """

    def __init__(self, host: str, hook: str) -> None:
        """Begin with nothing read.

        Args:
            host: The configuration id, which @ID compares with.
            hook: The path of the role's own file, which is not read.
        """
        self.blocks: dict[tuple[str, str], str] = {}
        self.notifies: list[Notify] = []
        self.fifo = ""
        self.script_user = ""
        self.included = False
        self.priorities: dict[str, int] = {}
        self._host = host
        self._hook = hook
        self._definitions: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []
        self._last: list[str] = []
        self._reading: list[str] = []
        self._lines = 0
        self._made = 0

    def read(self, path: str) -> None:
        """Take in a file and those that it includes.

        Args:
            path: The file's path.

        Raises:
            OSError: A file cannot be read, or there is no end of lines.
        """
        if os.path.realpath(path) in self._reading:
            return
        self._reading.append(os.path.realpath(path))
        # To keepalived, as to all of C, a line ends at its first NUL.
        texts = [line.partition("\0")[0] for line in files.read_text(path).splitlines()]
        lines = collections.deque((number, line, 0) for number, line in enumerate(texts, 1))
        while lines:
            number, line, depth = lines.popleft()
            self._count(path, depth > 0)
            line = _code(line)
            condition = CONDITION.match(line)
            if condition:
                if (condition[2] == self._host) == bool(condition[1]):
                    continue
                line = line[condition.end() :]
            definition = DEFINITION.match(line)
            if definition:
                value = definition[2].rstrip()
                while value.endswith("\\") and lines:
                    value = value[:-1].rstrip() + "\n" + _code(lines.popleft()[1])
                self._definitions[definition[1]] = value.lstrip("\n")
                continue
            replaced = PARAMETER.sub(self._value, line, count=1)
            if replaced != line and depth < MOST_REPLACEMENTS:
                lines.extendleft((number, part, depth + 1) for part in reversed(replaced.split("\n")))
                continue
            self._statement(path, number, [_plain(token) for token in TOKEN.findall(line)])
        self._reading.pop()

    def _count(self, path: str, made: bool) -> None:
        """Raise OSError for a line too many."""
        self._lines += 1
        self._made += made
        if self._lines > MOST_LINES:
            raise OSError(errno.E2BIG, f"more than {MOST_LINES} lines with all that it includes", path)
        if self._made > MOST_MADE:
            raise OSError(errno.E2BIG, f"more than {MOST_MADE} lines made of parameters", path)

    def _value(self, match: re.Match[str]) -> str:
        return self._definitions.get(match[1] or match[2], match[0])

    def _statement(self, path: str, number: int, tokens: list[str]) -> None:
        words: list[str] = []
        for token in [*tokens, ""]:
            if token not in ("{", "}", ""):
                words.append(token)
                continue
            if words:
                self._take(path, number, words)
                self._last, words = words, []
            if token == "{":  # noqa: S105 - a bracket, not a password
                keyword, name = [*self._last, "", ""][:2]
                self._open.append((keyword, name))
            elif token == "}" and self._open:  # noqa: S105 - a bracket, not a password
                self._open.pop()

    def _take(self, path: str, number: int, words: list[str]) -> None:
        keyword, value, where = words[0], "".join(words[1:2]), f"{path}:{number}"
        block = self._open[-1] if self._open else ("", "")
        if re.fullmatch("include[a-z_]*", keyword):
            self._include(path, words)
        elif keyword in BLOCKS.values():
            self.blocks[keyword, value] = where
        elif keyword == "vrrp_notify_fifo":
            self.fifo = self.fifo or where
        elif keyword == "priority" and block[0] == BLOCKS["instance"] and re.fullmatch("[0-9]{1,3}", value):
            self.priorities[block[1]] = int(value)
        elif keyword == "script_user":
            self.script_user = value
        elif keyword in ("notify", *SINGLE["instance"]):
            self.notifies.append(Notify(block, words, where))

    def _include(self, path: str, words: list[str]) -> None:
        pattern = os.path.join(os.path.dirname(path), "".join(words[1:2]))
        if words != ["include", self._hook] and fnmatch.fnmatch(self._hook, pattern):
            self.included = True
        if len(self._reading) > MOST_REPLACEMENTS:
            raise OSError(errno.ELOOP, f"includes more than {MOST_REPLACEMENTS} files inside each other", path)
        for name in sorted(glob.glob(pattern)):
            if os.path.realpath(name) != os.path.realpath(self._hook):
                self.read(name)

    def named(self, keyword: str) -> list[str]:
        """Return the names of all blocks of a keyword."""
        return [name for block, name in self.blocks if block == keyword]

    def advice(self, follow: dict[str, str], rcronctl: str) -> str:
        """Say what must be done so that a cluster's instance or group notifies rcron.

        Args:
            follow: One of the inspection's `follow`.
            rcronctl: The path of rcronctl.

        Returns:
            A sentence, "" if it does notify rcron.
        """
        block = BLOCKS[follow["kind"]], follow["name"]
        there = [notify for notify in self.notifies if notify.block == block]
        ours = {notify.keyword: notify for notify in there if notify.feeds(follow, rcronctl)}
        if "notify" in ours or set(SINGLE[follow["kind"]]) <= set(ours):
            return next(filter(None, (self._objection(notify, rcronctl) for notify in ours.values())), "")
        where = " ".join(block) + f" ({self.blocks.get(block, 'not found')})"
        taken = next((notify.where for notify in there if notify.keyword == "notify"), "")
        if not taken:
            return f"{where} does not call rcron: add to it the line {follow['line']}"
        head, tail = follow["line"].replace("notify ", "", 1).rsplit('"', 1)
        lines = [
            f'{keyword} {head} {follow["kind"].upper()} {follow["name"]} {state} 0"{tail}'
            for keyword, state in SINGLE[follow["kind"]].items()
        ]
        return (
            f"{where} has another notify, {taken}, and keepalived takes only one: put {follow['line']} in its place, or"
            f" add the lines {'; '.join(lines)}"
        )

    def _objection(self, notify: Notify, rcronctl: str) -> str:
        """Say what keeps a notify line that names rcron from working, "" if nothing does."""
        if notify.command[0] == rcronctl:
            # realpath() in check_script_secure() of keepalived's notify.c
            return (
                f"{notify.where} runs {rcronctl}, a link that keepalived looks up when it is loaded and not again:"
                " write /usr/bin/env in front of it, so that it finds the next version too"
            )
        user = notify.user or self.script_user
        if user != "root":
            found = f"runs it as {user}" if user else "names no user"
            return f"{notify.where} {found}, and only root may write the state: end the line with root"
        return ""


def _code(line: str) -> str:
    """Return a line without its comment."""
    match = CODE.match(line)
    return match[0].strip() if match else ""


def _plain(token: str) -> str:
    """Return a token without its quotes."""
    return token[1:-1] if len(token) > 1 and token[0] in "\"'" and token[-1] == token[0] else token


def configuration_id(unit: str) -> str:
    """Find out what @ID is compared with on this node.

    Args:
        unit: keepalived's.

    Returns:
        keepalived's option -i, as it was started or would be, else the host's name.

    Raises:
        ProgramError: systemd does not answer.
    """
    try:
        pid = systemd.main_process(unit)
    except programs.FailedError:
        pid = 0
    words = _running_options(pid)
    if words is None:
        words = [word for path in DAEMON_OPTIONS for word in _options_in(path)]
    for word, after in zip(words, [*words[1:], ""]):
        match = re.match(r"(?:-i|--config-id=?)(.*)", word)
        if match:
            return match[1] or after
    return os.uname().nodename.partition(".")[0]


def _running_options(pid: int) -> list[str] | None:
    """Return the arguments of a process, None if it does not run."""
    try:
        return files.read_text(f"/proc/{pid}/cmdline").split("\0")[1:] if pid else None
    except OSError:
        return None


def _options_in(path: str) -> list[str]:
    """Return the words of a file with a daemon's options, none if it cannot be read."""
    try:
        lines = files.read_text(path).splitlines()
    except OSError:
        return []
    return re.sub("[\"'=]", " ", " ".join(map(_code, lines))).split()
