# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One module per feeder: it takes its daemon's events and gives a state, or nothing.

Each module has a docstring with the daemon's contract and its source; HELP, a line for `rcronctl feed --help`;
`add_arguments(parser)` for its command line; and `run(options, report)`, which returns the exit status. `options` is
the parsed command line (`options.conf` is the configuration's path), and `report` takes a line for the administrator.
`run` may raise rcron.hook.EventError, ConfigError and OSError, which rcronctl reports.
"""

import os

from rcron.settings import ANY

#: The feeders that `rcronctl feed` knows, sorted: the modules in this folder.
NAMES = tuple(sorted(name[:-3] for name in os.listdir(__path__[0]) if name.endswith(".py") and name[0] != "_"))


def is_another(feeder: str, feeder_name: str) -> bool:
    """Return whether a feeder is one of NAMES, and not the one that a cluster's `feeder_name` allows.

    Args:
        feeder: the one that speaks.
        feeder_name: what the cluster's configuration says.
    """
    return feeder in NAMES and feeder_name not in (ANY, feeder)
