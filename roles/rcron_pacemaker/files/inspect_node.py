# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_pacemaker wants to know of a node before it changes anything there.

Run on the node by the role's tasks/preflight.yml and tasks/remove.yml, with -I. Reads one JSON object from standard
input: agent, corosync_conf, authkey, backup (str, paths), mark (str, a line of every file of the role's), unknown and
known (lists of str, names of role variables). Writes one to standard output: installed (bool, whether Corosync and
Pacemaker and its command line tools are), running, enabled (bool, whether both daemons are), foreign_agent (bool,
whether the agent is somebody else's), managed (bool, whether corosync.conf is the role's), untouched (bool, whether it
is the package's own or not there, and the cluster holds no resource), backup (bool), authkey (bool, whether there is
one), address (str, the node's, or nothing), meant (dict: unknown name -> the known name that it resembles, or nothing).
"""

import difflib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys

asked = json.load(sys.stdin)
PROGRAMS = ("corosync", "pacemakerd", "cibadmin", "crm_resource", "crm_attribute")
DAEMONS = ("corosync", "pacemaker")


def said(*words: str) -> str:
    """What a command prints; nothing where it fails or is not there."""
    try:
        ran = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return ""
    return ran.stdout if ran.returncode == 0 else ""


def ours(path: str) -> bool:
    """Whether a file is one of the role's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return asked["mark"] in file.read(4096).splitlines()[:3]
    except OSError:
        return False


def untouched() -> bool:
    """Whether nobody has set up a cluster here: Debian's package starts one of a single node."""
    try:
        with open("/var/lib/pacemaker/cib/cib.xml", encoding="utf-8", errors="replace") as file:
            if re.search("<(primitive|template)[ >]", file.read()):
                return False
    except OSError:
        pass
    try:
        with open(asked["corosync_conf"], "rb") as file:
            digest = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except OSError:
        return True
    files = said("dpkg-query", "--show", "--showformat=${Conffiles}", "corosync")
    return f" {asked['corosync_conf']} {digest}" in files.splitlines()


def address() -> str:
    """The node's address: where its default route starts, or the only one it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            pass
    found = re.findall(r" inet ([0-9.]+)/", said("ip", "-4", "-oneline", "address", "show", "scope", "global"))
    return found[0] if len(found) == 1 else ""


json.dump(
    {
        "installed": all(shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") for name in PROGRAMS),
        "running": all(said("systemctl", "is-active", name) for name in DAEMONS),
        "enabled": all(said("systemctl", "is-enabled", name) for name in DAEMONS),
        "foreign_agent": os.path.lexists(asked["agent"]) and not ours(asked["agent"]),
        "managed": ours(asked["corosync_conf"]),
        "untouched": untouched(),
        "backup": os.path.exists(asked["backup"]),
        "authkey": os.path.exists(asked["authkey"]),
        "address": address(),
        "meant": {name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
    },
    sys.stdout,
)
