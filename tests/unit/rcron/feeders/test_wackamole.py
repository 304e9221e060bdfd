# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""wackamole's calls become states: the Perl module, called as wackamole 2.1.4 calls it, and rcronctl behind it."""

import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import wait_until

jinja2 = pytest.importorskip("jinja2", reason="comes with Ansible")

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]
TEMPLATE = CHECKOUT / "roles/rcron_wackamole/templates/Rcron.pm.j2"

#: Stands in for the daemon; its own header says how.
DAEMON = CHECKOUT / "molecule/ucarp/files/wackamole.pl"

OURS, THEIRS = "192.0.2.10", "192.0.2.11"

needs_perl = pytest.mark.needs("perl", "perl")


def processes(node: Any) -> "list[int]":
    """The processes that this node's rcronctl runs in."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(node.rcronctl).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # ended meanwhile
    return found


def record(node: Any) -> "dict[str, str]":
    """What the feeder has noted down of itself."""
    path = node.folder / "run" / "state.feeder"
    return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}


# --- rcronctl ---


def test_an_address_makes_the_node_active_and_passive(node: Any) -> None:
    out = node.ctl("feed", "wackamole", "up", OURS, umask=0o177)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.state_file.read_text() == "active\n"
    assert node.state_file.stat().st_mode & 0o777 == 0o644
    node.ctl("feed", "wackamole", "down", OURS)
    assert node.state_file.read_text() == "passive\n"
    assert node.log()[-1] == f"9.6 cluster=c1 state=passive status=changed event=wackamole:down {OURS}"


def test_a_wackamole_of_before_the_agent_may_name_its_process(node: Any) -> None:
    assert node.ctl("feed", "wackamole", "--daemon", "1", "up", OURS).returncode == 0
    assert node.state_file.read_text() == "active\n"


@pytest.mark.parametrize("state", ["active", "passive"])
def test_an_unknown_event_is_logged_and_changes_nothing(node: Any, state: str) -> None:
    node.become(state)
    out = node.ctl("feed", "wackamole", "sideways", OURS)
    assert out.returncode == 64
    assert "not up or down: sideways; nothing changed" in out.stderr
    assert "not up or down: sideways" in node.log()[-1]
    assert node.state_file.read_text() == state + "\n"


# --- the Perl module ---


def render(node: Any, clusters: "list[dict[str, str]]", rcronctl: "str | None" = None) -> pathlib.Path:
    """Write Rcron.pm as the role does. Returns its folder."""
    folder = pathlib.Path(node.folder) / "perl"
    folder.mkdir()
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    text = environment.from_string(TEMPLATE.read_text()).render(
        rcron_wackamole_clusters=clusters,
        rcron_wackamole_module_dir=str(folder),
        __feeder_mark="# a test's",
        __feeder_rcronctl=rcronctl or str(node.rcronctl),
    )
    (folder / "Rcron.pm").write_text(text)
    return folder


class Wackamole:
    """The daemon's stand-in. `send` gives it an event and returns what the function returned, once for each call."""

    def __init__(self, folder: pathlib.Path, port: int = 0) -> None:
        self.process = subprocess.Popen(
            ["perl", str(DAEMON), str(folder), *([str(port)] if port else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def send(self, event: str, calls: int = 1) -> "list[int]":
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(event + "\n")
        self.process.stdin.flush()
        return [int(self.process.stdout.readline()) for _turn in range(calls)]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def wackamole(node: Any) -> "Iterator[Wackamole]":
    """A wackamole whose address OURS is the cluster's."""
    daemon = Wackamole(render(node, [{"address": OURS, "conf": str(node.conf)}]))
    yield daemon
    daemon.end()


def state_becomes(node: Any, state: str) -> None:
    wait_until(lambda: node.state_file.exists() and node.state_file.read_text() == state + "\n", f"the node is {state}")


def logged(node: Any, what: str) -> None:
    """Wait for a log line, which follows the state."""
    wait_until(lambda: f"9.6 cluster=c1 {what}" in node.log(), f"it is logged: {what}")


@needs_perl
def test_perl_finds_no_fault(node: Any) -> None:
    folder = render(node, [{"address": OURS, "conf": str(node.conf)}, {"address": THEIRS}])
    out = subprocess.run(
        ["perl", "-wc", folder / "Rcron.pm"], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert out.stdout == f"{folder}/Rcron.pm syntax OK\n"


@needs_perl
def test_on_up_makes_the_node_active_and_on_down_passive(node: Any, wackamole: Wackamole) -> None:
    assert wackamole.send(f"up eth0:{OURS}/255.255.255.255") == [1]
    state_becomes(node, "active")
    assert wackamole.send(f"down eth0:{OURS}/255.255.255.255") == [1]
    state_becomes(node, "passive")
    logged(node, "state=active status=changed event=wackamole:up 192.0.2.10")
    logged(node, "state=passive status=changed event=wackamole:down 192.0.2.10")


@needs_perl
@pytest.mark.parametrize(
    "interface",
    [
        f"eth0:{OURS}/255.255.255.255 eth1:{THEIRS}/255.255.255.0",
        f"eth1:{THEIRS}/255.255.255.0 eth0:{OURS}/255.255.255.255",
        " ".join(f"eth0:198.51.100.{last}/255.255.255.0" for last in range(1, 31)) + f" eth0:{OURS}/255.255.255.255",
    ],
    ids=["first", "second", "thirtieth after the first"],
)
def test_the_address_may_be_any_of_a_virtual_interface(node: Any, wackamole: Wackamole, interface: str) -> None:
    addresses = len(interface.split())
    wackamole.send(f"up {interface}")
    state_becomes(node, "active")
    # Once for each address, and each time with all of them.
    assert wackamole.send(f"down {interface}", addresses) == [1] * addresses
    state_becomes(node, "passive")


@needs_perl
@pytest.mark.parametrize("state", ["active", "passive"])
def test_other_addresses_and_rounds_change_nothing(node: Any, wackamole: Wackamole, state: str) -> None:
    node.become(state)
    for event in ("up", "down"):
        assert wackamole.send(f"{event} eth0:{THEIRS}/255.255.255.255") == [0]
        assert wackamole.send(f"{event} eth0:192.0.2.1/255.255.255.0") == [0]
        assert wackamole.send(f"post {event}") == [0]
    time.sleep(0.3)
    assert node.log() == []
    assert node.state_file.read_text() == state + "\n"


@needs_perl
def test_each_cluster_has_its_address(node: Any, tmp_path: pathlib.Path) -> None:
    mail = tmp_path / "mail.conf"
    mail.write_text(f"state_file = {tmp_path}/run/mail\ncluster_name = c2\n")
    daemon = Wackamole(
        render(node, [{"address": OURS, "conf": str(node.conf)}, {"address": THEIRS, "conf": str(mail)}])
    )
    try:
        assert daemon.send(f"up eth0:{THEIRS}/255.255.255.0") == [1]
        wait_until((tmp_path / "run/mail").exists, "the second cluster is active")
        assert (tmp_path / "run/mail").read_text() == "active\n"
        assert not node.state_file.exists()
        # One virtual interface of both: both clusters.
        assert daemon.send(f"up eth0:{OURS}/255.255.255.0 eth0:{THEIRS}/255.255.255.0") == [2]
        state_becomes(node, "active")
    finally:
        daemon.end()


@needs_perl
def test_the_last_of_many_events_holds_and_no_process_is_left_unreaped(node: Any, wackamole: Wackamole) -> None:
    for _turn in range(10):
        wackamole.send(f"up eth0:{OURS}/255.255.255.255")
        wackamole.send(f"down eth0:{OURS}/255.255.255.255")
    wackamole.send(f"up eth0:{OURS}/255.255.255.255")
    wait_until(lambda: record(node) and not processes(node), "all of them have been applied", 60)
    assert node.state_file.read_text() == "active\n"
    children = pathlib.Path(f"/proc/{wackamole.process.pid}/task/{wackamole.process.pid}/children")
    assert children.read_text() == ""


@needs_perl
def test_wackamole_does_not_wait_for_rcronctl(node: Any, tmp_path: pathlib.Path) -> None:
    noted, go, done = tmp_path / "noted", tmp_path / "go", tmp_path / "done"
    shell = tmp_path / "rcronctl-slow"
    shell.write_text(f'#!/bin/sh\necho "$@" >{noted}; until [ -e {go} ]; do sleep 0.1; done; : >{done}\n')
    shell.chmod(0o755)
    daemon = Wackamole(render(node, [{"address": OURS, "conf": "/etc/rcron.conf"}], str(shell)))
    try:
        assert daemon.send(f"up eth0:{OURS}/255.255.255.255") == [1]
        wait_until(lambda: noted.exists() and noted.read_text(), "it has been started")
        assert noted.read_text() == (f"--conf /etc/rcron.conf feed wackamole up {OURS}\n")
        assert not done.exists()
        go.touch()
        wait_until(done.exists, "it goes on")
    finally:
        go.touch()
        daemon.end()


@needs_perl
def test_spread_hears_of_a_wackamole_that_is_killed_while_rcronctl_runs(node: Any, tmp_path: pathlib.Path) -> None:
    spread = socket.create_server(("127.0.0.1", 0))
    started, go = tmp_path / "started", tmp_path / "go"
    shell = tmp_path / "rcronctl-slow"
    shell.write_text(f"#!/bin/sh\n: >{started}; until [ -e {go} ]; do sleep 0.1; done\n")
    shell.chmod(0o755)
    folder = render(node, [{"address": OURS, "conf": str(node.conf)}], str(shell))
    daemon = Wackamole(folder, spread.getsockname()[1])
    try:
        connection, _address = spread.accept()
        daemon.send(f"up eth0:{OURS}/255.255.255.255")
        wait_until(started.exists, "it runs")
        daemon.process.send_signal(signal.SIGKILL)
        connection.settimeout(10)
        assert connection.recv(1) == b"", "its connection ends with it, and not with what it has started"
    finally:
        go.touch()
        daemon.end()
        spread.close()


@needs_perl
def test_a_signal_is_handled_by_wackamole_alone(node: Any, tmp_path: pathlib.Path) -> None:
    # What is started says which signals it ignores, catches and blocks.
    noted = tmp_path / "signals"
    shell = tmp_path / "rcronctl-signals"
    shell.write_text(f"#!/bin/sh\nexec grep -E '^Sig(Blk|Ign)' /proc/self/status >{noted}\n")
    shell.chmod(0o755)
    daemon = Wackamole(render(node, [{"address": OURS, "conf": str(node.conf)}], str(shell)))
    try:
        daemon.send(f"up eth0:{OURS}/255.255.255.255")
        wait_until(lambda: noted.exists() and noted.read_text().count("\n") == 2, "it has been started")
        signals = dict(line.split(":\t") for line in noted.read_text().splitlines())
        assert int(signals["SigBlk"], 16) == 0
        assert not int(signals["SigIgn"], 16) & (1 << (signal.SIGTERM - 1))
        # And wackamole's own are as they were.
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.stdout
        assert daemon.process.stdout.readline() == f"handler TERM in {daemon.process.pid}\n"
    finally:
        daemon.end()


@needs_perl
@pytest.mark.parametrize(
    "arguments", ["", "undef, undef, undef", "{}, [], {}", "{ip => undef}, [{}], undef", "1, 2, 3"]
)
def test_the_functions_never_die(node: Any, arguments: str) -> None:
    folder = render(node, [{"address": OURS, "conf": str(node.conf)}], "/nonexistent/rcronctl")
    program = (
        f"use lib '{folder}'; use Rcron; $SIG{{__DIE__}} = sub {{ exit 9 }};"
        f"print Rcron::up({arguments}) + 0, Rcron::down({arguments}) + 0;"
    )
    out = subprocess.run(["perl", "-e", program], check=False, capture_output=True, text=True)
    assert (out.returncode, out.stdout) == (0, "00")


@needs_perl
def test_the_daemon_survives_without_rcronctl(node: Any, tmp_path: pathlib.Path) -> None:
    said = tmp_path / "said"
    logger = tmp_path / "bin" / "logger"
    logger.parent.mkdir()
    logger.write_text(f'#!/bin/sh\necho "$@" >{said}\n')
    logger.chmod(0o755)
    folder = render(node, [{"address": OURS, "conf": str(node.conf)}], "/nonexistent/rcronctl")
    program = f"use lib '{folder}'; use Rcron; print Rcron::up({{ip => '{OURS}'}}, [], {{}})"
    out = subprocess.run(
        ["perl", "-e", program],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": f"{logger.parent}:/usr/bin:/bin"},
    )
    assert (out.returncode, out.stdout, out.stderr) == (0, "1", "")
    wait_until(said.exists, "it is logged")
    wait_until(said.read_text, "it is logged")
    assert "cannot run /nonexistent/rcronctl --conf" in said.read_text()
    assert said.read_text().endswith("No such file or directory\n")
