# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What ucarp's adverts mean, and which ucarp counts."""

import hashlib
import hmac
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest

from rcron.agent import clusters
from rcron.agent.answer import Answer, boottime
from rcron.agent.feeders import ucarp
from rcron.settings import ACTIVE, PASSIVE

HERE = ucarp.Settings(
    "eth0", socket.inet_aton("10.0.0.2"), socket.inet_aton("10.0.0.1"), 51, 1, 64, 3, b"19charsatmost"
)


def packet(
    source: str = "10.0.0.2",
    advbase: int = 1,
    advskew: int = 64,
    password: bytes = b"19charsatmost",
    vhid: int = 51,
    ttl: int = 255,
    protocol: int = 112,
    hardware: bytes = b"\0\0\x5e\0\0\x33",
) -> bytes:
    """Return an advert as ucarp's carp_send_ad makes it."""
    counter = bytes(range(8))
    digest = hmac.new(password, bytes((2, 1, vhid)) + HERE.address + counter, hashlib.sha1).digest()
    carp = struct.pack("BBBBBBH", 0x21, vhid, advskew, 7, 0, advbase, 0) + counter + digest
    addresses = socket.inet_aton(source) + socket.inet_aton("224.0.0.18")
    ip = struct.pack("!BBHHHBBH", 0x45, 16, 56, 1, 0x4000, ttl, protocol, 0) + addresses
    return b"\x01\0\x5e\0\0\x12" + hardware + b"\x08\0" + ip + carp


class Packets:
    """A packet socket's answers."""

    def __init__(self) -> None:
        self.left: "list[tuple[bytes, int]]" = []
        self.is_open = True

    def recvmsg(self, _size: int, _extra: int) -> "tuple[bytes, list[Any], int, tuple[str, int, int]]":
        if not self.left:
            raise BlockingIOError
        data, kind = self.left.pop(0)
        return data, [], 0, ("eth0", 0x0800, kind)

    def fileno(self) -> int:
        return 77

    def close(self) -> None:
        self.is_open = False


class Truth(ucarp.UcarpTruth):
    """One whose ucarp runs, and whose clock and packets are the test's."""

    def __init__(self) -> None:
        super().__init__("/usr/local/sbin/rcron-ucarp-up")
        self.packets = Packets()
        self._socket = self.packets  # type: ignore[assignment]
        self.is_running = True
        self._settings = HERE  # on the same interface
        self._serve(HERE)

    def _find(self, now: float) -> bool:
        return self.is_running

    def leaves(self, **fields: Any) -> "list[Answer]":
        self.packets.left.append((packet(**fields), ucarp._PACKET_OUTGOING))
        return self.hear()

    def comes(self, source: str, **fields: Any) -> "list[Answer]":
        self.packets.left.append((packet(source, **fields), 2))
        return self.hear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "list[float]":
    """The time: a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(ucarp, "boottime", lambda: now[0])
    return now


def test_an_own_advert_is_active_for_as_long_as_another_one_is_due(clock: "list[float]") -> None:
    truth = Truth()
    assert truth.ask().state is None
    assert [(answer.state, answer.moment) for answer in truth.leaves()] == [(ACTIVE, 1000.0)]
    clock[0] += 1.25
    assert (truth.ask().state, truth.ask().moment) == (ACTIVE, 1000.0)
    clock[0] += 1.0
    assert truth.ask().state is None


@pytest.mark.parametrize(
    ("advbase", "advskew", "deadratio"), [(1, 0, 3), (1, 254, 3), (2, 100, 3), (1, 20, 2), (5, 40, 10)]
)
def test_the_node_is_passive_between_the_missing_advert_and_the_others_patience(
    advbase: int, advskew: int, deadratio: int
) -> None:
    truth = Truth()
    truth._serve(HERE._replace(advbase=advbase, advskew=advskew, deadratio=deadratio))
    assert advbase + advskew / 256 < truth.silence < advbase * deadratio
    assert truth.notice == advbase * deadratio


def test_the_advert_of_a_preferred_machine_is_passive_at_once(clock: "list[float]") -> None:
    truth = Truth()
    truth.leaves()
    clock[0] += 0.5
    answers = truth.comes("10.0.0.3", advskew=20)
    assert [(answer.state, answer.words) for answer in answers] == [(PASSIVE, "10.0.0.3 sends ucarp's adverts")]
    assert truth.ask().state == PASSIVE


def test_the_last_advert_of_one_that_gives_way_does_not_count(clock: "list[float]") -> None:
    truth = Truth()
    truth.leaves()
    clock[0] += 0.5
    truth.comes("10.0.0.3", advskew=20)
    clock[0] += 0.01
    assert truth.leaves() == []
    assert truth.ask().state == PASSIVE


def test_one_that_is_not_preferred_changes_nothing(clock: "list[float]") -> None:
    truth = Truth()
    truth.leaves()
    clock[0] += 0.5
    assert truth.comes("10.0.0.3", advskew=80) == []
    assert truth.ask().state == ACTIVE


def test_of_two_that_send_as_often_ucarps_order_of_addresses_decides(clock: "list[float]") -> None:
    # The machine's own byte order: on most machines the last number of an address weighs most.
    smaller, larger = ("9.0.0.2", "11.0.0.2") if sys.byteorder == "big" else ("99.0.0.1", "1.0.0.3")
    assert ucarp.Advert(socket.inet_aton(smaller), 1, 64, is_own=False).is_preferred_to(HERE)
    assert not ucarp.Advert(socket.inet_aton(larger), 1, 64, is_own=False).is_preferred_to(HERE)


def test_a_backup_hears_the_master_twice_before_it_is_sure(clock: "list[float]") -> None:
    truth = Truth()
    truth.comes("10.0.0.3", advskew=80)
    assert truth.ask().state is None  # this ucarp may take the role from it now, with --preempt
    clock[0] += 1.3
    truth.comes("10.0.0.3", advskew=80)
    assert (truth.ask().state, truth.ask().words) == (PASSIVE, "10.0.0.3 sends ucarp's adverts")
    clock[0] += 2.9
    assert truth.ask().state is None  # it is about to be replaced, perhaps by this machine
    truth.leaves()
    assert truth.ask().state == ACTIVE


@pytest.mark.parametrize(
    "fields",
    [
        {"password": b"another"},
        {"vhid": 52},
        {"ttl": 64},
        {"protocol": 17},
        {"hardware": b"\0\0\x5e\0\1\x33"},  # VRRP's
        {"source": "10.0.0.2"},  # this machine's own, but come in
    ],
)
def test_what_this_ucarp_would_not_take_is_not_heard(clock: "list[float]", fields: "dict[str, Any]") -> None:
    truth = Truth()
    truth.leaves()
    clock[0] += 0.5
    assert truth.comes(**{"source": "10.0.0.3", "advskew": 20, **fields}) == []
    assert truth.ask().state == ACTIVE


@pytest.mark.parametrize("length", [*range(0, 70, 7), 69])
def test_a_packet_that_is_cut_off_is_not_heard(length: int) -> None:
    assert ucarp.read_advert(packet()[:length], is_own=True, settings=HERE) == (None, False)


def test_a_password_that_cannot_be_checked_makes_an_advert_a_reason_to_ask(clock: "list[float]") -> None:
    truth = Truth()
    truth._serve(HERE._replace(password=None))
    truth.leaves()
    clock[0] += 0.5
    assert [answer.state for answer in truth.comes("10.0.0.3", advskew=20, password=b"who knows")] == [None]
    assert truth.ask().state == ACTIVE  # until its own ones fail to come


def test_no_ucarp_is_passive() -> None:
    truth = Truth()
    truth.leaves()
    truth.is_running = False
    assert truth.ask().state == PASSIVE


def test_after_a_gap_an_advert_of_before_does_not_count(clock: "list[float]") -> None:
    truth = Truth()
    truth.leaves()
    truth.gap(15.0)
    assert truth.ask().state is None
    truth.leaves()
    assert truth.ask().state == ACTIVE


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--interface=eth0", "--vhid=51", "--preempt"], {"i": "eth0", "v": "51", "P": ""}),
        (["--interface", "eth0", "--vhid", "51", "-P"], {"i": "eth0", "v": "51", "P": ""}),
        (["-ieth0", "-BSv", "51", "-z"], {"i": "eth0", "B": "", "S": "", "v": "51", "z": ""}),
        (["--int=eth0", "--no-such", "--", "--vhid=51"], {"i": "eth0"}),
        (["-i"], {"i": ""}),
    ],
)
def test_a_command_line_is_read_as_ucarp_reads_it(words: "list[str]", found: "dict[str, str]") -> None:
    assert ucarp.options_of(["/usr/sbin/ucarp", *words]) == found


def test_settings_of_a_command_line(tmp_path: pathlib.Path) -> None:
    passfile = tmp_path / "password"
    passfile.write_text("19charsatmost\nmore\n")
    options = {"i": "eth0", "s": "10.0.0.2", "a": "10.0.0.1", "v": "51", "k": "64", "o": str(passfile)}
    assert ucarp.settings_of(options) == HERE
    assert ucarp.settings_of({**options, "o": "/no/such/file"}).password is None
    del options["o"]
    assert ucarp.settings_of({**options, "p": "19charsatmost"}) == HERE
    for missing in ("i", "s", "a", "v"):
        with pytest.raises(ValueError, match=f"without its option '{missing}'"):
            ucarp.settings_of({name: value for name, value in options.items() if name != missing})


def test_a_password_s_file_that_is_a_fifo_is_neither_waited_for_nor_read(tmp_path: pathlib.Path) -> None:
    passfile = tmp_path / "password"
    os.mkfifo(passfile)
    fd = os.open(passfile, os.O_RDWR | os.O_NONBLOCK)  # a plain open would not wait, but take what is in it
    os.write(fd, b"for somebody else\n")
    options = {"i": "eth0", "s": "10.0.0.2", "a": "10.0.0.1", "v": "51", "o": str(passfile)}
    assert ucarp.settings_of(options).password is None
    assert os.read(fd, 100) == b"for somebody else\n"
    os.close(fd)


@pytest.fixture
def processes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "dict[int, tuple[str, list[str]]]":
    """Processes that the module sees instead of the machine's: their numbers, and name and words."""
    found: "dict[int, tuple[str, list[str]]]" = {}
    monkeypatch.setattr(ucarp.os, "listdir", lambda _folder: [*map(str, found), "self"])
    monkeypatch.setattr(ucarp, "_is_ucarp", lambda folder: found[int(folder[6:])][0] == "ucarp")
    monkeypatch.setattr(ucarp, "_words", lambda path: found[int(path.split("/")[2])][1])
    monkeypatch.setattr(ucarp.process, "started_at", lambda pid: "5" if pid in found else "")
    monkeypatch.setattr(ucarp.UcarpTruth, "_listen", lambda *_: None)
    return found


COMMAND = ["ucarp", "-ieth0", "-s", "10.0.0.2", "-a", "10.0.0.1", "-v51", "-k64", "-p", "19charsatmost"]


def test_the_ucarp_with_the_clusters_up_script_counts(
    processes: "dict[int, tuple[str, list[str]]]", clock: "list[float]"
) -> None:
    truth = ucarp.UcarpTruth("/sbin/mine-up")
    processes[7] = ("sh", [*COMMAND, "--upscript=/sbin/mine-up"])
    processes[8] = ("ucarp", [*COMMAND, "--upscript=/sbin/other-up"])
    assert truth.ask().state == PASSIVE
    processes[9] = ("ucarp", [*COMMAND, "--upscript=/sbin/mine-up"])
    clock[0] += 1
    assert truth.ask().state is None
    assert (truth._settings, truth.silence > 0) == (HERE, True)
    del processes[9]
    clock[0] += 1
    assert truth.ask().state == PASSIVE
    assert truth.silence == 0
    processes[10] = ("ucarp", [*COMMAND, "-k", "65", "--upscript=/sbin/mine-up"])
    clock[0] += 1
    assert truth.ask().state is None
    assert truth._settings == HERE._replace(advskew=65)


def test_the_process_is_not_looked_for_all_the_time(
    processes: "dict[int, tuple[str, list[str]]]", clock: "list[float]", monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    monkeypatch.setattr(ucarp.os, "listdir", lambda folder: looks.append(folder) or [])
    truth = ucarp.UcarpTruth("/sbin/mine-up")
    for _turn in range(10):
        truth.ask()
        clock[0] += 0.05
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("program", "is_it"), [("ucarp", True), ("ucarp (deleted)", True), ("bash", False), ("not-ucarp", False)]
)
def test_a_ucarp_is_known_by_its_program_file(tmp_path: pathlib.Path, program: str, is_it: bool) -> None:
    (tmp_path / "status").write_text(f"Name:\tucarp\nUid:\t{os.geteuid()}\t0\t{os.geteuid()}\t0\nGid:\t0\t0\t0\t0\n")
    (tmp_path / "exe").symlink_to(f"/usr/sbin/{program}")
    assert ucarp._is_ucarp(str(tmp_path)) == is_it


def test_a_setuid_program_of_another_user_is_no_ucarp(tmp_path: pathlib.Path) -> None:
    (tmp_path / "status").write_text("Name:\tucarp\nUid:\t54321\t0\t0\t0\n")
    (tmp_path / "exe").symlink_to("/usr/sbin/ucarp")
    assert not ucarp._is_ucarp(str(tmp_path))


def test_a_process_of_the_machine_is_looked_at(tmp_path: pathlib.Path) -> None:
    assert not ucarp._is_ucarp(f"/proc/{os.getpid()}")
    assert not ucarp._is_ucarp("/proc/0")
    shutil.copy("/bin/sleep", tmp_path / "ucarp")
    for path, is_it in ((tmp_path / "ucarp", True), (pathlib.Path("/bin/sleep"), False)):
        with subprocess.Popen(["ucarp", "60"], executable=path) as process:
            try:
                assert ucarp._is_ucarp(f"/proc/{process.pid}") == is_it
            finally:
                process.kill()
    assert ucarp._words(f"/proc/{os.getpid()}/cmdline")
    assert ucarp._words("/proc/0/cmdline") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a packet socket")
def test_the_packet_socket_hears_what_leaves_with_its_time() -> None:
    truth = ucarp.UcarpTruth("/sbin/mine-up")
    try:
        truth._serve(HERE._replace(interface="lo"))
    except PermissionError:
        pytest.skip("root, but without CAP_NET_RAW")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("lo", 0))
        sender.send(packet(protocol=17))
        sender.send(packet())
    before = boottime()
    answers = truth.hear()
    assert [answer.state for answer in answers] == [ACTIVE]
    assert before - 5 < answers[0].moment <= boottime()
    assert truth.descriptor() >= 0
    truth.close()
    assert truth.descriptor() == -1


def test_a_clusters_file_names_the_up_script(tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\n")
    path = tmp_path / "billing.conf"
    path.write_text(f"conf = {conf}\nfeeder = ucarp\nupscript = /usr/local/sbin/rcron-ucarp-up\n")
    assert isinstance(clusters.truth_of(clusters.load("billing", str(path))), ucarp.UcarpTruth)
