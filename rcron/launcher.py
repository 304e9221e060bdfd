# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The programs that /usr/bin/rcron and /usr/bin/rcronctl lead to, and the bytecode that the first
of them reads: a step of an installation on a node.

    python3 -I FOLDER/rcron/launcher.py FOLDER LIBRARY

compiles the package in FOLDER for the Python that runs this. FOLDER will be renamed to LIBRARY, or is that already.
Beside the modules' bytecode, rcron/__pycache__/compiled.TAG comes into being, the last of all: where it is, all is
there. TAG is sys.implementation.cache_tag, so that a newer Python leaves the file alone.
"""

import importlib.util
import marshal
import os
import py_compile
import sys
from types import CodeType

#: The launcher, for str.format: `python` and `library` are paths. Python compiles it anew each time: so short is it.
#: Python does nothing with an -X that it does not know. It tells, in a process's command line, which folder the process
#: still needs.
LAUNCHER = """\
#!{python} -ISXrcron={library}
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads
from posix import close, open, read

sys.path.insert(0, "{library}")
try:
    file = open("{library}/rcron/__pycache__/compiled." + sys.implementation.cache_tag, 0)
    data = read(file, 65536)
    close(file)
except OSError:
    data = b""
if data[-4:] != MAGIC_NUMBER:
    # Another Python than at installation.
    from rcron.__main__ import launch

    launch()
code, codes = loads(data)
exec(code)
start(codes, "{library}")
"""

#: The same for rcronctl, whose start nobody waits for.
CTL_LAUNCHER = """\
#!{python} -ISXrcron={library}
import sys

sys.path.insert(0, "{library}")
from rcron.ctl import main

sys.exit(main())
"""

#: What compiled.TAG may hold: as much as the launcher reads, in bytes.
MAX_BYTES = 65536

#: What every run loads, and what an active one does. All others come by importlib.
AT_ONCE = ("__init__", "__main__", "config", "log", "state", "job")


def compile_all(folder: str, library: str) -> None:
    """Compile the package. folder: where it is. library: where it will be, for tracebacks."""
    package = os.path.join(folder, "rcron")
    for parent, _folders, names in os.walk(package):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(parent, name)
                py_compile.compile(path, dfile=os.path.join(library, os.path.relpath(path, folder)), doraise=True)
    codes = {name: marshal.dumps(_code(package, library, name)) for name in AT_ONCE}
    # loads() minds nothing that follows. The number tells one bytecode from another, as in a .pyc.
    data = marshal.dumps((_code(package, library, "start"), codes)) + importlib.util.MAGIC_NUMBER
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes of bytecode, and the launcher reads {MAX_BYTES}")
    path = os.path.join(package, "__pycache__", f"compiled.{sys.implementation.cache_tag}")
    draft = f"{path}.{os.getpid()}"
    with open(draft, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o644)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _code(package: str, library: str, name: str) -> CodeType:
    with open(os.path.join(package, name + ".py"), "rb") as file:
        source = file.read()
    # Without docstrings (2): nobody reads them there, and each costs time to load.
    code: CodeType = compile(source, f"{library}/rcron/{name}.py", "exec", dont_inherit=True, optimize=2)
    return code


if __name__ == "__main__":
    compile_all(*sys.argv[1:])
