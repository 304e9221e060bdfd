# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a deployment costs: site.yml on many hosts, each of them a folder of this machine.

The hosts are real but for the way to them (connection: local) and for their feeder (none): each has its own wrapper,
configuration and crontab. Prints, for the first and for the second run, seconds and processor time per host and how
often a module was started there, which over ssh is a round trip each. Ends with status 1 where a promise is not kept:
the second run changes nothing, and either takes four module runs.

RCRON_BENCH_HOSTS: how many (50). RCRON_BENCH_FORKS: how many at once (10).
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HOSTS = int(os.environ.get("RCRON_BENCH_HOSTS", "50"))
FORKS = int(os.environ.get("RCRON_BENCH_FORKS", "10"))
#: A look at the host and a try of its crontab before anything is changed anywhere; the wrapper; the crontab.
MODULE_RUNS = 4

CRONTAB = """\
17 * * * * root cd / && run-parts --report /etc/cron.hourly
12 11 * * * billing /opt/billing/invoices --all
"""


class Run(NamedTuple):
    """One run of the playbook, all hosts together."""

    wall: float  # seconds
    processor: float  # seconds, those of the hosts' modules included: all of it is this machine's
    module_runs: int
    changed: int


def prepare(folder: pathlib.Path) -> pathlib.Path:
    """Make the hosts' folders; return the inventory."""
    # Each start of it is a module's.
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\necho >>{folder}/module-runs\nexec {sys.executable} "$@"\n')
    crontab = folder / "bin" / "crontab"
    crontab.parent.mkdir()
    crontab.write_text("#!/bin/sh\nexit 1\n")  # of crontab(1), system crontabs need no more
    for path in (interpreter, crontab):
        path.chmod(0o755)
    hosts = [f"host{number}" for number in range(HOSTS)]
    for host in hosts:
        (folder / host).mkdir()
        (folder / host / "crontab").write_text(CRONTAB)
    root = f"{folder}/{{{{ inventory_hostname }}}}"
    variables = {
        "ansible_connection": "local",
        "ansible_pipelining": True,
        "ansible_python_interpreter": str(interpreter),
        "ansible_become": False,
        "rcron_feeder": "none",
        "rcron_conf": f"{root}/etc/rcron.conf",
        "rcron_bin_dir": f"{root}/bin",
        "rcron_lib_dir": f"{root}/lib",
        "rcron_man_dir": f"{root}/man",
        "rcron_tmpfiles_dir": f"{root}/tmpfiles.d",
        "rcron_state_file": f"{root}/run/state",
        "rcron_crontab_entries": [{"cron_file": f"{root}/crontab", "entries": [{"regexp": "/opt/billing/"}]}],
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"rcron": {"hosts": {host: {} for host in hosts}, "vars": variables}}))
    return inventory


def deploy(inventory: pathlib.Path) -> Run:
    folder = inventory.parent
    (folder / "module-runs").write_text("")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ran = subprocess.run(
        [
            pathlib.Path(sys.executable).parent / "ansible-playbook",
            f"--inventory={inventory}",
            f"--forks={FORKS}",
            "rcron.cluster.site",
        ],
        env={
            **os.environ,
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(CHECKOUT / ".build")),
            "ANSIBLE_NOCOLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    changed = sum(int(number) for number in re.findall(r" changed=(\d+) ", ran.stdout))
    return Run(wall, processor, (folder / "module-runs").read_text().count("\n"), changed)


def main() -> int:
    if os.geteuid() != 0:
        print("This has to be run as root, as the role rcron has.", file=sys.stderr)
        return 1
    broken = []
    print(f"site.yml on {HOSTS} hosts, {FORKS} at once, each with one crontab and no feeder")
    print(f"{'':>7} {'all hosts':>12} {'a host':>10} {'processor':>12}  {'module runs':>12}  {'changes':>8}")
    with tempfile.TemporaryDirectory(prefix="rcron-bench.") as name:
        inventory = prepare(pathlib.Path(name))
        for which in ("first", "second"):
            run = deploy(inventory)
            print(
                f"{which:>7} {run.wall:10.1f} s {run.wall / HOSTS:8.2f} s {run.processor / HOSTS:10.2f} s "
                f"{run.module_runs / HOSTS:13.1f}  {run.changed / HOSTS:8.1f}"
            )
            if run.module_runs != MODULE_RUNS * HOSTS:
                broken.append(f"the {which} run takes {run.module_runs / HOSTS:.1f} module runs per host")
            if which == "second" and run.changed:
                broken.append(f"the second run changes {run.changed} things")
    for promise in broken:
        print(f"NOT KEPT: {promise}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
