# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Your own feeder, as docs/feeders.md shows it: taken out of there and run."""

import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import wait_until

PAGE = pathlib.Path(__file__).resolve().parents[4] / "docs" / "feeders.md"
HELD = (
    "2: eth0    inet 192.0.2.1/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever\n"
)
OURS = "2: eth0    inet 192.0.2.10/32 scope global eth0\\       valid_lft forever preferred_lft forever\n"


def script() -> str:
    section = PAGE.read_text().partition("## Your own feeder\n")[2]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def feeder(node: Any, tmp_path: pathlib.Path) -> "Iterator[subprocess.Popen[bytes]]":
    """The script at work, with an `ip` that prints the content of a file."""
    (tmp_path / "addresses").write_text(HELD)
    programs = {
        "ip": f'[ "$*" = "-oneline address show" ] && exec cat {tmp_path}/addresses',
        "rcronctl": f'exec {node.rcronctl} --conf {node.conf} "$@"',
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    path = tmp_path / "address-feeder"
    path.write_text(script())
    path.chmod(0o755)
    process = subprocess.Popen([path, "192.0.2.10"], env={"PATH": f"{folder}:/usr/bin:/bin"})
    yield process
    process.kill()
    process.wait()


def test_it_has_ten_lines() -> None:
    assert len(script().splitlines()) == 10
    assert script().startswith("#!/bin/sh\n")


def test_the_host_with_the_address_is_active_as_long_as_the_script_says_so(
    node: Any, feeder: "subprocess.Popen[bytes]", tmp_path: pathlib.Path
) -> None:
    addresses = tmp_path / "addresses"

    def becomes(state: str) -> None:
        wait_until(lambda: node.ctl("is-active").stdout == state + "\n", f"the node is {state}")

    node.configure("state_max_age = 10", "default_state = passive")
    becomes("passive")
    # 192.0.2.1/24 was another address than 192.0.2.10, and so is 192.0.2.101.
    addresses.write_text(HELD + OURS.replace(".10/", ".101/"))
    time.sleep(1.5)
    becomes("passive")
    addresses.write_text(HELD + OURS)
    becomes("active")
    addresses.write_text(HELD)
    becomes("passive")
    addresses.write_text(HELD + OURS)
    becomes("active")
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert node.ctl("is-active").returncode == 0, "it says so again in time"
        time.sleep(0.2)
    # Each change once, and nothing for what was said again.
    wait_until(node.state_file.exists, "the state file")
    states = [line.partition(" state=")[2].partition(" ")[0] for line in node.log()]
    assert states == ["passive", "active", "passive", "active"]
    feeder.send_signal(signal.SIGSTOP)
    becomes("passive")
    feeder.send_signal(signal.SIGCONT)
    becomes("active")
    feeder.kill()
    becomes("passive")


def test_a_change_that_could_not_be_written_is_said_again(
    node: Any, feeder: "subprocess.Popen[bytes]", tmp_path: pathlib.Path
) -> None:
    wait_until(node.state_file.exists, "the first state")
    (tmp_path / "addresses").write_text(HELD + OURS)
    wait_until(lambda: node.state_file.read_text() == "active\n", "active")
    conf = node.conf.read_text()
    node.conf.write_text("nonsense = 1\n")  # as python3 away, or a folder that is read-only for a while
    (tmp_path / "addresses").write_text(HELD)
    time.sleep(3)
    assert node.state_file.read_text() == "active\n"
    node.conf.write_text(conf)
    wait_until(lambda: node.state_file.read_text() == "passive\n", "passive")
