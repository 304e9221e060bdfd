# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of rcron_pacemaker_resource that runs on the controller: it takes no facts from the host."""

from __future__ import annotations

from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer


class ActionModule(Normal):
    """Runs the module, as any module is run."""

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        """Return the module's result without facts, and with nothing that a terminal obeys: its steps are printed."""
        return answer.plain(answer.without_facts(super().run(tmp, task_vars)))
