# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A lease in an engine: no daemon, and so no hook. rcron-agent itself is the feeder: see rcron/agent/feeders/lease.py.

What there is to say by hand is that the node is to give the lease back, before it is shut down or suspended, say:

- The node is passive when the command ends. The agent then gives the lease back, and another node takes it.
- If none does, this one may take it again after 3 s. `rcronctl pin passive` keeps it from that.
"""

import argparse
from collections.abc import Callable

from rcron import hook, settings
from rcron.settings import PASSIVE

HELP = "have the node give its lease back"

#: The only word.
LEAVE = "leave"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed lease`.
    """
    parser.description = (
        "Makes the node passive, and has rcron-agent give its lease back, so that another node takes it."
    )
    parser.add_argument("word", metavar=LEAVE)


def run(options: argparse.Namespace, _report: "Callable[[str], None]") -> int:
    """Make the node passive.

    Args:
        options: the parsed command line.

    Returns:
        The exit status.

    Raises:
        EventError: the word is another one.
    """
    config = settings.load(options.conf)
    if options.word != LEAVE:
        raise hook.EventError(f"not {LEAVE}: {options.word}")
    hook.apply(config, PASSIVE, "lease", LEAVE)
    return 0
