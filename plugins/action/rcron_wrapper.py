# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of rcron_wrapper that runs on the controller: it checks the answer."""

from __future__ import annotations

from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


class ActionModule(Normal):
    """Runs the module, as any module is run."""

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        """Return the module's result, or a failure if it is not valid."""
        return answer.examined(super().run(tmp, task_vars))
