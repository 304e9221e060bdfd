#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_pacemaker_resource: rcron's resource in a Pacemaker cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_pacemaker_resource
short_description: Create or delete rcron's resource in a Pacemaker cluster
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Has a running cluster run the resource agent C(ocf:rcron:rcron), which makes one node active and the others passive.
  - It uses the tools that come with Pacemaker, and neither C(crm) nor C(pcs).
  - The resource is recognised by the ids of its parts. Meta attributes, operations and constraints that you add to it
    stay as they are. A resource of that name that this module did not create is left alone, and is an error.
  - The role P(rcron.cluster.rcron_pacemaker#role) runs it on one node of the cluster, and installs the agent. Its
    removal runs it on each node, one after the other.
notes:
  - It must run as root, on one node of the cluster, and once for the whole cluster.
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
    details: RV(steps) says what changes.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details: Except with O(refresh), which has an existing resource looked at anew each time.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
options:
  state:
    description:
      - V(present) creates or changes the resource.
      - V(absent) stops and deletes it, with all constraints that name it.
    type: str
    choices: [present, absent]
    default: present
  resource:
    description:
      - The resource's name. A promotable one is the clone of that name with C(-clone) at its end.
    type: str
    required: true
  promotable:
    description:
      - Whether the resource runs on all nodes and is promoted on one. Otherwise it runs on one node only.
      - If this changes, the resource is deleted and created. That is an error as long as a constraint names it, other
        than those that C(crm move) and the like leave behind.
    type: bool
    default: true
  conf:
    description:
      - Path of C(rcron.conf) on each node.
    type: path
    default: /etc/rcron/rcron.conf
  interval:
    description:
      - Seconds between two looks at the active node.
    type: int
    default: 4
  properties:
    description:
      - Properties of the cluster to set.
    type: dict
    default: {}
  members:
    description:
      - How many nodes must be in the cluster, with a quorum, before anything is done.
    type: int
    default: 1
  patience:
    description:
      - How many seconds the cluster has for each step that is waited for, the last of which is that the resource is
        active on one node. That step is left out if the resource or the cluster is stopped or unmanaged.
      - V(0) does not wait for the last one, and waits up to 60 seconds for the others.
    type: int
    default: 60
  refresh:
    description:
      - Whether Pacemaker is to look at a resource again that needs no change. It does not do so by itself on a node on
        which the agent was missing.
    type: bool
    default: false
seealso:
  - module: rcron.cluster.rcron_feeder_info
"""

EXAMPLES = r"""
- name: Have the cluster decide which node is active
  rcron.cluster.rcron_pacemaker_resource:
    resource: rcron
    members: "{{ groups['cluster'] | length }}"
  run_once: true

- name: Delete the resource
  rcron.cluster.rcron_pacemaker_resource:
    resource: rcron
    state: absent
  run_once: true
"""

RETURN = r"""
steps:
  description:
    - What was done or, in check mode, would be done, in that order.
    - If the module fails, what was done until then.
  returned: always, except for arguments that the module does not take
  type: list
  elements: str
  sample: [set the property no-quorum-policy to stop, make the resource rcron-clone]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.pacemaker_resource import RefusedError, Resource, Wanted


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "resource": {"type": "str", "required": True},
            "promotable": {"type": "bool", "default": True},
            "conf": {"type": "path", "default": "/etc/rcron/rcron.conf"},
            "interval": {"type": "int", "default": 4},
            "properties": {"type": "dict", "default": {}},
            "members": {"type": "int", "default": 1},
            "patience": {"type": "int", "default": 60},
            "refresh": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    state = given.pop("state")
    given["properties"] = {name: as_property(value) for name, value in given["properties"].items()}
    resource = Resource(Wanted(**given), module.check_mode)
    try:
        if state == "present":
            resource.present()
        else:
            resource.absent()
    except (RefusedError, ProgramError) as error:
        module.fail_json(msg=str(error), changed=bool(resource.steps), steps=resource.steps)
    module.exit_json(changed=bool(resource.steps), steps=resource.steps)


def as_property(value: object) -> str:
    """Return a value as Pacemaker writes it: YAML's true is `true`, and not Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
