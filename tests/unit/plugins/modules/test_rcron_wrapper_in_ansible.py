# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module as Ansible runs it: the results of a task in check mode, in diff mode and for real."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]
PACKAGE = {
    str(path.relative_to(CHECKOUT)): path.read_text()
    for path in [*CHECKOUT.glob("rcron/**/*.py"), *CHECKOUT.glob("man/*.[58]")]
}


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may install the wrapper")


@pytest.fixture
def task(tmp_path):
    """Return a function that makes a task, with all places below one folder."""
    root = tmp_path / "root"
    places = {name: str(root / name) for name in ("lib_dir", "bin_dir", "man_dir", "tmpfiles_dir")}
    places |= {"conf": str(root / "etc" / "rcron.conf"), "state_file": str(root / "run" / "state")}
    wanted = {"conf_content": f"state_file = {root}/run/state\n", "package": PACKAGE, "python": sys.executable}
    wanted["state_user"] = pwd.getpwuid(os.geteuid()).pw_name

    def make(state: str = "present", check_mode: bool = False, diff: bool = False, **options: object) -> dict:
        options = {**places, **(wanted if state == "present" else {}), "state": state, **options}
        return {"rcron.cluster.rcron_wrapper": options, "check_mode": check_mode, "diff": diff}

    return make


def test_results_of_check_mode_and_real_runs_agree(tmp_path, play, task):
    tried, done, again, upgraded, tried_removal, removed, nothing = play(
        [
            task(check_mode=True, diff=True),
            task(diff=True),
            task(diff=True),
            task(conf_content="nice_level = 3\n", diff=True),
            task("absent", check_mode=True),
            task("absent"),
            task("absent"),
        ]
    )
    root = tmp_path / "root"
    assert [result["changed"] for result in (tried, done, again, upgraded, tried_removal, removed, nothing)] == [
        True,
        True,
        False,
        True,
        True,
        True,
        False,
    ]
    # Check mode says what the real run does.
    for key in ("paths", "library", "diff"):
        assert tried[key] == done[key]
    assert done["paths"][0] == done["library"]
    assert done["paths"][-1] == str(root / "bin_dir" / "rcron")
    assert again["paths"] == []
    assert again["diff"] == []
    assert again["library"] == done["library"]
    texts = {part["after_header"]: part["after"] for part in done["diff"]}
    assert texts[str(root / "etc" / "rcron.conf")] == f"state_file = {root}/run/state\n"
    assert f"{root}/bin_dir/rcron -> {done['library']}/bin/rcron\n" in texts["folders and links"]
    assert upgraded["paths"] == [str(root / "etc" / "rcron.conf")]
    assert upgraded["diff"] == [
        {
            "before_header": upgraded["paths"][0],
            "before": f"state_file = {root}/run/state\n",
            "after_header": upgraded["paths"][0],
            "after": "nice_level = 3\n",
        }
    ]
    assert tried_removal["paths"] == removed["paths"]
    assert removed["library"] == ""
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_no_result_has_the_text_of_the_package(play, task):
    (done,) = play([task(diff=True)])
    assert "Copyright" not in str(done)


def test_an_impossible_task_fails_with_the_reason_and_changes_nothing(tmp_path, play, task):
    incomplete = task()
    del incomplete["rcron.cluster.rcron_wrapper"]["package"]
    results = play([incomplete, task(conf_content="nice = 3\n"), task(python="/no/python3")])
    assert [result["failed"] for result in results] == [True] * 3
    messages = [
        "missing: package",
        'conf_content is what the wrapper would refuse: .*unknown name "nice"',
        "/no/python3, which cannot",
    ]
    for result, message in zip(results, messages):
        assert re.search(message, result["msg"]), result["msg"]
    assert not (tmp_path / "root").exists()
