# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which clusters the agent serves: one file for each in FOLDER, in rcron.conf's grammar.

    conf = /etc/rcron/rcron.conf
    feeder = keepalived
    instance = VI_1

`conf` is the cluster's rcron.conf, `feeder` a module of rcron/agent/feeders/, and the names after that are that
feeder's own (its OPTIONS).
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

from rcron import files, settings
from rcron.agent import feeders
from rcron.agent.truth import Truth
from rcron.feeders import NAMES, is_another
from rcron.settings import Config, ConfigError

#: Where the roles put their files.
FOLDER = "/etc/rcron/agent.d"

#: What the name of such a file ends with.
SUFFIX = ".conf"


class SecondFeederError(ConfigError):
    """The cluster's rcron.conf names another feeder.

    Attributes:
        config: The cluster's rcron.conf.
        feeder: The feeder that the agent would have asked.
    """

    def __init__(self, path: str, config: Config, feeder: str) -> None:
        super().__init__(
            f"{path}: feeder is {feeder}, and feeder_name in {config.path} is {config.feeder_name}; "
            f"delete {path}, or change feeder_name"
        )
        self.config = config
        self.feeder = feeder


class Cluster:
    """One cluster that the agent serves.

    Attributes:
        name: Its file's name without SUFFIX.
        config: Its rcron.conf.
        feeder: The feeder's name.
        options: The feeder's options, as its OPTIONS has them.
    """

    __slots__ = ("config", "feeder", "name", "options")

    def __init__(self, name: str, config: Config, feeder: str, options: "dict[str, Any]") -> None:
        self.name = name
        self.config = config
        self.feeder = feeder
        self.options = options


def found_in(folder: str) -> "dict[str, str]":
    """Return the clusters' files: their names without SUFFIX, and their paths. No folder is no cluster."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    return {
        name[: -len(SUFFIX)]: os.path.join(folder, name)
        for name in names
        if name.endswith(SUFFIX) and not name.startswith(".")
    }


def load(name: str, path: str) -> Cluster:
    """Read one cluster's file, and the rcron.conf that it names.

    Args:
        name: The cluster's, as `found_in` returns it.
        path: The file.

    Returns:
        The Cluster.

    Raises:
        SecondFeederError: The rcron.conf names another feeder.
        ConfigError: One of the two cannot be used; the message says why, and how to fix it.
    """
    lines = assignments(read(path), path)
    for needed in ("conf", "feeder"):
        if needed not in lines:
            raise ConfigError(f"{path}: no {needed}; write {needed} = VALUE")
    conf, feeder = lines.pop("conf")[1], lines.pop("feeder")
    if feeder[1] not in feeders.NAMES:
        raise ConfigError(f'{path}:{feeder[0]}: unknown feeder "{feeder[1]}"; take one of {", ".join(feeders.NAMES)}')
    options = _options(importlib.import_module(f"rcron.agent.feeders.{feeder[1]}").OPTIONS, lines, path)
    config = settings.load(conf)
    if _is_second(feeder[1], config.feeder_name):
        raise SecondFeederError(path, config, feeder[1])
    return Cluster(name, config, feeder[1], options)


def _is_second(feeder: str, feeder_name: str) -> bool:
    """Return whether `feeder_name` excludes a feeder of the agent's.

    `command` is not a feeder for `rcronctl feed`, and so goes with any `feeder_name` that is not one of these.
    """
    return is_another(feeder, feeder_name) or (feeder not in NAMES and feeder_name in NAMES)


def truth_of(cluster: Cluster) -> Truth:
    """Return what asks a cluster's daemon. Raises OSError if what it needs is not there."""
    found: Truth = importlib.import_module(f"rcron.agent.feeders.{cluster.feeder}").truth(
        cluster.config, cluster.options
    )
    return found


def _options(
    known: "dict[str, tuple[Callable[[str], Any], Any]]", lines: "dict[str, tuple[int, str]]", path: str
) -> "dict[str, Any]":
    """Return a feeder's options: what the file says, and the defaults for what it leaves out."""
    found = {name: default for name, (_parser, default) in known.items()}
    for name, (number, value) in lines.items():
        if name not in known:
            names = ", ".join(["conf", "feeder", *known])
            raise ConfigError(f'{path}:{number}: unknown name "{name}"; take one of {names}')
        try:
            found[name] = known[name][0](value)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise ConfigError(f"{path}: no {missing[0]}; write {missing[0]} = VALUE")
    return found


def read(path: str) -> str:
    """Read a file that only root (or whoever runs this) can have written: it may name programs that root runs."""
    try:
        data, _modified = files.read_trusted(path, settings.MAX_BYTES)
        status = os.stat(path)
    except (OSError, files.UntrustedError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"{path}: others than root may write it; chown root {path} && chmod go-w {path}")
    return data.decode("utf-8", "surrogateescape")


def assignments(text: str, path: str) -> "dict[str, tuple[int, str]]":
    """Read `name = value` lines. Returns each name's line number and value."""
    found: "dict[str, tuple[int, str]]" = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r=")
        if not line or line[0] in "#;":
            continue
        name = line.replace("\t", " ").replace("=", " ").split(" ", 1)[0]
        if name in found:
            raise ConfigError(f'{path}:{number}: "{name}" is given a second time; delete one')
        try:
            found[name] = number, settings.value_of(raw[raw.index(name) + len(name) :].strip("\r"))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    return found
