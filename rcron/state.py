# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
r"""Which state is this node in, and why; and how a state is written.

The state file holds exactly `active\n` or `passive\n`. `current` is the one function that answers for `rcron` and for
`rcronctl`, so that the administrator sees what the jobs go by.
"""

import posix
import time

from rcron import files, log
from rcron.settings import ACTIVE, PASSIVE, Config

#: The largest state file, in bytes, white space included.
MAX_BYTES = 4096

#: The sources of a verdict.
PIN = "pin"
FILE = "file"
STALE = "stale"
DEFAULT = "default"
AGENT = "agent"  # rcron-agent keeps the state file, and it is not what it should be

#: What `_sight` says of a file that is there.
_THERE = "is there"


class Verdict:
    """The state that this node is in, and why.

    Attributes:
        state (str): `active` or `passive`.
        source (str): PIN, FILE, STALE (an `active` that was not refreshed for state_max_age), AGENT or DEFAULT.
        reason (str): a sentence for a person.
        field (str): what a log line says about it after the state: ` pin=…` or nothing.
        warning (str | None): what is wrong with the state file, for syslog.
        written (float | None): when the state file was last written or refreshed, in seconds since the epoch; None if
            the file was not used.
    """

    __slots__ = ("field", "reason", "source", "state", "warning", "written")

    def __init__(
        self, state: str, source: str, reason: str, warning: "str | None" = None, written: "float | None" = None
    ) -> None:
        self.state = state
        self.source = source
        self.reason = reason
        self.field = ""
        self.warning = warning
        self.written = written


def current(config: Config) -> Verdict:
    """Decide which state this node is in, and why: a pin first, then a fresh state file, then default_state.

    Args:
        config: the cluster's.

    Returns:
        The verdict. It is `default_state` if the state file cannot be read or holds anything but a state's name, and
        `passive` instead if rcron-agent keeps that file or nobody can tell. A warning then says what is wrong. Whatever
        cannot be read, nothing is raised.
    """
    try:
        # Not what a link leads to: it may be in another user's folder, and lead to a server that does not answer.
        posix.lstat(config.pin_file)
    except (FileNotFoundError, NotADirectoryError):
        return from_file(config)
    except (OSError, ValueError):
        pass  # perhaps in a folder that this user may not search: reading it fails, which is logged
    return _from_pin(config) or from_file(config)


def _from_pin(config: Config) -> "Verdict | None":
    """Decide by the pin; None if no pin holds."""
    from rcron import pin

    try:
        held = pin.read(config)
    except ValueError as error:
        log.warning(config, str(error))
        return None
    if held is None:
        return None
    until = held.until
    when = "unpin" if until is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    verdict = Verdict(held.state, PIN, f"pinned {held.state} until {when} ({config.pin_file})")
    verdict.field = f" pin={when}"
    return verdict


def from_file(config: Config) -> Verdict:
    """Read the state that the feeder gave, whether or not a pin overrides it.

    Args:
        config: the cluster's.

    Returns:
        The verdict.
    """
    path = config.state_file
    try:
        data, written = files.read_trusted(path, MAX_BYTES)
    except FileNotFoundError:
        return _default(config, f"{path}: there is no such file")
    except OSError as error:
        return _default(config, f"{path}: cannot be read: {error.strerror}")
    except ValueError:
        return _default(config, f"{path}: cannot be read: this locale has no such characters")
    except files.UntrustedError as error:
        return _default(config, f"{path}: {error}")
    word = data.strip().lower()
    if word == b"passive":
        return Verdict(PASSIVE, FILE, f"{path} says so", None, written)
    if word == b"active":
        limit = config.state_max_age
        # A time in the future does not prove freshness: the clock was set back.
        if limit and abs(time.time() - written) > limit:
            age = int(time.time() - written)
            when = f"{age} s ago" if age >= 0 else f"{-age} s in the future"
            reason = f"{path} says active, but was last refreshed {when} (state_max_age {limit})"
            return Verdict(PASSIVE, STALE, reason, None, written)
        veto = config.agent_file("passive")
        sight = _sight(veto)
        if sight == _THERE:
            return Verdict(PASSIVE, AGENT, f"{veto} is there: rcron-agent cannot write {path}", None, written)
        if sight:
            problem = f"{veto} {sight}"
            return Verdict(PASSIVE, AGENT, problem, f"{problem}: taken for passive", written)
        return Verdict(ACTIVE, FILE, f"{path} says so", None, written)
    return _default(config, f"{path}: holds neither active nor passive")


def _sight(path: str) -> str:
    """Look whether there is a file. One that cannot be looked at may well be there.

    Args:
        path: the file's name.

    Returns:
        _THERE if it is there, an empty string if it is not, and what is wrong if nobody can tell.
    """
    try:
        posix.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    except ValueError:
        return ""  # this locale has no such characters, and the agent's files have none that are not the state file's
    return _THERE


def _default(config: Config, problem: str) -> Verdict:
    sight = _sight(config.agent_file("ask"))
    if sight:
        # It is not that nobody has spoken yet: somebody has removed or broken it, and the agent is about to fix it.
        problem = f"{problem}, although rcron-agent {'keeps' if sight == _THERE else 'may keep'} it"
        return Verdict(PASSIVE, AGENT, problem, f"{problem}: taken for passive")
    reason = f"default_state, because of {problem}"
    warning = f"{problem}: taken for {config.default_state} (default_state)"
    return Verdict(config.default_state, DEFAULT, reason, warning)


def write(path: str, state: str) -> None:
    """Replace a state file, so that a reader sees the old state or the new one and nothing between.

    Args:
        path: the state file.
        state: `active` or `passive`.

    Raises:
        OSError: it cannot be written. The file is then as it was.
    """
    files.replace(path, f"{state}\n")
