# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One module per feeder: its daemon's events in, a state (or nothing) out.

Each has a docstring that tells the daemon's contract and its source, and HELP (a line for `rcronctl feed --help`),
`add_arguments(parser)` for its command line, and `run(options, report)`, which is given that command line
(`options.conf` is the configuration's path) and a function that tells the administrator a line, and returns the exit
status. It may raise rcron.hook.EventError, ConfigError and OSError: rcronctl tells what they say.
"""

#: What `rcronctl feed` knows: the modules' names.
NAMES = ("heartbeat", "keepalived", "pacemaker", "patroni", "ucarp", "wackamole")
