# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron: run a job if this node is active, return at once if it is passive.

cron starts this for every prefixed crontab entry on every node. A passive run therefore imports nothing that the
interpreter has not loaded already, except for five small modules of this package.
"""

import _signal
import posix
import sys

# Before those that import names from it: only `from rcron import` finds a module in the package's bytecode.
from rcron import settings

# isort: split
from rcron import log, state

EX_USAGE = 64  # sysexits(3): wrong command line
EX_CONFIG = 78  # sysexits(3): unusable configuration

USAGE = """\
usage: rcron [--conf FILE] [--takeover-wait SECONDS] COMMAND [ARG...]
       rcron [--conf FILE] [--takeover-wait SECONDS] -c 'SHELL COMMAND'
       rcron --help | --version
"""

HELP = (
    USAGE
    + """
Runs COMMAND if this node is active; returns at once if it is passive.

  --conf FILE  the configuration (default: /etc/rcron/rcron.conf)
  --takeover-wait SECONDS
               if this node is passive, wait up to SECONDS for its promotion before
               ignoring the job: for jobs that are safe to run twice
  -c STRING    pass STRING to $SHELL (else /bin/sh) as cron does, for pipelines,
               lists and redirections

Exit status: the job's own; 128+N if signal N killed it; 127 not found;
126 not executable; passive_exit (0) if this node is passive; 64 wrong usage;
78 missing or invalid configuration, and then nothing is run.
"""
)


class UsageError(Exception):
    """A command line that rcron does not accept. The text is one line for a person."""


class Request:
    """What a command line asks for.

    Attributes:
        conf (str): the configuration's path.
        words (list[str]): the job's argv, or the one string that a shell reads if `shell` is true.
        shell (bool): whether a shell reads the words.
        takeover_wait (int | None): seconds, or None for the configuration's value.
    """

    __slots__ = ("conf", "shell", "takeover_wait", "words")

    def __init__(self) -> None:
        self.conf = settings.DEFAULT_PATH
        self.words: "list[str]" = []
        self.shell = False
        self.takeover_wait: "int | None" = None


def parse(argv: "list[str]") -> Request:
    """Read rcron's own options. They end at the first word that is not one, and the rest is passed to the job.

    Args:
        argv: the words after `rcron`.

    Returns:
        The request.

    Raises:
        UsageError: the command line is not accepted.
    """
    request = Request()
    at = 0
    while at < len(argv) and argv[at][:1] == "-":
        word = argv[at]
        at += 1
        if word == "--":
            break
        if word == "-c":
            if len(argv) != at + 1:
                raise UsageError("-c takes one word, the shell command; quote it")
            request.words = argv[at:]
            request.shell = True
            return request
        name, equals, value = word.partition("=")
        if name not in ("--conf", "--takeover-wait"):
            raise UsageError(f"unknown option {log.one_line(word)}; put -- before a COMMAND that begins with -")
        if not equals:
            if at == len(argv):
                raise UsageError(f"{name} takes a value")
            value = argv[at]
            at += 1
        if name == "--conf":
            request.conf = value
        else:
            try:
                request.takeover_wait = settings.seconds(value)
            except ValueError as error:
                raise UsageError(f"--takeover-wait: {error}") from None
    request.words = argv[at:]
    if not request.words:
        raise UsageError("no COMMAND")
    # The C rcron handed its words to system(3), so people wrote `rcron 'a | b'`.
    request.shell = len(request.words) == 1 and len(request.words[0].split()) > 1
    return request


def main(argv: "list[str] | None" = None) -> int:
    """Be rcron.

    Args:
        argv: the words after the program's name; this process's own unless given.

    Returns:
        The exit status.
    """
    argv = sys.argv[1:] if argv is None else argv
    is_utf8 = sys.getfilesystemencoding() == "utf-8"
    if not is_utf8:
        from rcron import utf8

        utf8.restart_unless_ascii(*argv)
    if argv[:1] == ["--help"]:
        _print(1, HELP)
        return 0
    if argv[:1] == ["--version"]:
        from rcron import __version__

        _print(1, f"rcron {__version__}\n")
        return 0
    try:
        request = parse(argv)
    except UsageError as error:
        _print(2, f"rcron: {error}\n{USAGE}")
        return EX_USAGE
    try:
        config = settings.load(request.conf)
    except settings.ConfigError as error:
        line = log.one_line(str(error))
        log.warning(None, f"{line}; not run: {log.command(request.words)}")
        _print(2, f"rcron: {line}\n")
        return EX_CONFIG
    if not is_utf8:
        utf8.restart_unless_ascii(config.state_file)
    verdict = state.current(config)
    if verdict.warning:
        log.warning(config, verdict.warning)
    mask = None
    if verdict.state == settings.PASSIVE:
        seconds = config.takeover_wait if request.takeover_wait is None else request.takeover_wait
        # A pinned node does not wait: it is passive because an administrator wants that.
        if seconds and verdict.source != state.PIN:
            from rcron import takeover

            verdict, mask = takeover.wait_for_promotion(config, seconds)
        if verdict.state == settings.PASSIVE:
            outcome = "stale" if verdict.source == state.STALE else "ignore"
            log.event(config, f"state=passive{verdict.field} status={outcome}", log.command(request.words))
            return int(config.passive_exit)
    from rcron import job

    return job.run(config, request.words, request.shell, verdict.field, mask)


def launch() -> None:
    """Be rcron and end this process without the interpreter's own tidying up, which takes a fifth of a passive run."""
    # Python's own handler would print a traceback, and the job must get the disposition that rcron was given.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    posix._exit(main())


def _print(fd: int, text: str) -> None:
    """Write without sys.stdout, which would have to be flushed. A closed descriptor is ignored: cron's job goes on."""
    try:
        posix.write(fd, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


if __name__ == "__main__":
    launch()
