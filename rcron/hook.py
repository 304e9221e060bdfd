# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What all feeders' hooks share: they take one event, write the state that it means, and end.

A feeder's own module in rcron/feeders/ knows its daemon's words and what each of them means; it calls `apply`.
"""

import os

from rcron import ask, feed, feeders, log, process
from rcron.settings import ACTIVE, Config, ConfigError

EX_USAGE = 64  # sysexits(3): wrong command line, or an event that is not the feeder's
EX_CANTCREAT = 73  # sysexits(3): the state cannot be written
EX_TEMPFAIL = 75  # sysexits(3): the state is another one, because somebody else has spoken later
EX_CONFIG = 78  # sysexits(3): unusable configuration

#: How long after its start a hook may make a node active that an agent serves, in seconds. A hook that was frozen with
#: its node, or that waited, would repeat what its daemon said before another node took over.
IN_TIME = 0.5

# What becomes of an event.
DONE = "done"  # the state is the event's
OVERTAKEN = "overtaken"  # a later event has come; nothing was changed
ASKED = "asked"  # it came too late: the agent will ask the daemon
REFUSED = "refused"  # another feeder's `passive`: nothing was changed


class EventError(ValueError):
    """An event that is not one of the feeder's. The text is for a person, and nothing has been changed."""


def apply(config: Config, new: str, feeder: str, event: str, within: float = IN_TIME) -> str:
    """Make a cluster's state on this node what a hook's event means.

    Hooks run beside each other, and may end in another order than they were started. An event of a hook that was
    started before the one that last gave a state is logged, and changes nothing.

    An event of a feeder that is not this cluster's is noted for `rcronctl status`, and changes nothing.

    Where an agent serves the cluster, it gets a message, and asks the daemon. `passive` is written first.

    Args:
        config: the cluster's.
        new: `active` or `passive`.
        feeder: the feeder's name, for the log and for `rcronctl status`.
        event: the event in the feeder's own words, likewise.
        within: how long after its start the hook may write `active` if an agent serves the cluster, in seconds.

    Returns:
        DONE, OVERTAKEN, ASKED or REFUSED.

    Raises:
        ConfigError: `active` comes from a feeder that is not the cluster's.
        OSError: the state cannot be written, nor does the agent keep the node passive instead.
    """
    if feeders.is_another(feeder, config.feeder_name):
        return _refuse(config, new, feeder, event)
    moment = feed.Moment(int(process.started_at(os.getpid()) or 0), os.getpid())
    is_timed = new == ACTIVE and ask.is_served(config)
    latest = moment.ticks / os.sysconf("SC_CLK_TCK") + within if is_timed else None
    try:
        if not feed.accept_event(config, new, feeder, event, moment=moment, latest=latest):
            return OVERTAKEN
    except feed.TooLateError:
        ask.now(config, f"{feeder}:{event}")
        log.change(config, f"state={new} status=asked event={feeder}:{event}")
        return ASKED
    return DONE


def _refuse(config: Config, new: str, feeder: str, event: str) -> str:
    """Note that a feeder has spoken which is not the cluster's.

    Its daemon must be able to end and to give up what it has, so only `active` is an error.
    """
    try:
        feed.note_refusal(config, feeder, event)
    except OSError as error:
        log.warning(config, f"{config.refusal_file}: not written: {error.strerror}")
    log.change(config, f"state={new} status=refused event={feeder}:{event}")
    if new == ACTIVE:
        raise ConfigError(
            f"{config.path}: feeder_name is {config.feeder_name}, so {feeder} cannot make this node active; disconnect "
            f"{feeder}, or change feeder_name"
        )
    return REFUSED
