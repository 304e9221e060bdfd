# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Guarding scripts that run-parts runs: those in /etc/cron.daily and the like.

Such a script is mostly a package's conffile: if its text or name were changed, upgrades would ask about it. So only its
mode is changed, by dpkg-statoverride, which upgrades obey. run-parts passes over what is not executable, and runs a
wrapper beside it.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .node import files, programs

#: The folders whose scripts cron or anacron has run-parts run.
FOLDERS = tuple(f"/etc/cron.{how_often}" for how_often in ("hourly", "daily", "weekly", "monthly"))

#: The end of a wrapper's name.
SUFFIX = "-rcron"

#: The second line of a wrapper.
MARK = "# Written by Ansible, rcron.cluster.rcron_scripts: changes made here are lost at its next run."

#: The configuration that rcron reads by itself.
DEFAULT_CONF = "/etc/rcron/rcron.conf"

#: The longest wait, in seconds: as in rcron.conf.
LONGEST_WAIT = 86400

#: The names that run-parts(8) of Debian takes.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")

#: What a shell leaves as it is.
_PLAIN = re.compile(r"/[A-Za-z0-9_./+,@:-]*")

_BEFORE = re.compile(r"^# Before: (\S+) (\S+) ([0-7]{4})$", re.MULTILINE)
_COMMAND = re.compile(r"^exec \S+(?P<options>.*) --job \S+ -- ", re.MULTILINE)


@dataclass(frozen=True)
class Before:
    """What a script was like before it was guarded: its owner's and group's names, and its mode in octal digits."""

    owner: str
    group: str
    mode: str


@dataclass
class Guard:
    """A script's guard.

    Attributes:
        script: The script's path.
        before: The wrapper's text as it is; None if there is none.
        after: The text that it should have; None if there should be none.
        is_complete: Whether modes and override are as they should be.
    """

    script: str
    before: str | None
    after: str | None
    is_complete: bool = False

    @property
    def wrapper(self) -> str:
        """The wrapper's path."""
        return self.script + SUFFIX

    @property
    def changed(self) -> bool:
        """Whether something must be done."""
        return self.before != self.after or not self.is_complete

    def shown(self) -> dict[str, Any]:
        """Return what the module returns of it."""
        return {"script": self.script, "wrapper": self.wrapper, "changed": self.changed}

    def apply(self) -> None:
        """Guard the script, or give it back its mode. At no moment are script and wrapper both executable.

        Raises:
            OSError: A file cannot be changed.
            ProgramError: dpkg-statoverride fails.
        """
        if self.after is None:
            self._release()
            return
        if self.before != self.after:
            _write(self.wrapper, self.after)
        if override(self.script) is None:
            programs.output("dpkg-statoverride", "--update", "--add", "root", "root", "0644", self.script)
        os.chmod(self.script, 0o644)
        os.chmod(self.wrapper, 0o755)  # noqa: S103 - as scripts are there

    def _release(self) -> None:
        os.chmod(self.wrapper, 0o644)
        if override(self.script) is not None:
            programs.output("dpkg-statoverride", "--remove", self.script)
        before = before_of(self.before or "")
        if before is not None and os.path.isfile(self.script):
            os.chown(self.script, pwd.getpwnam(before.owner).pw_uid, grp.getgrnam(before.group).gr_gid)
            os.chmod(self.script, int(before.mode, 8))
        os.unlink(self.wrapper)


@dataclass
class Plan:
    """What must be done.

    Attributes:
        guards: The scripts, also those that are as they should be.
        missing: A sentence for each script that is not there, if that is allowed but to be said.
        refusals: Why nothing can be done.
    """

    guards: list[Guard] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def apply(self) -> None:
        """Do it.

        Raises:
            OSError: A file cannot be changed.
            ProgramError: dpkg-statoverride fails.
        """
        for guard in self.guards:
            if guard.changed:
                guard.apply()


def text(script: str, rcron: str, conf: str, takeover_wait: int | None, before: Before) -> str:
    """Return a wrapper's text.

    Args:
        script: The script's path.
        rcron: The path of rcron.
        conf: The path of rcron.conf.
        takeover_wait: Seconds that a passive node waits for its promotion; None for what `conf` says.
        before: What the script was like.
    """
    cluster = "" if conf == DEFAULT_CONF else f" --conf {conf}"
    wait = "" if takeover_wait is None else f" --takeover-wait {takeover_wait}"
    return f"""#!/bin/sh
{MARK}
# Before: {before.owner} {before.group} {before.mode}
script={script}
[ -e "$script" ] || exit 0 # its package was purged
IFS= read -r line <"$script" || :
# As the kernel reads the first line: a program, and the rest as one word.
case $line in
"#!"*) line=${{line#??}} ;;
*) line=/bin/sh ;;
esac
set -f
set -- $line
program=$1
shift
rest=$*
exec {rcron}{cluster}{wait} --job {os.path.basename(script)} -- "$program" ${{rest:+"$rest"}} "$script"
"""


def before_of(written: str) -> Before | None:
    """Return what a script was like, from its wrapper's text; None if that does not say."""
    match = _BEFORE.search(written)
    return Before(*match.groups()) if match else None


def options_of(written: str) -> tuple[str, int | None] | None:
    """Return the configuration and the wait in a wrapper of ours; None if it is not ours.

    Args:
        written: The wrapper's text.
    """
    if MARK not in written.splitlines()[: files.MARK_LINES]:
        return None
    match = _COMMAND.search(written)
    words = match["options"].split() if match else []
    options = dict(zip(words[::2], words[1::2]))
    wait = options.get("--takeover-wait", "")
    return options.get("--conf", DEFAULT_CONF), int(wait) if re.fullmatch("[0-9]{1,5}", wait) else None


def override(script: str) -> tuple[str, ...] | None:
    """Return the owner, group and mode that dpkg gives a script; None if it has no override.

    Raises:
        ProgramError: dpkg-statoverride cannot be run.
    """
    done = programs.run("dpkg-statoverride", "--list", script)
    return tuple(done.stdout.split()[:3]) if done.returncode == 0 else None


def plan_present(scripts: Iterable[str], rcron: str, conf: str, takeover_wait: int | None, on_missing: str) -> Plan:
    """Find out what must be done so that scripts are guarded.

    Args:
        scripts: Their paths.
        rcron: The path of rcron.
        conf: The path of rcron.conf.
        takeover_wait: Seconds that a passive node waits; None for what the configuration says.
        on_missing: `fail`, `warn` or `ignore`.

    Raises:
        ProgramError: dpkg-statoverride cannot be run.
    """
    plan = Plan()
    for name, path in (("rcron_path", rcron), ("conf", conf)):
        if not _PLAIN.fullmatch(path):
            plan.refusals.append(f"{name} is {path}: use an absolute path of letters, digits and _./+,@:-")
    if takeover_wait is not None and not 0 <= takeover_wait <= LONGEST_WAIT:
        plan.refusals.append(f"takeover_wait is {takeover_wait}: set 0 to {LONGEST_WAIT} seconds")
    if not programs.find("dpkg-statoverride"):
        plan.refusals.append(
            "this host has no dpkg-statoverride, so a package's upgrade would make a script executable again: "
            "write the job into a file in /etc/cron.d, and select it with rcron_crontab_entries"
        )
    if plan.refusals:
        return plan
    for script in dict.fromkeys(scripts):
        refusal = _misplaced(script)
        if refusal:
            plan.refusals.append(refusal)
        elif not os.path.lexists(script):
            if on_missing == "fail":
                plan.refusals.append(
                    f"there is no {script}: correct the name, install its package, or set on_missing to warn or ignore"
                )
            elif on_missing == "warn":
                plan.missing.append(f"there is no {script}, so nothing guards it")
        else:
            _plan_one(plan, script, rcron, conf, takeover_wait)
    return plan


def _misplaced(script: str) -> str:
    """Say why run-parts would not run a file of that name and place; "" if it would."""
    folder, name = os.path.split(script)
    if folder not in FOLDERS:
        return f"{script} is not in {', '.join(FOLDERS)}: only what run-parts runs there is guarded so"
    if not _NAME.fullmatch(name):
        return f"run-parts does not run {script}: it takes names of letters, digits, _ and - only"
    if name.endswith(SUFFIX):
        return f"{script} is a wrapper's name: name the script without {SUFFIX}"
    return ""


def _plan_one(plan: Plan, script: str, rcron: str, conf: str, takeover_wait: int | None) -> None:
    try:
        found = os.lstat(script)
        written = _read(script + SUFFIX)
        first = files.read_head(script) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        plan.refusals.append(f"{error.filename}: {error.strerror}")
        return
    if not stat.S_ISREG(found.st_mode):
        plan.refusals.append(f"{script} is not a regular file: a link's or a folder's mode says nothing")
        return
    if b"\0" in first:
        plan.refusals.append(f"{script} is a program and not a script: call it from a script, and guard that")
        return
    options = None if written is None else options_of(written)
    if written is not None and (options is None or options[0] != conf):
        whose = f"guards it for {options[0]}" if options else "was not written by this module"
        plan.refusals.append(f"{script}{SUFFIX} {whose}: remove that first")
        return
    dpkgs = override(script)
    before = before_of(written or "")
    if before is None:
        if dpkgs is not None:
            plan.refusals.append(
                f"dpkg-statoverride gives {script} {' '.join(dpkgs)} already: "
                f"remove that first (dpkg-statoverride --remove {script})"
            )
            return
        if not found.st_mode & 0o111:
            plan.refusals.append(f"{script} is not executable, so run-parts does not run it: take it off the list")
            return
        before = Before(_user(found.st_uid), _group(found.st_gid), f"{stat.S_IMODE(found.st_mode):04o}")
    wanted = text(script, rcron, conf, takeover_wait, before)
    complete = (
        written is not None
        and dpkgs is not None
        and not found.st_mode & 0o111
        and bool(os.stat(script + SUFFIX).st_mode & 0o100)
    )
    plan.guards.append(Guard(script, written, wanted, complete))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return "root"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return "root"


def plan_absent(scripts: Iterable[str], conf: str) -> Plan:
    """Find out what must be done so that scripts are not guarded.

    Args:
        scripts: Their paths; none for all of the cluster's.
        conf: The path of the cluster's rcron.conf.
    """
    wanted = set(scripts)
    plan = Plan()
    for found in listed():
        if found["guarded"] and found["conf"] == conf and (not wanted or found["script"] in wanted):
            plan.guards.append(Guard(found["script"], _read(found["script"] + SUFFIX), None))
    return plan


def listed() -> list[dict[str, Any]]:
    """List the scripts that run-parts runs, and those that are guarded.

    Returns:
        What the module rcron_info documents, sorted by their paths.
    """
    found = []
    for folder in FOLDERS:
        names = sorted(glob.glob(f"{glob.escape(folder)}/*"))
        wrappers = {}
        for path in names:
            try:
                options = options_of(_read(path) or "") if path.endswith(SUFFIX) else None
            except OSError:
                options = None  # not ours: ours are regular files
            if options is not None:
                wrappers[path] = options
        scripts = {path[: -len(SUFFIX)] for path in wrappers}
        scripts |= {path for path in names if path not in wrappers and _is_run(path)}
        for script in sorted(scripts):
            conf, wait = wrappers.get(script + SUFFIX, (None, None))
            found.append({"script": script, "guarded": conf is not None, "conf": conf, "takeover_wait": wait})
    return found


def _is_run(path: str) -> bool:
    return _NAME.fullmatch(os.path.basename(path)) is not None and os.path.isfile(path) and os.access(path, os.X_OK)


def _read(path: str) -> str | None:
    """Read a wrapper.

    Returns:
        Its text; None if there is none.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    try:
        return files.read_text(path)
    except FileNotFoundError:
        return None


def _write(path: str, content: str) -> None:
    # run-parts takes no name with a dot.
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".rcron.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
