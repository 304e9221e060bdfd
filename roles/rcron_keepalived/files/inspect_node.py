# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_keepalived wants to know of a node before it changes anything there.

Run on the node by the role's tasks/inspect.yml, with -I. Reads one JSON object from standard input: conf (str, the path
of keepalived.conf), hook (str, the path of the file that the role has it include), backup (str, where the role keeps a
keepalived.conf that it replaced), mark (str, the first line of the role's own files), service (str), rcronctl (str, its
path), follow (list of what each cluster follows: kind, `instance` or `group`, name, conf, and line, the `notify` line
that tells rcron), unknown and known (lists of str, names of role variables). Writes one to standard output: exists,
managed, backup, installed, running (bool), instances and groups (lists of str), fifo (str, where a vrrp_notify_fifo
other than ours stands, or nothing), silent (list of str, which instances and groups don't notify rcron, and the mend),
notifies (list of str, where a notify line runs rcronctl), included (bool, whether a line other than ours includes our
file), foreign_hook (bool, whether that file is somebody else's), utf8 (bool, whether keepalived.conf is), error (str,
why it cannot be read), interfaces (list of str), meant (dict: unknown name -> the known name that it resembles, or
nothing).

The grammar is that of keepalived.conf(5) and of read_line() in keepalived's lib/parser.c (2.1.5, 2.2.7, 2.3.3): a
line's first word is its keyword; # and ! begin a comment; `@ID` in front makes a line one of the host ID's, `@^ID` one
of all others'; `$NAME=VALUE` defines what `$NAME` and `${NAME}` stand for from there on, over several lines where they
end in a backslash; include (and its variants with another ending) takes a glob, relative to the folder of the file that
holds it.
"""

import collections
import difflib
import fnmatch
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

asked = json.load(sys.stdin)

#: What comes before a comment. Quotes protect # and !, and so does a backslash.
CODE = re.compile(r'(?:[^"#!\\]|\\(?:.|$)|"(?:[^"\\]|\\.)*"?)*')
TOKEN = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\$\{\w+\}|[^\s{}"'])+|[{}]""")
CONDITION = re.compile(r"@(\^?)(\S+)\s+")
DEFINITION = re.compile(r"\$([A-Za-z_]\w*)=(.*)", re.DOTALL)
PARAMETER = re.compile(r"\$\{(\w+)\}|\$(\w+)(?=\s|$)")

#: What `notify` tells at once, told by these one by one. A sync group stops with its instances.
SINGLE = {
    "instance": {"notify_master": "MASTER", "notify_backup": "BACKUP", "notify_fault": "FAULT", "notify_stop": "STOP"},
    "group": {"notify_master": "MASTER", "notify_backup": "BACKUP", "notify_fault": "FAULT"},
}


class Notify:
    """A notify line. block: the keyword and name of its block. keyword: its own. command: the words that it runs. user:
    as whom, or nothing. where: FILE:LINE."""

    def __init__(self, block: "tuple[str, str]", words: "list[str]", where: str) -> None:
        self.block = block
        self.keyword = words[0]
        self.user = words[2] if len(words) > 2 else ""
        self.where = where
        try:
            self.command = shlex.split(words[1]) if len(words) > 1 else []
        except ValueError:
            self.command = words[1].split()

    def feeds(self, follow: "dict[str, str]") -> bool:
        """Whether the command tells rcron of what a cluster follows. follow: one of asked's."""
        if asked["rcronctl"] not in self.command:
            return False
        words = iter(self.command[self.command.index(asked["rcronctl"]) + 1 :])
        conf, named, rest = "/etc/rcron/rcron.conf", {}, []
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
    """What a keepalived.conf and all that it includes say to a host."""

    def __init__(self, host: str) -> None:
        """Begin with nothing read. host: the configuration id, which @ID compares with."""
        self.blocks = {}  # (keyword, name) -> FILE:LINE
        self.notifies = []
        self.fifo = ""
        self.script_user = ""
        self.included = False
        self._host = host
        self._definitions = {}
        self._open = []
        self._last = []
        self._reading = set()

    def read(self, path: str) -> None:
        """Take in a file and those that it includes. path: the file's. Raises OSError where one cannot be read."""
        if os.path.realpath(path) in self._reading:
            return
        self._reading.add(os.path.realpath(path))
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = collections.deque((number, line, 0) for number, line in enumerate(file.read().splitlines(), 1))
        while lines:
            number, line, depth = lines.popleft()
            line = CODE.match(line)[0].strip()
            condition = CONDITION.match(line)
            if condition:
                if (condition[2] == self._host) == bool(condition[1]):
                    continue
                line = line[condition.end() :]
            definition = DEFINITION.match(line)
            if definition:
                value = definition[2].rstrip()
                while value.endswith("\\") and lines:
                    value = value[:-1].rstrip() + "\n" + CODE.match(lines.popleft()[1])[0].strip()
                self._definitions[definition[1]] = value.lstrip("\n")
                continue
            replaced = PARAMETER.sub(self._value, line, count=1)
            if replaced != line and depth < 100:  # a parameter may be made of itself
                lines.extendleft((number, part, depth + 1) for part in reversed(replaced.split("\n")))
                continue
            self._statement(path, number, [self._plain(token) for token in TOKEN.findall(line)])
        self._reading.discard(os.path.realpath(path))

    def _value(self, match: "re.Match[str]") -> str:
        return self._definitions.get(match[1] or match[2], match[0])

    @staticmethod
    def _plain(token: str) -> str:
        return token[1:-1] if len(token) > 1 and token[0] in "\"'" and token[-1] == token[0] else token

    def _statement(self, path: str, number: int, tokens: "list[str]") -> None:
        words = []
        for token in [*tokens, ""]:
            if token not in ("{", "}", ""):
                words.append(token)
                continue
            if words:
                self._take(path, number, words)
                self._last, words = words, []
            if token == "{":  # noqa: S105 - no such token
                self._open.append([*self._last, "", ""][:2])
            elif token == "}" and self._open:  # noqa: S105 - a bracket, no password
                self._open.pop()

    def _take(self, path: str, number: int, words: "list[str]") -> None:
        keyword, value, where = words[0], "".join(words[1:2]), f"{path}:{number}"
        block = tuple(self._open[-1]) if self._open else ("", "")
        if re.fullmatch("include[a-z_]*", keyword):
            pattern = os.path.join(os.path.dirname(path), value)
            if words != ["include", asked["hook"]] and fnmatch.fnmatch(asked["hook"], pattern):
                self.included = True
            for name in sorted(glob.glob(pattern)):
                if os.path.realpath(name) != os.path.realpath(asked["hook"]):
                    self.read(name)
        elif keyword in ("vrrp_instance", "vrrp_sync_group"):
            self.blocks[keyword, value] = where
        elif keyword == "vrrp_notify_fifo":
            self.fifo = self.fifo or where
        elif keyword == "script_user":
            self.script_user = value
        elif keyword in ("notify", *SINGLE["instance"]):
            self.notifies.append(Notify(block, words, where))

    def named(self, keyword: str) -> "list[str]":
        """The names of all blocks of a keyword."""
        return [name for block, name in self.blocks if block == keyword]

    def mend(self, follow: "dict[str, str]") -> str:
        """What must be done so that a cluster's instance or group notifies rcron; nothing where it does."""
        block = ("vrrp_instance" if follow["kind"] == "instance" else "vrrp_sync_group", follow["name"])
        there = [notify for notify in self.notifies if notify.block == block]
        ours = {notify.keyword: notify for notify in there if notify.feeds(follow)}
        if "notify" in ours or set(SINGLE[follow["kind"]]) <= set(ours):
            for notify in ours.values():
                if notify.command[0] == asked["rcronctl"]:
                    # realpath() in check_script_secure() of keepalived's notify.c
                    return (
                        f"{notify.where} runs {asked['rcronctl']}, a link that keepalived looks up when it is loaded"
                        " and not again: write /usr/bin/env in front of it, so that it finds the next version too"
                    )
                user = notify.user or self.script_user
                if user != "root":
                    found = f"runs it as {user}" if user else "names no user"
                    return f"{notify.where} {found}, and only root may write the state: end the line with root"
            return ""
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


def lines_of(path: str) -> "list[str]":
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().splitlines()


def ours(path: str) -> bool:
    return lines_of(path)[:1] == [asked["mark"]]


def configuration_id(unit: str) -> str:
    """What @ID stands for on this node: keepalived's option -i, as it was started or would be, else the host's name."""
    words = []
    show = ["systemctl", "show", "--property=MainPID", "--value", unit]
    pid = subprocess.run(show, check=False, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        with open(f"/proc/{int(pid)}/cmdline", encoding="utf-8", errors="replace") as cmdline:
            words = cmdline.read().split("\0")[1:]
    except (OSError, ValueError):
        for path in ("/etc/default/keepalived", "/etc/sysconfig/keepalived"):
            if os.path.exists(path):
                words += re.sub("[\"'=]", " ", " ".join(CODE.match(line)[0] for line in lines_of(path))).split()
    for word, after in zip(words, [*words[1:], ""]):
        match = re.match(r"(?:-i|--config-id=?)(.*)", word)
        if match:
            return match[1] or after
    return os.uname().nodename.partition(".")[0]


configuration = Configuration(configuration_id(asked["service"]))
told = {"utf8": True, "error": ""}
exists = os.path.exists(asked["conf"])
if exists:
    try:
        configuration.read(asked["conf"])
        # surrogateescape turns what is no UTF-8 into characters that cannot be encoded again.
        told["utf8"] = not re.search("[\ud800-\udfff]", "".join(lines_of(asked["conf"])))
    except OSError as error:
        told["error"] = f"{error.filename}: {error.strerror}"
running = subprocess.run(["systemctl", "--quiet", "is-active", asked["service"]], check=False).returncode == 0

told.update(
    exists=exists,
    managed=exists and not told["error"] and ours(asked["conf"]),
    backup=os.path.exists(asked["backup"]),
    installed=shutil.which("keepalived", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin") is not None,
    running=running,
    instances=configuration.named("vrrp_instance"),
    groups=configuration.named("vrrp_sync_group"),
    fifo=configuration.fifo,
    silent=[mend for mend in map(configuration.mend, asked["follow"]) if mend],
    notifies=[notify.where for notify in configuration.notifies if asked["rcronctl"] in notify.command],
    included=configuration.included,
    foreign_hook=os.path.exists(asked["hook"]) and not ours(asked["hook"]),
    interfaces=sorted(os.listdir("/sys/class/net")),
    meant={name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
)
json.dump(told, sys.stdout)
