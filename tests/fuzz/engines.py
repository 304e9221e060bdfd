# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What makes inputs. Each engine runs in a process of its own, and ends at its first finding.

- hypothesis: generates cases that have the form of real input, and makes one that breaks a property as small as it can.
- bytes: atheris (libFuzzer) mutates bytes, guided by the code that they reach, from seeds that are real input.
- choices: the same, but what is mutated are hypothesis' choices, so that every input has the form of real input.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shlex
import sys
import time
import traceback
from collections.abc import Callable

import hypothesis

from tests.fuzz import subject
from tests.fuzz.subject import Case, Subject

GUIDED = ("bytes", "choices")
NAMES = ("hypothesis", *GUIDED)

#: Exit status for a finding, which has been printed.
FOUND = 9

#: The longest input in bytes, and the most seconds that one may take.
MAX_BYTES = 4096
MAX_SECONDS = 60

#: Inputs of hypothesis between two looks at the clock.
BATCH = 500


def run(name: str, engine: str, seed: int, seconds: float, folder: pathlib.Path) -> int:
    """Be one engine on one subject. Returns the exit status; a coverage-guided engine ends the process itself.

    seconds: how long, or 0 for the number of inputs that the subject wants in the short run. folder: the engine's own,
    for what it finds.
    """
    if engine not in GUIDED:
        return _generate(name, subject.load(name), seed, seconds)
    import atheris  # not to be had for every Python

    with atheris.instrument_imports(include=list(subject.PRODUCT)):
        tried = subject.load(name)
    watched = _Watched(name, tried)
    one_input = watched.bytes if engine == "bytes" else _choices(tried, watched.case)

    def until_found(data: bytes) -> None:
        try:
            one_input(data)
        except BaseException as error:
            watched.report(error)
            os._exit(FOUND)

    corpus, seeds, words = folder / "corpus", folder / "seeds", folder / "words"
    for path in (corpus, seeds):
        path.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)  # noqa: S311 - not a secret
    sown = tried.seeds() if engine == "bytes" else [chance.randbytes(16 << number % 6) for number in range(24)]
    for number, data in enumerate(sown):
        (seeds / f"{number:04}").write_bytes(data)
    limit = (
        f"-max_total_time={seconds:.0f}" if seconds else f"-runs={tried.runs if engine == 'bytes' else tried.examples}"
    )
    options = [limit, f"-seed={seed}", f"-max_len={MAX_BYTES}", f"-timeout={MAX_SECONDS}"]
    if engine == "bytes":
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in tried.words)
        words.write_text("".join(f'"{word}"\n' for word in escaped))
        options.append(f"-dict={words}")
    atheris.Setup([name, *options, f"-artifact_prefix={folder}/", str(corpus), str(seeds)], until_found)
    atheris.Fuzz()
    return 0


def case_of(tried: Subject, engine: str, data: bytes) -> Case:
    """Return what a coverage-guided engine makes of bytes that libFuzzer has left in a file."""
    if engine == "bytes":
        return tried.from_bytes(data)
    seen: list[Case] = []
    _choices(tried, seen.append)(data)
    return seen[0]


def repeat(name: str, case: Case) -> int:
    """Try one case again. Returns the exit status."""
    watched = _Watched(name, subject.load(name))
    try:
        watched.case(case)
    except BaseException as error:
        watched.report(error)
        return FOUND
    print(f"{name}: all properties hold for this input")
    return 0


def finding(name: str, case: Case, what: str) -> str:
    """Return the text of a finding: subject, property, input, and the command that repeats it."""
    again = shlex.join([".venv/bin/python", "-m", "tests.fuzz", "repeat", name, repr(case)])
    return f"FOUND in {name}: {what}\n  input:  {case!r}\n  repeat: {again}"


def _choices(tried: Subject, check: Callable[[Case], None]) -> Callable[[bytes], object]:
    test = hypothesis.given(tried.cases)(check)
    test = hypothesis.settings(database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))(test)
    one_input: Callable[[bytes], object] = test.hypothesis.fuzz_one_input
    return one_input


def _generate(name: str, tried: Subject, seed: int, seconds: float) -> int:
    watched = _Watched(name, tried)
    deadline = time.monotonic() + seconds
    examples = BATCH if seconds else tried.examples
    tested = 0
    while tested == 0 or time.monotonic() < deadline:
        settings = hypothesis.settings(
            database=None,
            deadline=None,
            max_examples=examples,
            suppress_health_check=list(hypothesis.HealthCheck),
            report_multiple_bugs=False,
        )
        test = hypothesis.seed(seed + tested)(settings(hypothesis.given(tried.cases)(watched.case)))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                test()
        except BaseException as error:
            watched.report(error)
            return FOUND
        tested += examples
    print(f"Done {watched.count} runs")
    return 0


class _Watched:
    """A subject that remembers its last case."""

    def __init__(self, name: str, tried: Subject) -> None:
        self.name = name
        self.tried = tried
        self.count = 0
        self.last: Case | None = None

    def case(self, case: Case) -> None:
        self.count += 1
        self.last = case
        self.tried.holds(*case)

    def bytes(self, data: bytes) -> None:
        self.case(self.tried.from_bytes(data))

    def report(self, error: BaseException) -> None:
        if self.last is None:
            traceback.print_exception(error)
            return
        what = str(error) if isinstance(error, AssertionError) and str(error) else "raises what it may not"
        if not isinstance(error, AssertionError) or not str(error):
            traceback.print_exception(error, limit=-6)
        print(finding(self.name, self.last, what.partition("\n")[0]), flush=True)
