#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_engine_info: whether a node can claim runs in an engine, before anything is changed there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_engine_info
short_description: Try out from a node the engine that is to keep the claims of an rcron cluster
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Runs C(rcron-agent --check) on a host from a folder that is deleted again, so that rcron need not be installed
    there. It makes a claim in the engine and deletes it.
  - Returns as well what the role P(rcron.cluster.rcron_claims#role) must know of the host before it changes anything.
    That role runs it; you need it only in one of your own.
  - Changes nothing on the host.
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
  package:
    description:
      - The package's files, as M(rcron.cluster.rcron_wrapper) takes them.
      - Left out, the engine is not tried.
    type: dict
  python:
    description:
      - The host's Python that is to run C(rcron-agent).
    type: path
    default: /usr/bin/python3
  conf_content:
    description:
      - The text of agent.conf, without the password's file.
    type: str
  password:
    description:
      - The password of the engine's user.
    type: str
  installs:
    description:
      - Packages that will be installed before the agent is started. If one of them is missing, the engine cannot be
        tried yet.
    type: list
    elements: str
    default: []
  user:
    description:
      - The user that the agent is to become, and that the engine is tried as. As long as there is no such user, it is
        tried as C(nobody).
    type: str
    default: rcron-agent
  unit:
    description:
      - The path of the agent's unit. Others that name the user are looked for beside it.
    type: path
    default: /etc/systemd/system/rcron-claims.service
  files:
    description:
      - The role's files, each with the comment that it writes at their top. It may be one of the first three lines.
      - An empty comment is for a file that cannot hold one.
    type: dict
    default: {}
seealso:
  - module: rcron.cluster.rcron_wrapper
"""

EXAMPLES = r"""
- name: Try the engine
  rcron.cluster.rcron_engine_info:
    package: "{{ dict(names | zip(query('ansible.builtin.file', *paths, rstrip=false))) }}"
    conf_content: |
      engine = etcd
      endpoints = https://etcd1:2379,https://etcd2:2379,https://etcd3:2379
  vars:
    paths: "{{ query('ansible.builtin.fileglob', *(patterns | map('regex_replace', '^', checkout ~ '/'))) }}"
    patterns: [rcron/*.py, rcron/agent/*.py, rcron/agent/*/*.py, rcron/feeders/*.py]
    names: "{{ paths | map('replace', checkout ~ '/', '') }}"
    checkout: /home/admin/rcron
"""

RETURN = r"""
node:
  description: What was found.
  returned: success
  type: dict
  contains:
    uid:
      description: The user that the module ran as.
      type: int
      sample: 0
    words:
      description: How the engine is; empty if it was not tried, or cannot be used.
      type: str
      sample: 3 of 3 members
    remarks:
      description: What should be changed at the engine.
      type: list
      elements: str
      sample: ["it was never compacted, so it grows for ever: set --auto-compaction-retention=1h"]
    problem:
      description: Why the engine cannot be used; empty if it can.
      type: str
      sample: ""
    lacks:
      description: The one of O(installs) without which the engine could not be tried; empty if there is none.
      type: str
      sample: ""
    user:
      description: The comment of the user O(user); null if there is no such user.
      type: str
      sample: rcron claims
    shared:
      description: Other units that run as that user.
      type: list
      elements: str
      sample: []
    foreign:
      description: Those of O(files) that are there and lack their comment.
      type: list
      elements: str
      sample: []
    exposed:
      description: Who, apart from root, could replace one of O(files), and how to prevent it; empty if nobody can.
      type: str
      sample: ""
"""

import glob
import os
import pwd
import re
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rcron.cluster.plugins.module_utils.installation import processes
from ansible_collections.rcron.cluster.plugins.module_utils.installation.package import ENGINE_PROBE, Package
from ansible_collections.rcron.cluster.plugins.module_utils.installation.trust import exposure
from ansible_collections.rcron.cluster.plugins.module_utils.node.files import foreign, printable, read_head
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within

#: The engine `command` in agent.conf, and its program, as the role's template writes them.
PROGRAM = re.compile(r"""^engine = ["']?command["']?$.*^endpoints = ["']?(/[^"'\n]*)""", re.MULTILINE | re.DOTALL)

LIBRARY = re.compile(r"install the package (\S+)$")

WARNING = "warning: "


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            # Not secret, but 300 kB that neither the host's log nor the result needs.
            "package": {"type": "dict", "no_log": True},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            # PostgreSQL's endpoints may hold a password.
            "conf_content": {"type": "str", "no_log": True},
            "password": {"type": "str", "no_log": True},
            "installs": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str", "default": "rcron-agent"},
            "unit": {"type": "path", "default": "/etc/systemd/system/rcron-claims.service"},
            "files": {"type": "dict", "default": {}},
        },
        required_by={"package": "conf_content"},
        supports_check_mode=True,
    )
    given = module.params
    try:
        with within("trying the engine"):
            node = looked(given)
            node.update(tried(given, "nobody" if node["user"] is None else given["user"]))
    except (TimeLimitError, OSError) as error:
        module.fail_json(msg=printable(str(error)))
    module.exit_json(changed=False, node=node)


def looked(given: dict) -> dict:
    """Look at the host's files and users, as RETURN describes them."""
    try:
        comment = printable(pwd.getpwnam(given["user"]).pw_gecos)
    except KeyError:
        comment = None
    found = [path for path, mark in given["files"].items() if mark and foreign([path], mark)]
    exposed = [exposure(path, "what the role writes there") for path in given["files"]]
    program = PROGRAM.search(given["conf_content"] or "")
    if program:
        exposed.append(exposure(program.group(1), "the program that keeps the claims, and gets its password"))
    runs_as = re.compile(rb"--user " + re.escape(given["user"].encode()) + rb"\s")
    units = glob.glob(os.path.join(glob.escape(os.path.dirname(given["unit"])), "*.service"))
    return {
        "uid": os.geteuid(),
        "user": comment,
        "shared": sorted(printable(path) for path in units if path != given["unit"] and runs_as.search(_head(path))),
        "foreign": found,
        "exposed": printable(next(filter(None, exposed), "")).replace(", or name another place", ""),
    }


def _head(path: str) -> bytes:
    """Return a unit's text; nothing if it cannot be read."""
    try:
        return read_head(path, 65536)
    except OSError:
        return b""


def tried(given: dict, user: str) -> dict:
    """Try the engine out as a user, and return how it is, as RETURN describes that."""
    found = {"words": "", "remarks": [], "problem": "", "lacks": ""}
    if given["package"] is None:
        return found
    if user == "nobody" and given["password"] and PROGRAM.search(given["conf_content"]):
        return found  # any process of nobody's could read the password: the agent itself will try it
    package = Package({path: str(text) for path, text in given["package"].items()}, given["python"])
    with tempfile.TemporaryDirectory(prefix="rcron-") as folder:
        package.write(folder)
        conf = os.path.join(folder, "agent.conf")
        text = given["conf_content"]
        if given["password"]:
            password = os.path.join(folder, "password")
            _write_secretly(password, given["password"] + "\n")
            text += f"\npassword_file = {password}\n"
        _write_secretly(conf, text)
        argv = [given["python"], "-I", "-S", "-B", "-c", ENGINE_PROBE, folder, conf, user]
        try:
            done = processes.run(argv)
        except OSError as error:
            done = subprocess.CompletedProcess(argv, 127, "", error.strerror or str(error))
        said = done.stderr.strip().replace(f"{conf}:", "agent.conf:")
    if done.returncode == 0:
        words, *remarks = printable(done.stdout).splitlines()
        found["words"] = words
        found["remarks"] = [line[len(WARNING) :] for line in remarks if line.startswith(WARNING)]
        return found
    lacks = LIBRARY.search(said)
    if lacks and lacks.group(1) in given["installs"]:
        found["lacks"] = lacks.group(1)
    else:
        lines = said.splitlines() or [f"exit status {done.returncode}"]
        found["problem"] = printable(lines[-1])
    return found


def _write_secretly(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)


if __name__ == "__main__":
    main()
