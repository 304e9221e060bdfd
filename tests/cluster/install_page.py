# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What docs/install.md tells an administrator to type and to write, so that the tests do just that."""

import pathlib
import re

from nodes import Cluster, Node
from waiting import wait_until

PAGE = (pathlib.Path(__file__).parents[2] / "docs/install.md").read_text()


def section(title: str) -> str:
    """Return one section of the page."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(title: str) -> list[str]:
    """Return a section's commands, in the order of the page."""
    return re.findall(r"^    (\S.*)$", re.sub("```.*?```", "", section(title), flags=re.DOTALL), re.MULTILINE)


def up_to(last: str, found: list[str]) -> list[str]:
    """Take the first commands off a list, up to the one that begins as given."""
    end = next(index for index, command in enumerate(found) if command.startswith(last)) + 1
    taken, found[:end] = found[:end], []
    return taken


def connect_keepalived(node: Node) -> None:
    """Write the three files, and the include into keepalived.conf."""
    for path, text in re.findall(r"^```\n# (/\S+)\n(.*?)^```\n", section("By hand"), re.MULTILINE | re.DOTALL):
        node.run(f"mkdir -p {path.rpartition('/')[0]} && cat >{path} <<'END'\n{text}END")
    (include,) = re.findall(r"Make `(include \S+)` the first line of `keepalived.conf`", PAGE)
    node.run(f"sed -i '1i{include}' /etc/keepalived/keepalived.conf")


def disconnect_keepalived(node: Node, found: list[str]) -> None:
    """Take the include out, and run the commands up to the one that has keepalived read its files again."""
    node.run("cp /var/tmp/keepalived.conf /etc/keepalived/keepalived.conf")
    for command in up_to("systemctl daemon-reload", found):
        node.run(command)


def fail_over(cluster: Cluster) -> None:
    """Have another node take over, by a failure of keepalived on the active one."""
    active = cluster.settle()
    active.run("systemctl stop keepalived")
    wait_until(lambda: list(cluster.states().values()).count("active") == 1, "another node is active", 15)
    assert cluster.active() is not active
    active.run("systemctl start keepalived")
    assert cluster.settle() is not active, "nopreempt"


def differences(node: Node) -> str:
    """Return what list-files shows now and did not before the first installation, or the other way round."""
    return node.try_run("list-files | grep -v '^[^/]*/var/lib/dpkg' | diff /var/tmp/files -").stdout
