#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_crontab: the prefix on selected crontab entries."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_crontab
short_description: Prefix selected crontab entries with rcron, or take the prefix away
version_added: 0.1.0
author:
  - The rcron maintainers (@rcron)
description:
  - Puts C(rcron) in front of the commands of selected entries of a crontab that exists, so that they run
    on the active node of a cluster only.
  - A simple command becomes C(/usr/bin/rcron COMMAND). One that needs a shell (pipelines, redirections,
    assignments, builtins and the like) becomes C(/usr/bin/rcron -c 'COMMAND').
  - With the node active, an entry does exactly what it did before. With the node passive, it does nothing.
  - Every byte that is not part of a selected entry's command stays as it is.
  - Entries are neither made nor removed. That is what M(ansible.builtin.cron) is for.
notes:
  - A user's crontab is read and replaced by C(crontab). It is written to C(crontab)'s standard input, and
    only if that takes it. Where its usage text offers a check (C(-n) of Debian 12, C(-T) of cronie and
    systemd-cron), the new crontab is checked first, in check mode too.
  - A O(cron_file) is replaced by renaming, with its owner, group, mode, ACL and SELinux context. A symbolic
    link stays, and the file that it leads to is replaced.
  - Tasks that write crontabs on the same host at the same time wait for each other (a lock on
    C(/run/rcron_crontab.lock)). If somebody else changes the crontab meanwhile, it is read again.
  - A command that would be longer than the host's cron takes (998 bytes for Debian's, 131071 for all others) is
    refused before anything is written.
  - If M(ansible.builtin.cron) makes the entry, each of its runs takes the prefix away again. Use
    P(rcron.cluster.rcron_prefix#filter) in its O(ansible.builtin.cron#module:job) then.
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
    platforms: Linux
  safe_file_operations:
    description: Files are replaced in one step, so that cron never sees half of one.
    support: full
options:
  user:
    description:
      - The user whose crontab holds the entries.
      - To reach another user's crontab than its own, the task must run as root.
    type: str
  cron_file:
    description:
      - The system crontab that holds the entries, whose lines have a field for the user.
      - An absolute path, such as V(/etc/crontab), or the name of a file in C(/etc/cron.d).
    type: path
  entries:
    description:
      - What selects the entries. An entry may be selected by several of them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - "The name that M(ansible.builtin.cron) wrote above the entry, as in C(#Ansible: nightly backup)."
        type: str
      job:
        description:
          - The whole command, as it stands in the crontab without a prefix.
        type: str
      regexp:
        description:
          - A Python regular expression, searched in the command as it stands without a prefix.
        type: str
  state:
    description:
      - V(present) puts the prefix there. V(absent) takes it away, which gives back the original bytes.
    type: str
    choices: [present, absent]
    default: present
  rcron_path:
    description:
      - Path of C(rcron) on the host. It need not exist yet.
    type: str
    default: /usr/bin/rcron
  conf:
    description:
      - The configuration file of the entries' cluster. Only for a host that is in several clusters.
      - Left out, C(rcron) reads its own, C(/etc/rcron/rcron.conf).
    type: str
  takeover_wait:
    description:
      - How many seconds a passive node waits for its promotion before it skips the entries' jobs, so that the
        successor runs a job that was due during a failover. Only for jobs that are safe to run twice.
      - Left out, what C(rcron.conf) says holds, and a C(--takeover-wait) that stands in an entry already stays.
    type: int
  on_missing:
    description:
      - What happens if an item of O(entries) selects nothing.
      - V(fail) fails before anything is written, V(warn) warns, and V(ignore) does nothing.
      - The same goes for a crontab that does not exist and, with O(state=absent), for an unknown user.
    type: str
    choices: [fail, warn, ignore]
    default: fail
  backup:
    description:
      - Keep the crontab as it was in a file of its own, if it is changed.
      - That file is in C(/var/backups/rcron), or in C(~/.local/state/rcron) if the task does not run as root.
    type: bool
    default: false
seealso:
  - module: ansible.builtin.cron
  - plugin: rcron.cluster.rcron_prefix
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Run the nightly backup on the active node only
  rcron.cluster.rcron_crontab:
    user: root
    entries:
      - name: nightly backup

- name: Run all jobs of an application on the active node only, and keep the crontab as it was
  rcron.cluster.rcron_crontab:
    cron_file: /etc/cron.d/app
    entries:
      - regexp: ^/opt/app/bin/
      - job: cd /opt/app && ./report > /var/log/app/report.log
    backup: true

- name: Put the billing jobs under a second cluster of this host
  rcron.cluster.rcron_crontab:
    user: billing
    entries:
      - regexp: invoice
    conf: /etc/rcron/billing.conf

- name: Run the nightly backup on every node again
  rcron.cluster.rcron_crontab:
    user: root
    entries:
      - name: nightly backup
    state: absent
"""

RETURN = r"""
entries:
  description:
    - The selected entries, in the order of the crontab.
    - One whose RV(entries[].before) equals RV(entries[].after) was as it should be already.
    - In all texts, bytes that are not UTF-8 and control characters are shown as C(\xNN) and the like.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: Number of the entry's line, the first line being 1.
      type: int
      sample: 12
    user:
      description: The user that the entry runs as.
      type: str
      sample: root
    before:
      description: The command as it was.
      type: str
      sample: /usr/local/bin/backup --all
    after:
      description: The command as it is now or, in check mode, would be.
      type: str
      sample: /usr/bin/rcron /usr/local/bin/backup --all
    selected_by:
      description: The items of O(entries) that selected it.
      type: list
      elements: str
      sample: ["name: nightly backup"]
backup_file:
  description: Path of the file that holds the crontab as it was.
  returned: changed, with O(backup=true), not in check mode
  type: str
  sample: /var/backups/rcron/crontab-root.20260102T030405Z.k3j2h1
"""

import difflib
import os
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_native
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    CrontabError,
    Rewritten,
    Selector,
    parse,
    printable,
    rewrite,
)
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import (
    CrontabCommand,
    CrontabFile,
    StoreError,
    UnknownUserError,
    UserCrontab,
    backup_folder,
    keep_backup,
    locked,
)
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within

# Only a program changes a crontab this often between two reads.
ATTEMPTS = 10


class MissingEntryError(Exception):
    """A selector selects nothing, and that is not allowed."""


@dataclass
class Outcome:
    """What was done to a crontab or, in check mode, would be."""

    before: bytes
    rewritten: Rewritten
    missing: list[str]  # one sentence for each selector that selects nothing
    backup_file: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the text differs from before."""
        return self.rewritten.text != self.before


@dataclass
class PrefixedEntries:
    """The selected entries of one crontab, with or without their prefix."""

    store: UserCrontab | CrontabFile
    command: CrontabCommand | None  # None: the host has none, and the crontab is a file
    selectors: list[Selector]
    state: str  # present, absent
    rcron_path: bytes
    conf: bytes | None
    may_be_missing: bool
    takeover_wait: int | None = None  # seconds

    def preview(self) -> Outcome:
        """Find out what `apply` would do. Nothing is written.

        Raises:
            MissingEntryError: A selector selects nothing, and may not be missing.
            CrontabError: An entry cannot be rewritten.
            StoreError: The crontab cannot be read, or crontab(1) would not take the new one.
        """
        absence = ""
        try:
            text = self.store.read()
            if text is None:
                absence = f"{self.store.name} does not exist"
        except UnknownUserError as error:
            if self.state == "present":
                raise
            text, absence = None, str(error)
        before = text or b""
        rewritten = rewrite(
            before,
            self.selectors,
            system=self.store.system,
            state=self.state,
            rcron_path=self.rcron_path,
            conf=self.conf,
            takeover_wait=self.takeover_wait,
            max_command=self.command.max_command if self.command else None,
        )
        missing = [
            f"{described(selector)} selects nothing: "
            + (absence or f"no entry of {self.store.name} matches it{self._near(selector, before)}")
            for selector in rewritten.unmatched
        ]
        if missing and not self.may_be_missing:
            raise MissingEntryError(
                "; ".join(missing)
                + ". Correct the selector, create the entry first, or set on_missing to warn or ignore."
            )
        outcome = Outcome(before, rewritten, missing)
        if outcome.changed and self.command and not self.store.system:
            self._ask(outcome)
        return outcome

    def apply(self, backups: str | None = None) -> Outcome:
        """Bring the crontab into its state, and write it if that changes it.

        Args:
            backups: The folder to keep the crontab in as it was, if it is changed; None: don't keep it.

        Raises:
            MissingEntryError: As `preview` does; nothing is written then.
            CrontabError: As `preview` does; nothing is written then.
            StoreError: The crontab cannot be read or written.
        """
        with locked():
            for _attempt in range(ATTEMPTS):
                outcome = self.preview()
                if not outcome.changed:
                    return outcome
                if backups:
                    outcome.backup_file = keep_backup(self.store, outcome.before, backups)
                # The lock keeps out our own kind only: somebody may have used `crontab -e` meanwhile.
                if self.store.read() == outcome.before:
                    self.store.write(outcome.rewritten.text)
                    return outcome
                if outcome.backup_file:
                    os.unlink(outcome.backup_file)
        raise StoreError(
            f"{self.store.name} is changed by somebody else again and again. Nothing is changed; try later."
        )

    def _near(self, selector: Selector, text: bytes) -> str:
        """Name the entry that was probably meant."""
        wanted = {"name": "name", "job": "command"}.get(selector.kind)
        if wanted is None:
            return ""
        there = {printable(getattr(entry, wanted) or b"") for entry in parse(text, system=self.store.system)}
        near = difflib.get_close_matches(printable(selector.value), sorted(there), n=1)
        return f" (is it {near[0]!r}?)" if near else ""

    def _ask(self, outcome: Outcome) -> None:
        refusal = self.command.refusal(outcome.rewritten.text)
        if refusal is None:
            return
        already = self.command.refusal(outcome.before) is not None
        raise StoreError(
            f"{self.store.name}: {self.command.path} would refuse it, so nothing is changed: {refusal}. "
            + ("It would refuse the crontab as it is, too: fix that line first." if already else "")
        )


def described(selector: Selector) -> str:
    """Name a selector as the task does, for people."""
    return f"{selector.kind}: {printable(selector.value)}"


def to_selectors(entries: list[dict]) -> list[Selector]:
    """Turn the option `entries` into selectors.

    Raises:
        CrontabError: An item selects by the empty string.
    """
    selectors = []
    for number, entry in enumerate(entries):
        ((kind, value),) = ((kind, value) for kind, value in entry.items() if value is not None)
        if not value.strip():
            raise CrontabError(
                f"entries[{number}].{kind} is empty. Give the {kind} of an entry, or leave the item out."
            )
        selectors.append(Selector(kind, to_bytes(value, errors="surrogate_or_strict")))
    return selectors


def main() -> None:
    """Run as Ansible's module."""
    kinds = ["name", "job", "regexp"]
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str"},
            "cron_file": {"type": "path"},
            "entries": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {kind: {"type": "str"} for kind in kinds},
                "mutually_exclusive": [kinds],
                "required_one_of": [kinds],
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "rcron_path": {"type": "str", "default": "/usr/bin/rcron"},
            "conf": {"type": "str"},
            "takeover_wait": {"type": "int"},
            "on_missing": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
            "backup": {"type": "bool", "default": False},
        },
        mutually_exclusive=[["user", "cron_file"]],
        required_one_of=[["user", "cron_file"]],
        supports_check_mode=True,
    )
    given = module.params
    try:
        command = find_command(needed=given["user"] is not None or given["state"] == "present")
        prefixed = PrefixedEntries(
            store=CrontabFile(given["cron_file"]) if given["user"] is None else UserCrontab(given["user"], command),
            command=command,
            selectors=to_selectors(given["entries"]),
            state=given["state"],
            rcron_path=to_bytes(given["rcron_path"]),
            conf=to_bytes(given["conf"]) if given["conf"] else None,
            may_be_missing=given["on_missing"] != "fail",
            takeover_wait=given["takeover_wait"],
        )
        if module.check_mode:
            with within("looking at the crontab"):
                outcome = prefixed.preview()
        else:
            outcome = prefixed.apply(backup_folder() if given["backup"] else None)
    except CrontabError as error:
        # These messages name the line only.
        where = given["user"] or given["cron_file"]
        module.fail_json(msg=f"the crontab of {where} cannot be rewritten, and is as it was: {to_native(error)}")
    except (StoreError, MissingEntryError, TimeLimitError) as error:
        module.fail_json(msg=to_native(error))
    if given["on_missing"] == "warn":
        for sentence in outcome.missing:
            module.warn(sentence)
    result = {
        "changed": outcome.changed,
        "entries": [
            {
                "line": change.line,
                "user": given["user"] or printable(change.user),
                "before": printable(change.before),
                "after": printable(change.after),
                "selected_by": [described(selector) for selector in change.selected_by],
            }
            for change in outcome.rewritten.entries
        ],
    }
    if outcome.backup_file:
        result["backup_file"] = outcome.backup_file
    if module._diff:
        result["diff"] = {
            "before_header": prefixed.store.name,
            "before": printable(outcome.before, keep="\n\t"),
            "after_header": prefixed.store.name,
            "after": printable(outcome.rewritten.text, keep="\n\t"),
        }
    module.exit_json(**result)


def find_command(needed: bool) -> CrontabCommand | None:
    """Find the host's crontab(1).

    Args:
        needed: Whether the task can do nothing without it.

    Returns:
        The command; None if the host has none and it is not needed.

    Raises:
        StoreError: The host has none, and it is needed.
    """
    try:
        return CrontabCommand()
    except StoreError:
        if needed:
            raise
        return None


if __name__ == "__main__":
    main()
