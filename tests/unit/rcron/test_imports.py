# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How the modules of rcron/ hang together: no import circle, and source is executed in one place only."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[3] / "rcron"


def module_of(path: pathlib.Path) -> str:
    """The name that a file of the package is imported by."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.AST) -> "Iterator[str]":
    """The modules of the package that a module imports, inside its functions, too."""
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from (name.name for name in found.names if name.name in MODULES)
        elif isinstance(found, ast.ImportFrom) and (found.module or "").partition(".")[0] == "rcron":
            below = [f"{found.module}.{name.name}" for name in found.names]
            yield from (name for name in below if name in MODULES)
            if any(name not in MODULES for name in below):
                yield str(found.module)


IMPORTS = {name: sorted(set(imports(tree))) for name, tree in MODULES.items()}


def circles(graph: "dict[str, list[str]]") -> "list[list[str]]":
    """The ways through a graph that come back to where they began."""
    done: set[str] = set()
    found: list[list[str]] = []

    def follow(name: str, way: "list[str]") -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in graph[name]:
                follow(other, [*way, name])
            done.add(name)

    for name in graph:
        follow(name, [])
    return found


def test_no_module_imports_one_that_imports_it() -> None:
    assert circles(IMPORTS) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c", "b"]]
    assert IMPORTS["rcron.job"].count("rcron.demotion") == 1, "an import inside a function is seen, too"
    assert "rcron.settings" in IMPORTS["rcron.log"]


def test_code_is_executed_where_the_bytecode_is_and_nowhere_else() -> None:
    names = {"exec", "eval", "compile"}
    calls = {
        (module, call.func.id)
        for module, tree in MODULES.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names
    }
    assert calls == {("rcron", "exec"), ("rcron.bytecode", "compile")}


@pytest.mark.parametrize("name", ["settings", "launcher", "bytecode"])
def test_module_is_importable_alone(name: str, tmp_path: pathlib.Path) -> None:
    """A deployment uses them before the package is on the host."""
    (tmp_path / f"{name}.py").write_bytes((PACKAGE / f"{name}.py").read_bytes())
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {name}; print('rcron' in sys.modules)"
    done = subprocess.run([sys.executable, "-ISc", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
