# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp: what its up and down scripts mean.

The contract (ucarp(8); src/spawn.c and src/carp.c of 1.5.2; tried on Debian's 1.5.2+git20192404.1a9aaf7-1):

- `--upscript` and `--downscript` are executed without a shell as `SCRIPT INTERFACE ADDRESS [XPARAM]`, where ADDRESS is
  the virtual one. ucarp's own file descriptors stay open in them.
- ucarp waits for the script, without a limit, and sends no adverts meanwhile: a script that takes longer than its
  peers' patience (deadratio x advbase) costs the role. It ignores the exit status.
- The down script runs at the start, unless `--neutral` is given; at an exit by TERM, INT, HUP or QUIT only with
  `--shutdown`, and only if ucarp was master; and not when it is killed or its interface goes away.
- Peers are not informed of an exit: it takes as long to take over from a ucarp that was stopped as from one that was
  killed.
"""

import argparse
from collections.abc import Callable

from rcron import hook, settings
from rcron.settings import ACTIVE, PASSIVE

HELP = "follow ucarp's up and down scripts"

#: What each script means.
STATES = {"up": ACTIVE, "down": PASSIVE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed ucarp`.
    """
    parser.usage = "%(prog)s up|down INTERFACE ADDRESS [XPARAM]"
    parser.description = "For ucarp's up and down scripts, which pass their own arguments on."
    # What no longer matters, and a script from before the agent may still say.
    parser.add_argument("--daemon", help=argparse.SUPPRESS)
    # An XPARAM may look like an option.
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options: argparse.Namespace, _report: "Callable[[str], None]") -> int:
    """Write the state that a script's words mean.

    Args:
        options: the parsed command line.

    Returns:
        The exit status.

    Raises:
        EventError: ucarp does not give these words to a script.
    """
    config = settings.load(options.conf)
    state = state_of(options.words)
    hook.apply(config, state, "ucarp", " ".join(options.words))
    return 0


def state_of(words: "list[str]") -> str:
    """Return the state that a script's words mean.

    Args:
        words: up or down, and then what ucarp gives the script.

    Raises:
        EventError: ucarp does not give these words to a script.
    """
    if len(words) not in (3, 4):
        raise hook.EventError(f"{len(words)} words, but ucarp's scripts give up|down INTERFACE ADDRESS [XPARAM]")
    if words[0] not in STATES:
        raise hook.EventError(f"not up or down: {words[0]}")
    return STATES[words[0]]
