# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Client libraries of the distribution's, which an interpreter that was started with -S does not look for."""

import importlib
import sys
from typing import Any


def module(name: str, package: str) -> Any:
    """Import a module of the distribution's.

    Args:
        name: The module's name.
        package: The package that has it, for the message.

    Returns:
        The module.

    Raises:
        ValueError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    import site

    for folder in site.getsitepackages():
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"{error}; install the package {package}") from None
