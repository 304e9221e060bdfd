# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Have etcd ask for users, and give rcron's the right to read and write below /rcron/, as docs/ledger.md has it."""

import base64
import http.client
import json
import time

#: root's for this test only, and the one that the inventory has.
PASSWORDS = {"root": "root", "rcron": 'no "#%= secret'}


def call(path: str, **document: object) -> None:
    """Send a request to this node's member, again until it answers."""
    until = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=5)
        try:
            connection.request("POST", f"/v3/{path}", json.dumps(document))
            answer = connection.getresponse()
            body = answer.read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
            continue
        finally:
            connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path}: {body!r}")
        return


def encoded(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


call("auth/user/add", name="root", password=PASSWORDS["root"])
call("auth/role/add", name="root")
call("auth/user/grant", user="root", role="root")
call("auth/role/add", name="rcron")
permission = {"permType": "READWRITE", "key": encoded("/rcron/"), "range_end": encoded("/rcron0")}
call("auth/role/grant", name="rcron", perm=permission)
call("auth/user/add", name="rcron", password=PASSWORDS["rcron"])
call("auth/user/grant", user="rcron", role="rcron")
call("auth/enable")
