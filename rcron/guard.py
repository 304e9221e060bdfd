# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcronctl guard`: systemd asks whether a service may start here, and reports how it ended.

The contract is that of ExecCondition= (systemd.service(5)): 0 starts the service, 1 to 254 skip it, and 255 or a signal
fail it. So 1 means that this node is passive, and whatever else keeps the service from starting is 255: a fault must
not look like a passive node. systemd starts this for every guarded service on every node, so that, as in __main__.py,
nothing is imported that a passive node does not need.

`--ended` is for ExecStopPost=, which systemd runs after a skip, too, with the service's end in the environment
(systemd.exec(5), $SERVICE_RESULT).
"""

import posix
import sys

# Before those that import names from it: only `from rcron import` finds a module in the package's bytecode.
from rcron import settings

# isort: split
from rcron import log, state

TYPE_CHECKING = False  # typing's own, which would cost an import
if TYPE_CHECKING:
    from collections.abc import Callable

#: The exit statuses. systemd gives the first three their meaning.
STARTS = 0
SKIPPED = 1
FAILED = 255
EX_USAGE = 64  # sysexits(3)

USAGE = """\
usage: rcronctl [--conf FILE] guard [--takeover-wait SECONDS] [--claim MODE]
                [--claim-window SECONDS] [--passive-status N] [--user] UNIT
       rcronctl [--conf FILE] guard --ended [--claim MODE] [--user] UNIT
"""

HELP = (
    USAGE
    + """
For systemd's ExecCondition=: may the service UNIT start on this node?

  --takeover-wait SECONDS
                if this node is passive, wait up to SECONDS for its promotion
  --claim MODE  off, required or preferred: whether the run is claimed (default: what
                the configuration says)
  --claim-window SECONDS
                claim the service for SECONDS from now on, instead of one run
  --passive-status N
                the exit status on a passive node, 1 to 254 (default: 1)
  --ended       for ExecStopPost=: log how the service ended
  --user        the service is one of the user's own service manager

Exit status: 0 active, the service starts; 1 passive, systemd skips it; 255 for
everything else, and the service fails.
"""
)


class UsageError(Exception):
    """A command line that guard does not accept. The text is one line for a person."""


class Request:
    """What a command line asks for.

    Attributes:
        claim (str): the argument of --claim, or an empty string for the configuration's value.
        claim_window (int): for how many seconds from now on the service is claimed; 0: only this run is.
        conf (str): the configuration's path.
        unit (str): the service's name.
        ended (bool): whether the service has ended.
        user (bool): whether it is a user's own.
        watch (bool): whether this is the process that stops the service when the node turns passive (rcron/stopper.py).
        passive_status (int): the exit status if this node is passive.
        takeover_wait (int | None): seconds, or None for the configuration's value.
    """

    __slots__ = ("claim", "claim_window", "conf", "ended", "passive_status", "takeover_wait", "unit", "user", "watch")

    def __init__(self) -> None:
        self.claim = ""
        self.claim_window = 0
        self.conf = settings.DEFAULT_PATH
        self.unit = ""
        self.ended = False
        self.user = False
        self.watch = False
        self.passive_status = SKIPPED
        self.takeover_wait: "int | None" = None


def _skipping(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 3 and 0 < int(value) < 255):
        raise ValueError(f'"{log.one_line(value)}" is not one of 1 to 254, which make systemd skip')
    return int(value)


#: Every option that takes a value: its name -> the attribute of Request that it sets, and the parser of its text.
OPTIONS: "dict[str, tuple[str, Callable[[str], object]]]" = {
    "--conf": ("conf", str),
    "--takeover-wait": ("takeover_wait", settings.seconds),
    "--claim": ("claim", settings.claim_mode),
    "--claim-window": ("claim_window", settings.positive_seconds),
    "--passive-status": ("passive_status", _skipping),
}


def is_meant(argv: "list[str]") -> bool:
    """Return whether a command line of rcronctl is one of `guard`.

    Args:
        argv: the words after the program's name.
    """
    # The only option that rcronctl has before its commands.
    if argv[:1] == ["--conf"]:
        return argv[2:3] == ["guard"]
    if argv[:1] and argv[0][:7] == "--conf=":
        return argv[1:2] == ["guard"]
    return argv[:1] == ["guard"]


def parse(argv: "list[str]") -> Request:
    """Read a command line for which `is_meant` is true.

    Args:
        argv: the words after the program's name.

    Returns:
        The request.

    Raises:
        UsageError: the command line is not accepted.
    """
    request = Request()
    flags = {"--ended": "ended", "--user": "user", "--watch": "watch"}
    units = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word in flags:
            setattr(request, flags[word], True)
        elif name in OPTIONS:
            if not equals:
                value = next(words, "")
            attribute, parser = OPTIONS[name]
            try:
                setattr(request, attribute, parser(value))
            except ValueError as error:
                raise UsageError(f"{name}: {error}") from None
        elif word[:1] == "-":
            raise UsageError(f"unknown option {log.one_line(word)}")
        else:
            units.append(word)
    if len(units) != 2:
        raise UsageError("guard takes one UNIT, the service's name: %n in a unit file")
    request.unit = units[1]
    if request.unit[-8:] != ".service" or not request.unit.isprintable() or " " in request.unit:
        raise UsageError(f"{log.one_line(request.unit)} is not a service: ExecCondition= is one of services")
    return request


def main(argv: "list[str]") -> int:
    """Be `rcronctl guard`.

    Args:
        argv: the words after the program's name.

    Returns:
        The exit status.
    """
    if sys.getfilesystemencoding() != "utf-8":
        from rcron import utf8

        utf8.restart_unless_ascii(*argv)
    if "--help" in argv or "-h" in argv:
        _print(1, HELP)
        return STARTS
    try:
        request = parse(argv)
    except UsageError as error:
        log.warning(None, f"rcronctl guard: {error}; not started: {' '.join(argv)}")
        _print(2, f"rcronctl: {error}\n{USAGE}")
        return FAILED
    try:
        config = settings.load(request.conf)
    except settings.ConfigError as error:
        consequence = "its end is not logged" if request.ended else "not started"
        log.warning(None, f"{error}; {consequence}: {request.unit}")
        _print(2, f"rcronctl: {log.one_line(str(error))}\n")
        return STARTS if request.ended else FAILED
    if request.ended:
        return _ended(config, request)
    if request.watch:
        from rcron import stopper

        return stopper.watch(config, request.unit, request.user, fields(request.unit))
    return _decide(config, request)


def _decide(config: settings.Config, request: Request) -> int:
    """Decide whether a service starts, and log that."""
    fire = None
    mode = request.claim or config.claim
    verdict = state.current(config)
    if verdict.warning:
        log.warning(config, verdict.warning)
    if verdict.state == settings.PASSIVE:
        seconds = config.takeover_wait if request.takeover_wait is None else request.takeover_wait
        # A pinned node does not wait: it is passive because an administrator wants that.
        if seconds and verdict.source != state.PIN:
            if mode != settings.OFF:
                from rcron import claim

                fire = claim.identify_service(request.claim_window)
            from rcron import takeover

            verdict, _mask = takeover.wait_for_promotion(config, seconds)
        if verdict.state == settings.PASSIVE:
            outcome = "stale" if verdict.source == state.STALE else "ignore"
            event(config, f"state=passive{verdict.field} status={outcome}", request.unit)
            return request.passive_status
    field = verdict.field
    if mode != settings.OFF:
        from rcron import claim

        log.name_job(request.unit)
        made = claim.Claim(config, request.unit, [request.unit], False, request.claim_window)
        found = made.decide(fire or claim.identify_service(request.claim_window), mode, field)
        if found == claim.IGNORE:
            return request.passive_status
        if found == claim.REFUSE:
            return FAILED
        log.forget_job()
        if found == claim.RUN_UNCLAIMED:
            field += f" claim={claim.UNKNOWN}"
    if config.on_demotion == settings.TERMINATE:
        from rcron import stopper

        try:
            stopper.start(sys.argv[0], config.path, request.unit, request.user)
        except OSError as error:
            problem = f"{request.unit}: nothing would stop it on a demotion (on_demotion = terminate): {error}"
            log.warning(config, f"{problem}; not started")
            _print(2, f"rcronctl: {log.one_line(problem)}\n")
            return FAILED
    event(config, f"state=active{field} status=start", request.unit)
    return STARTS


def _ended(config: settings.Config, request: Request) -> int:
    """Log how a service ended, unless it was skipped.

    Returns:
        0: what is wrong here must not make a service fail that has done its work.
    """
    result = posix.environ.get(b"SERVICE_RESULT", b"")
    if result == b"exec-condition":
        return STARTS
    from rcron import stopper

    exit_status = _exit_status(posix.environ.get(b"EXIT_CODE", b""), posix.environ.get(b"EXIT_STATUS", b""), result)
    outcome = "ok" if result == b"success" else "fail"
    seconds = stopper.duration(request.unit, request.user)
    event(config, f"state=active status={outcome} dur={seconds} exit={exit_status}", request.unit)
    if (request.claim or config.claim) != settings.OFF:
        from rcron import claim

        made = claim.Claim(config, request.unit, [request.unit], False, 0)
        made.ended(claim.Fire(claim.ANY_FIRE, claim.invocation(), True), exit_status, seconds)
    if config.on_demotion == settings.TERMINATE:
        stopper.end(request.unit, request.user)
    return STARTS


def _exit_status(code: bytes, status: bytes, result: bytes) -> int:
    """Return a service's exit status as a shell reports it.

    Args:
        code: $EXIT_CODE: `exited`, `killed` or `dumped`, or empty if the service's own process never ran.
        status: $EXIT_STATUS: a number or, of a process that was killed, the signal's name.
        result: $SERVICE_RESULT.
    """
    if status.isdigit():
        return int(status[:3])
    if code in (b"killed", b"dumped"):
        import _signal

        # One that this Python has no name for is counted as KILL.
        return 128 + int(getattr(_signal, f"SIG{status.decode('ascii', 'replace')}", 9))
    return STARTS if result == b"success" else FAILED


def event(config: settings.Config, text: str, unit: str) -> None:
    """Log a service's start, skip or end, as a job's is logged.

    Args:
        config: the cluster's.
        text: the line's middle, such as `state=passive status=ignore`.
        unit: the service's name.
    """
    log.event(config, f"{text}{fields(unit)}", log.command([unit]))


def fields(unit: str) -> str:
    r"""Return the field ` job=UNIT`. A name with a backslash, which \x2d in it is written with, is quoted.

    Args:
        unit: the service's name.
    """
    if "\\" not in unit:
        return f" job={unit}"
    escaped = unit.replace("\\", "\\\\")
    return f' job="{escaped}"'


def launch() -> None:
    """Be `rcronctl guard` and end this process without the interpreter's own tidying up.

    An exception would end Python with 1, by which systemd would take this node for a passive one.
    """
    exit_status = FAILED
    try:
        exit_status = main(sys.argv[1:])
    except BaseException:  # whatever it is
        import traceback

        text = traceback.format_exc()
        log.warning(None, f"rcronctl guard: {text}")
        _print(2, text)
    finally:
        posix._exit(exit_status)


def _print(fd: int, text: str) -> None:
    """Write without sys.stdout, which would have to be flushed."""
    try:
        posix.write(fd, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # a closed descriptor
