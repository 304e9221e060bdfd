#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_patroni_callbacks: make a running Patroni call rcron."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_patroni_callbacks
short_description: Have a running Patroni read its callbacks, and set rcron's state by its role
version_added: 0.1.0
author:
  - The rcron maintainers (@rcron)
description:
  - Reloads Patroni, waits until it has read its configuration, and sets rcron's state by the role that Patroni has
    already. From then on Patroni's callbacks report each change.
  - If Patroni does not run, or does not answer, the node is made passive.
  - The role P(rcron.cluster.rcron_patroni#role) runs it when the callbacks are new.
notes:
  - It must run as root.
  - It takes two of Patroni's cycles (C(loop_wait)), 20 seconds with Patroni's own setting.
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: none
    details: Patroni is reloaded each time.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
options:
  service:
    description:
      - Patroni's unit.
    type: str
    default: patroni
  user:
    description:
      - The user that Patroni runs as.
    type: str
    default: postgres
  url:
    description:
      - The URL of Patroni's REST API on this node.
    type: str
    required: true
  rcronctl_path:
    description:
      - Path of C(rcronctl) on the host.
    type: path
    default: /usr/bin/rcronctl
  conf:
    description:
      - Path of C(rcron.conf) on the host.
    type: path
    default: /etc/rcron/rcron.conf
seealso:
  - module: rcron.cluster.rcron_feeder_info
"""

EXAMPLES = r"""
- name: Have Patroni call rcron from now on
  rcron.cluster.rcron_patroni_callbacks:
    url: http://192.0.2.11:8008
"""

RETURN = r"""
state:
  description: The state that was set. Empty in check mode, in which Patroni is not asked.
  returned: success
  type: str
  sample: active
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.patroni_callbacks import AdoptionError, Patroni


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "default": "patroni"},
            "user": {"type": "str", "default": "postgres"},
            "url": {"type": "str", "required": True},
            "rcronctl_path": {"type": "path", "default": "/usr/bin/rcronctl"},
            "conf": {"type": "path", "default": "/etc/rcron/rcron.conf"},
        },
        supports_check_mode=True,
    )
    given = module.params
    patroni = Patroni(given["service"], given["user"], given["url"], given["rcronctl_path"], given["conf"])
    state = ""
    try:
        if not module.check_mode:
            state = patroni.adopt()
    except (AdoptionError, ProgramError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, state=state)


if __name__ == "__main__":
    main()
