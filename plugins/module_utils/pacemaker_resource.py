# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's resource in a running Pacemaker cluster: create, change or delete it.

It uses the tools that come with Pacemaker, and not crm or pcs, of which a node has one or the other. The resource is
recognised by the ids of its parts; what else somebody adds to it stays as it is.
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import NamedTuple

from .node import programs

#: Seconds that the cluster has in any case for what the next step cannot do without.
LEAST_PATIENCE = 60

#: Seconds for one of Pacemaker's tools, which wait for the cluster themselves.
TOOL_TIME = 120.0


class RefusedError(Exception):
    """Why nothing (more) can be done, for a person."""


class Wanted(NamedTuple):
    """What the cluster is to have.

    Attributes:
        resource: The resource's name.
        promotable: Whether it is to run on all nodes, promoted on one; else it runs on one.
        conf: The path of rcron.conf.
        interval: Seconds between two looks at the active instance.
        properties: Properties of the cluster that are to be set.
        members: How many nodes must have joined before anything is done.
        patience: Seconds that the cluster has for it; 0 does not wait.
        refresh: Whether Pacemaker is to forget that the agent was missing.
    """

    resource: str
    promotable: bool
    conf: str
    interval: int
    properties: dict[str, str]
    members: int
    patience: int
    refresh: bool


class Resource:
    """The resource, as it is and as it is to be.

    Attributes:
        steps: What was done or, in check mode, would be done, in that order.
    """

    def __init__(self, wanted: Wanted, check_mode: bool) -> None:
        """Look at nothing yet.

        Args:
            wanted: What the cluster is to have.
            check_mode: Whether nothing is to be changed.
        """
        self.steps: list[str] = []
        self._wanted = wanted
        self._check_mode = check_mode
        self._clone = f"{wanted.resource}-clone"
        self._top = self._clone if wanted.promotable else wanted.resource

    def present(self) -> None:
        """Have the resource, and the cluster's properties.

        Raises:
            RefusedError: The cluster has something else of that name, or does not do it in time.
            ProgramError: One of Pacemaker's tools failed.
        """
        wanted = self._wanted
        self._wait_for(
            self._has_members, f"{wanted.members} nodes are in the cluster, with a quorum", self._patience_at_least()
        )
        found = cib()
        for key, value in wanted.properties.items():
            pairs = found.findall(f"./configuration/crm_config/cluster_property_set/nvpair[@name='{key}']")
            if [one.get("value") for one in pairs[:1]] != [value]:
                self._step(f"set the property {key} to {value}", "crm_attribute", "--name", key, "--update", value)
        there, part = find(found, wanted.resource), element_of(wanted, found)
        if there is not None and there.get("id") != self._top:
            self._delete(found, there, everything=False)
            there = None
        if there is None or not covers(there, part):
            self._step(
                f"{'make' if there is None else 'change'} the resource {self._top}",
                *("cibadmin", "--modify", "--allow-create", "--scope", "resources"),
                *("--xml-text", ET.tostring(part, encoding="unicode")),
            )
        elif wanted.refresh:
            # A node that had no agent when it was first asked is not asked again otherwise.
            self._step(
                f"have the cluster look at {self._top} anew", "crm_resource", "--resource", self._top, "--cleanup"
            )
        if wanted.patience and not self._check_mode and not self._is_stopped_on_purpose():
            self._wait_for(self._is_settled, f"{self._top} is active on one node", wanted.patience)

    def absent(self) -> None:
        """Have no such resource.

        Raises:
            RefusedError: The resource is somebody else's, or does not stop in time.
            ProgramError: One of Pacemaker's tools failed.
        """
        found = cib()
        there = find(found, self._wanted.resource)
        if there is not None:
            self._delete(found, there, everything=True)

    def _patience_at_least(self) -> int:
        return self._wanted.patience or LEAST_PATIENCE

    def _step(self, what: str, *words: str) -> None:
        """Do one thing, or only note that it would be done."""
        self.steps.append(what)
        if not self._check_mode:
            tool(*words)

    def _delete(self, found: ET.Element, there: ET.Element, everything: bool) -> None:
        """Stop the resource and delete it, with the constraints that name it, which could not stay without it.

        Args:
            found: The cluster's configuration.
            there: The resource in it.
            everything: Whether constraints that somebody made for himself may go too.

        Raises:
            RefusedError: There are such constraints and they may not go, or the resource does not stop in time.
        """
        name = there.get("id", "")
        named = constraints(found, {name, self._wanted.resource})
        # crm move, pcs resource move and so on leave these behind.
        kept = [one.get("id", "") for one in named if not one.get("id", "").startswith("cli-")]
        if kept and not everything:
            raise RefusedError(
                f"the constraint {', '.join(kept)} names {name}, which is to be replaced by {self._top}: delete it, and"
                " make it anew afterwards"
            )
        # What runs while it is deleted may go on as an orphan.
        self._step(
            f"stop the resource {name}",
            *("crm_resource", "--resource", name, "--set-parameter", "target-role", "--meta"),
            *("--parameter-value", "Stopped"),
        )
        if not self._check_mode:
            self._wait_for(lambda: not places(name), f"{name} stops", self._patience_at_least())
        for one in named:
            self._step(
                f"delete the constraint {one.get('id')}",
                *("cibadmin", "--delete", "--xpath", f"//{one.tag}[@id='{one.get('id')}']"),
            )
        self._step(
            f"delete the resource {name}", "cibadmin", "--delete", "--xpath", f"//resources/{there.tag}[@id='{name}']"
        )

    def _wait_for(self, is_true: Callable[[], bool], what: str, patience: int) -> None:
        """Wait until a function returns True.

        Raises:
            RefusedError: It did not within `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while not is_true():
            if time.monotonic() > deadline:
                try:
                    shown = programs.run("crm_mon", "-1").stdout
                except programs.ProgramError as error:
                    shown = str(error)
                raise RefusedError(
                    f"not within {patience} s: {what} (rcron_pacemaker_patience). crm_mon says:\n{shown}"
                )
            time.sleep(0.5)

    def _has_members(self) -> bool:
        """Tell whether the cluster has its members, a quorum and one that decides."""
        try:
            found = cib()
        except programs.ProgramError:
            return False
        states = found.findall("./status/node_state[@join='member']")
        there = [one for one in states if one.get("crmd") not in ("offline", "0", None)]
        return found.get("have-quorum") == "1" and bool(found.get("dc-uuid")) and len(there) >= self._wanted.members

    def _is_settled(self) -> bool:
        """Tell whether the resource is active on one node."""
        lines = places(self._top)
        if self._wanted.promotable:
            lines = [line for line in lines if re.search(r" (Promoted|Master)\s*$", line)]
        return len(lines) == 1

    def _is_stopped_on_purpose(self) -> bool:
        """Say whether somebody has set the cluster not to run the resource, or not to manage anything."""
        found = cib()
        there = find(found, self._wanted.resource)
        pairs = [] if there is None else there.findall(".//meta_attributes/nvpair")
        pairs += found.findall(".//crm_config//nvpair")
        settings = {(one.get("name"), one.get("value", "").lower()) for one in pairs}
        return bool(settings & {("target-role", "stopped"), ("is-managed", "false"), ("maintenance-mode", "true")})


def tool(*words: str) -> str:
    """Run one of Pacemaker's tools, which must succeed, and return what it printed.

    Raises:
        ProgramError: It could not be run, failed, or did not end in time.
    """
    return programs.output(*words, time_limit=TOOL_TIME)


def cib() -> ET.Element:
    """Return the cluster's configuration and status.

    Raises:
        ProgramError: The cluster does not answer.
    """
    return ET.fromstring(tool("cibadmin", "--query"))  # noqa: S314 - root's own cluster says it


def places(resource: str) -> list[str]:
    """Return the lines that say where a resource runs."""
    lines = tool("crm_resource", "--resource", resource, "--locate").splitlines()
    return [line for line in lines if "is running on" in line]


def find(found: ET.Element, name: str) -> ET.Element | None:
    """Find the resource in a cluster's configuration.

    Args:
        found: The configuration.
        name: The resource's name.

    Returns:
        Its clone if it has one, else the resource itself; None if there is none.

    Raises:
        RefusedError: There is one of that name that the role did not make, or it was put into a group.
    """
    resources = found.find("./configuration/resources")
    for parent in [] if resources is None else resources.iter():
        for child in parent:
            if child.tag not in ("primitive", "clone", "group", "template", "bundle") or child.get("id") != name:
                continue
            kind = ":".join(child.get(key, "") for key in ("class", "provider", "type"))
            if kind != "ocf:rcron:rcron" or child.find(f"./instance_attributes[@id='{name}-rcron']") is None:
                raise RefusedError(
                    f"the cluster has a {child.tag} {name} already, and not from this role: name another one in"
                    " rcron_pacemaker_resource, or, if it is an ocf:rcron:rcron of yours, set"
                    " rcron_pacemaker_create: false"
                )
            if parent.tag == "group":
                raise RefusedError(f"{name} is in the group {parent.get('id')}: set rcron_pacemaker_create: false")
            return child if parent.tag == "resources" else parent
    return None


def constraints(found: ET.Element, names: set[str]) -> list[ET.Element]:
    """Return every constraint in a cluster's configuration that names one of these resources."""
    keys = ("rsc", "with-rsc", "first", "then")
    return [
        one
        for one in found.findall("./configuration/constraints/*")
        if any(part.get(key) in names for part in one.iter() for key in keys)
        or any(part.get("id") in names for part in one.iter("resource_ref"))
    ]


def covers(there: ET.Element, part: ET.Element) -> bool:
    """Tell whether an element has all that another one has; it may have more."""
    if any(there.get(key) != value for key, value in part.items()):
        return False
    for child in part:
        candidates = [one for one in there.findall(child.tag) if one.get("id") == child.get("id")]
        if not candidates or not covers(candidates[0], child):
            return False
    return True


def element_of(wanted: Wanted, found: ET.Element) -> ET.Element:
    """Make the resource as it is to be.

    Args:
        wanted: What the cluster is to have.
        found: The cluster's configuration, whose schema says how roles are called.
    """
    name = wanted.resource
    schema = [int(part) for part in re.findall(r"\d+", found.get("validate-with", ""))]
    promoted = "Promoted" if not schema or schema >= [3, 7] else "Master"
    params = f"{name}-rcron"
    looks = [_element("op", id=f"{name}-rcron-monitor", name="monitor", interval=f"{wanted.interval}s", timeout="20s")]
    if wanted.promotable:
        # Two monitors of one resource cannot have the same interval.
        looks[0].set("role", promoted)
        looks[0].set("id", f"{name}-rcron-monitor-promoted")
        other = f"{max(10, wanted.interval + 1)}s"
        looks.append(_element("op", id=f"{name}-rcron-monitor", name="monitor", interval=other, timeout="20s"))
    primitive = _element(
        "primitive",
        _element("instance_attributes", _pair(params, "conf", wanted.conf), id=params),
        _element("operations", *looks),
        id=name,
        class_="ocf",
        provider="rcron",
        type_="rcron",
    )
    if not wanted.promotable:
        return primitive
    meta = f"{name}-clone-rcron"
    return _element(
        "clone",
        _element("meta_attributes", _pair(meta, "promotable", "true"), _pair(meta, "promoted-max", "1"), id=meta),
        primitive,
        id=f"{name}-clone",
    )


def _element(tag: str, *children: ET.Element, **attributes: str) -> ET.Element:
    """Make an element of the cluster's configuration. attributes: `type_` stands for `type` and so on."""
    made = ET.Element(tag, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    made.extend(children)
    return made


def _pair(of: str, key: str, value: str) -> ET.Element:
    """Make one setting inside a set. of: the set's id."""
    return _element("nvpair", id=f"{of}-{key}", name=key, value=value)
