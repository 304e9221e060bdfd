# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""playbooks/timeline.yml on hosts that are this machine, with a journal of the test's own."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def draw(playbook_here):
    """Return a function that runs the playbook with some words, and returns the process."""
    return functools.partial(playbook_here, "timeline")


def test_the_picture_is_written_where_the_playbook_was_started(draw, tmp_path):
    path = tmp_path / "here" / "timeline.svg"
    tried = draw("--check")
    assert tried.returncode == 0, tried.stdout
    assert "changed=1" in tried.stdout
    assert not path.exists()

    def drawn(*words: str) -> list[str]:
        """The titles of what is drawn."""
        done = draw(*words)
        assert done.returncode == 0, done.stdout
        assert f'"msg": "{path}"' in done.stdout
        svg = ET.parse(path).getroot()  # noqa: S314 - our own document
        return [element.text for element in svg.iter("{http://www.w3.org/2000/svg}title")]

    titles = drawn()
    assert titles[0] == "billing: who was active, and what ran where"
    assert any(title.startswith("/bin/report <b> {{ lookup('pipe', 'touch ") for title in titles)
    assert any(title.startswith("gone unknown, 0 s to ") for title in titles)
    assert any("gone: unreachable: No route to host" in title for title in titles)
    assert any("gone: not asked" in title for title in drawn("--limit", "node1"))
    # What a host says is no template.
    assert not (tmp_path / "template").exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["timeline.svg"]
    # It shows the commands of everybody's crontabs.
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rcron_timeline_hour=1", "unknown variable rcron_timeline_hour (did you mean rcron_timeline_hours?)"),
        ("rcron_timeline_hours=soon", "rcron_timeline_hours is soon: give a number of hours above 0"),
        ("rcron_timeline_hours=745", "rcron_timeline_hours is 745: give a number of hours above 0, up to 744"),
        (
            "rcron_timeline_file=no/such/folder.svg",
            "rcron_timeline_file is no/such/folder.svg: name a file in an existing folder",
        ),
        ("rcron_timeline_file=/", "rcron_timeline_file is /: name a file"),
    ],
)
def test_invalid_variables_are_refused(draw, words, said):
    done = draw("-e", words)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Read every host's log" not in done.stdout
