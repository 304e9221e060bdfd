#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_keepalived_states: give rcron the states that keepalived is in already."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_keepalived_states
short_description: Set rcron's states by those that a running keepalived is in
version_added: 0.1.0
author:
  - The rcron maintainers (@rcron)
description:
  - keepalived reports changes only, and nothing to a FIFO or a C(notify) command that is new. So this asks it for the
    states of its instances and groups, and gives them to rcron.
  - If keepalived does not run, the node is made passive.
  - The role P(rcron.cluster.rcron_keepalived#role) runs it after a reload.
notes:
  - It must run as root.
  - keepalived writes what it is asked for to C(keepalived.data) in its own C(/tmp), from where the file is removed.
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
    details: The states are set each time.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
options:
  service:
    description:
      - keepalived's unit.
    type: str
    default: keepalived
  fifo:
    description:
      - Path of the FIFO that keepalived writes its states to. Leave it out if keepalived calls rcron with C(notify).
    type: path
  rcronctl_path:
    description:
      - Path of C(rcronctl) on the host.
    type: path
    default: /usr/bin/rcronctl
  follow:
    description:
      - What each cluster of the host follows.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description:
          - Whether O(follow[].name) is a C(vrrp_instance) or a C(vrrp_sync_group).
        type: str
        choices: [instance, group]
        required: true
      name:
        description:
          - The name of the instance or group.
        type: str
        required: true
      conf:
        description:
          - Path of the cluster's C(rcron.conf).
        type: path
        default: /etc/rcron/rcron.conf
      line:
        description:
          - The C(notify) line that calls rcron. It is not used here.
        type: str
seealso:
  - module: rcron.cluster.rcron_feeder_info
"""

EXAMPLES = r"""
- name: Set the state by that of keepalived's instance
  rcron.cluster.rcron_keepalived_states:
    fifo: /run/rcron-keepalived.fifo
    follow:
      - kind: instance
        name: VI_1
"""

RETURN = r"""
states:
  description:
    - What keepalived says of each of its instances and groups. Empty if it does not run, and in check mode, in which
      it is not asked.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(instance) or V(group).
      type: str
      sample: instance
    name:
      description: Its name.
      type: str
      sample: VI_1
    state:
      description: V(MASTER), V(BACKUP) or V(FAULT).
      type: str
      sample: MASTER
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils.keepalived_states import Keepalived, StatesError
from ansible_collections.rcron.cluster.plugins.module_utils.node.files import printable
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "default": "keepalived"},
            "fifo": {"type": "path"},
            "rcronctl_path": {"type": "path", "default": "/usr/bin/rcronctl"},
            "follow": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "kind": {"type": "str", "choices": ["instance", "group"], "required": True},
                    "name": {"type": "str", "required": True},
                    "conf": {"type": "path", "default": "/etc/rcron/rcron.conf"},
                    "line": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    given = module.params
    keepalived = Keepalived(given["service"], given["fifo"] or "", given["rcronctl_path"], given["follow"])
    try:
        found = [] if module.check_mode else keepalived.hand_over()
    except (StatesError, ProgramError, OSError) as error:
        module.fail_json(msg=printable(str(error)))
    states = [{"kind": kind, "name": printable(name), "state": state} for kind, name, state in found]
    module.exit_json(changed=True, states=states)


if __name__ == "__main__":
    main()
