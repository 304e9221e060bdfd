# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Begin to serve claims: read the files, open the socket, and only then give up root's rights.

Whoever speaks to users and to the network needs none. The password and etcd's certificates have been read by then.
"""

import importlib
import os
import pwd
import resource
import sys

from rcron import files, settings
from rcron.agent import conf as agent_conf
from rcron.agent.claims import Claims
from rcron.agent.engines import Engine
from rcron.agent.server import MOST, Server, listen
from rcron.settings import ConfigError

EX_NOUSER = 67  # sysexits(3)
EX_CANTCREAT = 73
EX_CONFIG = 78


def serve(conf: str, conf_of_agent: str, user: str) -> int:
    """Serve claims until TERM.

    Args:
        conf: The path of a cluster's rcron.conf: the socket is beside its state file.
        conf_of_agent: The path of agent.conf.
        user: Whom to become if root starts this.

    Returns:
        The exit status.
    """
    try:
        config = settings.load(conf)
        found = agent_conf.load(conf_of_agent)
        engine = engine_of(found)
        target = pwd.getpwnam(user) if os.geteuid() == 0 else None
    except ConfigError as error:
        return _complain(str(error), EX_CONFIG)
    except KeyError:
        return _complain(f"there is no user {user}; create it, or name another one with --user", EX_NOUSER)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the password
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    os.umask(0o077)
    try:
        listener, place = listen(files.folder_of(config.state_file))
    except OSError as error:
        return _complain(f"{error.filename or config.state_file}: {error.strerror}", EX_CANTCREAT)
    if target is not None:
        os.setgroups([])
        os.setresgid(target.pw_gid, target.pw_gid, target.pw_gid)
        os.setresuid(target.pw_uid, target.pw_uid, target.pw_uid)
    Server(listener, Claims(engine, found.node), found.engine, place).run()
    return 0


def engine_of(conf: "agent_conf.AgentConf") -> Engine:
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


def _complain(text: str, exit_status: int) -> int:
    sys.stderr.write(f"rcron-agent: {text}\n")
    return exit_status
