# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_heartbeat wants to know of a node before it changes anything there.

Run on the node by the role's tasks/inspect.yml, with -I. Reads one JSON object from standard input: feeder_source (str,
the text of rcron/feeders/heartbeat.py, whose haresources() reads that file), folder (str, Heartbeat's), script (str,
the resource script's path), before (str, the folder for what was there before the role wrote the configuration), mark
(str, the first line of the role's own files, or the second), service (str), times (dict: keepalive, deadtime, initdead
-> as ha.cf has them). Writes one to standard output: name (str, the node's as Heartbeat knows it), daemon (str, the
program's path, or nothing), installed, running, enabled (bool), there (list of str, which of ha.cf, haresources and
authkeys exist), ours (bool, whether the role wrote the configuration), before (dict of enabled and running as they were
before that, or null), owners (dict: a resource that haresources names -> its node), named_before (list of str: which of
rcron's resources the haresources that was there before names), crm (str, what a crm directive says, or nothing),
foreign (bool, whether the script is somebody else's), error (str, which file cannot be read, and why), times (str, what
is wrong with them, or nothing), interfaces (list of str).
"""

import ast
import json
import os
import re
import subprocess
import sys

asked = json.load(sys.stdin)
told = {"owners": {}, "named_before": [], "crm": "", "error": "", "before": None}

#: ha.cf(5): seconds, or with a unit.
TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)?$")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, None: 1.0}


def systemctl(word: str) -> bool:
    return subprocess.run(["systemctl", "--quiet", word, asked["service"]], check=False).returncode == 0


def read(name: str) -> str:
    """A file's text, nothing where it does not exist. name: a path, or a name in Heartbeat's folder."""
    path = os.path.join(asked["folder"], name)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        told["error"] = told["error"] or f"{path}: {error.strerror}"
        return ""


def wrong_times() -> str:
    seconds = {}
    for name, value in asked["times"].items():
        match = TIME.match(value)
        if not match or not float(match[1]):
            return f"rcron_heartbeat_{name} is {value}: take seconds, such as 2, or 500ms"
        seconds[name] = float(match[1]) * UNITS[match[2]]
    if seconds["deadtime"] <= 2 * seconds["keepalive"]:
        return (
            f"rcron_heartbeat_deadtime is {asked['times']['deadtime']}, and two packets come"
            f" {asked['times']['keepalive']} apart (rcron_heartbeat_keepalive): take more than twice that"
        )
    if seconds["initdead"] < seconds["deadtime"]:
        return (
            f"rcron_heartbeat_initdead is {asked['times']['initdead']}, less than rcron_heartbeat_deadtime: take more"
        )
    return ""


# Heartbeat reads haresources in a way of its own, which the feeder knows.
tree = ast.parse(asked["feeder_source"])
tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "haresources"]
feeder = {}
exec(compile(tree, "heartbeat.py", "exec"), feeder)  # noqa: S102 - this collection's own
ours = read("ha.cf").startswith(asked["mark"] + "\n")
for line in feeder["haresources"](read("haresources")):
    for resource in line[1:]:
        told["owners"].setdefault(resource, line[0].lower())

for line in read("ha.cf").splitlines():
    words = line.partition("#")[0].split()
    if (
        len(words) > 1
        and words[0].lower() in ("crm", "pacemaker")
        and words[1].lower() not in ("no", "off", "false", "0")
    ):
        told["crm"] = " ".join(words)

for line in feeder["haresources"](read(os.path.join(asked["before"], "haresources"))):
    told["named_before"] += [resource for resource in line[1:] if resource.split("::")[0] == "rcron"]

if os.path.exists(os.path.join(asked["before"], "unit")):
    enabled, running = read(os.path.join(asked["before"], "unit")).split()
    told["before"] = {"enabled": enabled == "enabled", "running": running == "running"}

daemon = next(filter(os.path.exists, (f"/usr/{lib}/heartbeat/heartbeat" for lib in ("libexec", "lib", "lib64"))), "")
script = read(asked["script"])
told.update(
    name=os.uname().nodename,
    daemon=daemon,
    installed=bool(daemon),
    running=systemctl("is-active"),
    enabled=systemctl("is-enabled"),
    there=[
        name for name in ("ha.cf", "haresources", "authkeys") if os.path.exists(os.path.join(asked["folder"], name))
    ],
    ours=ours,
    foreign=bool(script) and asked["mark"] not in script.splitlines()[:2],
    times=wrong_times(),
    interfaces=sorted(os.listdir("/sys/class/net")),
)
json.dump(told, sys.stdout)
