# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Files on a file system that does not answer: whoever looks for a name there waits, unless the kernel refuses him.

Such a file system is FUSE's here: any user may mount one of his own, with fusermount(1). One that everybody may look
at stands for a network's whose server is dead, or that automount(8) is to find.
"""

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from rcron import files

HIS = 12345

#: Mounts a file system and never answers. Arguments: where, and options.
SERVER = """\
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
data = f"fd={fd},rootmode=40000," + sys.argv[2]
if libc.mount(b"none", sys.argv[1].encode(), b"fuse", 0, data.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
print(flush=True)
time.sleep(60)
"""

#: Prints what comes of reading a state. Argument: the path.
READER = f"""\
import sys
print("begun", flush=True)
sys.path.insert(0, {str(pathlib.Path(files.__file__).parents[1])!r})
from rcron import files
try:
    print(files.read_trusted(sys.argv[1], 10))
except (OSError, files.UntrustedError) as error:
    print(getattr(error, "strerror", None) or error)
"""

#: Prints the state of a node whose state file is in a folder. Argument: its path.
DECIDER = (
    READER.partition("from rcron import")[0]
    + """\
from rcron import settings, state
config = settings.Config("rcron.conf")
config.state_file = sys.argv[1]
print(state.current(config).state)
"""
)

#: Prints what the C rcron makes of a state file. Argument: its path.
MIGRATING = READER.partition("from rcron import")[0] + "from rcron import migrate; print(migrate.c_state(sys.argv[1]))"

#: As `read_trusted` once began.
FOLLOWER = "import os, sys; print('begun', flush=True); os.open(sys.argv[1], os.O_PATH); print('found')"


@pytest.fixture
def mounted(tmp_path: pathlib.Path) -> "Iterator[Callable[[bool], pathlib.Path]]":
    """Mount a file system of a user's, which others may look at or not, and return where it is."""
    place = tmp_path / "mounted"
    place.mkdir()
    servers: "list[subprocess.Popen[bytes]]" = []

    def mount(for_others: bool) -> pathlib.Path:
        options = f"user_id={HIS},group_id={HIS}" + (",allow_other" if for_others else "")
        server = subprocess.Popen(
            [sys.executable, "-ISc", SERVER, place, options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        servers.append(server)
        assert server.stdout is not None
        if not server.stdout.readline():
            pytest.skip("only root may mount, where there is a /dev/fuse")
        return place

    yield mount
    for server in servers:
        subprocess.run(["umount", "--lazy", place], check=False, stderr=subprocess.DEVNULL)
        server.kill()  # and whoever waits goes on
        server.communicate()


def outcome(program: str, path: pathlib.Path, seconds: float) -> str:
    """Return what a program of root's prints about a path; nothing if it waits longer."""
    # Without a buffer, in which communicate would not look.
    with subprocess.Popen([sys.executable, "-ISc", program, path], stdout=subprocess.PIPE, bufsize=0) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"begun\n"
            return reader.communicate(timeout=seconds)[0].decode().strip()
        except subprocess.TimeoutExpired:
            return ""
        finally:
            reader.kill()


@pytest.mark.parametrize("is_protected", [True, False])
def test_the_kernel_does_not_let_root_wait_for_a_user_s_own_file_system(
    mounted: "Callable[[bool], pathlib.Path]", is_protected: bool
) -> None:
    """Without allow_other, which users may only set if /etc/fuse.conf says so."""
    found = outcome(READER, mounted(not is_protected) / "state", 20 if is_protected else 0.5)
    assert found == ("Permission denied" if is_protected else "")


def test_no_link_in_a_pin_s_place_has_every_job_wait(
    mounted: "Callable[[bool], pathlib.Path]", tmp_path: pathlib.Path
) -> None:
    """A pin beside a state file outside /run is in the folder of the feeder's user."""
    (tmp_path / "his").mkdir()
    (tmp_path / "his/state").write_text("passive\n")
    (tmp_path / "his/state.pin").symlink_to(mounted(True) / "pin")
    os.chown(tmp_path / "his", HIS, HIS)
    assert outcome(DECIDER, tmp_path / "his/state", 20) == "passive"


def test_no_link_in_the_state_s_place_has_migrate_check_wait(
    mounted: "Callable[[bool], pathlib.Path]", tmp_path: pathlib.Path
) -> None:
    (tmp_path / "his").mkdir()
    (tmp_path / "his/state").symlink_to(mounted(True) / "state")
    os.chown(tmp_path / "his", HIS, HIS)
    assert outcome(MIGRATING, tmp_path / "his/state", 20) == "None"


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_link_of_a_feeder_s_user_has_root_wait_for_a_dead_server(
    mounted: "Callable[[bool], pathlib.Path]", tmp_path: pathlib.Path, is_protected: bool
) -> None:
    """The agent serves other clusters too, and reads all their states."""
    (tmp_path / "his").mkdir()
    (tmp_path / "his/state").symlink_to(mounted(True) / "state")
    os.chown(tmp_path / "his", HIS, HIS)
    path = tmp_path / "his/state"
    found = outcome(READER, path, 20) if is_protected else outcome(FOLLOWER, path, 0.5)
    assert found == ("not a regular file" if is_protected else "")
