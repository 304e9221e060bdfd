# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Files that decide: what is not a regular file is not even opened, wherever a feeder's user has a link lead to."""

import os
import pathlib
import threading
from collections.abc import Callable

import pytest

from rcron import files


class Writer:
    """A process's FIFO, which it has just opened for writing: it goes on as soon as anybody opens the other end."""

    def __init__(self, path: pathlib.Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._open)
        self._thread.start()

    def _open(self) -> None:
        os.close(os.open(self._path, os.O_WRONLY))
        self._opened.set()

    def is_disturbed_by(self, attempt: "Callable[[], None]") -> bool:
        """Return whether an attempt opens the other end, and closes it again: what is written then is lost."""
        for _attempt in range(50):  # the thread may not have come to its open yet
            attempt()
            if self._opened.wait(0.02):
                return True
        return False

    def end(self) -> None:
        self.is_disturbed_by(lambda: os.close(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)))
        self._thread.join(10)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_link_to_another_process_s_fifo_costs_that_process_nothing(
    tmp_path: pathlib.Path, is_protected: bool
) -> None:
    (tmp_path / "state").symlink_to(tmp_path / "fifo")
    writer = Writer(tmp_path / "fifo")

    def read() -> None:
        if is_protected:
            with pytest.raises(files.UntrustedError, match="not a regular file"):
                files.read_trusted(str(tmp_path / "state"), 10)
        else:  # opened first, looked at afterwards
            os.close(os.open(tmp_path / "state", os.O_RDONLY | os.O_NONBLOCK))

    try:
        assert writer.is_disturbed_by(read) == (not is_protected)
    finally:
        writer.end()


@pytest.mark.parametrize("name", ["/dev/null", "/dev/ptmx", "/dev"])
def test_a_link_to_a_device_or_a_folder_opens_nothing(
    tmp_path: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").symlink_to(name)
    opened: "list[int]" = []
    real = os.open
    monkeypatch.setattr(files.posix, "open", lambda path, flags: opened.append(flags) or real(path, flags))
    with pytest.raises(files.UntrustedError, match="not a regular file"):
        files.read_trusted(str(tmp_path / "state"), 10)
    assert all(flags & (os.O_PATH | os.O_NOFOLLOW) for flags in opened)
    assert opened


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
@pytest.mark.parametrize("owner", [12345, 0])
def test_another_process_s_fifo_under_a_second_name_is_not_opened_in_a_folder_of_another_user(
    tmp_path: pathlib.Path, owner: int
) -> None:
    """fs.protected_hardlinks=0: without it, no user can give another's FIFO a second name."""
    (tmp_path / "folder").mkdir()
    writer = Writer(tmp_path / "fifo")
    os.link(tmp_path / "fifo", tmp_path / "folder/state")
    os.chown(tmp_path / "folder", owner, owner)

    def read() -> None:
        with pytest.raises(files.UntrustedError, match="not a regular file"):
            files.read_trusted(str(tmp_path / "folder/state"), 10)

    try:
        assert writer.is_disturbed_by(read) == (owner == 0)
    finally:
        writer.end()


@pytest.mark.parametrize("is_link", [True, False])
def test_without_proc_a_file_is_read_by_its_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_link: bool
) -> None:
    (tmp_path / "file").write_text("active\n")
    (tmp_path / "state").symlink_to("file") if is_link else (tmp_path / "file").rename(tmp_path / "state")
    real = os.open

    def no_proc(path: str, flags: int) -> int:
        return real(path.replace("/proc/self", "/nowhere"), flags)

    monkeypatch.setattr(files.posix, "open", no_proc)
    assert files.read_trusted(str(tmp_path / "state"), 10)[0] == b"active\n"


def test_every_descriptor_is_closed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").write_text("active\n")
    before = os.listdir("/proc/self/fd")
    files.read_trusted(str(tmp_path / "state"), 10)
    for path in (tmp_path, tmp_path / "state"):
        with pytest.raises(files.UntrustedError):
            files.read_trusted(str(path), 3)
    assert os.listdir("/proc/self/fd") == before


def test_a_file_of_another_owner_than_those_asked_for_is_not_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").write_text("active\n")
    own = os.geteuid()
    assert files.read_trusted(str(tmp_path / "state"), 10, (own,))[0] == b"active\n"
    with pytest.raises(files.UntrustedError, match=f"belongs to the user with UID {own}, so it cannot be trusted"):
        files.read_trusted(str(tmp_path / "state"), 10, (own + 1,))


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_crontab_or_a_log_that_is_a_link_to_a_fifo_costs_its_process_nothing(
    tmp_path: pathlib.Path, is_protected: bool
) -> None:
    (tmp_path / "crontab").symlink_to(tmp_path / "fifo")
    writer = Writer(tmp_path / "fifo")

    def read() -> None:
        if is_protected:
            with pytest.raises(OSError, match="Not a regular file"):
                files.open_regular(str(tmp_path / "crontab"))
        else:
            os.close(os.open(tmp_path / "crontab", os.O_RDONLY | os.O_NONBLOCK))

    try:
        assert writer.is_disturbed_by(read) == (not is_protected)
    finally:
        writer.end()


def test_a_regular_file_is_opened_through_a_link(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    with open(files.open_regular(str(tmp_path / "link")), "rb") as stream:
        assert stream.read() == b"text"
    with pytest.raises(FileNotFoundError):
        files.open_regular(str(tmp_path / "none"))


@pytest.mark.parametrize("room", [7, 3, 0])
def test_a_file_system_that_is_full_after_a_part_of_a_file_leaves_the_old_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """write(2) takes as many bytes as there is room for, and says so: the error comes with the next one."""
    path = tmp_path / "metrics"
    path.write_text("old\n")
    real, left = os.write, [room]

    def write(fd: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = real(fd, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(files.posix, "write", write)
    if room == 7:
        files.replace(str(path), "a\nb\nc\nd")
        assert path.read_text() == "a\nb\nc\nd"
    else:
        with pytest.raises(OSError, match="No space left") as caught:
            files.replace(str(path), "a\nb\nc\nd")
        assert caught.value.filename == str(path)
        assert path.read_text() == "old\n"
        assert os.listdir(tmp_path) == ["metrics"]
