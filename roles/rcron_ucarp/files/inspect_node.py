# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_ucarp wants to know of a node before it changes anything there.

Run on the node by the role's tasks/preflight.yml, with -I. Reads one JSON object from standard input: own (list of str,
the files that the role writes), hooks (list of str, those of them that ucarp is told to run), mark (str, a line of each
of them), run (list of str, programs that must be there), unknown and known (lists of str, names of role variables).
Writes one to standard output: uid, installed (str, the path of ucarp or nothing), interfaces (dict: name -> its first
IPv4 address or nothing), default_interface (str, that of the default route or nothing), present and foreign (lists of
str: the role's files that are there, and those of them that are somebody else's), missing (list of str, programs that
are not there or cannot be executed), users (list of str: where a hook is named by a configuration or a running ucarp
that are not the role's), meant (dict: unknown name -> the known name that it resembles, or nothing).
"""

import difflib
import fcntl
import glob
import json
import os
import shutil
import socket
import struct
import sys

asked = json.load(sys.stdin)

SIOCGIFADDR = 0x8915  # netdevice(7)

#: Where a Debian host, or its administrator, may tell ucarp what to run.
PLACES = ("/etc/network/interfaces", "/etc/network/interfaces.d/*", "/etc/systemd/system/*.service", "/etc/rc.local")


def text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def address(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def default_interface() -> str:
    routes = [line.split() for line in text("/proc/net/route").splitlines()[1:]]
    return next((route[0] for route in routes if route[1] == route[7] == "00000000"), "")


def is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def users() -> "list[str]":
    """Where the hooks are named, other than in the role's own files."""
    found = []
    for path in sorted(name for place in PLACES for name in glob.glob(place) if os.path.isfile(name)):
        if path not in asked["own"]:
            found += [
                f"{path}:{number}"
                for number, line in enumerate(text(path).splitlines(), 1)
                if not line.lstrip().startswith("#") and any(hook in line for hook in asked["hooks"])
            ]
    units = [os.path.basename(path) for path in asked["own"] if path.endswith(".service")]
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            words = text(f"{folder}/cmdline").split("\0")
            group = text(f"{folder}/cgroup")
        except OSError:
            continue  # ended in the meantime
        named = any(word == hook or word.endswith(f"={hook}") for hook in asked["hooks"] for word in words)
        if os.path.basename(words[0]) == "ucarp" and named and not any(f"/{unit}" in group for unit in units):
            found.append(f"process {os.path.basename(folder)}")
    return found


def is_ours(path: str) -> bool:
    # A password's file holds nothing but the password.
    return os.path.isfile(path) and (path.endswith(".password") or asked["mark"] in text(path))


present = [path for path in asked["own"] if os.path.lexists(path)]
json.dump(
    {
        "uid": os.geteuid(),
        "installed": shutil.which("ucarp", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin") or "",
        "interfaces": {name: address(name) for name in sorted(os.listdir("/sys/class/net"))},
        "default_interface": default_interface(),
        "present": present,
        "foreign": [path for path in present if not is_ours(path)],
        "missing": [path for path in asked["run"] if not is_executable(path)],
        "users": users(),
        "meant": {name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
    },
    sys.stdout,
)
