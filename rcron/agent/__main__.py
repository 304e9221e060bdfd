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
       rcron-agent --agent-conf FILE [--user NAME] --check | --forget CLUSTER
       rcron-agent --help

Keeps the state of each cluster that has a file in FOLDER (default: {clusters.FOLDER})
at what its daemon says. Runs in the foreground; HUP has the folder read anew.

With --agent-conf it serves claims instead: it makes them in the engine that this
file names, for jobs that ask at claim.sock beside the state file of --conf. If root
starts it, it becomes the user NAME (default: nobody) before it serves or asks anybody.
With --check it tries the engine out with a claim that it deletes again, and says how
the engine is; with --forget it deletes all claims of a cluster. Both end then.
"""

#: Which options go together.
FORMS = (
    ("--clusters",),
    ("--agent-conf", "--conf", "--user"),
    ("--agent-conf", "--user", "--check"),
    ("--agent-conf", "--user", "--forget"),
)


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
    if options is None or not any(options.keys() <= set(form) for form in FORMS):
        sys.stderr.write(USAGE)
        return EX_USAGE
    if "--agent-conf" not in options:
        if options.keys() - {"--clusters"}:
            sys.stderr.write(USAGE)
            return EX_USAGE
        Loop(options.get("--clusters", clusters.FOLDER)).run()
        return 0
    from rcron.agent import ledger  # only here: a feeder's agent needs neither threads for it nor its memory

    user = options.get("--user", "nobody")
    if "--check" in options:
        return ledger.check(options["--agent-conf"], user)
    if "--forget" in options:
        return ledger.forget(options["--agent-conf"], user, options["--forget"])
    return ledger.serve(options.get("--conf", settings.DEFAULT_PATH), options["--agent-conf"], user)


def _options(words: "list[str]") -> "dict[str, str] | None":
    """Return what each option is given, or None if the command line is not accepted."""
    found: "dict[str, str]" = {}
    left = list(words)
    while left:
        name = left.pop(0)
        value = "yes" if name == "--check" else left.pop(0) if left else ""
        if name in found or not value:
            return None
        found[name] = value
    return found


if __name__ == "__main__":
    sys.exit(main())
