# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Make or delete rcron's resource in a running Pacemaker cluster.

Run by the role's tasks/resource.yml on one node of the cluster, with -I. Argument: present or absent. Reads one JSON
object from standard input: resource (str, its name), promotable (bool), conf (str, the path of rcron.conf), interval
(int, seconds between two looks at the active instance), properties (dict of str: the cluster's that are to be set),
members (int, how many nodes must have joined before anything is done), patience (int, seconds for the cluster to do it;
0, don't wait), check (bool, change nothing), refresh (bool, whether Pacemaker is to forget that the agent was missing).
Writes one to standard output: changed (bool), did (list of str, what was or would be done), error (str, or nothing).

It uses the tools that come with Pacemaker, and not crm or pcs, of which a node has one or the other. The resource is
recognised by the ids of its parts; what else somebody adds to it stays as it is.
"""

import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

wanted_state = sys.argv[1]
asked = json.load(sys.stdin)
name = asked["resource"]
clone = f"{name}-clone"
top = clone if asked["promotable"] else name
patience = int(asked["patience"])
did: "list[str]" = []

#: Seconds that the cluster has in any case for what the next step cannot do without.
LEAST = 60


class RefusedError(Exception):
    """Why nothing (more) can be done, for a person."""


def run(*words: str, stdin: "str | None" = None) -> str:
    """Run a command of Pacemaker's that must succeed. Returns what it printed. Raises RefusedError."""
    ran = subprocess.run(words, check=False, input=stdin, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RefusedError(f"{' '.join(words)}: {ran.stderr.strip() or ran.stdout.strip() or ran.returncode}")
    return ran.stdout


def cib() -> ET.Element:
    """The cluster's configuration and status."""
    return ET.fromstring(run("cibadmin", "--query"))  # noqa: S314 - root's own cluster says it


def wait_for(true: "Callable[[], bool]", what: str, patience: int) -> None:
    """Wait until a function returns something true. Raises RefusedError where it does not within so many seconds."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            shown = subprocess.run(["crm_mon", "-1"], check=False, stdout=subprocess.PIPE, text=True).stdout
            raise RefusedError(f"not within {patience} s: {what} (rcron_pacemaker_patience). crm_mon says:\n{shown}")
        time.sleep(0.5)


def joined() -> bool:
    """Whether the cluster has its members, a quorum and one that decides."""
    try:
        found = cib()
    except RefusedError:
        return False
    states = found.findall("./status/node_state[@join='member']")
    there = [one for one in states if one.get("crmd") not in ("offline", "0", None)]
    return found.get("have-quorum") == "1" and bool(found.get("dc-uuid")) and len(there) >= int(asked["members"])


def element(tag: str, *children: ET.Element, **attributes: str) -> ET.Element:
    """An element of the cluster's configuration. attributes: `type_` stands for `type` and so on."""
    made = ET.Element(tag, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    made.extend(children)
    return made


def pair(of: str, key: str, value: str) -> ET.Element:
    """One setting inside a set. of: the set's id."""
    return element("nvpair", id=f"{of}-{key}", name=key, value=value)


def wanted(found: ET.Element) -> ET.Element:
    """The resource as it is to be. found: the cluster's configuration, whose schema tells how roles are called."""
    schema = [int(part) for part in re.findall(r"\d+", found.get("validate-with", ""))]
    promoted = "Promoted" if not schema or schema >= [3, 7] else "Master"
    interval = int(asked["interval"])
    params = f"{name}-rcron"
    looks = [element("op", id=f"{name}-rcron-monitor", name="monitor", interval=f"{interval}s", timeout="20s")]
    if asked["promotable"]:
        # Two monitors of one resource cannot have the same interval.
        looks[0].set("role", promoted)
        looks[0].set("id", f"{name}-rcron-monitor-promoted")
        other = f"{max(10, interval + 1)}s"
        looks.append(element("op", id=f"{name}-rcron-monitor", name="monitor", interval=other, timeout="20s"))
    primitive = element(
        "primitive",
        element("instance_attributes", pair(params, "conf", asked["conf"]), id=params),
        element("operations", *looks),
        id=name,
        class_="ocf",
        provider="rcron",
        type_="rcron",
    )
    if not asked["promotable"]:
        return primitive
    meta = f"{clone}-rcron"
    return element(
        "clone",
        element("meta_attributes", pair(meta, "promotable", "true"), pair(meta, "promoted-max", "1"), id=meta),
        primitive,
        id=clone,
    )


def covers(there: ET.Element, part: ET.Element) -> bool:
    """Whether an element has all that another one has; it may have more."""
    if any(there.get(key) != value for key, value in part.items()):
        return False
    for child in part:
        candidates = [one for one in there.findall(child.tag) if one.get("id") == child.get("id")]
        if not candidates or not covers(candidates[0], child):
            return False
    return True


def find(found: ET.Element) -> "ET.Element | None":
    """The resource as it is, its clone where it has one. Raises RefusedError where it is not the role's."""
    resources = found.find("./configuration/resources")
    for parent in [] if resources is None else resources.iter():
        for child in parent:
            if child.tag not in ("primitive", "clone", "group", "template", "bundle") or child.get("id") != name:
                continue
            kind = ":".join(child.get(key, "") for key in ("class", "provider", "type"))
            if kind != "ocf:rcron:rcron" or child.find(f"./instance_attributes[@id='{name}-rcron']") is None:
                raise RefusedError(
                    f"the cluster has a {child.tag} {name} already, and not from this role: name another one in "
                    "rcron_pacemaker_resource, or, where it is an ocf:rcron:rcron of yours, set "
                    "rcron_pacemaker_create: false"
                )
            if parent.tag == "group":
                raise RefusedError(f"{name} is in the group {parent.get('id')}: set rcron_pacemaker_create: false")
            return child if parent.tag == "resources" else parent
    return None


def step(what: str, *words: str, stdin: "str | None" = None) -> None:
    """Do one thing, or say that it would be done."""
    did.append(what)
    if not asked["check"]:
        run(*words, stdin=stdin)


def constraints(found: ET.Element, there: ET.Element) -> "list[ET.Element]":
    """Every constraint that names the resource."""
    names = {there.get("id"), name}
    keys = ("rsc", "with-rsc", "first", "then")
    return [
        one
        for one in found.findall("./configuration/constraints/*")
        if any(part.get(key) in names for part in one.iter() for key in keys)
        or any(part.get("id") in names for part in one.iter("resource_ref"))
    ]


def delete(found: ET.Element, there: ET.Element, everything: bool) -> None:
    """Stop the resource and delete it, with the constraints that name it, which could not stay without it.

    everything: whether those that somebody made for himself may go too. Raises RefusedError where they may not.
    """
    named = constraints(found, there)
    # crm move, pcs resource move and so on leave these behind.
    kept = [one.get("id", "") for one in named if not one.get("id", "").startswith("cli-")]
    if kept and not everything:
        raise RefusedError(
            f"the constraint {', '.join(kept)} names {there.get('id')}, which is to be replaced by {top}: delete "
            "it, and make it anew afterwards"
        )
    # What runs while it is deleted may go on as an orphan.
    of = there.get("id", "")
    step(
        f"stop the resource {of}",
        *("crm_resource", "--resource", of, "--set-parameter", "target-role", "--meta", "--parameter-value", "Stopped"),
    )
    if not asked["check"]:
        wait_for(lambda: not where(of), f"{of} stops", patience or LEAST)
    for one in named:
        step(
            f"delete the constraint {one.get('id')}",
            "cibadmin",
            "--delete",
            "--xpath",
            f"//{one.tag}[@id='{one.get('id')}']",
        )
    step(f"delete the resource {of}", "cibadmin", "--delete", "--xpath", f"//resources/{there.tag}[@id='{of}']")


def where(of: str) -> "list[str]":
    """The lines that tell where a resource runs."""
    lines = run("crm_resource", "--resource", of, "--locate").splitlines()
    return [line for line in lines if "is running on" in line]


def settled() -> bool:
    """Whether the resource is active on one node."""
    lines = where(top)
    active = [line for line in lines if not asked["promotable"] or re.search(r" (Promoted|Master)\s*$", line)]
    return len(active) == 1


def is_told_to_stop() -> bool:
    """Whether somebody has told the cluster not to run the resource, or not to manage anything."""
    found = cib()
    there = find(found)
    pairs = [] if there is None else there.findall(".//meta_attributes/nvpair")
    told = [(one.get("name"), one.get("value", "").lower()) for one in pairs + found.findall(".//crm_config//nvpair")]
    return not {("target-role", "stopped"), ("is-managed", "false"), ("maintenance-mode", "true")}.isdisjoint(told)


def present() -> None:
    """Have the resource, and the cluster's properties."""
    wait_for(joined, f"{asked['members']} nodes are in the cluster, with a quorum", patience or LEAST)
    found = cib()
    for key, value in asked["properties"].items():
        pairs = found.findall(f"./configuration/crm_config/cluster_property_set/nvpair[@name='{key}']")
        if [one.get("value") for one in pairs[:1]] != [value]:
            step(f"set the property {key} to {value}", "crm_attribute", "--name", key, "--update", value)
    there, part = find(found), wanted(found)
    if there is not None and there.get("id") != top:
        delete(found, there, everything=False)
        there = None
    if there is None or not covers(there, part):
        text = ET.tostring(part, encoding="unicode")
        what = "make" if there is None else "change"
        step(
            f"{what} the resource {top}",
            "cibadmin",
            "--modify",
            "--allow-create",
            "--scope",
            "resources",
            "--xml-text",
            text,
        )
    elif asked.get("refresh"):
        # A node that had no agent when it was first asked is not asked again otherwise.
        step(f"have the cluster look at {top} anew", "crm_resource", "--resource", top, "--cleanup")
    if patience and not asked["check"] and not is_told_to_stop():
        wait_for(settled, f"{top} is active on one node", patience)


def absent() -> None:
    """Have no such resource."""
    found = cib()
    there = find(found)
    if there is not None:
        delete(found, there, everything=True)


error = ""
try:
    {"present": present, "absent": absent}[wanted_state]()
except RefusedError as refused:
    error = str(refused)
json.dump({"changed": bool(did), "did": did, "error": error}, sys.stdout)
