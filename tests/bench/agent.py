# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What rcron-agent costs on a node whose keepalived is master: memory, and processor time.

keepalived is a double with an advert a second, the agent is the real one. Ends with status 1 where a promise of the
project's does not hold.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DOUBLE = CHECKOUT / "tests/unit/rcron/agent/feeders/keepalived_double.py"
PYTHON = os.environ.get("RCRON_PYTHON", "/usr/bin/python3")

#: For how long the processor time is counted, in seconds.
SPAN = 60.0

#: The promises: MiB resident, and per cent of one core.
MEMORY, PROCESSOR = 20.0, 0.5

#: What keepalived says of its instance.
DUMP = """\
 VRRP Instance = VI_1
   State = MASTER
   Advert interval = 1 sec
------< Interfaces >------
"""

#: rcron-agent, with a folder of its own in the place of /run/rcron-agent and keepalived's /tmp.
AGENT = """\
import sys
sys.path.insert(0, {library!r})
from rcron import settings
from rcron.agent.feeders import keepalived
settings.RUNTIME = {folder!r} + "/run"
keepalived._DUMP_FILE = {folder!r} + "/data"
from rcron.agent.__main__ import main
sys.exit(main(["--clusters", {folder!r} + "/agent.d"]))
"""


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, in a session of its own, which is killed with its children in the end."""
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, 9)


def wait_for(path: pathlib.Path, text: str) -> None:
    """Wait until a file holds a text."""
    end = time.monotonic() + 30
    while not path.exists() or text not in path.read_text():
        if time.monotonic() > end:
            sys.exit(f"{path} never held {text!r}")
        time.sleep(0.05)


def resident(pid: int) -> float:
    """A process's resident memory, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def processor_time(pid: int) -> float:
    """The processor time that a process has had, in seconds."""
    with open(f"/proc/{pid}/schedstat") as stream:
        return int(stream.read().split()[0]) / 1e9


def measure(folder: pathlib.Path) -> bool:
    """Run the agent beside a master, and print what it costs. Returns whether the promises hold."""
    library = folder / "library"
    shutil.copytree(CHECKOUT / "rcron", library / "rcron", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([PYTHON, "-IS", "-m", "compileall", "-q", library], check=True)
    for name in ("agent.d", "state.d"):
        (folder / name).mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "says").write_text(DUMP)
    (folder / "rcron.conf").write_text(f"state_file = {folder}/state.d/state\nstate_max_age = 10\n")
    (folder / "agent.d/rcron.conf").write_text(
        f"conf = {folder}/rcron.conf\nfeeder = keepalived\ninstance = VI_1\n"
        f"fifo = {folder}/fifo\npid_file = {folder}/pid\n"
    )
    with running(PYTHON, "-IS", str(DOUBLE), str(folder), "1"):
        wait_for(folder / "child", "")
        program = AGENT.format(library=str(library), folder=str(folder))
        with running(PYTHON, "-ISc", program) as agent:
            wait_for(folder / "state.d/state", "active")
            before = processor_time(agent.pid)
            time.sleep(SPAN)
            percent = (processor_time(agent.pid) - before) / SPAN * 100
            memory = resident(agent.pid)
    print(
        f"\nrcron-agent beside a master of keepalived: {memory:.1f} MiB resident (promised: at most {MEMORY:g}), "
        f"{percent:.2f} % of one core in {SPAN:g} s (promised: at most {PROCESSOR:g})"
    )
    return memory <= MEMORY and percent <= PROCESSOR


def main() -> int:
    """Measure. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        return 0 if measure(pathlib.Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
