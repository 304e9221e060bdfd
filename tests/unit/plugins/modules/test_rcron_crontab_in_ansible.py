# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module as Ansible runs it: what a task sees in check mode, in diff mode and for real, and what it is told."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]
TEXT = b"SHELL=/bin/sh\n#Ansible: nightly\n5 5 * * *\troot  cd / && x > y\n0 1 * * * bob /bin/echo k\xe4se\n"
PREFIXED = (
    TEXT.replace(b"cd / && x > y", b"/usr/bin/rcron -c 'cd / && x > y'")
    .replace(b"/bin/echo", b"/usr/bin/rcron -c '/bin/echo")
    .replace(b"k\xe4se", b"k\xe4se'")
)
SELECTED = [
    {
        "line": 3,
        "user": "root",
        "before": "cd / && x > y",
        "after": "/usr/bin/rcron -c 'cd / && x > y'",
        "selected_by": ["name: nightly", "regexp: &&"],
    },
    {
        "line": 4,
        "user": "bob",
        "before": "/bin/echo k\\xe4se",
        "after": "/usr/bin/rcron -c '/bin/echo k\\xe4se'",
        "selected_by": ["regexp: echo"],
    },
]


@pytest.fixture
def stand_in(fake_crontab):
    return fake_crontab("debian")


@pytest.fixture
def play(play, stand_in):
    """Run tasks on a machine that has a crontab(1) of ours."""
    return lambda tasks: play(tasks, stand_in.search_path)


def task(path, *entries, check_mode=False, diff=False, **options) -> dict:
    later = ["/usr/bin/rcron", "/etc/rcron/rcron.conf"]
    options = {"cron_file": str(path), "entries": list(entries), "later": later, **options}
    return {"rcron.cluster.rcron_crontab": options, "check_mode": check_mode, "diff": diff}


def test_a_task_is_told_the_truth(tmp_path, play):
    path = tmp_path / "app"
    path.write_bytes(TEXT)
    selectors = [{"name": "nightly"}, {"regexp": "&&"}, {"regexp": "echo"}]
    stat_it = {"ansible.builtin.slurp": {"src": str(path)}}
    preview, untouched, real, again, released = play(
        [
            task(path, *selectors, check_mode=True, diff=True, backup=True),
            stat_it.copy(),
            task(path, *selectors, diff=True, backup=True),
            task(path, *selectors, backup=True),
            task(path, *selectors, state="absent"),
        ],
    )
    assert preview["changed"]
    assert preview["entries"] == real["entries"] == SELECTED
    assert preview["diff"] == real["diff"]
    assert preview["diff"]["before"] == TEXT.decode("utf-8", "backslashreplace")
    assert preview["diff"]["after"] == PREFIXED.decode("utf-8", "backslashreplace")
    assert preview["diff"]["before_header"] == preview["diff"]["after_header"] == str(path)
    assert "backup_file" not in preview
    assert untouched["content"] == base64.b64encode(TEXT).decode()
    assert real["changed"]
    backup = pathlib.Path(real["backup_file"])
    assert backup.read_bytes() == TEXT
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    backup.unlink()
    assert not again["changed"]
    assert "backup_file" not in again
    assert "diff" not in again
    assert [(entry["before"], entry["after"]) for entry in again["entries"]] == [
        (entry["after"], entry["after"]) for entry in SELECTED
    ]
    assert released["changed"]
    assert path.read_bytes() == TEXT


@pytest.mark.skipif(os.getuid() != 0, reason="only root may name the user of a crontab")
def test_a_users_crontab_is_told_by_its_user(play, stand_in):
    stand_in.crontab.write_bytes(b"* * * * * /bin/true\n")
    later = ["/usr/bin/rcron", "/etc/rcron/rcron.conf"]
    of_user = {"user": stand_in.user, "entries": [{"job": "/bin/true"}], "later": later}
    preview, real = play([{"rcron.cluster.rcron_crontab": of_user, "check_mode": check} for check in (True, False)])
    assert preview["entries"] == real["entries"]
    assert real["entries"][0]["user"] == stand_in.user
    assert stand_in.crontab.read_bytes().endswith(b"* * * * * /usr/bin/rcron /bin/true\n")
    assert sum(call.endswith(f" -u {stand_in.user} -") for call in stand_in.calls()) == 1


def test_a_wait_for_a_takeover_is_set_and_stays_where_it_is_not_given(tmp_path, play):
    path = tmp_path / "app"
    path.write_bytes(b"* * * * * root /bin/job\n")
    job = {"job": "/bin/job"}
    given, kept = play([task(path, job, takeover_wait=30), task(path, job)])
    assert given["changed"]
    assert not kept["changed"]
    assert path.read_bytes() == b"* * * * * root /usr/bin/rcron --takeover-wait 30 /bin/job\n"


def test_claims_name_their_jobs_and_two_of_one_name_are_refused(tmp_path, play):
    path, other = tmp_path / "app", tmp_path / "other"
    path.write_bytes(b"#Ansible: nightly\n* * * * * root /bin/job\n* * * * * root /bin/b\n")
    other.write_bytes(b"* * * * * root /bin/b\n")
    entries = [{"regexp": "job"}, {"job": "/bin/b", "job_name": "b"}]
    both = {"crontabs": [{"cron_file": str(file), "entries": entries[1:]} for file in (path, other)]}
    (done,) = play([task(path, *entries, claim="required")])
    assert done["changed"], done
    expected = (
        b"#Ansible: nightly\n* * * * * root /usr/bin/rcron --job nightly --claim required /bin/job\n"
        b"* * * * * root /usr/bin/rcron --job b --claim required /bin/b\n"
    )
    assert path.read_bytes() == expected
    both |= {"later": ["/usr/bin/rcron", "/etc/rcron/rcron.conf"], "named": True, "record_dir": str(tmp_path)}
    (refused,) = play([{"rcron.cluster.rcron_crontab": both}])
    assert "would not run whenever line 3" in refused["msg"]
    assert f"of {path} does" in refused["msg"]
    assert path.read_bytes() == expected
    assert b"rcron" not in other.read_bytes()


def test_a_task_that_cannot_be_done_says_why_and_changes_nothing(tmp_path, play):
    path = tmp_path / "app"
    path.write_bytes(TEXT)
    gone = {"name": "gone"}
    wrong = [
        (task(path, gone), "name: gone selects nothing: no entry of"),
        (task(tmp_path / "none", gone), "none does not exist"),
        (task(path, {"regexp": "("}), "not a Python regular expression"),
        (task(path, {"regexp": "x"}, rcron_path="rcron"), "it must be an absolute path"),
        (task(path, {"regexp": "x"}, conf="billing.conf"), "it must be an absolute path"),
        (task(path, {"regexp": "x", "name": "y"}), "mutually exclusive"),
        (task(path, {}), "one of the following is required"),
        (task(path, user="root"), "mutually exclusive"),
        ({"rcron.cluster.rcron_crontab": {"entries": [gone]}}, "one of the following is required"),
        ({"rcron.cluster.rcron_crontab": {"user": "no-such-user", "entries": [gone]}}, "no user no-such-user"),
    ]
    warned, ignored, *failed = play(
        [
            task(path, gone, on_missing="warn"),
            task(path, gone, on_missing="ignore"),
            *(wrong_task for wrong_task, _message in wrong),
        ],
    )
    assert not warned["changed"]
    assert "selects nothing" in str(warned["warnings"])
    assert not ignored["changed"]
    assert "warnings" not in ignored
    for result, (_task, message) in zip(failed, wrong):
        assert result["failed"]
        assert message in result["msg"]
    assert path.read_bytes() == TEXT


def test_a_host_without_cron_is_named_as_such(tmp_path):
    path = tmp_path / "app"
    path.write_bytes(TEXT)
    code = (
        "from ansible_collections.rcron.cluster.plugins.module_utils import crontab_store as store\n"
        "store.shutil.which = lambda *a, **k: None\n"
        "from ansible_collections.rcron.cluster.plugins.modules import rcron_crontab\n"
        "from ansible.module_utils import basic\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "import json, sys\n"
        "with patch_module_args(json.loads(sys.argv[1])):\n"
        "    rcron_crontab.main()\n"
    )
    for options, rc, words in (
        ({"cron_file": str(path), "entries": [{"name": "nightly"}]}, 1, "Install the package cron"),
        ({"user": "root", "entries": [{"name": "nightly"}], "state": "absent"}, 1, "Install the package cron"),
        ({"cron_file": str(path), "entries": [{"name": "nightly"}], "state": "absent"}, 0, '"changed": false'),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".build")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, words in done.stdout) == (rc, True), done.stdout + done.stderr


@pytest.mark.parametrize("latin", [False, True], ids=["UTF-8", "C"])
def test_a_selector_in_utf8_reaches_the_entry_under_any_locale(tmp_path, play, latin):
    path = tmp_path / "app"
    path.write_bytes("#Ansible: Käse\n0 1 * * * root /bin/true\n".encode())
    (result,) = play([{**task(path, {"name": "Käse"}), "environment": {"LC_ALL": "C" if latin else ""}}])
    assert result["changed"]


def test_the_filter_and_a_task_that_selects_the_entry_do_not_fight(tmp_path, play):
    path = tmp_path / "app"
    job = "cd /srv && ./backup > '/var/log/ba ckup.log'"
    made = {
        "ansible.builtin.cron": {
            "name": "nightly",
            "user": "root",
            "special_time": "daily",
            "job": "{{ backup | rcron.cluster.rcron_prefix }}",
            "cron_file": str(path),
        },
        "vars": {"backup": job},
    }
    first, selected, again, selected_again = play(
        [made, task(path, {"job": job}), made, task(path, {"name": "nightly"})]
    )
    assert first["changed"]
    assert [selected["changed"], again["changed"], selected_again["changed"]] == [False, False, False]
    assert "@daily root /usr/bin/rcron -c 'cd /srv && " in path.read_text()
    assert selected["entries"] == [{**entry, "selected_by": [f"job: {job}"]} for entry in selected_again["entries"]]
