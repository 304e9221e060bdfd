# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_patroni asks a node before it changes anything there.

Nothing of Patroni's configuration leaves the node but its callbacks, and its REST API's URL and the paths of the
certificates for that: it holds passwords.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import http.client
import json
import os
import pwd
import shlex
import ssl
import sys
from collections.abc import Callable

from ..node import files, programs, systemd

OPTIONS = {
    "service": {"type": "str", "required": True},
    "conf": {"type": "str", "default": ""},
    "url": {"type": "str", "default": ""},
    "command": {"type": "str", "required": True},
    "mark": {"type": "str", "required": True},
    "record": {"type": "path", "required": True},
}

#: on_start, on_stop and on_role_change tell every change. on_restart is there because Patroni kills the callback before
#: it, which may not have spoken yet, and on_reload because it was asked for before there was rcron-agent.
ACTIONS = ("on_reload", "on_restart", "on_role_change", "on_start", "on_stop")

#: The last of the folder's files: of two that name a callback, Patroni takes the later one.
OWN_FILE = "zz-rcron.yml"

#: Seconds for the REST API.
ANSWER_TIME = 10

#: How many certificates of a folder are read.
MOST_CERTIFICATES = 1000

BOOT_ID = "/proc/sys/kernel/random/boot_id"

#: Run by Patroni's own Python, which has yaml. Reads the YAML files that are named, merges them as Patroni does
#: (patch_config in its utils.py: None takes away) and prints postgresql.callbacks, the URL of the REST API, and with
#: which certificates it is asked, as request.py chooses them for patronictl. If a client must show one and there is
#: none for patronictl, it is the API's own.
READER = """
import json, os, sys, yaml
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
        with open(path, "rb") as stream:
            patch(config, yaml.safe_load(stream) or {})
    except (OSError, yaml.YAMLError, AttributeError, RecursionError, ValueError) as error:
        # A YAML error's text quotes the line that it is about.
        mark = getattr(error, "problem_mark", None)
        why = [getattr(error, name, None) for name in ("strerror", "problem", "reason")]
        why = next(filter(None, why), "not a mapping")
        sys.exit("%s%s: %s" % (path, ":%d" % (mark.line + 1) if mark else "", why))
def section(config, name):
    found = config.get(name)
    return found if isinstance(found, dict) else {}
callbacks = section(section(config, "postgresql"), "callbacks")
api = section(config, "restapi")
address = api.get("connect_address") or api.get("listen") or ""
url = "http%s://%s" % ("s" if api.get("certfile") else "", address) if address else ""
ctl = section(config, "ctl")
client = ctl if ctl.get("certfile") else api if str(api.get("verify_client")).lower() == "required" else {}
tls = {
    "ca_file": "" if ctl.get("insecure") else ctl.get("cacert") or api.get("cafile") or "",
    "cert_file": client.get("certfile") or "",
    "key_file": client.get("keyfile") or "",
} if api.get("certfile") else {}
json.dump([
    {str(name): str(value) for name, value in callbacks.items()},
    url,
    {name: os.path.join("/", str(path)) for name, path in tls.items() if path},
], sys.stdout)
"""


def inspect(options: dict) -> dict:
    """Look at Patroni on this node.

    Args:
        options: What OPTIONS describes. `service` is the unit, `conf` Patroni's configuration ("": the unit says),
            `url` its REST API ("": the configuration says), `command` what its callbacks are to call, `mark` the first
            line of the role's own files, `record` the file that says what rcron's feeder last said.

    Returns:
        The keys that rcron_feeder_info documents for patroni.

    Raises:
        ProgramError: systemd does not answer.
    """
    unit = systemd.properties(options["service"] + ".service", "LoadState", "ActiveState", "User", "ExecStart")
    words = argv(unit.get("ExecStart", ""))
    user = user_name(unit.get("User") or "root")
    conf = options["conf"] or (words[-1] if len(words) > 1 else "")
    folder = os.path.isdir(conf)
    own = os.path.join(conf, OWN_FILE) if folder else ""
    running = unit.get("ActiveState") in ("active", "reloading")
    callbacks: dict[str, str] = {}
    tls: dict[str, str] = {}
    url, error = "", ""
    if conf:
        try:
            python = interpreter(words[0] if words else "")
            callbacks, url, tls = read(python, files_of(conf, own), user)
        except UnreadableError as unreadable:
            error = str(unreadable)
    url = options["url"] or url
    missing = [action for action in ACTIONS if not calls(callbacks.get(action, ""), options["command"])]
    return {
        "unit": unit.get("LoadState") == "loaded",
        "user": user,
        "running": running,
        "conf": conf,
        "folder": folder,
        "file": own,
        "foreign": files.foreign([own] if own else [], options["mark"]),
        "error": error,
        "url": url,
        "tls": tls,
        "unheard": why_unheard(url, tls) if running and not error else "",
        "spoke": has_spoken(options["record"]),
        "missing": missing,
        "wanted": {
            action: wanted(callbacks.get(action, ""), options["command"] if action in missing else "")
            for action in ACTIONS
        },
        "theirs": {
            action: callbacks.get(action, "") if action in missing else previous(callbacks[action])
            for action in ACTIONS
        },
    }


class UnreadableError(Exception):
    """Patroni's configuration cannot be read; the message names the file and the reason, and quotes nothing of it."""


def argv(exec_start: str) -> list[str]:
    """Return the words of `{ path=… ; argv[]=/usr/bin/patroni /etc/patroni/config.yml ; ignore_errors=no ; … }`."""
    return exec_start.partition("argv[]=")[2].partition(" ; ")[0].split()


def user_name(user: str) -> str:
    """Return the name of a user that a unit may give by its number."""
    try:
        return pwd.getpwuid(int(user)).pw_name if user.isdecimal() else user
    except (KeyError, OverflowError):
        return user


def interpreter(program: str) -> str:
    """Return the Python that Patroni runs on, which has yaml.

    Args:
        program: The path of Patroni's own file.
    """
    try:
        first = files.read_head(program).split(b"\n")[0][:256]
    except OSError:
        return sys.executable
    words = first[2:].decode("utf-8", "replace").split() if first.startswith(b"#!") else []
    return words[0] if words and "python" in os.path.basename(words[0]) else sys.executable


def files_of(conf: str, own: str) -> list[str]:
    """Return the files that Patroni reads, in its order, without the role's own.

    Args:
        conf: Patroni's configuration, a file or a folder.
        own: The path of the role's own file.
    """
    if not os.path.isdir(conf):
        return [conf]
    names = sorted(name for name in os.listdir(conf) if name.endswith((".yml", ".yaml")))
    return [path for path in (os.path.join(conf, name) for name in names) if path != own and os.path.isfile(path)]


def read(python: str, paths: list[str], user: str) -> tuple[dict[str, str], str, dict[str, str]]:
    """Read Patroni's configuration.

    Args:
        python: The path of a Python that has yaml. It is the user's (a virtual environment's, perhaps), so that root
            runs it as that user.
        paths: The files, of which a later one takes precedence.
        user: The user that Patroni runs as.

    Returns:
        The callbacks with their commands, the URL of the REST API or "", and the paths of the certificates for it, as
        `why_unheard` takes them.

    Raises:
        UnreadableError: It cannot be read.
    """
    for path in paths:
        try:
            files.read_text(path)
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}") from None
    try:
        done = programs.run(python, "-I", "-c", READER, *paths, user=user)
    except programs.NotStartedError as error:
        raise UnreadableError(str(error)) from None
    except programs.ProgramError:
        # The error itself would quote READER.
        raise UnreadableError(f"{paths[-1]}: {python} did not read it within {programs.TIME_LIMIT:g} s") from None
    if done.returncode:
        raise UnreadableError((done.stderr.strip().splitlines() or ["it cannot be read"])[-1])
    try:
        callbacks, url, tls = json.loads(done.stdout)
        words = (*callbacks, *callbacks.values(), url, *tls.values())
        if {type(word) for word in words} == {str} and set(tls) <= {"ca_file", "cert_file", "key_file"}:
            return callbacks, url, tls
    except (AttributeError, TypeError, ValueError):
        pass
    raise UnreadableError(f"{paths[-1]}: {python}, which Patroni runs on, did not read it")


def calls(command: str, ours: str) -> bool:
    """Tell whether a callback begins as ours does, so that it calls us, whatever options follow."""
    try:
        return shlex.split(command)[: len(ours.split())] == ours.split()
    except ValueError:
        return False


def wanted(now: str, ours: str) -> str:
    """Return the command that a callback is to have.

    Args:
        now: The command that it has, or "".
        ours: The command that it is to begin with; "" if it does so already.
    """
    if not ours:
        return now
    return ours + (f" --then {shlex.quote(now)}" if now else "")


def previous(command: str) -> str:
    """Return what one of our callbacks starts afterwards, or ""."""
    words = shlex.split(command)
    return words[words.index("--then") + 1] if "--then" in words[:-1] else ""


def why_unheard(url: str, tls: dict[str, str]) -> str:
    """Ask a REST API whether it is there, as rcron-agent will ask it.

    Args:
        url: Its URL.
        tls: The paths of the certificates for https, by rcron-agent's names for them.

    Returns:
        Why nobody answers, "" if somebody does, whatever the answer.
    """
    scheme, _separator, address = url.rstrip("/").partition("://")
    if scheme not in ("http", "https") or not address:
        return f'"{url}" is not http://HOST:PORT or https://HOST:PORT'
    connection: http.client.HTTPConnection | None = None
    try:
        if scheme == "https":
            connection = http.client.HTTPSConnection(address, timeout=ANSWER_TIME, context=context_of(tls))
        else:
            connection = http.client.HTTPConnection(address, timeout=ANSWER_TIME)
        connection.request("GET", "/liveness")
        connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        if connection is not None:
            connection.close()
    return ""


def context_of(tls: dict[str, str]) -> ssl.SSLContext:
    """Return what https is done with. The certificate may be for another name than the one that is asked by here.

    Args:
        tls: As `why_unheard` takes it.

    Raises:
        OSError: A certificate cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if "ca_file" in tls:
        context.verify_mode = ssl.CERT_REQUIRED
        if os.path.isdir(tls["ca_file"]):
            for path in sorted(glob.glob(f"{glob.escape(tls['ca_file'])}/{'[0-9a-f]' * 8}.[0-9]*"))[:MOST_CERTIFICATES]:
                with contextlib.suppress(OSError):  # as OpenSSL does: a link to nowhere, or something else
                    _with_files(context.load_verify_locations, path)
        else:
            _with_files(context.load_verify_locations, tls["ca_file"])
    if "cert_file" in tls:
        # Nobody is there to be asked for a key's password.
        chain = functools.partial(context.load_cert_chain, password="")
        _with_files(chain, tls["cert_file"], tls.get("key_file", tls["cert_file"]))
    return context


def _with_files(what: Callable[..., object], *paths: str) -> None:
    """Have OpenSSL read files, and open nothing but regular ones: what Patroni's user names may be anything."""
    opened: list[int] = []
    try:
        for path in paths:
            opened.append(files.open_regular(path))
        what(*[f"/proc/self/fd/{descriptor}" for descriptor in opened])
    finally:
        for descriptor in opened:
            os.close(descriptor)


def has_spoken(record: str) -> bool:
    """Say whether Patroni has reported its role since the machine was booted.

    Args:
        record: The path of the file that says what rcron's feeder last said.
    """
    try:
        text = files.read_head(record).decode("utf-8", "replace")
        boot = files.read_head(BOOT_ID).decode("ascii").strip()
    except OSError:
        return False
    return text.startswith("feeder=patroni\n") and f" {boot}\n" in text
