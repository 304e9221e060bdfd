# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron.conf: read as rcron.conf(5) says, or refused on one line that names the file and the first wrong line.

The oracle is a second reading of the manual page, with regular expressions in place of the product's loops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from rcron import settings
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

FACILITIES = [
    "LOG_KERN",
    "LOG_USER",
    "LOG_MAIL",
    "LOG_DAEMON",
    "LOG_AUTH",
    "LOG_SYSLOG",
    "LOG_LPR",
    "LOG_NEWS",
    "LOG_UUCP",
    "LOG_CRON",
    "LOG_AUTHPRIV",
    "LOG_FTP",
    "-",
    "-",
    "-",
    "-",
    "LOG_LOCAL0",
    "LOG_LOCAL1",
    "LOG_LOCAL2",
    "LOG_LOCAL3",
    "LOG_LOCAL4",
    "LOG_LOCAL5",
    "LOG_LOCAL6",
    "LOG_LOCAL7",
]
LEVELS = ["LOG_EMERG", "LOG_ALERT", "LOG_CRIT", "LOG_ERR", "LOG_WARNING", "LOG_NOTICE", "LOG_INFO", "LOG_DEBUG"]
DAY = 24 * 60 * 60
NUMBERS = {
    "nice_level": (-20, 19),
    "passive_exit": (0, 255),
    "state_max_age": (0, DAY),
    "takeover_wait": (0, DAY),
    "kill_after": (0, DAY),
    "claim_wait": (1, DAY),
}
DEFAULTS = {
    "cluster_name": "default_cluster",
    "state_file": "/var/run/rcron/state",
    "default_state": "active",
    "syslog_facility": FACILITIES.index("LOG_CRON") << 3,
    "syslog_level": LEVELS.index("LOG_INFO"),
    "nice_level": 19,
    "passive_exit": 0,
    "state_max_age": 0,
    "takeover_wait": 0,
    "on_demotion": "continue",
    "kill_after": 10,
    "claim": "off",
    "claim_wait": 30,
    "feeder_name": "any",
}
LARGEST = 65536

LINE = re.compile(
    r"""[\ \t\r=]* (?P<name>[^\ \t=]+) [\ \t=]+
        (?: '(?P<single>[^']*)' [\ \t=]*
          | "(?P<double>[^"]*)" [\ \t=]*
          | (?P<plain>[^\ \t'"=][^\ \t'"]*) (?:[\ \t][\ \t=]*)? )""",
    re.VERBOSE | re.DOTALL,
)

NODE = Node()
PATH = f"{NODE.folder}/tried.conf"


def value_of(name: str, text: str) -> Any:
    """Return what a setting's text means; None if it is not allowed there."""
    if name == "cluster_name":
        return text if text and text.isprintable() else None
    if name == "state_file":
        return text if text.startswith("/") and text.isprintable() else None
    if name == "default_state":
        return text.lower() if re.fullmatch("active|passive", text, re.IGNORECASE | re.ASCII) else None
    if name == "on_demotion":
        return text if text in ("continue", "terminate") else None
    if name == "claim":
        return text if text in ("off", "required", "preferred") else None
    if name == "feeder_name":
        return text if re.fullmatch("[-_]*[A-Za-z0-9][A-Za-z0-9_-]*", text, re.ASCII) else None
    if name in ("syslog_facility", "syslog_level"):
        known, shift = (FACILITIES, 3) if name == "syslog_facility" else (LEVELS, 0)
        found = re.fullmatch("log_[a-z0-9]+", text, re.IGNORECASE | re.ASCII) is not None and text.upper() in known
        return known.index(text.upper()) << shift if found else None
    low, high = NUMBERS[name]
    if not re.fullmatch(r"[-+]?[0-9]{1,10}", text, re.ASCII) or not low <= int(text) <= high:
        return None
    return int(text)


def meant(text: str) -> dict[str, Any] | int:
    """Return what a configuration says, or the number of its first line that is wrong."""
    found: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(" \t\r=") or line.strip(" \t\r=")[0] in "#;":
            continue
        match = LINE.fullmatch(line.rstrip("\r"))
        if not match or match["name"] not in DEFAULTS or match["name"] in found:
            return number
        value = value_of(
            match["name"], next(part for part in match.group("single", "double", "plain") if part is not None)
        )
        if value is None:
            return number
        found[match["name"]] = value
    return {**DEFAULTS, **found}


def holds(data: bytes) -> None:
    NODE.put(PATH, data)
    expected = meant(data.decode("utf-8", "surrogateescape"))
    refusal = ""
    try:
        read = settings.load(PATH)
    except settings.ConfigError as error:
        refusal = str(error)
        assert "\n" not in refusal, f"an error is one line: {refusal!r}"
        if len(data) > LARGEST:
            assert refusal.startswith(f"{PATH}: larger"), f"the reason is the size: {refusal!r}"
        else:
            assert isinstance(expected, int), f"is valid, and was refused: {refusal!r}"
            assert refusal.startswith(f"{PATH}:{expected}: "), f"line {expected} is the first wrong one: {refusal!r}"
    else:
        assert len(data) <= LARGEST, "a file that is too large is refused"
        assert not isinstance(expected, int), f"line {expected} is wrong, and was taken"
        values = {name: getattr(read, name) for name in DEFAULTS}
        assert values == expected, f"means {expected}, and was read as {values}"
        assert read.path == PATH, "a configuration knows its file"

    answer = NODE.ctl("check", PATH)
    answer.is_printable()
    assert answer.status == (78 if refusal else 0), f"rcronctl check exits {answer.status}"
    assert (answer.stdout + answer.stderr).count("\n") == 1, "rcronctl check prints one line"


_SEPARATORS = st.sampled_from([" = ", "=", " ", "\t", "\t==  ", "= =", "", "\r", "\xa0"])
_TEXTS = st.text(max_size=12) | st.text(st.characters(codec="latin-1"), max_size=12)


def _values(name: str) -> st.SearchStrategy[str]:
    if name in NUMBERS:
        low, high = NUMBERS[name]
        edges = st.sampled_from([low - 1, low, low + 1, -1, 0, 1, high - 1, high, high + 1])
        return (edges | st.integers(low - 5, high + 5)).map(str) | st.sampled_from(
            ["+1", "-0", "1.5", "1_0", "\u0661", "-"]
        )
    words = {
        "default_state": ["active", "passive", "Passive", "ACTIVE", "act\u0131ve", "inactive"],
        "on_demotion": ["continue", "terminate", "Terminate"],
        "feeder_name": ["any", "none", "keepalived", "my-own_1", "-", "keep alived", "\u0661", "z\xfcrich"],
        "syslog_facility": [*FACILITIES, "log_cron", "LOG_Local7", "LOG_\u017fYSLOG", "LOG_MA\u0131L"],
        "syslog_level": [*LEVELS, "log_debug", "LOG_CRON"],
        "state_file": ["/run/rcron/state", "run/state", "/a b", "/\x1b[2J", "/\udcff", "/"],
    }.get(name, ["c1", "a b", "z\xfcrich", "=a=", "\udcff"])
    return st.sampled_from(words)


@st.composite
def _lines(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(DEFAULTS)))
    value = draw(_values(name)) if draw(st.integers(0, 9)) else draw(_TEXTS)
    quote = draw(st.sampled_from(["", "", "'", '"']))
    if draw(st.booleans()):
        return f"{name} = {quote}{value}{quote}"  # nothing can be wrong but the value
    if draw(st.integers(0, 19)) == 0:
        name = name[:-1] + draw(st.text(max_size=2))
    around = [draw(st.sampled_from(["", "", "", " ", "\t", "=", "\r", "#", ";", " x", " # x"])) for _turn in "12"]
    return around[0] + name + draw(_SEPARATORS) + quote + value + quote + around[1]


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(_lines() | st.sampled_from(["", "# a comment", " ; another", "="]), max_size=5))
    # Of random lines most are wrong, and only the first wrong one counts.
    lines = [line for line in lines if not isinstance(meant(line), int)] + draw(st.lists(_lines(), max_size=1))
    text = draw(st.sampled_from(["\n", "\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))
    data = text.encode("utf-8", "surrogateescape")
    if draw(st.integers(0, 99)) == 0:
        data = (data + b"\n#").ljust(LARGEST + draw(st.integers(-1, 1)), b"x")
    return data


def _seeds() -> Iterator[bytes]:
    yield b""
    yield b"# An arbitrary name\ncluster_name    = default_cluster\n; x\n\ndefault_state = Passive"
    yield b"state_file\t=\t\"/var/run/rcron/state\"\nsyslog_level ='LOG_debug'\nnice_level -5"
    yield b"cluster_name = billing\ndefault_state = passive\nstate_max_age = 30\nsyslog_facility = LOG_LOCAL3\n"
    yield b"cluster_name = web\r\nstate_file   = /var/run/rcron-web/state\r\n"
    for name, value in DEFAULTS.items():
        yield f"{name} = {value}\n".encode()
    for facility in FACILITIES:
        yield f"syslog_facility = {facility}\n".encode()
    for level in LEVELS:
        yield f"syslog_level {level.lower()}\n".encode()


SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(_files() | st.binary(max_size=200)),
    from_bytes=lambda data: (data,),
    seeds=_seeds,
    words=(
        *(word.encode() for word in (*DEFAULTS, *LEVELS, *FACILITIES)),
        b"active",
        b"passive",
        b"terminate",
        b"86400",
    ),
    examples=1000,
    runs=8000,
)
