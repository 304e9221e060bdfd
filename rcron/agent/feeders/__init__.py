# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What asks each feeder's daemon: one module per feeder.

Apart from rcron/feeders/, because a hook need not load what asks, and the agent need not load what reads a hook's
command line. Each module has OPTIONS, the names that a cluster's file in agent.d may give beside `conf` and `feeder`
(name -> (parser, default), where a default of None makes the name compulsory), and `truth(config, options) -> Truth`.
"""

import os

#: The feeders that can be asked, sorted: the modules in this folder.
NAMES = tuple(sorted(name[:-3] for name in os.listdir(__path__[0]) if name.endswith(".py") and name[0] != "_"))
