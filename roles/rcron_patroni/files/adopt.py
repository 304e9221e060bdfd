# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Have a running Patroni read its callbacks, and tell rcron the role that it has already: Patroni tells changes only.

Run on the node by the role's tasks/hook.yml, with -I. Arguments: the systemd unit, the user that it runs as, the URL of
Patroni's REST API, and rcronctl's command line. Where Patroni does not run, the node is made passive.
"""

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

unit, user, url, *rcronctl = sys.argv[1:]

#: How often the role may change while we look at it, before this gives up.
TRIES = 5

#: Patroni's loop_wait where its configuration has none, in seconds.
LOOP_WAIT = 10


def ask(path: str) -> "tuple[int, bytes]":
    # Patroni's own certificate, which may be for another name than the one that it is asked by here.
    context = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323
    try:
        # http or https, as Patroni's configuration says: no file.
        with urllib.request.urlopen(url + path, timeout=10, context=context) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def is_primary() -> bool:
    """Whether this node is the primary and holds the leader's key: 200, and 503 where not."""
    return ask("/primary")[0] == 200


def main_process() -> int:
    shown = subprocess.run(
        ["systemctl", "show", "--property=MainPID", "--value", unit], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(shown.stdout or 0)


def tell(*words: str) -> None:
    # A scope of its own, for the process that this leaves behind: the login session that we run in is about to end.
    scope = ["systemd-run", "--quiet", "--scope", "--uid=" + user, "--"] if "--while" in words else []
    subprocess.run([*scope, *rcronctl, "set", *words, "--feeder", "patroni"], check=True)


if not main_process():
    tell("passive")
    sys.exit(0)
try:
    subprocess.run(["systemctl", "reload", unit], check=True)
    status, body = ask("/config")
    # It does so between two cycles.
    time.sleep(2 * float((json.loads(body) if status == 200 else {}).get("loop_wait", LOOP_WAIT)))
    for _ in range(TRIES):
        primary = is_primary()
        if primary:
            tell("active", "--while", str(main_process()))
        else:
            tell("passive")
        # From now on Patroni tells changes. One that came while we asked would be overwritten by what we were told.
        if is_primary() == primary:
            sys.exit(0)
except (OSError, ValueError, subprocess.CalledProcessError) as error:
    tell("passive")
    sys.exit(f"{unit}, {url}: {error}; this node is passive until Patroni calls back")
sys.exit(f"{unit}: its role changes all the time; see patronictl list")
