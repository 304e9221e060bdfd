# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl: the administrator's command, and what the feeders' hooks call.

The command line is parsed here, and that is all; what is asked for is done by the modules that rcron itself uses.
"""

import argparse
import errno
import sys
import time
from typing import NoReturn

from rcron import __version__, feed, log, state
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

    status = commands.add_parser("status", help="the node's state, and why it is in it")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)

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


def _follow(value: str) -> "tuple[str, str | None]":
    name, _, conf = value.partition("=")
    if not name:
        raise argparse.ArgumentTypeError("no name")
    return name, conf or None


def _status(options: argparse.Namespace) -> int:
    config = configuration.load(options.conf)
    verdict = state.current(config)
    changed = verdict.changed
    if options.json:
        import json  # Debian's python3-minimal has none
        facts = {
            "state": verdict.state,
            "reason": verdict.reason,
            "since": None if changed is None else int(changed),
            "default_state": config.default_state,
            "cluster_name": config.cluster_name,
            "state_file": config.state_file,
            "conf": config.path,
            "version": __version__,
        }
        print(json.dumps(facts, indent=2))
        return EX_OK
    since = "unknown" if changed is None else time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(changed))
    rows = (
        ("state", verdict.state),
        ("since", since),
        ("why", verdict.reason),
        ("default state", config.default_state),
        ("cluster", config.cluster_name),
        ("state file", config.state_file),
        ("configuration", config.path),
        ("version", __version__),
    )
    for name, value in rows:
        print(f"{name + ':':<15} {log.one_line(value)}")
    return EX_OK


def _is_active(options: argparse.Namespace) -> int:
    verdict = state.current(configuration.load(options.conf))
    if not options.quiet:
        print(verdict.state)
    return EX_OK if verdict.state == configuration.ACTIVE else EX_PASSIVE


def _set(options: argparse.Namespace) -> int:
    feed.apply(configuration.load(options.conf), options.state, "operator")
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
    status = EX_OK
    for kind, name, conf in followed:
        path = conf or options.conf
        if any(config.path == path for config in clusters.values()):
            options.error(f"{path}: two VRRP instances cannot keep one state; give each a configuration of its own")
        try:
            clusters[kind, name] = configuration.load(path)
        except configuration.ConfigError as error:
            # The other clusters of this node still need their feeder.
            _report(log.one_line(str(error)))
            status = EX_CONFIG
    feeder = keepalived.Feeder(clusters, _report)
    fifo = len(options.words) == 1
    well = feeder.follow(options.words[0]) if fifo else feeder.notify(options.words)
    return status or (EX_OK if well else EX_CANTCREAT)


def _report(line: str) -> None:
    """Tell syslog and standard error alike: keepalived throws a hook's standard error away."""
    log.warning(None, line)
    print(f"rcronctl: {line}", file=sys.stderr)


def _complain(line: str, status: int) -> int:
    print(f"rcronctl: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
