# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A node in a folder whose rcronctl runs in this process, thousands of times a second."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import tempfile
from typing import NamedTuple
from unittest import mock

from rcron import ctl, log, settings

#: Building the parser takes ten times as long as all the rest.
_parser = functools.cache(ctl._parser)


class Answer(NamedTuple):
    """What a command said. log: the lines that went to syslog."""

    status: int
    stdout: str
    stderr: str
    log: list[str]

    def is_printable(self) -> None:
        """Raise AssertionError if something printed or logged could break a line or move a terminal's cursor."""
        for line in self.log:
            assert line.isprintable(), f"a log line is one printable line, and not {line!r}"
        for text in (self.stdout, self.stderr):
            assert not text or text.endswith("\n"), f"what is printed ends with a newline: {text!r}"
            for line in text[:-1].split("\n"):
                assert line.isprintable(), f"what is printed is printable: {line!r}"


class Node:
    """One cluster's configuration and state file in a folder of its own.

    lines: further lines of its rcron.conf. Attributes: folder, conf (the configuration's path) and state_file (all
    str), config (Config).
    """

    def __init__(self, lines: str = "") -> None:
        self.folder = tempfile.mkdtemp(prefix="node-")
        self.conf = f"{self.folder}/rcron.conf"
        self.state_file = f"{self.folder}/state"
        with open(self.conf, "w", encoding="utf-8") as stream:
            stream.write(f"state_file = {self.state_file}\ncluster_name = c1\n{lines}")
        self.config = settings.load(self.conf)

    def become(self, content: bytes | None, **beside: bytes | None) -> None:
        """Set the state file's content, and that of STATE_FILE.NAME for each NAME; None for no file. Whatever else is
        beside it goes."""
        self.put(self.state_file, content)
        for name in ("pin", "feeder"):
            self.put(f"{self.state_file}.{name}", beside.get(name))

    def put(self, path: str, content: bytes | None) -> None:
        """Write a file of mode 0644; None removes it."""
        if content is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, content)
        os.close(fd)

    def state(self) -> bytes | None:
        """What the state file holds, or None if there is none."""
        try:
            with open(self.state_file, "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def exists(self, beside: str) -> bool:
        """Whether there is a file STATE_FILE + beside."""
        return os.path.lexists(self.state_file + beside)

    def ctl(self, *words: str, conf: str | None = None) -> Answer:
        """Run `rcronctl --conf CONF WORDS`, as a process with a UTF-8 locale would."""
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", newline="\n")
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="\n")
        logged: list[str] = []
        with (
            mock.patch.object(ctl, "_parser", _parser),
            mock.patch.object(log, "_send", lambda _facility, _level, line: logged.append(line)),
            mock.patch.object(sys, "stdout", out),
            mock.patch.object(sys, "stderr", err),
        ):
            try:
                status = ctl.main(["--conf", self.conf if conf is None else conf, *words])
            except SystemExit as end:
                status = int(end.code or 0)
            out.flush()
            err.flush()
        # newline="\n" above and decoding here: no "\r" is taken for a line's end.
        return Answer(status, *(stream.buffer.getvalue().decode() for stream in (out, err)), logged)  # type: ignore[attr-defined]
