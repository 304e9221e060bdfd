# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""agent.conf: which engine keeps the ledger, and how it is reached. The grammar is rcron.conf's.

It may hold passwords' places, and names a program that the agent runs, so only root may write it, and nobody else may
read it.
"""

import importlib
import os
import stat
from typing import Any

from rcron.agent import clusters
from rcron.agent.engines import NAMES, Engine
from rcron.settings import ConfigError

DEFAULT_PATH = "/etc/rcron/agent.conf"

#: The longest password, in bytes.
MAX_PASSWORD = 4096


def _engine(value: str) -> str:
    if value not in NAMES:
        raise ValueError(f'unknown engine "{value}"; use one of {", ".join(NAMES)}')
    return value


def _text(value: str) -> str:
    if not value.isprintable() or not value:
        raise ValueError("an empty value, or one with control characters; write printable UTF-8")
    return value


def _file(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path; begin it with /')
    return _text(value)


def _prefix(value: str) -> str:
    if not value.isascii() or value.strip("/") == "" or any(character in value for character in " \t\\"):
        raise ValueError(f'"{value}" is not a prefix; write one such as /rcron')
    return "/" + value.strip("/")


def _node(value: str) -> str:
    if not 0 < len(value) <= 64 or not value.isprintable():
        raise ValueError("not 1 to 64 printable characters; write the node's name")
    return value


#: Every setting: its name -> what turns a value's text into the attribute of AgentConf, and the default.
SETTINGS: "dict[str, tuple[Any, Any]]" = {
    "engine": (_engine, ""),
    "endpoints": (_text, ""),
    "prefix": (_prefix, "/rcron"),
    "user": (_text, ""),
    "password_file": (_file, ""),
    "ca_file": (_file, ""),
    "cert_file": (_file, ""),
    "key_file": (_file, ""),
    "node": (_node, ""),
}


class AgentConf:
    """The settings of one node's agent.

    Attributes:
        path: The file that they were read from.
        password: What password_file holds, without the newline at its end; an empty string if there is none.

    Each name in SETTINGS is an attribute besides, and a str.
    """

    engine: str
    endpoints: str
    prefix: str
    user: str
    password_file: str
    ca_file: str
    cert_file: str
    key_file: str
    node: str

    def __init__(self, path: str) -> None:
        self.path = path
        self.password = ""
        for name, (_parser, default) in SETTINGS.items():
            setattr(self, name, default)
        self.node = os.uname().nodename


def load(path: str) -> AgentConf:
    """Read an agent.conf, and the password that it names.

    Args:
        path: The file.

    Returns:
        What it says, with the defaults for what it leaves out.

    Raises:
        ConfigError: It cannot be used; the message says why, and how to fix it.
    """
    _refuse_if_readable(path)
    found = AgentConf(path)
    for name, (number, value) in clusters.assignments(clusters.read(path), path).items():
        if name not in SETTINGS:
            raise ConfigError(f'{path}:{number}: unknown name "{name}"; use one of {", ".join(SETTINGS)}')
        try:
            setattr(found, name, SETTINGS[name][0](value))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    for needed in ("engine", "endpoints"):
        if not getattr(found, needed):
            raise ConfigError(f"{path}: no {needed}; write {needed} = VALUE")
    if found.password_file:
        found.password = _password(found.password_file)
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(found, name)
        if file and not (os.path.isfile(file) and os.access(file, os.R_OK)):
            raise ConfigError(f"{path}: {name}: {file} cannot be read; name a file that is there")
    return found


def engine_of(conf: AgentConf) -> Engine:
    """Return the engine that agent.conf names.

    Args:
        conf: The settings.

    Raises:
        ConfigError: It cannot be used as it is set up.
    """
    try:
        found: Engine = importlib.import_module(f"rcron.agent.engines.{conf.engine}").engine(conf)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{conf.path}: {conf.engine}: {error}") from None
    return found


def _refuse_if_readable(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path}: others than its owner may read or write it; chmod 0600 {path}")


def _password(path: str) -> str:
    _refuse_if_readable(path)
    text = clusters.read(path)
    password = text[:-1] if text.endswith("\n") else text
    if not password or len(password) > MAX_PASSWORD or not password.isprintable():
        raise ConfigError(f"{path}: not a password of 1 to {MAX_PASSWORD} printable characters on one line")
    return password
