# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Programs of a test's own, which an inspector finds before those of this machine."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that puts a shell script into PATH under a name, and returns its path."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> str:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return put


@pytest.fixture
def systemctl(program):
    """Return a function that sets which units systemctl calls active and enabled: none, until it is called."""

    def say(active: str = "", enabled: str = "", shown: str = "MainPID=0") -> None:
        program(
            "systemctl",
            'for unit; do :; done; [ "$1" = --quiet ] && shift\n'
            f'case "$1" in show) echo "{shown}"; exit;; is-active) set -- {active};; *) set -- {enabled};; esac\n'
            'for one; do [ "$one" = "$unit" ] && exit 0; done; exit 3',
        )

    say()
    return say
