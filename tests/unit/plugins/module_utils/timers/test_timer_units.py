# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is known of timers and services: from what systemd 247, 252 and 257 have said of the scenario's units."""

from __future__ import annotations

import math
import pathlib

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.module_utils.timers import units
from ansible_collections.rcron.cluster.plugins.module_utils.timers.units import (
    Manager,
    MissingUnitError,
    Service,
    Timer,
    UnitError,
    UserUnits,
)

RECORDED = pathlib.Path(__file__).with_name("recorded")
VERSIONS = [247, 252, 257]
#: The same units as files.
SCENARIO = pathlib.Path(__file__).resolve().parents[5] / "molecule" / "timers" / "files"


def recorded(kind: str, version: int) -> dict[str, dict[str, str]]:
    """What systemctl said: each unit's properties by its name."""
    text = (RECORDED / f"{kind}-{version}.txt").read_text()
    return {block["Id"]: block for block in units.blocks(text)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "timer"),
    [
        ("plain.timer", Timer("plain.timer", "plain.service", accuracy=0.01)),
        ("instance@rcron.timer", Timer("instance@.timer", "instance@.service", accuracy=0.01)),
        ("other.timer", Timer("other.timer", "renamed.service", accuracy=0.01)),
        ("jitter.timer", Timer("jitter.timer", "jitter.service", random_delay=3600, accuracy=1)),
        ("inaccurate.timer", Timer("inaccurate.timer", "inaccurate.service", accuracy=3600)),
        ("boot.timer", Timer("boot.timer", "boot.service", once=True, accuracy=1)),
        ("persistent.timer", Timer("persistent.timer", "persistent.service", is_persistent=True, accuracy=1)),
        # OnBootSec= and OnUnitActiveSec=: it comes again.
        ("systemd-tmpfiles-clean.timer", Timer("systemd-tmpfiles-clean.timer", "systemd-tmpfiles-clean.service")),
    ],
)
def test_timer_is_read(version: int, name: str, timer: Timer) -> None:
    assert units.timer(recorded("timers", version)[name]) == timer


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("plain.service", Service("plain.service")),
        ("instance@rcron.service", Service("instance@.service")),
        ("rooted.service", Service("rooted.service", root="/srv")),
        ("rooted-start.service", Service("rooted-start.service")),
        ("sandbox.service", Service("sandbox.service", user="alice")),
        ("nobody-there.service", Service("nobody-there.service", user="nosuchuser")),
        ("hidden.service", Service("hidden.service", mounts=["/run"])),
        ("always.service", Service("always.service", restart="always", start_limit=90)),
    ],
)
def test_service_is_read(version: int, name: str, service: Service) -> None:
    assert units.service(recorded("services", version)[name], {}) == service


def test_on_success_came_after_systemd_247() -> None:
    on_success = [units.service(recorded("services", version)["ping.service"], {}).on_success for version in VERSIONS]
    assert on_success == [[], ["healthy.service"], ["healthy.service"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_unit_that_is_not_there_or_masked_is_found_out(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        name: "\n".join(f"{key}={value}" for key, value in block.items())
        for kind in ("timers", "services")
        for name, block in recorded(kind, version).items()
    }
    monkeypatch.setattr(programs, "output", lambda *words: texts[words[-1]])
    monkeypatch.setattr(units, "SYSTEM_FOLDERS", ())
    with pytest.raises(MissingUnitError, match=r"missing\.timer does not exist"):
        Manager().timer("missing.timer")
    with pytest.raises(MissingUnitError, match=r"missing\.service does not exist"):
        Manager().service("missing.service")
    with pytest.raises(UnitError, match=r"masked\.timer is masked.*systemctl unmask masked\.timer"):
        Manager().timer("masked.timer")
    assert Manager().timer("instance@.timer").service == "instance@.service"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1min 30s", 90),
        ("90", 90),
        ("10ms", 0.01),
        ("3month 1w 1d 16h 30min", 3 * 2629800 + 604800 + 86400 + 16 * 3600 + 1800),
        ("1.5h", 5400),
        ("infinity", math.inf),
        ("", 0),
        ("soon", 0),
    ],
)
def test_lengths_of_time(text: str, expected: float) -> None:
    assert units.seconds(text) == expected


def test_a_property_that_comes_several_times_keeps_all_lines() -> None:
    shown = "TimersMonotonic={ OnBootUSec=1h }\nTimersMonotonic={ OnUnitActiveUSec=1h }\nId=a.timer\n\nId=b.timer\n"
    first, second = units.blocks(shown)
    assert first["TimersMonotonic"].splitlines() == ["{ OnBootUSec=1h }", "{ OnUnitActiveUSec=1h }"]
    assert second == {"Id": "b.timer"}
    assert not units.timer({**first, "Unit": "a.service"}).once


class TestStarters:
    @pytest.fixture
    def folder(self, tmp_path: pathlib.Path) -> pathlib.Path:
        return tmp_path

    def find(self, folder: pathlib.Path, name: str = "a.service") -> dict[str, set[str]]:
        return units.starters(name, (str(folder), str(folder / "missing")))

    def test_units_of_the_scenario(self) -> None:
        folder = (str(SCENARIO / "system"),)
        assert units.starters("needed.service", folder) == {"follower.service": {"Requires"}}
        assert units.starters("healthy.service", folder) == {"ping.service": {"OnSuccess"}}
        # By its timer only, which names it.
        assert units.starters("renamed.service", folder) == {}

    @pytest.mark.parametrize(
        ("line", "setting"),
        [
            ("Wants=x.service a.service", "Wants"),
            ("Requires = a.service", "Requires"),
            ("BindsTo=a.service y.service", "BindsTo"),
            ("OnFailure=a.service", "OnFailure"),
            ("Wants=x.service \\\n  a.service", "Wants"),
        ],
    )
    def test_setting_that_names_it(self, folder: pathlib.Path, line: str, setting: str) -> None:
        (folder / "b.service").write_text(f"[Unit]\n{line}\n")
        assert self.find(folder) == {"b.service": {setting}}

    @pytest.mark.parametrize("line", ["# Wants=a.service", "Wants=aa.service", "Wants=a.service.x", "After=a.service"])
    def test_what_does_not_start_it(self, folder: pathlib.Path, line: str) -> None:
        (folder / "b.service").write_text(f"[Unit]\n{line}\n")
        assert self.find(folder) == {}

    def test_drop_ins_and_links(self, folder: pathlib.Path) -> None:
        for name in ("multi-user.target.wants", "c.service.requires", "d.service.d"):
            (folder / name).mkdir()
        (folder / "multi-user.target.wants" / "a.service").symlink_to("../a.service")
        (folder / "c.service.requires" / "a.service").symlink_to("../a.service")
        (folder / "d.service.d" / "x.conf").write_text("[Unit]\nUpholds=a.service\n")
        assert self.find(folder) == {
            "multi-user.target": {"Wants"},
            "c.service": {"Requires"},
            "d.service": {"Upholds"},
        }

    def test_paths_and_sockets(self, folder: pathlib.Path) -> None:
        (folder / "a.path").write_text("[Path]\nPathExists=/x\n")
        (folder / "a.socket").write_text("[Socket]\nListenStream=1\nService=other.service\n")
        (folder / "b.path").write_text("[Path]\nUnit=a.service\n")
        assert self.find(folder) == {"a.path": {"Unit"}, "b.path": {"Unit"}}

    def test_timers_and_masked_units_do_not_count(self, folder: pathlib.Path) -> None:
        (folder / "a.timer").write_text("[Timer]\nUnit=a.service\n")
        (folder / "b.service").symlink_to("/dev/null")
        assert self.find(folder) == {}

    def test_they_and_followers_are_named(self) -> None:
        found = units.service({"Id": "a.service"}, {"c.service": {"Requires", "Wants"}, "b.target": {"Wants"}})
        assert found.starters == ["b.target (Wants=)", "c.service (Requires=, Wants=)"]
        assert found.followers == ["c.service"]


class TestUserUnits:
    @pytest.fixture
    def folders(self, tmp_path: pathlib.Path) -> tuple[str, str]:
        for name in ("etc", "usr"):
            (tmp_path / name).mkdir()
        return str(tmp_path / "etc"), str(tmp_path / "usr")

    def write(self, folders: tuple[str, str], path: str, text: str) -> None:
        place = pathlib.Path(folders[0]).parent / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)

    def test_units_of_the_scenario(self) -> None:
        user = UserUnits((str(SCENARIO / "user"),))
        assert user.timer("mine.timer") == Timer("mine.timer", "mine.service", accuracy=0.01)
        assert user.service("mine.service") == Service("mine.service")

    def test_the_first_folder_counts_and_drop_ins_are_added(self, folders: tuple[str, str]) -> None:
        self.write(folders, "usr/a.timer", "[Timer]\nOnBootSec=1h\nUnit=x.service\n")
        self.write(folders, "etc/a.timer", "[Timer]\nOnBootSec=1h\n")
        self.write(folders, "usr/a.timer.d/1.conf", "[Timer]\nOnBootSec=\nOnCalendar=daily\nPersistent=true\n")
        self.write(folders, "usr/a.timer.d/2.conf", "[Timer]\nRandomizedDelaySec=1h\n")
        self.write(folders, "etc/a.timer.d/2.conf", "[Timer]\nRandomizedDelaySec=1min\n")
        assert UserUnits(folders).timer("a.timer") == Timer("a.timer", "a.service", is_persistent=True, random_delay=60)

    def test_timer_that_elapses_once(self, folders: tuple[str, str]) -> None:
        self.write(folders, "usr/a.timer", "[Timer]\nOnStartupSec=1h\n")
        assert UserUnits(folders).timer("a.timer").once

    def test_template(self, folders: tuple[str, str]) -> None:
        self.write(folders, "usr/a@.timer", "[Timer]\nOnCalendar=daily\n")
        assert UserUnits(folders).timer("a@.timer").service == "a@.service"
        assert UserUnits(folders).timer("a@b.timer").service == "a@b.service"

    def test_service_with_hazards(self, folders: tuple[str, str]) -> None:
        self.write(
            folders,
            "usr/a.service",
            "[Unit]\nOnSuccess=b.service c.service\n"
            "[Service]\nRootDirectory=/srv\nRestart=always\nTimeoutStartSec=5min\n",
        )
        assert UserUnits(folders).service("a.service") == Service(
            "a.service", root="/srv", restart="always", on_success=["b.service", "c.service"], start_limit=300
        )

    def test_missing_and_masked(self, folders: tuple[str, str]) -> None:
        with pytest.raises(MissingUnitError, match=r"a\.timer does not exist in .*etc, .*usr"):
            UserUnits(folders).timer("a.timer")
        pathlib.Path(folders[0], "a.timer").symlink_to("/dev/null")
        with pytest.raises(UnitError, match=r"a\.timer is masked"):
            UserUnits(folders).timer("a.timer")
