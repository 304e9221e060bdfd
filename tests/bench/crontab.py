# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How long prefixing takes: the pure rewriting, the module's work, and a task beside a loop over ansible.builtin.cron.

Prints a table for each, with the median and the spread of several runs. Ends with status 1 if a promise is not kept:
time grows with the lines, a line of a million bytes takes less than 0.2 s whatever is in it, 1,000 entries take less
than 1 s inside the module, and a task takes at most a hundredth of the loop.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
COLLECTIONS = CHECKOUT / ".build"
sys.path[:0] = [str(COLLECTIONS), str(CHECKOUT)]

from ansible_collections.rcron.cluster.plugins.module_utils.crontab import CrontabError, Selector, rewrite  # noqa: E402 - found there
from ansible_collections.rcron.cluster.plugins.module_utils.crontab_store import CrontabFile  # noqa: E402 - found there
from ansible_collections.rcron.cluster.plugins.modules.rcron_crontab import PrefixedEntries  # noqa: E402 - found there

from tests.unit.plugins.module_utils import hostile_lines  # noqa: E402 - found there

RUNS = 5
SIZES = [1_000, 10_000, 100_000]
SELECTED_BY_NAME = 1_000
LOOPED = 30  # more are not bearable
#: Ten times the lines may take this many times as long. Ten, and some for a machine that does other things as well.
LINEAR = 15.0

HOSTILE = 1_000_000  # bytes in a line
AT_A_TIME = 0.2  # seconds that such a line may take

COMMANDS = [
    "/usr/local/bin/report --all",
    "cd /opt/app && ./run --quietly > /var/log/app.log 2>&1",
    "/usr/bin/find /var/tmp -name '*.tmp' -mtime +7 -delete",
    "mysqldump --all-databases | gzip > /backup/$(date +\\%F).sql.gz",
]


def system_crontab(lines: int, of_ten: int) -> bytes:
    """Return a system crontab of so many lines, half of them entries with names; `of_ten` in ten of those are jobs."""
    text = []
    for number in range(lines // 2):
        kind = "job" if number % 10 < of_ten else "other"
        text += [f"#Ansible: {kind} {number}", f"{number % 60} 5 * * *\troot  {COMMANDS[number % 4]} {kind}-{number}"]
    return "\n".join([*text, ""]).encode()


def timed(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> list[float]:
    """Return how many seconds each of several runs took, without what prepares them."""
    seconds = []
    for _run in range(RUNS):
        prepare()
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):8.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})"


def growing(title: str, measure: Callable[[bytes], list[float]]) -> list[str]:
    """Print a table over the sizes; return the promises that are broken."""
    print(f"\n{title}\n{'lines':>9} {'selected':>9}    median   (spread of {RUNS})       per line   beside a tenth")
    broken, last = [], None
    for lines in SIZES:
        seconds = measure(system_crontab(lines, of_ten=2))
        median = statistics.median(seconds)
        # The fastest of each: what else the machine does takes longer, and never less.
        ratio = min(seconds) / last if last else None
        print(
            f"{lines:9,} {lines // 10:9,} {spread(seconds):>34} {median / lines * 1e6:8.2f} µs"
            + (f"   {ratio:5.1f} times" if ratio else "")
        )
        if ratio and ratio > LINEAR:
            broken.append(f"{title}: {lines} lines take {ratio:.1f} times as long as a tenth of them")
        last = min(seconds)
    return broken


def beside_hostile_lines() -> list[str]:
    """Time lines of a million bytes, as crontab(1) accepts them from anybody."""
    broken, slowest = [], 0.0
    for name, line in hostile_lines.lines(HOSTILE).items():

        def rewriting(line: bytes = line) -> None:
            with contextlib.suppress(CrontabError):
                rewrite(line, [Selector("regexp", b".")], system=True, state="present")

        fastest = min(timed(rewriting))
        slowest = max(slowest, fastest)
        if fastest >= AT_A_TIME:
            broken.append(f"{name}: a line of {HOSTILE:,} bytes takes {fastest:.3f} s")
    print(f"\n{len(hostile_lines.PARTS)} kinds of hostile lines of {HOSTILE:,} bytes: at most {slowest:.3f} s for one")
    return broken


def entries_of(path: pathlib.Path, selectors: list[Selector]) -> PrefixedEntries:
    return PrefixedEntries(CrontabFile(str(path)), None, selectors, "present", b"/usr/bin/rcron", None, False)


def inside_the_module(folder: pathlib.Path) -> list[str]:
    path = folder / "thousand"
    text = system_crontab(2 * SELECTED_BY_NAME, of_ten=10)
    selectors = [Selector("name", b"job %d" % number) for number in range(SELECTED_BY_NAME)]
    seconds = timed(lambda: entries_of(path, selectors).apply(), lambda: path.write_bytes(text))
    assert path.read_bytes().count(b"/usr/bin/rcron ") == SELECTED_BY_NAME
    print(f"\n{SELECTED_BY_NAME:,} entries, each by a selector of its own, inside the module: {spread(seconds)}")
    median = statistics.median(seconds)
    return [] if median < 1 else [f"{SELECTED_BY_NAME} entries take {median:.3f} s inside the module"]


def as_tasks(folder: pathlib.Path) -> list[str]:
    """Time whole tasks on this machine: one of rcron_crontab, and a loop over ansible.builtin.cron."""
    ours, theirs = folder / "ours", folder / "theirs"
    # Both modules look for crontab(1), which not every machine has, and need no more of it for a system crontab.
    crontab = folder / "bin" / "crontab"
    crontab.parent.mkdir()
    crontab.write_text("#!/bin/sh\nexit 1\n")
    crontab.chmod(0o755)
    entry = {"user": "root", "special_time": "daily", "cron_file": str(theirs)}
    tasks = [
        {
            "name": "ours",
            "rcron.cluster.rcron_crontab": {
                "cron_file": str(ours),
                "entries": [{"name": f"job {number}"} for number in range(SELECTED_BY_NAME)],
            },
        },
        {
            "name": "theirs",
            "ansible.builtin.cron": {**entry, "name": "job {{ item }}", "job": "/usr/bin/rcron /bin/true {{ item }}"},
            "loop": list(range(LOOPED)),
        },
    ]
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([{"name": "Bench", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _run in range(3):
        ours.write_bytes(system_crontab(2 * SELECTED_BY_NAME, of_ten=10))
        theirs.unlink(missing_ok=True)
        done = subprocess.run(
            [pathlib.Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"],
            cwd=folder,
            env={
                **os.environ,
                "PATH": f"{crontab.parent}:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": f"{COLLECTIONS}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
                "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ours.read_bytes().count(b"/usr/bin/rcron ") == SELECTED_BY_NAME
        for name in seconds:
            seconds[name].append(float(re.search(rf"^{name} -+ ([0-9.]+)s$", done.stdout, re.MULTILINE)[1]))
    task = statistics.median(seconds["ours"])
    each = statistics.median(seconds["theirs"]) / LOOPED
    ratio = each * SELECTED_BY_NAME / task
    print(
        f"\nWhole tasks on this machine, connection and module transfer included (median and spread of 3)\n"
        f"  rcron_crontab, {SELECTED_BY_NAME:,} entries:          {spread(seconds['ours'])}\n"
        f"  ansible.builtin.cron, loop of {LOOPED}:        {spread(seconds['theirs'])}, {each:.3f} s an entry\n"
        f"  {SELECTED_BY_NAME:,} entries in such a loop: {each * SELECTED_BY_NAME:.0f} s, {ratio:.0f} times as long"
    )
    return [] if ratio >= 100 else [f"a task takes more than a hundredth of the loop: {1 / ratio:.4f}"]


def main() -> int:
    selectors = [Selector("regexp", rb"job-\d+$")]
    broken = growing(
        "The rewriting alone (bytes in, bytes out)",
        lambda text: timed(lambda: rewrite(text, selectors, system=True, state="present")),
    )
    broken += beside_hostile_lines()
    with tempfile.TemporaryDirectory(prefix="rcron-bench.") as name:
        folder = pathlib.Path(name)
        path = folder / "growing"
        broken += growing(
            "The module's work (lock, reading twice, rewriting, replacing the file)",
            lambda text: timed(lambda: entries_of(path, selectors).apply(), lambda: path.write_bytes(text)),
        )
        broken += inside_the_module(folder)
        broken += as_tasks(folder)
    for promise in broken:
        print(f"NOT KEPT: {promise}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
