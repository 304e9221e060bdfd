# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_pacemaker asks a node before it changes anything there."""

from __future__ import annotations

import hashlib
import os
import re

from ..node import files, network, programs, systemd

OPTIONS = {
    "script": {"type": "path", "required": True},
    "corosync_conf": {"type": "path", "required": True},
    "authkey": {"type": "path", "required": True, "no_log": False},
    "backup": {"type": "path", "required": True},
    "mark": {"type": "str", "required": True},
}

PROGRAMS = ("corosync", "pacemakerd", "cibadmin", "crm_resource", "crm_attribute")
DAEMONS = ("corosync", "pacemaker")

#: A line of the role's own corosync.conf, for the removal.
NOT_AT_BOOT = "# Corosync and Pacemaker were not started at boot before."

#: The cluster's configuration, as Pacemaker keeps it on the disk of each node.
CIB = "/var/lib/pacemaker/cib/cib.xml"


def inspect(options: dict) -> dict:
    """Look at Corosync and Pacemaker on this node.

    Args:
        options: What OPTIONS describes. `script`, `corosync_conf`, `authkey` and `backup` are paths, `mark` is a line
            at the top of every file that the role writes.

    Returns:
        The keys that rcron_feeder_info documents for pacemaker.

    Raises:
        ProgramError: systemd does not answer.
    """
    managed = files.is_ours(options["corosync_conf"], options["mark"])
    known = nodes(options["corosync_conf"]) if managed else {}
    enabled = all(map(systemd.is_enabled, DAEMONS))
    lines = files.read_text(options["corosync_conf"]).splitlines() if managed else []
    return {
        "installed": all(map(programs.find, PROGRAMS)),
        "running": all(map(systemd.is_active, DAEMONS)),
        "enabled": enabled,
        "enabled_before": NOT_AT_BOOT not in lines if managed else enabled,
        "foreign": files.foreign([options["script"]], options["mark"]),
        "managed": managed,
        "nodes": known,
        "peers": {name: node["ring0_addr"] for name, node in known.items() if "ring0_addr" in node},
        "untouched": is_untouched(options["corosync_conf"]),
        "backup": os.path.exists(options["backup"]),
        "authkey": os.path.exists(options["authkey"]),
        "address": network.default_address(),
        "quorum_policy": quorum_policy(CIB),
    }


def nodes(corosync_conf: str) -> dict[str, dict[str, str]]:
    """Return what a corosync.conf that the role wrote says of each node, by the node's name.

    Args:
        corosync_conf: The file's path.

    Raises:
        OSError: It cannot be read.
    """
    blocks = re.findall(r"^ *node \{\n(.*?)\}", files.read_text(corosync_conf), re.MULTILINE | re.DOTALL)
    found = (dict(re.findall(r"^ *(\w+): (\S+)$", block, re.MULTILINE)) for block in blocks)
    return {node["name"]: node for node in found if "name" in node}


def quorum_policy(cib: str) -> str:
    """Return the cluster's C(no-quorum-policy), which is C(stop) if nothing sets it or the file cannot be read.

    Args:
        cib: The path of the cluster's configuration, which need not exist.
    """
    try:
        text = files.read_text(cib)
    except OSError:
        return "stop"
    for attributes in re.findall("<nvpair ([^<>]*)>", text):
        pair = dict(re.findall('([a-z-]+)="([^"]*)"', attributes))
        if pair.get("name") == "no-quorum-policy":
            return pair.get("value", "stop")
    return "stop"


def is_untouched(corosync_conf: str) -> bool:
    """Tell whether nobody has set up a cluster here: Debian's package starts one of a single node.

    Args:
        corosync_conf: Path of Corosync's configuration.

    Returns:
        Whether there is no such file or it is the package's own, and the cluster holds no resource.
    """
    if has_resource(CIB):
        return False
    try:
        data = files.read_head(corosync_conf, files.LARGEST)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # somebody has put something there
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()  # as dpkg keeps them
    try:
        packaged = programs.output("dpkg-query", "--show", "--showformat=${Conffiles}", "corosync")
    except programs.ProgramError:
        return False
    return f" {corosync_conf} {digest}" in packaged.splitlines()


def has_resource(cib: str) -> bool:
    """Tell whether a cluster's configuration holds a resource.

    Args:
        cib: The path of the file, which need not exist.
    """
    try:
        return bool(re.search("<(primitive|template)[ >]", files.read_text(cib)))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it may
