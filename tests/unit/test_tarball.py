# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What users install: everything that a deployment needs, and nothing that only the work on this collection does."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

#: What may be in it: folders of the checkout (the part of a folder that ends as given), and single files.
FOLDERS = {
    "changelogs": "changelog.yaml",
    "LICENSES": ".txt",
    "docs": (".md", ".svg", ".png", "/examples/consul.py"),
    "library": ".py",
    "man": (".5", ".8"),
    "meta": "",
    "monitoring": (".yml", ".json"),
    "playbooks": ".yml",
    "plugins": "",
    "rcron": ".py",
    "roles": "",
}
FILES = {"CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The files of the tarball, as it is built from this checkout."""
    folder = tmp_path_factory.mktemp("tarball")
    galaxy = pathlib.Path(sys.executable).parent / "ansible-galaxy"
    built = subprocess.run(
        [galaxy, "collection", "build", "--output-path", folder, CHECKOUT],
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as tarball:
        return {member.name for member in tarball if not member.isdir()}


def test_it_holds_nothing_that_users_do_not_need(names):
    surplus = {name for name in names if name not in FILES and name.partition("/")[0] not in FOLDERS}
    surplus |= {name for name in names if "__pycache__" in name or "/." in name or name.startswith(".")}
    surplus |= {
        name for name in names if name not in FILES and not name.endswith(FOLDERS.get(name.partition("/")[0], ""))
    }
    assert surplus == set()


def test_it_holds_all_that_git_has_of_it(names):
    listed = subprocess.run(
        ["git", "ls-files", *FOLDERS], cwd=CHECKOUT, check=False, capture_output=True, text=True
    ).stdout.splitlines()
    if not listed:
        pytest.skip("not a git checkout")
    there = {name for name in listed if (CHECKOUT / name).exists()}
    wanted = {name for name in there if name.endswith(FOLDERS[name.partition("/")[0]])}
    assert wanted - names == set()
    assert {
        "rcron/__main__.py",
        "rcron/bytecode.py",
        "rcron/launcher.py",
        "man/rcron.8",
        "library/rcron_wrapper.py",
    } <= names
