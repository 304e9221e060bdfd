# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Fuzzing of all that reads what others wrote: python -m tests.fuzz short|long|repeat, from the checkout's folder.

`make fuzz-short` and `make fuzz` call it. Exit status: 0 nothing found, 1 something, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tests.fuzz import engines, subject

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

#: What is found, and the inputs that reached new code, by subject and engine.
RESULTS = CHECKOUT / ".build" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    short = commands.add_parser("short", help="a fixed number of inputs, the same ones each time")
    long = commands.add_parser("long", help="for a time, from what was found before")
    for command in (short, long):
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(subject.NAMES)}; all")
    long.add_argument("--seconds", type=float, default=300, help="for each subject; all engines share them")
    again = commands.add_parser("repeat", help="one input again")
    again.add_argument("subject", choices=subject.NAMES)
    again.add_argument("case", help="as a finding prints it")
    one = commands.add_parser("engine", help="what short and long start")
    one.add_argument("subject")
    one.add_argument("engine")
    one.add_argument("folder", type=pathlib.Path)
    one.add_argument("seed", type=int)
    one.add_argument("seconds", type=float)
    options = parser.parse_args()
    if options.command == "engine":
        return engines.run(options.subject, options.engine, options.seed, options.seconds, options.folder)
    if not set(getattr(options, "subjects", ())) <= set(subject.NAMES):
        parser.error(f"a subject is one of {', '.join(subject.NAMES)}")

    # Every input writes files: in memory if possible.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rcron-fuzz-", dir=memory) as scratch:
        tempfile.tempdir = scratch
        if options.command == "repeat":
            return 1 if engines.repeat(options.subject, ast.literal_eval(options.case)) else 0
        return _run(options.subjects or subject.NAMES, options.seed, getattr(options, "seconds", 0))


def _run(names: tuple[str, ...], seed: int, seconds: float) -> int:
    """Run all engines on these subjects. seconds: for each subject, or 0 for the short run. Returns the exit status."""
    ready = list(engines.NAMES)
    if importlib.util.find_spec("atheris") is None:
        ready = [name for name in engines.NAMES if name not in engines.GUIDED]
        print(f"skipped  the coverage-guided part: atheris is not available for this Python, {sys.version.split()[0]}")
    print(f"seed {seed}", flush=True)
    jobs = [(name, engine, seed, seconds / len(ready)) for name in names for engine in ready]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() if seconds else 1) as pool:
        well = list(pool.map(lambda job: _try(*job), jobs))
    return 0 if all(well) else 1


def _try(name: str, engine: str, seed: int, seconds: float) -> bool:
    """Run an engine on a subject, and print what comes of it. Returns whether nothing was found."""
    folder = RESULTS / ("long" if seconds else "short") / f"{name}-{engine}"
    if not seconds:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    old = set(folder.glob("*-*"))
    process = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "engine", name, engine, str(folder), str(seed), str(seconds)],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": tempfile.mkdtemp(), "PYTHONHASHSEED": "0", "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    done = re.findall(r"Done (\d+) runs", process.stdout)
    if process.returncode == 0 and done:
        reached = re.findall(r"cov: (\d+)", process.stdout)
        print(f"{name}, {engine}: {done[-1]} inputs" + (f", {reached[-1]} places in the code" if reached else ""))
        sys.stdout.flush()
        return True
    found = re.search("^(?:Traceback|FOUND)", process.stdout, re.MULTILINE)
    if process.returncode == engines.FOUND and found:
        print(process.stdout[found.start() :], end="", flush=True)  # what is above is libFuzzer's
        return False
    # libFuzzer's own findings: an input that takes too long, or too much memory.
    for path in sorted(set(folder.glob("*-*")) - old):
        case = engines.case_of(subject.load(name), engine, path.read_bytes())
        print(engines.finding(name, case, f"takes too much time or memory ({path.name.partition('-')[0]})"))
    print(process.stdout)
    print(f"{name}, {engine}: ended with status {process.returncode}", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
