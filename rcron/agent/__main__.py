# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron-agent, or `python3 -m rcron.agent`: runs in the foreground until TERM; HUP has the clusters' files reread."""

import sys

from rcron import settings, utf8
from rcron.agent import clusters
from rcron.agent.loop import Loop

EX_USAGE = 64  # sysexits(3): wrong command line

USAGE = f"""\
usage: rcron-agent [--clusters FOLDER]
       rcron-agent --conf FILE --agent-conf FILE [--user NAME]
       rcron-agent --help

Keeps the state of each cluster that has a file in FOLDER (default: {clusters.FOLDER})
at what its daemon says. Runs in the foreground; HUP has the folder read anew.

With --agent-conf it serves claims instead: it makes them in the engine that this
file names, for jobs that ask at claim.sock beside the state file of --conf. If root
starts it, it becomes the user NAME (default: nobody) before it serves anybody.
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
    options = _options(words)
    if options is None or (options.keys() & {"--conf", "--agent-conf", "--user"} and "--clusters" in options):
        sys.stderr.write(USAGE)
        return EX_USAGE
    if "--agent-conf" in options:
        from rcron.agent import ledger  # only here: a feeder's agent needs neither threads for it nor its memory

        conf = options.get("--conf", settings.DEFAULT_PATH)
        return ledger.serve(conf, options["--agent-conf"], options.get("--user", "nobody"))
    if options.keys() & {"--conf", "--user"}:
        sys.stderr.write(USAGE)
        return EX_USAGE
    Loop(options.get("--clusters", clusters.FOLDER)).run()
    return 0


def _options(words: "list[str]") -> "dict[str, str] | None":
    """Return what each option is given, or None if the command line is not accepted."""
    found: "dict[str, str]" = {}
    names, values = words[::2], words[1::2]
    for name, value in zip(names, values):
        if name not in ("--clusters", "--conf", "--agent-conf", "--user") or name in found or not value:
            return None
        found[name] = value
    return found if len(names) == len(values) else None


if __name__ == "__main__":
    sys.exit(main())
