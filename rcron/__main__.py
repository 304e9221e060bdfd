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

TYPE_CHECKING = False  # typing's own, which would cost an import
if TYPE_CHECKING:
    from collections.abc import Callable

EX_USAGE = 64  # sysexits(3): wrong command line
EX_CONFIG = 78  # sysexits(3): unusable configuration

USAGE = """\
usage: rcron [OPTION...] COMMAND [ARG...]
       rcron [OPTION...] -c 'SHELL COMMAND'
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
  --job NAME   the job's name, for the log and for claims
  --claim off|required|preferred
               whether this run is claimed, so that no other node runs it, too
  --fire TEXT  which of the job's runs this is, instead of cron's minute
  --claim-window SECONDS
               claim the time from now on instead: for timers with a random delay
  -c STRING    pass STRING to $SHELL (else /bin/sh) as cron does, for pipelines,
               lists and redirections

Exit status: the job's own; 128+N if signal N killed it; 127 not found;
126 not executable; passive_exit (0) if this node is passive or another node has
claimed this run; 64 wrong usage; 75 a required claim could not be made; 78 missing
or invalid configuration. With 64, 75 and 78 nothing is run.
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
        job (str): the job's name, or an empty string.
        claim (str | None): `off`, `required` or `preferred`, or None for the configuration's value.
        fire (str): which of the job's runs this is, or an empty string if rcron is to find out.
        claim_window (int): for how many seconds from now on the job is claimed; 0: only this run is.
    """

    __slots__ = ("claim", "claim_window", "conf", "fire", "job", "shell", "takeover_wait", "words")

    def __init__(self) -> None:
        self.conf = settings.DEFAULT_PATH
        self.words: "list[str]" = []
        self.shell = False
        self.takeover_wait: "int | None" = None
        self.job = ""
        self.claim: "str | None" = None
        self.fire = ""
        self.claim_window = 0


#: The longest name of a job or a run, in characters.
MAX_NAME = 100


def _name(value: str) -> str:
    if not value.isprintable() or not 0 < len(value) <= MAX_NAME or value != value.strip() or value[0] == "~":
        raise ValueError(
            f"not 1 to {MAX_NAME} printable characters that begin and end with no blank and do not begin with ~"
        )
    return value


#: Every option that takes a value: its name -> the attribute of Request that it sets, and the parser of its text.
OPTIONS: "dict[str, tuple[str, Callable[[str], object]]]" = {
    "--conf": ("conf", str),
    "--takeover-wait": ("takeover_wait", settings.seconds),
    "--job": ("job", _name),
    "--claim": ("claim", settings.claim_mode),
    "--fire": ("fire", _name),
    "--claim-window": ("claim_window", settings.positive_seconds),
}


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
            return _checked(request)
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise UsageError(f"unknown option {log.one_line(word)}; put -- before a COMMAND that begins with -")
        if not equals:
            if at == len(argv):
                raise UsageError(f"{name} takes a value")
            value = argv[at]
            at += 1
        attribute, parser = OPTIONS[name]
        try:
            setattr(request, attribute, parser(value))
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    request.words = argv[at:]
    if not request.words:
        raise UsageError("no COMMAND")
    # The C rcron handed its words to system(3), so people wrote `rcron 'a | b'`.
    request.shell = len(request.words) == 1 and len(request.words[0].split()) > 1
    return _checked(request)


def _checked(request: Request) -> Request:
    if request.fire and request.claim_window:
        raise UsageError("--fire and --claim-window exclude each other; use the one that fits the scheduler")
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
    if request.job:
        log.name_job(request.job)
    verdict = state.current(config)
    if verdict.warning:
        log.warning(config, verdict.warning)
    mask = None
    claim_mode = request.claim or config.claim
    fire = None
    if verdict.state == settings.PASSIVE:
        seconds = config.takeover_wait if request.takeover_wait is None else request.takeover_wait
        # A pinned node does not wait: it is passive because an administrator wants that.
        if seconds and verdict.source != state.PIN:
            if claim_mode != settings.OFF:
                from rcron import claim

                fire = claim.identify(request.fire, request.claim_window)
            from rcron import takeover

            verdict, mask = takeover.wait_for_promotion(config, seconds)
        if verdict.state == settings.PASSIVE:
            outcome = "stale" if verdict.source == state.STALE else "ignore"
            log.event(config, f"state=passive{verdict.field} status={outcome}", log.command(request.words))
            return int(config.passive_exit)
    if claim_mode != settings.OFF:
        from rcron import claim

        made = claim.Claim(config, request.job, request.words, request.shell, request.claim_window)
        fire = fire or claim.identify(request.fire, request.claim_window)
        return made.run(fire, claim_mode, verdict.field, mask)
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
