# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""All crontabs that an inventory names: what it names no longer is freed, what others have prefixed stays."""

from __future__ import annotations

import json

import pytest
from ansible_collections.rcron.cluster.plugins.modules import rcron_crontab

LATER = ["/usr/bin/rcron", "/etc/rcron/rcron.conf", "/etc/rcron/billing.conf"]
TEXT = b"1 1 * * * root /bin/a --all\n2 2 * * * root cd / && b > c\n3 3 * * * root /usr/bin/rcron /bin/by-hand\n"
A, B = {"job": "/bin/a --all"}, {"regexp": "b > c"}
PREFIXED = TEXT.replace(b"/bin/a", b"/usr/bin/rcron /bin/a").replace(
    b"cd / && b > c", b"/usr/bin/rcron -c 'cd / && b > c'"
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "app"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def run(module, path, tmp_path, fake_crontab, monkeypatch):
    """Return a function that runs the module for the system crontab at path, and returns its answer."""
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "all_crontabs", lambda command: [])

    def run(
        *entries: dict, check_mode: bool = False, conf=None, item_conf=None, unselected="release", **options
    ) -> dict:
        item = {"cron_file": str(path), "entries": list(entries), "conf": item_conf, **options}
        crontabs = [item] if entries else []
        return module(
            rcron_crontab.main,
            check_mode=check_mode,
            diff=True,
            crontabs=crontabs,
            conf=conf,
            unselected=unselected,
            later=LATER,
            record_dir=str(tmp_path / "record"),
        )

    return run


def test_an_entry_that_is_not_selected_any_more_loses_its_prefix(run, path, tmp_path):
    assert run(A, B)["changed"]
    assert path.read_bytes() == PREFIXED
    assert not run(A, B)["changed"]
    would = run(A, check_mode=True)
    assert path.read_bytes() == PREFIXED
    assert "-2 2 * * * root /usr/bin/rcron -c 'cd / && b > c'" not in json.dumps(would["diff"][0]["after"])
    assert "2 2 * * * root cd / && b > c" in would["diff"][0]["after"]
    done = run(A)
    assert (done["changed"], done["unselected"], done["diff"]) == (True, would["unselected"], would["diff"])
    assert path.read_bytes() == TEXT.replace(b"/bin/a", b"/usr/bin/rcron /bin/a")
    assert not run(A)["changed"]
    assert run()["changed"]
    assert path.read_bytes() == TEXT
    assert not (tmp_path / "record").exists()


def test_what_somebody_else_has_prefixed_is_named_and_stays(run, path):
    found = run(A, check_mode=True)["unselected"]
    assert found == [
        {"crontab": str(path), "line": 3, "command": "/bin/by-hand", "recorded": False, "released": False},
    ]
    assert run(A, B)["unselected"] == found
    assert b"/usr/bin/rcron /bin/by-hand" in path.read_bytes()


def test_keep_looks_at_nothing_else(run, path):
    run(A, B, unselected="keep")
    done = run(A, unselected="keep")
    assert (done["changed"], done["unselected"]) == (False, [])
    assert path.read_bytes() == PREFIXED
    # And forgets nothing: a later run that releases finds both.
    run(unselected="release")
    assert path.read_bytes() == TEXT


def test_a_prefixed_line_that_somebody_has_edited_is_named_and_a_removal_frees_it(run, path):
    run(A, B)
    edited = PREFIXED.replace(b"--all", b"--some")
    path.write_bytes(edited)
    done = run(A, B)
    assert done["failed"]
    assert done["failures"] == [
        f"job: /bin/a --all selects nothing: no entry of {path} matches it (is it '/bin/a --some'?). Correct the "
        "selector, create the entry first, or set on_missing to warn or ignore."
    ]
    assert path.read_bytes() == edited
    assert [entry["command"] for entry in run(B)["unselected"]] == ["/bin/a --some", "/bin/by-hand"]
    assert path.read_bytes() == edited
    done = run(A, B, state="absent", on_missing="ignore", unselected="release_all")
    assert path.read_bytes() == TEXT.replace(b"--all", b"--some").replace(b"/usr/bin/rcron ", b"")
    assert [entry["released"] for entry in done["unselected"]] == [True, True]


def test_every_crontab_of_the_host_is_freed_by_a_removal(run, path, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_bytes(PREFIXED + b"4 4 * * * root /usr/bin/rcron --conf /etc/rcron/billing.conf /bin/d\n")
    broken = tmp_path / "broken"
    broken.symlink_to(tmp_path / "nowhere")
    stores = [rcron_crontab.CrontabFile(str(one)) for one in (path, other, broken)]
    monkeypatch.setattr(rcron_crontab, "all_crontabs", lambda command: stores)
    warned = []
    monkeypatch.setattr(rcron_crontab.AnsibleModule, "warn", lambda self, text: warned.append(text))
    run(unselected="release_all")
    free = TEXT.replace(b"/usr/bin/rcron ", b"")
    assert path.read_bytes() == free
    assert other.read_bytes() == free + b"4 4 * * * root /usr/bin/rcron --conf /etc/rcron/billing.conf /bin/d\n"
    assert [text.split(": ")[0] for text in warned] == [f"{broken} was not looked at for prefixed entries"]
    run(unselected="release_all", conf="/etc/rcron/billing.conf")
    assert other.read_bytes() == free + b"4 4 * * * root /bin/d\n"


def test_clusters_have_records_of_their_own(run, path):
    run(A)
    run(B, conf="/etc/rcron/billing.conf")
    assert b"/usr/bin/rcron /bin/a" in path.read_bytes()
    assert b"/usr/bin/rcron --conf /etc/rcron/billing.conf -c 'cd" in path.read_bytes()
    run()
    assert b"/usr/bin/rcron /bin/a" not in path.read_bytes()
    assert b"--conf /etc/rcron/billing.conf" in path.read_bytes()
    run(conf="/etc/rcron/billing.conf")
    assert path.read_bytes() == TEXT


def test_a_job_that_has_moved_to_another_cluster_is_not_taken_from_it(run, path):
    run(A)
    run(A, conf="/etc/rcron/billing.conf")
    moved = path.read_bytes()
    assert b"/usr/bin/rcron --conf /etc/rcron/billing.conf /bin/a" in moved
    run()
    assert path.read_bytes() == moved


def test_an_item_of_another_cluster_is_recorded_with_its_configuration(run, path):
    done = run(A, item_conf="/etc/rcron/billing.conf")
    assert b"/usr/bin/rcron --conf /etc/rcron/billing.conf /bin/a" in path.read_bytes()
    assert [entry["command"] for entry in done["unselected"]] == ["/bin/by-hand"]
    run()
    assert path.read_bytes() == TEXT


def test_a_prefix_does_not_name_the_configuration_that_rcron_reads_by_itself(run, path):
    run(A, item_conf="/etc/rcron/rcron.conf", conf="/etc/rcron/billing.conf")
    assert b"root /usr/bin/rcron /bin/a" in path.read_bytes()


def test_what_an_older_version_has_prefixed_is_recorded_at_the_next_run(run, path):
    path.write_bytes(PREFIXED)
    first = run(A, B)
    assert first["changed"]
    assert [part["after"] for part in first["diff"]] == [f"{path}: /bin/a --all\n{path}: cd / && b > c\n"]
    assert path.read_bytes() == PREFIXED
    assert not run(A, B)["changed"]
    run(A)
    assert path.read_bytes() == TEXT.replace(b"/bin/a", b"/usr/bin/rcron /bin/a")


def test_every_reason_is_given_and_nothing_is_changed(module, path, tmp_path, fake_crontab, monkeypatch):
    monkeypatch.setenv("PATH", fake_crontab("debian").search_path)
    monkeypatch.setattr(rcron_crontab, "all_crontabs", lambda command: [])
    crontabs = [
        {"cron_file": str(path), "entries": [A]},
        {"cron_file": str(path), "entries": [{"regexp": "("}]},
        {"cron_file": str(tmp_path / "none"), "entries": [{"job": "x"}]},
        {"cron_file": "/", "entries": [A]},
    ]
    done = module(rcron_crontab.main, crontabs=crontabs, later=LATER, record_dir=str(tmp_path / "record"))
    assert done["failed"]
    assert [sentence[:20] for sentence in done["failures"]] == [
        f"the crontab of {path}"[:20],
        "job: x selects nothi",
        "/ is not a regular f",
    ]
    assert path.read_bytes() == TEXT
    assert not (tmp_path / "record").exists()


def test_a_run_that_is_interrupted_leaves_a_record_of_all_that_it_may_have_prefixed(run, path, tmp_path, monkeypatch):
    run(B)

    def full(self, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(rcron_crontab.CrontabFile, "write", full)
        with pytest.raises(OSError, match="No space"):
            run(A)
    commands = [
        one["command"]
        for one in json.loads((tmp_path / "record" / "crontabs.json").read_text())["/etc/rcron/rcron.conf"]
    ]
    assert commands == ["/bin/a --all", "cd / && b > c"]
    run()
    assert path.read_bytes() == TEXT


def test_a_record_that_is_broken_stops_a_run_before_it_changes_anything(run, path, tmp_path):
    run(A)
    before = path.read_bytes()
    (tmp_path / "record" / "crontabs.json").write_text("{")
    done = run(B)
    assert done["failed"]
    assert "the record of prefixed entries" in done["msg"]
    assert path.read_bytes() == before
