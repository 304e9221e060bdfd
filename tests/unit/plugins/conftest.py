# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Stand-ins for crontab(1), which behave as the real ones were seen to, with a spool folder of the test's own."""

from __future__ import annotations

import os
import pathlib
import pwd
from typing import NamedTuple

import pytest

STAND_INS = pathlib.Path(__file__).parent / "crontabs"


class FakeCrontab(NamedTuple):
    """A stand-in and what it leaves behind."""

    path: str
    folder: pathlib.Path
    user: str  # a user that exists

    @property
    def spool(self) -> pathlib.Path:
        return self.folder / "spool"

    @property
    def crontab(self) -> pathlib.Path:
        return self.spool / self.user

    @property
    def search_path(self) -> str:
        """What PATH must be for the stand-in to be found."""
        return f"{self.folder}:{os.environ['PATH']}"

    def calls(self) -> list[str]:
        """Return the arguments of all calls, with the locale in front."""
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def fake_crontab(tmp_path):
    """Return a function that makes a stand-in: "debian", "cronie", "systemd-cron" or "busybox"."""
    made = []

    def make(kind: str) -> FakeCrontab:
        folder = tmp_path / kind
        (folder / "spool").mkdir(parents=True)
        script = folder / "crontab"
        script.write_bytes((STAND_INS / "crontab.sh").read_bytes())
        script.chmod(0o755)
        (folder / "implementation.sh").write_bytes((STAND_INS / f"{kind}.sh").read_bytes())
        made.append(folder)
        return FakeCrontab(str(script), folder, pwd.getpwuid(0).pw_name)

    yield make
    for folder in made:
        assert not (folder / "disaster").exists(), "a crontab was emptied, or cronie's cluster host was set"
