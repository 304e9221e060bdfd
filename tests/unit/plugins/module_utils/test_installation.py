# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The wrapper's installation, step by step, in a folder that stands for a host's root."""

from __future__ import annotations

import itertools
import os
import pathlib
import pwd
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.installation import plan as planning
from ansible_collections.rcron.cluster.plugins.module_utils.installation import processes, steps
from ansible_collections.rcron.cluster.plugins.module_utils.installation.errors import InstallError
from ansible_collections.rcron.cluster.plugins.module_utils.installation.package import (
    Package,
    Wanted,
    compiled_mark,
)
from ansible_collections.rcron.cluster.plugins.module_utils.installation.places import Places
from ansible_collections.rcron.cluster.plugins.module_utils.installation.plan import absent, present

from rcron import __version__
from rcron.launcher import LAUNCHER

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]
FILES = {
    str(path.relative_to(CHECKOUT)): path.read_text()
    for path in sorted([*CHECKOUT.glob("rcron/**/*.py"), *CHECKOUT.glob("man/*.[58]")])
}
USER = pwd.getpwuid(os.geteuid()).pw_name


def package(version: str = "0.1.0", without: str = "", python: str = sys.executable) -> Package:
    """One version of the wrapper, which may lack a name of rcron.conf."""
    files = dict(FILES)
    files["rcron/__init__.py"] = FILES["rcron/__init__.py"].replace(__version__, version)
    if without:
        lines = files["rcron/settings.py"].splitlines(keepends=True)
        files["rcron/settings.py"] = "".join(line for line in lines if not line.startswith(f'    "{without}": '))
        assert files["rcron/settings.py"] != FILES["rcron/settings.py"]
    return Package(files, python)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def places(root):
    return Places(
        lib_dir=f"{root}/lib",
        bin_dir=f"{root}/bin",
        man_dir=f"{root}/man",
        conf=f"{root}/etc/rcron.conf",
        state_file=f"{root}/run/state",
        tmpfiles_dir=f"{root}/tmpfiles.d",
    )


@pytest.fixture
def wanted(places):
    """Return a function that says what should be there: a version, and what rcron.conf holds besides the state file."""

    def make(which: Package, conf: str = "", default: str = "active") -> Wanted:
        return Wanted(which, f"state_file = {places.state_file}\ndefault_state = {default}\n{conf}", USER)

    return make


def install(places: Places, what: Wanted) -> list[str]:
    """Install it, and return the paths of the steps."""
    plan = present(places, what)
    plan.apply()
    return [step.path for step in plan.steps]


def everything(root: pathlib.Path) -> dict[str, object]:
    """All files, folders and links below a root, with mode and content."""
    return {
        str(path.relative_to(root)): (
            oct(path.lstat().st_mode),
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(root.rglob("*"))
    }


def rcron(places: Places, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [f"{places.bin_dir}/rcron", "--conf", places.conf, *words]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def version(places: Places) -> str:
    """The version that runs now."""
    return subprocess.check_output([f"{places.bin_dir}/rcron", "--version"], text=True).split()[1]


def test_the_installed_commands_run(places, wanted):
    install(places, wanted(package()))
    assert rcron(places, "echo", "ran").stdout == "ran\n"
    ctl = subprocess.run([f"{places.bin_dir}/rcronctl", "check", places.conf], check=False, capture_output=True)
    assert ctl.returncode == 0, ctl.stderr
    agent = subprocess.run([f"{places.bin_dir}/rcron-agent", "--help"], check=False, capture_output=True, text=True)
    assert (agent.returncode, agent.stdout[:18]) == (0, "usage: rcron-agent")
    assert version(places) == "0.1.0"
    assert pathlib.Path(places.bin_dir, "rcron").read_text() == LAUNCHER.format(
        python=sys.executable, library=places.in_use()
    )
    for page in ("man5/rcron.conf.5", "man8/rcron.8", "man8/rcronctl.8", "man8/rcron-agent.8"):
        assert pathlib.Path(places.man_dir, page).read_text() == FILES[f"man/{pathlib.Path(page).name}"]


def test_everybody_may_read_and_run_it_whatever_the_umask(root, places, wanted):
    old = os.umask(0o077)
    try:
        install(places, wanted(package()))
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(old)
    for path in root.rglob("*"):
        needs = 0o444 if not path.is_dir() and path.suffix else 0o555
        if path.name.startswith("rcron") and path.parent.name == "bin":
            needs = 0o555
        if str(path) == os.path.dirname(places.state_path):
            needs = 0o111
        if not path.is_symlink():
            assert path.stat().st_mode & needs == needs, path
            assert path.stat().st_mode & 0o022 == 0, path


def test_all_modules_are_compiled_for_the_interpreter(places, wanted):
    install(places, wanted(package()))
    library = pathlib.Path(places.in_use())
    tag = sys.implementation.cache_tag
    for source in library.rglob("*.py"):
        bytecode = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        # The bytecode names the place where the source is in the end, not where it was compiled.
        assert str(source).encode() in bytecode.read_bytes()
        assert b".staging-" not in bytecode.read_bytes()


def test_a_second_run_changes_nothing(root, places, wanted):
    install(places, wanted(package()))
    before = everything(root)
    assert install(places, wanted(package())) == []
    assert everything(root) == before


def test_a_plan_alone_changes_nothing(root, places, wanted):
    assert len(present(places, wanted(package())).steps) > 10
    assert not root.exists()
    install(places, wanted(package()))
    before = everything(root)
    assert present(places, wanted(package("0.2.0"), "nice_level = 5\n")).steps
    assert absent(places).steps
    assert everything(root) == before


def test_each_difference_is_repaired_and_nothing_else_is_touched(root, places, wanted):
    install(places, wanted(package()))
    good = everything(root)
    library = places.in_use()
    mark = compiled_mark(library, sys.implementation.cache_tag)
    for path, spoil in (
        (places.conf, lambda path: pathlib.Path(path).write_text("cluster_name = other\n")),
        (places.conf, lambda path: os.chmod(path, 0o600)),
        (places.tmpfiles, os.unlink),
        (f"{places.bin_dir}/rcronctl", os.unlink),
        (f"{root}/run", lambda path: os.chmod(path, 0o700)),
        (f"{root}/man/man8", lambda path: os.chmod(path, 0o700)),
        (mark, os.unlink),
    ):
        spoil(path)
        assert install(places, wanted(package())) == [path]
        now = everything(root)
        # Compiling anew writes bytecode with the same content.
        assert {path: what for path, what in now.items() if not path.endswith(".pyc")} == {
            path: what for path, what in good.items() if not path.endswith(".pyc")
        }


def test_the_systems_own_folders_keep_their_other_permissions(root, places, wanted):
    pages = root / "man" / "man8"
    pages.mkdir(parents=True)
    pages.chmod(0o2775)
    install(places, wanted(package()))
    assert stat.S_IMODE(pages.stat().st_mode) == 0o2775


@pytest.mark.parametrize(
    ("old", "old_conf", "new", "new_conf"),
    [
        (None, "", package(), ""),
        (package("1.0"), "", package("2.0"), ""),
        # The new configuration has a name that the old version does not know, and the other way round.
        (package("1.0", without="kill_after"), "", package("2.0"), "kill_after = 5\n"),
        (package("2.0"), "kill_after = 5\n", package("1.0", without="kill_after"), ""),
        (package("1.0"), "", package("1.0"), "nice_level = 5\n"),
    ],
    ids=["first", "upgrade", "upgrade with a new name", "downgrade", "configuration"],
)
def test_a_job_that_starts_between_any_two_steps_runs(places, wanted, old, old_conf, new, new_conf):
    if old:
        install(places, wanted(old, old_conf))
    plan = present(places, wanted(new, new_conf))
    assert plan.steps
    # A job is prefixed once the wrapper stands, so before a first installation's end there is none.
    launcher = pathlib.Path(places.bin_dir, "rcron")
    for step in plan.steps:
        step.do()
        if launcher.exists():
            ran = rcron(places, "echo", "ran")
            assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ran\n", ""), step
    assert f'"{version(places)}"' in new.files["rcron/__init__.py"]
    assert pathlib.Path(places.conf).read_text().endswith(new_conf)


@pytest.mark.parametrize(("status", "first"), [(0, "rcron.conf"), (78, "rcron")])
def test_the_version_in_use_is_asked_by_its_own_command(root, places, wanted, status, first):
    """Whatever that version calls its modules."""
    install(places, wanted(package("1.0")))
    ctl = pathlib.Path(places.in_use(), "bin", "rcronctl")
    ctl.write_text(f'#!/bin/sh\n[ "$1" = check ] && cat "$2" >{root}/asked; exit {status}\n')
    plan = present(places, wanted(package("2.0"), "nice_level = 5\n"))
    assert (root / "asked").read_text().endswith("nice_level = 5\n")
    order = [pathlib.Path(step.path).name for step in plan.steps]
    assert next(name for name in order if name in ("rcron", "rcron.conf")) == first
    ctl.unlink()
    order = [pathlib.Path(step.path).name for step in present(places, wanted(package("2.0"), "nice_level = 5\n")).steps]
    assert order.index("rcron") < order.index("rcron.conf"), "it cannot run at all"


def test_links_are_never_missing_while_they_are_switched(places, wanted, monkeypatch):
    install(places, wanted(package("1.0")))
    plan = present(places, wanted(package("2.0")))
    removed = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path, **options: (removed.append(path), unlink(path, **options)))
    plan.apply()
    assert not set(removed) & set(places.links)
    assert version(places) == "2.0"


def test_a_version_that_cannot_be_compiled_leaves_nothing(root, places, wanted):
    install(places, wanted(package("1.0")))
    before = everything(root)
    bad = package("2.0")
    bad.files["rcron/job.py"] = "def\n"
    with pytest.raises(InstallError, match="cannot compile the wrapper's package"):
        present(places, wanted(bad)).apply()
    assert everything(root) == before


def test_a_write_error_names_the_path(root, places, wanted):
    root.mkdir()
    (root / "tmpfiles.d").write_text("a file in the place of a folder")
    with pytest.raises(InstallError, match=r"tmpfiles\.d"):
        install(places, wanted(package()))
    assert not (root / "bin").exists(), "the links come last"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda places: pathlib.Path(places.bin_dir, "rcron").write_text("C"),
            "/bin/rcron is there already, and not from",
        ),
        (lambda places: os.symlink("/opt/x/rcron", f"{places.bin_dir}/rcronctl"), "/bin/rcronctl is there already"),
        (lambda places: pathlib.Path(places.conf).mkdir(parents=True), "rcron.conf is not a file: remove it"),
        (
            lambda places: pathlib.Path(places.man_dir).joinpath("man8").write_text(""),
            "man8 is not a folder: remove it",
        ),
    ],
)
def test_a_file_in_the_way_is_refused_before_anything_is_changed(root, places, wanted, spoil, message):
    for folder in (places.bin_dir, places.man_dir):
        pathlib.Path(folder).mkdir(parents=True)
    spoil(places)
    before = everything(root)
    with pytest.raises(InstallError, match=message):
        install(places, wanted(package()))
    assert everything(root) == before


def test_options_are_checked(places, wanted):
    with pytest.raises(
        InstallError, match=r'conf_content is what the wrapper would refuse: .*rcron\.conf:3: unknown name "nice_levle"'
    ):
        present(places, wanted(package(), "nice_levle = 3\n"))
    with pytest.raises(InstallError, match=r"/no/python3, which cannot run the wrapper .*No such file"):
        present(places, wanted(package(python="/no/python3")))
    with pytest.raises(InstallError, match="cannot run the wrapper"):
        present(places, wanted(package(python="/bin/true")))
    with pytest.raises(InstallError, match="state_user is no-such-user, and there is no such user: create it"):
        present(places, Wanted(package(), "", "no-such-user"))
    with pytest.raises(InstallError, match=r"no rcron/__init__\.py with __version__"):
        present(places, wanted(Package({"rcron/settings.py": FILES["rcron/settings.py"]}, sys.executable)))
    incomplete = {path: FILES[path] for path in ("rcron/settings.py", "rcron/__init__.py")}
    with pytest.raises(InstallError, match=r"no rcron/launcher\.py with LAUNCHER"):
        present(places, wanted(Package(incomplete, sys.executable)))
    with pytest.raises(InstallError, match=r"no rcron/settings\.py"):
        present(places, wanted(Package({}, sys.executable)))
    places.state_file = "/var/run/state"
    with pytest.raises(InstallError, match="in a folder that is not rcron's own"):
        present(places, wanted(package()))
    places.state_file = "run/state"
    with pytest.raises(InstallError, match="run/state, which is not an absolute path"):
        present(places, wanted(package()))


def test_the_folders_name_changes_with_whatever_is_in_it():
    other = package()
    other.files["man/rcron.8"] += "."
    names = [which.name for which in (package(), package("0.1.1"), package(python="/usr/bin/python3.9"), other)]
    assert package().name == names[0]
    assert len(set(names)) == 4
    assert [name.rsplit("-", 1)[0] for name in names] == ["0.1.0", "0.1.1", "0.1.0", "0.1.0"]


def test_places_of_the_default_and_of_a_second_cluster():
    defaults = ["/usr/lib/rcron", "/usr/bin", "/usr/share/man", "/etc/rcron/rcron.conf", "/var/run/rcron/state"]
    first = Places(*defaults, "/etc/tmpfiles.d")
    assert (first.state_path, first.pin_path) == ("/run/rcron/state", "/var/lib/rcron/state.pin")
    assert first.tmpfiles == "/etc/tmpfiles.d/rcron.conf"
    assert list(first.links)[-1] == "/usr/bin/rcron"
    second = Places(*defaults[:3], "/etc/rcron/billing.conf", "/srv/billing/state", "/etc/tmpfiles.d")
    assert second.tmpfiles == "/etc/tmpfiles.d/rcron-billing.conf"
    assert second.pin_path == "/srv/billing/state.pin"


def test_removal_restores_what_was_there_before(root, places, wanted):
    (root / "man" / "man8").mkdir(parents=True)
    (root / "man" / "man8" / "ls.8").write_text("")
    (root / "bin").mkdir()
    (root / "bin" / "other").write_text("")
    (root / "tmpfiles.d").mkdir()
    (root / "run").mkdir()
    (root / "etc").mkdir()
    (root / "etc" / "mine").write_text("")
    before = everything(root)
    install(places, wanted(package("1.0")))
    install(places, wanted(package("2.0")))
    # What the wrapper and its feeders write beside the state, a writer that was killed among them.
    for name in ("", ".feeder", ".lock", ".pin", ".4711.0123abcd", ".feeder.4711.0123abcd", ".pin.4711.0123abcd"):
        (root / "run" / f"state{name}").write_text("passive\n")
    (root / "lib" / ".staging-abc").mkdir()
    absent(places).apply()
    # A folder of rcron's own goes, even where it was there before.
    del before["run"]
    assert everything(root) == before
    assert absent(places).steps == []


def test_removal_keeps_other_files_in_the_folders_of_rcron(root, places, wanted):
    install(places, wanted(package()))
    for path in ("run/state.note", "lib/note", "etc/rcron.conf.orig"):
        (root / path).write_text("somebody's")
    absent(places).apply()
    kept = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert kept == {"run/state.note", "lib/note", "etc/rcron.conf.orig"}


def test_removal_leaves_a_foreign_program_of_that_name(root, places, wanted):
    install(places, wanted(package()))
    (root / "bin" / "rcron").unlink()
    (root / "bin" / "rcron").write_text("the C rcron")
    absent(places).apply()
    assert (root / "bin" / "rcron").read_text() == "the C rcron"


def test_the_wrapper_goes_with_the_last_cluster(root, places, wanted):
    second = Places(**{**vars(places), "conf": f"{root}/etc/billing.conf", "state_file": f"{root}/billing/state"})
    for which in (places, second):
        install(which, Wanted(package(), f"state_file = {which.state_file}\n", USER))
    plan = absent(places)
    plan.apply()
    assert plan.library == places.in_use()
    assert not pathlib.Path(places.conf).exists()
    assert rcron(second, "echo", "ran").stdout == "ran\n"
    plan = absent(second)
    plan.apply()
    assert plan.library is None
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_a_job_that_starts_during_the_removal_runs_or_finds_no_wrapper(root, places, wanted):
    install(places, wanted(package()))
    for step in absent(places).steps:
        if pathlib.Path(places.bin_dir, "rcron").exists():
            assert rcron(places, "echo", "ran").stdout == "ran\n"
        step.do()
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_a_configuration_that_is_a_link_stays_a_link(root, places, wanted):
    (root / "etc").mkdir(parents=True)
    (root / "elsewhere").write_text("")
    os.symlink("../elsewhere", places.conf)
    install(places, wanted(package()))
    assert os.readlink(places.conf) == "../elsewhere"
    assert (root / "elsewhere").read_text().startswith("state_file = ")


def test_the_texts_of_the_steps_show_all_changes(places, wanted):
    for step in present(places, wanted(package())).steps:
        assert step.before != step.after
        assert step.before == "" or step.path in step.before
    install(places, wanted(package()))
    for step in itertools.chain(absent(places).steps, present(places, wanted(package("2.0"))).steps):
        assert step.before != step.after
        assert step.path in step.before + step.after


@pytest.fixture
def start(places):
    """Return a function that starts rcron with some words, its standard output a pipe, and waits until it is one."""
    started = []

    def begin(*words: str) -> subprocess.Popen[str]:
        argv = [f"{places.bin_dir}/rcron", "--conf", places.conf, *words]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


JOB = ["sh", "-c", "echo begun; read go; echo ended"]


def libraries(places: Places) -> list[str]:
    return sorted(name.rsplit("-", 1)[0] for name in os.listdir(places.lib_dir))


def test_an_old_version_goes_once_no_process_needs_it(places, wanted, start):
    install(places, wanted(package("1.0")))
    job = start(*JOB)
    assert job.stdout.readline() == "begun\n"
    install(places, wanted(package("2.0")))
    assert install(places, wanted(package("2.0"))) == [], "a folder in use is no change"
    assert libraries(places) == ["1.0", "2.0"]
    assert job.communicate("go\n") == ("ended\n", None)
    assert job.returncode == 0
    old = f"{places.lib_dir}/{package('1.0').name}"
    assert install(places, wanted(package("2.0"))) == [old]
    assert libraries(places) == ["2.0"]


def test_an_unused_version_goes_with_the_upgrade_and_is_reported(places, wanted):
    install(places, wanted(package("1.0")))
    changed = install(places, wanted(package("2.0")))
    assert changed[-1] == f"{places.lib_dir}/{package('1.0').name}"
    assert libraries(places) == ["2.0"]
    install(places, wanted(package("1.0")))
    assert libraries(places) == ["1.0"]
    assert version(places) == "1.0"


def test_a_version_stays_that_a_job_has_used_since_the_plan(places, wanted, start):
    install(places, wanted(package("1.0")))
    plan = present(places, wanted(package("2.0")))
    job = start(*JOB)
    assert job.stdout.readline() == "begun\n"
    plan.apply()
    assert libraries(places) == ["1.0", "2.0"]
    assert plan.steps[-1].path == f"{places.bin_dir}/rcron"
    assert job.communicate("go\n") == ("ended\n", None)


def test_a_job_that_waits_for_a_takeover_survives_an_upgrade(root, places, wanted, start):
    install(places, wanted(package("1.0")))
    (root / "run" / "state").write_text("passive\n")
    job = start("--takeover-wait", "60", "echo", "ran")
    install(places, wanted(package("2.0")))
    (root / "run" / "state").write_text("active\n")
    assert job.communicate(timeout=30) == ("ran\n", None)
    assert job.returncode == 0


@pytest.mark.parametrize("conf", ["", "on_demotion = terminate\n"])
def test_a_job_that_runs_survives_the_removal(root, places, wanted, start, conf, monkeypatch):
    monkeypatch.setattr(steps, "LOADED", 1.0)
    install(places, wanted(package(), conf, "passive"))
    (root / "run" / "state").write_text("active\n")
    job = start(*JOB)
    assert job.stdout.readline() == "begun\n"
    absent(places).apply()
    assert [path for path in root.rglob("*") if not path.is_dir()] == []
    assert job.communicate("go\n") == ("ended\n", None)
    assert job.returncode == 0


def test_a_job_that_has_just_been_started_survives_the_removal(root, places, wanted, start, monkeypatch):
    monkeypatch.setattr(steps, "LOADED", 2.0)
    slow = package()
    slow.files["rcron/__main__.py"] = "import time\ntime.sleep(1)\n" + slow.files["rcron/__main__.py"]
    install(places, wanted(slow))
    (root / "run" / "state").write_text("passive\n")
    # Loads its modules for the wait only after a second.
    job = start("--takeover-wait", "1", "echo", "ran")
    time.sleep(0.5)
    assert processes.users_of(places.in_use()) == [job.pid]
    absent(places).apply()
    job.communicate(timeout=30)
    assert job.returncode == 0
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_the_removal_does_not_wait_for_old_processes(places, wanted, start, monkeypatch):
    install(places, wanted(package()))
    job = start(*JOB)
    assert job.stdout.readline() == "begun\n"
    monkeypatch.setattr(processes, "age_of", lambda _pid: steps.LOADED)
    monkeypatch.setattr(steps.time, "sleep", lambda _seconds: pytest.fail("it waited"))
    absent(places).apply()
    assert job.communicate("go\n") == ("ended\n", None)


def test_a_process_that_runs_from_another_folder_is_not_a_user(places):
    mine = subprocess.Popen(["sleep", "60", f"{places.lib_dir}/1.0-01234567x", "rcron"])
    try:
        assert processes.users_of(f"{places.lib_dir}/1.0-01234567") == []
        assert 0 <= processes.age_of(mine.pid) < 30
    finally:
        mine.kill()
        mine.wait()
    assert processes.age_of(mine.pid) == float("inf")


#: An ACL's tags for the owner, a named user, the group, a named group, the mask and everyone else (acl(5)).
OWNER_TAG, USER_TAG, OWN_GROUP_TAG, GROUP_TAG, MASK_TAG, OTHER_TAG = 1, 2, 4, 8, 16, 32


def allow(path: str, entry: tuple[int, int, int], mask: int = 7, kind: str = "access") -> None:
    """Give a file or folder an ACL with one named entry: tag, permissions and number."""
    if not os.path.exists(path):
        os.makedirs(path)
    nobody = 0xFFFFFFFF
    entries = [(OWNER_TAG, 7, nobody), (OWN_GROUP_TAG, 5, nobody), (MASK_TAG, mask, nobody), (OTHER_TAG, 5, nobody)]
    data = b"".join(struct.pack("<HHI", *one) for one in sorted([*entries, entry]))
    os.setxattr(path, f"system.posix_acl_{kind}", struct.pack("<I", 2) + data)


def give_away(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    os.chown(path, uid, gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: give_away(f"{root}/lib", uid=12345),
            "lib_dir is .*, but .*/lib belongs to uid 12345, .*: chown root .*/lib,",
        ),
        (
            lambda root: give_away(f"{root}/bin", 0o777),
            "bin_dir is .*, but everyone may write .*/bin, .*: chmod o-w .*/bin,",
        ),
        (
            lambda root: give_away(f"{root}/etc", 0o775, gid=12345),
            "conf is .*, but the group 12345 may write .*: chmod g-w .*/etc,",
        ),
        (
            lambda root: give_away(root, 0o777),
            "state_file is .*, but everyone may write .*/root, and so replace what root runs",
        ),
        (
            lambda root: give_away(f"{root}/lib/0.1.0-00000000/rcron/x", uid=12345),
            "lib_dir is .*, but .*/x/? belongs to uid 12345",
        ),
        (lambda root: give_away(f"{root}/run", uid=12345), None),
        # Nobody can replace root's files in a sticky folder, but everybody may be there first.
        (
            lambda root: give_away(f"{root}/lib", 0o1777),
            "lib_dir is .*, but everyone may write .*/lib, and so put something there before root does: name another",
        ),
        (
            lambda root: (give_away(f"{root}/s", 0o1777), os.symlink(f"{root}/s/bin", f"{root}/bin")),
            "bin_dir is .*, but everyone may write .*/s, and so put something there before root does",
        ),
        (
            lambda root: (
                give_away(f"{root}/s", 0o1777),
                give_away(f"{root}/s/bin", uid=12345),
                os.symlink(f"{root}/s/bin", f"{root}/bin"),
            ),
            "bin_dir is .*, but .*/bin belongs to uid 12345",
        ),
        (
            lambda root: (
                give_away(f"{root}/s", 0o1777),
                give_away(f"{root}/s/bin"),
                os.symlink(f"{root}/s/bin", f"{root}/bin"),
            ),
            None,
        ),
        (
            lambda root: allow(f"{root}/lib", (USER_TAG, 7, 12345)),
            "lib_dir is .*, but by an ACL, uid 12345 may write .*/lib, and so replace what root runs: setfacl -b ",
        ),
        (lambda root: allow(f"{root}/lib", (GROUP_TAG, 6, 12345)), "by an ACL, the group 12345 may write .*/lib,"),
        (
            lambda root: allow(f"{root}/bin", (USER_TAG, 7, 12345), kind="default"),
            "by an ACL, uid 12345 may write .*/bin",
        ),
        (lambda root: allow(f"{root}/lib", (USER_TAG, 5, 12345)), None),
        (lambda root: allow(f"{root}/lib", (USER_TAG, 7, 12345), mask=5), None),
        (lambda root: allow(f"{root}/lib", (USER_TAG, 7, 0)), None),
        (
            lambda root: allow(write(root, "lib/0.1.0-00000000/bin/rcron"), (USER_TAG, 6, 12345)),
            "by an ACL, uid 12345 may write .*/bin/rcron",
        ),
        (lambda root: give_away(f"{root}/lib", 0o775), None),
        (
            lambda root: os.chown(write(root, "lib/0.1.0-00000000/rcron/settings.py"), 12345, 0),
            "settings.py belongs to uid 12345",
        ),
        (lambda root: os.chmod(write(root, "lib/0.1.0-00000000/bin/rcron"), 0o777), "everyone may write .*/bin/rcron"),
        (
            lambda root: (give_away(f"{root}/a", uid=12345), os.symlink(f"{root}/a", f"{root}/man")),
            "man_dir is .*, but .*/man belongs to",
        ),
        # A link of root's, to another user's link, to a folder of root's: he can lead the first one anywhere.
        (
            lambda root: (
                give_away(f"{root}/a", uid=12345),
                give_away(f"{root}/real"),
                os.symlink("../real", f"{root}/a/hop"),
                os.symlink("a/hop", f"{root}/bin"),
            ),
            "bin_dir is .*, but .*/a belongs to uid 12345",
        ),
        (
            lambda root: (
                give_away(f"{root}/a"),
                give_away(f"{root}/real"),
                os.symlink("../a/../real", f"{root}/a/hop"),
                os.symlink("a/hop", f"{root}/bin"),
            ),
            None,
        ),
    ],
)
def test_a_place_where_others_could_replace_what_root_runs_is_refused(root, places, wanted, spoil, message):
    root.mkdir()
    spoil(str(root))
    before = everything(root)
    if message is None:
        present(places, wanted(package()))
    else:
        with pytest.raises(InstallError, match=message):
            install(places, wanted(package()))
        assert everything(root) == before


def write(root: str, name: str) -> str:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path))
    pathlib.Path(path).write_text("")
    return path


def remove_by_path(path: str) -> None:
    """What removed a folder until 0.2: by way of a folder with a name that its owner can take."""
    trash = tempfile.mkdtemp(prefix=".staging-", dir=os.path.dirname(path))
    os.rename(path, os.path.join(trash, "library"))
    shutil.rmtree(trash)


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_removal_moves_nothing_out_of_a_folder_whose_owner_swaps_links_in(tmp_path, monkeypatch, is_protected):
    """The folder of a state may be another user's, who is quick: a link appears just before anything is renamed."""
    theirs, roots = tmp_path / "theirs", tmp_path / "cron.daily"
    roots.mkdir()
    planted = theirs / "state.lock"
    planted.mkdir(parents=True)
    (planted / "job").write_text("theirs\n")
    rename = os.rename

    def be_quick(source, target, **names):
        for staging in theirs.glob(".staging-*"):
            staging.rmdir()
            staging.symlink_to(roots)
        rename(source, target, **names)

    monkeypatch.setattr(os, "rename", be_quick)
    if is_protected:
        assert steps.Remove(str(planted), "", "").do()
        assert list(theirs.iterdir()) == []
        assert list(roots.iterdir()) == []
    else:
        # Python 3.13 says nothing but the link's name.
        with pytest.raises(OSError, match=r"symbolic link|Not a directory|\.staging-"):
            remove_by_path(str(planted))
        assert (roots / "library" / "job").read_text() == "theirs\n"


def test_a_removal_of_what_is_gone_already_is_none(tmp_path):
    assert steps.Remove(str(tmp_path / "no" / "such"), "", "").do()
    assert steps.Remove(str(tmp_path / "such"), "", "").do()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_lock_of_a_former_state_user_is_taken_away(root, places, wanted):
    """Whoever feeds the cluster from now on could not open it."""
    install(places, wanted(package()))
    lock = root / "run" / "state.lock"
    lock.write_text("")
    assert present(places, wanted(package())).steps == []
    os.chown(lock, 12345, 12345)
    assert install(places, wanted(package())) == [str(lock)]
    assert not lock.exists()
    lock.symlink_to("/etc/shadow")
    os.lchown(lock, 12345, 12345)
    assert install(places, wanted(package())) == [str(lock)]
    assert os.path.exists("/etc/shadow")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_former_state_user_writes_neither_the_state_nor_the_record_any_more(root, places, wanted):
    """He may have them open, and nobody replaces a state that is confirmed: the operator's may stay for months."""
    install(places, wanted(package()))
    files = {name: root / "run" / name for name in ("state", "state.feeder", "state.refused")}
    held = {}
    for name, path in files.items():
        path.write_text(f"{name}\n")
        held[name] = path.open("r+")
    assert present(places, wanted(package())).steps == []
    for path in files.values():
        os.chown(path, 12345, 12345)
        os.utime(path, (1000, 2000))
    assert install(places, wanted(package())) == [str(path) for path in files.values()]
    assert present(places, wanted(package())).steps == []
    for name, path in files.items():
        with held[name] as file:
            file.write("his")
        found = path.stat()
        assert (path.read_text(), found.st_mtime, oct(found.st_mode)) == (f"{name}\n", 2000.0, "0o100644")
        assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
    assert sorted(path.name for path in (root / "run").iterdir()) == sorted(files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("kind", ["link", "fifo", "secret", "large"])
def test_nothing_of_root_s_is_given_to_a_state_user_in_the_place_of_the_state(root, places, wanted, kind):
    """He may give any name in his folder to any file: a second one, too, with fs.protected_hardlinks=0."""
    install(places, wanted(package()))
    secret, path = root / "secret", root / "run" / "state"
    secret.write_text("root's\n" if kind != "large" else "x" * 5000)
    secret.chmod(0o600 if kind != "large" else 0o644)
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.link(secret, path)
    os.lchown(path, 12345, 12345)
    assert install(places, wanted(package())) == [str(path)]
    assert not os.path.lexists(path)
    assert secret.exists()


def test_a_state_that_is_gone_already_needs_no_new_owner(tmp_path):
    assert steps.GiveAway(str(tmp_path / "state"), "", "", (os.geteuid(), os.getegid())).do()
    assert list(tmp_path.iterdir()) == []


def test_no_process_decides_how_much_of_its_command_line_is_read(tmp_path):
    """One may seem to have terabytes of it: PR_SET_MM_MAP in prctl(2)."""
    endless = ["x" * 120_000] * 10
    waits = [sys.executable, "-c", "print('runs', flush=True); input()"]
    running = [
        subprocess.Popen([*waits, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for words in ([*endless, f"{tmp_path}/lib/bin/rcron"], [f"-ISXrcron={tmp_path}/lib", *endless])
    ]
    try:
        for one in running:
            assert one.stdout.readline() == b"runs\n"  # from execve(2) on, a process has none for a moment
        assert processes.users_of(f"{tmp_path}/lib") == [running[1].pid]
    finally:
        for one in running:
            one.kill()
            one.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has state files of others")
@pytest.mark.parametrize(("state_file", "is_refused"), [("", True), ("/var/run/rcron-theirs/state", False)])
def test_a_pin_never_lies_in_a_folder_of_the_feeder_s_user(places, wanted, state_file, is_refused):
    places.state_file = state_file or places.state_file
    what = wanted(package())
    what.state_user = "nobody"
    message = (
        "state_file is .*, in a folder that will belong to nobody, who could remove or replace the pin there: put it"
    )
    if is_refused:
        with pytest.raises(InstallError, match=message):
            present(places, what)
    else:
        present(places, what)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_version_that_others_could_have_replaced_is_not_run(root, places, wanted, monkeypatch, is_protected):
    """It is in a folder that was lib_dir once."""
    install(places, wanted(package("1.0")))
    former = os.path.join(places.in_use(), "bin", "rcronctl")
    pathlib.Path(former).write_text(f"#!/bin/sh\ntouch {root}/ran\n")
    os.chown(former, 12345, 12345)
    places.lib_dir = f"{root}/other"
    if not is_protected:
        monkeypatch.setattr(planning, "exposure", lambda _path: None)
    present(places, wanted(package("2.0"), "nice_level = 5\n"))
    assert (root / "ran").exists() == (not is_protected)


@pytest.fixture
def told(monkeypatch):
    """What systemd is told."""
    calls: list[str] = []
    monkeypatch.setattr(processes, "systemctl", lambda *words: calls.append(" ".join(words)))
    return calls


def test_systemd_starts_a_service_again_whose_unit_is_new(tmp_path, told):
    path = str(tmp_path / "x.service")
    assert steps.WriteUnit(path, "", "[Unit]\n", "[Unit]\n", manager=True).do()
    assert pathlib.Path(path).read_text() == "[Unit]\n"
    assert told == ["daemon-reload", "try-restart x.service"]


def test_systemd_stops_a_service_before_its_unit_goes(tmp_path, monkeypatch):
    unit = tmp_path / "x.service"
    unit.write_text("[Unit]\n")
    seen = []
    monkeypatch.setattr(processes, "systemctl", lambda *words: seen.append((words[0], unit.exists())))
    assert steps.RemoveUnit(str(unit), "", "", manager=True).do()
    assert seen == [("disable", True), ("daemon-reload", False)]


def test_this_machines_systemd_does_not_hear_of_an_images_unit(tmp_path, told):
    path = str(tmp_path / "x.service")
    steps.WriteUnit(path, "", "[Unit]\n", "[Unit]\n", manager=False).do()
    steps.RemoveUnit(path, "", "", manager=False).do()
    assert told == []
    assert not os.path.exists(path)


def test_what_systemctl_says_is_in_the_error(monkeypatch):
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/run/systemd/system")
    said = subprocess.CompletedProcess([], 1, "", "Job for x.service failed.\n")
    monkeypatch.setattr(processes, "run", lambda argv: said)
    with pytest.raises(OSError, match=r"systemctl try-restart x.service: Job for x.service failed\."):
        processes.systemctl("try-restart", "x.service")
