# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ansible-playbook without the time that it takes to import Ansible and its plugins, again in each of its processes.

A process of its own imports them once, and forks for each run. So each run has the state of a process that has just
begun, and its own environment, folder and output. A run that has other settings of Ansible's than that process (another
collection, other plugins) is started as an ordinary ansible-playbook.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import traceback

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def run(
    words: list[str], *, cwd: pathlib.Path, timeout: float | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with the checkout's collection and an empty standard input.

    Args:
        words: Its arguments.
        cwd: The folder to run it in.
        timeout: After how many seconds it is killed.
        environment: What differs from this process' environment.

    Returns:
        The process, with its output.

    Raises:
        subprocess.TimeoutExpired: It was killed.
    """
    usual = usual_environment()
    env = {**usual, **environment}
    # Ansible has read these, and a configuration in its folder, when it is imported.
    if settings(env) == settings(usual) and not (cwd / "ansible.cfg").exists():
        return forked(words, cwd, env, timeout)
    return subprocess.run(
        [pathlib.Path(sys.executable).parent / "ansible-playbook", *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=timeout,
    )


def usual_environment() -> dict[str, str]:
    """Return the environment of a run."""
    collections = str(CHECKOUT / ".build")
    temporary = tempfile.gettempdir()
    return os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_LOCAL_TEMP": temporary,
        "ANSIBLE_NOCOLOR": "1",
    }


def settings(env: dict[str, str]) -> dict[str, str]:
    """Return Ansible's settings in an environment."""
    return {name: value for name, value in env.items() if name.startswith("ANSIBLE_")}


@functools.cache
def server() -> subprocess.Popen[str]:
    """Start the process that forks, in a folder without a configuration of Ansible's."""
    return subprocess.Popen(
        [sys.executable, __file__],
        cwd="/",
        env=usual_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        text=False,
    )


def forked(
    words: list[str], cwd: pathlib.Path, env: dict[str, str], timeout: float | None
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook in a fork of the server's. See run()."""
    ask, answers = server().stdin, server().stdout
    assert ask is not None
    assert answers is not None
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        request = {"words": words, "cwd": str(cwd), "env": env, "out": out.name, "err": err.name}
        ask.write(json.dumps(request).encode() + b"\n")
        group = int(answers.readline())
        if not select.select([answers], [], [], timeout)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            answers.readline()
            raise subprocess.TimeoutExpired(words, timeout or 0)
        status = int(answers.readline())
        printed = [pathlib.Path(file.name).read_bytes().decode("utf-8", "surrogateescape") for file in (out, err)]
    return subprocess.CompletedProcess(words, status, *printed)


def serve() -> None:
    """Import Ansible and its plugins, and fork for each line of standard input until it ends."""
    import ansible.cli
    import ansible.executor.module_common
    from ansible.plugins import loader

    loader.init_plugin_loader()
    ansible.cli.init_plugin_loader = lambda *_words: None  # not again in each run, with a warning
    for plugins in (loader.filter_loader, loader.test_loader):
        list(plugins.all())
    for plugins in (loader.action_loader, loader.connection_loader, loader.lookup_loader, loader.shell_loader):
        list(plugins.all(class_only=True))
    for kind, plugins in (("action", loader.action_loader), ("filter", loader.filter_loader)):
        for path in sorted((CHECKOUT / "plugins" / kind).glob("*.py")):
            plugins.get(f"rcron.cluster.{path.stem}", class_only=True)
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            play(**json.loads(line))
        os.write(1, b"%d\n" % pid)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def play(words: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be ansible-playbook; never returns."""
    import ansible.cli.playbook

    status: object = 1
    try:
        os.setsid()
        for number, path in enumerate([os.devnull, out, err]):
            os.dup2(os.open(path, os.O_RDWR), number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        ansible.cli.playbook.main(["ansible-playbook", *words])
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not what Python does at an end, which is for the server: Ansible removes its temporary files.
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    serve()
