# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl: the administrator's command, and what the feeders' hooks call.

The command line is parsed here, and that is all; what is asked for is done by the modules that rcron itself uses.
"""

import argparse
import errno
import importlib
import io
import os
import sys
from typing import Any, NoReturn

from rcron import __version__, feeders, hook, log, pin, process, settings, state, status
from rcron.hook import EX_CANTCREAT, EX_CONFIG, EX_USAGE

EX_OK = 0
EX_PASSIVE = 1

_MENDS = {
    errno.EACCES: "; do it as root",
    errno.ENOENT: "; create the folder, as systemd-tmpfiles --create does after a deployment",
    errno.ENOSPC: "; make room there",
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose exit status for a wrong command line is sysexits(3)'s, as rcron's is."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"{self.prog}: {log.one_line(message)}\n")

    def _get_values(self, action: argparse.Action, arg_strings: "list[str]") -> Any:
        # `--for=--` and `-- --`: before Python 3.13, argparse takes the value away and hands on a list without any.
        values = super()._get_values(action, arg_strings)
        if action.nargs is None and values == []:
            raise argparse.ArgumentError(action, "-- is no value")
        return values


def main(argv: "list[str] | None" = None) -> int:
    """Be rcronctl. argv: the words after the program's name (default: this process's own). Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A cluster's name may hold letters that the terminal's encoding has not.
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except settings.ConfigError as error:
        return _complain(str(error), EX_CONFIG)
    except BrokenPipeError:
        return EX_OK  # `rcronctl status | head`
    except OSError as error:
        return _complain(_told(error), EX_CANTCREAT)


def _parser() -> _Parser:
    parser = _Parser(
        prog="rcronctl",
        description="Show and set this node's state in its cluster.",
        epilog="exit status: 0 done, or active; 1 is-active: passive; 64 wrong usage; 73 a state cannot be written; "
        "78 missing or invalid configuration",
    )
    parser.add_argument("--version", action="version", version=f"rcronctl {__version__}")
    parser.add_argument("--conf", metavar="FILE", default=settings.DEFAULT_PATH, help="default: %(default)s")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    show = commands.add_parser("status", help="the node's state, and why it is in it")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(command=_status)

    is_active = commands.add_parser(
        "is-active",
        help="exit 0 where this node is active, 1 where it is passive",
        description="For scripts, monitoring and systemd's ExecCondition=. Prints the state.",
    )
    is_active.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    is_active.set_defaults(command=_is_active)

    set_state = commands.add_parser("set", help="write the state file, as a feeder would")
    set_state.add_argument("state", choices=(settings.ACTIVE, settings.PASSIVE))
    set_state.add_argument(
        "--feeder",
        metavar="NAME",
        default="operator",
        help="who says so, for status and the log (default: %(default)s)",
    )
    set_state.add_argument(
        "--while",
        dest="daemon",
        metavar="PID",
        type=_pid,
        default=0,
        help="active only as long as this process lives: refresh the state until then, and make it passive after",
    )
    set_state.set_defaults(command=_set, error=set_state.error)

    pin_state = commands.add_parser(
        "pin",
        help="override the feeder until unpin, or for a time: maintenance",
        description="The pin holds through feeder events and reboots. It is this node's alone: pin the others passive "
        "before one active.",
    )
    pin_state.add_argument("state", choices=(settings.ACTIVE, settings.PASSIVE))
    pin_state.add_argument(
        "--for", dest="seconds", metavar="TIME", type=_duration, help="end by itself, after 90s, 2h30m, 1d or 1w"
    )
    pin_state.set_defaults(command=_pin)

    unpin = commands.add_parser("unpin", help="give the state back to the feeder")
    unpin.set_defaults(command=_unpin)

    check = commands.add_parser("check", help="validate a configuration")
    check.add_argument("file", nargs="?", metavar="FILE", help="default: the one of --conf")
    check.set_defaults(command=_check)

    feed = commands.add_parser("feed", help="what a feeder's hooks call")
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


def _pid(value: str) -> int:
    if not value.isdecimal() or not process.start(int(value)):
        raise argparse.ArgumentTypeError(f"there is no process {value}")
    return int(value)


def _status(options: argparse.Namespace) -> int:
    facts = status.facts(settings.load(options.conf))
    if options.json:
        import json  # Debian's python3-minimal has none

        print(json.dumps(facts, indent=2))
    else:
        print(status.text(facts, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")), end="")
    return EX_OK


def _is_active(options: argparse.Namespace) -> int:
    verdict = state.current(settings.load(options.conf))
    if not options.quiet:
        print(verdict.state)
    return EX_OK if verdict.state == settings.ACTIVE else EX_PASSIVE


def _set(options: argparse.Namespace) -> int:
    if options.daemon and options.state == settings.PASSIVE:
        options.error("--while goes with active: a passive node stays so whoever lives")
    hook.apply(
        settings.load(options.conf), options.state, options.feeder, f"set {options.state}", daemon=options.daemon
    )
    return EX_OK


def _pin(options: argparse.Namespace) -> int:
    config = settings.load(options.conf)
    folder = os.path.dirname(config.pin_file)
    os.umask(0o022)  # whatever the administrator's: every user's jobs look for a pin
    os.makedirs(folder, exist_ok=True)
    pin.write(config, options.state, options.seconds)
    held = pin.read(config)
    until = status.moment(held.until) if held and held.until else "rcronctl unpin"
    log.notice(config, f"state={options.state} status=pinned until={until}")
    print(f"pinned {options.state} until {until}")
    if options.state == settings.ACTIVE:
        print("rcron asks no other node: see to it that none of them is active, or its jobs run twice")
    return EX_OK


def _unpin(options: argparse.Namespace) -> int:
    config = settings.load(options.conf)
    if not pin.remove(config):
        print("there was no pin")
        return EX_OK
    verdict = state.current(config)
    log.notice(config, f"state={verdict.state} status=unpinned")
    print(f"unpinned; now {verdict.state}: {verdict.reason}")
    return EX_OK


def _check(options: argparse.Namespace) -> int:
    config = settings.load(options.file or options.conf)
    print(
        f"{log.one_line(config.path)}: valid: cluster {config.cluster_name}, state file {config.state_file}, "
        f"default state {config.default_state}"
    )
    return EX_OK


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
        _report(_told(error))
        return EX_CANTCREAT


def _report(line: str) -> None:
    """Tell syslog and standard error alike: most daemons throw a hook's standard error away."""
    log.warning(None, line)
    _complain(line, 0)


def _told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}{_MENDS.get(error.errno or 0, '')}"


def _complain(line: str, status: int) -> int:
    """Print a line to standard error, whatever the words hold that it quotes. Returns the status."""
    print(f"rcronctl: {log.one_line(line)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
