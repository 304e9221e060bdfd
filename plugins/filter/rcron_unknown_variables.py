# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_unknown_variables."""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Iterable

import yaml
from ansible.errors import AnsibleFilterError

#: The collection that this file is part of.
COLLECTION = pathlib.Path(__file__).resolve().parents[2]

#: The variables of the playbooks, which have no argument_specs.yml.
OF_PLAYBOOKS = frozenset(
    [
        "rcron_feeder",
        "rcron_max_fail_percentage",
        "rcron_serial",
        "rcron_skip_unreachable",
        "rcron_timeline_cluster",
        "rcron_timeline_file",
        "rcron_timeline_hours",
        "rcron_timeline_syslog_files",
    ]
)


def rcron_unknown_variables(
    names: Iterable[str], known: Iterable[str] | None = None, role: str | None = None
) -> list[str]:
    """Find the variables that nothing in this collection reads.

    Args:
        names: The names of variables that are set.
        known: The names that may be set; None for those of all roles and playbooks of the collection.
        role: The role whose variables are looked at: those that begin with its name, and not with a longer role's. None
            for all variables.

    Returns:
        A sentence for each name that is not known, in the order of the names' characters, with the known name that is
        closest to it if one is close.

    Raises:
        AnsibleFilterError: `names` or `known` is not a list of strings.
    """
    given, meant = strings("the input", names), variables() if known is None else strings("known", known)
    return [sentence(name, sorted(meant)) for name in sorted(given - meant) if role in (None, role_of(name))]


def role_of(variable: str, collection: pathlib.Path = COLLECTION) -> str:
    """Return the name of the role that a variable belongs to by its name, "" if there is none.

    There is a role rcron_claim, and rcron_claim is a setting: what begins with it is a setting, too, such as
    rcron_claim_wait.

    Args:
        variable: The variable's name.
        collection: The folder of the collection that has the roles.
    """
    settings = variables(collection)
    names = {path.name for path in collection.glob("roles/*")} - settings
    roles = [name for name in names if variable.startswith(f"{name}_")]
    return max(roles, key=len, default="")


def sentence(name: str, known: list[str]) -> str:
    """Say that a variable is unknown, and how to correct it."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"unknown variable {name} (did you mean {close[0]}?)"
    return f"unknown variable {name}: correct its name (the roles' README.md list them), or remove it"


def strings(what: str, value: Iterable[str]) -> set[str]:
    """Check that a value is a list of strings.

    Args:
        what: How the message calls the value.
        value: The value.

    Returns:
        The strings.

    Raises:
        AnsibleFilterError: It is not.
    """
    if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(one, str) for one in value):
        raise AnsibleFilterError(f"rcron_unknown_variables: {what} is {value!r}; it must be a list of names")
    return {str(one) for one in value}


def variables(collection: pathlib.Path = COLLECTION) -> set[str]:
    """Return the names of all variables of a collection's roles and playbooks.

    Args:
        collection: The collection's folder.
    """
    names = set(OF_PLAYBOOKS)
    for path in collection.glob("roles/*/meta/argument_specs.yml"):
        with path.open(encoding="utf-8") as file:
            entry_points = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["argument_specs"]  # noqa: S506
        for entry_point in entry_points.values():
            names.update(entry_point.get("options", {}))
    return names


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_unknown_variables": rcron_unknown_variables}
