# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The role rcron_crontab on this machine, with crontabs of the test's own."""

from __future__ import annotations

import os

import pytest

TEXT = b"#Ansible: nightly\n5 5 * * * root cd / && x > y\n0 1 * * * bob /bin/true\n"
PREFIXED = TEXT.replace(b"cd / && x > y", b"/usr/bin/rcron -c 'cd / && x > y'").replace(
    b"/bin/true", b"/usr/bin/rcron /bin/true"
)
ENTRIES = [{"name": "nightly"}, {"job": "/bin/true"}]


@pytest.fixture
def crontabs(tmp_path):
    """Two system crontabs alike."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_bytes(TEXT)
    return paths


@pytest.fixture
def role(tmp_path, playbook):
    """Return a function that runs the role with variables, and returns the process."""
    # Of crontab(1), system crontabs need only its usage text.
    (tmp_path / "crontab").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "crontab").chmod(0o755)

    def run(*options: str, tasks_from: str = "main", **variables):
        include = {"name": "rcron.cluster.rcron_crontab", "tasks_from": tasks_from}
        later = ["/usr/bin/rcron", "/etc/rcron/rcron.conf", "/opt/bin/rcron", "/etc/rcron/billing.conf"]
        variables.setdefault("rcron_crontab_later", later)
        variables.setdefault("rcron_crontab_record_dir", str(tmp_path / "record"))
        play = {"vars": variables, "tasks": [{"name": "Run the role", "ansible.builtin.include_role": include}]}
        return playbook(play, *options, path=f"{tmp_path}:{os.environ['PATH']}")

    return run


def items(crontabs) -> list[dict]:
    return [{"cron_file": str(path), "entries": ENTRIES} for path in crontabs]


def test_entries_are_prefixed_once_and_set_free_again(role, crontabs):
    first = role("--diff", rcron_crontab_entries=items(crontabs))
    assert "changed=1" in first.stdout, first.stdout
    assert first.stdout.count("+5 5 * * * root /usr/bin/rcron -c") == 2, "one diff for each crontab"
    assert [path.read_bytes() for path in crontabs] == [PREFIXED, PREFIXED]
    # `off` without quotes: nothing is claimed, so nothing is named.
    second = role(rcron_crontab_entries=items(crontabs), rcron_claim=False)
    assert "changed=0" in second.stdout, second.stdout
    role(rcron_crontab_entries=items(crontabs)[:1], rcron_claim="required")
    assert crontabs[0].read_bytes() == PREFIXED.replace(b"rcron -c", b"rcron --job nightly -c")
    released = role(rcron_crontab_entries=items(crontabs), rcron_crontab_state="absent")
    assert "changed=1" in released.stdout, released.stdout
    assert [path.read_bytes() for path in crontabs] == [TEXT, TEXT]


def test_check_mode_shows_what_the_run_would_do_and_does_nothing(role, crontabs):
    done = role("--check", "--diff", rcron_crontab_entries=items(crontabs))
    assert done.returncode == 0, done.stdout
    assert "changed=1" in done.stdout
    assert done.stdout.count("+5 5 * * * root /usr/bin/rcron -c 'cd / && x > y'") == 2
    assert [path.read_bytes() for path in crontabs] == [TEXT, TEXT]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"entries": [{"name": "nighty"}]}, "localhost: name: nighty selects nothing: no entry of "),
        (
            {"user": "no-such-user", "cron_file": None},
            "localhost: this host has no user no-such-user. Correct the name",
        ),
        ({"conf": "relative"}, "it must be an absolute path"),
    ],
)
def test_what_cannot_be_done_stops_before_the_first_crontab_is_changed(role, crontabs, wrong, message):
    entries = items(crontabs)
    entries[1].update(wrong)
    entries[1] = {name: value for name, value in entries[1].items() if value is not None}
    done = role(rcron_crontab_entries=entries)
    assert done.returncode != 0
    assert message in " ".join(done.stdout.split())
    assert [path.read_bytes() for path in crontabs] == [TEXT, TEXT]


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(role, crontabs):
    done = role(rcron_crontab_entries=items(crontabs), rcron_crontab_entry=[], tasks_from="preflight")
    assert done.returncode != 0
    assert "localhost: unknown variable rcron_crontab_entry (did you mean rcron_crontab_entries?)" in done.stdout


def test_a_misspelt_option_of_an_item_is_refused(role, crontabs):
    done = role(rcron_crontab_entries=[{**items(crontabs)[0], "onmissing": "warn"}])
    assert done.returncode != 0
    assert "onmissing" in done.stdout
    assert crontabs[0].read_bytes() == TEXT


def test_an_entry_that_is_gone_does_not_keep_the_others_prefixed(role, crontabs):
    crontabs[0].write_bytes(PREFIXED)
    crontabs[1].unlink()
    done = role(rcron_crontab_entries=items(crontabs), rcron_crontab_state="absent")
    assert done.returncode == 0, done.stdout
    assert crontabs[0].read_bytes() == TEXT
    assert not crontabs[1].exists()


def test_entries_follow_where_the_wrapper_and_its_configuration_are(role, crontabs):
    crontabs[0].write_bytes(b"0 1 * * * bob /bin/true\n")
    entries = [{"cron_file": str(crontabs[0]), "entries": [{"regexp": "true"}]}]
    role(rcron_crontab_entries=entries, rcron_bin_dir="/opt/bin", rcron_conf="/etc/rcron/billing.conf")
    assert crontabs[0].read_bytes() == b"0 1 * * * bob /opt/bin/rcron --conf /etc/rcron/billing.conf /bin/true\n"
    entries[0].update(conf="/etc/rcron/rcron.conf", rcron_path="/usr/bin/rcron")
    role(rcron_crontab_entries=entries, rcron_bin_dir="/opt/bin", rcron_conf="/etc/rcron/billing.conf")
    assert crontabs[0].read_bytes() == b"0 1 * * * bob /usr/bin/rcron /bin/true\n"


def test_no_entries_are_nothing_to_do(role):
    done = role()
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout


def test_the_role_alone_keeps_what_it_does_not_select_and_releases_it_if_asked_to(role, crontabs, tmp_path):
    role(rcron_crontab_entries=items(crontabs))
    done = role(rcron_crontab_entries=items(crontabs)[:1])
    assert "changed=0" in done.stdout, done.stdout
    done = role("--check", "--diff", rcron_crontab_entries=items(crontabs)[:1], rcron_crontab_unselected="release")
    assert done.stdout.count("-5 5 * * * root /usr/bin/rcron -c 'cd / && x > y'") == 1, done.stdout
    assert [path.read_bytes() for path in crontabs] == [PREFIXED, PREFIXED]
    role(rcron_crontab_entries=items(crontabs)[:1], rcron_crontab_unselected="release")
    assert [path.read_bytes() for path in crontabs] == [PREFIXED, TEXT]
    role(rcron_crontab_state="absent", rcron_crontab_unselected="release_all")
    assert [path.read_bytes() for path in crontabs] == [TEXT, TEXT]
    assert not (tmp_path / "record").exists()


def test_a_value_that_the_variable_does_not_have_is_refused(role, crontabs):
    done = role(rcron_crontab_entries=items(crontabs), rcron_crontab_unselected="drop")
    assert done.returncode != 0
    assert "drop" in done.stdout
    assert crontabs[0].read_bytes() == TEXT
