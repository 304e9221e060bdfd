# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Prometheus and Alertmanager on a node, as promtool and amtool ask them."""

import json
import time
from dataclasses import dataclass

from nodes import Node

#: Seconds. A scrape and a file may each be 15 seconds late, and as much more on a busy machine.
LATE = 60.0

#: Seconds that an alert which nothing sets off would have shown itself in: the longest `for` of those, and a scrape.
QUIET = 50.0


@dataclass
class Prometheus:
    """node: the one that both run on."""

    node: Node

    def value(self, expression: str) -> float | None:
        """The value of an expression that has one sample, or None."""
        asked = self.node.try_run(f"promtool query instant -o json http://localhost:9090 '{expression}'")
        found = json.loads(asked.stdout or "[]")
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The alerts that Alertmanager has."""
        asked = self.node.try_run("amtool alert query --alertmanager.url=http://localhost:9093 -o json")
        return {alert["labels"]["alertname"] for alert in json.loads(asked.stdout or "[]")}

    def fired(self, since: float) -> set[str]:
        """The alerts that have fired since a moment, in seconds since the epoch."""
        seconds = int(time.time() - since) + 1
        expression = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{seconds}s]))'
        asked = self.node.run(f"promtool query instant -o json http://localhost:9090 '{expression}'")
        return {sample["metric"]["alertname"] for sample in json.loads(asked)}
