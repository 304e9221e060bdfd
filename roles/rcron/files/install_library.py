# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Put the wrapper's package into a folder of its own, whole or not at all.

Run on the node by the role's tasks/install.yml, with -I, as `rcron_python`: the interpreter that the bytecode is
compiled for. Reads one JSON object from standard input: library (str, the folder that is to come into being), modules,
pages (the man pages) and launchers (dicts: path below that folder -> text). A library that exists is complete, because
it came by rename; it is left as it is but for the bytecode, which is compiled anew after an upgrade of Python.
"""

import json
import os
import runpy
import shutil
import sys
import tempfile

asked = json.load(sys.stdin)
library = asked["library"]
os.umask(0o022)


def write(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def compile_all(folder: str) -> None:
    # Its last file is what tells the role that all of it is there. Not a module's bytecode: after an upgrade of Python,
    # root's jobs write that of the modules which they load.
    runpy.run_path(os.path.join(folder, "rcron", "launcher.py"))["compile_all"](folder, library)


if not os.path.isdir(library):
    os.makedirs(os.path.dirname(library), exist_ok=True)
    staging = tempfile.mkdtemp(prefix=".staging-", dir=os.path.dirname(library))
    try:
        for path, text in {**asked["modules"], **asked["pages"]}.items():
            write(os.path.join(staging, path), text, 0o644)
        for path, text in asked["launchers"].items():
            write(os.path.join(staging, path), text, 0o755)
        compile_all(staging)
        os.chmod(staging, 0o755)  # noqa: S103 - every user's jobs read it
        os.rename(staging, library)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
else:
    compile_all(library)
