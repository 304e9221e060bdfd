# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The module's options and results, run in this process."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import shutil
import sys
import tempfile

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import CrontabFile
from ansible_collections.rcron.cluster.plugins.module_utils.installation import callers
from ansible_collections.rcron.cluster.plugins.modules import rcron_wrapper

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Return a function that runs the module in this process, and returns what it said."""
    monkeypatch.setattr(rcron_wrapper, "uid", lambda: 0)
    paths = [*CHECKOUT.glob("rcron/**/*.py"), *CHECKOUT.glob("man/*.[58]")]
    options = {name: str(tmp_path / name) for name in ("lib_dir", "bin_dir", "man_dir", "tmpfiles_dir")}
    options |= {
        "conf": str(tmp_path / "etc" / "rcron.conf"),
        "state_file": str(tmp_path / "run" / "state"),
        "state_user": pwd.getpwuid(os.geteuid()).pw_name,
        "python": sys.executable,
        "package": {str(path.relative_to(CHECKOUT)): path.read_text() for path in paths},
        "conf_content": "cluster_name = 'K\u00e4se'\n",
    }

    def call(check_mode: bool = False, diff: bool = True, **others: object) -> dict:
        given = {**options, **others, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        given = {name: value for name, value in given.items() if value is not None}
        with patch_module_args(given), pytest.raises(SystemExit):
            rcron_wrapper.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_check_mode_reports_what_a_run_does_and_changes_nothing(run, tmp_path):
    tried = run(check_mode=True)
    assert list(tmp_path.iterdir()) == []
    done = run()
    assert (tried["paths"], tried["diff"]) == (done["paths"], done["diff"])
    assert done["changed"]
    assert not run()["changed"]


def test_a_diff_has_one_part_for_all_places_and_one_for_each_file(run, tmp_path):
    conf, tmpfiles = tmp_path / "etc" / "rcron.conf", tmp_path / "tmpfiles_dir" / "rcron-rcron.conf"
    diff = run()["diff"]
    assert [part["after_header"] for part in diff] == ["folders and links", str(tmpfiles), str(conf)]
    assert diff[2]["after"] == "cluster_name = 'K\u00e4se'\n"
    conf.write_bytes(b"cluster_name = 'K\xe4se'\n")
    (part,) = run()["diff"]
    assert part["before"] == "cluster_name = 'K\\xe4se'\n"
    assert "diff" not in run(diff=False)
    (part,) = run(state="absent", check_mode=True)["diff"]
    assert f"{tmp_path}/bin_dir/rcron -> " in part["before"]
    assert part["after"] == ""


def test_the_folder_in_use_is_returned_until_there_is_none(run, tmp_path):
    library = run()["library"]
    assert pathlib.Path(library).parent == tmp_path / "lib_dir"
    assert run(state="absent", package=None, conf_content=None)["library"] == ""
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"conf_content": "nice = 3\n"}, 'unknown name "nice"'),
        ({"package": None}, "missing: package"),
        ({"tmpfiles_dir": "/dev/null/tmpfiles.d"}, "Could not create or update /dev/null/tmpfiles.d: Not a directory"),
    ],
)
def test_an_impossible_task_fails_with_the_reason(run, others, message):
    failed = run(**others)
    assert failed["failed"]
    assert message in failed["msg"]


def test_all_refusals_come_at_once_in_check_mode_too(run, tmp_path, monkeypatch):
    monkeypatch.setattr(rcron_wrapper, "uid", lambda: 1000)
    (tmp_path / "bin_dir").mkdir()
    (tmp_path / "bin_dir" / "rcron").write_text("the C rcron")
    (tmp_path / "man_dir").mkdir()
    (tmp_path / "man_dir").chmod(0o777)
    wrong = {
        "conf_content": "nice_level = 99\n",
        "state_user": "no-such-user",
        "state_file": "/usr/local/bin/state",
    }
    before = sorted(tmp_path.rglob("*"))
    for check_mode in (True, False):
        failed = run(check_mode=check_mode, **wrong)
        assert failed["failed"]
        refusals = [(refusal["option"], refusal["message"]) for refusal in failed["refusals"]]
        said = dict(refusals)
        assert [option for option, _why in refusals] == [
            *("", "conf_content", "state_file", "state_user", "bin_dir", "man_dir")
        ]
        assert "uid 1000" in said[""]
        assert "rcron.conf:1: nice_level: " in said["conf_content"]
        assert "/usr/local/bin/state, in a folder that is not rcron's own" in said["state_file"]
        assert "is no-such-user, and there is no such user" in said["state_user"]
        assert "bin_dir/rcron is there already, and not from this module" in said["bin_dir"]
        assert f"everyone may write {tmp_path}/man_dir" in said["man_dir"]
        for option, message in refusals:
            assert f"{option} {message}".strip() in failed["msg"]
        assert sorted(tmp_path.rglob("*")) == before
    assert run(check_mode=True, python="/bin/true")["refusals"][1]["option"] == "python"


def test_a_good_host_has_no_refusals(run):
    assert run(check_mode=True)["refusals"] == []
    assert run()["refusals"] == []
    assert "refusals" not in run(state="absent", package=None, conf_content=None)


def test_the_packages_own_parser_decides(run):
    package = {
        "rcron/__init__.py": '__version__ = "9"\n',
        "rcron/launcher.py": 'LAUNCHER = "a"\nCTL_LAUNCHER = "b"\nAGENT_LAUNCHER = "c"\n',
        "rcron/settings.py": "from . import words\nclass ConfigError(Exception): pass\n"
        "def parse(text, path):\n    raise ConfigError(f'{path}: {words.WHY} {text!r}')\n",
        "rcron/words.py": "WHY = 'I do not like'\n",
    }
    (refusal,) = run(check_mode=True, package=package)["refusals"]
    assert refusal["option"] == "conf_content"
    assert refusal["message"].endswith("""/etc/rcron.conf: I do not like "cluster_name = 'K\u00e4se'\\n\"""")
    package["rcron/words.py"] = "raise ValueError('broken')\n"
    failed = run(check_mode=True, package=package)
    assert "rcron/settings.py cannot be loaded" in failed["msg"]
    assert "broken" in failed["msg"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_a_package_has_installed_is_left_to_it(run, tmp_path, state):
    run()
    tmpfiles = tmp_path / "tmpfiles_dir" / "rcron-rcron.conf"
    tmpfiles.write_text(tmpfiles.read_text().replace("Ansible, role rcron.cluster.rcron", "the package rcron"))
    message = run(state=state)["msg"]
    assert message.startswith("the package rcron has installed rcron on this host")
    assert "purge the package first (apt-get purge rcron)" in message
    assert (tmp_path / "bin_dir" / "rcron").exists()


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """The host's only crontab, a system one."""
    path = tmp_path / "app"
    monkeypatch.setattr(callers, "all_crontabs", lambda command: [CrontabFile(str(path))])
    return path


def test_a_wrapper_that_an_entry_still_calls_is_not_removed(run, tmp_path, crontab):
    run()
    rcron, conf = tmp_path / "bin_dir" / "rcron", tmp_path / "etc" / "rcron.conf"
    lines = [
        f"1 * * * * root {rcron} --conf {conf} /bin/ours",
        f"2 * * * * root cd /srv && {rcron} -c 'a | b'",
        "3 * * * * root nice rcron /bin/bare",
        f"4 * * * * root rcron --conf {conf} /bin/by-path",
        f"5 * * * * root {rcron} --conf /etc/rcron/another.conf /bin/another",
        "6 * * * * root /opt/rcron /bin/foreign; /opt/bin/rcron x; rcronctl status; pgrep rcron || true",
        f"7 * * * * root {rcron}ctl status; ls {rcron}-agent; cat {rcron}.conf",
        "# 8 * * * * root rcron /bin/comment",
    ]
    crontab.write_text("".join(f"{line}\n" for line in lines))
    done = run(state="absent")
    assert done["failed"]
    assert done["msg"].startswith("5 crontab entries call what is to be removed, and would never run again: ")
    for number, command in ((1, "/bin/ours"), (2, "'a | b'"), (3, "bare"), (4, "by-path"), (5, "another")):
        assert any(
            part.startswith(f"{crontab}, line {number}: ") and command in part
            for part in done["msg"].split("run again: ")[1].split("; ")
        ), done["msg"]
    assert (rcron.is_symlink(), conf.exists()) == (True, True)
    # In a preview, those of this cluster are to lose their prefix first.
    assert "3 crontab entries" in run(state="absent", check_mode=True)["msg"]
    crontab.write_text("".join(f"{line}\n" for line in [lines[0], *lines[5:]]))
    assert run(state="absent", check_mode=True)["changed"]
    assert "1 crontab entry calls" in run(state="absent")["msg"]
    crontab.write_text("".join(f"{line}\n" for line in lines[5:]))
    assert run(state="absent")["changed"]
    assert not rcron.exists()
    crontab.write_text(f"{lines[0]}\n")
    assert not run(state="absent")["changed"], "there is nothing left to be called"


def test_an_entry_of_another_cluster_does_not_keep_this_one(run, tmp_path, crontab):
    run()
    other = tmp_path / "etc" / "other.conf"
    run(conf=str(other), state_file=str(tmp_path / "run-other" / "state"))
    crontab.write_text(f"* * * * * root {tmp_path}/bin_dir/rcron --conf {other} /bin/other\n")
    assert run(state="absent")["changed"]
    assert (tmp_path / "bin_dir" / "rcron").is_symlink()
    assert (
        "1 crontab entry calls" in run(state="absent", conf=str(other), state_file=f"{tmp_path}/run-other/state")["msg"]
    )


@pytest.fixture
def run_packaged(run, tmp_path, monkeypatch):
    """Return a function that runs the module on a host whose package manager has, or has not, installed the package."""
    payload = tmp_path / "share"
    defaults = {name: str(tmp_path / name) for name in ("lib_dir", "bin_dir", "man_dir", "tmpfiles_dir")}
    monkeypatch.setattr(rcron_wrapper, "PAYLOAD", str(payload))
    monkeypatch.setattr(rcron_wrapper, "PLACES", {**rcron_wrapper.PLACES, **defaults})

    def call(packaged: bool, **others: object) -> dict:
        if packaged and not payload.exists():
            shutil.copytree(CHECKOUT / "rcron", payload / "rcron", ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copytree(CHECKOUT / "man", payload / "man")
            init = payload / "rcron" / "__init__.py"
            init.write_text(re.sub('__version__ = ".*"', '__version__ = "7.7.7"', init.read_text()))
            (payload / "packaging").mkdir()
            (payload / "packaging" / "packaged").touch()
        return run(install_method="package", **others)

    return call


def test_what_a_package_has_brought_is_configured_as_its_own_scripts_do(run_packaged, tmp_path):
    done = run_packaged(packaged=True)
    assert done["packaged"]
    assert pathlib.Path(done["library"]).name.startswith("7.7.7-"), "not the version that Ansible would bring"
    (boot,) = (tmp_path / "tmpfiles_dir").iterdir()
    first = boot.read_text().splitlines()[0]
    assert first.startswith(f"# Written by the package rcron --python={sys.executable}")
    assert not run_packaged(packaged=True)["changed"]
    assert run_packaged(packaged=True, state="absent", package=None, conf_content=None)["library"] == ""
    assert not boot.exists()


def test_a_host_without_the_package_is_examined_but_not_changed(run_packaged, tmp_path):
    tried = run_packaged(packaged=False, check_mode=True)
    assert (tried["packaged"], tried["changed"]) == (False, True)
    assert run_packaged(packaged=False, check_mode=True, conf_content="nice = 3\n")["failed"]
    failed = run_packaged(packaged=False)
    assert f"the package rcron is not on this host: {tmp_path}/share is missing" in failed["msg"]
    assert list(tmp_path.iterdir()) == []


def test_neither_method_changes_what_the_other_has_installed(run, run_packaged, tmp_path):
    run_packaged(packaged=True)
    before = sorted(tmp_path.rglob("*"))
    for others in ({}, {"state": "absent", "package": None, "conf_content": None}):
        failed = run(**others)
        assert "the package rcron has installed rcron on this host" in failed["msg"]
        assert "set rcron_install_method: package" in failed["msg"]
    assert sorted(tmp_path.rglob("*")) == before
    run_packaged(packaged=True, state="absent", package=None, conf_content=None)
    run()
    for others in ({}, {"state": "absent", "package": None, "conf_content": None}):
        failed = run_packaged(packaged=True, **others)
        assert "the role rcron.cluster.rcron has installed rcron on this host" in failed["msg"]
        assert "go on with rcron_install_method: files" in failed["msg"]


def test_a_package_has_its_own_folders(run_packaged, tmp_path):
    failed = run_packaged(packaged=True, check_mode=True, bin_dir="/opt/bin")
    (refusal,) = failed["refusals"]
    assert refusal["option"] == "bin_dir"
    assert refusal["message"] == f"is /opt/bin, and the package installs into {tmp_path}/bin_dir: leave it out"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's file")
@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("place", ["planted.deb", "folder/rcron.deb", "link.deb"])
def test_no_package_is_installed_that_another_user_could_exchange(
    run_packaged, monkeypatch, place, prefix, is_protected
):
    """Its scripts are run as root. Whoever is first in /var/tmp keeps the file, and root only writes into it."""
    if not is_protected:
        monkeypatch.setattr(rcron_wrapper, "exposure", lambda _path, _aim: None)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        top = pathlib.Path(name)
        top.chmod(0o1777)
        (top / "folder").mkdir()
        (top / "folder" / "rcron.deb").write_bytes(b"root's")
        (top / "planted.deb").write_bytes(b"planted")
        (top / "link.deb").symlink_to(top / "folder" / "rcron.deb")
        for path in (top / "folder", top / "planted.deb"):
            os.chown(path, 65534, 65534)
        source = f"{prefix}{top}/{place}"
        done = run_packaged(packaged=True, check_mode=True, package_source=source)
        if is_protected:
            (refusal,) = done["refusals"]
            assert refusal["option"] == "package"
            assert "nobody, who could replace the package that root installs" in refusal["message"]
        else:
            assert done["refusals"] == []
        (top / "own.deb").write_bytes(b"root's")
        own = run_packaged(packaged=True, check_mode=True, package_source=f"{prefix}{top}/own.deb")
        assert own["refusals"] == []


@pytest.mark.parametrize(
    ("source", "is_refused"),
    [
        ("http://example.com/rcron.deb", True),
        ("ftp://example.com/rcron.rpm", True),
        ("https://example.com/rcron.deb", False),
        ("rcron", False),
        ("rcron=1.0.0-1", False),
        ("", False),
    ],
)
def test_no_package_comes_over_a_way_on_which_anybody_could_answer(run_packaged, source, is_refused):
    done = run_packaged(packaged=True, check_mode=True, package_source=source)
    assert ["use https" in each["message"] for each in done["refusals"]] == [True] * is_refused
