# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""containers.podman.podman with one `podman exec` for each task, where that one takes seven calls of podman.

A test cluster spends most of its processor time there. The modules go in through standard input (Ansible calls that
pipelining), and files likewise. For the test nodes only: it needs cat there, and knows nothing of become.
"""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.plugins.connection import ensure_connect
from ansible_collections.containers.podman.plugins.connection import podman

DOCUMENTATION = """
author: The rcron maintainers
name: podman_piped
short_description: Run tasks in a podman container, through one podman exec each
description: See containers.podman.podman, whose options these are.
options:
  remote_addr:
    description: The container's name.
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
  podman_extra_args:
    description: More arguments for podman.
    default: ''
  podman_executable:
    description: What podman is called.
    default: podman
"""


class Connection(podman.Connection):
    """A connection to a container."""

    transport = "podman_piped"
    has_pipelining = True

    def _connect(self) -> Connection:
        # The other one mounts the container's file system here.
        self._connected = True
        return self

    @ensure_connect
    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = False) -> tuple[int, bytes, bytes]:
        """Run a shell's command; in_data is its standard input. Returns exit status, standard output and error."""
        return self._podman(["exec", "--interactive"], ["/bin/sh", "-c", cmd], in_data)

    @ensure_connect
    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of this machine's to a path in the container."""
        with open(in_path, "rb") as file:
            content = file.read()
        status, _output, error = self._podman(
            ["exec", "--interactive"], ["/bin/sh", "-c", 'cat >"$0"', out_path], content
        )
        if status != 0:
            raise AnsibleError(f"cannot write {out_path} in {self._container_id}: {error.decode(errors='replace')}")

    @ensure_connect
    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the container's to a path on this machine."""
        status, content, error = self._podman("exec", ["cat", in_path])
        if status != 0:
            raise AnsibleError(f"cannot read {in_path} in {self._container_id}: {error.decode(errors='replace')}")
        with open(out_path, "wb") as file:
            file.write(content)
