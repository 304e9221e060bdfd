# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The bill of materials of a release."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from rcron import __version__

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]


def write(folder: pathlib.Path, checkout: pathlib.Path = CHECKOUT, **environment: str) -> bytes:
    """Write it into a folder; its bytes."""
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, **environment}
    subprocess.run([checkout / "packaging/sbom.sh", folder], check=True, env=variables)
    return (folder / f"rcron-{__version__}.cdx.json").read_bytes()


def test_it_is_the_same_whoever_writes_it(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    again = write(tmp_path / "again", TMPDIR=str(tmp_path / "elsewhere"), TZ="Asia/Tokyo", HOME=str(tmp_path))
    assert again == write(tmp_path / "first")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert write(tmp_path / "later", SOURCE_DATE_EPOCH="4000000000") != again, "the time of another commit"


@pytest.mark.parametrize(("dependencies", "listed"), [("[]", []), ('["left-pad==1.3"]', [("left-pad", "1.3")])])
def test_it_names_this_version_its_licence_and_what_it_depends_on(tmp_path, dependencies, listed):
    for name in ("packaging/sbom.sh", "pyproject.toml", "README.md", "rcron/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    project = (tmp_path / "pyproject.toml").read_text()
    assert project.count("\ndependencies = []\n") == 1, "the wrapper has the standard library only"
    (tmp_path / "pyproject.toml").write_text(project.replace("dependencies = []", f"dependencies = {dependencies}"))
    bill = json.loads(write(tmp_path / "out", tmp_path, SOURCE_DATE_EPOCH="1000000000"))
    component = bill["metadata"]["component"]
    assert (component["name"], component["version"]) == ("rcron", __version__)
    assert [each["license"]["id"] for each in component["licenses"]] == ["MIT"]
    assert bill["metadata"]["timestamp"] == "2001-09-09T01:46:40+00:00"
    assert [(each["name"], each["version"]) for each in bill.get("components", [])] == listed
