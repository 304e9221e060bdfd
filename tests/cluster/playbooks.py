# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What tests of several steps share: the type of the fixture `play` (conftest.py), which runs ansible-playbook with the
words that it is given, and how a user's own service manager is reached."""

import subprocess
from collections.abc import Callable

Play = Callable[..., subprocess.CompletedProcess[str]]


def as_alice(command: str) -> str:
    """A command as alice has it who has a service manager of her own."""
    return (
        "setpriv --reuid=alice --regid=alice --clear-groups --reset-env "
        f'env XDG_RUNTIME_DIR="/run/user/$(id -u alice)" {command}'
    )
