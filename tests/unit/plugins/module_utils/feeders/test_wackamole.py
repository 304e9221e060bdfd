# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found out about a wackamole and its Perl."""

from __future__ import annotations

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import wackamole

MARK = "# Written by Ansible"
DIRECTIVES = ["PerlUseLib /usr/share/rcron", "PerlUse Rcron", "RunDynamic Rcron::up on up"]


@pytest.fixture
def inspect(tmp_path, program):
    """Return a function that looks at a wackamole, with other options where some are given."""
    perl = program("perl", '[ "$*" = "-e use POSIX" ]')

    def run(**others: object) -> dict:
        options = {
            "perl": perl,
            "module": str(tmp_path / "Rcron.pm"),
            "conf": str(tmp_path / "wackamole.conf"),
            "mark": MARK,
            "directives": DIRECTIVES,
        }
        return wackamole.inspect({**options, **others})

    return run


def test_a_node_without_wackamole(inspect):
    assert inspect() == {"perl": True, "foreign": [], "lacks": DIRECTIVES, "control": ""}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Control = /var/run/wack.it\n", "/var/run/wack.it"),
        ("Group = wack1\nCONTROL\t= \n'/run/a b' # x\n", "/run/a b"),
        ("Control = /run/one\nControl = /run/two\n", "/run/two"),
        # What wackamole does not start with.
        ("Control=/var/run/wack.it\n", ""),
        ("Control /var/run/wack.it\n", ""),
        ("#Control = /var/run/wack.it\nSpread = control", ""),
    ],
)
def test_the_control_socket_is_found_as_wackamole_finds_it(inspect, tmp_path, text, path):
    (tmp_path / "wackamole.conf").write_text(text)
    assert inspect()["control"] == path


@pytest.mark.parametrize(("perl", "works"), [("perl", True), ("/no/such/perl", False), ("false", False), ("", False)])
def test_a_perl_must_be_there_and_have_posix(inspect, perl, works):
    assert inspect(perl=perl)["perl"] is works


@pytest.mark.parametrize(
    ("text", "foreign"), [(None, False), ("", False), (f"{MARK}\npackage Rcron;\n", False), ("package Rcron;\n", True)]
)
def test_a_module_is_somebody_s_without_the_mark(inspect, tmp_path, text, foreign):
    if text is not None:
        (tmp_path / "Rcron.pm").write_text(text)
    assert inspect()["foreign"] == ([str(tmp_path / "Rcron.pm")] if foreign else [])


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("\n".join(DIRECTIVES), []),
        ("perluselib\t/usr/share/rcron\nPERLUSE  Rcron\nRunDynamic\n  Rcron::up ON Up\n", []),
        ('PerlUseLib "/usr/share/rcron"\nPerlUse \'Rcron\'\nRunDynamic "Rcron::up" on up', []),
        # What wackamole does not start with: an event has one blank, and Perl's names are in one case.
        ("\n".join([*DIRECTIVES[:2], "RunDynamic Rcron::up on  up"]), DIRECTIVES[2:]),
        ("\n".join([*DIRECTIVES[:2], "RunDynamic Rcron::up on\tup"]), DIRECTIVES[2:]),
        ("\n".join([*DIRECTIVES[:2], "RunDynamic Rcron::up on\nup"]), DIRECTIVES[2:]),
        ("\n".join([*DIRECTIVES[:2], "RunDynamic Rcron::up onup"]), DIRECTIVES[2:]),
        ("\n".join([DIRECTIVES[0], "PerlUse rcron", DIRECTIVES[2]]), DIRECTIVES[1:2]),
        ("\n".join([*DIRECTIVES[:2], "RunDynamic rcron::up on up"]), DIRECTIVES[2:]),
        ("\n".join([*DIRECTIVES[:2], 'RunDynamic "Rcron::up on up"']), DIRECTIVES[2:]),
        ("\n".join(["PerlUseLib /usr/share/rcron-old", *DIRECTIVES[1:]]), DIRECTIVES[:1]),
        ('PerlUseLib "/usr/share/rcron" PerlUse Rcron RunDynamic Rcron::up on up # all "in one line', []),
        ("PerlUseLib /usr/share/rcron # PerlUse Rcron\n#RunDynamic Rcron::up on up\n", DIRECTIVES[1:]),
        ("caf\xe9 # \xe9 PerlUse Rcron\n", DIRECTIVES),
    ],
)
def test_directives_are_found_as_wackamole_reads_them(inspect, tmp_path, text, lacks):
    (tmp_path / "wackamole.conf").write_bytes(text.encode("latin-1"))
    assert inspect()["lacks"] == lacks
