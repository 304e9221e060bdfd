# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The part of rcron_info that runs on the controller: it measures the host's clock against the controller's, and looks
whether the answer is one."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


class ActionModule(ActionBase):
    """Runs the module and looks at the controller's clock before and after it."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        """Return what the module returns, with clock_offset and clock_uncertainty; a failure for what is no answer."""
        super().run(tmp, task_vars)
        before = time.time()
        result = self._execute_module(task_vars=task_vars)
        after = time.time()
        result = answer.checked(result)
        elapsed = result.pop("elapsed", 0.0)
        if "time" in result:
            # The module read its host's clock somewhere between the question's start and the answer's, Cristian's way.
            latest = after - elapsed
            result["clock_offset"] = round(result["time"] - (before + latest) / 2, 3)
            result["clock_uncertainty"] = round(max(latest - before, 0.0) / 2, 3)
        return result
