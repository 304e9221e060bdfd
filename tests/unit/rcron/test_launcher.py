# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An installed rcron: it runs out of one file of bytecode, or without it if that does not fit."""

import importlib.util
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from rcron import __version__
from rcron.bytecode import AT_ONCE, ROOM, compile_all
from rcron.launcher import CTL_LAUNCHER, LAUNCHER

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

#: Makes a launcher print which modules came out of that file: those that importlib has not found.
PROBE = """
import posix, sys
def leave(status, leave=posix._exit):
    names = [name for name, module in sys.modules.items() if name.startswith("rcron.") and not module.__spec__]
    print(status, sorted(names), flush=True)
    leave(status)
posix._exit = leave
"""


@pytest.fixture
def library(node: Any, tmp_path: pathlib.Path) -> pathlib.Path:
    """The package installed in a folder, and the node's rcron its launcher."""
    staging, library = tmp_path / "staging", tmp_path / "library"
    for path in (CHECKOUT / "rcron").rglob("*.py"):
        copy = staging / path.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    subprocess.run([sys.executable, "-I", staging / "rcron" / "bytecode.py", staging, library], check=True)
    staging.rename(library)
    node.rcron.write_text(LAUNCHER.format(python=sys.executable, library=library))
    return library


def bytecode(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(importlib.util.cache_from_source(str(path)))


def at_once(node: Any) -> "list[str]":
    """Run a job; return which modules came out of the one file."""
    launcher = node.rcron.read_text()
    node.rcron.write_text(launcher.replace("import sys\n", PROBE, 1))
    out = node.run("true")
    node.rcron.write_text(launcher)
    assert out.stderr == ""
    status, _blank, names = out.stdout.splitlines()[0].partition(" ")
    assert status == "0"
    return [name[len("rcron.") :] for name in eval(names)]  # noqa: S307 - our own list


def test_a_run_takes_its_modules_out_of_one_file(node: Any, library: pathlib.Path) -> None:
    node.become("passive")
    assert at_once(node) == ["__main__", "files", "log", "settings", "state"]
    node.become("active")
    assert at_once(node) == sorted(AT_ONCE)


def test_all_modules_are_compiled_readable_for_everyone_and_a_mark_says_so(library: pathlib.Path) -> None:
    for path in (library / "rcron").rglob("*.py"):
        assert bytecode(path).stat().st_mode & 0o777 == 0o644
    left = [path.name for path in (library / "rcron" / "__pycache__").iterdir() if path.suffix != ".pyc"]
    assert left == [f"compiled.{sys.implementation.cache_tag}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0\0\r\n" + path.read_bytes()[4:]),
    ],
    ids=["missing", "empty", "of another Python"],
)
def test_without_bytecode_that_fits_the_sources_are_imported(node: Any, library: pathlib.Path, change: Any) -> None:
    change(bytecode(library / "rcron" / "__init__.py"))
    node.become("active")
    assert node.run("echo", "ran").stdout == "ran\n"
    assert at_once(node) == []
    node.become("passive")
    assert node.run("echo", "ran").stdout == ""


def other_pythons() -> "list[str]":
    """This machine's Pythons that can run rcron and have another name in the names of bytecode files."""
    found = []
    homes = [pathlib.Path.home() / ".pyenv/versions", pathlib.Path("/usr"), pathlib.Path("/usr/local")]
    for path in [*homes[0].glob("3.*/bin/python3"), *homes[1].glob("bin/python3"), *homes[2].glob("bin/python3")]:
        ask = "import sys; print(sys.version_info >= (3, 9), sys.implementation.cache_tag)"
        out = subprocess.run([path, "-ISc", ask], capture_output=True, text=True, check=False)
        if out.stdout.startswith("True ") and out.stdout.split()[1] != sys.implementation.cache_tag:
            found.append(str(path))
    return found


@pytest.mark.skipif(not other_pythons(), reason="there is only one Python on this machine")
def test_another_python_in_the_same_place_runs_the_jobs(node: Any, library: pathlib.Path) -> None:
    """A node gets another Python, and nobody has deployed since."""
    for python in other_pythons():
        node.rcron.write_text(LAUNCHER.format(python=python, library=library))
        node.become("active")
        assert node.run("sh", "-c", "exit 3").returncode == 3, python
        assert at_once(node) == [], python
        node.become("passive")
        assert (node.run("echo", "ran").stdout, node.run("true").returncode) == ("", 0), python


def test_an_installed_rcron_does_what_the_package_does(node: Any, library: pathlib.Path) -> None:
    assert node.run("--version", "x").returncode == 64
    for words, start in ((["--help"], "usage: rcron ["), (["--version"], f"rcron {__version__}\n")):
        out = subprocess.run([node.rcron, *words], capture_output=True, text=True, check=True)
        assert out.stdout.startswith(start)
    node.become("active")
    assert node.run("sh", "-c", "exit 3").returncode == 3
    node.configure("on_demotion = terminate")  # needs modules that importlib has to find
    assert node.run("sh", "-c", "exit 4").returncode == 4
    assert node.ctl("pin", "passive").returncode == 0
    assert node.run("sh", "-c", "exit 5").returncode == 0
    node.configure("no_such_name = 1")
    out = node.run("true")
    assert out.returncode == 78
    assert 'unknown name "no_such_name"' in out.stderr


def test_no_descriptor_reaches_the_job(node: Any, library: pathlib.Path) -> None:
    node.become("active")
    listing = ["ls", "/proc/self/fd"]
    plain = subprocess.run(listing, capture_output=True, text=True, check=True)
    assert node.run(*listing).stdout == plain.stdout


def test_an_error_names_the_installed_file(node: Any, library: pathlib.Path) -> None:
    """A traceback, should there be one, leads to the source."""
    node.become("active")
    node.rcron.write_text(node.rcron.read_text().replace("import sys\n", "import sys\n\nsys.argv = 5\n", 1))
    assert f'File "{library}/rcron/__main__.py", line ' in node.run("true").stderr


def test_it_ends_without_tidying_up_and_a_ctrl_c_leaves_no_traceback(node: Any, library: pathlib.Path) -> None:
    node.rcron.write_text(node.rcron.read_text() + 'print("still here")\n')
    node.become("active")
    assert node.run("echo", "ran").stdout == "ran\n"
    node.become("passive")
    process = node.start("--takeover-wait", "60", "true", stderr=subprocess.PIPE)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_an_init_without_room_for_the_bytecode_is_refused(tmp_path: pathlib.Path) -> None:
    """And the mark, which says that all of it is there, is not set."""
    package = tmp_path / "rcron"
    package.mkdir()
    for name in (*AT_ONCE, "__init__"):
        (package / f"{name}.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"the line CODES.* is missing"):
        compile_all(str(tmp_path), "/library")
    assert not list(package.glob("__pycache__/compiled.*"))
    (package / "__init__.py").write_text(f"{ROOM}\ny = 2\n")
    compile_all(str(tmp_path), "/library")
    assert [path.name for path in package.glob("__pycache__/compiled.*")] == [
        f"compiled.{sys.implementation.cache_tag}"
    ]
    assert {path.name.partition(".")[0] for path in package.glob("__pycache__/*.pyc")} == {*AT_ONCE, "__init__"}


def old_pythons() -> "list[str]":
    """This machine's Pythons that are too old for rcron."""
    versions = pathlib.Path.home() / ".pyenv/versions"
    return sorted(str(path) for path in versions.glob("3.[678].*/bin/python3"))


@pytest.mark.skipif(not old_pythons(), reason="no Python before 3.9 on this machine")
@pytest.mark.parametrize("state", ["active", "passive"])
def test_a_python_that_is_too_old_is_refused_in_one_line_before_the_job_runs(
    node: Any, library: pathlib.Path, state: str
) -> None:
    node.become(state)
    for python in old_pythons():
        version = pathlib.Path(python).parts[-3].rpartition(".")[0]
        for command, text in ((node.rcron, LAUNCHER), (node.rcronctl, CTL_LAUNCHER)):
            command.write_text(text.format(python=python, library=library))
            out = subprocess.run([command, "--conf", node.conf, "status"], capture_output=True, text=True, check=False)
            needs = f"rcron: needs Python 3.9 or newer, but {python} is {version}; nothing was run. Deploy rcron anew\n"
            assert (out.returncode, out.stdout, out.stderr) == (78, "", needs)
