# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Coverage of the rcron and rcronctl that the tests start (make coverage).

They run isolated (-I -S), end without the interpreter's tidying up, fork, and turn into other programs: coverage's own
ways into a subprocess notice none of that.
"""

import atexit
import os
import posix
from typing import Any

import coverage


def begin(settings: str) -> None:
    """Measure this process from here on. settings: coverage's configuration file."""
    measurement = coverage.Coverage(config_file=settings, data_suffix=True)
    measurement.start()
    end, execute = posix._exit, posix.execv

    def ends(status: int) -> None:
        measurement.stop()
        measurement.save()
        end(status)

    def becomes(path: Any, argv: Any) -> None:
        measurement.save()
        execute(path, argv)

    posix._exit = os._exit = ends  # type: ignore[assignment]
    posix.execv = os.execv = becomes  # type: ignore[assignment]
    atexit.register(lambda: (measurement.stop(), measurement.save()))
