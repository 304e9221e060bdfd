# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_prefix: a command with the prefix that makes it run on the active node only."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.module_utils import crontab


def rcron_prefix(
    command: str,
    rcron_path: str = crontab.DEFAULT_RCRON_PATH.decode(),
    conf: str | None = None,
    takeover_wait: int | None = None,
    job_name: str | None = None,
    claim: str | None = None,
) -> str:
    """Prefix a command.

    Args:
        command: The command as a crontab would have it.
        rcron_path: The absolute path of rcron on the hosts.
        conf: The absolute path of the cluster's configuration; None for the default one.
        takeover_wait: How many seconds a passive node waits for its promotion; None for the configuration's.
        job_name: The job's name, for the log and for claims; None for none.
        claim: Whether each run is claimed, `off`, `required` or `preferred`; None for the configuration's.

    Returns:
        The command with the prefix.

    Raises:
        AnsibleFilterError: The command is not a string, is empty, or has a NUL byte or a newline; or a path or the
            job's name cannot be used in a crontab.
    """
    optional = {"conf": conf, "job_name": job_name, "claim": claim}
    for what, value in {"the command": command, "rcron_path": rcron_path, **optional}.items():
        if not isinstance(value, str) and not (what in optional and value is None):
            raise AnsibleFilterError(f"rcron_prefix: {what} is {value!r}; it must be a string: put it in quotes")
    if takeover_wait is not None and (not isinstance(takeover_wait, int) or isinstance(takeover_wait, bool)):
        raise AnsibleFilterError(
            f"rcron_prefix: takeover_wait is {takeover_wait!r}; it must be a number: use the filter int"
        )
    if not command.strip():
        raise AnsibleFilterError(
            "rcron_prefix: the command is empty; pass the command that cron should run, as in "
            "{{ '/usr/local/bin/report' | rcron.cluster.rcron_prefix }}"
        )
    try:
        prefixed = crontab.prefix(
            _encoded(command),
            _encoded(rcron_path),
            None if conf is None else _encoded(conf),
            takeover_wait,
            None if job_name is None else _encoded(job_name),
            claim,
        )
    except crontab.CrontabError as error:
        raise AnsibleFilterError(f"rcron_prefix: {error}") from error
    return prefixed.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_prefix": rcron_prefix}
