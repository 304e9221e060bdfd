# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a deployment costs: site.yml on many hosts, each of them a folder of this machine.

The hosts are real but for the way to them (connection: local) and for their feeder (none): each has its own wrapper,
configuration and crontabs. Prints, for a first and for a second run, per host: seconds, processor time of the
controller and of the host's modules, and how often a module was started there, which over ssh is a round trip each;
and the memory of ansible-playbook. Besides, the same for a quarter of the hosts, for hosts with one crontab more, and
for a playbook that does the same with plain unarchive, copy, template and cron tasks (plain.yml). Ends with status 1
if a promise is not kept: the second run changes nothing, a host takes four module runs in the first and three in the
second, with two crontabs, too, and the controller's time per host does not grow with the number of hosts.

RCRON_BENCH_HOSTS: how many (200). RCRON_BENCH_FORKS: how many at once (10).
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HOSTS = int(os.environ.get("RCRON_BENCH_HOSTS", "200"))
FORKS = int(os.environ.get("RCRON_BENCH_FORKS", "10"))
#: The plain playbook takes so long that fewer hosts have to do.
FEW = max(HOSTS // 4, 1)
#: A look at the host and a try of its crontabs before anything is changed anywhere; the wrapper, unless it was found as
#: it should be; all crontabs at once.
MODULE_RUNS = {"first": 4, "second": 3}
#: How much more of the controller's time a host may take among four times as many: a busy machine measures no better.
GROWTH = 1.2

CRONTAB = """\
17 * * * * root cd / && run-parts --report /etc/cron.hourly
#Ansible: invoices
12 11 * * * billing /opt/billing/invoices --all
"""

#: Stands for Python on the hosts, and notes the processor time of each module: the shell's own in one line, Python's in
#: the next, each as 0m0.250000s 0m0.010000s. In a pipe, times would be that of a shell that has waited for nothing.
INTERPRETER = """\
#!/bin/sh
{python} "$@"
status=$?
times >>{folder}/module-runs
exit $status
"""


class Run(NamedTuple):
    """One run of a playbook, all hosts together."""

    wall: float  # seconds
    controller: float  # seconds of processor time, without those of the modules
    modules: float  # seconds of processor time
    module_runs: int
    changed: int
    memory: float  # MiB that ansible-playbook's largest process had resident


def prepare(folder: pathlib.Path, hosts: int, crontabs: int) -> pathlib.Path:
    """Make the hosts' folders; return the inventory."""
    folder.mkdir()
    interpreter = folder / "python"
    interpreter.write_text(INTERPRETER.format(python=sys.executable, folder=folder))
    crontab = folder / "bin" / "crontab"
    crontab.parent.mkdir()
    crontab.write_text("#!/bin/sh\nexit 1\n")  # of crontab(1), system crontabs need no more
    for path in (interpreter, crontab):
        path.chmod(0o755)
    names = [f"host{number}" for number in range(hosts)]
    paths = [f"crontab{number}" for number in range(crontabs)]
    for name in names:
        (folder / name).mkdir()
        for path in paths:
            (folder / name / path).write_text(CRONTAB)
    root = f"{folder}/{{{{ inventory_hostname }}}}"
    entries = [{"regexp": "/opt/billing/"}]
    subprocess.run([CHECKOUT / "packaging" / "tarball.sh", folder], check=True)
    (archive,) = folder.glob("rcron-*.tar.gz")
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
        "rcron_crontab_entries": [{"cron_file": f"{root}/{path}", "entries": entries} for path in paths],
        "plain_root": root,
        "plain_checkout": str(CHECKOUT),
        "plain_archive": str(archive),
        "plain_crontabs": [f"{root}/{path}" for path in paths],
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"rcron": {"hosts": {name: {} for name in names}, "vars": variables}}))
    return inventory


def deploy(inventory: pathlib.Path, playbook: str) -> Run:
    """Run a playbook for all hosts of an inventory."""
    folder = inventory.parent
    noted = folder / "module-runs"
    noted.write_text("")
    began = time.monotonic()
    with (folder / "output").open("w") as output:
        ansible = subprocess.Popen(
            [
                pathlib.Path(sys.executable).parent / "ansible-playbook",
                f"--inventory={inventory}",
                f"--forks={FORKS}",
                playbook,
            ],
            env={
                **os.environ,
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(CHECKOUT / ".build")),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # Its own usage and that of all that it has waited for, which is everything.
        _pid, status, used = os.wait4(ansible.pid, 0)
        ansible.returncode = os.waitstatus_to_exitcode(status)
    said = (folder / "output").read_text()
    assert ansible.returncode == 0, said
    modules = sum(
        60 * int(minutes) + float(seconds) for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", noted.read_text())
    )
    return Run(
        wall=time.monotonic() - began,
        controller=used.ru_utime + used.ru_stime - modules,
        modules=modules,
        module_runs=noted.read_text().count("\n") // 2,
        changed=sum(int(number) for number in re.findall(r" changed=(\d+) ", said)),
        memory=used.ru_maxrss / 1024,
    )


def show(what: str, run: Run, hosts: int) -> None:
    """Print a line of the table."""
    mine = f"{run.controller / hosts:9.2f} s {run.modules / hosts:7.2f} s"
    print(
        f"{what:<38} {run.wall:8.1f} s {run.wall / hosts:7.2f} s {mine} "
        f"{run.module_runs / hosts:11.1f} {run.changed / hosts:8.1f} {run.memory:7.0f} MiB",
        flush=True,
    )


def main() -> int:
    if os.geteuid() != 0:
        print("This has to be run as root, as the role rcron has.", file=sys.stderr)
        return 1
    broken = []
    print(f"Deployments without a feeder, {FORKS} hosts at once")
    print(
        f"{'':<38} {'all hosts':>10} {'a host':>9} {'controller':>11} {'modules':>9} {'module runs':>11} {'changes':>8}"
    )
    controllers = {}
    cases = [("site.yml", FEW, 1), ("site.yml", FEW, 2), ("plain.yml", FEW, 1), ("site.yml", HOSTS, 1)]
    with tempfile.TemporaryDirectory(prefix="rcron-bench.") as name:
        for number, (playbook, hosts, crontabs) in enumerate(cases):
            inventory = prepare(pathlib.Path(name) / str(number), hosts, crontabs)
            ours = playbook == "site.yml"
            path = "rcron.cluster.site" if ours else str(pathlib.Path(__file__).with_name(playbook))
            for which in ("first", "second"):
                run = deploy(inventory, path)
                what = f"{playbook}, {hosts} hosts, {crontabs} crontab{'s' * (crontabs > 1)}, {which}"
                show(what, run, hosts)
                if which == "second" and run.changed:
                    broken.append(f"{what}: changes {run.changed} things")
                if not ours:
                    continue
                if run.module_runs != MODULE_RUNS[which] * hosts:
                    broken.append(f"{what}: {run.module_runs / hosts:.1f} module runs per host")
                controllers[hosts, crontabs, which] = run.controller / hosts
    for which in ("first", "second"):
        growth = controllers[HOSTS, 1, which] / controllers[FEW, 1, which]
        print(f"controller per host, {which} run, {HOSTS} hosts to {FEW}: {growth:.2f}")
        if growth > GROWTH:
            broken.append(
                f"the controller takes {growth:.2f} times as long for one of {HOSTS} hosts as for one of {FEW}"
            )
    for promise in broken:
        print(f"NOT KEPT: {promise}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
