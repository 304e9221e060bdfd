# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron's own command line, and what it does if no job is run."""

import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

import rcron
from rcron import __version__
from rcron.__main__ import UsageError, parse


@pytest.mark.parametrize(
    ("argv", "conf", "words", "shell"),
    [
        (["job"], "/etc/rcron/rcron.conf", ["job"], False),
        (["job", "--conf", "x", "-c", "--"], "/etc/rcron/rcron.conf", ["job", "--conf", "x", "-c", "--"], False),
        (["--conf", "f", "job", "a"], "f", ["job", "a"], False),
        (["--conf=f", "job"], "f", ["job"], False),
        (["--conf", "f", "-c", "a | b"], "f", ["a | b"], True),
        (["-c", "a"], "/etc/rcron/rcron.conf", ["a"], True),
        (["-c", ""], "/etc/rcron/rcron.conf", [""], True),
        (["--", "-x", "y"], "/etc/rcron/rcron.conf", ["-x", "y"], False),
        (["--conf", "f", "--", "--"], "f", ["--"], False),
        (["a | b"], "/etc/rcron/rcron.conf", ["a | b"], True),
        ([""], "/etc/rcron/rcron.conf", [""], False),
    ],
)
def test_options_end_at_the_first_word_that_is_none(
    argv: "list[str]", conf: str, words: "list[str]", shell: bool
) -> None:
    request = parse(argv)
    assert (request.conf, request.words, request.shell) == (conf, words, shell)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        ([], "no COMMAND"),
        (["--conf", "f"], "no COMMAND"),
        (["--"], "no COMMAND"),
        (["--takeover-wait", "soon", "job"], '--takeover-wait: "soon" is not a whole number from 0 to 86400'),
        (["--takeover-wait=-1", "job"], "not a whole number"),
        (["--takeover-wait"], "--takeover-wait takes a value"),
        (["--conf"], "--conf takes a value"),
        (["-c"], "-c takes one word"),
        (["-c", "a", "b"], "-c takes one word"),
        (["-x", "job"], "unknown option -x; put -- before a COMMAND that begins with -"),
        (["-"], "unknown option -"),
    ],
)
def test_wrong_usage_is_reported(argv: "list[str]", error: str) -> None:
    with pytest.raises(UsageError, match=error.replace("--", "-+")):
        parse(argv)


def test_wrong_usage_exits_64_and_runs_nothing(node: Any) -> None:
    node.become("active")
    out = node.run("-x", "echo", "ran")
    assert (out.returncode, out.stdout) == (64, "")
    assert out.stderr.startswith("rcron: unknown option -x")
    assert "usage: rcron" in out.stderr


@pytest.mark.parametrize("state", ["passive", "PASSIVE "])
@pytest.mark.parametrize("words", [["touch", "mark"], ["-c", "touch mark"], ["touch mark"]])
def test_a_passive_node_runs_and_prints_nothing(node: Any, state: str, words: "list[str]") -> None:
    node.become(state)
    out = node.run(*words, cwd=node.folder)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert not (node.folder / "mark").exists()
    assert node.log() == ["9.6 cluster=c1 state=passive status=ignore cmd=touch mark"]


def test_passive_exit_is_the_exit_status_of_an_ignored_job(node: Any) -> None:
    node.configure("passive_exit = 75")
    node.become("passive")
    assert node.run("true").returncode == 75
    node.become("active")
    assert node.run("true").returncode == 0


@pytest.mark.parametrize(("default", "ran"), [("active", "ran\n"), ("passive", "")])
def test_an_unreadable_state_means_default_state_with_a_warning(node: Any, default: str, ran: str) -> None:
    node.configure(f"default_state = {default}")
    node.state_file.mkdir()
    assert node.run("echo", "ran").stdout == ran
    assert (
        node.log()[0]
        == f"9.4 cluster=c1 warning: {node.state_file}: not a regular file: taken for {default} (default_state)"
    )


@pytest.mark.parametrize("content", ["sylog_level = x", "nice_level = 77"])
def test_an_invalid_configuration_runs_nothing_and_exits_78(node: Any, content: str) -> None:
    node.become("active")
    node.configure(content)
    out = node.run("echo", "ran")
    assert (out.returncode, out.stdout) == (78, "")
    assert out.stderr.startswith(f"rcron: {node.conf}:3: ")
    assert out.stderr.count("\n") == 1
    assert node.log()[0].startswith(f"9.4 warning: {node.conf}:3: ")
    assert node.log()[0].endswith("; not run: echo ran")


def test_a_missing_configuration_runs_nothing_and_exits_78(node: Any) -> None:
    node.become("active")
    node.conf.unlink()
    out = node.run("echo", "ran")
    assert (out.returncode, out.stdout) == (78, "")
    assert "there is no such file" in out.stderr


def test_help_and_version_need_no_configuration(node: Any) -> None:
    for words, start in (
        (["--help"], "usage: rcron [OPTION...] COMMAND"),
        (["--version"], f"rcron {__version__}\n"),
    ):
        out = subprocess.run([node.rcron, *words], capture_output=True, text=True, check=True)
        assert out.stdout.startswith(start)


@pytest.mark.parametrize("module", ["rcron", "rcron.ctl"])
def test_both_commands_run_from_a_checkout(module: str) -> None:
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    out = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert __version__ in out.stdout


def test_every_module_can_be_imported() -> None:
    """By this Python, and as on a node: a feeder's module too, which runs for its daemon alone."""
    package = pathlib.Path(rcron.__file__).parent
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    names = [".".join(path.parts) for path in paths if path.name != "__init__"]
    assert "rcron.feeders.keepalived" in names
    script = f"import sys; sys.path.insert(0, {str(package.parent)!r}); import {', '.join(names)}"
    out = subprocess.run([sys.executable, "-ISc", script], capture_output=True, text=True, check=False)
    assert (out.returncode, out.stderr) == (0, "")


@pytest.mark.unmeasured
def test_a_passive_run_imports_nothing_that_it_does_not_need(node: Any) -> None:
    node.become("passive")
    launcher = node.rcron.read_text() + "\n"
    node.rcron.write_text(
        launcher.replace("launch()\n", "from rcron.__main__ import main; main(); print(sorted(sys.modules))\n")
    )
    loaded = set(eval(node.run("true").stdout))  # noqa: S307 - our own list
    bare = subprocess.run(
        [sys.executable, "-IS", "-c", "import sys; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    new = loaded - set(eval(bare.stdout))  # noqa: S307 - our own list
    assert new == {"rcron", "rcron.__main__", "rcron.files", "rcron.log", "rcron.settings", "rcron.state", "syslog"}
