# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Ansible's way into a test node, through in-node.sh: one start of it for each task.

containers.podman.podman calls podman seven times for a task, which is most of the processor time of a test cluster. The
modules go in through standard input (Ansible calls that pipelining), and files likewise. For the test nodes only: it
needs cat there, and knows nothing of become.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
author: The rcron maintainers
name: node
short_description: Run tasks in a node of a test cluster
description: Runs tasks in a container that molecule/shared/nodes.sh has started.
options:
  remote_addr:
    description: The container's name.
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
"""

SHARED = Path(__file__).parents[1]
IN_NODE = SHARED / "in-node.sh"

#: The first statement of what Ansible hands to a node's Python; nothing may come before it.
FIRST = b"from __future__ import annotations\n"
MODULE = b"_ANSIBALLZ_WRAPPER"


class Connection(ConnectionBase):
    """A connection to a node."""

    transport = "node"
    has_pipelining = True
    always_pipeline_modules = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def close(self) -> None:
        """Do nothing: there is no connection between two tasks."""
        self._connected = False

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a shell's command; in_data is its standard input. Returns exit status, standard output and error."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if in_data and MODULE in in_data:
            in_data = in_data.replace(FIRST, FIRST + (SHARED / "keep_bytecode.py").read_bytes(), 1)
        return self._run("/bin/sh", "-c", cmd, given=in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of this machine's to a path in the node."""
        super().put_file(in_path, out_path)
        status, _output, error = self._run("/bin/sh", "-c", 'cat >"$0"', out_path, given=Path(in_path).read_bytes())
        if status != 0:
            raise AnsibleError(f"cannot write {out_path} in {self._container}: {error.decode(errors='replace')}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the node's to a path on this machine."""
        super().fetch_file(in_path, out_path)
        status, content, error = self._run("cat", in_path)
        if status != 0:
            raise AnsibleError(f"cannot read {in_path} in {self._container}: {error.decode(errors='replace')}")
        Path(out_path).write_bytes(content)

    @property
    def _container(self) -> str:
        return str(self.get_option("remote_addr"))

    def _run(self, *command: str, given: bytes | None = None) -> tuple[int, bytes, bytes]:
        ran = subprocess.run(
            [str(IN_NODE), self._container, *command],
            check=False,
            input=given or b"",
            capture_output=True,
            start_new_session=True,  # the node's processes have no terminal
        )
        if ran.returncode == 125:
            raise AnsibleConnectionFailure(ran.stderr.decode(errors="replace"))
        return ran.returncode, ran.stdout, ran.stderr
