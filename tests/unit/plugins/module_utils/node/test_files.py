# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Files of a node are read without waiting, and recognised by their first lines."""

from __future__ import annotations

import os
import threading

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import files

MARK = "# Written by Ansible"


def test_text_is_read_as_python_reads_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a\r\nb\rc\n\xe4")
    assert files.read_text(str(path)) == "a\nb\nc\n\udce4"
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        assert stream.read() == files.read_text(str(path))


def test_a_file_of_the_kernel_is_read_to_its_end():
    """It says that it has no byte, and gives them in pieces."""
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        assert files.read_text("/proc/self/mountinfo") == stream.read()


def test_a_head_is_no_longer_than_asked_for(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert [files.read_head(str(path), size) for size in (0, 2, 9)] == [b"", b"ab", b"abc"]


def test_a_file_that_is_too_large_is_one_byte_too_large(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10)
    assert files.read_text(str(path), 10) == "a" * 10
    with pytest.raises(OSError, match="Larger than 9 bytes"):
        files.read_text(str(path), 9)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (os.mkdir, "Is a directory"),
        (os.mkfifo, "Not a regular file"),
        (lambda path: os.symlink("/dev/null", path), "Not a regular file"),
        (lambda path: os.symlink(path, path), "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, make, reason):
    path = str(tmp_path / "file")
    make(path)
    with pytest.raises(OSError, match=reason) as raised:
        files.read_head(path)
    assert (raised.value.strerror, raised.value.filename) == (reason, path)


def test_a_path_that_cannot_be_is_not_there():
    with pytest.raises(FileNotFoundError):
        files.read_text("/etc\0/passwd")


def test_no_file_is_left_open(tmp_path):
    before = os.listdir("/proc/self/fd")
    for path in (tmp_path, "/dev/null", "/etc/passwd"):
        files.is_ours(str(path), MARK)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (f"{MARK}\n", True),
        (f"#!/bin/sh\n{MARK}\n", True),
        (f"{MARK}", True),
        (f"\n\n\n{MARK}\n", False),
        (f"{MARK} too\n", False),
        (f"a {MARK}\n", False),
        ("", False),
    ],
)
def test_the_mark_is_one_of_the_first_lines(tmp_path, text, ours):
    (tmp_path / "file").write_text(text)
    assert files.is_ours(str(tmp_path / "file"), MARK) is ours


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_link_to_another_process_s_fifo_costs_that_process_nothing(tmp_path, is_protected):
    """It waits for a reader, and would write for one that is gone."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "record").symlink_to(tmp_path / "fifo")
    opened = threading.Event()
    writer = threading.Thread(target=lambda: (os.close(os.open(tmp_path / "fifo", os.O_WRONLY)), opened.set()))
    writer.start()

    def open_it():
        os.close(os.open(tmp_path / "record", os.O_RDONLY | os.O_NONBLOCK))

    def read():
        with pytest.raises(OSError, match="Not a regular file"):
            files.read_head(str(tmp_path / "record"))

    def is_disturbed_by(attempt):
        for _attempt in range(50):  # the thread may not have come to its open yet
            attempt()
            if opened.wait(0.02):
                return True
        return False

    try:
        assert is_disturbed_by(read if is_protected else open_it) == (not is_protected)
    finally:
        is_disturbed_by(open_it)
        writer.join(10)
