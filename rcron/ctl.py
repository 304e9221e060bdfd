# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl: the administrator's command, which the feeders' hooks call, too.

This module parses the command line and calls the modules that rcron itself uses.
"""

import argparse
import errno
import importlib
import io
import os
import sys
from typing import Any, NoReturn

from rcron import __version__, ask, feeders, files, guard, hook, log, pin, settings, state, status, utf8
from rcron.hook import EX_CANTCREAT, EX_CONFIG, EX_TEMPFAIL, EX_USAGE

EX_OK = 0
EX_PASSIVE = 1
EX_DIFFERS = 1

_FIXES = {
    errno.EACCES: "; run this as root",
    errno.ENOENT: "; create the folder: after a deployment, systemd-tmpfiles --create does that",
    errno.ENOSPC: "; free some space there",
}


#: Who sets a state by hand.
_OPERATOR = "operator"

#: Where metrics keeps what it has counted.
_COUNTERS = "/var/lib/rcron/metrics.json"


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose exit status for a wrong command line is sysexits(3)'s, as rcron's is.

    Attributes:
        usage_status (int): that exit status, which is another one if a program of its own kind reads it.
    """

    usage_status = EX_USAGE

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and exit with usage_status."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_status, f"{self.prog}: {log.one_line(message)}\n")

    def _get_values(self, action: argparse.Action, arg_strings: "list[str]") -> Any:
        # `--for=--` and `-- --`: before Python 3.13, argparse removes the value and passes an empty list on.
        values = super()._get_values(action, arg_strings)
        if action.nargs is None and values == []:
            raise argparse.ArgumentError(action, "-- is not a value")
        return values


def main(argv: "list[str] | None" = None) -> int:
    """Be rcronctl.

    Args:
        argv: the words after the program's name; this process's own unless given.

    Returns:
        The exit status.
    """
    utf8.ensure()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A cluster's name may hold letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    argv = sys.argv[1:] if argv is None else argv
    if guard.is_meant(argv):
        return guard.main(argv)  # it reads its own options: see rcron/launcher.py
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except settings.ConfigError as error:
        return _complain(str(error), EX_CONFIG)
    except BrokenPipeError:
        return EX_OK  # `rcronctl status | head`
    except OSError as error:
        return _complain(_sentence(error), EX_CANTCREAT)


def _parser() -> _Parser:
    parser = _Parser(
        prog="rcronctl",
        description="Show and set this node's state in its cluster.",
        epilog="exit status: 0 done, or active; 1 is-active: passive; 64 wrong usage; 73 a state cannot be written; "
        "75 set: somebody else has spoken later; history: no answer; 78 missing or invalid configuration",
    )
    parser.add_argument("--version", action="version", version=f"rcronctl {__version__}")
    parser.add_argument("--conf", metavar="FILE", default=settings.DEFAULT_PATH, help="default: %(default)s")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    show = commands.add_parser("status", help="show the node's state and the reason for it")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(command=_status)

    is_active = commands.add_parser(
        "is-active",
        help="exit 0 if this node is active, 1 if it is passive",
        description="For scripts and monitoring. Prints the state.",
    )
    is_active.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    is_active.set_defaults(command=_is_active)

    # For the list of commands only: main leaves it to the module guard, which has a help of its own.
    guarded = commands.add_parser("guard", help="for systemd's ExecCondition=: start a service, or skip it if passive")
    for option in ("--takeover-wait", "--claim", "--claim-window", "--passive-status", "--ended", "--user"):
        guarded.add_argument(option)

    health = commands.add_parser(
        "health",
        help="answer Nagios, Icinga or Checkmk",
        description="Exits 0 for OK, 1 for WARNING, 2 for CRITICAL and 3 for UNKNOWN, and prints performance data.",
    )
    health.usage_status = 3
    health.add_argument("-w", "--warning", metavar="TIME", type=_duration, help="warn if the feeder is silent so long")
    health.add_argument("-c", "--critical", metavar="TIME", type=_duration, help="likewise, critical")
    health.add_argument("--pin-age", metavar="TIME", type=_duration, help="warn of a pin older than this (default: 1d)")
    health.add_argument("--no-feeder", action="store_true", help="accept that no feeder has reported yet")
    health.add_argument("--no-clock", action="store_true", help="accept a clock that is not synchronized")
    health.add_argument("--checkmk", action="store_true", help="print the line of a Checkmk local check, and exit 0")
    health.set_defaults(command=_health, error=health.error)

    metrics = commands.add_parser(
        "metrics",
        help="print metrics for Prometheus",
        description="Of all clusters whose configurations are in the folder of --conf, and of their entries.",
    )
    metrics.add_argument("--textfile", metavar="FILE", help="replace FILE, for node_exporter's textfile collector")
    metrics.add_argument(
        "--counters",
        metavar="FILE",
        default=_COUNTERS,
        help="keep in FILE what was counted so far (default: %(default)s)",
    )
    metrics.set_defaults(command=_metrics)

    set_state = commands.add_parser("set", help="write the state file, as a feeder would")
    set_state.add_argument("state", choices=(settings.ACTIVE, settings.PASSIVE))
    set_state.add_argument(
        "--feeder",
        metavar="NAME",
        default=_OPERATOR,
        help="the feeder's name, for status and the log (default: %(default)s)",
    )
    # A script from before rcron-agent may still say it.
    set_state.add_argument("--while", dest="gone", help=argparse.SUPPRESS)
    set_state.set_defaults(command=_set, error=set_state.error)

    pin_state = commands.add_parser(
        "pin",
        help="override the feeder until unpin, or for a time, for maintenance",
        description="The pin survives feeder events and reboots. It applies to this node only: before you pin one node "
        "active, pin the others passive.",
    )
    pin_state.add_argument("state", choices=(settings.ACTIVE, settings.PASSIVE))
    pin_state.add_argument(
        "--for", dest="seconds", metavar="TIME", type=_duration, help="end after a time such as 90s, 2h30m, 1d or 1w"
    )
    pin_state.set_defaults(command=_pin)

    unpin = commands.add_parser("unpin", help="remove the pin, so that the feeder decides again")
    unpin.set_defaults(command=_unpin)

    check = commands.add_parser("check", help="validate a configuration")
    check.add_argument("file", nargs="?", metavar="FILE", help="default: the file of --conf")
    check.set_defaults(command=_check)

    history = commands.add_parser(
        "history",
        help="show who ran what, and how it ended, on all nodes",
        description="Asks rcron-agent for what its engine holds; needs claims (rcron.conf(5)). Users other than root "
        "see their own jobs.",
    )
    history.add_argument("--job", metavar="NAME", default="", help="only this job: the name that --job gave it")
    history.add_argument(
        "--since", dest="seconds", metavar="TIME", type=_duration, help="only the last 90s, 2h30m, 1d or 1w"
    )
    kind = history.add_mutually_exclusive_group()
    kind.add_argument("--failed", action="store_true", help="only runs that failed, and claims that nobody ran")
    kind.add_argument("--unfinished", action="store_true", help="only runs whose end is not known")
    kind.add_argument(
        "--missed",
        action="store_true",
        help="when an entry of this node was due, and no node ran it, in the last day or --since; for root",
    )
    history.add_argument("--last", action="store_true", help="only each job's last run, among the last 5000")
    history.add_argument("--json", action="store_true", help="for programs: a line for each run")
    history.set_defaults(command=_history, error=history.error)

    migrate_check = commands.add_parser(
        "migrate-check",
        help="say what must change on a node that has used the C rcron",
        description="Examines the configuration, the state file and all crontabs of this node, and changes nothing. "
        "Exits 0 if nothing must be changed, 1 otherwise.",
    )
    migrate_check.add_argument("file", nargs="?", metavar="FILE", help="the rcron.conf; default: the file of --conf")
    migrate_check.set_defaults(command=_migrate_check)

    feed = commands.add_parser("feed", help="for feeders' hooks")
    feeds = feed.add_subparsers(metavar="FEEDER", required=True)
    for name in feeders.NAMES:
        module = importlib.import_module(f"rcron.feeders.{name}")
        feeder = feeds.add_parser(name, help=module.HELP)
        module.add_arguments(feeder)
        feeder.set_defaults(command=_feed, feeder=name, run=module.run)
    return parser


def _duration(value: str) -> int:
    try:
        return pin.duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _status(options: argparse.Namespace) -> int:
    facts = status.facts(settings.load(options.conf))
    if options.json:
        import json  # Debian's python3-minimal lacks it

        print(json.dumps(facts, indent=2))
    else:
        print(status.text(facts, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")), end="")
    return EX_OK


def _history(options: argparse.Namespace) -> int:
    from rcron import history

    config = settings.load(options.conf)
    wanted = "failed" if options.failed else "unfinished" if options.unfinished else ""
    if options.missed and options.last:
        options.error("--last is about runs, and --missed about those that there were not; give one of them")
    try:
        if options.missed:
            found = history.missed(config, options.job, options.seconds, options.json)
        else:
            found = history.lines(config, options.job, options.seconds, wanted, options.json, options.last)
        for line in found:
            print(line)
    except history.NoAnswerError as error:
        return _complain(str(error), EX_TEMPFAIL)
    return EX_OK


def _is_active(options: argparse.Namespace) -> int:
    verdict = state.current(settings.load(options.conf))
    if not options.quiet:
        print(verdict.state)
    return EX_OK if verdict.state == settings.ACTIVE else EX_PASSIVE


def _health(options: argparse.Namespace) -> int:
    from rcron import health

    if options.warning is not None and options.critical is not None and options.warning > options.critical:
        options.error("--warning is longer than --critical; give the shorter time first to --warning")
    limits = health.Limits(
        options.warning,
        options.critical,
        options.pin_age or health.PIN_AGE,
        not options.no_feeder,
        not options.no_clock,
    )
    return health.run(options.conf, limits, options.checkmk)


def _metrics(options: argparse.Namespace) -> int:
    from rcron import metrics

    metrics.run(options.conf, options.textfile, os.path.abspath(options.counters))
    return EX_OK


def _set(options: argparse.Namespace) -> int:
    if options.gone is not None:
        options.error(
            "there is no --while any more: a process that lives need not work; say `rcronctl set active` again and "
            "again, or let rcron-agent ask a command of yours (feeder = command in rcron-agent(8))"
        )
    config = settings.load(options.conf)
    given = hook.apply(config, options.state, options.feeder, f"set {options.state}")
    if given == hook.OVERTAKEN and state.from_file(config).state != options.state:
        return _complain("not set: a later event has come, see rcronctl status; set it again", EX_TEMPFAIL)
    if given == hook.REFUSED:
        return _complain(f"not set: {config.path} has feeder_name = {config.feeder_name}", EX_CONFIG)
    if given == hook.ASKED:
        return _complain("not set: it took too long; rcron-agent asks the feeder instead; set it again", EX_TEMPFAIL)
    if options.feeder == _OPERATOR:
        verdict = state.current(config)
        if verdict.source == state.PIN:
            print(f"{verdict.reason}: what was set counts after rcronctl unpin")
        if ask.is_served(config):
            print(
                f"rcron-agent asks the feeder, whose next answer counts; to overrule it: rcronctl pin {options.state}"
            )
    return EX_OK


def _pin(options: argparse.Namespace) -> int:
    config = settings.load(options.conf)
    folder = os.path.dirname(config.pin_file)
    os.umask(0o022)  # the administrator's may be stricter, but every user's jobs look for a pin
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    try:
        os.mkdir(folder, files.FOLDER_MODE)
    except FileExistsError:
        pass
    try:
        pin.check_folder(config)
    except ValueError as error:
        return _complain(f"{error}; not pinned", EX_CANTCREAT)
    pin.write(config, options.state, options.seconds)
    held = pin.read(config)
    until = status.moment(held.until) if held and held.until else "rcronctl unpin"
    log.change(config, f"state={options.state} status=pinned until={until}")
    print(f"pinned {options.state} until {until}")
    if options.state == settings.ACTIVE:
        print("rcron does not ask other nodes: make sure that none of them is active, or jobs run twice")
    return EX_OK


def _unpin(options: argparse.Namespace) -> int:
    config = settings.load(options.conf)
    if not pin.remove(config):
        print("there was no pin")
        return EX_OK
    verdict = state.current(config)
    log.change(config, f"state={verdict.state} status=unpinned")
    print(f"unpinned; now {verdict.state}: {verdict.reason}")
    return EX_OK


def _check(options: argparse.Namespace) -> int:
    config = settings.load(options.file or options.conf)
    print(
        f"{log.one_line(config.path)}: valid: cluster {config.cluster_name}, state file {config.state_file}, "
        f"default state {config.default_state}"
    )
    return EX_OK


def _migrate_check(options: argparse.Namespace) -> int:
    from rcron import migrate

    found, examined = migrate.findings(options.file or options.conf)
    for finding in found:
        print(log.one_line(f"{finding.level}: {finding.where}: {finding.text}"))
    to_fix = sum(finding.level == migrate.FIX for finding in found)
    print(log.one_line(f"{to_fix} to fix, {len(found) - to_fix} to look at in {', '.join(examined)}"))
    return EX_DIFFERS if to_fix else EX_OK


def _feed(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options, _report))
    except hook.EventError as error:
        _report(f"{options.feeder}: {error}; nothing changed")
        return EX_USAGE
    except settings.ConfigError as error:
        _report(str(error))
        return EX_CONFIG
    except OSError as error:
        _report(_sentence(error))
        return EX_CANTCREAT


def _report(line: str) -> None:
    """Report a line to syslog and to standard error: most daemons throw a hook's standard error away."""
    log.warning(None, line)
    _complain(line, 0)


def _sentence(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}{_FIXES.get(error.errno or 0, '')}"


def _complain(line: str, exit_status: int) -> int:
    """Print a line to standard error, whatever it quotes. Returns the exit status."""
    print(f"rcronctl: {log.one_line(line)}", file=sys.stderr)
    return exit_status


if __name__ == "__main__":
    sys.exit(main())
