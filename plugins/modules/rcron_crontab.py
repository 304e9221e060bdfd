#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_crontab: the prefix on selected crontab entries."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_crontab
short_description: Prefix selected crontab entries with rcron, or take the prefix away
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Puts C(rcron) in front of the commands of selected entries of a crontab that exists, so that they run
    on the active node of a cluster only.
  - A simple command becomes C(/usr/bin/rcron COMMAND). One that needs a shell (pipelines, redirections,
    assignments, builtins and the like) becomes C(/usr/bin/rcron -c 'COMMAND').
  - With the node active, an entry does exactly what it did before. With the node passive, it does nothing.
  - Every byte that is not part of a selected entry's command stays as it is.
  - Takes one crontab, or with O(crontabs) all that the inventory names, and can then find the entries that the
    inventory named once.
  - Entries are neither made nor removed. That is what M(ansible.builtin.cron) is for.
notes:
  - A user's crontab is read and replaced by C(crontab). It is written to C(crontab)'s standard input, and
    only if that takes it. Where its usage text offers a check (C(-n) of Debian 12, C(-T) of cronie and
    systemd-cron), the new crontab is checked first, in check mode too.
  - A O(cron_file) is replaced by renaming, with its owner, group, mode, ACL and SELinux context. A symbolic
    link stays, and the file that it leads to is replaced.
  - Tasks that write crontabs on the same host at the same time wait for each other (a lock on
    C(/run/rcron_crontab.lock)). If somebody else changes the crontab meanwhile, it is read again.
  - An entry with C(@reboot) is prefixed with a warning, unless it waits for a takeover, because a host boots passive.
  - A command that would be longer than the host's cron takes (998 bytes for Debian's, 131071 for all others) is
    refused before anything is written.
  - Packages ship entries that end themselves where systemd runs (C(! -d /run/systemd/system)), and a timer for the
    same job. To prefix such an entry would guard nothing, so it is refused, with the timer's name, for
    M(rcron.cluster.rcron_timers).
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
      - A file called C(anacrontab) is read as anacron does. The name of an entry is the job's identifier. An entry that
        runs all scripts of a folder (C(run-parts)) is refused.
      - Anacron notes a job as done on passive nodes, too, and does not start it again before its period is over.
    type: path
  entries:
    description:
      - What selects the entries. An entry may be selected by several of them.
      - Required with O(user) and O(cron_file).
    type: list
    elements: dict
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
      job_name:
        description:
          - The name that the entry's job gets by C(--job). C(rcron) logs it, and claims runs by it.
          - Left out, the C(#Ansible) name of an entry that is claimed or O(named), and one that it has stays.
        type: str
  claim:
    description:
      - Whether each run of the entries is claimed in an engine that all nodes share, so that no other node runs it,
        too. See rcron(8), CLAIMS.
      - Left out, what C(rcron.conf) says holds, and a C(--claim) that stands in an entry already stays.
    type: str
    choices: ['off', required, preferred]
  named:
    description:
      - Whether the entries' jobs get their C(#Ansible) names as O(claim) gives them; for a cluster whose C(rcron.conf)
        has C(claim).
      - Two entries that would claim one job in the same minute are refused, since only one of them would run. Give
        them names, or an O(entries[].job_name) each.
    type: bool
    default: false
  state:
    description:
      - V(present) puts the prefix there. V(absent) takes it away, which gives back the original bytes.
    type: str
    choices: [present, absent]
    default: present
  rcron_path:
    description:
      - Path of C(rcron) on the host. It must exist, unless O(later) names it.
    type: str
    default: /usr/bin/rcron
  conf:
    description:
      - The configuration file of the entries' cluster. Only for a host that is in several clusters.
      - Left out, C(rcron) reads its own, C(/etc/rcron/rcron.conf).
      - It must exist, unless O(later) names it.
    type: str
  later:
    description:
      - Programs and configurations that are going to be on the host later. All others that O(rcron_path) and O(conf)
        name must be there, or else an entry would not run on any host.
    type: list
    elements: str
    default: []
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
  crontabs:
    description:
      - Several crontabs at once, instead of O(user) or O(cron_file). An item takes the options of the same names, and
        O(conf) and O(rcron_path) hold for the items without their own.
      - A prefix does not name C(/etc/rcron/rcron.conf), which C(rcron) reads by itself.
      - If one of them cannot be changed, none is.
      - A record of the prefixed entries is kept on the host, one for each O(conf).
    type: list
    elements: dict
    suboptions:
      user:
        description: As O(user).
        type: str
      cron_file:
        description: As O(cron_file).
        type: path
      entries:
        description: As O(entries).
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: As O(entries[].name).
            type: str
          job:
            description: As O(entries[].job).
            type: str
          regexp:
            description: As O(entries[].regexp).
            type: str
          job_name:
            description: As O(entries[].job_name).
            type: str
      claim:
        description: As O(claim).
        type: str
        choices: ['off', required, preferred]
      state:
        description: As O(state).
        type: str
        choices: [present, absent]
        default: present
      rcron_path:
        description: As O(rcron_path).
        type: str
      conf:
        description: As O(conf).
        type: str
      takeover_wait:
        description: As O(takeover_wait).
        type: int
      on_missing:
        description: As O(on_missing).
        type: str
        choices: [fail, warn, ignore]
        default: fail
      backup:
        description: As O(backup).
        type: bool
        default: false
  unselected:
    description:
      - With O(crontabs), what happens to the prefixed entries of the cluster O(conf) that no item selects.
      - V(keep) leaves them as they are.
      - V(release) takes the prefix off those that an earlier run has put it on, which the record says. An entry that
        somebody has prefixed by hand or with P(rcron.cluster.rcron_prefix#filter), or whose command was changed since,
        keeps it.
      - V(release_all) takes the prefix off every entry of every crontab of the host whose prefix names O(conf).
    type: str
    choices: [keep, release, release_all]
    default: keep
  record_dir:
    description:
      - The folder of the record, C(crontabs.json).
      - Left out, C(/var/lib/rcron), or C(~/.local/state/rcron) if the task does not run as root.
    type: path
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

- name: Let the cluster's entries be these, and no others that earlier runs have prefixed
  rcron.cluster.rcron_crontab:
    crontabs:
      - user: root
        entries:
          - name: nightly backup
      - cron_file: /etc/cron.d/app
        entries:
          - regexp: ^/opt/app/bin/
    unselected: release
"""

RETURN = r"""
entries:
  description:
    - The selected entries, in the order of the crontab.
    - One whose RV(entries[].before) equals RV(entries[].after) was as it should be already.
    - In all texts, bytes that are not UTF-8 and control characters are shown as C(\xNN) and the like.
  returned: success, without O(crontabs)
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
  returned: changed, with O(backup=true), not in check mode, without O(crontabs)
  type: str
  sample: /var/backups/rcron/crontab-root.20260102T030405Z.k3j2h1
crontabs:
  description: For each item of O(crontabs), what is returned for a single crontab.
  returned: success, with O(crontabs)
  type: list
  elements: dict
  contains:
    crontab:
      description: The user, or the system crontab's path.
      type: str
      sample: root
    entries:
      description: As RV(entries).
      type: list
      elements: dict
      sample: []
    backup_file:
      description: As RV(backup_file).
      type: str
      sample: /var/backups/rcron/crontab-root.20260102T030405Z.k3j2h1
unselected:
  description:
    - The entries with a prefix of the cluster O(conf), and those of its record, that no item of O(crontabs) selects.
    - Not looked for with O(unselected=keep).
  returned: success, with O(crontabs)
  type: list
  elements: dict
  contains:
    crontab:
      description: The user, or the system crontab's path.
      type: str
      sample: root
    line:
      description: Number of the entry's line, the first line being 1.
      type: int
      sample: 12
    command:
      description: The command without its prefix.
      type: str
      sample: /usr/local/bin/report
    recorded:
      description: Whether an earlier run has prefixed it.
      type: bool
      sample: true
    released:
      description: Whether its prefix was taken off or, in check mode, would be.
      type: bool
      sample: true
failures:
  description: With O(crontabs), a sentence for each reason not to change anything.
  returned: failure, with O(crontabs)
  type: list
  elements: str
  sample: ["name: nighty selects nothing: no entry of the crontab of user root matches it (is it 'nightly'?)"]
"""

import contextlib
import difflib
import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_native
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    CLAIMING,
    CLAIMS,
    Claimed,
    CrontabError,
    Entry,
    Guard,
    Rewritten,
    Selector,
    claimed_twice,
    configuration,
    parse,
    printable,
    release,
    rewrite,
    seconds,
    unprefix,
    unselected,
)
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_record import Record, Recorded
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import (
    CrontabCommand,
    CrontabFile,
    StoreError,
    UnknownUserError,
    UserCrontab,
    all_crontabs,
    backup_folder,
    keep_backup,
    locked,
)
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within
from ansible_collections.rcron.cluster.plugins.module_utils.timers import beside

# Only a program changes a crontab this often between two reads.
ATTEMPTS = 10


class MissingEntryError(Exception):
    """A selector selects nothing, and that is not allowed."""


class DoubleClaimError(MissingEntryError):
    """Two selected entries would claim the same runs."""


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
class CrontabChange:
    """A change of one crontab."""

    store: UserCrontab | CrontabFile
    command: CrontabCommand | None  # None: the host has none, and the crontab is a file

    def preview(self) -> Outcome:
        """Find out what `apply` would do. Nothing is written.

        Raises:
            MissingEntryError: A selector selects nothing, and may not be missing.
            CrontabError: An entry cannot be rewritten.
            StoreError: The crontab cannot be read, or crontab(1) would not take the new one.
        """
        outcome = self._outcome()
        if outcome.changed and self.store.system:
            self.store.refuse_exposed()
        elif outcome.changed and self.command:
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

    def _outcome(self) -> Outcome:
        """Read the crontab, and rewrite its text."""
        raise NotImplementedError

    def _ask(self, outcome: Outcome) -> None:
        refusal = self.command.refusal(outcome.rewritten.text)
        if refusal is None:
            return
        already = self.command.refusal(outcome.before) is not None
        raise StoreError(
            f"{self.store.name}: {self.command.path} would refuse it, so nothing is changed: {refusal}. "
            + ("It would refuse the crontab as it is, too: fix that line first." if already else "")
        )


@dataclass
class PrefixedEntries(CrontabChange):
    """The selected entries of one crontab, with or without their prefix."""

    selectors: list[Selector]
    state: str  # present, absent
    rcron_path: bytes
    conf: bytes | None
    may_be_missing: bool
    takeover_wait: int | None = None  # seconds
    claim: str | None = None
    named: bool = False
    job_names: dict[Selector, bytes] = field(default_factory=dict)
    later: frozenset[bytes] | None = frozenset()  # what need not be on the host yet; None: nothing need

    def _outcome(self) -> Outcome:
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
            anacron=self.store.anacron,
            state=self.state,
            rcron_path=self.rcron_path,
            conf=self.conf,
            takeover_wait=self.takeover_wait,
            max_command=self.command.max_command if self.command else None,
            claim=self.claim,
            named=self.named,
            job_names=self.job_names,
        )
        if self.state == "present":
            self._refuse_what_a_timer_runs(rewritten)
            if self.later is not None:
                self._require()
        missing = [
            f"{described(selector)} selects nothing: "
            + (absence or f"no entry of {self.store.name} matches it{self._near(selector, before)}")
            + ("" if self.state == "present" or absence else "; if its command was changed, it keeps its prefix")
            for selector in rewritten.unmatched
        ]
        if missing and not self.may_be_missing:
            raise MissingEntryError(
                "; ".join(missing)
                + ". Correct the selector, create the entry first, or set on_missing to warn or ignore."
            )
        refuse_doubles(self.claimed(rewritten))
        return Outcome(before, rewritten, missing)

    def _refuse_what_a_timer_runs(self, rewritten: Rewritten) -> None:
        """Raise StoreError if an entry leaves its job to a timer of the same package."""
        path = self.store.path if self.store.system else None
        for one in rewritten.entries:
            sentence = beside.refusal(self.store.name, path, one.line, unprefix(one.after)[0])
            if sentence:
                raise StoreError(f"{sentence}. Nothing is changed.")

    def claimed(self, rewritten: Rewritten) -> list[Claimed]:
        """Return the entries whose runs are claimed, as far as that is known here."""
        return [
            Claimed(name_of(self.store), printable(one.user) if self.store.system else self.store.user, one)
            for one in (rewritten.entries if self.state == "present" else [])
            if is_claimed(unprefix(one.after)[1], self.named)
        ]

    def _require(self) -> None:
        """Raise StoreError if the entries would call what is not there: on every host, and without a word."""
        path = os.fsdecode(self.rcron_path)
        if self.rcron_path not in self.later and not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise StoreError(
                f"rcron_path is {path}, and this host has no such program: the prefixed entries of {self.store.name} "
                f"would end with exit status 127 everywhere. Deploy rcron first (the role rcron), correct rcron_path, "
                f"or name it in `later` if it is still to come."
            )
        conf = configuration(self.conf)
        if conf not in {configuration(one) for one in self.later} and not os.path.isfile(conf):
            folder = os.path.dirname(os.fsdecode(conf))
            there = sorted(glob.glob(os.path.join(glob.escape(folder), "*.conf")))
            raise StoreError(
                f"conf is {os.fsdecode(conf)}, and this host has no such file: the prefixed entries of "
                f"{self.store.name} would end with exit status 78 everywhere. Deploy that cluster first, correct conf "
                f"({'there is ' + ', '.join(there) if there else 'there is none in ' + folder}), or name it in `later` "
                f"if it is still to come."
            )

    def _parsed(self, text: bytes) -> list[Entry]:
        return parse(text, system=self.store.system, anacron=self.store.anacron)

    def _near(self, selector: Selector, text: bytes) -> str:
        """Name the entry that was probably meant."""
        wanted = {"name": "name", "job": "command"}.get(selector.kind)
        if wanted is None:
            return ""
        there = {printable(getattr(entry, wanted) or b"") for entry in self._parsed(text)}
        near = difflib.get_close_matches(printable(selector.value), sorted(there), n=1)
        return f" (is it {near[0]!r}?)" if near else ""


@dataclass
class UnselectedEntries(CrontabChange):
    """The prefixed entries of one crontab that belong to a cluster, and that no selector selects."""

    selectors: list[Selector]  # all that concern this crontab
    conf: bytes  # the cluster's
    recorded: set[tuple[bytes, bytes]]  # command and configuration of those that an earlier run has prefixed
    released: str  # keep, release, release_all
    found: list[tuple[Entry, bool]] = field(default_factory=list)  # and whether it loses its prefix
    unreadable: str = ""  # why the crontab could not be looked at

    def _outcome(self) -> Outcome:
        self.found = []
        try:
            text = self.store.read() or b""
            entries = unselected(text, self.selectors, system=self.store.system, anacron=self.store.anacron)
        except UnknownUserError:
            return Outcome(b"", Rewritten(b"", [], []), [])
        except (StoreError, CrontabError) as error:
            # Somebody else's affair: a link in /etc/cron.d that leads nowhere, for instance.
            self.unreadable = f"{self.store.name} was not looked at for prefixed entries: {to_native(error)}"
            return Outcome(b"", Rewritten(b"", [], []), [])
        for entry in entries:
            if self.is_recorded(entry) or configuration(entry.guard.conf) == self.conf:
                self.found.append((entry, self.released == "release_all" or self.is_recorded(entry)))
        return Outcome(text, release(text, [entry for entry, is_released in self.found if is_released]), [])

    def is_recorded(self, entry: Entry) -> bool:
        """Say whether an earlier run has prefixed an entry."""
        return (entry.command, configuration(entry.guard.conf)) in self.recorded


@dataclass
class Done:
    """What was done to all crontabs of a host or, in check mode, would be."""

    outcomes: list[Outcome]  # the items'
    others: list[tuple[UnselectedEntries, Outcome]]
    record: tuple[list[Recorded], list[Recorded]]  # before and after
    failures: list[str]  # a sentence for each reason not to do it; nothing is done then

    @property
    def changed(self) -> bool:
        """Whether anything differs from before."""
        changed = [outcome.changed for outcome in self.outcomes] + [
            outcome.changed for _entries, outcome in self.others
        ]
        return any(changed) or self.record[0] != self.record[1]


@dataclass
class ClustersEntries:
    """The entries of one cluster in all crontabs of a host."""

    items: list[PrefixedEntries]
    backups: list[str | None]  # for each item, the folder for the crontab as it was
    command: CrontabCommand | None
    conf: bytes
    released: str  # what the option `unselected` may be
    record: Record

    def preview(self) -> Done:
        """Find out what `apply` would do. Nothing is written."""
        done = Done([], [], ([], []), [])
        claimed = []
        for entries in self.items:
            with _collected(done.failures, entries.store):
                done.outcomes.append(entries.preview())
                claimed += entries.claimed(done.outcomes[-1].rewritten)
        with _collected(done.failures):
            refuse_doubles(claimed)
        with _collected(done.failures):
            known = self.record.read().get(self._cluster, [])
            for entries in self._unselected(known):
                with _collected(done.failures, entries.store):
                    done.others.append((entries, entries.preview()))
            if not done.failures:
                done.record = known, self._recorded(known, done.outcomes)
        return done

    def apply(self) -> Done:
        """Do it, unless there is a reason not to.

        Raises:
            MissingEntryError: A crontab has lost an entry since all were looked at.
            CrontabError: A crontab has been changed since, and cannot be rewritten any more.
            StoreError: A crontab, or the record, cannot be read or written.
        """
        done = self.preview()
        if done.failures or not done.changed:
            return done
        before, after = done.record
        # A run that is interrupted leaves a record of everything that it may have prefixed.
        self._note([*before, *after])
        done.outcomes = [entries.apply(backups) for entries, backups in zip(self.items, self.backups)]
        done.others = [(entries, entries.apply() if would.changed else would) for entries, would in done.others]
        self._note(after)
        return done

    @property
    def _cluster(self) -> str:
        return to_native(configuration(self.conf))

    def _unselected(self, known: list[Recorded]) -> list[UnselectedEntries]:
        """Return the changes of the entries that no item selects, one for each crontab of the host."""
        if self.released == "keep":
            return []
        stores = {name_of(store): store for store in all_crontabs(self.command)}
        stores.update({name_of(entries.store): entries.store for entries in self.items})
        stores.update({one.crontab: CrontabFile(one.crontab) for one in known if one.crontab.startswith("/")})
        return [
            UnselectedEntries(
                store=store,
                command=self.command,
                selectors=[
                    selector
                    for entries in self.items
                    if os.path.realpath(name_of(entries.store)) == os.path.realpath(name)
                    for selector in entries.selectors
                ],
                conf=configuration(self.conf),
                recorded={(one.command, one.conf) for one in known if one.crontab == name},
                released=self.released,
            )
            for name, store in sorted(stores.items())
        ]

    def _recorded(self, known: list[Recorded], outcomes: list[Outcome]) -> list[Recorded]:
        """Return what the record is to hold of this cluster."""
        found = set(known) if self.released == "keep" else set()
        for entries, outcome in zip(self.items, outcomes):
            conf = configuration(entries.conf)
            of_item = {
                Recorded(name_of(entries.store), unprefix(one.after)[0], conf) for one in outcome.rewritten.entries
            }
            found = found | of_item if entries.state == "present" else found - of_item
        return sorted(found)

    def _note(self, entries: list[Recorded]) -> None:
        clusters = self.record.read()
        clusters[self._cluster] = sorted(set(entries))
        self.record.write({cluster: recorded for cluster, recorded in sorted(clusters.items()) if recorded})


@contextlib.contextmanager
def _collected(failures: list[str], store: UserCrontab | CrontabFile | None = None) -> Iterator[None]:
    """Turn an error into a sentence, and let the next crontab be looked at."""
    try:
        yield
    except CrontabError as error:
        failures.append(unwritable(name_of(store), error) if store else to_native(error))
    except (StoreError, MissingEntryError) as error:
        failures.append(to_native(error))


def is_claimed(guard: Guard | None, named: bool) -> bool:
    """Say whether an entry's runs are claimed.

    Args:
        guard: Its prefix.
        named: Whether they are unless the prefix says otherwise.
    """
    if guard is None:
        return False
    return named if guard.claim is None else guard.claim.decode("ascii", "replace") in CLAIMING


def refuse_doubles(entries: list[Claimed]) -> None:
    """Raise DoubleClaimError if only one of two entries would ever run."""
    found = claimed_twice(entries)
    if found is None:
        return
    first, second = found
    command, guard = unprefix(second.change.after)
    same = "command" if guard is None or guard.job is None else f"name {printable(guard.job)!r}"
    where = "" if first.where == second.where else f" of {first.where}"
    raise DoubleClaimError(
        f"{second.where}: line {second.change.line}, {printable(command)[:200]!r}, would not run whenever line "
        f"{first.change.line}{where} does: both are jobs of {second.user} with the same {same}, so they claim the same "
        f"run. Give each a name of its own: a comment '#Ansible: NAME' above it, or a job_name."
    )


def name_of(store: UserCrontab | CrontabFile) -> str:
    """Return a crontab's name in results and in the record: the user's, or the file's path."""
    return store.path if store.system else store.user


def unwritable(where: str, error: CrontabError) -> str:
    """Return the message about a crontab that cannot be rewritten. An error's own names the line only."""
    return f"the crontab of {where} cannot be rewritten, and is as it was: {to_native(error)}"


def described(selector: Selector) -> str:
    """Name a selector as the task does, for people."""
    return f"{selector.kind}: {printable(selector.value)}"


def picked_by(entry: dict) -> tuple[str, str]:
    """Return what an item of the option `entries` selects by."""
    ((kind, value),) = ((kind, entry[kind]) for kind in KINDS if entry.get(kind) is not None)
    return kind, value


def to_job_names(entries: list[dict]) -> dict[Selector, bytes]:
    """Return the names that items of the option `entries` give to what they select."""
    return {
        selector: to_bytes(entry["job_name"], errors="surrogate_or_strict")
        for selector, entry in zip(to_selectors(entries), entries)
        if entry.get("job_name") is not None
    }


def to_selectors(entries: list[dict]) -> list[Selector]:
    """Turn the option `entries` into selectors.

    Raises:
        CrontabError: An item selects by the empty string.
    """
    selectors = []
    for number, entry in enumerate(entries):
        kind, value = picked_by(entry)
        if not value.strip():
            raise CrontabError(
                f"entries[{number}].{kind} is empty. Give the {kind} of an entry, or leave the item out."
            )
        selectors.append(Selector(kind, to_bytes(value, errors="surrogate_or_strict")))
    return selectors


KINDS = ["name", "job", "regexp"]

#: The options of one crontab.
OF_A_CRONTAB = {
    "user": {"type": "str"},
    "cron_file": {"type": "path"},
    "entries": {
        "type": "list",
        "elements": "dict",
        "options": {name: {"type": "str"} for name in [*KINDS, "job_name"]},
        "mutually_exclusive": [KINDS],
        "required_one_of": [KINDS],
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "conf": {"type": "str"},
    "takeover_wait": {"type": "int"},
    "claim": {"type": "str", "choices": list(CLAIMS)},
    "on_missing": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "fail"},
    "backup": {"type": "bool", "default": False},
}


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            **OF_A_CRONTAB,
            "rcron_path": {"type": "str", "default": "/usr/bin/rcron"},
            "later": {"type": "list", "elements": "str", "default": []},
            "named": {"type": "bool", "default": False},
            "crontabs": {
                "type": "list",
                "elements": "dict",
                "options": {
                    **OF_A_CRONTAB,
                    "entries": {**OF_A_CRONTAB["entries"], "required": True},
                    "rcron_path": {"type": "str"},
                },
                "mutually_exclusive": [["user", "cron_file"]],
                "required_one_of": [["user", "cron_file"]],
            },
            "unselected": {"type": "str", "choices": ["keep", "release", "release_all"], "default": "keep"},
            "record_dir": {"type": "path"},
        },
        mutually_exclusive=[["user", "cron_file", "crontabs"], ["entries", "crontabs"]],
        required_one_of=[["user", "cron_file", "crontabs"]],
        required_by={"user": "entries", "cron_file": "entries"},
        supports_check_mode=True,
    )
    if module.params["crontabs"] is None:
        change_one(module, module.params)
    change_all(module, module.params)


def change_one(module: AnsibleModule, given: dict) -> None:
    """Change one crontab, and end the module."""
    try:
        prefixed = to_change(given, find_command(is_needed(given)), given["later"])
        if module.check_mode:
            with within("looking at the crontab"):
                outcome = prefixed.preview()
        else:
            outcome = prefixed.apply(backup_folder() if given["backup"] else None)
    except CrontabError as error:
        module.fail_json(msg=unwritable(given["user"] or given["cron_file"], error))
    except (StoreError, MissingEntryError, TimeLimitError) as error:
        module.fail_json(msg=to_native(error))
    warn_of(module, given, outcome)
    result = {"changed": outcome.changed, **shown(prefixed, outcome)}
    if module._diff:
        result["diff"] = difference(prefixed.store, outcome)
    module.exit_json(**result)


def change_all(module: AnsibleModule, given: dict) -> None:
    """Change all crontabs that the inventory names, and end the module."""
    # The configuration that rcron reads by itself is not named in entries.
    items = [
        {
            **item,
            "named": given["named"],
            "rcron_path": item["rcron_path"] or given["rcron_path"],
            "conf": None if _is_default(item["conf"] or given["conf"]) else item["conf"] or given["conf"],
        }
        for item in given["crontabs"]
    ]
    failures = []
    done = None
    try:
        command = find_command(any(is_needed(item) for item in items))
        changes = []
        for item in items:
            try:
                changes.append(to_change(item, command, given["later"]))
            except CrontabError as error:
                failures.append(unwritable(item["user"] or item["cron_file"], error))
        entries = ClustersEntries(
            items=changes,
            backups=[backup_folder() if item["backup"] else None for item in items],
            command=command,
            conf=configuration(to_bytes(given["conf"]) if given["conf"] else None),
            released=given["unselected"],
            record=Record(given["record_dir"]),
        )
        if failures or module.check_mode:
            with within("looking at the crontabs"):
                done = entries.preview()
            failures += done.failures
        else:
            done = entries.apply()
            failures = done.failures
    except CrontabError as error:
        failures.append(f"a crontab cannot be rewritten: {to_native(error)}")
    except (StoreError, MissingEntryError, TimeLimitError) as error:
        failures.append(to_native(error))
    if failures:
        module.fail_json(msg=" ".join(failures), failures=failures)
    for item, outcome in zip(items, done.outcomes):
        warn_of(module, item, outcome)
    for other, _outcome in done.others:
        if other.unreadable:
            module.warn(other.unreadable)
    result = {
        "changed": done.changed,
        "crontabs": [
            {"crontab": name_of(change.store), **shown(change, outcome)}
            for change, outcome in zip(changes, done.outcomes)
        ],
        "unselected": [
            {
                "crontab": name_of(other.store),
                "line": entry.line,
                "command": printable(entry.command),
                "recorded": other.is_recorded(entry),
                "released": is_released,
            }
            for other, _outcome in done.others
            for entry, is_released in other.found
        ],
    }
    if module._diff:
        pairs = [(change.store, outcome) for change, outcome in zip(changes, done.outcomes)]
        pairs += [(other.store, outcome) for other, outcome in done.others]
        result["diff"] = [difference(store, outcome) for store, outcome in pairs if outcome.changed]
        if done.record[0] != done.record[1]:
            before, after = (
                "".join(f"{one.crontab}: {printable(one.command)}\n" for one in part) for part in done.record
            )
            headers = {"before_header": entries.record.path, "after_header": entries.record.path}
            result["diff"].append({**headers, "before": before, "after": after})
    module.exit_json(**result)


def _is_default(conf: str | None) -> bool:
    return configuration(to_bytes(conf) if conf else None) == configuration(None)


def is_needed(given: dict) -> bool:
    """Say whether a crontab's options can do nothing without the host's crontab(1)."""
    return given["user"] is not None or given["state"] == "present"


def to_change(given: dict, command: CrontabCommand | None, later: list[str]) -> PrefixedEntries:
    """Turn a crontab's options into a change.

    Args:
        given: The options.
        command: The host's crontab(1).
        later: What need not be on the host yet.

    Raises:
        CrontabError: An item of `entries` selects by the empty string.
    """
    return PrefixedEntries(
        store=CrontabFile(given["cron_file"]) if given["user"] is None else UserCrontab(given["user"], command),
        command=command,
        selectors=to_selectors(given["entries"]),
        state=given["state"],
        rcron_path=to_bytes(given["rcron_path"]),
        conf=to_bytes(given["conf"]) if given["conf"] else None,
        may_be_missing=given["on_missing"] != "fail",
        takeover_wait=given["takeover_wait"],
        claim=given["claim"],
        named=given["named"],
        job_names=to_job_names(given["entries"]),
        later=frozenset(map(to_bytes, later)),
    )


def warn_of(module: AnsibleModule, given: dict, outcome: Outcome) -> None:
    """Warn of selectors that select nothing, if that is wanted, and of entries that would run nowhere."""
    where = f"the crontab of user {given['user']}" if given["user"] else given["cron_file"]
    for one in outcome.rewritten.entries if given["state"] == "present" else []:
        if one.at_boot and not waits(one.after):
            module.warn(
                f"{where}, line {one.line}: an entry with @reboot, and a host is passive when it boots, so that the "
                f"job would not run on any host: {printable(unprefix(one.after)[0])[:200]}. Leave the entry out, or "
                f"let it wait for the takeover: set takeover_wait to more seconds than the feeder takes after a boot."
            )
    if os.path.basename(given["cron_file"] or "") == "anacrontab" and given["state"] == "present":
        jobs = ", ".join(printable(one.name or b"") for one in outcome.rewritten.entries)
        if jobs:
            module.warn(
                f"{where}: anacron notes {jobs} as done on passive nodes, too. After a takeover the new node does not "
                f"start a job again before its period is over, although the old one may not have run it. Let jobs that "
                f"must not be left out wait for a takeover (takeover_wait), or start them with cron or a timer."
            )
    if given["on_missing"] == "warn":
        for sentence in outcome.missing:
            module.warn(sentence)


def waits(command: bytes) -> bool:
    """Say whether a prefixed command waits on a passive node until that is promoted."""
    _command, guard = unprefix(command)
    if guard is None:
        return False
    if guard.takeover_wait is not None:
        return seconds(guard.takeover_wait) not in (None, 0)
    with contextlib.suppress(OSError), open(configuration(guard.conf), "rb") as conf:
        return re.search(rb"^[ \t]*takeover_wait[ \t=]+['\"]?0*[1-9]", conf.read(1 << 20), re.MULTILINE) is not None
    return False


def shown(change: PrefixedEntries, outcome: Outcome) -> dict:
    """Return the entries of a crontab, and its backup, as RETURN describes them."""
    result = {
        "entries": [
            {
                "line": one.line,
                "user": printable(one.user) if change.store.system else change.store.user,
                "before": printable(one.before),
                "after": printable(one.after),
                "selected_by": [described(selector) for selector in one.selected_by],
            }
            for one in outcome.rewritten.entries
        ],
    }
    if outcome.backup_file:
        result["backup_file"] = outcome.backup_file
    return result


def difference(store: UserCrontab | CrontabFile, outcome: Outcome) -> dict[str, str]:
    """Return a crontab before and after."""
    return {
        "before_header": store.name,
        "before": printable(outcome.before, keep="\n\t"),
        "after_header": store.name,
        "after": printable(outcome.rewritten.text, keep="\n\t"),
    }


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
