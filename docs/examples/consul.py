# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An engine for claims in Consul's key/value store: rcron-agent(8), ENGINE COMMAND.

    (echo '#!/usr/bin/python3 -IS'; cat consul.py) >/usr/local/sbin/rcron-consul
    chmod 755 /usr/local/sbin/rcron-consul

It was tried against a program that answers as Consul's documentation says, not against Consul. CONSUL_HTTP_ADDR is not
in its environment: change ADDRESS. It has no windows (--claim-window).
"""

import base64
import http.client
import json
import os
import sys
import urllib.parse

ADDRESS = ("127.0.0.1", 8500)

MINE, OTHER, CANNOT_TELL = 0, 1, 75


class Consul:
    """Consul's HTTP API."""

    def ask(self, method: str, path: str, body: str = "", **query: str) -> "tuple[int, bytes]":
        """Send a request. Returns the status and the body."""
        connection = http.client.HTTPConnection(*ADDRESS, timeout=2)
        token = os.environ.get("RCRON_ENGINE_PASSWORD", "")
        headers = {"X-Consul-Token": token} if token else {}
        try:
            connection.request(method, f"/v1/{path}?{urllib.parse.urlencode(query)}", body.encode(), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def put(self, key: str, value: "dict[str, object]", index: int) -> bool:
        """Write a key if it was last changed at this index; 0: if it does not exist."""
        status, body = self.ask("PUT", f"kv/{key}", json.dumps(value), cas=str(index))
        if status != 200:
            raise OSError(f"Consul: status {status}: {body[:100]!r}")
        return body.strip() == b"true"

    def get(self, key: str, **query: str) -> "list[dict[str, object]]":
        """Read a key, or all below it."""
        status, body = self.ask("GET", f"kv/{key}", **query)
        if status == 404:
            return []
        if status != 200:
            raise OSError(f"Consul: status {status}: {body[:100]!r}")
        found = json.loads(body)
        return [{**json.loads(base64.b64decode(each["Value"])), "pair": each} for each in found]


def key_of(*names: str) -> str:
    """Return the key of these variables' values."""
    parts = [os.environ["RCRON_PREFIX"].strip("/"), "claims", *(os.environ[f"RCRON_{name}"] for name in names)]
    return "/".join(urllib.parse.quote(urllib.parse.quote(part, ""), "") for part in parts)


def claim(consul: Consul) -> int:
    """Claim a run, or say whose it is."""
    if os.environ.get("RCRON_WINDOW", "0") != "0":
        print("this engine has no windows")
        return CANNOT_TELL
    names = ("CLUSTER", "USER", "JOB", "FIRE", "TOKEN", "NODE", "COMMAND")
    value: "dict[str, object]" = {name.lower(): os.environ[f"RCRON_{name}"] for name in names}
    value["cmd"] = value.pop("command")
    value["at"] = int(os.environ["RCRON_AT"])
    key = key_of("CLUSTER", "USER", "JOB", "FIRE")
    if consul.put(key, value, 0):
        return MINE
    (there,) = consul.get(key)
    if there["token"] == os.environ["RCRON_TOKEN"]:
        return MINE
    print(there["node"], there["at"])
    return OTHER


def ended(consul: Consul) -> int:
    """Record the end of a run."""
    key = key_of("CLUSTER", "USER", "JOB", "FIRE")
    for there in consul.get(key):
        pair = there.pop("pair")
        if there["token"] != os.environ["RCRON_TOKEN"]:
            return OTHER
        status = os.environ["RCRON_EXIT"]
        if not status and "end" in there:
            return MINE
        there["end"] = {"exit": int(status) if status else None, "dur": float(os.environ["RCRON_DURATION"])}
        return MINE if consul.put(key, there, pair["ModifyIndex"]) else CANNOT_TELL
    return OTHER


def runs_of(consul: Consul) -> "list[dict[str, object]]":
    """Return all runs of the cluster, the newest first."""
    found = consul.get(key_of("CLUSTER") + "/", recurse="true")
    return sorted(found, key=lambda run: -run["pair"]["CreateIndex"])


def history(consul: Consul) -> int:
    """Print runs."""
    before = int(os.environ["RCRON_BEFORE"] or 1 << 62)
    user, job = os.environ["RCRON_USER"], os.environ["RCRON_JOB"]
    left = int(os.environ["RCRON_LIMIT"])
    for run in runs_of(consul):
        pair = run.pop("pair")
        if pair["CreateIndex"] < before and user in ("", run["user"]) and job in ("", run["job"]) and left > 0:
            print(json.dumps({**run, "cursor": str(pair["CreateIndex"])}))
            left -= 1
    return MINE


def check(consul: Consul) -> int:
    """Print who leads."""
    status, body = consul.ask("GET", "status/leader")
    print(f"Consul's leader is {json.loads(body) or 'nobody'}")
    return MINE if status == 200 and json.loads(body) else CANNOT_TELL


def clean(consul: Consul) -> int:
    """Delete what is too old."""
    runs = runs_of(consul)
    limit = max((run["at"] for run in runs), default=0) - int(os.environ["RCRON_KEEP"])
    seen: "dict[tuple[object, object], int]" = {}
    deleted = 0
    for run in runs:
        job = run["user"], run["job"]
        seen[job] = seen.get(job, 0) + 1
        if run["at"] < limit and seen[job] > int(os.environ["RCRON_KEEP_EACH"]):
            consul.ask("DELETE", f"kv/{urllib.parse.quote(run['pair']['Key'])}")
            deleted += 1
    print(deleted)
    return MINE


def forget(consul: Consul) -> int:
    """Delete all runs of the cluster."""
    status, body = consul.ask("DELETE", f"kv/{key_of('CLUSTER')}/", recurse="true")
    print(f"Consul: status {status}: {body[:100]!r}")
    return MINE if status == 200 else CANNOT_TELL


if __name__ == "__main__":
    known = {"claim": claim, "ended": ended, "history": history, "check": check, "clean": clean, "forget": forget}
    try:
        sys.exit(known[sys.argv[1]](Consul()))
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(CANNOT_TELL)
