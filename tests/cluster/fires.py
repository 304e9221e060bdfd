# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which fire a run on a node would be claimed as, without an engine."""

from nodes import Node

#: A program for /usr/local/bin/fire. It notes which fire it is, and whether another's claim would stop it.
FIRE = """\
#!/usr/bin/python3 -IS
import os, sys
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath("/usr/bin/rcron"))))
from rcron import claim
found = claim.identify("", 0)
with open("/var/log/fires", "a") as file:
    file.write(f"{sys.argv[1]} {found.key} {found.is_refusable}\\n")
"""


def read(node: Node) -> dict[str, list[tuple[str, bool]]]:
    """Return what a node has noted, by FIRE's argument: the fire's key, and if another's claim would stop it."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for line in node.run("cat /var/log/fires").splitlines():
        name, key, refusable = line.split()
        found.setdefault(name, []).append((key, refusable == "True"))
    return found
