#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_timers: systemd timers whose jobs run on the active node only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_timers
short_description: Have the jobs of systemd timers run on the active node only
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Guards the services of selected timers with a drop-in, C(50-rcron.conf), whose C(ExecCondition=) asks
    C(rcronctl guard). The timers elapse on every node as before; on a passive one, systemd skips the service.
  - Finds a timer's service, refuses what could not work, and warns of what behaves otherwise on a passive node.
  - Everything is checked before anything is written.
  - Units are neither made, enabled, started nor stopped.
notes:
  - A service that runs goes on.
  - If rcronctl or its Python is missing, a guarded service fails. Remove the drop-ins before rcronctl, with
    O(state=absent).
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
    platforms: Linux with systemd 243 or newer
  safe_file_operations:
    description: Files are replaced in one step, so that systemd never reads half of one.
    support: full
options:
  units:
    description:
      - What is guarded.
      - With O(state=absent), what is guarded no longer; left out, everything that names O(conf).
    type: list
    elements: dict
    default: []
    suboptions:
      unit:
        description:
          - A timer, or a service. Of a template, the name without an instance (V(backup@.timer)) means all instances.
        type: str
        required: true
      scope:
        description:
          - V(user) is a unit of all users' own service managers.
        type: str
        choices: [system, user]
        default: system
      takeover_wait:
        description:
          - How many seconds a passive node waits for its promotion before it skips the service, so that the successor
            runs a job that was due during a failover. Only for jobs that are safe to run twice.
          - Left out, what C(rcron.conf) says holds.
        type: int
      claim:
        description:
          - Whether an active node claims each run before it starts, so that no other node starts the same one. It needs
            an engine and an agent for claims.
          - Left out, what C(rcron.conf) says holds.
        type: str
        choices: ['off', required, preferred]
      claim_window:
        description:
          - Claims the service for so many seconds, 1 to 86400, instead of one run. For timers that elapse at different
            moments on different nodes (C(RandomizedDelaySec=), C(AccuracySec=)); longer than these, and shorter than
            the time between two runs.
        type: int
      started_by_others:
        description:
          - Guard the service although other units than timers start it. These starts are skipped on passive nodes, too.
        type: bool
        default: false
      on_missing:
        description: What happens if there is no such unit. Left out, what O(on_missing) of the task says.
        type: str
        choices: [fail, warn, ignore]
  state:
    description:
      - V(present) writes the drop-ins, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
  on_missing:
    description:
      - What happens if there is no such unit.
      - V(fail) fails before anything is written, V(warn) warns, and V(ignore) does nothing.
    type: str
    choices: [fail, warn, ignore]
    default: fail
  rcronctl_path:
    description: Path of C(rcronctl) on the host. It need not exist yet.
    type: path
    default: /usr/bin/rcronctl
  conf:
    description: The configuration file of the services' cluster.
    type: path
    default: /etc/rcron/rcron.conf
  term_file:
    description:
      - If the cluster is fed by a lease, the file where C(rcron-agent) keeps its term, C(/run/rcron-agent/KEY.term).
        The services get it as the environment variable E(RCRON_TERM).
    type: str
    default: ''
seealso:
  - module: rcron.cluster.rcron_crontab
"""

EXAMPLES = r"""
- name: Run the backup on the active node only
  rcron.cluster.rcron_timers:
    units:
      - unit: backup.timer
      - unit: report@.timer
        takeover_wait: 30
      - unit: podman-auto-update.timer
        scope: user

- name: Run all of them on every node again
  rcron.cluster.rcron_timers:
    state: absent
"""

RETURN = r"""
units:
  description: The guarded services or, with O(state=absent), those that are guarded no longer.
  returned: success
  type: list
  elements: dict
  contains:
    unit:
      description: The unit that the task names.
      type: str
      sample: backup.timer
    service:
      description: The service that is guarded.
      type: str
      sample: backup.service
    scope:
      description: V(system) or V(user).
      type: str
      sample: system
    path:
      description: The drop-in.
      type: str
      sample: /etc/systemd/system/backup.service.d/50-rcron.conf
    changed:
      description: Whether the drop-in was written or removed or, in check mode, would be.
      type: bool
      sample: true
hazards:
  description: What an operator must know of them. The module also warns of each.
  returned: success
  type: list
  elements: str
  sample: ["persistent.timer: Persistent= catches nothing up that was skipped ..."]
refusals:
  description: All reasons why the units cannot be guarded. If there is any, the task fails, and nothing is changed.
  returned: always
  type: list
  elements: str
  sample: ["backup.timer does not exist"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.timers.guards import (
    Plan,
    Request,
    plan_absent,
    plan_present,
)


def planned(given: dict) -> Plan:
    """Turn the task's options into what must be done.

    Raises:
        ProgramError: systemd does not answer.
    """
    requests = [
        Request(
            item["unit"],
            item["scope"],
            item["takeover_wait"],
            item["started_by_others"],
            item["on_missing"] or given["on_missing"],
            item["claim"],
            item["claim_window"],
        )
        for item in given["units"]
    ]
    if given["state"] == "absent":
        return plan_absent(requests, given["conf"])
    return plan_present(requests, given["rcronctl_path"], given["conf"], term_file=given["term_file"])


def main() -> None:
    """Run as Ansible's module."""
    missing = {"type": "str", "choices": ["fail", "warn", "ignore"]}
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "unit": {"type": "str", "required": True},
                    "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
                    "takeover_wait": {"type": "int"},
                    "claim": {"type": "str", "choices": ["off", "required", "preferred"]},
                    "claim_window": {"type": "int"},
                    "started_by_others": {"type": "bool", "default": False},
                    "on_missing": missing,
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "on_missing": {**missing, "default": "fail"},
            "rcronctl_path": {"type": "path", "default": "/usr/bin/rcronctl"},
            "conf": {"type": "path", "default": "/etc/rcron/rcron.conf"},
            "term_file": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        plan = planned(module.params)
        for text in plan.hazards:
            module.warn(text)
        if plan.refusals:
            module.fail_json(msg=" ".join(f"{text}." for text in plan.refusals), refusals=plan.refusals)
        for text in [] if module.check_mode else plan.apply():
            module.warn(text)
    except ProgramError as error:
        module.fail_json(msg=str(error), refusals=[str(error)])
    except OSError as error:
        text = f"{error.filename}: {error.strerror}. Fix this and run the task again"
        module.fail_json(msg=text, refusals=[text])
    result = {
        "changed": any(guard.changed for guard in plan.guards),
        "units": [guard.shown() for guard in plan.guards],
        "hazards": plan.hazards,
        "refusals": [],
    }
    if module._diff:
        result["diff"] = [
            {
                "before_header": guard.path,
                "before": guard.before or "",
                "after_header": guard.path,
                "after": guard.after or "",
            }
            for guard in plan.guards
            if guard.changed
        ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
