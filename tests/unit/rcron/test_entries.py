# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The prefixed entries of crontabs, and the log lines that they lead to."""

import os
import pathlib
import pwd
import signal
import subprocess
from typing import Any

import pytest

from rcron import entries

ME = pwd.getpwuid(os.geteuid()).pw_name


def found(text: str, user: "str | None" = ME) -> list[entries.Entry]:
    return list(entries.entries(text, "/spool", user))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("* * * * * /usr/bin/rcron job", "job"),
        ("* * * * * rcron job 'a b' c", "job a b c"),
        ("-*/5 1-3 * jan mon rcron job", "job"),
        ("@daily\trcron\tjob", "job"),
        ("* * * * * rcron -c 'cd /app && ./job > out'", "cd /app && ./job > out"),
        (r"* * * * * rcron -c 'a '\''b'\'''", "a 'b'"),
        ("* * * * * rcron --conf /etc/rcron/b.conf --takeover-wait=5 job", "job"),
        ("* * * * * rcron job%standard input", "job"),
        (r"* * * * * rcron date +\%s", "date +%s"),
        ("* * * * * rcron job > out", "job"),
        ("* * * * * rcron job # comment", "job"),
        ("* * * * * rcron job a#b", "job a#b"),
        ('* * * * * rcron job "$HOME/x"', "job \0/x"),
        ("* * * * * rcron job ${A}b *.txt", "job \0b \0.txt"),
        ("* * * * * rcron job $(date) more", "job \0"),
        ("* * * * * rcron job $ '$A'", "job $ $A"),
        ('* * * * * rcron job "\\$A"', "job $A"),
    ],
)
def test_a_prefixed_entry_and_what_is_logged_for_it(line: str, command: str) -> None:
    (entry,) = found(line)
    assert entry.command == command
    assert entry.uid == os.geteuid()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# * * * * * rcron job",
        "MAILTO=rcron",
        "A = * * * * * rcron job",
        "* * * * * job",
        "* * * * * rcron",
        "* * * * * rcron --unknown job",
        "* * * * * rcron --conf $CONF job",
        "* * * * rcron",
    ],
)
def test_what_is_no_prefixed_entry(line: str) -> None:
    assert found(line) == []


def test_a_word_may_be_empty() -> None:
    assert entries.words("a '' b \"\"") == ["a", "", "b", ""]


def test_a_long_line_takes_no_longer_for_each_character() -> None:
    (entry,) = found(f"* * * * * rcron {'x' * 500_000}")
    assert entry.command.startswith("xxx")


def test_schedule_line_and_configuration() -> None:
    (entry,) = found("X=1\n\n*/5  1\t2 3 4 rcron --conf /b.conf job\n")
    assert (entry.schedule, entry.line, entry.conf) == ("*/5 1 2 3 4", 3, "/b.conf")
    (entry,) = found("@reboot rcron job")
    assert (entry.schedule, entry.conf) == ("@reboot", "/etc/rcron/rcron.conf")


def test_a_system_crontab_has_a_user_field() -> None:
    (entry,) = found(f"* * * * * {ME} rcron job\n* * * * * nobody-of-that-name rcron job\n", None)
    assert (entry.user, entry.command) == (ME, "job")


def test_a_name_is_that_of_the_line_above() -> None:
    named, unnamed = found("#Ansible: a\x01b\n* * * * * rcron job\n* * * * * rcron job --password=x\n")
    assert named.name == "a\\x01b"
    assert unnamed.name.startswith(f"{ME}-")
    assert len(unnamed.name) == len(ME) + 9


@pytest.mark.skipif(os.geteuid() != 0, reason="only root knows two users' crontabs")
def test_all_crontabs_are_read_and_equal_names_of_two_users_are_kept_apart(tmp_path: pathlib.Path) -> None:
    spool, etc = tmp_path / "spool", tmp_path / "etc"
    (etc / "cron.d").mkdir(parents=True)
    spool.mkdir()
    (spool / "root").write_text("#Ansible: a\n* * * * * rcron one\n")
    (spool / "no-such-user").write_text("* * * * * rcron job\n")
    (etc / "crontab").write_text("#Ansible: a\n* * * * * daemon rcron two\n")
    (etc / "cron.d" / "app").write_text("#Ansible: b\n* * * * * root rcron three\n")
    for name in (".hidden", "old~", "app.dpkg-old", "app.rpmsave"):
        (etc / "cron.d" / name).write_text("* * * * * root rcron never\n")
    named = {entry.name: entry.command for entry in entries.find([str(spool), f"{tmp_path}/none"], str(etc))}
    assert named == {"a (root)": "one", "a (daemon)": "two", "b": "three"}


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("job \0", "job x y", True),
        ("job \0/x", "job /home/x", True),
        ("job \0/x", "job /home/y", False),
        ("\0 a \0 b", "job a x b", True),
        ("\0 a \0 a b", "job a b", False),
        ("a\0a", "a", False),
    ],
)
def test_a_gap_fits_anything(pattern: str, text: str, fits: bool) -> None:
    (entry,) = found("* * * * * rcron job")
    index = entries.Index([entry._replace(command=pattern)], {entry.conf: "c1"})
    assert (index.entry("c1", text, os.geteuid()) is not None) == fits


def test_a_line_is_its_users_entry_in_its_cluster_and_no_others() -> None:
    (entry,) = found("* * * * * rcron job")
    index = entries.Index([entry], {entry.conf: "c1"})
    assert index.entry("c1", "job", entry.uid) == entry
    assert index.entry("c1", "job", None) == entry
    assert index.entry("c1", "job", entry.uid + 1) is None
    assert index.entry("c2", "job", entry.uid) is None
    assert index.entry("c1", "job x", entry.uid) is None


@pytest.mark.parametrize("job", ["echo 'a  b' \"c\\\\\" d\\ e", "printf %%s 'x%'", "echo '' \"\"", "echo a\\#b a=b"])
def test_words_are_a_shells(job: str, node: Any) -> None:
    """What rcron really logs, if a shell reads the entry, is what the entry is looked for by."""
    node.become("passive")
    subprocess.run(["sh", "-c", f"{node.rcron} --conf {node.conf} {job}"], check=True)
    logged = node.log()[-1].partition(" cmd=")[2]
    (entry,) = found(f"* * * * * rcron {job.replace('%', chr(92) + '%')}")
    assert entry.command == logged


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_crontab_that_is_exchanged_for_a_fifo_holds_nobody_up(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """A link in /etc/cron.d leads into a user's folder, and he makes a FIFO of his file once it has been looked at."""
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "mine").write_text(f"* * * * * {ME} rcron mine\n")
    (tmp_path / "cron.d" / "app").symlink_to(tmp_path / "mine")
    (tmp_path / "cron.d" / "other").write_text(f"* * * * * {ME} rcron other\n")
    real = entries.read

    def read(path: str) -> str:
        if path.endswith("app"):
            (tmp_path / "mine").unlink()
            os.mkfifo(tmp_path / "mine")
        return real(path)

    monkeypatch.setattr(entries, "read", read)
    if not is_protected:
        monkeypatch.setattr(entries.files, "open_regular", lambda path: os.open(path, os.O_RDONLY))

    class LateError(Exception):
        """Not an OSError, which a crontab that cannot be read is, too."""

    def late(_number: int, _frame: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 5 if is_protected else 0.5)
    try:
        if is_protected:
            assert [entry.command for entry in entries.find([], str(tmp_path))] == ["other"]
        else:
            with pytest.raises(LateError):
                entries.find([], str(tmp_path))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root knows two users' crontabs")
@pytest.mark.parametrize("name", ["nightly backup", "root-{digest}", "nightly backup (root)"])
def test_no_name_that_a_user_writes_is_another_s_or_changes_it(tmp_path: pathlib.Path, name: str) -> None:
    """Whoever could rename root's entry would silence the alerts about it."""
    spool, etc = tmp_path / "spool", tmp_path / "etc"
    spool.mkdir()
    etc.mkdir()
    (etc / "crontab").write_text("#Ansible: nightly backup\n* * * * * root rcron one\n* * * * * root rcron two\n")
    before = [entry.name for entry in entries.find([str(spool)], str(etc))]
    name = name.format(digest=before[1].partition("-")[2])
    (spool / "daemon").write_text(f"#Ansible: {name}\n* * * * * rcron job\n")
    after = entries.find([str(spool)], str(etc))
    assert [entry.name for entry in after if entry.user == "root"] == before
    assert [entry.name for entry in after if entry.user == "daemon"] == [f"{name} (daemon)"]
    # Without the protection: the same name, if it counts like one that root has written.
    (etc / "cron.d").mkdir()
    (etc / "cron.d" / "app").write_text("#Ansible: nightly backup\n* * * * * daemon rcron job\n")
    assert "nightly backup" not in {entry.name for entry in entries.find([str(spool)], str(etc))}


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_user_s_thousands_of_entries_and_lines_cost_only_his_own_counts(
    monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    (mine,) = found("* * * * * rcron mine")
    hostile = [mine._replace(command=f"job \0 {number}", uid=mine.uid + 1) for number in range(1000)]
    rooted = mine._replace(command="mine \0")
    compared = []
    real = entries._fits
    monkeypatch.setattr(entries, "_fits", lambda *given: compared.append(1) or real(*given))
    monkeypatch.setattr(entries, "MOST_COMPARED", 10_000 if is_protected else 10**9)
    index = entries.Index([*hostile, rooted], {mine.conf: "c1"})
    for number in range(100):
        assert index.entry("c1", f"job {number} x", mine.uid + 1) is None
    assert (len(compared) > 10_000) == (not is_protected)
    assert index.entry("c1", "mine x", mine.uid) == rooted


@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("how", ["circle", "folder", "silent"])
def test_a_link_into_a_user_s_folder_keeps_nobody_from_the_other_crontabs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, how: str, is_protected: bool
) -> None:
    """He has it lead in a circle, to a name that is too long, or to a file system of his own, which refuses root."""
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "cron.d" / "app").symlink_to(tmp_path / "his" / "file")
    (tmp_path / "cron.d" / "other").write_text(f"* * * * * {ME} rcron other\n")
    (tmp_path / "his").mkdir()
    if how == "circle":
        (tmp_path / "his" / "file").symlink_to("file")
    elif how == "folder":
        (tmp_path / "his" / "file").symlink_to("x" * 1000)
    else:
        (tmp_path / "his" / "file").touch()
        real = entries.files.open_regular

        def refuse(path: str) -> int:
            if path.endswith("app"):
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(entries.files, "open_regular", refuse)
    if not is_protected:
        monkeypatch.setattr(entries, "_is_file", lambda each: each.is_file())
        monkeypatch.setattr(os.path, "islink", lambda _path: False)
        with pytest.raises(OSError, match="app"):
            entries.find([], str(tmp_path))
    else:
        assert [entry.command for entry in entries.find([], str(tmp_path))] == ["other"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root knows two users' crontabs")
def test_a_user_s_thousands_of_entries_and_long_names_leave_room_for_the_others(tmp_path: pathlib.Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "daemon").write_text("* * * * * rcron a\n" * 3000 + f"#Ansible: {'x' * 900_000}\n* * * * * rcron a\n")
    (spool / "root").write_text("* * * * * rcron b\n" * 3000)
    found_of = [entry.user for entry in entries.find([str(spool)], str(tmp_path))]
    assert (found_of.count("daemon"), found_of.count("root")) == (2000, 3000)
    (spool / "daemon").write_text(f"#Ansible: {'x' * 900_000}\n* * * * * rcron a\n")
    assert [len(entry.name) for entry in entries.find([str(spool)], "/nonexistent")][:1] == [200 + len(" (daemon)")]


def test_lines_of_users_who_have_no_entry_are_not_kept() -> None:
    (mine,) = found('* * * * * rcron mine "$A"')
    index = entries.Index([mine], {mine.conf: "c1"})
    for uid in range(mine.uid + 1, mine.uid + 1000):
        assert index.entry("c1", "mine " + "x" * 2000, uid) is None
    assert index.entry("c1", "mine " + "x" * 100_000, mine.uid) is None
    assert not index._known
    assert index.entry("c1", "mine x", mine.uid) == mine
