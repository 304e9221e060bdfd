# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The lines that go to syslog: one event, one line, whatever a job's words hold.

syslog(3) itself is silent where no syslog socket is, which is what is wanted: no log is no reason not to run a job.
"""

import syslog

from rcron.settings import FACILITIES, LEVELS, Config

#: The most that a log line tells of a command, in bytes.
MAX_COMMAND = 2048


def event(config: Config, fields: str, command: str) -> None:
    """Log what becomes of one job: the C rcron's line.

    config: gives the cluster's name, the facility and the level. fields: the line's middle, such as
    `state=passive status=ignore`. command: the job, as the function `command` tells it.
    """
    line = f"cluster={one_line(config.cluster_name)} {fields} cmd={command}"
    _send(config.syslog_facility, config.syslog_level, line)


def notice(config: Config, text: str) -> None:
    """Log that a state changed or was confirmed, at the configured level. text: the line after `cluster=C`."""
    _send(config.syslog_facility, config.syslog_level, f"cluster={one_line(config.cluster_name)} {one_line(text)}")


def warning(config: "Config | None", text: str) -> None:
    """Log what is wrong on this node, at LOG_WARNING.

    config: the cluster's, or None where it could not be read. text: a sentence.
    """
    if config is None:
        _send(FACILITIES["LOG_CRON"], LEVELS["LOG_WARNING"], f"warning: {one_line(text)}")
    else:
        line = f"cluster={one_line(config.cluster_name)} warning: {one_line(text)}"
        _send(config.syslog_facility, LEVELS["LOG_WARNING"], line)


def command(words: "list[str]") -> str:
    """A command as one line of at most MAX_COMMAND bytes, blanks between its words, `...` where it was cut."""
    kept = []
    length = 0
    for word in words:
        # An argument may be 128 KiB and there may be thousands: never handle more of them than is shown.
        kept.append(word[: MAX_COMMAND + 1])
        length += len(kept[-1]) + 1
        if length > MAX_COMMAND + 1:
            break
    line = one_line(" ".join(kept))
    data = line.encode()
    if len(data) <= MAX_COMMAND:
        return line
    return data[: MAX_COMMAND - 3].decode("utf-8", "ignore") + "..."


def one_line(text: str) -> str:
    """text with every character that could end a line, move a cursor or be no character at all (a byte that is no
    UTF-8) written as an escape: \\n, \\t, \\x1b, \\u202e."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape (PEP 383): the byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def _send(facility: int, level: int, line: str) -> None:
    syslog.openlog("rcron", syslog.LOG_PID, facility)
    syslog.syslog(level, line)
