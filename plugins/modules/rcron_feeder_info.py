#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_feeder_info: what a feeder's role must know of a node before it changes anything there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_feeder_info
short_description: Look at the software that decides which node of an rcron cluster is active
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Returns what the role of a feeder checks before it changes anything on a host, such as whether the feeder's daemon
    is installed and running, what its configuration says, and whether a file at one of the role's paths is the role's
    own.
  - The roles of this collection, such as P(rcron.cluster.rcron_keepalived#role), run it. You need it only in a role for
    a feeder of your own.
  - Changes nothing.
  - Every program that it starts has 20 seconds, and the whole module has 120. It fails if they do not suffice.
notes:
  - It must run as root to see everything.
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
    support: full
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
options:
  feeder:
    description:
      - The feeder to look at.
    type: str
    required: true
    choices: [claim, heartbeat, keepalived, lease, pacemaker, patroni, ucarp, wackamole]
  options:
    description:
      - What the look needs to know. A missing or unknown key is an error.
      - 'All feeders take C(mark), the comment that the role writes at the top of its files: a file is the role''s own
        if that is one of its first three lines.'
      - V(claim) takes nothing else.
      - 'V(heartbeat) takes C(folder), the path of Heartbeat''s folder; C(script), the path of the resource script;
        C(before), the folder that holds what was there before the role wrote the configuration; C(service), the unit;
        and C(times), a dictionary of C(keepalive), C(deadtime) and C(initdead) as C(ha.cf) has them.'
      - 'V(keepalived) takes C(conf), the path of C(keepalived.conf); C(hook), the path of the file that the role has it
        include; C(backup), the path of a C(keepalived.conf) that the role replaced; C(service), the unit; C(rcronctl),
        its path; and C(follow), a list with one dictionary for each cluster: C(kind), V(instance) or V(group); its
        C(name); C(conf), the path of C(rcron.conf); and C(line), the C(notify) line that calls rcron.'
      - V(lease) takes C(own), the paths of all files that the role writes.
      - 'V(pacemaker) takes the paths C(script), the resource agent; C(corosync_conf); C(authkey), Corosync''s; and
        C(backup), a C(corosync.conf) that the role replaced.'
      - 'V(patroni) takes C(service), the unit; C(conf), Patroni''s configuration, empty if the unit names it; C(url),
        Patroni''s REST API, empty if the configuration names it; C(command), what its callbacks are to call; and
        C(record), the path of the file that says what rcron''s feeder last said.'
      - 'V(ucarp) takes C(own), the paths of all files that the role writes; C(hooks), those of them that ucarp runs;
        and C(run), the paths of programs that must be there.'
      - 'V(wackamole) takes C(perl), the interpreter; C(module), the path of rcron''s Perl module; C(conf), the path of
        C(wackamole.conf); and C(directives), a list of what C(wackamole.conf) is to hold.'
    type: dict
    required: true
  files:
    description:
      - Further files that the role writes, whatever the feeder, each with the comment at its top. A file that
        packaging/install.py has written is the role's own, too, since the role takes over from it.
    type: dict
    default: {}
  writes:
    description:
      - The paths of all files that the role writes, apart from those that the look itself finds.
    type: list
    elements: path
    default: []
  compares:
    description:
      - Files and folders that the role writes, of which it wants to know whether they are already as it would write
        them. None of them may hold a secret.
    type: list
    elements: path
    default: []
  clusters:
    description:
      - The folder of the files of C(rcron-agent)'s clusters, to find what the role has left there of clusters that are
        gone.
    type: path
  complete:
    description:
      - Whether O(files) has all clusters of the role, so that what else it has left in O(clusters) is of clusters that
        are gone, whether or not there is a C(rcron.conf).
    type: bool
    default: false
seealso:
  - module: rcron.cluster.rcron_info
"""

EXAMPLES = r"""
- name: Look at ucarp
  rcron.cluster.rcron_feeder_info:
    feeder: ucarp
    options:
      mark: "# Written by Ansible, role example"
      own: [/usr/local/sbin/example-up, /usr/local/sbin/example-down]
      hooks: [/usr/local/sbin/example-up, /usr/local/sbin/example-down]
      run: [/usr/share/ucarp/vip-up]
  register: ucarp

- name: Refuse to replace somebody's file
  ansible.builtin.assert:
    that: not ucarp.node.foreign
    fail_msg: "{{ ucarp.node.foreign | join(' and ') }} was not written by this role: rename it"

- name: Ask whether the service of a database cluster calls rcron
  rcron.cluster.rcron_feeder_info:
    feeder: patroni
    options:
      mark: "# Written by Ansible, role example"
      service: patroni
      command: /usr/bin/rcronctl feed patroni
      record: /var/run/rcron/state.feeder
  register: patroni
"""

RETURN = r"""
node:
  description:
    - What the node is like. A key that is not there for all feeders says for which ones it is.
    - A byte that is not UTF-8 is shown as C(\xNN).
  returned: success
  type: dict
  contains:
    advskew:
      description: For V(ucarp), the C(advskew) in the unit that the role wrote. C(-1) if there is no such unit.
      type: int
      sample: 20
    address:
      description:
        - For V(pacemaker), the node's IPv4 address, the one that its default route starts from or the only one that it
          has. Empty if there is no such address.
      type: str
      sample: 192.0.2.11
    authkey:
      description: For V(pacemaker), whether there is a key.
      type: bool
      sample: false
    backup:
      description: For V(keepalived) and V(pacemaker), whether there is a configuration that the role replaced.
      type: bool
      sample: false
    before:
      description:
        - For V(heartbeat), whether the unit was C(enabled) and C(running) before the role wrote the configuration.
          Nothing if the role did not write it.
      type: dict
      sample: {enabled: true, running: true}
    compared:
      description:
        - What the role compares with what it would write, by the path, with its mode, user id and group id. For a
          regular file, the SHA-256 of its content follows. A path at which there is neither a regular file nor a folder
          is left out.
      type: dict
      sample: {/etc/rcron/agent.d: "0755 0:0"}
    conf:
      description: For V(patroni), the path of the configuration, a file or a folder. Empty if nothing names it.
      type: str
      sample: /etc/patroni/config.yml
    control:
      description: For V(wackamole), the control socket that C(wackamole.conf) names. Empty if it names none.
      type: str
      sample: /var/run/wack.it
    crm:
      description:
        - For V(heartbeat), the directive in C(ha.cf) that has Pacemaker decide. Empty if there is no such directive.
      type: str
      sample: crm yes
    daemon:
      description: For V(heartbeat), the path of the program. Empty if it is not installed.
      type: str
      sample: /usr/lib/heartbeat/heartbeat
    default_interface:
      description:
        - For V(heartbeat), V(keepalived) and V(ucarp), the interface of the default route. Empty if there is no such
          route.
      type: str
      sample: eth0
    enabled:
      description: For V(heartbeat) and V(pacemaker), whether the daemons are started at boot.
      type: bool
      sample: true
    enabled_before:
      description: For V(pacemaker), whether they were before the role wrote the configuration, or are if it did not.
      type: bool
      sample: true
    error:
      description:
        - For V(heartbeat), V(keepalived) and V(patroni), which file of the configuration cannot be read, and why. Empty
          if all of it can be read.
      type: str
      sample: ""
    exists:
      description: For V(keepalived), whether there is a C(keepalived.conf).
      type: bool
      sample: true
    fifo:
      description:
        - For V(keepalived), the line that has a C(vrrp_notify_fifo) other than the role's. Empty if there is none.
      type: str
      sample: /etc/keepalived/keepalived.conf:3
    file:
      description: For V(patroni), the path of the role's own file. Empty if the configuration is one file.
      type: str
      sample: /etc/patroni/conf.d/zz-rcron.yml
    folder:
      description: For V(patroni), whether the configuration is a folder.
      type: bool
      sample: false
    exposed:
      description:
        - Who, apart from root, could replace what the role writes or have it written elsewhere, and how to prevent it.
          Empty if nobody could.
      type: str
      sample: "/etc/patroni belongs to postgres, who could replace what the role writes: chown root /etc/patroni"
    foreign:
      description: The paths of the role's files at which there is something that the role did not write.
      type: list
      elements: str
      sample: []
    groups:
      description: For V(keepalived), the names of the C(vrrp_sync_group) blocks.
      type: list
      elements: str
      sample: []
    included:
      description: For V(keepalived), whether a line other than the role's includes the role's file.
      type: bool
      sample: false
    installed:
      description:
        - For V(heartbeat), V(keepalived) and V(pacemaker), a boolean, whether the feeder is installed.
        - For V(ucarp), its path, empty if it is not installed.
      type: raw
      sample: true
    instances:
      description: For V(keepalived), the names of the C(vrrp_instance) blocks.
      type: list
      elements: str
      sample: [VI_1]
    interfaces:
      description:
        - For V(heartbeat), V(keepalived) and V(ucarp), the names of the network interfaces, each with its first IPv4
          address or an empty string.
      type: dict
      sample: {eth0: 192.0.2.11, lo: 127.0.0.1}
    left:
      description:
        - The files in O(clusters), other than O(files), that the role wrote for clusters whose C(rcron.conf) is gone
          or, with O(complete), for any. Empty without O(clusters).
      type: list
      elements: str
      sample: [/etc/rcron/agent.d/mail.conf]
    lacks:
      description: For V(wackamole), those of the directives that C(wackamole.conf) does not hold.
      type: list
      elements: str
      sample: [PerlUse Rcron]
    managed:
      description: For V(keepalived) and V(pacemaker), whether the role wrote the configuration.
      type: bool
      sample: false
    missing:
      description:
        - For V(patroni), the callbacks that do not call rcron.
        - For V(ucarp), the programs to run that are not there or cannot be executed.
      type: list
      elements: str
      sample: []
    name:
      description: For V(heartbeat), the node's name as Heartbeat knows it.
      type: str
      sample: node1
    named_before:
      description:
        - For V(heartbeat), which of rcron's resources the C(haresources) names that the role replaced.
      type: list
      elements: str
      sample: []
    nodes:
      description:
        - For V(pacemaker), what the C(corosync.conf) that the role wrote says of each node, by the node's name.
      type: dict
      sample: {node1: {name: node1, nodeid: "1", ring0_addr: 192.0.2.11}}
    notifies:
      description: For V(keepalived), the lines that run C(rcronctl).
      type: list
      elements: str
      sample: ["/etc/keepalived/keepalived.conf:12"]
    ours:
      description: For V(heartbeat), whether the role wrote the configuration.
      type: bool
      sample: true
    owners:
      description: For V(heartbeat), each resource that C(haresources) names, with its node.
      type: dict
      sample: {rcron: node1}
    peers:
      description:
        - For V(keepalived) and V(pacemaker), the addresses in the configuration that the role wrote, by the hosts'
          names in the inventory.
      type: dict
      sample: {node2: 192.0.2.12}
    perl:
      description: For V(wackamole), whether the interpreter can be run and has the module POSIX.
      type: bool
      sample: true
    present:
      description: For V(ucarp), those of the role's files that are there.
      type: list
      elements: str
      sample: []
    priorities:
      description:
        - For V(keepalived), the priority of each C(vrrp_instance), if the role wrote the C(keepalived.conf).
      type: dict
      sample: {VI_rcron: 200}
    quorum_policy:
      description:
        - For V(pacemaker), the cluster's C(no-quorum-policy), C(stop) if nothing sets it.
      type: str
      sample: stop
    running:
      description:
        - For V(heartbeat), V(keepalived), V(pacemaker) and V(patroni), whether the daemons run.
      type: bool
      sample: true
    silent:
      description:
        - For V(keepalived), a sentence for each instance or group that does not notify rcron, with the lines to add.
      type: list
      elements: str
      sample: []
    spoke:
      description: For V(patroni), whether Patroni has reported its role since the machine was booted.
      type: bool
      sample: true
    theirs:
      description: For V(patroni), the command that each callback had before, or an empty string.
      type: dict
      sample: {on_start: ""}
    there:
      description: For V(heartbeat), which of C(ha.cf), C(haresources) and C(authkeys) exist.
      type: list
      elements: str
      sample: [ha.cf, haresources, authkeys]
    times:
      description: For V(heartbeat), what is wrong with the times, and how to fix it. Empty if nothing is.
      type: str
      sample: ""
    tls:
      description:
        - For V(patroni), the paths of the certificates that its REST API is asked with, as far as there are any, by the
          names that rcron-agent has for them, C(ca_file), C(cert_file) and C(key_file).
      type: dict
      sample: {ca_file: /etc/patroni/ca.pem}
    uid:
      description: The user id that the module ran as.
      type: int
      sample: 0
    unheard:
      description: For V(patroni), why the REST API of a Patroni that runs does not answer. Empty if it does.
      type: str
      sample: ""
    unit:
      description: For V(patroni), whether there is such a unit.
      type: bool
      sample: true
    untouched:
      description:
        - For V(pacemaker), whether C(corosync.conf) is the package's own or missing, and the cluster holds no resource.
      type: bool
      sample: true
    url:
      description: For V(patroni), the URL of the REST API. Empty if nothing names it.
      type: str
      sample: http://192.0.2.11:8008
    user:
      description: For V(patroni), the user that it runs as.
      type: str
      sample: postgres
    users:
      description:
        - For V(ucarp), the lines and processes, other than the role's own, that name one of the hooks.
      type: list
      elements: str
      sample: ["/etc/network/interfaces:12"]
    utf8:
      description: For V(keepalived), whether C(keepalived.conf) is UTF-8.
      type: bool
      sample: true
    wanted:
      description: For V(patroni), the command that each callback is to have.
      type: dict
      sample: {on_start: /usr/bin/rcronctl feed patroni}
"""

import glob
import hashlib
import os
import re
import stat
from types import ModuleType

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import (
    claim,
    heartbeat,
    keepalived,
    lease,
    pacemaker,
    patroni,
    ucarp,
    wackamole,
)
from ansible_collections.rcron.cluster.plugins.module_utils.installation.installer import UNIT_MARK
from ansible_collections.rcron.cluster.plugins.module_utils.installation.trust import exposure
from ansible_collections.rcron.cluster.plugins.module_utils.node.files import (
    LARGEST,
    foreign,
    is_ours,
    printable,
    read_head,
    read_text,
)
from ansible_collections.rcron.cluster.plugins.module_utils.node.programs import ProgramError
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TIME_LIMIT, TimeLimitError, within

#: Ansible sends a host only what is imported here by name.
FEEDERS: dict[str, ModuleType] = {
    "claim": claim,
    "heartbeat": heartbeat,
    "keepalived": keepalived,
    "lease": lease,
    "pacemaker": pacemaker,
    "patroni": patroni,
    "ucarp": ucarp,
    "wackamole": wackamole,
}


class InspectionError(Exception):
    """Why a node could not be looked at; the message is for a person."""


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "feeder": {"type": "str", "required": True, "choices": sorted(FEEDERS)},
            "options": {"type": "dict", "required": True},
            "files": {"type": "dict", "default": {}},
            "writes": {"type": "list", "elements": "path", "default": []},
            "compares": {"type": "list", "elements": "path", "default": []},
            "clusters": {"type": "path"},
            "complete": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        node = look(module.params["feeder"], module.params["options"], TIME_LIMIT)
    except InspectionError as error:
        module.fail_json(msg=str(error))
    for path, first in module.params["files"].items():
        node["foreign"] += [each for each in foreign([path], first) if not is_ours(each, UNIT_MARK)]
    # For Patroni, the look has found the path.
    written = [*module.params["writes"], *module.params["files"], node.get("file")]
    node["exposed"] = next(filter(None, (exposed(path) for path in written if path)), "")
    folder, mark = module.params["clusters"], module.params["options"]["mark"]
    node["left"] = left(folder, mark, set(module.params["files"]), module.params["complete"]) if folder else []
    found = {path: compared(path) for path in module.params["compares"]}
    node["compared"] = {path: words for path, words in found.items() if words}
    module.exit_json(changed=False, node=node)


def look(feeder: str, options: dict, time_limit: int) -> dict:
    """Look at this node, within a time limit.

    Args:
        feeder: The feeder's name, one of FEEDERS.
        options: What its inspector asks for.
        time_limit: Seconds after which this gives up.

    Returns:
        The inspector's answer, in characters that can be encoded.

    Raises:
        InspectionError: An option is missing, unknown or has a bad value, or the node gives no answer.
    """
    inspector = FEEDERS[feeder]
    checked = ArgumentSpecValidator(inspector.OPTIONS).validate(options)
    if checked.error_messages:
        raise InspectionError(f"options for {feeder}: {'; '.join(checked.error_messages)}")

    try:
        with within(f"looking at {feeder}", time_limit):
            answer = {"uid": os.geteuid(), **inspector.inspect(checked.validated_parameters)}
    except TimeLimitError as error:
        raise InspectionError(str(error)) from error
    except ProgramError as error:
        raise InspectionError(printable(str(error))) from error
    except OSError as error:
        raise InspectionError(printable(f"{error.filename or feeder}: {error.strerror or error}")) from error
    return readable(answer)


def left(folder: str, mark: str, wanted: set[str], is_complete: bool) -> list[str]:
    """Find what a role has left of clusters that are gone.

    Args:
        folder: That of rcron-agent's clusters.
        mark: The first line of the role's own files.
        wanted: The files of the clusters that the role has now.
        is_complete: Whether it has no others.

    Returns:
        The role's other files there: those whose rcron.conf does not exist, or all of them.
    """
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.conf"))):
        try:
            conf = re.search('^conf = "([^"]*)"$', read_text(path), re.MULTILINE)
        except OSError:
            continue
        is_gone = is_complete or (conf and not os.path.lexists(conf[1]))
        if is_gone and path not in wanted and is_ours(path, mark):
            found.append(path)
    return found


def compared(path: str) -> str:
    """Describe a file or folder, so that a role can tell whether it is what the role would write.

    Args:
        path: Its path.

    Returns:
        The mode, the owner's ids and, of a regular file, the SHA-256 of the content; "" for anything else.
    """
    try:
        status = os.lstat(path)
        words = f"{stat.S_IMODE(status.st_mode):04o} {status.st_uid}:{status.st_gid}"
        if stat.S_ISDIR(status.st_mode):
            return words
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            return f"{words} {hashlib.sha256(read_head(path, LARGEST)).hexdigest()}"
    except OSError:
        pass
    return ""


def exposed(path: str) -> str:
    """Say who, apart from root, could replace what a role writes at a path, and how to prevent it; or return ""."""
    return printable(exposure(path, "what the role writes there") or "").replace(", or name another place", "")


def readable(value: object) -> object:
    r"""Return an answer with each byte that is not UTF-8 as \xNN, in all its strings."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {readable(key): readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [readable(each) for each in value]
    return value


if __name__ == "__main__":
    main()
