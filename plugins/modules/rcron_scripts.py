#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_scripts: scripts in /etc/cron.daily and the like that run on the active node only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_scripts
short_description: Have scripts of /etc/cron.daily and the like run on the active node only
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Guards selected scripts in C(/etc/cron.hourly), C(/etc/cron.daily), C(/etc/cron.weekly) and C(/etc/cron.monthly),
    which cron or anacron has C(run-parts) run.
  - C(dpkg-statoverride) takes the script's mode to 0644, so that C(run-parts) passes over it, and a wrapper beside it,
    NAME-rcron, has C(rcron) run it with the program that its first line names.
  - The script's text, name and package stay as they are. An upgrade of its package asks nothing, and what it brings is
    guarded, too.
  - Everything is checked before anything is written.
notes:
  - A host without C(dpkg-statoverride) is refused. Select a line in C(/etc/cron.d) with
    M(rcron.cluster.rcron_crontab) there.
  - Leave alone what each host needs for itself, such as the scripts of logrotate, dpkg and man-db.
  - Anacron notes all scripts of a folder as done on passive nodes, too.
  - Once the script's package has been purged, the wrapper does nothing, until O(state=absent) removes it.
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
    platforms: Debian and what is made from it
  safe_file_operations:
    description: Files are replaced in one step, so that run-parts never sees half of one.
    support: full
options:
  scripts:
    description:
      - The scripts' paths.
      - With O(state=absent), what is guarded no longer; left out, everything that names O(conf).
    type: list
    elements: path
    default: []
  state:
    description:
      - V(present) guards the scripts. V(absent) gives each its owner, group and mode back, and removes the wrapper.
    type: str
    choices: [present, absent]
    default: present
  takeover_wait:
    description:
      - How many seconds a passive node waits for its promotion before it skips the scripts. Only for jobs that are
        safe to run twice. The folder's other scripts wait, too.
      - Left out, what C(rcron.conf) says holds.
    type: int
  on_missing:
    description:
      - What happens if there is no such script.
      - V(fail) fails before anything is written, V(warn) warns, and V(ignore) does nothing.
    type: str
    choices: [fail, warn, ignore]
    default: fail
  rcron_path:
    description: Path of C(rcron) on the host. It need not exist yet.
    type: path
    default: /usr/bin/rcron
  conf:
    description: The configuration file of the scripts' cluster.
    type: path
    default: /etc/rcron/rcron.conf
seealso:
  - module: rcron.cluster.rcron_crontab
  - module: rcron.cluster.rcron_timers
"""

EXAMPLES = r"""
- name: Send the report from the active node only
  rcron.cluster.rcron_scripts:
    scripts:
      - /etc/cron.daily/report

- name: Run all guarded scripts on every node again
  rcron.cluster.rcron_scripts:
    state: absent
"""

RETURN = r"""
scripts:
  description: The guarded scripts or, with O(state=absent), those that are guarded no longer.
  returned: success
  type: list
  elements: dict
  contains:
    script:
      description: Its path.
      type: str
      sample: /etc/cron.daily/report
    wrapper:
      description: The path of what C(run-parts) runs in its place.
      type: str
      sample: /etc/cron.daily/report-rcron
    changed:
      description: Whether something was changed or, in check mode, would be.
      type: bool
      sample: true
refusals:
  description: All reasons why the scripts cannot be guarded. If there is any, the task fails, and nothing is changed.
  returned: always
  type: list
  elements: str
  sample: ["there is no /etc/cron.daily/report"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils import scripts
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError


def planned(given: dict) -> scripts.Plan:
    """Turn the task's options into what must be done.

    Raises:
        ProgramError: dpkg-statoverride cannot be run.
    """
    if given["state"] == "absent":
        return scripts.plan_absent(given["scripts"], given["conf"])
    return scripts.plan_present(
        given["scripts"], given["rcron_path"], given["conf"], given["takeover_wait"], given["on_missing"]
    )


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "scripts": {"type": "list", "elements": "path", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "takeover_wait": {"type": "int"},
            "on_missing": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
            "rcron_path": {"type": "path", "default": "/usr/bin/rcron"},
            "conf": {"type": "path", "default": "/etc/rcron/rcron.conf"},
        },
        supports_check_mode=True,
    )
    try:
        plan = planned(module.params)
        for sentence in plan.missing:
            module.warn(sentence)
        if plan.refusals:
            module.fail_json(msg=" ".join(f"{text}." for text in plan.refusals), refusals=plan.refusals)
        if not module.check_mode:
            plan.apply()
    except (ProgramError, KeyError) as error:
        module.fail_json(msg=str(error), refusals=[str(error)])
    except OSError as error:
        text = f"{error.filename}: {error.strerror}. Fix this and run the task again"
        module.fail_json(msg=text, refusals=[text])
    result = {
        "changed": any(guard.changed for guard in plan.guards),
        "scripts": [guard.shown() for guard in plan.guards],
        "refusals": [],
    }
    if module._diff:
        result["diff"] = [
            {
                "before_header": guard.wrapper,
                "before": guard.before or "",
                "after_header": guard.wrapper,
                "after": guard.after or "",
            }
            for guard in plan.guards
            if guard.changed
        ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
