# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_patroni wants to know of a node before it changes anything there.

Run on the node by the role's tasks/inspect.yml, with -I. Reads one JSON object from standard input: service (str), conf
(str, Patroni's configuration, or nothing where the unit is to tell), url (str, Patroni's REST API, or nothing where the
configuration is to tell), command (str, what its callbacks are to call), mark (str, the first line of the role's own
files), record (str, the file that says what rcron's feeder last said). Writes one to standard output: unit (bool,
whether there is such a unit), user (str, whom it runs as), running (bool), conf (str), folder (bool, whether that is a
folder), file (str, the role's own file in it), foreign (bool, whether that one is somebody else's), error (str, why the
configuration cannot be read), wanted (dict: callback -> the command that it is to have), missing (list of str, the
callbacks that have another one), theirs (dict: callback -> what it called before, or nothing), url (str), unheard (str,
why nobody answers there although Patroni runs), spoke (bool, whether Patroni has told its role since the machine was
booted).

Nothing else of the configuration leaves the node: it holds passwords.
"""

import json
import os
import pwd
import shlex
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

#: on_start, on_stop and on_role_change tell every change. on_reload brings back the process that watches Patroni, where
#: that was killed. on_restart is there because Patroni kills the callback before it, which may not have spoken yet.
ACTIONS = ("on_reload", "on_restart", "on_role_change", "on_start", "on_stop")

#: The last of the folder's files: of two that name a callback, Patroni takes the later one.
OWN_FILE = "zz-rcron.yml"

#: Reads the YAML files that are named, merges them as Patroni does (patch_config in its utils.py: None takes away) and
#: prints postgresql.callbacks and the URL of the REST API.
READER = """
import json, sys, yaml
def patch(config, data):
    for name, value in data.items():
        if value is None:
            config.pop(name, None)
        elif isinstance(value, dict) and isinstance(config.get(name), dict):
            patch(config[name], value)
        else:
            config[name] = value
config = {}
for path in sys.argv[1:]:
    try:
        with open(path) as stream:
            patch(config, yaml.safe_load(stream) or {})
    except (OSError, yaml.YAMLError, AttributeError) as error:
        # A YAML error's text quotes the line that it is about.
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "strerror", None) or getattr(error, "problem", None) or "no mapping"
        sys.exit("%s%s: %s" % (path, ":%d" % (mark.line + 1) if mark else "", why))
callbacks = (config.get("postgresql") or {}).get("callbacks") or {}
api = config.get("restapi") or {}
address = api.get("connect_address") or api.get("listen") or ""
url = "http%s://%s" % ("s" if api.get("certfile") else "", address) if address else ""
json.dump([{str(name): str(value) for name, value in callbacks.items()}, url], sys.stdout)
"""


def show(service: str) -> "dict[str, str]":
    asked = subprocess.run(
        ["systemctl", "show", "--property=LoadState,ActiveState,User,ExecStart", service + ".service"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(line.partition("=")[::2] for line in asked.stdout.splitlines())


def argv(exec_start: str) -> "list[str]":
    """The words of `{ path=… ; argv[]=/usr/bin/patroni /etc/patroni/config.yml ; ignore_errors=no ; … }`."""
    return exec_start.partition("argv[]=")[2].partition(" ; ")[0].split()


def interpreter(program: str) -> str:
    """The Python that Patroni runs on, which has yaml. program: Patroni's own file."""
    try:
        with open(program, "rb") as file:
            first = file.readline(256)
    except OSError:
        return sys.executable
    words = first[2:].decode("utf-8", "replace").split() if first.startswith(b"#!") else []
    return words[0] if words and "python" in os.path.basename(words[0]) else sys.executable


def files_of(conf: str, own: str) -> "list[str]":
    """The files that Patroni reads, in its order, without the role's own."""
    if not os.path.isdir(conf):
        return [conf]
    names = sorted(name for name in os.listdir(conf) if name.endswith((".yml", ".yaml")))
    return [path for path in (os.path.join(conf, name) for name in names) if path != own and os.path.isfile(path)]


def same(command: str, wanted: str) -> bool:
    """Whether a callback begins as ours does, so that it calls us, with whatever options after that."""
    try:
        return shlex.split(command)[: len(wanted.split())] == wanted.split()
    except ValueError:
        return False


def previous(command: str) -> str:
    """What one of our callbacks starts afterwards."""
    words = shlex.split(command)
    return words[words.index("--then") + 1] if "--then" in words[:-1] else ""


def is_ours(path: str, mark: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n") == mark


def why_unheard(url: str) -> str:
    """Why nobody answers at a URL; nothing where somebody does, whatever."""
    # Patroni's own certificate, which may be for another name than the one that it is asked by here.
    context = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    try:
        # http or https, as Patroni's configuration says: no file.
        urllib.request.urlopen(url + "/liveness", timeout=10, context=context).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return ""


def has_spoken(record: str) -> bool:
    try:
        with open(record, encoding="utf-8", errors="replace") as file, open("/proc/sys/kernel/random/boot_id") as boot:
            text, this_boot = file.read(4096), boot.read().strip()
    except OSError:
        return False
    return text.startswith("feeder=patroni\n") and f" {this_boot}\n" in text


asked = json.load(sys.stdin)
unit = show(asked["service"])
words = argv(unit.get("ExecStart", ""))
conf = asked["conf"] or (words[-1] if len(words) > 1 else "")
folder = os.path.isdir(conf)
own = os.path.join(conf, OWN_FILE) if folder else ""
told = {
    "unit": unit.get("LoadState") == "loaded",
    "user": unit.get("User") or "root",
    "running": unit.get("ActiveState") in ("active", "reloading"),
    "conf": conf,
    "folder": folder,
    "file": own,
    "foreign": bool(own) and os.path.lexists(own) and not is_ours(own, asked["mark"]),
    "error": "",
    "url": asked["url"],
    "unheard": "",
    "spoke": has_spoken(asked["record"]),
}
if told["user"].isdecimal():
    told["user"] = pwd.getpwuid(int(told["user"])).pw_name
callbacks = {}
if conf:
    read = subprocess.run(
        [interpreter(words[0] if words else ""), "-I", "-c", READER, *files_of(conf, own)],
        check=False,
        capture_output=True,
        text=True,
    )
    if read.returncode:
        told["error"] = (read.stderr.strip().splitlines() or ["it cannot be read"])[-1]
    else:
        callbacks, url = json.loads(read.stdout)
        told["url"] = told["url"] or url
if told["running"] and not told["error"]:
    told["unheard"] = why_unheard(told["url"])
told["missing"] = [action for action in ACTIONS if not same(callbacks.get(action, ""), asked["command"])]
told["wanted"] = {}
told["theirs"] = {}
for action in ACTIONS:
    now = callbacks.get(action, "")
    if action in told["missing"]:
        told["wanted"][action] = asked["command"] + (f" --then {shlex.quote(now)}" if now else "")
        told["theirs"][action] = now
    else:
        told["wanted"][action] = now
        told["theirs"][action] = previous(now)
json.dump(told, sys.stdout)
