# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: nothing of ours is left, and the lease was given back."""

from nodes import Cluster, Node

#: Prints etcd's keys.
KEYS = """
import base64, json, urllib.request
everything = base64.b64encode(bytes(1)).decode()
body = json.dumps({"key": everything, "range_end": everything, "keys_only": True}).encode()
request = urllib.request.Request("http://127.0.0.1:2379/v3/kv/range", body)
for each in json.load(urllib.request.urlopen(request)).get("kvs", []):
    print(base64.b64decode(each["key"]).decode())
"""


def test_nothing_is_left(node: Node) -> None:
    places = (
        "/etc/rcron /run/rcron /run/rcron-agent /usr/lib/rcron /etc/systemd/system/rcron* /etc/systemd/system/*/rcron*"
    )
    assert node.run(f"ls -d {places} 2>/dev/null || :") == ""
    assert node.run("systemctl list-units --all --no-legend 'rcron*'") == ""
    find = "find /etc /usr /var/lib/systemd -xdev -not -path '*/__pycache__*' | sort"
    node.run("sort -o /var/tmp/files-before /var/tmp/files-before")
    assert node.run(f"{find} | comm -3 - /var/tmp/files-before") == ""


def test_the_lease_was_given_back(cluster: Cluster) -> None:
    left = cluster.nodes[0].run(f"python3 -c '{KEYS}'").splitlines()
    # The ledger stays, with the run that was claimed while there was no feeder.
    assert any(key.startswith("/rcron/claims/") for key in left), left
    assert [key for key in left if key.startswith("/rcron/leases/")] == []
