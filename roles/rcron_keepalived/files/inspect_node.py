# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_keepalived wants to know of a node before it changes anything there.

Run on the node by the role's tasks/inspect.yml, with -I. Reads one JSON object from standard input: conf (str, the path
of keepalived.conf), hook (str, the path of the file that the role has it include), backup (str, where the role keeps a
keepalived.conf that it replaced), mark (str, the first line of the role's own files), service (str), unknown and known
(lists of str, names of role variables). Writes one to standard output: exists, managed, backup, installed, running
(bool), instances and groups (lists of str), fifo (str, where a vrrp_notify_fifo other than ours stands, or nothing),
included (bool, whether another line than the role's own includes its file already), foreign_hook (bool, whether that
file is somebody else's), utf8 (bool, whether keepalived.conf is), error (str, why it cannot be read), interfaces (list
of str), meant (dict: unknown name -> the known name that it resembles, or nothing).

The grammar is that of keepalived.conf(5): a line's first word is its keyword, # and ! begin a comment, include (and its
variants with another ending) takes a glob, relative to the folder of the file that holds it.
"""

import difflib
import fnmatch
import glob
import json
import os
import re
import shutil
import subprocess
import sys

asked = json.load(sys.stdin)
KEYWORD = re.compile(
    r"\s*(?:@\^?\S+\s+)?(include[a-z_]*|vrrp_instance|vrrp_sync_group|vrrp_notify_fifo)\s+(\"[^\"]*\"|'[^']*'|[^\s{]+)"
)
told = {"instances": [], "groups": [], "fifo": "", "included": False, "utf8": True, "error": ""}
seen = set()


def read(path: str) -> "list[str]":
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().splitlines()


def inspect(path: str) -> None:
    """Note what a configuration file and those that it includes hold. path: the file's."""
    if os.path.realpath(path) in seen:
        return
    seen.add(os.path.realpath(path))
    for number, line in enumerate(read(path), 1):
        match = KEYWORD.match(re.split("[#!]", line, maxsplit=1)[0])
        if not match:
            continue
        keyword, value = match[1], match[2].strip("\"'")
        if keyword == "vrrp_instance":
            told["instances"].append(value)
        elif keyword == "vrrp_sync_group":
            told["groups"].append(value)
        elif keyword == "vrrp_notify_fifo":
            told["fifo"] = told["fifo"] or f"{path}:{number}"
        else:
            pattern = os.path.join(os.path.dirname(path), value)
            if line != "include " + asked["hook"] and fnmatch.fnmatch(asked["hook"], pattern):
                told["included"] = True
            for name in sorted(glob.glob(pattern)):
                if os.path.realpath(name) != os.path.realpath(asked["hook"]):
                    inspect(name)


def ours(path: str) -> bool:
    return read(path)[:1] == [asked["mark"]]


exists = os.path.exists(asked["conf"])
if exists:
    try:
        inspect(asked["conf"])
        # surrogateescape turns what is no UTF-8 into characters that cannot be encoded again.
        told["utf8"] = not re.search("[\ud800-\udfff]", "".join(read(asked["conf"])))
    except OSError as error:
        told["error"] = f"{error.filename}: {error.strerror}"
running = subprocess.run(["systemctl", "--quiet", "is-active", asked["service"]], check=False).returncode == 0

told.update(
    exists=exists,
    managed=exists and not told["error"] and ours(asked["conf"]),
    backup=os.path.exists(asked["backup"]),
    installed=shutil.which("keepalived", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin") is not None,
    running=running,
    foreign_hook=os.path.exists(asked["hook"]) and not ours(asked["hook"]),
    interfaces=sorted(os.listdir("/sys/class/net")),
    meant={name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
)
json.dump(told, sys.stdout)
