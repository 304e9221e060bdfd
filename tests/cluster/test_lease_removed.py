# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""After playbooks/remove.yml: nothing of ours is left, and the lease was given back."""

from nodes import Cluster, Node

#: Counts the keys of two folders in etcd.
KEYS = """
import base64, json, urllib.request
for folder in ("/rcron/claims/", "/rcron/leases/"):
    first, last = (base64.b64encode(key.encode()).decode() for key in (folder, folder[:-1] + "0"))
    body = json.dumps({"key": first, "range_end": last, "count_only": True}).encode()
    request = urllib.request.Request("http://127.0.0.1:2379/v3/kv/range", body)
    print(folder, json.load(urllib.request.urlopen(request)).get("count", 0))
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
    lines = cluster.nodes[0].run(f"python3 -c '{KEYS}'").splitlines()
    assert lines == ["/rcron/claims/ 0", "/rcron/leases/ 0"]
