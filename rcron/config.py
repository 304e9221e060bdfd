# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron.conf -> Config.

The grammar is that of the C rcron's lexer and parser (src/rcron_conf-lexer.l there), so that its files work unchanged:
one `name = value` a line, where blanks, tabs and `=` separate, a value may stand in '…' or "…", and a line whose first
character other than white space is `#` or `;` is a comment. What the original answered with a default or with a syntax
error, this one refuses in words: file, line, what is wrong, and the mend.

Every `rcron` reads its configuration anew, so nothing here imports more than the interpreter holds already.
"""

import posix

DEFAULT_PATH = "/etc/rcron/rcron.conf"

ACTIVE = "active"
PASSIVE = "passive"

CONTINUE = "continue"
TERMINATE = "terminate"

#: The longest time that a setting may hold, in seconds: a day.
MAX_SECONDS = 86400

#: The most that a configuration may hold, in bytes: enough for any real one, too little to exhaust memory.
MAX_BYTES = 65536

#: syslog(3) facilities as <sys/syslog.h> numbers them. Literals, because importing `syslog` for them would
#: load a shared library on interpreters that don't have it built in.
FACILITIES = {
    "LOG_KERN": 0 << 3,
    "LOG_USER": 1 << 3,
    "LOG_MAIL": 2 << 3,
    "LOG_DAEMON": 3 << 3,
    "LOG_AUTH": 4 << 3,
    "LOG_SYSLOG": 5 << 3,
    "LOG_LPR": 6 << 3,
    "LOG_NEWS": 7 << 3,
    "LOG_UUCP": 8 << 3,
    "LOG_CRON": 9 << 3,
    "LOG_AUTHPRIV": 10 << 3,
    "LOG_FTP": 11 << 3,
    "LOG_LOCAL0": 16 << 3,
    "LOG_LOCAL1": 17 << 3,
    "LOG_LOCAL2": 18 << 3,
    "LOG_LOCAL3": 19 << 3,
    "LOG_LOCAL4": 20 << 3,
    "LOG_LOCAL5": 21 << 3,
    "LOG_LOCAL6": 22 << 3,
    "LOG_LOCAL7": 23 << 3,
}

#: syslog(3) levels as <sys/syslog.h> numbers them.
LEVELS = {
    "LOG_EMERG": 0,
    "LOG_ALERT": 1,
    "LOG_CRIT": 2,
    "LOG_ERR": 3,
    "LOG_WARNING": 4,
    "LOG_NOTICE": 5,
    "LOG_INFO": 6,
    "LOG_DEBUG": 7,
}


class ConfigError(Exception):
    """A configuration that cannot be used. Its text is for a person: `FILE[:LINE]: what is wrong, and the mend`."""


class Config:
    """What an rcron.conf says, with the defaults for what it leaves out.

    Attributes, each named after its setting: cluster_name, state_file, default_state (all str), syslog_facility and
    syslog_level (int, as syslog(3) takes them), nice_level (int, -20 to 19), passive_exit (int, 0 to 255),
    state_max_age, takeover_wait and kill_after (int, seconds), on_demotion (str, `continue` or `terminate`); and `path`
    (str), the file that it was read from.
    """

    __slots__ = (
        "cluster_name",
        "default_state",
        "kill_after",
        "nice_level",
        "on_demotion",
        "passive_exit",
        "path",
        "state_file",
        "state_max_age",
        "syslog_facility",
        "syslog_level",
        "takeover_wait",
    )

    def __init__(self, path: str) -> None:
        """A configuration that holds nothing but defaults. path: the file that it stands for."""
        self.path = path
        self.cluster_name = "default_cluster"
        self.state_file = "/var/run/rcron/state"
        self.default_state = ACTIVE
        self.syslog_facility = 9 << 3
        self.syslog_level = 6
        self.nice_level = 19
        self.passive_exit = 0
        self.state_max_age = 0
        self.takeover_wait = 0
        self.on_demotion = CONTINUE
        self.kill_after = 10


def load(path: str) -> Config:
    """Read and validate a configuration file.

    path: the file's name. Returns its Config.
    Raises ConfigError for a file that is missing, unreadable, no regular file, larger than MAX_BYTES, writable for
    everyone or in a folder where everyone could replace it, and for whatever `parse` refuses.
    """
    try:
        # O_NONBLOCK: opening a FIFO of that name must not wait for a writer.
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise ConfigError(_unreadable(path, error)) from None
    try:
        status = posix.fstat(fd)
        if status.st_mode & 0o170000 != 0o100000:
            raise ConfigError(f"{path}: not a regular file; name a configuration file with --conf FILE")
        if status.st_mode & 0o002:
            raise ConfigError(f"{path}: everyone may write it, so it cannot be trusted; chmod o-w {path}")
        if is_exposed(path, status.st_uid):
            folder = folder_of(path)
            raise ConfigError(f"{path}: everyone may write its folder, so it cannot be trusted; chmod o-w {folder}")
        data = posix.read(fd, MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(_unreadable(path, error)) from None
    finally:
        posix.close(fd)
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{path}: larger than {MAX_BYTES} bytes, so no rcron.conf; name the right file with --conf FILE"
        )
    return parse(data.decode("utf-8", "surrogateescape"), path)


def folder_of(path: str) -> str:
    """The folder that a path names a file in, with a slash at its end."""
    return path[: path.rfind("/") + 1] or "./"


def is_exposed(path: str, owner: int) -> bool:
    """Whether everyone could have put a file where it is: its own mode says nothing then. path: the file. owner: its
    user. Raises OSError where its folder cannot be looked at.

    In a sticky folder (/tmp) nobody can replace another's file, but a stranger's file may be there by his own doing.
    """
    mode = posix.stat(folder_of(path)).st_mode
    return bool(mode & 0o002) and not (mode & 0o1000 and owner in (0, posix.geteuid()))


def parse(text: str, path: str) -> Config:
    """Parse a configuration's text.

    text: what the file holds. path: the name that errors tell. Returns the Config.
    Raises ConfigError for an unknown name, a missing or bad value, text after a value, and a name given twice.
    """
    config = Config(path)
    lines: "dict[str, int]" = {}
    number = 0
    for raw in text.split("\n"):
        number += 1
        line = raw.strip(" \t\r=")
        if not line or line[0] in "#;":
            continue
        end = 0
        while end < len(line) and line[end] not in " \t=":
            end += 1
        name = line[:end]
        if name not in _SETTINGS:
            raise ConfigError(f"{path}:{number}: {_unknown(name)}")
        if name in lines:
            raise ConfigError(
                f'{path}:{number}: "{name}" is given a second time (first on line {lines[name]}); delete one'
            )
        lines[name] = number
        try:
            # What was stripped may belong to a quoted value: take it from the raw line.
            value = _value(raw[raw.index(name) + end :].strip("\r"))
            setattr(config, name, _SETTINGS[name](value))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    return config


def _value(rest: str) -> str:
    """The one value in what follows a name: quoted, or up to the next blank."""
    rest = rest.lstrip(" \t=")
    if not rest:
        raise ValueError("no value; write name = value")
    quote = rest[0]
    if quote in "'\"":
        end = rest.find(quote, 1)
        if end < 0:
            raise ValueError(f"the {quote} is never closed; close it on the same line")
        value, after = rest[1:end], rest[end + 1 :]
    else:
        end = 0
        while end < len(rest) and rest[end] not in " \t":
            end += 1
        value, after = rest[:end], rest[end:]
        if "'" in value or '"' in value:
            raise ValueError(f"a quote inside the value {value}; quote the whole value or nothing of it")
    after = after.strip(" \t=")
    if after:
        raise ValueError(
            f'"{after}" follows the value; quote a value that holds blanks, and put a comment on a line of its own'
        )
    return value


def _text(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError(
            "an empty value, or one with control characters or bytes that are no UTF-8; name it in plain characters"
        )
    return value


def _file(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is no absolute path; begin it with /')
    return _text(value)


def _state(value: str) -> str:
    state = value.lower()
    if state not in (ACTIVE, PASSIVE):
        raise ValueError(f'"{value}" is no state; take active or passive')
    return state


def _facility(value: str) -> int:
    return _constant(value, FACILITIES, "facility")


def _level(value: str) -> int:
    return _constant(value, LEVELS, "level")


def _constant(value: str, known: "dict[str, int]", kind: str) -> int:
    # Some letters of other scripts have one of ours as their capital.
    number = known.get(value.upper()) if value.isascii() else None
    if number is None:
        raise ValueError(f'"{value}" is no {kind} of syslog(3); take one of {", ".join(known)}')
    return number


def _nice(value: str) -> int:
    return _integer(value, -20, 19)


def _exit_status(value: str) -> int:
    return _integer(value, 0, 255)


def seconds(value: str) -> int:
    """A whole number of seconds, at most a day. Raises ValueError that says so."""
    return _integer(value, 0, MAX_SECONDS)


def _on_demotion(value: str) -> str:
    if value not in (CONTINUE, TERMINATE):
        raise ValueError(f'"{value}" is neither continue nor terminate')
    return value


def _integer(value: str, low: int, high: int) -> int:
    digits = value[1:] if value[:1] in ("-", "+") else value
    # isdecimal alone would take digits of other scripts; the length keeps int() cheap.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10 and low <= int(value) <= high):
        raise ValueError(f'"{value}" is no whole number from {low} to {high}')
    return int(value)


#: Every name that an rcron.conf may hold, and what turns its value's text into the Config's attribute.
_SETTINGS = {
    "cluster_name": _text,
    "state_file": _file,
    "default_state": _state,
    "syslog_facility": _facility,
    "syslog_level": _level,
    "nice_level": _nice,
    "passive_exit": _exit_status,
    "state_max_age": seconds,
    "takeover_wait": seconds,
    "on_demotion": _on_demotion,
    "kill_after": seconds,
}


def _unreadable(path: str, error: "OSError | ValueError") -> str:
    if isinstance(error, OSError):
        if isinstance(error, FileNotFoundError):
            return f"{path}: there is no such file; create it (empty means the defaults), or name one with --conf FILE"
        if isinstance(error, PermissionError):
            return f"{path}: permission denied; every user with prefixed jobs must be able to read it: chmod a+r {path}"
        return f"{path}: cannot be read: {error.strerror}"
    return f"{path!r}: not a file name: {error}"


def _unknown(name: str) -> str:
    # Only now, because difflib costs more than a whole passive rcron.
    from difflib import get_close_matches

    meant = get_close_matches(name, _SETTINGS, n=1)
    mend = f'did you mean "{meant[0]}"?' if meant else f"take one of {', '.join(_SETTINGS)}"
    return f'unknown name "{name}"; {mend}'
