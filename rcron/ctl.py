# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl: the administrator's command, and what the feeders' hooks call.

The command line is parsed here, and that is all; what is asked for is done by the modules that rcron itself uses.
"""

import argparse
import errno
import os
import sys
from typing import NoReturn

from rcron import __version__, feed, log, pin, state, status
from rcron import config as configuration
from rcron.feeders import keepalived

EX_OK = 0
EX_PASSIVE = 1
EX_USAGE = 64  # sysexits(3): wrong command line
EX_CANTCREAT = 73  # sysexits(3): the state cannot be written
EX_CONFIG = 78  # sysexits(3): unusable configuration

_MENDS = {
    errno.EACCES: "; do it as root",
    errno.ENOENT: "; create the folder, as systemd-tmpfiles --create does after a deployment",
    errno.ENOSPC: "; make room there",
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose exit status for a wrong command line is sysexits(3)'s, as rcron's is."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"{self.prog}: {message}\n")


def main(argv: "list[str] | None" = None) -> int:
    """Be rcronctl. argv: the words after the program's name (default: this process's own). Returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except configuration.ConfigError as error:
        return _complain(log.one_line(str(error)), EX_CONFIG)
    except BrokenPipeError:
        return EX_OK  # `rcronctl status | head`
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}{_MENDS.get(error.errno or 0, '')}", EX_CANTCREAT)


def _parser() -> _Parser:
    parser = _Parser(
        prog="rcronctl",
        description="Show and set this node's state in its cluster.",
        epilog="exit status: 0 done, or active; 1 is-active: passive; 64 wrong usage; 73 a state cannot be written; "
        "78 missing or invalid configuration",
    )
    parser.add_argument("--version", action="version", version=f"rcronctl {__version__}")
    parser.add_argument("--conf", metavar="FILE", default=configuration.DEFAULT_PATH, help="default: %(default)s")
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
    set_state.add_argument("state", choices=(configuration.ACTIVE, configuration.PASSIVE))
    set_state.set_defaults(command=_set)

    pin_state = commands.add_parser(
        "pin",
        help="override the feeder until unpin, or for a time: maintenance",
        description="The pin holds through feeder events and reboots. It is this node's alone: pin the others passive "
        "before one active.",
    )
    pin_state.add_argument("state", choices=(configuration.ACTIVE, configuration.PASSIVE))
    pin_state.add_argument(
        "--for", dest="seconds", metavar="TIME", type=_duration, help="end by itself, after 90s, 2h30m, 1d or 1w"
    )
    pin_state.set_defaults(command=_pin)

    unpin = commands.add_parser("unpin", help="give the state back to the feeder")
    unpin.set_defaults(command=_unpin)

    check = commands.add_parser("check", help="validate a configuration")
    check.add_argument("file", nargs="?", metavar="FILE", help="default: the one of --conf")
    check.set_defaults(command=_check)

    feeders = commands.add_parser("feed", help="what a feeder's hooks call").add_subparsers(
        metavar="FEEDER", required=True
    )
    _keepalived_parser(feeders)
    return parser


def _keepalived_parser(feeders: "argparse._SubParsersAction[_Parser]") -> None:
    parser = feeders.add_parser(
        "keepalived",
        help="follow keepalived's VRRP events",
        usage="%(prog)s [--instance NAME[=CONF]]... [--group NAME[=CONF]]... FIFO\n"
        "       %(prog)s [--instance NAME[=CONF]]... [--group NAME[=CONF]]... INSTANCE|GROUP NAME STATE PRIORITY",
        description="The first form is for vrrp_notify_fifo_script, the second for notify. keepalived adds the words "
        "in capitals: see keepalived.conf(5).",
    )
    for option, followed in (("--instance", "VRRP instance"), ("--group", "sync group")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="NAME[=CONF]",
            type=_follow,
            help=f"the {followed} that the cluster of this configuration follows",
        )
    parser.add_argument("words", nargs="+", help=argparse.SUPPRESS)
    parser.set_defaults(command=_feed_keepalived, error=parser.error)


def _duration(value: str) -> int:
    try:
        return pin.duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _follow(value: str) -> "tuple[str, str | None]":
    name, conf = value.partition("=")[::2]
    if not name:
        raise argparse.ArgumentTypeError("no name")
    return name, conf or None


def _status(options: argparse.Namespace) -> int:
    facts = status.facts(configuration.load(options.conf))
    if options.json:
        import json  # Debian's python3-minimal has none

        print(json.dumps(facts, indent=2))
    else:
        print(status.text(facts, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")), end="")
    return EX_OK


def _is_active(options: argparse.Namespace) -> int:
    verdict = state.current(configuration.load(options.conf))
    if not options.quiet:
        print(verdict.state)
    return EX_OK if verdict.state == configuration.ACTIVE else EX_PASSIVE


def _set(options: argparse.Namespace) -> int:
    feed.apply(configuration.load(options.conf), options.state, "operator", f"set {options.state}")
    return EX_OK


def _pin(options: argparse.Namespace) -> int:
    config = configuration.load(options.conf)
    folder = os.path.dirname(state.pin_path(config))
    os.makedirs(folder, mode=0o755, exist_ok=True)
    pin.write(config, options.state, options.seconds)
    held = pin.read(config)
    until = status.moment(held.until) if held and held.until else "rcronctl unpin"
    log.notice(config, f"state={options.state} status=pinned until={until}")
    print(f"pinned {options.state} until {until}")
    if options.state == configuration.ACTIVE:
        print("rcron asks no other node: see to it that none of them is active, or its jobs run twice")
    return EX_OK


def _unpin(options: argparse.Namespace) -> int:
    config = configuration.load(options.conf)
    if not pin.remove(config):
        print("there was no pin")
        return EX_OK
    verdict = state.current(config)
    log.notice(config, f"state={verdict.state} status=unpinned")
    print(f"unpinned; now {verdict.state}: {verdict.reason}")
    return EX_OK


def _check(options: argparse.Namespace) -> int:
    config = configuration.load(options.file or options.conf)
    print(
        f"{config.path}: valid: cluster {log.one_line(config.cluster_name)}, state file {config.state_file}, "
        f"default state {config.default_state}"
    )
    return EX_OK


def _feed_keepalived(options: argparse.Namespace) -> int:
    followed = [("INSTANCE", *pair) for pair in options.instance] + [("GROUP", *pair) for pair in options.group]
    if not followed:
        options.error("name what to follow: --instance NAME, as in vrrp_instance NAME, or --group NAME")
    clusters: "dict[tuple[str, str], configuration.Config]" = {}
    status_code = EX_OK
    for kind, name, conf in followed:
        path = conf or options.conf
        if any(config.path == path for config in clusters.values()):
            options.error(f"{path}: two VRRP instances cannot keep one state; give each a configuration of its own")
        try:
            clusters[kind, name] = configuration.load(path)
        except configuration.ConfigError as error:
            # The other clusters of this node still need their feeder.
            _report(log.one_line(str(error)))
            status_code = EX_CONFIG
    feeder = keepalived.Feeder(clusters, _report)
    fifo = len(options.words) == 1
    well = feeder.follow(options.words[0]) if fifo else feeder.notify(options.words)
    return status_code or (EX_OK if well else EX_CANTCREAT)


def _report(line: str) -> None:
    """Tell syslog and standard error alike: keepalived throws a hook's standard error away."""
    log.warning(None, line)
    print(f"rcronctl: {line}", file=sys.stderr)


def _complain(line: str, status: int) -> int:
    print(f"rcronctl: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
