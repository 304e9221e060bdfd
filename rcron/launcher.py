# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The texts of the programs that /usr/bin/rcron, rcronctl and rcron-agent lead to. An installation fills them in.

`python` and `library` are paths, for str.format. Python compiles a launcher anew each time: hence so short.

`rcronctl guard` has a way of its own: systemd starts it for each guarded service, so it must not take the time that
ctl's imports take; and whatever keeps it from answering must not end with 1, which means passive.

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
try:
    from rcron import guard

    if guard.is_meant(sys.argv[1:]):
        guard.launch()
except BaseException:
    if "guard" in sys.argv:
        import posix

        sys.excepthook(*sys.exc_info())
        posix._exit(255)
    raise
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
