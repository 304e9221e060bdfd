# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""All timers of a host, from what systemctl says."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.module_utils.timers import drop_in, listing

TIMERS = """\
Unit=plain.service
NextElapseUSecRealtime=Sat 2026-11-28 10:26:16 UTC
NextElapseUSecMonotonic=0
Id=plain.timer

Unit=boot.service
NextElapseUSecRealtime=
NextElapseUSecMonotonic=1h 30min 0.5s
Id=boot.timer

Unit=a.target
NextElapseUSecRealtime=n/a
NextElapseUSecMonotonic=infinity
Id=ended.timer
"""
SERVICES = """\
ExecCondition={ path=/bin/sh ; argv[]=/bin/sh -c /usr/bin/rcronctl --conf /etc/rcron/b.conf guard --takeover-wait 30 \
--passive-status 75 "$$0"; case $$? in 0) ;; 75) exit 1 ;; *) exit 255 ;; esac plain.service ; ignore_errors=no }
Id=plain.service

ExecCondition={ path=/bin/grep ; argv[]=/bin/grep guard /etc/x ; ignore_errors=no }
Id=boot.service
"""


@pytest.fixture(autouse=True)
def _folders(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_in, "FOLDERS", {"system": str(tmp_path / "system"), "user": str(tmp_path / "user")})


def test_timers_are_listed_with_their_guards(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(programs, "output", lambda *words: TIMERS if "*.timer" in words else SERVICES)
    for scope, service in [("user", "mine"), ("user", "plain"), ("system", "plain"), ("system", "stopped")]:
        place = tmp_path / scope / f"{service}.service.d" / "50-rcron.conf"
        place.parent.mkdir(parents=True)
        place.write_text(drop_in.text(scope, "/usr/bin/rcronctl", drop_in.DEFAULT_CONF, None))
    assert listing.listed(now=1_000_000.0, monotonic=10_000.0) == [
        {"timer": "boot.timer", "service": "boot.service", "scope": "system", "next": 990_000.0 + 5400.5,
         "guarded": False, "conf": None, "takeover_wait": None},
        {"timer": "ended.timer", "service": "a.target", "scope": "system", "next": None,
         "guarded": False, "conf": None, "takeover_wait": None},
        {"timer": "plain.timer", "service": "plain.service", "scope": "system", "next": 1795861576.0,
         "guarded": True, "conf": "/etc/rcron/b.conf", "takeover_wait": 30},
        *(
            {"timer": None, "service": service, "scope": scope, "next": None,
             "guarded": True, "conf": "/etc/rcron/rcron.conf", "takeover_wait": None}
            for scope, service in [("system", "stopped.service"), ("user", "mine.service"), ("user", "plain.service")]
        ),
    ]  # fmt: skip


def test_host_without_systemd_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def output(*_words: str) -> str:
        raise programs.NotStartedError("no systemctl")

    monkeypatch.setattr(programs, "output", output)
    assert listing.listed() == []


@pytest.mark.parametrize("scope", ["system", "user"])
@pytest.mark.parametrize("wait", [None, 0, 30])
def test_guard_is_read_from_what_the_module_writes(scope: str, wait: int | None) -> None:
    text = drop_in.text(scope, "/opt/bin/rcronctl", "/etc/rcron/b.conf", wait)
    assert listing.guard_of(text) == {"guarded": True, "conf": "/etc/rcron/b.conf", "takeover_wait": wait}


def test_guard_of_ones_own_is_seen_too() -> None:
    condition = "{ path=/usr/bin/rcronctl ; argv[]=/usr/bin/rcronctl guard --conf /etc/rcron/b.conf a.service ; }"
    assert listing.guard_of(condition)["conf"] == "/etc/rcron/b.conf"
