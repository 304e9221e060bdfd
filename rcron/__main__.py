# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron: run a job where this node is active, return at once where it is passive.

This is what cron starts for every prefixed crontab entry on every node, so a passive run imports nothing that the
interpreter has not loaded already but four small modules of ours.
"""

import posix
import sys

from rcron import config as configuration
from rcron import log, state

EX_USAGE = 64  # sysexits(3): wrong command line
EX_CONFIG = 78  # sysexits(3): unusable configuration

USAGE = """\
usage: rcron [--conf FILE] COMMAND [ARG...]
       rcron [--conf FILE] -c 'SHELL COMMAND'
       rcron --help | --version
"""

HELP = (
    USAGE
    + """
Runs COMMAND where this node is active; returns at once where it is passive.

  --conf FILE  the configuration (default: /etc/rcron/rcron.conf)
  -c STRING    hand STRING to $SHELL (else /bin/sh) as cron does, for pipelines,
               lists and redirections

Exit status: the job's own; 128+N where signal N killed it; 127 not found;
126 not executable; passive_exit (0) where this node is passive; 64 wrong usage;
78 missing or invalid configuration, and then nothing is run.
"""
)


class UsageError(Exception):
    """A command line that cannot be meant. Its text is one line for a person."""


class Request:
    """What a command line asks for: conf, the configuration's path; words, the job's argv, or the one string that a
    shell is to read where `shell` is true."""

    __slots__ = ("conf", "shell", "words")

    def __init__(self, conf: str, words: "list[str]", shell: bool) -> None:
        self.conf = conf
        self.words = words
        self.shell = shell


def parse(argv: "list[str]") -> Request:
    """Read rcron's own options; they end at the first word that is none, and all from there on is the job's.

    argv: the words after `rcron`. Returns the Request. Raises UsageError.
    """
    conf = configuration.DEFAULT_PATH
    at = 0
    while at < len(argv):
        word = argv[at]
        if word[:1] != "-":
            break
        if word == "--":
            at += 1
            break
        if word == "-c":
            if len(argv) != at + 2:
                raise UsageError("-c takes one word, the shell command: quote it")
            return Request(conf, argv[at + 1 :], True)
        if word == "--conf":
            if at + 1 == len(argv):
                raise UsageError("--conf takes a file name")
            conf = argv[at + 1]
            at += 2
        elif word.startswith("--conf="):
            conf = word[7:]
            at += 1
        else:
            raise UsageError(f"unknown option {log.one_line(word)}; a COMMAND that begins with - goes after --")
    words = argv[at:]
    if not words:
        raise UsageError("no COMMAND")
    # The C rcron handed its words to system(3), so people wrote `rcron 'a | b'`.
    return Request(conf, words, len(words) == 1 and len(words[0].split()) > 1)


def main(argv: "list[str] | None" = None) -> int:
    """Be rcron. argv: the words after the program's name (default: this process's own). Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
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
        config = configuration.load(request.conf)
    except configuration.ConfigError as error:
        line = log.one_line(str(error))
        log.warning(None, f"{line}; not run: {log.command(request.words)}")
        _print(2, f"rcron: {line}\n")
        return EX_CONFIG
    verdict = state.current(config)
    if verdict.warning:
        log.warning(config, verdict.warning)
    if verdict.state == configuration.PASSIVE:
        log.event(config, "state=passive status=ignore", request.words)
        return config.passive_exit
    from rcron import job

    return job.run(config, request.words, request.shell)


def launch() -> None:
    """Be rcron and end this process, without the interpreter's own tidying up: a fifth of a passive run's time."""
    posix._exit(main())


def _print(fd: int, text: str) -> None:
    """Write without sys.stdout, which would have to be flushed. A closed descriptor is no error: cron's job goes on."""
    try:
        posix.write(fd, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


if __name__ == "__main__":
    launch()
