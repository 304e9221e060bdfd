# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The lines that go to syslog: one event is one line, whatever a job's words hold.

If there is no log daemon, nothing is logged. That is intended: jobs run without a log, too.
"""

import posix
import sys
import syslog
import time

from rcron.settings import FACILITIES, LEVELS, Config

#: How much of a command a log line holds, in bytes.
MAX_COMMAND = 2048

#: The log daemon's socket, connected; -1 before the first line, and if there is none.
_fd = -1

#: How many lines the log daemon had no room for since the last one that it took.
_dropped = 0

#: The field ` job=NAME` of every line about this process's job, or an empty string if the job has no name.
_job = ""


def name_job(name: str) -> None:
    """Have every line about this process's job hold the job's name.

    Args:
        name: the name that the command line gives it.
    """
    global _job
    _job = f" job={word(name)}"


def forget_job() -> None:
    """Have the lines that follow hold no name: their fields have it."""
    global _job
    _job = ""


def word(text: str) -> str:
    """Write a text as one word of a log line.

    Args:
        text: any text.

    Returns:
        The text itself; in double quotes if it holds a blank or a quote, with escapes for quotes, backslashes and `=`:
        what reads the line's fields must not find one in there.
    """
    text = one_line(text)
    if text and not any(character in text for character in ' "\\='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("=", "\\x3d")
    return f'"{escaped}"'


def event(config: Config, fields: str, command: str) -> None:
    """Log what happens to one job: the C rcron's line.

    Args:
        config: gives the cluster's name, the facility and the level.
        fields: the line's middle, such as `state=passive status=ignore`.
        command: the job, as the function `command` returns it.
    """
    line = f"cluster={one_line(config.cluster_name)} {fields}{_job} cmd={command}"
    _send(config.syslog_facility, config.syslog_level, line)


def change(config: Config, text: str) -> None:
    """Log that a state changed or was confirmed, at the configured level.

    Args:
        config: gives the cluster's name, the facility and the level.
        text: the line after `cluster=C`.
    """
    _send(config.syslog_facility, config.syslog_level, f"cluster={one_line(config.cluster_name)} {one_line(text)}")


def warning(config: "Config | None", text: str) -> None:
    """Log a problem of this node, at LOG_WARNING.

    Args:
        config: the cluster's, or None if it could not be read.
        text: a sentence.
    """
    if config is None:
        _send(FACILITIES["LOG_CRON"], LEVELS["LOG_WARNING"], f"warning: {one_line(text)}")
    else:
        line = f"cluster={one_line(config.cluster_name)} warning: {one_line(text)}"
        _send(config.syslog_facility, LEVELS["LOG_WARNING"], line)


def command(words: "list[str]") -> str:
    """Write a command as one line of at most MAX_COMMAND bytes, with `...` at the end if it was cut.

    Args:
        words: the command's words, which blanks separate in the line.
    """
    kept = []
    length = 0
    for word in words:
        # An argument may be 128 KiB and there may be thousands: handle no more of them than is shown.
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
    r"""Escape every character that could end a line or move a cursor, and every byte that is not UTF-8.

    Args:
        text: any text.

    Returns:
        The text with escapes such as \n, \t, \x1b and \u202e.
    """
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape (PEP 383): the byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def _send(facility: int, level: int, line: str) -> None:
    """Send one line, and never wait.

    A line that the log daemon has no room for is dropped, and the number of dropped lines precedes the next line that
    gets through. Neither a job nor a node that must turn passive may wait for a log daemon that hangs.
    """
    global _dropped
    facility = facility or FACILITIES["LOG_USER"]  # as syslog(3) does: LOG_KERN is the kernel's
    try:
        if _dropped:
            counted = f"warning: {_dropped} lines before this one were dropped: the log daemon did not take them"
            _write(facility | LEVELS["LOG_WARNING"], counted)
            _dropped = 0
        _write(facility | level, line)
    except BlockingIOError:
        _dropped += 1


def _write(priority: int, line: str) -> None:
    """Write one message as syslog(3) does. Raises BlockingIOError if there is no room for it."""
    global _fd
    # Without the newline, a log daemon that listens on a stream would wait for the rest.
    text = f"<{priority}>{time.strftime('%b %e %H:%M:%S')} rcron[{posix.getpid()}]: {line}\n"
    data = text.encode("utf-8", "backslashreplace")
    for _turn in range(2):
        if _fd < 0:
            _fd = _connect()
        if _fd < 0:
            return
        try:
            posix.write(_fd, data)
        except BlockingIOError:
            raise
        except OSError:
            # The log daemon has been restarted, and has a new socket.
            posix.close(_fd)
            _fd = -1
        else:
            return


def _connect() -> int:
    """Return a descriptor of a socket to the log daemon that never blocks; -1 if there is none."""
    if "_socket" in sys.modules:
        import _socket

        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        try:
            socket.connect("/dev/log")
        except OSError:
            socket.close()
            return -1
        return socket.detach()
    # To import _socket takes five times as long as syslog, a fiftieth of a passive run. syslog(3) does not say which
    # descriptor its socket has, but it can only be the lowest free one: this process has no other thread.
    syslog.closelog()
    probe = posix.open("/", posix.O_RDONLY | posix.O_CLOEXEC)
    posix.close(probe)
    syslog.openlog("rcron", syslog.LOG_NDELAY)
    try:
        if posix.fstat(probe).st_mode & 0o170000 != 0o140000:
            return -1
        fd = posix.dup(probe)
        posix.set_blocking(fd, False)
    except OSError:
        return -1
    finally:
        syslog.closelog()
    return fd
