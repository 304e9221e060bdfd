# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which processes are a unit's, whatever they are called."""

import pathlib

import pytest

from rcron.agent import daemon


@pytest.fixture(params=["0::%s", "12:cpu:/other\n1:name=systemd:%s\n0::/other"])
def proc(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    processes = {
        1: ("systemd", "/init.scope"),
        90: ("corosync", "/user.slice/user-1000.slice/user@1000.service/corosync.service"),
        91: ("corosync", "/user.slice/user-1000.slice/session-1.scope"),
        92: ("corosync", "/machine.slice/libpod-1.scope"),
        200: ("corosync", "/system.slice/corosync.service"),
        201: ("pacemakerd", "/system.slice/pacemaker.service"),
        202: ("pacemaker-contr", "/system.slice/pacemaker.service"),
        203: ("pacemaker-contr", "/system.slice/pacemaker.service"),
        150: ("pacemaker-contr", "/system.slice/pacemaker.service"),
    }
    for pid, (name, path) in processes.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        users = "\t".join([{150: "1000", 203: "112"}.get(pid, "0")] * 4)
        (tmp_path / str(pid) / "status").write_text(f"Name:\t{name}\nUid:\t{users}\nGid:\t0\t0\t0\t0\n")
        (tmp_path / str(pid) / "cgroup").write_text(str(request.param) % path + "\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "300").mkdir()  # about to end
    return tmp_path


def test_processes_of_units(proc: pathlib.Path) -> None:
    assert daemon.processes("corosync.service", root=str(proc)) == {"corosync": 200}
    assert daemon.processes("pacemaker.service", "pacemaker_remote.service", root=str(proc)) == {
        "pacemakerd": 201,
        "pacemaker-contr": 202,
    }
    assert daemon.processes("heartbeat.service", root=str(proc)) == {}


def test_what_a_daemon_has_started_for_another_user_is_not_the_daemon(
    proc: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the daemon's unit, as a database that Pacemaker starts, and has any name that its user likes."""
    (proc / "202" / "status").unlink()  # about to end
    assert "pacemaker-contr" not in daemon.processes("pacemaker.service", root=str(proc))
    found = daemon.processes("pacemaker.service", users={0, 112}, root=str(proc))
    assert found == {"pacemakerd": 201, "pacemaker-contr": 203}
    (proc / "203" / "status").write_text("Name:\tpacemaker-contr\nUid:\t1000\t112\t112\t112\n")
    assert "pacemaker-contr" not in daemon.processes("pacemaker.service", users={0, 112}, root=str(proc))
    monkeypatch.setattr(daemon, "_users", lambda _process: set())
    assert daemon.processes("pacemaker.service", users={0, 112}, root=str(proc))["pacemaker-contr"] == 150


def test_by_its_name_alone_an_ordinary_user_s_older_process_would_be_the_daemon(
    proc: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the protection: the name, which anybody can set, and the lowest number."""
    monkeypatch.setattr(daemon, "_cgroup", lambda path: "" if path.endswith("/1") else "/corosync.service")
    assert daemon.processes("corosync.service", root=str(proc))["corosync"] == 90


def test_in_a_container_only_its_own_units_count(proc: pathlib.Path) -> None:
    for path in proc.glob("*/cgroup"):
        path.write_text(path.read_text().replace("/init.scope", "/machine.slice/node/init.scope"))
    assert daemon.processes("corosync.service", root=str(proc)) == {}
    for path in proc.glob("*/cgroup"):
        path.write_text(path.read_text().replace(":/system.slice", ":/machine.slice/node/system.slice"))
    assert daemon.processes("corosync.service", root=str(proc)) == {"corosync": 200}


def test_on_this_machine_it_does_not_fail() -> None:
    assert daemon.processes("no-such.service") == {}
