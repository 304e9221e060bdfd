# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The law of prefixing, on commands of every shape: active, a command does what it did; passive, it does nothing.

Each line of corpus/*.txt is run as cron runs it, without the prefix and with it, through the real wrapper.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import pathlib
import re

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils import crontab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import cron_run

CORPUS = sorted((pathlib.Path(__file__).parent / "corpus").glob("*.txt"))
SHELLS = ("/bin/dash", "/bin/bash")
# Where the shell itself has something to say of a simple command, rcron says it in its place and in its own words.
NOT_STARTED = re.compile(rb"not found|No such file or directory|Permission denied|Is a directory")
# dash names the signal that killed its child. rcron's child dies instead, and dash sees an exit status.
KILLED = re.compile(rb"(Killed|Terminated)\n")


def commands(path: pathlib.Path) -> list[bytes]:
    lines = path.read_bytes().split(b"\n")
    return [line for line in lines if not line.startswith(b"// ")][:-1]


def said_by_the_shell(status: int, before: bytes, after: bytes) -> bool:
    """Say whether these are both what is said of a simple command that could not be started, or was killed."""
    if status in (126, 127):
        return NOT_STARTED.search(before) is not None and re.fullmatch(rb"rcron: .*\n", after) is not None
    return status > 128 and KILLED.fullmatch(before) is not None and after == b""


class Nodes:
    """An active and a passive node."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.active = cron_run.Node(folder / "active", "active")
        self.passive = cron_run.Node(folder / "passive", "passive")
        self._number = itertools.count()
        self._originals: dict[tuple[bytes, bytes, str], cron_run.Result] = {}

    def breaches(self, command: bytes, shell: str, cron: str, prefix=crontab.prefix) -> list[str]:
        """Return in which ways the prefixed command breaks the law; none, if the prefix is right."""
        original = self.run(self.active, command, shell, cron)
        prefixed = prefix(command, bytes(self.active.rcron), bytes(self.active.conf))
        active = self.run(self.active, prefixed, shell, cron)
        found = []
        for what in cron_run.Result._fields:
            before, after = getattr(original, what), getattr(active, what)
            if before != after and not (
                what == "stderr"
                and prefixed.endswith(b" " + command)
                and said_by_the_shell(original.status, before, after)
            ):
                found.append(f"{shell}, {cron}: {command!r} active: {what} {before!r} became {after!r}")
        prefixed = prefix(command, bytes(self.passive.rcron), bytes(self.passive.conf))
        found += [f"{shell}, {cron}: {command!r} {breach}" for breach in self._traces(prefixed, shell, cron)]
        return found

    def run(self, node: cron_run.Node, command: bytes, shell: str, cron: str) -> cron_run.Result:
        home = node.home(f"home{next(self._number):06}")
        try:
            return cron_run.run(*cron_run.shell_input(command, cron), shell, home)
        finally:
            cron_run.remove(home)

    def _traces(self, prefixed: bytes, shell: str, cron: str) -> list[str]:
        home = self.passive.home(f"home{next(self._number):06}")
        before = cron_run.files(home, times=True)
        result = cron_run.run(*cron_run.shell_input(prefixed, cron), shell, home)
        found = []
        if (result.status, result.stdout, result.stderr) != (0, b"", b""):
            found.append(f"passive: {result[:3]}")
        if cron_run.files(home, times=True) != before:
            found.append("passive: files were touched")
        cron_run.remove(home)
        return found


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    return Nodes(tmp_path_factory.mktemp("nodes"))


def check(nodes: Nodes, cases: list[tuple[bytes, str, str]]) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = [breach for breaches in pool.map(lambda case: nodes.breaches(*case), cases) for breach in breaches]
    assert not found, "\n".join(found)


def test_the_corpus_is_large():
    assert len({command for path in CORPUS for command in commands(path)}) >= 300


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_active_it_does_what_it_did_and_passive_nothing(nodes, path):
    check(
        nodes,
        [(command, shell, cron) for command in commands(path) for shell, cron in zip(SHELLS, ("debian", "cronie"))],
    )


def test_so_it_does_whichever_cron_unescapes_backslashes(nodes):
    check(
        nodes,
        [
            (command, shell, cron)
            for path in CORPUS
            for command in commands(path)
            if cron_run.shell_input(command, "debian") != cron_run.shell_input(command, "cronie")
            for shell, cron in zip(SHELLS, ("cronie", "debian"))
        ],
    )


def test_so_it_does_in_a_crontab_with_crlf(nodes):
    """To cron the CR is the command's last byte."""
    # Not those whose process number or order of messages is another each time.
    every_tenth = [command for path in CORPUS for command in commands(path) if not re.search(rb"\$\$|\|", command)][
        ::10
    ]
    check(nodes, [(command + b"\r", shell, "debian") for command in every_tenth for shell in SHELLS])


#: Entries as they were written for the C rcron, which used system(3). RCRON stands for the path and --conf.
HANDWRITTEN = [
    b"RCRON 'echo a | cat'",
    b"RCRON 'echo a | cat' > log",
    b"RCRON 'echo a | cat'>log",
    b"RCRON 'cat; echo \\%F' < in.txt >> log 2>&1",
    b"RCRON 'job a' # nightly",
    b"RCRON 'job a | cat' | sort",
    b"RCRON 'job a' && echo done",
    b"RCRON 'false || exit 3' || echo failed $?",
    b"RCRON 'job a'; echo done $?",
    b"RCRON 'job a' & wait",
    b"RCRON 'job --stdin | cat' %alpha%beta",
    b"RCRON 'job a' > log %alpha",
    b"RCRON -- 'job a' > log",
    b"RCRON --takeover-wait 0 'job a' > log",
    b"RCRON -c 'job a | cat' > log",
    b'RCRON "job a" > log',
    b"RCRON job\\ a > log",
    b'RCRON "$JOB"',
    b'RCRON "$JOB" > log',
    b'RCRON "$HOME/bin/job" > log',
    b'RCRON "$(echo job a)" | cat',
    b'RCRON "`echo job a`"; echo done',
    b'RCRON "job ${EMPTY:-"a  b"}" > log',
    b"RCRON $JOB > log",
    b"RCRON job 'a b' > log",
    b"RCRON job > log 'a b' 2>&1",
    b"RCRON 'my job' a > log",
    b"RCRON 'my job' 2> log a",
    b"RCRON 'job' > log",
    b"RCRON 'job a' && RCRON 'job b' > log",
    b"RCRON job | RCRON 'cat -'",
    b"cd dir && RCRON 'job a' > log",
    b"> log RCRON 'job a'",
]


def test_a_name_with_a_blank_runs_with_arguments_that_may_be_empty(nodes):
    for shell in SHELLS:
        for command in (b'"my job" $EMPTY', b"'bin/my job' $EMPTY${EMPTY}", b'"bin/my job" $EMPTY "$EMPTY"'):
            assert nodes.breaches(command, shell, "debian") == []


@pytest.mark.parametrize("written", HANDWRITTEN)
def test_a_handwritten_prefix_is_moved_and_taken_away_without_a_change_of_what_runs(nodes, written):
    found = []
    for shell, cron in zip(SHELLS, ("debian", "cronie")):
        command = written.replace(b"RCRON", bytes(nodes.active.rcron) + b" --conf " + bytes(nodes.active.conf))
        found += nodes.breaches(command, shell, cron)
        bare = crontab.unprefix(command)[0]
        before, after = (nodes.run(nodes.active, each, shell, cron) for each in (command, bare))
        assert before.status not in (126, 127), "it works as it is written"
        if before != after:
            found.append(f"{shell}, {cron}: {bare!r} {before} became {after}")
    assert found == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_prefix_comes_off_again(path):
    for command in commands(path):
        for ending in (b"", b"\r", b" "):
            assert crontab.unprefix(crontab.prefix(command + ending))[0] == command + ending


@pytest.mark.parametrize(
    "command",
    [
        b"job > out",
        b"job; job 2",
        b"cd dir && job",
        b"A=1 job",
        b"job | wc -l",
        b"job $(touch made)",
        b'"a b"',
        b"job & touch made",
        b"echo -e 'a'",
    ],
)
def test_a_bare_prefix_would_break_the_law(nodes, command):
    """The check above sees what it is there to see."""

    def bare(command: bytes, rcron_path: bytes, conf: bytes) -> bytes:
        return rcron_path + b" --conf " + conf + b" " + command

    assert [breach for shell in SHELLS for breach in nodes.breaches(command, shell, "debian", bare)]


# Words, operators and input that do no harm wherever they end up, and whose messages come in the same order each time
# (those of `a & b` and `a | b` do not; the corpus has them). All other properties: tests/fuzz/subjects/crontab.py.
SAFE = (
    b'job cat true false echo pwd : a b $X "$X" \'it is\' "a b" a\\ b ${UNSET:-c} $(job) `job` \\% \\\\ in.txt dir '
    b"* # ! A=1 cd if then fi while do done { } ( ) && || ; >out 2>&1 <in.txt >>out 2>err %"
)
SAFE_WORDS = st.sampled_from(SAFE.split())


@given(command=st.lists(SAFE_WORDS, min_size=1, max_size=7).map(b" ".join))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_law_holds_for_generated_commands(nodes, command):
    for shell, cron in zip(SHELLS, ("debian", "cronie")):
        assert nodes.breaches(command, shell, cron) == []
