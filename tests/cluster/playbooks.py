# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The type of the fixture `play` (conftest.py): runs ansible-playbook with the words that it is given."""

import subprocess
from collections.abc import Callable

Play = Callable[..., subprocess.CompletedProcess[str]]
