# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron.conf -> Config.

The grammar is that of the C rcron's lexer and parser (src/rcron_conf-lexer.l there), so that its files work unchanged:
one `name = value` a line, where blanks, tabs and `=` separate, a value may stand in '…' or "…", and a line whose first
character other than white space is `#` or `;` is a comment. What the original answered with a default or with a syntax
error, this one refuses in words: file, line, what is wrong, and the mend.

Every `rcron` reads its configuration anew, so nothing here imports more than the interpreter holds already.
"""

TYPE_CHECKING = False  # typing's own, which would cost an import
if TYPE_CHECKING:
    from typing import Any

DEFAULT_PATH = "/etc/rcron/rcron.conf"

ACTIVE = "active"
PASSIVE = "passive"

CONTINUE = "continue"
TERMINATE = "terminate"

#: The folder of rcron-agent: its unit's RuntimeDirectory.
RUNTIME = "/run/rcron-agent"

#: The longest name that a state file gives to what is kept there, in bytes.
MAX_KEY = 64

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


#: Every setting of rcron.conf: its name -> what turns a value's text into the attribute of Config, and the default.
#: The text of each default is accepted, too. The order is that of rcron.conf(5) and of the file that the role writes.
SETTINGS = {
    "cluster_name": (_text, "default_cluster"),
    "state_file": (_file, "/var/run/rcron/state"),
    "default_state": (_state, ACTIVE),
    "syslog_facility": (_facility, FACILITIES["LOG_CRON"]),
    "syslog_level": (_level, LEVELS["LOG_INFO"]),
    "nice_level": (_nice, 19),
    "passive_exit": (_exit_status, 0),
    "state_max_age": (seconds, 0),
    "takeover_wait": (seconds, 0),
    "on_demotion": (_on_demotion, CONTINUE),
    "kill_after": (seconds, 10),
}


class Config:
    """The settings of one cluster on this node.

    Attributes:
        path (str): the file that they were read from.

    Each name in SETTINGS is an attribute besides: a str for names, paths and words; an int for numbers, for times (in
    seconds), and for syslog's facility and level, as syslog(3) numbers them.
    """

    __slots__ = ("path", *SETTINGS)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, path: str) -> None:
        """Hold the defaults.

        Args:
            path: the file that they stand for.
        """
        self.path = path
        for name, (_parser, default) in SETTINGS.items():
            setattr(self, name, default)

    @property
    def pin_file(self) -> str:
        """Where a pin of this cluster is kept: beside the state file, or under /var/lib if that is in /run, which a
        reboot empties."""
        path: str = self.state_file
        if path.startswith("/run/"):
            return f"/var/lib{path[4:]}.pin"
        if path.startswith("/var/run/"):
            return f"/var/lib{path[8:]}.pin"
        return f"{path}.pin"

    def agent_file(self, kind: str) -> str:
        """Return the path of what rcron-agent keeps for this cluster, each state file's own: see rcron/ask.py.

        Args:
            kind: `ask` or `passive`.
        """
        path: str = self.state_file
        if path.startswith("/var/run/"):
            path = path[4:]
        key = path[1:].replace("%", "%25").replace("-", "%2d").replace("/", "-")
        if len(key.encode()) > MAX_KEY:
            # A socket's name has 107 bytes at most. The whole path counts all the same (FNV-1a).
            code = 0xCBF29CE484222325
            for byte in path.encode():
                code = (code ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
            key = f"{code:016x}"
        return f"{RUNTIME}/{key}.{kind}"

    @property
    def record_file(self) -> str:
        """Where the feeder's record of this cluster is kept."""
        return f"{self.state_file}.feeder"


def load(path: str) -> Config:
    """Read and validate a configuration file.

    Args:
        path: the file's name.

    Returns:
        What it says, with the defaults for what it leaves out.

    Raises:
        ConfigError: the file is missing or cannot be read, `files.read_trusted` refuses it, or `parse` does.
    """
    # Here, because this module must be importable alone: see the module's docstring.
    from rcron import files

    try:
        data, _modified = files.read_trusted(path, MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; create it (empty means the defaults), or name one with --conf FILE"
        ) from None
    except PermissionError:
        raise ConfigError(
            f"{path}: permission denied; every user with prefixed jobs must be able to read it: chmod a+r {path}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path!r}: not a file name: {error}") from None
    except files.UntrustedError as error:
        raise ConfigError(f"{path}: {error}; {error.fix or 'name a configuration file with --conf FILE'}") from None
    return parse(data.decode("utf-8", "surrogateescape"), path)


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
        if name not in SETTINGS:
            raise ConfigError(f"{path}:{number}: {_unknown(name)}")
        if name in lines:
            raise ConfigError(
                f'{path}:{number}: "{name}" is given a second time (first on line {lines[name]}); delete one'
            )
        lines[name] = number
        try:
            # What was stripped may belong to a quoted value: take it from the raw line.
            value = value_of(raw[raw.index(name) + end :].strip("\r"))
            setattr(config, name, SETTINGS[name][0](value))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    return config


def value_of(rest: str) -> str:
    """Return the one value in what follows a name: quoted, or up to the next blank. Raises ValueError."""
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


def _unknown(name: str) -> str:
    # Only now, because difflib costs more than a whole passive rcron.
    from difflib import get_close_matches

    meant = get_close_matches(name, SETTINGS, n=1)
    mend = f'did you mean "{meant[0]}"?' if meant else f"take one of {', '.join(SETTINGS)}"
    return f'unknown name "{name}"; {mend}'
