# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Runs one comparison with the C rcron, or with this one: the rows of c_rcron.json, which holds what the C rcron did.

    python tests/unit/rcron/c_rcron.py PROGRAM

runs all rows again with the C rcron, and writes what it did into c_rcron.json. PROGRAM is github.com/bpineau/rcron,
commit 19cf05b, built with flex 2.6.4, bison 3.8.2 and `gcc -fcommon -D_GNU_SOURCE`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TABLE = pathlib.Path(__file__).with_name("c_rcron.json")

#: A job that prints each of its words in brackets.
SHOW = '#!/bin/sh\nfor word do printf "[%s]" "$word"; done; echo\n'


def run(folder: pathlib.Path, program: "list[str]", command: str) -> str:
    """Run what cron would hand to a shell.

    Args:
        folder: an empty folder, in which `rcron.conf` may be.
        program: what `rcron` starts, without options.
        command: the command.

    Returns:
        What was printed to standard output, and the files that were not there before.
    """
    tools = folder / "tools"
    tools.mkdir()
    call = " ".join([*program, "--conf", f"{folder}/rcron.conf"])
    jobs = dict.fromkeys(("show", "job", "mail", "alert"), SHOW)
    for name, text in {"rcron": f'#!/bin/sh\nexec {call} "$@"\n', **jobs}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    home = folder / "home"
    home.mkdir()
    for name in ("a1", "a2"):
        (home / name).touch()
    shutil.copy(tools / "job", home)
    # cron's own environment
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(home), "SHELL": "/bin/sh", "LOGNAME": "root"}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        check=False,
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    out = done.stdout.decode("utf-8", "backslashreplace").replace(str(home), "HOME")
    return f"{out}{' '.join(sorted(set(os.listdir(home)) - {'a1', 'a2', 'job'}))}"


def outcome(folder: pathlib.Path, program: "list[str]", row: "dict[str, str]") -> str:
    """Return what a program does with a row's input: of a state, `active`, `passive` or `default`."""
    conf, state = folder / "rcron.conf", folder / "state"
    if "conf" in row:
        text = row["conf"] if "state_file" in row["conf"] or not row["conf"] else f"state_file = STATE\n{row['conf']}"
        conf.write_bytes(text.replace("STATE", str(state)).encode("latin-1"))
        state.write_text("active\n")
        ran = run(folder, program, "rcron nice").split()
        return f"runs at nice {ran[0]}" if ran else "refuses"
    if "state" in row:
        state.write_bytes(row["state"].encode("latin-1"))
        says = {}
        for default in ("active", "passive"):
            conf.write_text(f"state_file = {state}\ndefault_state = {default}\n")
            one = folder / default
            one.mkdir()
            (one / "rcron.conf").write_text(conf.read_text())
            says[default] = run(one, program, "rcron show ran") != ""
        return "default" if says["active"] != says["passive"] else "active" if says["active"] else "passive"
    conf.write_text(f"state_file = {state}\n")
    state.write_text("active\n")
    return run(folder, program, row["crontab"])


def main() -> None:
    """Write what the C rcron does with each row."""
    rows = json.loads(TABLE.read_text())
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            row["c"] = outcome(pathlib.Path(folder), sys.argv[1:], row)
    TABLE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
