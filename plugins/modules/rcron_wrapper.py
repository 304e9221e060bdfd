#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_wrapper: install the wrapper on a host, or remove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_wrapper
short_description: Install the rcron wrapper for one cluster, or remove it
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Installs one version of the wrapper C(rcron), of the administrator's command C(rcronctl) and of C(rcron-agent),
    writes C(rcron.conf),
    and makes the host boot passive.
  - Does all of it in one run, in an order in which a job that starts meanwhile finds a complete wrapper with a
    configuration that it accepts. The version's folder comes first, under another name until it is complete; the links
    to it come last, each by rename.
  - A new configuration is put in place before a new version, unless the version in use would refuse it; then it follows
    the links.
  - Use the role P(rcron.cluster.rcron#role) to install the wrapper. The role knows the O(package) and renders
    O(conf_content) for this module.
  - With O(state=present) it refuses a host or options that could not work, before it changes anything, and reports all
    reasons at once in RV(refusals). It does so in check mode too; a task with C(check_mode=true) examines a host.
notes:
  - It does not write the state. The state file belongs to the feeder, or to an operator.
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
  safe_file_operations:
    description: Creates files, links and a version's folder under another name, and renames them once complete.
    support: full
options:
  install_method:
    description:
      - V(files) installs the files in O(package).
      - V(package) configures what the distribution's package C(rcron) has installed on the host, as the package's own
        maintainer scripts do, which keep it so in an upgrade. O(package) then only examines a host that does not have
        the package yet, in check mode.
      - Neither changes a host that belongs to the other.
    type: str
    choices: [files, package]
    default: files
  package_source:
    description:
      - Where the distribution's package will come from, with O(install_method=package). A file that a user other than
        root could replace is refused, and so is a URL of which anybody on the way could answer another one.
    type: str
    default: ""
  state:
    description:
      - V(present) installs the wrapper and configures it for one cluster.
      - V(absent) removes what belongs to that cluster and, unless another cluster of the host has its file in
        O(tmpfiles_dir), the wrapper itself. A folder that holds anything else stays.
      - V(absent) fails, and removes nothing, if an entry of any crontab of the host calls what would be removed. In
        check mode, the entries whose prefix names O(conf) do not count, because they are to lose it first.
    type: str
    choices: [present, absent]
    default: present
  package:
    description:
      - The files of the wrapper, namely C(rcron/*.py) and C(rcron/feeders/*.py) of this collection, and its manual
        pages as C(man/*). Each key is a path below the version's folder; the value is the file's text.
      - Required with O(state=present).
    type: dict
  conf_content:
    description:
      - The text of O(conf). If the package's own parser refuses it, nothing is changed.
      - Required with O(state=present).
    type: str
  conf:
    description:
      - The path of the configuration. A second cluster of the same host has its own.
    type: path
    default: /etc/rcron/rcron.conf
  state_file:
    description:
      - The file that holds C(active) or C(passive), in a folder of its own.
    type: path
    default: /var/run/rcron/state
  state_user:
    description:
      - The owner of the state file's folder. Processes of this user can set the state.
    type: str
    default: root
  lib_dir:
    description:
      - The folder for the wrapper's package, one folder in it for each version.
    type: path
    default: /usr/lib/rcron
  bin_dir:
    description:
      - The folder for C(rcron), C(rcronctl) and C(rcron-agent).
    type: path
    default: /usr/bin
  man_dir:
    description:
      - The folder whose C(man5) and C(man8) get the manual pages.
    type: path
    default: /usr/share/man
  tmpfiles_dir:
    description:
      - The folder of the files that systemd-tmpfiles reads at boot.
    type: path
    default: /etc/tmpfiles.d
  python:
    description:
      - The Python on the host that runs the wrapper, 3.9 or newer.
    type: path
    default: /usr/bin/python3
seealso:
  - module: rcron.cluster.rcron_crontab
"""

EXAMPLES = r"""
- name: Install the wrapper from a checkout of this collection
  rcron.cluster.rcron_wrapper:
    package: "{{ dict(names | zip(query('ansible.builtin.file', *paths, rstrip=false))) }}"
    conf_content: |
      cluster_name = billing
      default_state = passive
  vars:
    paths: "{{ query('ansible.builtin.fileglob', *(patterns | map('regex_replace', '^', checkout ~ '/'))) }}"
    patterns: [rcron/*.py, rcron/agent/*.py, rcron/agent/*/*.py, rcron/feeders/*.py, 'man/*.[58]']
    names: "{{ paths | map('replace', checkout ~ '/', '') }}"
    checkout: /home/admin/rcron

- name: Remove the second cluster of this host
  rcron.cluster.rcron_wrapper:
    conf: /etc/rcron/reports.conf
    state_file: /var/run/rcron-reports/state
    state: absent
"""

RETURN = r"""
feeders:
  description:
    - The feeders whose roles have connected something to the cluster, whatever the inventory says now.
  returned: success
  type: list
  elements: dict
  contains:
    feeder:
      description: The feeder's name.
      type: str
      sample: keepalived
    paths:
      description: The files that say so.
      type: list
      elements: str
      sample: [/etc/systemd/system/keepalived.service.d/rcron.conf]
    others:
      description: The configurations of other clusters of the host that the same files name.
      type: list
      elements: str
      sample: []
refusals:
  description:
    - All reasons why the wrapper cannot be installed as asked. If there is any, the task fails, in check mode too, and
      nothing is changed.
  returned: with O(state=present)
  type: list
  elements: dict
  contains:
    option:
      description: The option concerned. Empty if the reason is not an option's.
      type: str
      sample: state_user
    message:
      description: The rest of the sentence that the option's name begins, namely what is wrong and how to fix it.
      type: str
      sample: is postgres, and there is no such user
library:
  description:
    - The version's folder that the links in O(bin_dir) lead to now or, in check mode, would lead to.
    - Empty if the wrapper is not on the host.
  returned: success
  type: str
  sample: /usr/lib/rcron/1.0.0-1f0c2a9b
packaged:
  description: Whether the distribution's package is installed on the host.
  returned: success
  type: bool
  sample: false
paths:
  description: The paths that were created, replaced or removed or, in check mode, would be, in that order.
  returned: success
  type: list
  elements: str
  sample: [/usr/lib/rcron/1.0.0-1f0c2a9b, /etc/rcron/rcron.conf, /usr/bin/rcronctl, /usr/bin/rcron]
"""

import os
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_native
from ansible_collections.rcron.cluster.plugins.module_utils.feeder_traces import traces
from ansible_collections.rcron.cluster.plugins.module_utils.installation import installer
from ansible_collections.rcron.cluster.plugins.module_utils.installation.callers import callers, sentence
from ansible_collections.rcron.cluster.plugins.module_utils.installation.errors import (
    InstallError,
    Refusal,
    RefusedError,
)
from ansible_collections.rcron.cluster.plugins.module_utils.installation.package import Package, Wanted, package_below
from ansible_collections.rcron.cluster.plugins.module_utils.installation.places import Places
from ansible_collections.rcron.cluster.plugins.module_utils.installation.plan import Plan, absent, present
from ansible_collections.rcron.cluster.plugins.module_utils.installation.preflight import examine
from ansible_collections.rcron.cluster.plugins.module_utils.installation.steps import Step, WriteFile
from ansible_collections.rcron.cluster.plugins.module_utils.installation.trust import exposure
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within

#: Where the distribution's package brings the wrapper's files.
PAYLOAD = "/usr/share/rcron"

#: The options that are paths, and their defaults.
PLACES = Places().options()


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "install_method": {"type": "str", "choices": ["files", "package"], "default": "files"},
            "package_source": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            # Not secret, but 100 kB that neither the host's log nor the result needs.
            "package": {"type": "dict", "no_log": True},
            "conf_content": {"type": "str"},
            "state_user": {"type": "str", "default": "root"},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            **{name: {"type": "path", "default": default} for name, default in PLACES.items()},
        },
        required_if=[("state", "present", ["package", "conf_content"])],
        supports_check_mode=True,
    )
    given = module.params
    try:
        with within("looking at what is installed"):
            plan = planned(given, module.check_mode)
            if given["state"] == "absent":
                refuse_if_called(given, plan, released=module.check_mode)
        if not module.check_mode:
            plan.apply()
    except RefusedError as error:
        refusals = [{"option": refusal.option, "message": to_native(refusal.message)} for refusal in error.refusals]
        module.fail_json(msg=to_native(error), refusals=refusals)
    except (InstallError, TimeLimitError) as error:
        module.fail_json(msg=to_native(error))
    result = {
        "changed": bool(plan.steps),
        "feeders": [trace._asdict() for trace in traces(given["conf"])],
        "library": plan.library or "",
        "packaged": is_packaged(),
        "paths": [step.path for step in plan.steps],
    }
    if given["state"] == "present":
        result["refusals"] = []
    if module._diff:
        result["diff"] = shown(plan.steps)
    module.exit_json(**result)


def planned(given: dict, tried: bool) -> Plan:
    """Turn the task's options into the steps that they require.

    Args:
        given: The options.
        tried: Whether this is check mode.

    Raises:
        RefusedError: The host or an option rules the installation out.
        InstallError: It cannot be planned for another reason.
    """
    places = Places(**{name: given[name] for name in PLACES})
    by_package = given["install_method"] == "package"
    if given["state"] == "absent":
        refusals = installer.refusals(places, installer.PACKAGE if by_package else installer.ROLE)
        if refusals:
            raise RefusedError(refusals)
        return absent(places)
    package = Package({path: str(text) for path, text in given["package"].items()}, given["python"])
    wanted = Wanted(package, given["conf_content"], given["state_user"])
    if by_package:
        wanted = packaged(given, wanted, tried)
    if uid() == 0:
        return present(places, wanted)
    message = f"the task runs as uid {uid()}, and only root may install the wrapper: set become: true"
    raise RefusedError([Refusal("", message), *examine(places, wanted)[1]])


def packaged(given: dict, wanted: Wanted, tried: bool) -> Wanted:
    """Return the same of what the distribution's package has brought to the host.

    Raises:
        RefusedError: A folder is not where the package installs.
        InstallError: The package is not installed.
    """
    refusals = [
        Refusal(name, f"is {given[name]}, and the package installs into {PLACES[name]}: leave it out")
        for name in ("lib_dir", "bin_dir", "man_dir", "tmpfiles_dir")
        if given[name] != PLACES[name]
    ]
    refusals += source_refusals(given["package_source"])
    if refusals:
        raise RefusedError(refusals)
    kept = {"python": given["python"], "state_user": given["state_user"]}
    by = installer.PACKAGE + installer.as_words(kept)
    if is_packaged():
        return replace(wanted, package=package_below(PAYLOAD, given["python"]), installer=by)
    if tried:
        return replace(wanted, installer=by)
    raise InstallError(
        f"install_method is package, and the package rcron is not on this host: {PAYLOAD} is missing. Install it first"
    )


def source_refusals(source: str) -> list[Refusal]:
    """Refuse a package that somebody else could exchange: its scripts are run as root.

    Args:
        source: A name, a path or a URL.
    """
    if source.startswith("/"):
        why = exposure(source, "the package that root installs")
        return [Refusal("package", f"is {source}, but {why}")] if why else []
    scheme = source.partition("://")[0]
    if scheme != source and scheme not in ("https", "file"):
        return [Refusal("package", f"is {source}, and whoever is on the way could answer another package: use https")]
    return source_refusals(source[7:]) if scheme == "file" and source.startswith("file:///") else []


def is_packaged() -> bool:
    """Return whether the distribution's package is on the host."""
    return os.path.exists(os.path.join(PAYLOAD, "packaging", "packaged"))


def refuse_if_called(given: dict, plan: Plan, released: bool) -> None:
    """Keep what a crontab entry still calls.

    Args:
        given: The task's options.
        plan: The removal.
        released: Whether the entries of this cluster will have lost their prefix by then, which check mode cannot see.

    Raises:
        InstallError: An entry calls what is to be removed.
    """
    found = callers(Places(**{name: given[name] for name in PLACES}), plan.steps, released)
    if found:
        raise InstallError(sentence(found))


def uid() -> int:
    """Return the user that the task runs as."""
    return os.geteuid()


def shown(steps: list[Step]) -> list[dict[str, str]]:
    """Return the parts of a diff: one for all folders and links, then one for each file's text."""
    places = [step for step in steps if not isinstance(step, WriteFile)]
    texts = (
        [("folders and links", "".join(s.before for s in places), "".join(s.after for s in places))] if places else []
    )
    texts += [(step.path, step.before, step.after) for step in steps if isinstance(step, WriteFile)]
    return [
        {"before_header": header, "before": readable(before), "after_header": header, "after": readable(after)}
        for header, before, after in texts
    ]


def readable(text: str) -> str:
    r"""Show bytes that are not UTF-8 as \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


if __name__ == "__main__":
    main()
