# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Compiles the package on a node, so that a run of rcron reads one file of bytecode: a step of an installation.

    python3 -I FOLDER/rcron/bytecode.py FOLDER LIBRARY

compiles the package in FOLDER for the Python that runs this. FOLDER will be renamed to LIBRARY, or is that already.
rcron/__pycache__/compiled.TAG is written last: if it exists, everything else does. TAG is
sys.implementation.cache_tag.

importlib takes as long to find, open and check a module as most modules here take to run. So the bytecode of the
package itself, `__init__`, holds that of the modules that a run needs at once: one file is read instead of eight. A
Python that cannot use that file, such as a newer one, imports all modules from their sources.
"""

import importlib.util
import marshal
import os
import py_compile
import sys
import tempfile

#: The modules that every run loads, and those that an active one loads. Each stays bytecode until it is imported.
AT_ONCE = ("__main__", "settings", "files", "log", "state", "job", "child")

#: The line of __init__.py that is replaced by them.
ROOM = 'CODES: "dict[str, bytes]" = {}'

#: Without docstrings: they are not needed there, and each costs time to load.
OPTIMIZE = 2


def compile_all(folder: str, library: str) -> None:
    """Compile the package.

    Args:
        folder: the folder that contains it.
        library: the name that this folder gets later, for tracebacks.

    Raises:
        py_compile.PyCompileError: a module is not Python.
        ValueError: __init__.py has no line for the bytecode.
    """
    package = os.path.join(folder, "rcron")
    for parent, _folders, names in os.walk(package):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(parent, name)
                py_compile.compile(path, dfile=os.path.join(library, os.path.relpath(path, folder)), doraise=True)
    _compile_init(package, library)
    with open(os.path.join(package, "__pycache__", f"compiled.{sys.implementation.cache_tag}"), "wb") as mark:
        os.fchmod(mark.fileno(), 0o644)


def _compile_init(package: str, library: str) -> None:
    codes = {}
    for name in AT_ONCE:
        with open(os.path.join(package, f"{name}.py"), "rb") as file:
            code = compile(file.read(), f"{library}/rcron/{name}.py", "exec", dont_inherit=True, optimize=OPTIMIZE)
            codes[name] = marshal.dumps(code)
    path = os.path.join(package, "__init__.py")
    with open(path, encoding="utf-8") as source:
        before, room, after = source.read().partition(ROOM)
    if not room:
        raise ValueError(f"{path}: the line {ROOM} is missing")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as filled:
        filled.write(f"{before}CODES = {codes!r}{after}")
        os.fchmod(filled.fileno(), 0o644)  # the bytecode gets the same mode
        filled.flush()
        py_compile.compile(
            filled.name,
            cfile=importlib.util.cache_from_source(path),
            dfile=f"{library}/rcron/__init__.py",
            doraise=True,
            optimize=OPTIMIZE,
            # It is not compiled from the source alone, so its time and size need not be those of the source.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    compile_all(*sys.argv[1:])
