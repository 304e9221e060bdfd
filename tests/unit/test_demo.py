# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make demo` with another feeder than the default."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DEMO = CHECKOUT / "molecule" / "demo"


def test_a_feeder_that_it_does_not_have_is_refused_before_anything_is_started() -> None:
    ran = subprocess.run([sys.executable, DEMO / "demo.py", "chance"], check=False, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == 'demo: there is none with the feeder "chance"; FEEDER is keepalived or lease\n'
    assert ran.stdout == ""


def test_a_lease_has_the_engine_of_the_scenario() -> None:
    """In the same image, which is built once."""
    demo = yaml.safe_load((DEMO / "vars" / "lease.yml").read_text())
    inventory = CHECKOUT / "molecule" / "lease" / "inventory" / "hosts.yml"
    scenario = yaml.safe_load(inventory.read_text())["rcron"]["vars"]
    assert demo == {name: scenario[name] for name in demo}
    assert {"rcron_feeder", "rcron_claims_engine", "node_packages"} <= set(demo)
