# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of rcron_info that runs on the controller: it compares the clocks and checks the answer."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


class ActionModule(ActionBase):
    """Runs the module, and reads the controller's clock before and after it."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        """Return the module's result with clock_offset and clock_uncertainty, or a failure if it is not valid."""
        super().run(tmp, task_vars)
        before = time.time()
        result = self._execute_module(task_vars=task_vars)
        after = time.time()
        result = answer.checked(result)
        elapsed = result.pop("elapsed", 0.0)
        if "time" in result:
            # Cristian's algorithm: the module read its host's clock at some time between the request and the answer.
            latest = after - elapsed
            result["clock_offset"] = round(result["time"] - (before + latest) / 2, 3)
            result["clock_uncertainty"] = round(max(latest - before, 0.0) / 2, 3)
        return result
