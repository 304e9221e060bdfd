# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_heartbeat does on a host before Heartbeat's package is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

KEEP = Path(__file__).parents[3] / "roles/rcron_heartbeat/tasks/keep.yml"


@pytest.mark.parametrize("there", [[], ["ha.cf", "haresources"]])
@pytest.mark.parametrize("is_bare", [True, False])
def test_what_was_there_is_kept_also_if_there_was_nothing(tmp_path: Path, there: list[str], is_bare: bool) -> None:
    folder = tmp_path / "ha.d"
    if not is_bare:
        folder.mkdir()
        for name in there:
            (folder / name).write_text(name)
    (task,) = yaml.safe_load(KEEP.read_text())
    shell, options, script, *_paths = task["ansible.builtin.command"]["argv"]
    names = " ".join([] if is_bare else there)
    script = re.sub(r"\{\{ __feeder_node\.there [^}]*\}\}", names, script)
    script = re.sub(r"echo .* >", "echo disabled stopped >", script)
    subprocess.run([shell, options, script, folder, folder / "before-rcron"], check=True)
    kept = {path.name: path.read_text() for path in (folder / "before-rcron").iterdir()}
    assert kept == {"unit": "disabled stopped\n", **({} if is_bare else {name: name for name in there})}
