# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Start this process anew in Python's UTF-8 mode (PEP 540), for a locale of another encoding.

Python reads words and writes paths in the locale's encoding. A job's words must arrive byte by byte, whatever they are,
and the state file's path, which rcron.conf holds in UTF-8, must be the same in every locale. In UTF-8 both is so. Other
encodings lose bytes: in EUC-JP some cannot be written at all, and in GB18030 some come back as others. -I has Python
ignore PYTHONUTF8, and a program's first line has room for one -X option only, which an installation needs.
"""

import io
import posix
import sys


def restart() -> None:
    """Execute this process's own command line in UTF-8 mode. Returns only if that is impossible, or done already."""
    if sys.flags.utf8_mode:
        return
    try:
        fd = posix.open("/proc/self/cmdline", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            data = b""
            while chunk := posix.read(fd, 1 << 16):
                data += chunk
        finally:
            posix.close(fd)
        program, *words = data[:-1].split(b"\0")
        posix.execv("/proc/self/exe", [program, b"-Xutf8", *words])
    except (OSError, ValueError):
        pass  # no /proc: what is ASCII arrives all the same


def restart_unless_ascii(*texts: str) -> None:
    """Restart in UTF-8 mode only if one of these texts makes a difference: a second start of Python takes its time.

    Args:
        texts: words of the command line, or paths.
    """
    if not all(text.isascii() for text in texts):
        restart()


def ensure() -> None:
    """Restart in UTF-8 mode unless UTF-8 is the encoding already; standard streams keep the locale's."""
    if sys.getfilesystemencoding() != "utf-8":
        restart()
    elif "utf8" in sys._xoptions:
        import _locale

        encoding = _locale.nl_langinfo(_locale.CODESET)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding=encoding)
