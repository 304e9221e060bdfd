#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module rcron_info: what a host's rcron is doing, and which crontab entries go through it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rcron_info
short_description: Return a host's state in its clusters, its crontab entries, and the last runs of its jobs
version_added: 1.0.0
author:
  - The rcron maintainers (@rcron)
description:
  - Returns for each cluster of the host its state with the reason, the feeder, the pin and the configuration, as
    C(rcronctl status) reports them.
  - Returns every crontab entry of every user, of C(/etc/crontab) and of C(/etc/cron.d), and whether it is prefixed with
    C(rcron) and for which cluster.
  - Returns the last run of each job, from the host's journal, or from syslog's files if there is no journal or it
    does not go back far enough.
  - Returns everything that rcron has logged, if asked to.
  - Measures how far the host's clock is from the controller's.
  - Changes nothing.
notes:
  - A task that does not run as root sees the crontab of its own user only, and perhaps no journal.
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
  action:
    description: Has a part that runs on the controller, which measures the host's clock.
    support: full
options:
  conf:
    description:
      - The configurations to report on, one for each cluster of the host.
      - Left out, these are all files C(*.conf) in C(/etc/rcron).
    type: list
    elements: path
  rcronctl_path:
    description: Path of C(rcronctl) on the host.
    type: path
    default: /usr/bin/rcronctl
  history:
    description:
      - How many seconds the log is read back for RV(runs) and RV(events). V(0) does not read it.
    type: int
    default: 86400
  events:
    description:
      - Return also RV(events), everything that rcron has logged within O(history).
    type: bool
    default: false
  ledger:
    description:
      - Return also RV(ledger), where the last run of each job was claimed.
    type: bool
    default: false
  syslog_files:
    description:
      - Syslog's files, without what rotation adds to their names. They are read if there is no journal or it does
        not go back far enough. The first one with a line from rcron is used.
    type: list
    elements: path
    default: [/var/log/cron.log, /var/log/cron, /var/log/syslog, /var/log/messages]
seealso:
  - module: rcron.cluster.rcron_crontab
"""

EXAMPLES = r"""
- name: Ask who is active
  rcron.cluster.rcron_info:
  register: rcron

- name: Do something on the active host only
  ansible.builtin.command:
    argv: [/usr/local/sbin/rotate-billing-keys]
  when: rcron.clusters[0].state == 'active'

- name: List the entries that run on every host
  ansible.builtin.debug:
    msg: "{{ rcron.entries | rejectattr('guarded') | map(attribute='command') }}"
"""

RETURN = r"""
clusters:
  description: The host's clusters, one for each configuration, in the order of their paths.
  returned: success
  type: list
  elements: dict
  contains:
    conf:
      description: Path of the configuration.
      type: str
      sample: /etc/rcron/rcron.conf
    error:
      description: Why nothing else is known of this cluster, in the words of C(rcronctl). Empty if all is well.
      type: str
      sample: ""
    cluster_name:
      description: The cluster's name.
      type: str
      sample: billing
    state:
      description: V(active) or V(passive).
      type: str
      sample: active
    source:
      description: What decided that, V(pin), V(file), V(stale), V(agent) or V(default).
      type: str
      sample: file
    reason:
      description: The same as a sentence.
      type: str
      sample: /var/run/rcron/state says so
    file:
      description:
        - What the state file says, V(active) or V(passive), even if a pin holds; null if it cannot be used or is stale.
      type: str
      sample: active
    since:
      description: When the state was given, in seconds since the epoch; null if that is not known.
      type: int
      sample: 1767322985
    feeder:
      description:
        - The feeder's last event (C(name), C(event), C(alive), C(spoke)); null if there was none.
      type: dict
      sample: {"alive": true, "event": "INSTANCE \"VI_rcron\" MASTER", "name": "keepalived", "spoke": 1767323985}
    second_feeder:
      description:
        - Another feeder than the one that C(feeder_name) in the configuration names, which was refused (C(name),
          C(event), C(spoke)); null if there is none.
      type: dict
      sample: null
    agent:
      description: Whether C(rcron-agent) asks the feeder.
      type: bool
      sample: true
    pin:
      description: The pin (C(state), C(until)); null if there is none.
      type: dict
      sample: null
    default_state:
      description: The state that applies if the state file cannot be read.
      type: str
      sample: passive
    state_file:
      description: Path of the state file.
      type: str
      sample: /var/run/rcron/state
    settings:
      description: Every name of rcron.conf(5) with its value.
      type: dict
      sample: {"cluster_name": "billing", "takeover_wait": 0}
    version:
      description: Version of the wrapper.
      type: str
      sample: 1.0.0
entries:
  description:
    - Every entry of every crontab of the host.
    - In all texts, bytes that are not UTF-8 and control characters are shown as C(\xNN) and the like.
  returned: success
  type: list
  elements: dict
  contains:
    crontab:
      description: The user whose crontab it is, or the path of a system crontab.
      type: str
      sample: root
    line:
      description: Number of the entry's line, the first line being 1.
      type: int
      sample: 12
    name:
      description: The name that M(ansible.builtin.cron) wrote above it; null if there is none.
      type: str
      sample: nightly backup
    schedule:
      description: Its five fields, or a word such as V(@daily); null in an anacrontab.
      type: str
      sample: "5 4 * * *"
    zone:
      description: The time zone of its schedule, if it is not the host's (cronie's C(CRON_TZ)); null otherwise.
      type: str
      sample: null
    user:
      description: The user that it runs as.
      type: str
      sample: root
    command:
      description: Its command, without the prefix.
      type: str
      sample: /usr/local/bin/backup --all
    guarded:
      description: Whether it is prefixed with C(rcron).
      type: bool
      sample: true
    conf:
      description: The configuration of the cluster that it belongs to; null if it is not prefixed.
      type: str
      sample: /etc/rcron/rcron.conf
    takeover_wait:
      description: The seconds of its C(--takeover-wait); null if it has none, or one that C(rcron) refuses.
      type: int
      sample: null
    job:
      description: The argument of its C(--job), the job's name; null if it has none.
      type: str
      sample: nightly backup
    claim:
      description: The argument of its C(--claim); null if it has none.
      type: str
      sample: required
    ends_itself:
      description: Whether it does nothing on this host, which systemd runs, and leaves its job to a timer.
      type: bool
      sample: false
    timers:
      description: The timers of the same package that run the same job; for an entry of a package's crontab.
      type: list
      elements: str
      sample: []
timers:
  description:
    - Every timer that systemd has loaded, and every guarded service that none of them starts.
  returned: success
  type: list
  elements: dict
  contains:
    timer:
      description: The timer; null for a service that is found by its guard alone, such as a template or a user's.
      type: str
      sample: backup.timer
    service:
      description: The unit that it starts.
      type: str
      sample: backup.service
    scope:
      description: V(system) or V(user).
      type: str
      sample: system
    next:
      description: When it elapses next, in seconds since the epoch; null if that is not known.
      type: float
      sample: 1767324000.0
    guarded:
      description: Whether C(rcronctl guard) is in the service's C(ExecCondition=).
      type: bool
      sample: true
    conf:
      description: The configuration of the cluster that it belongs to; null if it is not guarded.
      type: str
      sample: /etc/rcron/rcron.conf
    takeover_wait:
      description: The seconds of its C(--takeover-wait); null if it has none.
      type: int
      sample: null
scripts:
  description:
    - The scripts in C(/etc/cron.hourly), C(/etc/cron.daily), C(/etc/cron.weekly) and C(/etc/cron.monthly) that
      C(run-parts) runs, and those that are guarded.
  returned: success
  type: list
  elements: dict
  contains:
    script:
      description: Its path.
      type: str
      sample: /etc/cron.daily/report
    guarded:
      description: Whether a wrapper of M(rcron.cluster.rcron_scripts) stands beside it.
      type: bool
      sample: true
    conf:
      description: The configuration of the cluster that it belongs to; null if it is not guarded.
      type: str
      sample: /etc/rcron/rcron.conf
    takeover_wait:
      description: The seconds of its C(--takeover-wait); null if it has none.
      type: int
      sample: null
due:
  description:
    - The prefixed entries with their schedules, as far as C(rcronctl metrics) knows them.
    - Null if the host keeps no metrics (C(rcronctl metrics), run by a timer).
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name.
      type: str
      sample: billing
    entry:
      description: The entry's name, or its user and a digest of its command.
      type: str
      sample: nightly backup
    due:
      description: When it was last due, in seconds since the epoch; null if it was not yet, or if that is not known.
      type: float
      sample: 1767323940.0
    started:
      description: When it last started on this host, in seconds since the epoch; null if it never did.
      type: float
      sample: 1767323941.0
unreadable:
  description:
    - One sentence for each crontab that could not be read, for instance because it contains a NUL byte, and for each
      entry whose C(--takeover-wait) C(rcron) refuses. All other crontabs and entries are in RV(entries) nonetheless.
  returned: success
  type: list
  elements: str
  sample: []
runs:
  description: The last run of each job that the log has, within O(history).
  returned: success, with O(history) other than V(0)
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name.
      type: str
      sample: billing
    command:
      description: The job, as rcron's log lines tell it.
      type: str
      sample: /usr/local/bin/backup --all
    started:
      description: When it started, in seconds since the epoch; null if that is older than O(history).
      type: float
      sample: 1767322985.25
    status:
      description:
        - V(ok), V(fail), V(demoted) for a job that was ended because its node turned passive, V(running), or V(lost)
          if the log has no end of it and there is no such process.
      type: str
      sample: ok
    duration:
      description: How long it ran, in seconds; null if its end is not known.
      type: int
      sample: 41
    exit:
      description: Its exit status; null if its end is not known.
      type: int
      sample: 0
ignored:
  description: For each cluster's name, how many runs were ignored in the last hour.
  returned: success, with O(history) other than V(0)
  type: dict
  sample: {"billing": 60}
ledger:
  description:
    - The last claimed run of each job on any node, among the cluster's last 5,000. See rcronctl(8), C(history).
    - Empty for a cluster whose runs are not claimed, or whose engine does not answer.
  returned: success, with O(ledger)
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name.
      type: str
      sample: billing
    user:
      description: Whose job it is.
      type: str
      sample: root
    job:
      description: The job's name, or its command if it has none.
      type: str
      sample: nightly backup
    node:
      description: The node that claimed the run.
      type: str
      sample: node1
    at:
      description: When, in seconds since the epoch by that node's clock.
      type: float
      sample: 1767322985
    exit:
      description: Its exit status; null if its end is not known.
      type: int
      sample: 0
    duration:
      description: How long it ran, in seconds; null if its end is not known.
      type: float
      sample: 41.5
    gave_up:
      description: Whether the claim was found too late, so that nobody ran the job.
      type: bool
      sample: false
events:
  description:
    - What rcron has logged within O(history), the oldest first, and no more than the last 50,000 lines.
    - Up to 50 lines from before come first, so that the state is known in which the host was then.
    - See rcron(8) and rcronctl(8), LOG LINES.
  returned: success, with O(events) and O(history) other than V(0)
  type: list
  elements: dict
  contains:
    time:
      description: When, in seconds since the epoch.
      type: float
      sample: 1767322985.25
    pid:
      description: The process that logged it.
      type: int
      sample: 4711
    cluster:
      description: The cluster's name; null if a warning names none.
      type: str
      sample: billing
    status:
      description:
        - Of a job, V(start), V(ok), V(fail), V(demoted), V(ignore) or V(stale).
        - Of a state, V(changed), V(confirmed), V(pinned) or V(unpinned).
        - V(warning).
      type: str
      sample: changed
    state:
      description: V(active) or V(passive); null for a warning.
      type: str
      sample: active
    message:
      description: The job's command, the feeder's event, the end of the pin, or the warning, its first 300 characters.
      type: str
      sample: "keepalived:INSTANCE \"VI_rcron\" MASTER"
    duration:
      description: How long a job ran, in seconds; null if the event is not the end of a job.
      type: int
      sample: null
    exit:
      description: A job's exit status; null if the event is not the end of a job.
      type: int
      sample: null
events_since:
  description:
    - From when on RV(events) are complete, in seconds since the epoch, because the log begins there or there are more
      lines; null if there is no log at all.
  returned: success, with O(events) and O(history) other than V(0)
  type: float
  sample: 1767300000.0
running:
  description: The processes of those runs in RV(events) that have not ended.
  returned: success, with O(events) and O(history) other than V(0)
  type: list
  elements: int
  sample: []
boots:
  description: When the host was up, as far as its log shows; the last one has not ended.
  returned: success, with O(events) and O(history) other than V(0)
  type: list
  elements: dict
  contains:
    begin:
      description: When it was booted, in seconds since the epoch; V(0) if the log does not say.
      type: float
      sample: 1767300000.0
    end:
      description: The last sign of life before the next boot, in seconds since the epoch.
      type: float
      sample: 1767323985.0
addresses:
  description: The host's addresses, but for those of its loopback interface.
  returned: success
  type: list
  elements: str
  sample: ["192.0.2.11"]
heard:
  description:
    - The addresses of which keepalived has logged in the last minute that it heard from them. It logs adverts that it
      did not expect.
    - Empty if the host has no journal.
  returned: success
  type: list
  elements: str
  sample: []
members:
  description:
    - The addresses of the members of the Corosync cluster, if the role P(rcron.cluster.rcron_pacemaker#role) has set it
      up.
  returned: success
  type: list
  elements: str
  sample: ["192.0.2.11", "192.0.2.12"]
time:
  description: The host's clock when the module began, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767323985.125
timezone:
  description: The name of the host's time zone; null if C(/etc/localtime) is not a link to a file that has one.
  returned: success
  type: str
  sample: Europe/Berlin
utc_offset:
  description: By how many seconds the host's local time is ahead of UTC now.
  returned: success
  type: int
  sample: 3600
clock_offset:
  description:
    - By how many seconds the host's clock is ahead of the controller's, give or take RV(clock_uncertainty).
  returned: success
  type: float
  sample: -0.012
clock_uncertainty:
  description: Half of the seconds that the question took to get there and the answer to come back.
  returned: success
  type: float
  sample: 0.2
"""

import glob
import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_native
from ansible_collections.rcron.cluster.plugins.module_utils import due, job_log, scripts
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import (
    MOST_SECONDS,
    CrontabError,
    configuration,
    parse,
    printable,
    seconds,
    times_of,
)
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import (
    CrontabCommand,
    StoreError,
    UserCrontab,
    all_crontabs,
)
from ansible_collections.rcron.cluster.plugins.module_utils.node import network, programs
from ansible_collections.rcron.cluster.plugins.module_utils.node.files import is_ours
from ansible_collections.rcron.cluster.plugins.module_utils.node.time_limit import TimeLimitError, within
from ansible_collections.rcron.cluster.plugins.module_utils.timers import beside, listing, units

HOUR = 3600
AGENT_CONF = "agent.conf"  # which engine keeps the ledger: rcron-agent(8)
ADVERT = re.compile(r"[Rr]eceived advert from ([0-9A-Fa-f.:]{3,45})")
CRONIE = "/usr/sbin/crond"  # Debian's cron, which does not know CRON_TZ, is not called so
ZONE = re.compile(r".*/zoneinfo/(?:posix/|right/)?([A-Za-z0-9_+/-]{1,64})")
COROSYNC = "/etc/corosync/corosync.conf"
COROSYNC_MARK = "# Written by Ansible, role rcron.cluster.rcron_pacemaker: changes made here are lost at its next run."
MEMBER = re.compile(r"^runtime\.members\.(\d+)\.status \(str\) = joined$", re.MULTILINE)
MEMBER_ADDRESS = re.compile(r"^runtime\.members\.(\d+)\.ip \(str\) = .*?\bip\(([0-9A-Fa-f.:]{3,45})\)", re.MULTILINE)
MOST_UNITS = 200
MOST_FAULTS = 20  # of one crontab, whose user decides how many there are, and the others' must stay in sight
MOST_EVENTS = 50000  # ten minutes of 500 jobs are 10,000 lines on an active node
LATEST = 10**11  # seconds since the epoch: what is later, the controller takes for no time
EARLIER = 50  # lines of the log, for the state that a host is in when the history begins
LONGEST = 300  # characters of what an event tells, and of each text of a claimed run


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    # Neither nan nor a number without an end.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LATEST


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


#: A claimed run, and what each part must be: the controller takes no answer that holds another one.
RUN = {
    "cluster": _is_text,
    "user": _is_text,
    "job": _is_text,
    "node": _is_text,
    "at": _is_number,
    "exit": lambda value: _is_number_or_none(value) and not isinstance(value, float),
    "duration": _is_number_or_none,
    "gave_up": lambda value: isinstance(value, bool),
}


def configurations(folder: str = "/etc/rcron") -> list[str]:
    """Return the clusters' configurations in a folder, which may also hold the one of rcron-agent."""
    found = glob.glob(os.path.join(glob.escape(folder), "*.conf"))
    return sorted(path for path in found if os.path.basename(path) != AGENT_CONF)


def cluster(rcronctl: str, conf: str) -> dict:
    """Ask rcronctl for the state of one cluster.

    Returns:
        What `rcronctl status --json` prints and `error`, or `conf` and `error` alone.
    """
    try:
        answer = programs.run(rcronctl, "--conf", conf, "status", "--json")
    except programs.ProgramError as error:
        return {"conf": conf, "error": str(error)}
    if answer.returncode != 0:
        return {"conf": conf, "error": answer.stderr.strip() or f"{rcronctl} ended with {answer.returncode}"}
    try:
        found = json.loads(answer.stdout)
        _with_times(found, "since")
        for feeder in ("feeder", "second_feeder"):
            _with_times(found.get(feeder) or {}, "spoke")
    except (AttributeError, RecursionError, ValueError):
        return {"conf": conf, "error": f"{rcronctl} does not answer as rcronctl does: deploy rcron there"}
    return {"error": "", **found}


def _with_times(found: dict, name: str) -> None:
    """Have a time that the controller takes for one. It is that of a file of the feeder's user's, who may set it."""
    if isinstance(found.get(name), (int, float)):
        found[name] = max(0, min(found[name], LATEST - 1))


def last_runs(rcronctl: str, cluster: dict) -> list[dict]:
    """Ask rcronctl for the last claimed run of each job of a cluster, as RETURN describes them."""
    if not (cluster.get("claims") or {}).get("ok"):
        return []
    try:
        answer = programs.run(rcronctl, "--conf", cluster["conf"], "history", "--last", "--json")
    except programs.ProgramError:
        return []
    found = []
    for line in answer.stdout.splitlines():
        # Another host wrote it into the ledger, or whoever owns the state's folder has put an agent of his own there.
        try:
            run = json.loads(line)
            if run["job"].startswith("~") and run["command"]:
                run["job"] = run["command"]
            if all(is_valid(run[name]) for name, is_valid in RUN.items()):
                found.append({name: _cut(run[name]) for name in RUN})
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            continue
    return found


def _cut(value: object) -> object:
    return value[:LONGEST] if isinstance(value, str) else value


def entries() -> tuple[list[dict], list[str]]:
    """Read every crontab.

    Returns:
        The entries, as RETURN describes them, and what could not be read.
    """
    found = []
    unreadable = []
    try:
        command = CrontabCommand()
    except StoreError:
        command = None  # no cron, or one without crontab(1); there may be system crontabs all the same
    for store in all_crontabs(command):
        owner = store.user if isinstance(store, UserCrontab) else store.path
        try:
            text = store.read() or b""
            listed = parse(text, system=store.system, anacron=store.anacron)
        except StoreError as error:
            unreadable.append(to_native(error))
            continue
        except CrontabError as error:
            unreadable.append(f"{store.name} cannot be read: {error}")
            continue
        path = store.path if store.system else None
        timers = beside.of_packages([path])[path] if path and listed else []
        started = beside.started_by(timers)
        faults = 0
        for entry in listed:
            guard = entry.guard
            takeover_wait = None
            if guard is not None and guard.takeover_wait is not None:
                takeover_wait = seconds(guard.takeover_wait)
                if takeover_wait is None:
                    faults += 1
                if takeover_wait is None and faults <= MOST_FAULTS:
                    unreadable.append(
                        f"{store.name}, line {entry.line}: rcron refuses to run this job, because --takeover-wait is "
                        f"'{printable(guard.takeover_wait)}'; it must be a whole number of seconds from 0 to "
                        f"{MOST_SECONDS}."
                    )
            found.append(
                {
                    "crontab": owner,
                    "line": entry.line,
                    "name": _shown(entry.name),
                    "schedule": None if store.anacron else printable(times_of(text, entry)),
                    "zone": printable(entry.zone) if entry.zone and os.path.exists(CRONIE) else None,
                    "user": owner if entry.user is None else _shown(entry.user),
                    "command": _shown(entry.command),
                    "guarded": guard is not None,
                    "conf": printable(configuration(guard.conf)) if guard else None,
                    "takeover_wait": takeover_wait,
                    "ends_itself": beside.ends_itself(entry.command),
                    "timers": beside.same_job(entry.command, timers, started),
                    "job": _shown(guard.job) if guard else None,
                    "claim": _shown(guard.claim) if guard else None,
                }
            )
        if faults > MOST_FAULTS:
            unreadable.append(f"{store.name}: and {faults - MOST_FAULTS} more lines with such a --takeover-wait.")
    return found, unreadable


def timezone(path: str = "/etc/localtime") -> str | None:
    """Return the name of the host's time zone; None if it is not known.

    Args:
        path: What libc reads the time zone from.
    """
    found = ZONE.fullmatch(os.path.realpath(path))
    return found[1] if found else None


def heard() -> list[str]:
    """Return the addresses that keepalived says it has heard from in the last minute, sorted.

    It logs an advert that it did not expect: from a second master, or from a host that is not one of its peers.
    """
    # Anybody may log under its name, but not as root: journald notes the user.
    command = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--identifier=Keepalived_vrrp", "_UID=0"]
    try:
        said = programs.run(*command, "--since=-60s", "--lines=1000").stdout
    except programs.ProgramError:
        return []  # no journal
    return sorted({address.rstrip(".:") for address in ADVERT.findall(said)})


def members(conf: str = COROSYNC) -> list[str]:
    """Return the addresses of all members of a Corosync cluster that the role rcron_pacemaker has set up, sorted.

    Another cluster may have members that are not rcron's.

    Args:
        conf: Corosync's configuration.
    """
    if not is_ours(conf, COROSYNC_MARK):
        return []
    try:
        said = programs.output("corosync-cmapctl", "runtime.members.")
    except programs.ProgramError:
        return []  # it does not run
    joined = set(MEMBER.findall(said))
    return sorted(address for number, address in MEMBER_ADDRESS.findall(said) if number in joined)


def logged(history: int, now: float, files: list[str], events: bool) -> dict:
    """Read the log.

    Args:
        history: How far to read back, in seconds.
        now: The host's clock, in seconds since the epoch.
        files: Syslog's.
        events: Whether everything that the log has is wanted.

    Returns:
        What RETURN describes of it.
    """
    log = job_log.Log(now - history, files, now)
    newest: deque[job_log.Line] = deque(maxlen=MOST_EVENTS if events else 0)

    def lines() -> Iterator[job_log.Line]:
        for line in log.lines():
            newest.append(line)
            yield line

    found = job_log.runs(lines(), now - HOUR)
    ended = _ended(run.unit for run in found.last if run.status == "start")
    result = {
        "runs": [
            {
                "cluster": run.cluster,
                "command": run.command,
                "started": run.started,
                "status": _status(run, ended),
                "duration": run.duration,
                "exit": run.exit,
            }
            for run in found.last
        ],
        "ignored": found.ignored,
    }
    if events:
        earlier = [] if len(newest) == MOST_EVENTS else log.earlier(EARLIER)
        found_events = list(job_log.joined(filter(None, map(job_log.event, [*earlier, *newest]))))
        result["events"] = [
            {name: value for name, value in event._asdict().items() if name not in ("message", "unit")}
            | {"message": event.message[:LONGEST]}
            for event in found_events
        ]
        result["events_since"] = newest[0].when if len(newest) == MOST_EVENTS else log.since
        result["running"] = _running(found_events)
        result["boots"] = [boot._asdict() for boot in log.boots()]
    return result


def _running(events: list[job_log.Event]) -> list[int]:
    open_runs = {}
    for event in events:
        if event.status == "start":
            open_runs[event.pid] = event.unit
        elif event.status in ("ok", "fail"):
            open_runs.pop(event.pid, None)
    ended = _ended(open_runs.values())
    return sorted(pid for pid, unit in open_runs.items() if _lives(pid, unit, ended))


def _status(run: job_log.Run, ended: set[str]) -> str:
    if run.status != "start":
        return run.status
    return "running" if _lives(run.pid, run.unit, ended) else "lost"


def _lives(pid: int, unit: str, ended: set[str]) -> bool:
    return unit not in ended if unit else os.path.exists(f"/proc/{pid}")


def _ended(services: Iterable[str]) -> set[str]:
    """Find the services that do not run.

    Args:
        services: Their names, or empty strings. Anybody can log one: systemd is asked about the last MOST_UNITS.

    Returns:
        Those of which systemd says so. One of a user's own service manager, which is not asked, is thought to run.
    """
    asked = list(dict.fromkeys(filter(None, services)))[-MOST_UNITS:]
    if not asked:
        return set()
    try:
        shown = units.blocks(programs.output("systemctl", "show", "--property=LoadState,ActiveState", "--", *asked))
    except programs.ProgramError:
        return set()
    if len(shown) != len(asked):
        return set()
    return {
        service
        for service, found in zip(asked, shown)
        if found.get("LoadState") != "not-found" and found.get("ActiveState") in ("inactive", "failed")
    }


def _shown(raw: bytes | None) -> str | None:
    return None if raw is None else printable(raw)


def main() -> None:
    """Run as Ansible's module."""
    now = time.time()
    began = time.monotonic()
    module = AnsibleModule(
        argument_spec={
            "conf": {"type": "list", "elements": "path"},
            "rcronctl_path": {"type": "path", "default": "/usr/bin/rcronctl"},
            "history": {"type": "int", "default": 24 * HOUR},
            "events": {"type": "bool", "default": False},
            "ledger": {"type": "bool", "default": False},
            "syslog_files": {"type": "list", "elements": "path", "default": list(job_log.SYSLOG_FILES)},
        },
        supports_check_mode=True,
    )
    given = module.params
    confs = configurations() if given["conf"] is None else given["conf"]
    try:
        with within("looking at the host's crontabs, states and log"):
            found, unreadable = entries()
            result = {
                "clusters": [cluster(given["rcronctl_path"], conf) for conf in confs],
                "entries": found,
                "timers": listing.listed(),
                "scripts": scripts.listed(),
                "due": due.entries(given["rcronctl_path"], confs[0]) if confs else None,
                "unreadable": unreadable,
                "addresses": network.own_addresses(),
                "heard": heard(),
                "members": members(),
                "timezone": timezone(),
                "utc_offset": time.localtime(now).tm_gmtoff,
                "time": now,
            }
            if given["ledger"]:
                result["ledger"] = [
                    run for found in result["clusters"] for run in last_runs(given["rcronctl_path"], found)
                ]
            if given["history"]:
                result.update(logged(given["history"], now, given["syslog_files"], given["events"]))
    except TimeLimitError as error:
        module.fail_json(msg=str(error))
    # The part on the controller takes this out again.
    module.exit_json(changed=False, elapsed=time.monotonic() - began, **result)


if __name__ == "__main__":
    main()
