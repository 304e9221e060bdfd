# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The texts of the programs that /usr/bin/rcron, rcronctl and rcron-agent lead to. An installation fills them in.

`python` and `library` are paths, for str.format. Python compiles a launcher anew each time: hence so short.

Python ignores an -X option that it does not know. This one shows, in a process's command line, which folder the process
still needs.
"""

LAUNCHER = """\
#!{python} -ISXrcron={library}
import sys

sys.path.insert(0, "{library}")
from rcron import __main__

__main__.launch()
"""

CTL_LAUNCHER = """\
#!{python} -ISXrcron={library}
import sys

sys.path.insert(0, "{library}")
from rcron.ctl import main

sys.exit(main())
"""

AGENT_LAUNCHER = """\
#!{python} -ISXrcron={library}
import sys

sys.path.insert(0, "{library}")
from rcron.agent.__main__ import main

sys.exit(main())
"""
