# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Begin to serve claims: read the files, open the socket, and only then give up root's rights.

Whoever speaks to users and to the network needs none. The password and etcd's certificates have been read by then.
"""

import fcntl
import os
import pwd
import resource
import signal
import sys
import termios
import time
from collections.abc import Callable

from rcron import files, log, settings
from rcron.agent import conf as agent_conf
from rcron.agent.claims import Claims
from rcron.agent.conf import AgentConf
from rcron.agent.engines import Claim, Engine, EngineError
from rcron.agent.server import MOST, Server, listen
from rcron.settings import ConfigError

EX_NOUSER = 67  # sysexits(3)
EX_UNAVAILABLE = 69
EX_CANTCREAT = 73
EX_CONFIG = 78

NO_USER = "user {} does not exist; create it, or name another one with --user"

#: For how long an engine that does not answer is tried, in seconds: a leader that has gone is replaced in less.
PATIENCE = 15.0


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
        engine = agent_conf.engine_of(found)
        target = _user(user)
        _refuse_to_share(found, target)
    except ConfigError as error:
        return _complain(str(error), EX_CONFIG)
    except KeyError:
        return _complain(NO_USER.format(user), EX_NOUSER)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the password
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    os.umask(0o077)
    try:
        listener, place = listen(files.folder_of(config.state_file))
    except OSError as error:
        return _complain(f"{error.filename or config.state_file}: {error.strerror}", EX_CANTCREAT)
    _become(target)
    Server(listener, Claims(engine, found.node), found.engine, place).run()
    return 0


def _user(name: str) -> "pwd.struct_passwd | None":
    """Return whom this process is to become; None if it is not root's. Raises KeyError if there is no such user."""
    return pwd.getpwnam(name) if os.geteuid() == 0 else None


def _refuse_to_share(conf: AgentConf, target: "pwd.struct_passwd | None") -> None:
    """Refuse to have a program get the password as a user who has other processes: they may read its environment.

    This process itself they may not look into, since it was root's.

    Args:
        conf: What agent.conf says.
        target: Whom this process is to become.

    Raises:
        ConfigError: That would be nobody, who has processes of other services.
    """
    if target is not None and target.pw_name == "nobody" and conf.engine == "command" and conf.password:
        raise ConfigError(
            f"{conf.path}: other processes of nobody's could read the password that {conf.endpoints} gets: create a "
            f"user for it (useradd --system rcron-agent), and name that with --user"
        )


def leave_terminal() -> None:
    """Give up the controlling terminal if there is one: tty(4), TIOCNOTTY."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which it is sent if it leads its session
    try:
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
    finally:
        signal.signal(signal.SIGHUP, before)
        os.close(terminal)


def _become(target: "pwd.struct_passwd | None") -> None:
    """Become a user for good, without root's terminal: what he looks into, he could have type there (TIOCSTI)."""
    if target is not None:
        leave_terminal()
        os.chdir("/")
        os.setgroups([])
        os.setresgid(target.pw_gid, target.pw_gid, target.pw_gid)
        os.setresuid(target.pw_uid, target.pw_uid, target.pw_uid)


def check(conf_of_agent: str, user: str) -> int:
    """Try out what agent.conf names, with a claim of its own that is deleted again, and print how it is.

    Args:
        conf_of_agent: The path of agent.conf.
        user: Whom to become if root starts this, before the engine is asked: what root can do, that user may not.

    Returns:
        The exit status.
    """
    return _with_engine(conf_of_agent, user, _try)


def forget(conf_of_agent: str, user: str, cluster: str) -> int:
    """Delete a cluster's claims.

    Args:
        conf_of_agent: The path of agent.conf.
        user: Whom to become, as for `check`.
        cluster: The cluster's name.

    Returns:
        The exit status.
    """
    return _with_engine(conf_of_agent, user, lambda engine, _node: engine.forget(cluster))


def _with_engine(conf_of_agent: str, user: str, what: "Callable[[Engine, str], None]") -> int:
    """Do something with the engine, again and again for PATIENCE seconds until it answers. Returns the exit status."""
    try:
        found = agent_conf.load(conf_of_agent)
        engine = agent_conf.engine_of(found)
        target = _user(user)
        _refuse_to_share(found, target)
        _become(target)
    except ConfigError as error:
        return _complain(str(error), EX_CONFIG)
    except KeyError:
        return _complain(NO_USER.format(user), EX_NOUSER)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            what(engine, found.node)
        except EngineError as error:
            if time.monotonic() >= deadline:
                return _complain(f"{found.engine}: {error}", EX_UNAVAILABLE)
            time.sleep(0.2)
        else:
            return 0


def _try(engine: Engine, node: str) -> None:
    claim = Claim(f"~check {node}", "~", "~check", "0", os.urandom(12).hex(), node, int(time.time()))
    engine.forget(claim.cluster)
    if engine.claim(claim).token != claim.token or not engine.ended(claim, 0, 0.0):
        raise EngineError("a claim that was made is not there, or another node has the same name")
    words, *remarks = engine.check().split("; ")
    remarks += engine.remarks()
    engine.forget(claim.cluster)
    for line in [words, *(f"warning: {remark}" for remark in remarks)]:
        sys.stdout.write(f"{log.one_line(line)}\n")


def _complain(text: str, exit_status: int) -> int:
    """Print what is wrong, which the engine may have said: a terminal obeys nothing of it. Returns the exit status."""
    sys.stderr.write(f"rcron-agent: {log.one_line(text)}\n")
    return exit_status
