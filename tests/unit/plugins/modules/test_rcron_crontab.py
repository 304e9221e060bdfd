# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One crontab is brought into its state: nothing else is written, nothing is lost, and a refusal comes first."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pathlib

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.crontab import CrontabError, Selector
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import (
    CrontabCommand,
    CrontabFile,
    StoreError,
    UnknownUserError,
    UserCrontab,
)
from ansible_collections.rcron.cluster.plugins.module_utils.timers import beside
from ansible_collections.rcron.cluster.plugins.modules import rcron_crontab
from ansible_collections.rcron.cluster.plugins.modules.rcron_crontab import (
    MissingEntryError,
    PrefixedEntries,
    to_selectors,
)

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may name the user of a crontab")

SYSTEM = b"SHELL=/bin/sh\n# k\xe4se\r\n#Ansible: nightly\n5 5 * * *\troot  cd / && x > y\n0 1 * * * bob /bin/true\n"
PREFIXED = SYSTEM.replace(b"cd / && x > y", b"/usr/bin/rcron -c 'cd / && x > y'")
LATER = ["/usr/bin/rcron", "/etc/rcron/rcron.conf"]
NIGHTLY = Selector("name", b"nightly")


def entries_of(store, *selectors, command=None, **options) -> PrefixedEntries:
    options = {
        "state": "present",
        "rcron_path": b"/usr/bin/rcron",
        "conf": None,
        "may_be_missing": False,
        "later": None,
        **options,
    }
    return PrefixedEntries(store=store, command=command, selectors=list(selectors), **options)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "app"
    path.write_bytes(SYSTEM)
    return path


def identity(path: pathlib.Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def test_a_selected_entry_is_prefixed_and_set_free_again(path):
    crontab = CrontabFile(str(path))
    outcome = entries_of(crontab, NIGHTLY).apply()
    assert outcome.changed
    assert path.read_bytes() == PREFIXED
    assert entries_of(crontab, NIGHTLY, state="absent").apply().changed
    assert path.read_bytes() == SYSTEM


@pytest.mark.parametrize(("text", "state"), [(PREFIXED, "present"), (SYSTEM, "absent")])
def test_nothing_is_written_where_nothing_changes(path, tmp_path, text, state):
    path.write_bytes(text)
    before = identity(path)
    outcome = entries_of(CrontabFile(str(path)), NIGHTLY, state=state).apply(str(tmp_path / "backups"))
    assert (outcome.changed, outcome.backup_file) == (False, None)
    assert identity(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_preview_writes_nothing_and_says_what_is_to_come(path):
    before = identity(path)
    crontab = CrontabFile(str(path))
    preview = entries_of(crontab, NIGHTLY).preview()
    assert identity(path) == before
    outcome = entries_of(crontab, NIGHTLY).apply()
    assert (preview.before, preview.rewritten) == (outcome.before, outcome.rewritten)
    assert outcome.rewritten.text == path.read_bytes()


def test_a_backup_holds_what_was_there(path, tmp_path):
    outcome = entries_of(CrontabFile(str(path)), NIGHTLY).apply(str(tmp_path / "backups"))
    assert pathlib.Path(outcome.backup_file).read_bytes() == SYSTEM


def test_an_entry_that_leaves_its_job_to_a_timer_is_refused_and_can_still_be_set_free(path, monkeypatch, tmp_path):
    monkeypatch.setattr(beside, "BOOTED", str(tmp_path))
    monkeypatch.setattr(beside, "of_packages", lambda paths: {one: ["app-clean.timer"] for one in paths})
    text = b"0 1 * * * root [ ! -d /run/systemd/system ] && /opt/app/clean\n5 5 * * * root /bin/true\n"
    path.write_bytes(text)
    clean = Selector("regexp", b"clean")
    with pytest.raises(StoreError, match=r"line 1 of .*/app ends itself where systemd runs.* app-clean\.timer of the"):
        entries_of(CrontabFile(str(path)), clean, Selector("job", b"/bin/true")).apply()
    assert path.read_bytes() == text
    prefixed = text.replace(b"[ !", b"/usr/bin/rcron -c '[ !").replace(b"/clean", b"/clean'")
    path.write_bytes(prefixed)
    assert entries_of(CrontabFile(str(path)), clean, state="absent").apply().changed
    assert path.read_bytes() == text


def test_anacrons_entry_is_prefixed_with_a_warning_of_its_stamp(module, fake_crontab, tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr(rcron_crontab.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    path = tmp_path / "anacrontab"
    path.write_text("1 5 backup /bin/backup\n")
    result = module(rcron_crontab.main, cron_file=str(path), entries=[{"name": "backup"}], later=LATER)
    assert path.read_text() == "1 5 backup /usr/bin/rcron /bin/backup\n"
    assert result["entries"][0]["user"] == "root"
    (warning,) = warned
    assert f"{path}: anacron notes backup as done on passive nodes, too" in warning
    warned.clear()
    module(rcron_crontab.main, cron_file=str(path), entries=[{"name": "backup"}], state="absent")
    assert (warned, path.read_text()) == ([], "1 5 backup /bin/backup\n")


# --- What stops it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (
            Selector("name", b"nightli"),
            r"name: nightli selects nothing: no entry of .*/app matches it \(is it 'nightly'\?\)",
        ),
        (Selector("job", b"/bin/tru"), r"job: /bin/tru selects nothing: .* \(is it '/bin/true'\?\)"),
        (
            Selector("regexp", b"^tru"),
            r"regexp: \^tru selects nothing: no entry of .*/app matches it\. Correct the selector",
        ),
    ],
)
def test_a_selector_that_selects_nothing_stops_before_anything_is_written(path, selector, message):
    with pytest.raises(MissingEntryError, match=message):
        entries_of(CrontabFile(str(path)), NIGHTLY, selector).apply()
    assert path.read_bytes() == SYSTEM


def test_what_may_be_missing_does_not_keep_the_others_from_being_prefixed(path):
    crontab = CrontabFile(str(path))
    outcome = entries_of(crontab, NIGHTLY, Selector("name", b"gone"), may_be_missing=True).apply()
    assert path.read_bytes() == PREFIXED
    assert outcome.missing == [f"name: gone selects nothing: no entry of {path} matches it"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_an_absent_crontab_is_named_and_not_made(tmp_path, state):
    crontab = CrontabFile(str(tmp_path / "app"))
    with pytest.raises(MissingEntryError, match=r"selects nothing: .*/app does not exist"):
        entries_of(crontab, NIGHTLY, state=state).apply()
    outcome = entries_of(crontab, NIGHTLY, state=state, may_be_missing=True).apply()
    assert not outcome.changed
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_user_is_an_error_unless_there_is_nothing_left_to_set_free(fake_crontab):
    crontab = UserCrontab("no-such-user", CrontabCommand(fake_crontab("debian").path))
    with pytest.raises(UnknownUserError):
        entries_of(crontab, NIGHTLY, may_be_missing=True).apply()
    with pytest.raises(MissingEntryError, match="no user no-such-user"):
        entries_of(crontab, NIGHTLY, state="absent").apply()
    assert not entries_of(crontab, NIGHTLY, state="absent", may_be_missing=True).apply().changed


def test_a_nul_byte_is_refused_by_line(path):
    path.write_bytes(SYSTEM + b"# a\0b\n")
    with pytest.raises(CrontabError, match="line 6: NUL byte"):
        entries_of(CrontabFile(str(path)), NIGHTLY).apply()
    assert path.read_bytes() == SYSTEM + b"# a\0b\n"


@pytest.mark.parametrize(("kind", "longest"), [("debian", 998), ("cronie", 131071)])
def test_a_command_that_would_get_too_long_is_refused_by_line(path, fake_crontab, kind, longest):
    command = CrontabCommand(fake_crontab(kind).path)
    fitting = b"x" * (longest - len(b"/usr/bin/rcron "))
    for text, fits in ((fitting, True), (fitting + b"x", False)):
        path.write_bytes(b"# c\n* * * * * root " + text + b"\n")
        entries = entries_of(CrontabFile(str(path)), Selector("regexp", b"x"), command=command)
        if fits:
            assert entries.apply().changed
        else:
            with pytest.raises(CrontabError, match=f"line 2: .*{longest + 1} bytes.*{longest}"):
                entries.apply()


@AS_ROOT
@pytest.mark.parametrize("kind", ["debian", "cronie"])
def test_a_crontab_that_cron_would_refuse_is_refused_in_a_preview_too(fake_crontab, kind):
    fake = fake_crontab(kind)
    text = b"#Ansible: nightly\n* * * * * x\n61 * * * * y\n"
    fake.crontab.write_bytes(text)
    command = CrontabCommand(fake.path)
    entries = entries_of(UserCrontab(fake.user, command, str(fake.spool)), NIGHTLY, command=command)
    for act in (entries.preview, entries.apply):
        with pytest.raises(StoreError, match=r"would refuse it, so nothing is changed: .*bad minute.*as it is, too"):
            act()
    assert fake.crontab.read_bytes() == text
    assert not any(call.endswith(" -u root -") for call in fake.calls())


@AS_ROOT
def test_a_users_carriage_returns_are_not_lost_with_the_change_of_another_entry(fake_crontab):
    fake = fake_crontab("systemd-cron")
    text = b"* * * * * a\r\n* * * * * b\n"
    fake.crontab.write_bytes(text)
    command = CrontabCommand(fake.path)
    store = UserCrontab(fake.user, command, spool=str(fake.spool))
    prefixed = entries_of(store, Selector("job", b"b"), command=command)
    for act in (prefixed.preview, prefixed.apply):
        with pytest.raises(StoreError, match="carriage returns"):
            act()
    assert fake.crontab.read_bytes() == text
    fake.crontab.write_bytes(text.replace(b"\r", b""))
    assert prefixed.apply().changed
    assert fake.crontab.read_bytes() == b"* * * * * a\n* * * * * /usr/bin/rcron b\n"


@pytest.mark.parametrize("entry", [{"name": ""}, {"job": " "}, {"regexp": ""}])
def test_an_empty_selector_is_refused(entry):
    ((kind, _value),) = entry.items()
    with pytest.raises(CrontabError, match=rf"entries\[1\]\.{kind} is empty"):
        to_selectors([{"name": "nightly", "job": None, "regexp": None}, entry])


# --- Others who write at the same time --------------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("kind", ["debian", "cronie", "busybox"])
def test_a_user_crontab_is_prefixed_and_set_free_again(fake_crontab, kind):
    fake = fake_crontab(kind)
    text = b"# a\n# b\n# c\xe4\r\n# d\n\n#Ansible: nightly\n@daily\tcd / && x % y\\%\n"
    fake.crontab.write_bytes(text)
    command = CrontabCommand(fake.path)
    crontab = UserCrontab(fake.user, command, str(fake.spool))
    assert entries_of(crontab, NIGHTLY, command=command).apply().changed
    assert crontab.read() == text.replace(b"cd / && x % y", b"/usr/bin/rcron -c 'cd / && x '% y")
    assert not entries_of(crontab, NIGHTLY, command=command).apply().changed
    assert entries_of(crontab, NIGHTLY, command=command, state="absent").apply().changed
    assert crontab.read() == text
    assert [call for call in fake.calls() if call.endswith(" -")].count("C -u root -") == 2


def test_an_edit_between_reading_and_writing_is_not_lost(path, tmp_path):
    class Edited(CrontabFile):
        reads = 0

        def read(self):
            self.reads += 1
            if self.reads == 2:
                path.write_bytes(SYSTEM + b"# edited meanwhile\n")
            return super().read()

    outcome = entries_of(Edited(str(path)), NIGHTLY).apply(str(tmp_path / "backups"))
    assert path.read_bytes() == PREFIXED + b"# edited meanwhile\n"
    assert outcome.before == SYSTEM + b"# edited meanwhile\n"
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.read_bytes() == outcome.before


def test_a_crontab_that_never_rests_is_left_alone(path, tmp_path):
    class Restless(CrontabFile):
        def read(self):
            path.write_bytes(path.read_bytes() + b"# again\n")
            return super().read()

    with pytest.raises(StoreError, match="again and again"):
        entries_of(Restless(str(path)), NIGHTLY).apply(str(tmp_path / "backups"))
    assert b"rcron" not in path.read_bytes()
    assert list((tmp_path / "backups").iterdir()) == []


def prefix_one(path: str, number: int, start) -> None:
    start.wait()
    entries_of(CrontabFile(path), Selector("name", b"job %d" % number)).apply()


def prefix_one_of_user(script: str, spool: str, user: str, number: int, start) -> None:
    start.wait()
    command = CrontabCommand(script)
    entries_of(UserCrontab(user, command, spool), Selector("name", b"job %d" % number), command=command).apply()


def in_parallel(target, *arguments) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=target, args=(*arguments, number, start)) for number in range(20)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 20


def test_twenty_tasks_at_once_on_a_file_lose_nothing(path):
    path.write_bytes(b"".join(b"#Ansible: job %d\n* * * * * root /bin/job %d\n" % (n, n) for n in range(20)))
    in_parallel(prefix_one, str(path))
    assert path.read_bytes().count(b"root /usr/bin/rcron /bin/job") == 20
    assert list(path.parent.iterdir()) == [path]


@AS_ROOT
def test_twenty_tasks_at_once_on_a_users_crontab_lose_nothing(fake_crontab):
    fake = fake_crontab("debian")
    fake.crontab.write_bytes(b"".join(b"#Ansible: job %d\n* * * * * /bin/job %d\n" % (n, n) for n in range(20)))
    in_parallel(prefix_one_of_user, fake.path, str(fake.spool), fake.user)
    assert fake.crontab.read_bytes().count(b"/usr/bin/rcron /bin/job") == 20


def test_that_test_would_notice_a_missing_lock(path, monkeypatch):
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    inside = []

    class Interleaved(CrontabFile):
        """Another task of ours does all of its work between our second read and our write."""

        def write(self, text):
            if not inside:
                inside.append(True)
                entries_of(CrontabFile(self.path), Selector("job", b"/bin/true")).apply()
            super().write(text)

    entries_of(Interleaved(str(path)), NIGHTLY).apply()
    assert b"bob /usr/bin/rcron" not in path.read_bytes()


# --- what Ansible is told ---


def test_the_module_tells_what_it_changed_and_then_that_nothing_changes(module, path, fake_crontab, monkeypatch):
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    options = {"cron_file": str(path), "entries": [{"name": "nightly"}], "later": LATER}
    previewed = module(rcron_crontab.main, check_mode=True, diff=True, **options)
    assert path.read_bytes() == SYSTEM
    told = module(rcron_crontab.main, diff=True, **options)
    assert path.read_bytes() == PREFIXED
    assert (previewed["changed"], previewed["entries"], previewed["diff"]) == (True, told["entries"], told["diff"])
    assert told["diff"]["before"] != told["diff"]["after"]
    assert "backup_file" not in told
    assert module(rcron_crontab.main, **options)["changed"] is False


def test_a_terminal_has_nothing_of_a_crontab_to_obey(module, path, fake_crontab, monkeypatch):
    monkeypatch.setenv("PATH", fake_crontab("cronie").search_path)
    hostile = "\x1b]0;taken\x07\x9b1m\u2028\u202e\r\x7f".encode()
    path.write_bytes(SYSTEM + b"#Ansible: x" + hostile + b"\n* * * * * root\tjob " + hostile + b"\n")
    options = {"cron_file": str(path), "entries": [{"regexp": "job"}], "on_missing": "warn", "later": LATER}
    answer = module(rcron_crontab.main, diff=True, **options)
    written = json.dumps([answer["diff"], answer["entries"]], ensure_ascii=False)
    assert [char for char in written if not char.isprintable()] == []
    assert "\\x1b]0;taken" in answer["diff"]["after"]
    assert answer["diff"]["after"].splitlines()[-1].startswith("* * * * * root\t/usr/bin/rcron")
    assert answer["diff"]["after"].count("\n") == path.read_bytes().count(b"\n")


def test_a_terminal_would_obey_a_crontab_that_is_shown_as_it_is(module, path, fake_crontab, monkeypatch):
    monkeypatch.setenv("PATH", fake_crontab("cronie").search_path)
    monkeypatch.setattr(
        rcron_crontab, "printable", lambda raw, keep="": raw.decode("latin-1")
    )  # without the protection
    path.write_bytes(SYSTEM + b"* * * * * root\tjob \x1b]0;taken\x07\n")
    answer = module(rcron_crontab.main, diff=True, cron_file=str(path), entries=[{"regexp": "job"}], later=LATER)
    assert "\x1b]0;taken\x07" in answer["diff"]["after"]


def test_the_module_tells_where_the_backup_is(module, path, fake_crontab, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    monkeypatch.setattr(rcron_crontab, "backup_folder", lambda: str(tmp_path / "backups"))
    told = module(rcron_crontab.main, cron_file=str(path), entries=[{"name": "nightly"}], backup=True, later=LATER)
    assert pathlib.Path(told["backup_file"]).read_bytes() == SYSTEM


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entries": [{"regexp": "("}]}, "cannot be rewritten, and is as it was: "),
        ({"entries": [{"job": "/bin/none"}]}, "job: /bin/none selects nothing: no entry of "),
        ({"entries": [{"name": "nightly"}], "cron_file": "/"}, "/ is not a regular file. "),
    ],
)
def test_the_module_fails_with_a_reason(module, path, fake_crontab, monkeypatch, options, message):
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    told = module(rcron_crontab.main, **{"cron_file": str(path), "later": LATER, **options})
    assert told["failed"] is True
    assert message in told["msg"]
    assert path.read_bytes() == SYSTEM


def test_the_module_warns_where_it_is_asked_to(module, path, fake_crontab, monkeypatch):
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    warned = []
    monkeypatch.setattr(rcron_crontab.AnsibleModule, "warn", lambda self, text: warned.append(text))
    told = module(
        rcron_crontab.main, cron_file=str(path), entries=[{"job": "/bin/none"}], on_missing="warn", later=LATER
    )
    assert told["changed"] is False
    assert [text.partition(":")[0] for text in warned] == ["job"]


def test_a_host_without_crontab_is_no_matter_where_a_prefix_is_taken_away(monkeypatch):
    def none() -> None:
        raise StoreError("no crontab command")

    monkeypatch.setattr(rcron_crontab, "CrontabCommand", none)
    assert rcron_crontab.find_command(needed=False) is None
    with pytest.raises(StoreError):
        rcron_crontab.find_command(needed=True)


# --- entries that would run on no host ---


@pytest.fixture
def on_host(tmp_path):
    """A wrapper and a configuration that are there."""
    (tmp_path / "rcron").write_text("#!/bin/sh\n")
    (tmp_path / "rcron").chmod(0o755)
    (tmp_path / "rcron.conf").write_text("takeover_wait = 0\n")
    return {"rcron_path": os.fsencode(tmp_path / "rcron"), "conf": os.fsencode(tmp_path / "rcron.conf")}


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            "rcron",
            r"rcron_path is .*/rcron, and this host has no such program: .* status 127 everywhere\. Deploy rcron",
        ),
        (
            "rcron.conf",
            r"conf is .*/rcron\.conf, and this host has no such file: .* 78 everywhere\. .*there is .*other",
        ),
    ],
)
def test_an_entry_that_would_call_what_is_not_there_is_refused(path, tmp_path, on_host, gone, message):
    (tmp_path / "other.conf").touch()
    crontab = CrontabFile(str(path))
    assert entries_of(crontab, NIGHTLY, later=frozenset(), **on_host).preview().changed
    (tmp_path / gone).unlink()
    with pytest.raises(StoreError, match=message):
        entries_of(crontab, NIGHTLY, later=frozenset(), **on_host).apply()
    assert path.read_bytes() == SYSTEM
    later = frozenset([os.fsencode(tmp_path / gone)])
    assert entries_of(crontab, NIGHTLY, later=later, **on_host).preview().changed
    # A prefix is taken off whatever is there.
    assert not entries_of(crontab, NIGHTLY, later=frozenset(), state="absent", **on_host).apply().changed


def test_a_program_that_cannot_be_run_is_not_there(path, tmp_path, on_host):
    (tmp_path / "rcron").unlink()
    (tmp_path / "rcron").mkdir()
    with pytest.raises(StoreError, match="no such program"):
        entries_of(CrontabFile(str(path)), NIGHTLY, later=frozenset(), **on_host).preview()


@pytest.mark.parametrize(
    ("schedule", "wait", "conf", "is_warned"),
    [
        ("@reboot", None, "", True),
        ("  -@Reboot", None, "takeover_wait = 0", True),
        ("@reboot", 0, "takeover_wait = 9", True),
        ("@reboot", 60, "", False),
        ("@reboot", None, "takeover_wait '60'", False),
        ("@daily", None, "", False),
    ],
)
def test_an_entry_that_runs_at_boot_is_warned_of_unless_it_waits(
    module, path, tmp_path, fake_crontab, monkeypatch, on_host, schedule, wait, conf, is_warned
):
    monkeypatch.setenv("PATH", fake_crontab("cronie").search_path)
    monkeypatch.setattr(rcron_crontab, "locked", contextlib.nullcontext)
    warned = []
    monkeypatch.setattr(rcron_crontab.AnsibleModule, "warn", lambda self, text: warned.append(text))
    path.write_text(f"{schedule} root /bin/boot --all\n")
    (tmp_path / "rcron.conf").write_text(f"{conf}\n")
    options = {name: value.decode() for name, value in on_host.items()}
    options |= {} if wait is None else {"takeover_wait": wait}
    told = module(rcron_crontab.main, cron_file=str(path), entries=[{"regexp": "boot"}], **options)
    assert told["changed"]
    assert [f"{path}, line 1: an entry with @reboot" in text and "/bin/boot --all" in text for text in warned] == [
        True for _again in range(is_warned)
    ]
    module(rcron_crontab.main, cron_file=str(path), entries=[{"regexp": "boot"}], **options, state="absent")
    assert len(warned) == is_warned
