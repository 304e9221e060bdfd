# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""keepalived: what its VRRP events mean, and what its `notify` command does.

rcron-agent reads its FIFO, and asks it what it is: rcron/agent/feeders/keepalived.py.

The contract (keepalived.conf(5), "notify" and "vrrp_notify_fifo"; doc/keepalived.conf.SYNOPSIS; tried on 2.1.5, 2.2.7
and 2.3.3):

- As `notify`: keepalived starts the script for every event with the line's four words as its last arguments, does not
  wait for it, and ignores its exit status: two events may end in the wrong order. The FIFO is the better way; this
  one is for a keepalived.conf that has a FIFO of its own already, since there can only be one.
- TYPE is INSTANCE or GROUP; STATE is MASTER, BACKUP, FAULT, STOP or DELETED; and others, such as
  MASTER_RX_LOWER_PRI and MASTER_PRIORITY, that do not mean a change of state.
"""

import argparse
from collections.abc import Callable

from rcron import hook, settings
from rcron.hook import EventError
from rcron.settings import ACTIVE, PASSIVE, Config

NAME = "keepalived"
HELP = "take an event of keepalived's notify"

#: What each state of a VRRP instance or sync group means. DELETED: a reload took the instance out of the configuration.
STATES = {"MASTER": ACTIVE, "BACKUP": PASSIVE, "FAULT": PASSIVE, "STOP": PASSIVE, "DELETED": PASSIVE}

#: Events that do not mean a change of state.
NO_CHANGE = ("MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY")


class Event:
    """One event.

    Attributes:
        kind (str): `INSTANCE` or `GROUP`.
        name (str): the VRRP instance's or sync group's name.
        state (str): keepalived's word.
    """

    __slots__ = ("kind", "name", "state")

    def __init__(self, kind: str, name: str, state: str) -> None:
        self.kind = kind
        self.name = name
        self.state = state

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" {self.state}'


def parse_notify(words: "list[str]") -> Event:
    """Read the words that keepalived adds to a `notify` command.

    Args:
        words: TYPE, NAME, STATE and the priority (which 1.x leaves out).

    Returns:
        The event.

    Raises:
        EventError: it is not an event.
    """
    if len(words) == 1:
        raise EventError("rcron-agent reads keepalived's FIFO now: run the role rcron_keepalived once more")
    if len(words) not in (3, 4):
        raise EventError(f"{len(words)} words, but keepalived's notify gives TYPE NAME STATE PRIORITY")
    if words[0] not in ("INSTANCE", "GROUP"):
        raise EventError(f"not INSTANCE or GROUP: {words[0]}")
    return Event(*words[:3])


def state_of(event: Event) -> "str | None":
    """Return what an event means for the node: `active`, `passive`, or None if nothing changes.

    Args:
        event: the event.

    Raises:
        EventError: no known version of keepalived sends this state.
    """
    if event.state in STATES:
        return STATES[event.state]
    if event.state in NO_CHANGE:
        return None
    raise EventError(f"unknown state {event.state} of {event.kind} {event.name}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed keepalived`.
    """
    parser.usage = "%(prog)s [--instance NAME[=CONF]]... [--group NAME[=CONF]]... INSTANCE|GROUP NAME STATE PRIORITY"
    parser.description = "For keepalived's notify, which adds the words in capitals: see keepalived.conf(5)."
    for option, followed in (("--instance", "VRRP instance"), ("--group", "sync group")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="NAME[=CONF]",
            type=_follow,
            help=f"the {followed} that this configuration's cluster follows",
        )
    parser.add_argument("words", nargs="+", help=argparse.SUPPRESS)
    parser.set_defaults(error=parser.error)


def _follow(value: str) -> "tuple[str, str | None]":
    name, conf = value.partition("=")[::2]
    if not name:
        raise argparse.ArgumentTypeError("the name is missing")
    return name, conf or None


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Be `rcronctl feed keepalived`.

    Args:
        options: the parsed command line.
        report: takes a line about a failure.

    Returns:
        The exit status.

    Raises:
        EventError: the words of a `notify` are not an event.
    """
    followed = [("INSTANCE", *pair) for pair in options.instance] + [("GROUP", *pair) for pair in options.group]
    if not followed:
        options.error("name what to follow: --instance NAME, as in vrrp_instance NAME, or --group NAME")
    clusters: "dict[tuple[str, str], Config]" = {}
    exit_status = 0
    for kind, name, conf in followed:
        path = conf or options.conf
        if any(config.path == path for config in clusters.values()):
            options.error(f"{path}: two VRRP instances cannot feed one state; give each its own configuration")
        try:
            config = settings.load(path)
            for other in clusters.values():
                if other.state_file == config.state_file:
                    raise settings.ConfigError(
                        f"{path}: state_file {config.state_file} is {other.path}'s too; give each cluster its own"
                    )
        except settings.ConfigError as error:
            # The other clusters of this node still need their feeder.
            report(str(error))
            exit_status = hook.EX_CONFIG
        else:
            clusters[kind, name] = config
    well = _notify(clusters, options.words, report)
    return exit_status or (0 if well else hook.EX_CANTCREAT)


def _notify(clusters: "dict[tuple[str, str], Config]", words: "list[str]", report: "Callable[[str], None]") -> bool:
    """Apply the event of one `notify` call.

    Args:
        clusters: (kind, name) of a VRRP instance or sync group -> the configuration of the cluster that follows it.
            Events of all others are ignored.
        words: as `parse_notify` takes them.
        report: takes a line for syslog if the state cannot be written.

    Returns:
        Whether the state could be written.

    Raises:
        EventError: the words are not an event.
    """
    event = parse_notify(words)
    config = clusters.get((event.kind, event.name))
    state = None if config is None else state_of(event)
    if config is None or state is None:
        return True
    try:
        hook.apply(config, state, NAME, str(event))
    except OSError as error:
        report(f"{config.state_file}: not written, should be {state} ({event}): {error.strerror}")
        return False
    return True
