# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The record of prefixed entries: every byte comes back, nothing is left of an empty one, others' are refused."""

from __future__ import annotations

import os

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_record import Record, Recorded
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import StoreError

ONE = Recorded("root", b"k\xe4se\t'x'", b"/etc/rcron/rcron.conf")
TWO = Recorded("/etc/cron.d/app", "größe".encode(), b"/etc/rcron/billing.conf")


@pytest.fixture
def record(tmp_path):
    return Record(str(tmp_path / "lib" / "rcron"))


def test_there_is_none_at_first(record, tmp_path):
    assert record.read() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_every_byte_comes_back_and_only_the_owner_reads_it(record, umask):
    before = os.umask(umask)
    try:
        record.write({"/etc/rcron/rcron.conf": [ONE], "/etc/rcron/billing.conf": [TWO, ONE]})
    finally:
        os.umask(before)
    assert record.read() == {"/etc/rcron/rcron.conf": [ONE], "/etc/rcron/billing.conf": [TWO, ONE]}
    assert os.stat(record.path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(record.path)).st_mode & 0o777 == 0o711
    assert os.listdir(os.path.dirname(record.path)) == ["crontabs.json"]


def test_an_empty_record_leaves_nothing_but_what_others_keep_there(record, tmp_path):
    record.write({"a": [ONE]})
    (tmp_path / "lib" / "rcron" / "state.pin").write_text("x")
    record.write({})
    assert os.listdir(tmp_path / "lib" / "rcron") == ["state.pin"]
    (tmp_path / "lib" / "rcron" / "state.pin").unlink()
    record.write({"a": [ONE]})
    record.write({})
    assert not (tmp_path / "lib" / "rcron").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"a": 7}',
        '{"a": [7]}',
        '{"a": [{"crontab": "x"}]}',
        '{"a": [{"crontab": "x", "command": 7, "conf": "y"}]}',
        "[" * 100000,
        "\0",
    ],
)
def test_what_nobody_of_ours_has_written_is_refused(record, text):
    os.makedirs(os.path.dirname(record.path))
    with open(record.path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(record.path, 0o600)
    with pytest.raises(StoreError, match=r"crontabs\.json, cannot be used .*Remove it"):
        record.read()


def test_a_record_that_others_could_have_written_is_refused(record):
    record.write({"a": [ONE]})
    os.chmod(record.path, 0o620)
    with pytest.raises(StoreError, match="others than its owner"):
        record.read()
    os.unlink(record.path)
    os.symlink("/etc/passwd", record.path)
    with pytest.raises(StoreError, match="cannot be used"):
        record.read()
    os.unlink(record.path)
    os.mkfifo(record.path)
    with pytest.raises(StoreError, match="not a regular file"):
        record.read()


def test_a_record_that_cannot_be_written_is_as_it_was(record, tmp_path):
    (tmp_path / "lib").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        record.write({"a": [ONE]})
    assert (tmp_path / "lib").read_text() == "in the way"
