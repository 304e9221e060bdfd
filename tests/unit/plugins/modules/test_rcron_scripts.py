# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Scripts of a folder like cron.daily, on a host whose dpkg-statoverride is the tests' own."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Callable

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import scripts
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.modules import rcron_scripts

#: Keeps each override in a file of its own, as dpkg-statoverride(1) does in one.
OVERRIDES = """#!/bin/sh
for path; do :; done
place={folder}/overrides/$(echo "$path" | tr / _)
case $1 in
--list) [ -e "$place" ] && cat "$place" ;;
--update) [ ! -e "$place" ] && echo "$3 $4 $5 $path" >"$place" && chmod "$5" "$path"
    [ "$(id -u)" -ne 0 ] || chown "$3:$4" "$path" ;;
--remove) rm "$place" ;;
esac
"""

#: Says how it was called.
RCRON = '#!/bin/sh\nfor word; do printf "<%s>" "$word"; done\n'


class Host:
    """A host with a folder of scripts."""

    def __init__(self, folder: pathlib.Path, module: Callable[..., dict]) -> None:
        self.folder = folder / "cron.daily"
        self.folder.mkdir()
        self.overrides = folder / "overrides"
        self.overrides.mkdir()
        self.script = self.folder / "report"
        self.write(self.script, "#!/bin/sh -e\necho report\n")
        self._module = module

    @staticmethod
    def write(path: pathlib.Path, text: str, mode: int = 0o755) -> None:
        path.write_text(text)
        path.chmod(mode)

    def run(self, **options: object) -> dict:
        return self._module(rcron_scripts.main, **{"scripts": [str(self.script)], **options})

    def modes(self) -> dict[str, str]:
        return {path.name: f"{path.stat().st_mode & 0o7777:04o}" for path in self.folder.iterdir()}


@pytest.fixture
def host(module: Callable[..., dict], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path, module)
    programs_folder = tmp_path / "bin"
    programs_folder.mkdir()
    Host.write(programs_folder / "dpkg-statoverride", OVERRIDES.format(folder=tmp_path))
    Host.write(programs_folder / "rcron", RCRON)
    monkeypatch.setenv("PATH", f"{programs_folder}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "DAEMON_PATH", str(programs_folder))
    monkeypatch.setattr(scripts, "FOLDERS", (str(made.folder),))
    return made


def test_check_mode_says_what_a_run_does_and_changes_nothing(host: Host) -> None:
    tried = host.run(check_mode=True, diff=True)
    assert host.modes() == {"report": "0755"}
    done = host.run(diff=True)
    assert done == tried
    assert done["scripts"] == [{"script": str(host.script), "wrapper": f"{host.script}-rcron", "changed": True}]
    assert host.modes() == {"report": "0644", "report-rcron": "0755"}
    assert not host.run()["changed"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh -e\n", "</bin/sh><-e>"),
        ("#!/usr/bin/env  python3 -X\n", "</usr/bin/env><python3 -X>"),
        ("#! /bin/bash\n", "</bin/bash>"),
        ("echo no interpreter\n", "</bin/sh>"),
        ("#!/bin/sh -*", "</bin/sh><-*>"),
    ],
)
def test_wrapper_has_rcron_run_the_script_as_the_kernel_would(
    host: Host, tmp_path: pathlib.Path, text: str, words: str
) -> None:
    host.write(host.script, text)
    host.run(rcron_path=str(tmp_path / "bin" / "rcron"), conf="/etc/rcron/b.conf", takeover_wait=5)
    done = subprocess.run([f"{host.script}-rcron"], check=False, capture_output=True, text=True)
    options = "<--conf></etc/rcron/b.conf><--takeover-wait><5><--job><report><-->"
    assert (done.stdout, done.stderr) == (f"{options}{words}<{host.script}>", "")


def test_wrapper_does_nothing_once_the_script_is_purged(host: Host) -> None:
    host.run()
    host.script.unlink()
    done = subprocess.run([f"{host.script}-rcron"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert host.run(on_missing="ignore")["scripts"] == []


def test_removal_restores_the_mode_and_takes_all_else_away(host: Host) -> None:
    host.script.chmod(0o750)
    before = host.script.stat()
    host.run()
    assert [path.read_text().split()[:3] for path in host.overrides.iterdir()] == [["root", "root", "0644"]]
    assert host.run(state="absent", scripts=[], conf="/etc/rcron/other.conf")["scripts"] == []
    assert host.run(state="absent", scripts=[])["changed"]
    assert host.modes() == {"report": "0750"}
    after = host.script.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert list(host.overrides.iterdir()) == []
    assert not host.run(state="absent")["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_removal_restores_the_owner(host: Host) -> None:
    os.chown(host.script, 65534, 65534)
    host.run()
    assert (host.script.stat().st_uid, host.script.stat().st_gid) == (0, 0)
    host.run(state="absent")
    assert (host.script.stat().st_uid, host.script.stat().st_gid) == (65534, 65534)


def test_a_mode_that_somebody_gave_back_is_taken_again(host: Host) -> None:
    host.run()
    host.script.chmod(0o755)
    assert host.run()["changed"]
    assert host.modes() == {"report": "0644", "report-rcron": "0755"}


def test_what_was_interrupted_is_completed(host: Host) -> None:
    host.run()
    (host.folder / "report-rcron").chmod(0o644)
    host.script.chmod(0o755)
    for path in host.overrides.iterdir():
        path.unlink()
    assert host.run()["changed"]
    assert host.modes() == {"report": "0644", "report-rcron": "0755"}
    assert len(list(host.overrides.iterdir())) == 1


def test_other_options_are_written_and_the_first_mode_is_kept(host: Host) -> None:
    host.script.chmod(0o700)
    host.run()
    host.run(takeover_wait=30)
    assert scripts.listed() == [
        {"script": str(host.script), "guarded": True, "conf": "/etc/rcron/rcron.conf", "takeover_wait": 30}
    ]
    host.run(state="absent")
    assert host.modes() == {"report": "0700"}


def test_scripts_that_run_parts_runs_are_listed(host: Host) -> None:
    host.write(host.folder / "a.sh", "")
    host.write(host.folder / "off", "", 0o644)
    host.write(host.folder / "mine-rcron", "#!/bin/sh\n")
    assert [found["script"] for found in scripts.listed()] == [f"{host.folder}/mine-rcron", f"{host.script}"]
    assert not any(found["guarded"] for found in scripts.listed())


def test_what_cannot_work_is_refused_and_nothing_is_changed(host: Host) -> None:
    host.write(host.folder / "a.sh", "")
    host.write(host.folder / "off", "", 0o644)
    host.write(host.folder / "taken", "")
    host.write(host.folder / "taken-rcron", "#!/bin/sh\n")
    (host.folder / "binary").write_bytes(b"\x7fELF\0")
    (host.folder / "link").symlink_to(host.script)
    host.write(host.folder / "overridden", "")
    subprocess.run(
        ["dpkg-statoverride", "--update", "--add", "root", "adm", "0750", str(host.folder / "overridden")], check=True
    )
    expected = {
        "/usr/bin/report": "is not in",
        f"{host.folder}/missing": f"there is no {host.folder}/missing: correct the name",
        f"{host.folder}/a.sh": "run-parts does not run",
        f"{host.folder}/off": "is not executable",
        f"{host.folder}/taken": "was not written by this module",
        f"{host.folder}/taken-rcron": "is a wrapper's name",
        f"{host.folder}/binary": "is a program and not a script",
        f"{host.folder}/link": "is not a regular file",
        f"{host.folder}/overridden": "root adm 0750 already",
    }
    before = host.modes()
    done = host.run(scripts=[*expected, str(host.script)])
    assert done["failed"]
    assert len(done["refusals"]) == len(expected)
    for refusal, (path, words) in zip(done["refusals"], expected.items()):
        assert path in refusal, refusal
        assert words in refusal, refusal
    assert host.modes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conf": "/etc/rcron/a b.conf"}, "conf is /etc/rcron/a b.conf"),
        ({"rcron_path": "/usr/bin/$x"}, "rcron_path is"),
        ({"takeover_wait": 86401}, "takeover_wait is 86401: set 0 to 86400 seconds"),
    ],
)
def test_options_that_a_shell_or_rcron_would_refuse(host: Host, options: dict, words: str) -> None:
    done = host.run(**options)
    assert done["failed"]
    assert words in done["msg"]


def test_host_without_dpkg_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "DAEMON_PATH", "/nosuch")
    assert "this host has no dpkg-statoverride" in host.run()["msg"]


@pytest.mark.parametrize("wait", ["\u00b2", "9" * 5000, "-1", "x"])
def test_a_wrapper_with_an_odd_wait_hides_no_other(wait):
    text = scripts.text("/etc/cron.daily/a", "/usr/bin/rcron", "/etc/rcron/b.conf", 7, scripts.Before("a", "b", "0755"))
    assert scripts.options_of(text) == ("/etc/rcron/b.conf", 7)
    assert scripts.options_of(text.replace("--takeover-wait 7", f"--takeover-wait {wait}")) == (
        "/etc/rcron/b.conf",
        None,
    )
