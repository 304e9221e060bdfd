# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found out about a ucarp."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import ucarp
from ansible_collections.rcron.cluster.plugins.module_utils.node import network, programs

MARK = "# Written by Ansible"


@pytest.fixture
def own(tmp_path):
    """The files that the role writes: two hooks, a unit and a password."""
    return [str(tmp_path / name) for name in ("x-up", "x-down", "x.service", "x.password")]


@pytest.fixture
def inspect(tmp_path, own, monkeypatch):
    """Return a function that looks at a host of its own."""
    monkeypatch.setattr(ucarp, "PLACES", (f"{tmp_path}/etc/interfaces", f"{tmp_path}/etc/*.d/*"))
    (tmp_path / "etc" / "units.d").mkdir(parents=True)

    def run(*programs_to_run: str) -> dict:
        return ucarp.inspect({"own": own, "hooks": own[:2], "mark": MARK, "run": list(programs_to_run)})

    return run


def test_a_host_without_ucarp(inspect, monkeypatch):
    monkeypatch.setattr(programs, "DAEMON_PATH", "/no/such")
    found = inspect()
    assert found.pop("interfaces")["lo"] == "127.0.0.1"
    assert found.pop("default_interface") in ["", *os.listdir("/sys/class/net")]
    assert found == {
        "installed": "",
        "present": [],
        "advskew": -1,
        "foreign": [],
        "missing": [],
        "users": [],
    }


def test_its_path_is_found_outside_of_a_user_s_own(inspect, program, tmp_path, monkeypatch):
    path = program("ucarp", "")
    monkeypatch.setattr(programs, "DAEMON_PATH", f"/no/such:{tmp_path}/programs")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert inspect()["installed"] == path


def test_files_are_told_apart_by_the_mark(inspect, own):
    up, down, unit, password = own
    for path, text in ((up, f"#!/bin/sh\n{MARK}\n"), (down, "#!/bin/sh\n"), (password, "secret")):
        with open(path, "w") as file:
            file.write(text)
    os.symlink("nowhere", unit)
    found = inspect()
    assert found["present"] == own
    assert found["foreign"] == [down, unit]


def test_programs_that_cannot_be_executed_are_missing(inspect, tmp_path):
    (tmp_path / "plain").write_text("")
    found = inspect("/bin/sh", "/no/such", str(tmp_path / "plain"), str(tmp_path))
    assert found["missing"] == ["/no/such", str(tmp_path / "plain"), str(tmp_path)]


def test_a_configuration_that_names_a_hook_is_found_but_not_in_a_comment(inspect, own, tmp_path):
    (tmp_path / "etc" / "interfaces").write_bytes(f"iface eth0\xe4\n  # {own[0]}\n  up {own[0]}\n".encode("latin-1"))
    (tmp_path / "etc" / "units.d" / "a.service").write_text(f"[Service]\nExecStart=ucarp --downscript={own[1]}\n")
    (tmp_path / "etc" / "units.d" / "folder").mkdir()
    assert inspect()["users"] == [f"{tmp_path}/etc/interfaces:3", f"{tmp_path}/etc/units.d/a.service:2"]
    own.append(f"{tmp_path}/etc/units.d/a.service")
    assert inspect()["users"] == [f"{tmp_path}/etc/interfaces:3"]


@pytest.mark.parametrize("option", ["--upscript=%s", "%s"])
def test_a_ucarp_that_runs_with_a_hook_is_found(inspect, own, option, tmp_path):
    shutil.copy("/bin/sh", tmp_path / "ucarp")
    found = {}
    for program in (str(tmp_path / "ucarp"), "/bin/sh"):
        words = ["/usr/sbin/ucarp", "-c", "echo runs; read line", "--interface=eth0", option % own[0]]
        with subprocess.Popen(words, executable=program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout.readline() == b"runs\n"  # from execve(2) on, it has no words for a moment
                found[program] = inspect()["users"] == [f"process {process.pid}"]
            finally:
                process.kill()
    assert list(found.values()) == [True, False], "what counts is which program it runs"
    assert inspect()["users"] == []


def test_a_process_is_not_the_role_s_own_unit_nor_another_program(inspect, own, tmp_path, monkeypatch):
    def process(pid: int, *words: str, unit: str, user: int = os.geteuid()) -> None:
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "status").write_text(f"Name:\tx\nUid:\t{user}\t0\t0\t0\nGid:\t0\t0\t0\t0\n")
        (tmp_path / "proc" / str(pid) / "exe").symlink_to(words[0])
        (tmp_path / "proc" / str(pid) / "cmdline").write_text("\0".join(words) + "\0")
        (tmp_path / "proc" / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")

    monkeypatch.setattr(ucarp, "PROCESSES", f"{tmp_path}/proc/[0-9]*")
    process(1, "/usr/sbin/ucarp", f"--upscript={own[0]}", unit="x.service")
    process(2, "/usr/sbin/ucarp", f"--upscript={own[0]}", unit="ucarp.service")
    process(3, "/usr/sbin/ucarp", "--upscript=/usr/share/ucarp/vip-up", unit="ucarp.service")
    process(4, "/usr/bin/vi", own[0], unit="user.slice")
    (tmp_path / "proc" / "5").mkdir()
    process(6, "/usr/sbin/ucarp", f"--upscript={own[0]}", unit="user.slice", user=54321)
    assert inspect()["users"] == ["process 2"]
    looked_at = []
    read_text = ucarp.files.read_text
    monkeypatch.setattr(ucarp.files, "read_text", lambda path: (looked_at.append(path), read_text(path))[1])
    assert inspect()["users"] == ["process 2"]
    assert {path.split("/")[-2] for path in looked_at if path.endswith("/cmdline")} == {"1", "2", "3"}, (
        "2,000 processes that seem to have 16 MiB of words, 0.06 s each, would take the inspection's two minutes"
    )


def test_the_default_interface_is_that_of_the_route_to_everywhere(monkeypatch):
    routes = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    )
    monkeypatch.setattr(network.files, "read_text", lambda path: routes)
    assert network.default_interface() == "eth0"
    monkeypatch.setattr(network.files, "read_text", lambda path: routes[: routes.index("eth0")])
    assert network.default_interface() == ""


def test_an_interface_without_an_address_has_none():
    assert network.address("no-such-interface") == ""
    assert socket.inet_aton(network.address("lo"))


@pytest.mark.parametrize(
    ("text", "advskew"),
    [
        (f"{MARK}\nExecStart=/usr/sbin/ucarp \\\n    --advskew=40 \\\n    --deadratio=3\n", 40),
        (f"{MARK}\nExecStart=/usr/sbin/ucarp\n", -1),
        ("ExecStart=/usr/sbin/ucarp --advskew=40\n", -1),
    ],
)
def test_the_advskew_is_read_from_the_role_s_own_unit(inspect, own, text, advskew):
    with open(own[2], "w", encoding="utf-8") as unit:
        unit.write(text)
    assert inspect()["advskew"] == advskew
