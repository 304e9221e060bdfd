# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The steps from what is on a host to what should be there, and their order.

`present` and `absent` only look; a step writes when it is done. The order is the promise: a job that starts between any
two steps finds a complete wrapper, with a configuration that this wrapper accepts.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import installer
from .differences import file_step, folder_step, library_step, link_line, link_step, unit_step
from .errors import InstallError, RefusedError
from .package import Wanted
from .places import PROGRAMS, SHARED, Places, entries, is_our_link
from .preflight import examine
from .processes import run, users_of
from .steps import GiveAway, Remove, RemoveFolder, RemoveLauncher, RemoveUnit, RemoveUnused, Step, owner_of_all
from .trust import exposure

#: The mode of the folders for state and pin: rcron.files.FOLDER_MODE says why.
SEARCHABLE = 0o711


@dataclass
class Plan:
    """Steps, and the version's folder that the host runs from after them.

    Attributes:
        library: The folder's path; None if there is no wrapper any more.
        steps: The steps to take; after `apply`, the steps that were taken.
    """

    library: str | None
    steps: list[Step] = field(default_factory=list)

    def apply(self) -> None:
        """Take the steps.

        Raises:
            InstallError: One of them is not possible. Those before it are done.
        """
        mask = os.umask(0o022)
        steps, self.steps = self.steps, []
        try:
            for step in steps:
                try:
                    if step.do():
                        self.steps.append(step)
                except OSError as error:
                    verb = "remove" if isinstance(step, (Remove, RemoveFolder)) else "create or update"
                    raise InstallError(
                        f"Could not {verb} {error.filename or step.path}: {error.strerror or error}. "
                        f"Fix this and re-run; completed steps are kept."
                    ) from error
        finally:
            os.umask(mask)


def present(places: Places, wanted: Wanted) -> Plan:
    """Plan the installation of the wrapper for one cluster. Nothing is changed.

    Raises:
        RefusedError: The host or an option rules the installation out.
        InstallError: The package is incomplete, or something is in the way.
    """
    cache_tag, refusals = examine(places, wanted)
    if refusals:
        raise RefusedError(refusals)
    state_owner = (pwd.getpwnam(wanted.state_user).pw_uid, owner_of_all()[1])
    states, pins = (os.path.dirname(path) for path in (places.state_path, places.pin_path))
    library = os.path.join(places.lib_dir, wanted.package.name)
    links = [link_step(path, f"{places.on_host(library)}/{to}") for path, to in places.links.items()]
    launchers, pages = links[-len(PROGRAMS) :], links[: -len(PROGRAMS)]
    conf = file_step(places.conf, wanted.conf_content)
    unit = unit_step(places, wanted.agent_unit) if wanted.agent_unit else None
    steps = [
        library_step(wanted.package, library, places.on_host(library), cache_tag),
        folder_step(os.path.dirname(places.conf), 0o755, owner_of_all()),
        file_step(places.tmpfiles, _tmpfiles_text(places, wanted)),
        # An image has no state: systemd-tmpfiles creates the folder when the host boots.
        *([] if places.destdir else [folder_step(states, SEARCHABLE, state_owner), *_state_steps(places, state_owner)]),
        # rcronctl creates it with the first pin.
        folder_step(pins, SEARCHABLE, owner_of_all()) if os.path.isdir(pins) and pins != states else None,
        *(folder_step(path) for path in [*places.man_folders, places.bin_dir]),
        *pages,
        *([*launchers, conf] if _are_launchers_first(places, conf, library) else [conf, *launchers]),
        folder_step(places.agent_clusters) if wanted.agent_unit else None,
        unit,
        # The version that the agent ran from is free once it has started again.
        *(
            RemoveUnused(path, f"{path}/\n", "")
            for path in places.libraries()
            if path != library and (unit is not None or not users_of(path))
        ),
    ]
    return Plan(library, [step for step in steps if step is not None])


def _state_steps(places: Places, owner: tuple[int, int]) -> Iterator[Step]:
    """Yield the steps that take another state_user's, who was, files away from him.

    He could go on writing the state and the record in their places, and hold the lock, which the new one could not even
    open. The next writer makes a new lock. No file is given away as it is: it may be another file's second name.
    """
    for kind in ("", ".feeder", ".refused", ".lock"):
        path = f"{places.state_path}{kind}"
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if found.st_uid == owner[0]:
            continue
        if kind == ".lock":
            yield Remove(path, f"{path}\n", "")
        elif not stat.S_ISDIR(
            found.st_mode
        ):  # a writer replaces an empty folder, and a full one is the administrator's
            yield GiveAway(path, f"{path} {found.st_uid}\n", f"{path} {owner[0]}\n", owner)


def _are_launchers_first(places: Places, conf: Step | None, library: str) -> bool:
    """Return whether a new version must be in use before the new configuration is.

    The configuration comes first, unless the version in use would refuse it.
    """
    old = places.in_use()
    if conf is None or old is None or old == library or places.destdir:
        return False
    command = os.path.join(old, "bin", "rcronctl")
    if exposure(command):
        return True  # in a place that was lib_dir once: others could have replaced what is run here
    with tempfile.TemporaryDirectory(prefix="rcron-") as folder:
        draft = os.path.join(folder, "rcron.conf")
        with open(draft, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(conf.after)
        try:
            # Its own command, because the names of its modules may be others.
            return run([command, "check", draft]).returncode != 0
        except OSError:
            return True  # the version in use cannot run at all


def _tmpfiles_text(places: Places, wanted: Wanted) -> str:
    state = places.on_host(places.state_path)
    user = wanted.state_user
    return f"""\
{installer.line(wanted.installer, places)}
# A node comes up passive, and stays so until its feeder or its operator says otherwise: cron starts before they do.
# The second line is for boot alone (!), so that systemd-tmpfiles --create leaves a running node's state as it is.
d {os.path.dirname(state)} {SEARCHABLE:04o} {user} root -
f+! {state} 0644 {user} root - passive\\n
"""


def absent(places: Places) -> Plan:
    """Plan the removal of one cluster, and of the wrapper itself with the host's last cluster. Nothing is changed."""
    own_folders = [os.path.dirname(path) for path in (places.conf, places.state_path, places.pin_path)]
    used_folders: list[str] = []
    steps: list[Step] = []
    library = places.in_use()
    if not _has_other_clusters(places):
        library = None
        steps = _agent_removal(places) + _wrapper_removal(places)
        own_folders.append(places.lib_dir)
        used_folders = [*places.man_folders, places.bin_dir]
    own_folders = list(dict.fromkeys(own_folders))
    steps += _cluster_removal(places, own_folders)
    gone = {step.path for step in steps}
    emptied = {os.path.dirname(path) for path in gone}
    steps += [
        RemoveFolder(path, f"{path}/\n", "")
        for path in own_folders + [path for path in used_folders if path in emptied]
        if places.on_host(path) not in SHARED and os.path.isdir(path) and set(entries(path)) <= gone
    ]
    return Plan(library, steps)


def _has_other_clusters(places: Places) -> bool:
    """Return whether another cluster of this host, which has its own tmpfiles file, still needs the wrapper."""
    return any(
        re.search(r"/rcron(-[^/]*)?\.conf\Z", path) and path != places.tmpfiles for path in entries(places.tmpfiles_dir)
    )


def _agent_removal(places: Places) -> list[Step]:
    """Return the steps that remove the service rcron-agent, unless it is a feeder's role that looks after it."""
    if not installer.has_unit(places):
        return []
    unit = places.agent_unit
    steps: list[Step] = [RemoveUnit(unit, f"{unit}\n", "", not places.destdir)]
    # systemd keeps the folder for a service that comes back, and in an image nobody else removes the link.
    rest = os.path.join(os.path.dirname(unit), "multi-user.target.wants", "rcron-agent.service")
    rest = rest if places.destdir else "/run/rcron-agent"
    if os.path.lexists(rest):
        steps.append(Remove(rest, f"{rest}\n", ""))
    clusters = places.agent_clusters
    if os.path.isdir(clusters) and not entries(clusters):
        steps.append(RemoveFolder(clusters, f"{clusters}/\n", ""))
    return steps


def _wrapper_removal(places: Places) -> list[Step]:
    """Return the steps that remove the wrapper.

    The launchers go first, so that no job finds one without its configuration or its version's folder.
    """
    steps: list[Step] = []
    libraries = places.libraries()
    for path in reversed(list(places.links)):
        if is_our_link(path):
            is_launcher = os.path.basename(path) in PROGRAMS
            line = link_line(path)
            steps.append(RemoveLauncher(path, line, "", libraries) if is_launcher else Remove(path, line, ""))
    unfinished = [path for path in entries(places.lib_dir) if os.path.basename(path).startswith(".staging-")]
    return steps + [Remove(path, f"{path}/\n", "") for path in libraries + unfinished]


def _cluster_removal(places: Places, folders: list[str]) -> list[Step]:
    """Return the steps that remove one cluster's files from its folders."""
    own = re.compile(
        "|".join(re.escape(path) for path in (places.conf, places.tmpfiles))
        # Beside the state and the pin: a feeder's record, its lock, and the drafts of a writer that was killed.
        + rf"|({re.escape(places.state_path)}|{re.escape(places.pin_path)})"
        + r"(\.feeder|\.refused|\.lock|(\.feeder|\.refused)?\.[0-9]+\.[0-9a-f]{8})?"
    )
    paths = [places.conf, places.tmpfiles, *(path for folder in folders for path in entries(folder))]
    return [
        Remove(path, f"{path}\n", "") for path in dict.fromkeys(paths) if own.fullmatch(path) and os.path.lexists(path)
    ]
