# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron.conf: its settings, its grammar, and the errors in it.

The grammar is close to that of the C rcron (src/rcron_conf-lexer.l there): one `name = value` a line; blanks, tabs and
`=` separate; a value may be quoted with '…' or "…"; and a line whose first character other than white space is `#` or
`;` is a comment. A file that means what it says to the C rcron means the same here, but not every file works unchanged:

- Eight forms that the C rcron runs jobs with are errors here, because they hide mistakes: a name that is given twice,
  an empty value "", an unclosed quote, a quoted value over several lines, a name in Latin-1, a nice level of 25,
  `5-3` for a number, and a relative state_file.
- Fifteen forms that the C rcron rejects are valid here, such as an empty file and a last line without a newline.
- If the file is missing, the C rcron runs the job with its defaults. Here that is an error, and nothing is run.

Every `rcron` reads its configuration anew, so nothing is imported here that the interpreter has not loaded already. At
its head this module imports nothing of the package: a deployment parses a configuration with it alone.
"""

TYPE_CHECKING = False  # typing's own, which would cost an import
if TYPE_CHECKING:
    from typing import Any

DEFAULT_PATH = "/etc/rcron/rcron.conf"

ACTIVE = "active"
PASSIVE = "passive"

#: The value of `feeder_name` that allows every feeder.
ANY = "any"

CONTINUE = "continue"
TERMINATE = "terminate"

OFF = "off"
REQUIRED = "required"
PREFERRED = "preferred"

#: The folder of rcron-agent: its unit's RuntimeDirectory.
RUNTIME = "/run/rcron-agent"

#: The longest name that a state file gives to what is kept there, in bytes.
MAX_KEY = 64

#: The longest time that a setting may hold, in seconds: one day.
MAX_SECONDS = 86400

#: The largest configuration, in bytes: enough for any real one, and too little to exhaust memory.
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
    """A configuration that cannot be used. The text is for a person: `FILE[:LINE]: what is wrong; the fix`."""


def _text(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError(
            "an empty value, or one with control characters or bytes that are not UTF-8; write printable UTF-8"
        )
    return value


def _file(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path; begin it with /')
    return _text(value)


def _state(value: str) -> str:
    state = value.lower()
    if state not in (ACTIVE, PASSIVE):
        raise ValueError(f'"{value}" is not a state; use active or passive')
    return state


def _facility(value: str) -> int:
    return _constant(value, FACILITIES, "facility")


def _level(value: str) -> int:
    return _constant(value, LEVELS, "level")


def _constant(value: str, known: "dict[str, int]", kind: str) -> int:
    # Some letters of other scripts have one of ours as their capital.
    number = known.get(value.upper()) if value.isascii() else None
    if number is None:
        raise ValueError(f'"{value}" is not a {kind} of syslog(3); use one of {", ".join(known)}')
    return number


def _nice(value: str) -> int:
    return _integer(value, -20, 19)


def _exit_status(value: str) -> int:
    return _integer(value, 0, 255)


def seconds(value: str) -> int:
    """Read a whole number of seconds, at most MAX_SECONDS.

    Args:
        value: the text.

    Raises:
        ValueError: it is something else, and the text says so.
    """
    return _integer(value, 0, MAX_SECONDS)


def _on_demotion(value: str) -> str:
    if value not in (CONTINUE, TERMINATE):
        raise ValueError(f'"{value}" is not continue or terminate; use one of them')
    return value


def claim_mode(value: str) -> str:
    """Read whether a run is claimed.

    Args:
        value: the text.

    Raises:
        ValueError: it is something else, and the text says so.
    """
    if value not in (OFF, REQUIRED, PREFERRED):
        raise ValueError(f'"{value}" is not off, required or preferred; use one of them')
    return value


def positive_seconds(value: str) -> int:
    """Read a whole number of seconds, at least one and at most MAX_SECONDS.

    Args:
        value: the text.

    Raises:
        ValueError: it is something else, and the text says so.
    """
    return _integer(value, 1, MAX_SECONDS)


def _feeder(value: str) -> str:
    letters = value.replace("-", "").replace("_", "")
    if not (letters.isascii() and letters.isalnum()):
        raise ValueError(f'"{value}" is not a feeder; write its name, such as keepalived, or none, or any')
    return value


def _integer(value: str, low: int, high: int) -> int:
    digits = value[1:] if value[:1] in ("-", "+") else value
    # isdecimal alone would take digits of other scripts; the length keeps int() cheap.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10 and low <= int(value) <= high):
        raise ValueError(f'"{value}" is not a whole number from {low} to {high}')
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
    "claim": (claim_mode, OFF),
    "claim_wait": (positive_seconds, 30),
    "feeder_name": (_feeder, ANY),
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
        """Where a pin of this cluster is kept.

        Beside the state file, or under /var/lib if the state file is in /run, which a reboot empties.
        """
        path: str = self.state_file
        if path.startswith("/run/"):
            return f"/var/lib{path[4:]}.pin"
        if path.startswith("/var/run/"):
            return f"/var/lib{path[8:]}.pin"
        return f"{path}.pin"

    def agent_file(self, kind: str) -> str:
        """Return the path of what rcron-agent keeps for this cluster, each state file's own: see rcron/ask.py.

        Args:
            kind: `ask`, `passive`, `token` or `term`.
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
    def refusal_file(self) -> str:
        """Where is noted which other feeder has spoken."""
        return f"{self.state_file}.refused"

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

    Args:
        text: what the file holds.
        path: the file's name, for errors.

    Returns:
        What it says, with the defaults for what it leaves out.

    Raises:
        ConfigError: an unknown name, a missing or bad value, text after a value, or a name that is given twice.
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
                f'{path}:{number}: "{name}" is set a second time (first on line {lines[name]}); delete one'
            )
        lines[name] = number
        try:
            # The stripped characters may belong to a quoted value: take it from the raw line.
            value = value_of(raw[raw.index(name) + end :].strip("\r"))
            setattr(config, name, SETTINGS[name][0](value))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {name}: {error}") from None
    return config


def value_of(rest: str) -> str:
    """Read the one value of a line: quoted, or up to the next blank.

    Args:
        rest: what follows the name.

    Raises:
        ValueError: there is no value, or more than one.
    """
    rest = rest.lstrip(" \t=")
    if not rest:
        raise ValueError("no value; write name = value")
    quote = rest[0]
    if quote in "'\"":
        end = rest.find(quote, 1)
        if end < 0:
            raise ValueError(f"the {quote} is not closed; close it on the same line")
        value, after = rest[1:end], rest[end + 1 :]
    else:
        end = 0
        while end < len(rest) and rest[end] not in " \t":
            end += 1
        value, after = rest[:end], rest[end:]
        if "'" in value or '"' in value:
            raise ValueError(f"a quote inside the value {value}; quote the whole value or none of it")
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
    fix = f'did you mean "{meant[0]}"?' if meant else f"use one of {', '.join(SETTINGS)}"
    return f'unknown name "{name}"; {fix}'
