# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A pin overrides the feeder until unpin, or until its time is up."""

import json
import os
import pathlib
import time
from typing import Any

import pytest

from rcron import pin, settings


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h", 7200), ("2h30m", 9000), ("1d", 86400), ("1w", 604800), ("1h1h", 7200)]
)
def test_a_duration_is_numbers_with_units(text: str, seconds: int) -> None:
    assert pin.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "h", "0s", "-1h", "1.5h", "2 h", "1y", "2hx", "99999999999s", "11111w", "\u0661h"]
)
def test_text_that_is_not_a_duration_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="write numbers with their units s, m, h, d or w, such as 2h30m"):
        pin.duration(text)


@pytest.mark.parametrize(
    ("state_file", "path"),
    [
        ("/var/run/rcron/state", "/var/lib/rcron/state.pin"),
        ("/run/rcron/billing", "/var/lib/rcron/billing.pin"),
        ("/srv/rcron/state", "/srv/rcron/state.pin"),
    ],
)
def test_a_pin_is_kept_where_a_reboot_leaves_it(state_file: str, path: str) -> None:
    conf = settings.Config("f")
    conf.state_file = state_file
    assert conf.pin_file == path


@pytest.fixture
def pin_file(node: Any) -> pathlib.Path:
    return node.state_file.with_name("state.pin")


@pytest.mark.parametrize("now", [1000.0, 1000.2, 1000.4, 1000.6])
def test_a_pin_ends_at_no_time_before_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, now: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: now)
    conf = settings.parse(f"state_file = {tmp_path}/state", "rcron.conf")
    monkeypatch.setattr(settings.Config, "pin_file", str(tmp_path / "state.pin"))
    pin.write(conf, "passive", 3)
    _state, until, _boot, boot_until = (tmp_path / "state.pin").read_text().split()
    for end in (until, boot_until):
        assert now + 3 <= float(end) <= now + 4


def test_a_pin_holds_against_the_feeder_until_unpin(node: Any) -> None:
    node.become("active")
    out = node.ctl("pin", "passive")
    assert (out.returncode, out.stdout) == (0, "pinned passive until rcronctl unpin\n")
    node.ctl("feed", "keepalived", "--instance", "V", "INSTANCE", "V", "BACKUP", "1")
    node.ctl("feed", "keepalived", "--instance", "V", "INSTANCE", "V", "MASTER", "1")
    assert node.state_file.read_text() == "active\n"
    assert node.ctl("is-active").returncode == 1
    assert node.run("echo", "ran").stdout == ""
    assert node.log()[-1] == "9.6 cluster=c1 state=passive pin=unpin status=ignore cmd=echo ran"
    out = node.ctl("unpin")
    assert out.stdout == f"unpinned; now active: {node.state_file} says so\n"
    assert node.run("echo", "ran").stdout == "ran\n"


def test_a_node_pinned_active_runs_jobs_and_is_warned_of(node: Any) -> None:
    node.become("passive")
    assert "or jobs run twice" in node.ctl("pin", "active", "--for", "1h").stdout
    assert node.run("echo", "ran").stdout == "ran\n"
    for line, status in zip(node.log_without_times()[-2:], ("start", "ok dur=N exit=0")):
        assert " state=active pin=20" in line
        assert line.endswith(f"Z status={status} cmd=echo ran")


def test_a_pin_ends_by_itself(node: Any) -> None:
    node.become("active")
    node.ctl("pin", "passive", "--for", "5s")
    assert node.ctl("is-active").returncode == 1
    time.sleep(6)
    assert node.ctl("is-active").returncode == 0
    assert "pin:            none" in node.ctl("status").stdout


def test_status_shows_a_pin(node: Any) -> None:
    node.become("active")
    node.ctl("pin", "passive", "--for", "2h30m")
    status = json.loads(node.ctl("status", "--json").stdout)
    assert (status["state"], status["source"], status["pin"]["state"]) == ("passive", "pin", "passive")
    assert abs(status["pin"]["until"] - time.time() - 9000) < 5
    text = node.ctl("status").stdout
    assert "why:            pinned passive until " in text
    assert "(in 2 h 29 min)" in text or "(in 2 h 30 min)" in text


def test_setting_the_clock_neither_prolongs_nor_shortens_a_pin(node: Any, pin_file: pathlib.Path) -> None:
    """Within one boot the wall clock's word in the pin is not even looked at."""
    node.become("active")
    node.ctl("pin", "passive", "--for", "1h")
    word, until, boot, ends = pin_file.read_text().split()
    for off in (-86400, 86400):
        pin_file.write_text(f"{word} {float(until) + off} {boot} {ends}\n")
        assert node.ctl("is-active").returncode == 1


def test_after_a_reboot_the_wall_clock_counts(node: Any, pin_file: pathlib.Path) -> None:
    node.become("active")
    node.ctl("pin", "passive", "--for", "1h")
    word, until, _boot, ends = pin_file.read_text().split()
    pin_file.write_text(f"{word} {until} another-boot 1\n")
    assert node.ctl("is-active").returncode == 1
    pin_file.write_text(f"{word} {int(time.time()) - 1} another-boot {ends}\n")
    assert node.ctl("is-active").returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        *("", "inactive", "passive soon", "passive 1 2 3 4", "passive x boot y", "\0"),
        # Numbers that are not a time, which crashed rcron and rcronctl once.
        *("passive nan boot 1", "passive inf boot 1", "passive 1e300 boot 1", "passive 976406400000000000.000 boot 1"),
        "passive\x1c",  # not white space in a state file, either
    ],
)
def test_a_pin_that_cannot_be_understood_is_ignored_with_a_warning(
    node: Any, pin_file: pathlib.Path, content: str
) -> None:
    node.become("active")
    pin_file.write_text(content)
    assert node.run("echo", "ran").stdout == "ran\n"
    assert f"{pin_file}: invalid pin file, ignored" in node.log()[0]


def test_a_pin_file_that_is_too_large_is_ignored_with_a_warning(node: Any, pin_file: pathlib.Path) -> None:
    node.become("active")
    pin_file.write_text("passive" + " " * 4096 + "and more")
    assert node.run("echo", "ran").stdout == "ran\n"
    assert f"{pin_file}: larger than 4096 bytes; ignored" in node.log()[0]


def test_a_pin_that_everyone_may_write_is_ignored_with_a_warning(node: Any, pin_file: pathlib.Path) -> None:
    node.become("active")
    node.ctl("pin", "passive")
    assert pin_file.stat().st_mode & 0o7777 == 0o644
    pin_file.chmod(0o666)
    assert node.run("echo", "ran").stdout == "ran\n"
    assert f"{pin_file}: everyone may write it, so it cannot be trusted; ignored" in node.log()[1]


def test_unpin_without_a_pin_says_so(node: Any) -> None:
    out = node.ctl("unpin")
    assert (out.returncode, out.stdout) == (0, "there was no pin\n")


def test_a_bad_time_is_wrong_usage_and_pins_nothing(node: Any, pin_file: pathlib.Path) -> None:
    out = node.ctl("pin", "passive", "--for", "2 hours")
    assert out.returncode == 64
    assert "such as 2h30m" in out.stderr
    assert not pin_file.exists()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_every_user_may_look_for_a_pin_whatever_the_administrators_umask(node: Any, umask: int) -> None:
    node.conf.write_text(f"state_file = {node.folder}/new/below/state\n")
    assert node.ctl("pin", "passive", umask=umask).returncode == 0
    for path, mode in ((node.folder / "new", 0o755), (node.folder / "new" / "below", 0o711)):
        assert path.stat().st_mode & 0o777 == mode


def test_a_pin_that_everyone_could_replace_is_ignored(node: Any, pin_file: pathlib.Path) -> None:
    node.become("active")
    node.ctl("pin", "passive")
    pin_file.parent.chmod(0o777)
    node.configure("default_state = active")
    assert node.run("echo", "ran").stdout == "ran\n"
    assert f"{pin_file}: everyone may write its folder, so it cannot be trusted; ignored" in node.log()[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_feeder_s_user_overrides_no_pin_of_root_s(node: Any) -> None:
    """Beside a state file that is not below /run, the pin would lie in a folder of that user's."""
    node.become("active")
    folder = node.state_file.parent
    os.chown(folder, 12345, 12345)
    out = node.ctl("pin", "passive")
    assert (out.returncode, node.run("echo", "ran").stdout) == (73, "ran\n")
    assert (
        f"{folder}/: belongs to the user with UID 12345, who could remove or replace the pin; put state_file"
        in out.stderr
    )
    assert not os.path.lexists(f"{node.state_file}.pin")
    # What that user plants there counts for nobody else.
    planted = pathlib.Path(f"{node.state_file}.pin")
    planted.write_text("passive\n")
    os.chown(planted, 12345, 12345)
    assert node.run("echo", "ran").stdout == "ran\n"
    os.chown(planted, 0, 0)
    assert node.run("echo", "ran").stdout == "", "the attack works if the owner is not looked at"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_whoever_a_configuration_belongs_to_may_pin_its_cluster(node: Any) -> None:
    node.become("active")
    for path in (node.state_file.parent, node.conf):
        os.chown(path, 12345, 12345)
    assert node.ctl("pin", "passive").returncode == 0
    assert node.run("echo", "ran").stdout == ""
