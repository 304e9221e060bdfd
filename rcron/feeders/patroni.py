# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Patroni: what its callbacks mean.

The contract (Patroni's documentation, "postgresql.callbacks" in YAML Configuration Settings; patroni/postgresql/
__init__.py, call_nowait, and patroni/postgresql/callback_executor.py of 3.0.2 and 4.0.7; tried on 3.0.2):

- Patroni splits the callback's words as a shell would, adds ACTION ROLE SCOPE, and starts that without a shell, as its
  own user (postgres, usually). It does not wait, and ignores the exit status.
- ACTION is on_start, on_stop, on_restart, on_reload or on_role_change. ROLE is the one that the node has from now on:
  the leader's is `master` up to 3 and `primary` from 4 on, another node's `replica`; `standby_leader` follows a primary
  of another cluster, so it is read-only. `promoted`, `demoted` and `uninitialized` are states in between.
- on_stop comes when PostgreSQL has stopped, with the role that it had until then: `on_stop primary` is not a primary.
- A Patroni that is started and finds a PostgreSQL running may call `on_reload primary` before it has asked whether the
  leader's key is still its own. on_start, on_restart and on_role_change come after that question.
- A callback that still runs when the next one is due is killed, with its children; on_reload only by another on_reload.
- A Patroni or a machine that dies calls nothing, and PostgreSQL outlives a Patroni that dies, as a primary. rcron-agent
  notices that.
- There is one command for each action. A callback that was there before is started by ours, with the same three words.
"""

import argparse
import os
import shlex
import signal
from collections.abc import Callable

from rcron import ask, hook, settings
from rcron.settings import ACTIVE, PASSIVE

NAME = "patroni"

HELP = "follow Patroni's callbacks"

#: What each role means for the node.
ROLES = {
    "master": ACTIVE,
    "primary": ACTIVE,
    "promoted": ACTIVE,
    "replica": PASSIVE,
    "standby_leader": PASSIVE,
    "demoted": PASSIVE,
    "uninitialized": PASSIVE,
}

#: After these the node has the role; after on_stop it has none.
ACTIONS = ("on_start", "on_restart", "on_reload", "on_role_change")
STOP = "on_stop"

#: This one does not make a node active, see above; one that is active stays so.
RELOAD = "on_reload"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed patroni`.
    """
    parser.description = (
        "For postgresql.callbacks of Patroni's configuration: on_start, on_stop, on_role_change, on_restart and "
        "on_reload. Patroni adds the words in capitals."
    )
    # What no longer matters, and a callback from before the agent may still say.
    parser.add_argument("--process", help=argparse.SUPPRESS)
    parser.add_argument(
        "--then", metavar="COMMAND", help="a callback that was there before: started afterwards, with the same words"
    )
    parser.add_argument("action", metavar="ACTION")
    parser.add_argument("role", metavar="ROLE")
    parser.add_argument("scope", metavar="SCOPE")


def state_of(action: str, role: str) -> str:
    """Return what a callback means for the node: `active` or `passive`.

    Args:
        action: Patroni's word.
        role: likewise.

    Raises:
        EventError: no known version of Patroni uses these words.
    """
    if action == STOP:
        return PASSIVE
    if action not in ACTIONS:
        raise hook.EventError(f"unknown action {action}")
    if role not in ROLES:
        raise hook.EventError(f"unknown role {role}")
    return ROLES[role]


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Apply one callback, then become the command of --then, whether or not the first succeeded.

    Args:
        options: the parsed command line.
        report: takes a line about a failure.

    Returns:
        The exit status.

    Raises:
        EventError: no known version of Patroni uses these words, and there is no --then.
        ConfigError: the configuration cannot be used, and there is no --then.
        OSError: the state cannot be written, and there is no --then.
    """
    words = [options.action, options.role, options.scope]
    if not options.then:
        _apply(options, words)
        return 0
    try:
        _apply(options, words)
    except OSError as error:
        report(f"patroni: {error.filename}: {error.strerror}")
    except (hook.EventError, settings.ConfigError) as error:
        report(f"patroni: {error}; nothing changed")
    return _become(options.then, words, report)


def _apply(options: argparse.Namespace, words: "list[str]") -> None:
    new = state_of(options.action, options.role)
    config = settings.load(options.conf)
    if options.action == RELOAD and new == ACTIVE:
        ask.now(config, " ".join(words))
    else:
        hook.apply(config, new, NAME, " ".join(words))


def _become(command: str, words: "list[str]", report: "Callable[[str], None]") -> int:
    """Become another command in this process, so that Patroni kills that one when the next callback is due."""
    try:
        argv = [*shlex.split(command), *words]
        # Python ignores these; the command must have what Patroni gave it.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606 - without a shell, as Patroni starts it
    except (OSError, ValueError) as error:
        report(f"patroni: --then {command}: cannot be started: {error}")
    return 127
