# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
r"""wackamole: what it means that an address has been taken or released.

The contract (wackamole.conf(5), "RunDynamic"; perl.c, userloader.c and wackamole.c of 2.1.4, the last release):

- With `RunDynamic Module::function on up`, wackamole calls that Perl function inside its own process, as
  `function(\%first, [\%others], \%real)`, each hash with ifname, ip, broadcast and netmask: the first address of the
  virtual interface, up to 30 further ones of the same virtual interface, and the machine's own. The function does not
  learn which event it is, so each event needs a function of its own.
- The daemon waits for the function, and ends if it dies. Its arguments are freed afterwards.
- `on up` comes once for a virtual interface that was taken, when all its addresses are up. `on down` comes once for
  each of its addresses. `post up` and `post down` come after a whole round and name no address (0.0.0.0).
- TERM, INT and a lost Spread daemon release every virtual interface of the configuration, held or not. KILL releases
  none: Spread informs the other machines, and no function is called here.
- The function's child processes inherit all descriptors, including the connection to Spread.

roles/rcron_wackamole's Rcron.pm is that module: it picks rcron's addresses and calls this.
"""

import argparse
from collections.abc import Callable

from rcron import hook, settings
from rcron.settings import ACTIVE, PASSIVE

HELP = "follow one of wackamole's addresses"

#: What each event of the address that the jobs go with means for the node.
STATES = {"up": ACTIVE, "down": PASSIVE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed wackamole`.
    """
    parser.description = "For the Perl module Rcron.pm, which wackamole calls."
    # What no longer matters, and a wackamole that has not been restarted since the agent came still says.
    parser.add_argument("--daemon", help=argparse.SUPPRESS)
    parser.add_argument("event", metavar="up|down", help="whether the address was taken or released")
    parser.add_argument("address", metavar="ADDRESS", help="the address that the jobs go with")


def run(options: argparse.Namespace, _report: "Callable[[str], None]") -> int:
    """Write the state that an event means.

    Args:
        options: the parsed command line.

    Returns:
        The exit status.

    Raises:
        EventError: wackamole does not have this event.
    """
    config = settings.load(options.conf)
    if options.event not in STATES:
        raise hook.EventError(f"not up or down: {options.event}")
    hook.apply(config, STATES[options.event], "wackamole", f"{options.event} {options.address}")
    return 0
