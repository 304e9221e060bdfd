# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron-agent, or `python3 -m rcron.agent`: runs in the foreground until TERM; HUP has the clusters' files reread."""

import sys

from rcron import utf8
from rcron.agent import clusters
from rcron.agent.loop import Loop

EX_USAGE = 64  # sysexits(3): wrong command line

USAGE = f"""\
usage: rcron-agent [--clusters FOLDER | --help]

Keeps the state of each cluster that has a file in FOLDER (default: {clusters.FOLDER})
at what its daemon says. Runs in the foreground; HUP has the folder read anew.
"""


def main(argv: "list[str] | None" = None) -> int:
    """Be rcron-agent.

    Args:
        argv: The words after the program's name; this process's own if None.

    Returns:
        The exit status.
    """
    utf8.ensure()
    words = sys.argv[1:] if argv is None else argv
    if words == ["--help"]:
        sys.stdout.write(USAGE)
        return 0
    if words and (len(words) != 2 or words[0] != "--clusters"):
        sys.stderr.write(USAGE)
        return EX_USAGE
    Loop(words[1] if words else clusters.FOLDER).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
