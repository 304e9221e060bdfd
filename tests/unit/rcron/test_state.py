# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which state a node is in, and how a state is written."""

import errno
import os
import pathlib
import threading

import pytest

from rcron import feed, settings, state


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> settings.Config:
    c = settings.Config("f")
    c.state_file = str(tmp_path / "state")
    return c


@pytest.mark.parametrize("content", [b"active\n", b"active", b" Active \r\n", b"\n\tACTIVE\n\n"])
def test_active_is_read_with_white_space_and_in_either_case(conf: settings.Config, content: bytes) -> None:
    conf.default_state = "passive"
    pathlib.Path(conf.state_file).write_bytes(content)
    verdict = state.current(conf)
    assert (verdict.state, verdict.warning) == ("active", None)
    assert verdict.written == os.stat(conf.state_file).st_mtime


@pytest.mark.parametrize("content", [b"passive\n", b"PASSIVE", b"  passive"])
def test_passive_is_read_likewise(conf: settings.Config, content: bytes) -> None:
    pathlib.Path(conf.state_file).write_bytes(content)
    assert state.current(conf).state == "passive"


@pytest.mark.parametrize("default", ["active", "passive"])
@pytest.mark.parametrize("content", [b"", b"inactive\n", b"active passive\n", b"active\0", b"activ", b"\xff\xfe"])
def test_anything_else_means_default_state_with_a_warning(conf: settings.Config, content: bytes, default: str) -> None:
    conf.default_state = default
    pathlib.Path(conf.state_file).write_bytes(content)
    verdict = state.current(conf)
    assert verdict.state == default
    assert verdict.warning is not None
    assert "holds neither active nor passive" in verdict.warning
    assert conf.state_file in verdict.warning


def test_a_missing_file_means_default_state_with_a_warning(conf: settings.Config) -> None:
    verdict = state.current(conf)
    assert verdict.state == "active"
    assert verdict.warning == f"{conf.state_file}: there is no such file: taken for active (default_state)"
    assert verdict.reason.startswith("default_state, because of")


def test_a_fifo_or_folder_is_not_waited_for(conf: settings.Config) -> None:
    os.mkfifo(conf.state_file)
    assert "not a regular file" in str(state.current(conf).warning)
    os.unlink(conf.state_file)
    os.mkdir(conf.state_file)
    assert "not a regular file" in str(state.current(conf).warning)


def test_a_gibibyte_of_zeros_is_not_read(conf: settings.Config) -> None:
    pathlib.Path(conf.state_file).touch()
    os.truncate(conf.state_file, 1 << 30)
    assert "larger than 4096 bytes" in str(state.current(conf).warning)
    pathlib.Path(conf.state_file).write_bytes(b" " * 5000 + b"active")
    assert "larger than 4096 bytes" in str(state.current(conf).warning)


def test_a_file_that_everyone_may_write_is_refused(conf: settings.Config) -> None:
    conf.default_state = "passive"
    pathlib.Path(conf.state_file).write_text("active\n")
    os.chmod(conf.state_file, 0o666)
    verdict = state.current(conf)
    assert verdict.state == "passive"
    assert "everyone may write it" in str(verdict.warning)


@pytest.mark.parametrize("umask", [0o177, 0, 0o077])
def test_a_written_state_is_readable_to_all_whatever_the_umask(conf: settings.Config, umask: int) -> None:
    old = os.umask(umask)
    try:
        state.write(conf.state_file, "active")
    finally:
        os.umask(old)
    assert pathlib.Path(conf.state_file).read_bytes() == b"active\n"
    assert os.stat(conf.state_file).st_mode & 0o7777 == 0o644


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(conf: settings.Config) -> None:
    state.write(conf.state_file, "active")
    with open(conf.state_file) as held:
        state.write(conf.state_file, "passive")
        assert held.read() == "active\n"
    assert os.listdir(os.path.dirname(conf.state_file)) == ["state"]


def test_a_write_that_fails_leaves_the_old_state_and_nothing_beside_it(
    conf: settings.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write(conf.state_file, "active")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.posix, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        state.write(conf.state_file, "passive")
    assert pathlib.Path(conf.state_file).read_text() == "active\n"
    assert os.listdir(os.path.dirname(conf.state_file)) == ["state"]


def test_a_write_that_fails_names_the_state_file(conf: settings.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # write(2) does not name the file

    monkeypatch.setattr(state.posix, "write", write)
    with pytest.raises(OSError, match="No space left on device") as caught:
        state.write(conf.state_file, "active")
    assert caught.value.filename == conf.state_file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_into_another_user_s_folder_is_that_user_s(conf: settings.Config) -> None:
    os.chown(os.path.dirname(conf.state_file), 4711, 4712)
    state.write(conf.state_file, "active")
    status = os.stat(conf.state_file)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (4711, 4712, 0o644)


def test_a_file_with_a_second_name_is_not_written_over(conf: settings.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder is another user's, that may be a file which is not his."""
    state.write(conf.state_file, "active")
    os.link(conf.state_file, conf.state_file + ".other")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(state, "write", full)
    with pytest.raises(OSError, match="No space left on device"):
        feed.accept_event(conf, "passive", "operator", "set passive")
    assert state.current(conf).state == "active"
    os.unlink(conf.state_file + ".other")
    feed.accept_event(conf, "passive", "operator", "set passive")
    assert state.current(conf).state == "passive"


def test_a_reader_never_sees_a_torn_state(conf: settings.Config) -> None:
    state.write(conf.state_file, "active")
    done = threading.Event()

    def flip() -> None:
        for i in range(2000):
            state.write(conf.state_file, ("active", "passive")[i % 2])
        done.set()

    writer = threading.Thread(target=flip)
    writer.start()
    reads = 0
    while not done.is_set():
        assert state.current(conf).warning is None
        reads += 1
    writer.join()
    assert reads > 100


@pytest.mark.parametrize(("mode", "owner", "believed"), [(0o777, 0, False), (0o1777, 0, True), (0o1777, 12345, False)])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_that_everyone_could_have_put_there_is_not_believed(
    conf: settings.Config, tmp_path: pathlib.Path, mode: int, owner: int, believed: bool
) -> None:
    conf.default_state = "passive"
    state.write(conf.state_file, "active")
    os.chown(conf.state_file, owner, 0)
    tmp_path.chmod(mode)
    verdict = state.current(conf)
    assert verdict.state == ("active" if believed else "passive")
    assert believed or "everyone may write its folder, so it cannot be trusted" in str(verdict.warning)


def test_a_pin_that_cannot_be_looked_for_is_reported(
    conf: settings.Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if only root may search its folder; root itself may look everywhere."""
    warned = []
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    monkeypatch.setattr(settings.Config, "pin_file", str(loop / "state.pin"))
    monkeypatch.setattr("rcron.log.warning", lambda conf, text: warned.append(text))
    state.write(conf.state_file, "active")
    assert state.current(conf).state == "active"
    assert warned == [f"{loop}/state.pin: cannot be read: Too many levels of symbolic links; ignored"]


@pytest.fixture
def runtime(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The agent's folder."""
    monkeypatch.setattr(settings, "RUNTIME", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir()
    return tmp_path / "runtime"


def test_a_state_file_that_vanished_while_the_agent_kept_it_does_not_mean_default_state(
    tmp_path: pathlib.Path, runtime: pathlib.Path
) -> None:
    conf = settings.parse(f"state_file = {tmp_path}/run/state\ndefault_state = active", "f")
    assert state.current(conf).state == "active"
    pathlib.Path(conf.agent_file("ask")).touch()
    found = state.current(conf)
    assert (found.state, found.source) == ("passive", state.AGENT)
    assert (
        found.warning
        == f"{tmp_path}/run/state: there is no such file, although rcron-agent keeps it: taken for passive"
    )


def test_an_active_that_the_agent_cannot_take_back_is_passive(tmp_path: pathlib.Path, runtime: pathlib.Path) -> None:
    conf = settings.parse(f"state_file = {tmp_path}/state", "f")
    (tmp_path / "state").write_text("active\n")
    assert state.current(conf).state == "active"
    pathlib.Path(conf.agent_file("passive")).touch()
    found = state.current(conf)
    assert (found.state, found.source) == ("passive", state.AGENT)


@pytest.mark.parametrize(("content", "said"), [("active\n", ""), (None, ", although rcron-agent may keep it")])
def test_what_the_agent_says_beside_the_state_counts_also_if_it_cannot_be_looked_at(
    tmp_path: pathlib.Path, runtime: pathlib.Path, content: "str | None", said: str
) -> None:
    conf = settings.parse(f"state_file = {tmp_path}/state\ndefault_state = active", "f")
    if content:
        (tmp_path / "state").write_text(content)
    runtime.rmdir()
    assert state.current(conf).state == "active"
    runtime.symlink_to(runtime)  # a loop, which root cannot search either
    found = state.current(conf)
    assert (found.state, found.source) == ("passive", state.AGENT)
    assert found.warning == found.reason + ": taken for passive"
    expected = said or f"{conf.agent_file('passive')} cannot be looked at: Too many levels of symbolic links"
    assert found.reason.endswith(expected)


def test_a_path_that_the_locale_cannot_write_means_default_state_with_a_warning(
    conf: settings.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(path: str, *_rest: object) -> int:
        raise UnicodeEncodeError("latin-1", path, 0, 1, "ordinal not in range(256)")

    monkeypatch.setattr(state.posix, "open", encode)
    monkeypatch.setattr(state.posix, "stat", encode)
    found = state.from_file(conf)
    assert (found.state, found.source) == ("active", state.DEFAULT)
    assert (
        found.warning
        == f"{conf.state_file}: cannot be read: this locale has no such characters: taken for active (default_state)"
    )
    assert state.current(conf).reason == found.reason


def test_what_the_agent_keeps_for_two_state_files_never_has_one_name() -> None:
    paths = [
        "/run/a/b",
        "/run/a-b",
        "/run/a--b",
        "/run/a/-b",
        "/run/a-/b",
        "/run/a%2db",
        "/run/" + "x" * 90,
        "/run/" + "x" * 91,
    ]
    places = {settings.parse(f"state_file = {path}", "f").agent_file("ask") for path in paths}
    assert len(places) == len(paths)
    assert all(len(place) < 108 for place in places)
    same = settings.parse("state_file = /var/run/a/b", "f").agent_file("ask")
    assert same == settings.parse("state_file = /run/a/b", "f").agent_file("ask")


def test_a_file_system_without_a_free_inode_is_reported_with_the_files_own_name(
    conf: settings.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(state.posix, "open", refuse)
    with pytest.raises(OSError, match="No space left on device") as caught:
        state.write(conf.state_file, "passive")
    assert caught.value.filename == conf.state_file
