# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Users' names: the node's own from a file, others' from a directory that may be slow or away."""

import pathlib
import pwd

import pytest

from rcron.agent import users


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The file with the node's own users; the directory knows nobody but 7000, carol."""
    path = tmp_path / "passwd"
    path.write_text(
        "root:x:0:0::/root:/bin/sh\n#old:x:5:5::/:\n+::::::\nalice:x:1000:1000::/:\nalso:x:1000:1000::/:\n\nx\n"
    )
    monkeypatch.setattr(users, "FILE", str(path))

    def look_up(uid: int) -> pwd.struct_passwd:
        return {7000: pwd.struct_passwd(("carol", "x", 7000, 7000, "", "/", ""))}[uid]

    monkeypatch.setattr(pwd, "getpwuid", look_up)
    return path


def test_own_users_are_known_without_asking_anybody(file: pathlib.Path) -> None:
    found = users.Users()
    assert [uid in found.known() for uid in (0, 1000, 5, 7000)] == [True, True, False, False]
    assert (found.name(0), found.name(1000)) == ("root", "alice")


def test_a_directorys_user_is_asked_for_once(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = users.Users()
    assert found.name(7000) == "carol"
    monkeypatch.delattr(pwd, "getpwuid")
    assert 7000 in found.known()
    assert found.name(7000) == "carol"


def test_who_has_no_name_gets_none(file: pathlib.Path) -> None:
    with pytest.raises(KeyError):
        users.Users().name(5)


def test_a_number_that_is_another_users_now_has_that_ones_name(file: pathlib.Path) -> None:
    found = users.Users()
    assert found.name(1000) == "alice"
    file.write_text("bob:x:1000:1000::/:\n")
    assert found.name(1000) == "bob"


def test_without_the_file_the_directory_is_asked(file: pathlib.Path) -> None:
    file.unlink()
    assert users.Users().name(7000) == "carol"
