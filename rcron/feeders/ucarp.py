# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp: what its up and down scripts mean.

The contract (ucarp(8); src/spawn.c and src/carp.c of 1.5.2; tried on Debian's 1.5.2+git20192404.1a9aaf7-1):

- `--upscript` and `--downscript` are executed without a shell as `SCRIPT INTERFACE ADDRESS [XPARAM]`, ADDRESS being the
  virtual one. ucarp's own file descriptors stay open in them.
- ucarp waits for the script, without a limit, and sends no adverts meanwhile: a script that takes longer than its
  peers' patience (deadratio x advbase) costs the role. It ignores the exit status.
- The down script runs at start, unless `--neutral` is given; at an exit by TERM, INT, HUP or QUIT only with
  `--shutdown`, and only where ucarp was master; and not when it is killed or its interface goes away.
- No peer is told of an exit: it takes as long to take over from a ucarp that was stopped as from one that was killed.
"""

import argparse
from collections.abc import Callable

from rcron import hook, process, settings
from rcron.settings import ACTIVE, PASSIVE

HELP = "follow ucarp's up and down scripts"

#: What each script means.
STATES = {"up": ACTIVE, "down": PASSIVE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `rcronctl feed ucarp` its command line. parser: the command's."""
    parser.usage = "%(prog)s [--daemon PID] up|down INTERFACE ADDRESS [XPARAM]"
    parser.description = (
        "For ucarp's up and down scripts, which hand their own arguments on. While the node is active, a process "
        "watches ucarp and makes the node passive at its end."
    )
    parser.add_argument(
        "--daemon",
        metavar="PID",
        type=int,
        default=0,
        help="ucarp's process, where this command may outlive the script (default: the nearest ucarp above this one)",
    )
    # An XPARAM may look like an option.
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(options: argparse.Namespace, _report: "Callable[[str], None]") -> int:
    """Write the state that a script's words mean. options: as add_arguments has them. Returns the exit status.

    Raises EventError for words that no script of ucarp's is given.
    """
    config = settings.load(options.conf)
    state = state_of(options.words)
    hook.apply(config, state, "ucarp", " ".join(options.words), options.daemon or process.ancestor("ucarp"))
    return 0


def state_of(words: "list[str]") -> str:
    """What a script's words mean: up or down, and then what ucarp gives the script.

    Returns the state. Raises EventError.
    """
    if len(words) not in (3, 4):
        raise hook.EventError(f"{len(words)} words where the scripts of ucarp give up|down INTERFACE ADDRESS [XPARAM]")
    if words[0] not in STATES:
        raise hook.EventError(f"neither up nor down: {words[0]}")
    return STATES[words[0]]
