# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Where the wrapper's files are on a host, and which of the files there are its own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

#: The name of a version's folder: the version, and a digest of everything in the folder.
LIBRARY = re.compile(r"[^/]+-[0-9a-f]{8}\Z")

#: The commands, in the order in which they are installed: `rcron` last, which is what jobs start.
PROGRAMS = ("rcron-agent", "rcronctl", "rcron")

#: The target of a link of ours: LIB/VERSION-DIGEST/bin/NAME or LIB/VERSION-DIGEST/man/NAME.
_OUR_TARGET = re.compile(r"/[^/]+-[0-9a-f]{8}/(bin|man)/rcron[^/]*\Z")

#: The system's folders. With a state file in one of them, the installation would set that folder's mode and owner, and
#: the removal would delete the folder.
SHARED = frozenset(
    """/ /dev/shm /etc /etc/tmpfiles.d /home /opt /root /run /srv /tmp /usr /usr/bin /usr/lib /usr/local /usr/local/bin
    /usr/local/lib /usr/sbin /var /var/lib /var/run /var/tmp""".split()  # noqa: SIM905 - reads best word by word
)


@dataclass
class Places:
    """Paths on the host, each named after the option that sets it.

    If the host's files are below another folder here, a package's or an image's, all paths begin with that folder.

    Attributes:
        lib_dir: The folder that holds one folder for each version of the wrapper.
        bin_dir: The folder of the commands rcron, rcronctl and rcron-agent.
        man_dir: The folder whose man5 and man8 get the manual pages.
        conf: The cluster's rcron.conf.
        state_file: The cluster's state file.
        tmpfiles_dir: The folder that systemd-tmpfiles reads at boot.
        destdir: The folder that the host's files are below; empty on the host itself.
    """

    lib_dir: str = "/usr/lib/rcron"
    bin_dir: str = "/usr/bin"
    man_dir: str = "/usr/share/man"
    conf: str = "/etc/rcron/rcron.conf"
    state_file: str = "/var/run/rcron/state"
    tmpfiles_dir: str = "/etc/tmpfiles.d"
    destdir: str = ""

    def options(self) -> dict[str, str]:
        """Return the paths by the option that sets each."""
        return {name: path for name, path in vars(self).items() if name != "destdir"}

    def on_host(self, path: str) -> str:
        """Return what the host itself calls one of these paths."""
        return path[len(self.destdir) :]

    @property
    def state_path(self) -> str:
        """The state file below /run: systemd-tmpfiles complains about /var/run, a link to it."""
        return self.destdir + re.sub(r"\A/var/run/", "/run/", self.on_host(self.state_file))

    @property
    def pin_path(self) -> str:
        """The pin's file (rcron/state.py, pin_path), which is not below /run because it survives reboots."""
        return self.destdir + re.sub(r"\A/run/", "/var/lib/", self.on_host(self.state_path)) + ".pin"

    @property
    def tmpfiles(self) -> str:
        """The file that systemd-tmpfiles reads at boot for this cluster."""
        name = os.path.splitext(os.path.basename(self.conf))[0]
        own = "rcron" if self.on_host(self.conf) == "/etc/rcron/rcron.conf" else f"rcron-{name}"
        return os.path.join(self.tmpfiles_dir, f"{own}.conf")

    @property
    def agent_unit(self) -> str:
        """The unit of rcron-agent, where the feeders' roles write it, too."""
        return f"{self.destdir}/etc/systemd/system/rcron-agent.service"

    @property
    def agent_clusters(self) -> str:
        """The folder of the files that say which clusters rcron-agent serves."""
        return f"{self.destdir}/etc/rcron/agent.d"

    @property
    def man_folders(self) -> list[str]:
        """The folders of the manual pages."""
        return [os.path.join(self.man_dir, section) for section in ("man5", "man8")]

    @property
    def links(self) -> dict[str, str]:
        """The links into a version's folder: path -> file in that folder; the launchers are last."""
        pages = ["rcron.conf.5", "rcron.8", "rcronctl.8", "rcron-agent.8"]
        links = {os.path.join(self.man_dir, f"man{page[-1]}", page): f"man/{page}" for page in pages}
        links.update({os.path.join(self.bin_dir, name): f"bin/{name}" for name in PROGRAMS})
        return links

    def foreign(self) -> list[str]:
        """Return the paths of `links` that are taken by somebody else's file."""
        return [path for path in self.links if os.path.lexists(path) and not is_our_link(path)]

    def in_use(self) -> str | None:
        """Return the version's folder that the host's `rcron` runs from, or None if there is no such command."""
        launcher = os.path.join(self.bin_dir, "rcron")
        return self.destdir + os.path.dirname(os.path.dirname(os.readlink(launcher))) if is_our_link(launcher) else None

    def libraries(self) -> list[str]:
        """Return the paths of all versions' folders."""
        return [path for path in entries(self.lib_dir) if LIBRARY.search(path)]


def entries(folder: str) -> list[str]:
    """Return the paths of everything in a folder; of nothing if there is no such folder."""
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_our_link(path: str) -> bool:
    """Return whether a path is a link that an installation made."""
    return os.path.islink(path) and _OUR_TARGET.search(os.readlink(path)) is not None
