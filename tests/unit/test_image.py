# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The images that the clusters of containers boot are built by root, and no other user has a say in it."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "molecule" / "shared" / "image.sh"

#: Stand-ins for programs: there is no image yet, and the builder lists the temporary files that are there then.
PROGRAMS = {
    "podman": 'case $1 in info) echo "$RUNROOT" ;; image) exit 1 ;; esac',
    "mmdebstrap": 'ls -A "$TMPDIR" >"$SEEN"',
}

#: Each protection, and what stood in its place before it, or might.
PROTECTIONS = {
    "the lock's folder": (
        "\"$(podman info --format '{{.Store.RunRoot}}')/${image//[\\/:]/-}.lock\"",
        '"${TMPDIR:-/tmp}/${image//[\\/:]/-}-$(id -u).lock"',
    ),
    "the draft's name": ("$(mktemp --tmpdir rcron-image.XXXXXX)", '"$TMPDIR/rcron-image-$(id -u)"; : >"$rootfs"'),
}


@pytest.mark.parametrize("without", [None, *PROTECTIONS])
def test_a_name_that_another_user_foresees_leads_root_to_none_of_roots_files(tmp_path, without):
    """He watches one build, and plants links under the names that he saw, in a /tmp for everybody.

    The folder here is not sticky, as if fs.protected_symlinks were 0: otherwise the build ends with an error instead.
    """
    text = SCRIPT.read_text()
    if without:
        protection, before = PROTECTIONS[without]
        assert text.count(protection) == 1
        text = text.replace(protection, before)
    script = tmp_path / "image.sh"
    script.write_text(text)
    for name, lines in PROGRAMS.items():
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    everybodys, roots, victim = tmp_path / "tmp", tmp_path / "run", tmp_path / "victim"
    everybodys.mkdir()
    roots.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TMPDIR": str(everybodys),
        "RUNROOT": str(roots),
        "SEEN": str(tmp_path / "seen"),
    }
    environment.pop("RCRON_IMAGE", None)

    def build() -> set[str]:
        ran = subprocess.run(
            ["bash", script, "bookworm"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("localhost/rcron-node:bookworm-")
        return set((tmp_path / "seen").read_text().split())

    seen = build()
    assert seen
    for path in everybodys.iterdir():
        path.unlink()
    for name in seen:
        (everybodys / name).symlink_to(victim)
    victim.write_text("root's\n")
    build()
    assert (victim.read_text() == "root's\n") == (without is None)
    assert bool(list(roots.glob("*.lock"))) == (without != "the lock's folder")
