# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One module per feeder: its daemon's events in, a state (or nothing) out.

Each has a docstring that tells the daemon's contract and its source, and HELP (a line for `rcronctl feed --help`),
`add_arguments(parser)` for its command line, and `run(options, report)`, which is given that command line
(`options.conf` is the configuration's path) and a function that tells the administrator a line, and returns the exit
status. It may raise rcron.hook.EventError, ConfigError and OSError: rcronctl tells what they say.
"""

import os

#: The feeders that `rcronctl feed` knows, sorted: the modules in this folder.
NAMES = tuple(sorted(name[:-3] for name in os.listdir(__path__[0]) if name.endswith(".py") and name[0] != "_"))
