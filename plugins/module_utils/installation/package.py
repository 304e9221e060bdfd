# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The files of one version of the wrapper: what they are, and whether an interpreter and a configuration fit them."""

from __future__ import annotations

import ast
import glob
import hashlib
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

from .errors import InstallError, Refusal
from .installer import ROLE
from .processes import run

#: Run by the interpreter that will run the wrapper. Arguments: the package's folder, and the name of the configuration
#: whose text comes on standard input. Prints the interpreter's tag on the first line, and after it the error of the
#: package's own parser, if there is one.
PROBE = """\
import sys
if sys.version_info < (3, 9):
    sys.exit("Python %d.%d" % sys.version_info[:2])
folder, conf = sys.argv[1:]
print(sys.implementation.cache_tag)
sys.path.insert(0, folder)
from rcron import settings
try:
    settings.parse(sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), conf)
except settings.ConfigError as error:
    sys.stdout.flush()
    sys.stdout.buffer.write(str(error).encode("utf-8", "backslashreplace"))
"""

#: Run by the interpreter that will run the agent. Arguments: the package's folder, agent.conf, and whom to become.
ENGINE_PROBE = """\
import sys
if sys.version_info < (3, 9):
    sys.exit("Python %d.%d is too old: install 3.9 or newer" % sys.version_info[:2])
sys.path.insert(0, sys.argv[1])
from rcron.agent.__main__ import main
sys.exit(main(["--agent-conf", sys.argv[2], "--user", sys.argv[3], "--check"]))
"""

#: The programs that the links in `bin_dir` lead to, and the constants of rcron/launcher.py that are their texts.
LAUNCHERS = {"bin/rcron": "LAUNCHER", "bin/rcronctl": "CTL_LAUNCHER", "bin/rcron-agent": "AGENT_LAUNCHER"}


@dataclass
class Package:
    """One version of the wrapper, for one interpreter.

    Attributes:
        files: Each file's path below the version's folder, and its text.
        python: The path of the interpreter.
    """

    files: dict[str, str]
    python: str

    def launchers(self, library: str) -> dict[str, str]:
        """Return the programs that the links in `bin_dir` lead to.

        Args:
            library: The path that the version's folder has, or will have.

        Returns:
            Each program's path below that folder, and its text.

        Raises:
            InstallError: The package has no launchers.
        """
        constants = _string_constants(self.files.get("rcron/launcher.py", ""))
        try:
            return {
                path: constants[name].format(python=self.python, library=library) for path, name in LAUNCHERS.items()
            }
        except KeyError:
            raise InstallError(f"the package has no rcron/launcher.py with {', '.join(LAUNCHERS.values())}") from None

    @property
    def name(self) -> str:
        """The name of the version's folder: it differs if anything in the folder does."""
        version = re.search(r'^__version__ = "([^"/]+)"', self.files.get("rcron/__init__.py", ""), re.MULTILINE)
        if not version:
            raise InstallError("the package has no rcron/__init__.py with __version__")
        digest = hashlib.sha256(json.dumps([self.files, self.launchers("")], sort_keys=True).encode()).hexdigest()
        return f"{version.group(1)}-{digest[:8]}"

    def try_out(self, conf_content: str, conf: str) -> tuple[str, list[Refusal]]:
        """Have the interpreter load the package from a temporary folder and parse a configuration.

        Args:
            conf_content: The configuration's text.
            conf: The path for error messages.

        Returns:
            The interpreter's tag in the names of bytecode files, empty if it cannot run the wrapper; and what is wrong
            with the interpreter or the configuration.

        Raises:
            InstallError: The package is incomplete or broken.
        """
        if "rcron/settings.py" not in self.files:
            raise InstallError("the package has no rcron/settings.py to parse a configuration with")
        with tempfile.TemporaryDirectory(prefix="rcron-") as folder:
            self.write(folder)
            argv = [self.python, "-I", "-S", "-B", "-c", PROBE, folder, conf]
            try:
                done = run(argv, conf_content)
            except OSError as error:
                done = subprocess.CompletedProcess(argv, 127, "", error.strerror or str(error))
        tag, _newline, message = done.stdout.partition("\n")
        if not re.fullmatch(r"\w+-\d+", tag):
            why = done.stderr.strip() or "it prints nothing"
            return "", [
                Refusal(
                    "python",
                    f"is {self.python}, which cannot run the wrapper ({why}): install Python 3.9 or newer there, or "
                    f"name another interpreter",
                )
            ]
        if done.returncode:
            raise InstallError(f"the package's rcron/settings.py cannot be loaded: {done.stderr.strip()}")
        return tag, [Refusal("conf_content", f"is what the wrapper would refuse: {message}")] if message else []

    def write(self, folder: str) -> None:
        """Write the package's modules below a folder, to run them from there."""
        for path, text in self.files.items():
            if path.endswith(".py"):
                full = os.path.join(folder, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as file:
                    file.write(text)

    def compile(self, folder: str, library: str) -> None:
        """Compile the package's bytecode.

        Args:
            folder: The folder where the package is now.
            library: The folder where it will be.

        Raises:
            InstallError: It does not compile.
        """
        done = run([self.python, "-I", os.path.join(folder, "rcron", "bytecode.py"), folder, library])
        if done.returncode:
            raise InstallError(f"{self.python} cannot compile the wrapper's package: {done.stderr.strip()}")


def package_below(folder: str, python: str) -> Package:
    """Return the version of the wrapper whose files lie below a folder, with its manual pages.

    Args:
        folder: A checkout, an unpacked archive, or what the distribution's package has brought.
        python: The path of the interpreter.
    """
    files = {}
    for pattern in ("rcron/**/*.py", "man/*.[58]"):
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True)):
            with open(path, encoding="utf-8", newline="") as file:
                files[os.path.relpath(path, folder)] = file.read()
    return Package(files, python)


@dataclass
class Wanted:
    """What should be on the host.

    Attributes:
        package: The version of the wrapper.
        conf_content: The text of rcron.conf.
        state_user: The name of the state folder's owner.
        installer: Who installs it: see installer.py.
        takes_over: Whether another installer's work is taken over.
        agent_unit: The text of the unit for rcron-agent. Empty: a feeder's role writes it when it has a use for it.
    """

    package: Package
    conf_content: str
    state_user: str = "root"
    installer: str = ROLE
    takes_over: bool = False
    agent_unit: str = ""


def compiled_mark(library: str, cache_tag: str) -> str:
    """Return the path of the file that is there if all modules are compiled for an interpreter.

    A module's own bytecode does not prove that: after an upgrade of Python, root's jobs write the bytecode of those
    modules that they load.
    """
    return os.path.join(library, "rcron", "__pycache__", f"compiled.{cache_tag}")


def _string_constants(source: str) -> dict[str, str]:
    """Return the strings that a module's source assigns at its top level, by name."""
    return {
        target.id: statement.value.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, str)
    }
